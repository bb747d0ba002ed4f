//! One shard of a replay: batches in, lines and effects out, on a thread of its own.
//!
//! It calls the engine and writes bytes; the order over shards and the files are the sink's.

use crate::domain::codes::{Advice, AuthorizationKind, Verdict};
use crate::domain::event::{Body, Event};
use crate::domain::ids::Fingerprint;
use crate::domain::outcome::Effect;
use crate::encode::Pen;
use crate::engine::prepared::Prepared;
use crate::engine::{Applied, Engine, Outcome};
use crate::stream::book::Control;
use std::sync::Arc;

/// One entry of a batch.
#[derive(Debug, Default)]
pub struct Item {
    /// Its place in the whole replay.
    pub seq: u64,
    /// What it is.
    pub work: Work,
}

/// What an item is.
#[derive(Debug)]
pub enum Work {
    /// An event, with its place in the inputs; boxed, because it passes through many hands.
    Event(Box<Event>, Position),
    /// Event time moves to here, in milliseconds.
    Tick(i64),
    /// A control record of the log.
    Control(Control),
}

impl Default for Work {
    fn default() -> Self {
        Self::Tick(0)
    }
}

/// `file:line`, or `topic/partition@offset`.
#[derive(Debug, Clone, Default)]
pub struct Position {
    /// All before the number: the file as named and `:`, or topic, partition and `@`.
    pub file: Arc<str>,
    /// The line, from 1, or the offset.
    pub line: u64,
}

/// A shard's share of a batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// Number of the batch, the same for all shards.
    pub number: u64,
    /// Events and ticks in order.
    pub items: Vec<Item>,
    /// An output that has been written, whose memory is used again.
    pub spent: Output,
}

/// What came of a shard's share of a batch.
#[derive(Debug, Default)]
pub struct Output {
    /// Number of the batch.
    pub number: u64,
    /// The share itself, to be filled again.
    pub items: Vec<Item>,
    /// Decision lines, one after another.
    pub decisions: Vec<u8>,
    /// For each decision line its event's place and where the line ends.
    pub ends: Vec<(u64, usize)>,
    /// Effects with the place of what caused them.
    pub effects: Vec<(u64, Effect)>,
    /// What the evaluation needs to know, in order.
    pub notes: Vec<(u64, Note)>,
    /// Counts of the share.
    pub tally: Tally,
}

impl Output {
    /// Empties it but for its memory.
    fn clear(&mut self, number: u64) {
        self.number = number;
        self.items.clear();
        self.decisions.clear();
        self.ends.clear();
        self.effects.clear();
        self.notes.clear();
        self.tally = Tally::default();
    }
}

/// Counts of what happened to events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Applied.
    pub applied: u64,
    /// Duplicates.
    pub duplicates: u64,
    /// Late.
    pub late: u64,
    /// Codes that we did not know.
    pub unknown_codes: u64,
    /// Decisions by action: allow, step up, decline.
    pub actions: [u64; 3],
}

impl Tally {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.applied += other.applied;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.unknown_codes += other.unknown_codes;
        for (sum, more) in self.actions.iter_mut().zip(other.actions) {
            *sum += more;
        }
    }
}

/// What the evaluation keeps of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// An authorization that was decided.
    Authorization {
        /// Fingerprint of its id.
        id: Fingerprint,
        /// Its cardholder.
        cardholder: Fingerprint,
        /// Event time.
        at_ms: i64,
        /// Minor units of its own currency.
        amount_minor: i64,
        /// The currency's letters as a number; 0 unknown.
        currency: u32,
        /// Whether it was approved in the record.
        approved: bool,
        /// Whether we would have allowed it.
        allowed: bool,
    },
    /// A label.
    Label {
        /// Fingerprint of the event that it speaks of; of an alert where `of_alert`.
        subject: Fingerprint,
        /// Whether the subject is an alert.
        of_alert: bool,
        /// What is said.
        verdict: Verdict,
    },
}

/// Runs a shard over one share; `warm_by` events are looked up together.
pub fn run(
    engine: &mut Engine,
    batch: Batch,
    warm_by: usize,
    outcome: &mut Outcome,
    scratch: &mut Vec<Effect>,
) -> Output {
    let mut out = batch.spent;
    out.clear(batch.number);
    let mut pen = Pen::default();
    for chunk in batch.items.chunks(warm_by.max(1)) {
        let events = chunk.iter().filter_map(|item| match &item.work {
            Work::Event(event, _) => Some(&**event),
            Work::Tick(_) | Work::Control(_) => None,
        });
        std::hint::black_box(engine.warm(events));
        for item in chunk {
            match &item.work {
                Work::Control(Control::Book(prepared)) => under(engine, prepared),
                Work::Control(Control::Enforcement(suspended)) => engine.suspend(*suspended),
                Work::Tick(at_ms) => {
                    engine.tick(*at_ms, scratch);
                    out.effects
                        .extend(scratch.drain(..).map(|effect| (item.seq, effect)));
                }
                Work::Event(event, position) => {
                    engine.apply(event, outcome);
                    write(
                        engine, event, position, item.seq, outcome, &mut out, &mut pen,
                    );
                }
            }
        }
    }
    out.items = batch.items;
    out
}

/// Goes on under another rule book; one in another base currency has no effect, as live.
fn under(engine: &mut Engine, prepared: &Arc<Prepared>) {
    if engine.prepared().version != prepared.version
        && let Ok(other) = engine.under(Arc::clone(prepared))
    {
        *engine = other;
    }
}

fn write(
    engine: &Engine,
    event: &Event,
    position: &Position,
    seq: u64,
    outcome: &mut Outcome,
    out: &mut Output,
    pen: &mut Pen,
) {
    out.tally.unknown_codes += u64::from(event.unknown_codes.count());
    if outcome.applied == Applied::Duplicate {
        out.tally.duplicates += 1;
        return;
    }
    out.tally.applied += 1;
    out.tally.late += u64::from(outcome.late);
    if let Some(decision) = &outcome.decision {
        let action = usize::from(decision.action.code() - 1);
        if let Some(count) = out.tally.actions.get_mut(action) {
            *count += 1;
        }
        pen.decision(
            &mut out.decisions,
            event,
            decision,
            &engine.prepared().version,
            &position.file,
            position.line,
        );
        out.ends.push((seq, out.decisions.len()));
    }
    let allowed = outcome
        .decision
        .as_ref()
        .is_some_and(|d| d.action == Advice::Allow);
    if let Some(note) = note(event, allowed) {
        out.notes.push((seq, note));
    }
    if !outcome.effects.is_empty() {
        out.effects
            .extend(outcome.effects.drain(..).map(|effect| (seq, effect)));
    }
}

fn note(event: &Event, allowed: bool) -> Option<Note> {
    match &event.body {
        Body::Authorization(payment)
            if payment.kind != AuthorizationKind::Reversal
                && payment.kind != AuthorizationKind::Refund =>
        {
            Some(Note::Authorization {
                id: event.id_fp,
                cardholder: event.cardholder_fp,
                at_ms: event.at.ms,
                amount_minor: payment.amount_minor,
                currency: payment
                    .currency
                    .map_or(0, crate::engine::vocabulary::currency_code),
                approved: payment.response == crate::domain::codes::ResponseGroup::Approved,
                allowed,
            })
        }
        Body::Disposition(said) => Some(Note::Label {
            subject: Fingerprint::of(event.str(said.subject)),
            of_alert: said.of_alert,
            verdict: said.verdict,
        }),
        Body::Authorization(_)
        | Body::Threeds(_)
        | Body::Otp(_)
        | Body::Eid(_)
        | Body::Enrolment(_)
        | Body::Card(_)
        | Body::Hold(_) => None,
    }
}
