//! A shard: one partition of the log, with its engine, in the hands of one thread.
//!
//! It takes records in the order of their offsets and gives back what must be performed. It knows
//! how far it came, what it has seen of each source, and from which offset on effects are to be
//! performed: those before were acknowledged in an earlier life (promise `harmless-repeat`).

use crate::decode::Decoder;
use crate::domain::codes::Advice;
use crate::domain::event::{Body, Event};
use crate::domain::ids::Fingerprint;
use crate::domain::outcome::Effect;
use crate::encode;
use crate::engine::prepared::Prepared;
use crate::engine::{Applied, Engine, Outcome};
use crate::stream::StreamError;
use crate::stream::book::{Control, Library};
use crate::stream::names::Names;
use crate::stream::records::{self, Kind, Told};
use crate::stream::send::{Parcel, Sender};
use crate::stream::sentinel::Sentinel;
use crate::stream::snapshot::{SnapshotError, Standing};
use crate::stream::tally::Tally;
use crate::stream::tickets::{Ticket, Trail};
use rdkafka::message::{BorrowedMessage, Message, OwnedHeaders};
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Events that are decoded and looked up together.
pub const RUN: usize = 64;

/// What a shard works with; one for each thread.
#[derive(Debug)]
pub struct Bench {
    /// Topics.
    pub names: Arc<Names>,
    /// The way to the broker.
    pub sender: Sender,
    /// Rule books of control records.
    pub library: Arc<Library>,
    /// The operator accepts gaps.
    pub accept_loss: bool,
    /// Whether we still own what we think we own.
    pub sentinel: Arc<Sentinel>,
    /// Counts since they were last taken.
    pub tally: Tally,
    decoder: Decoder,
    events: Vec<Slot>,
    outcome: Outcome,
    effects: Vec<Effect>,
    line: Vec<u8>,
    position: String,
}

/// A record of a run, decoded.
#[derive(Debug, Default)]
struct Slot {
    event: Event,
    what: What,
    /// Whether it has a `traceparent` to pass on.
    traced: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum What {
    /// To be left out: a repeat of ours, or refused.
    #[default]
    Nothing,
    Event,
    Tick(i64),
    Control,
}

impl Bench {
    /// A thread's bench.
    pub fn new(
        names: &Arc<Names>,
        sender: &Sender,
        library: &Arc<Library>,
        accept_loss: bool,
        sentinel: &Arc<Sentinel>,
    ) -> Self {
        Self {
            names: Arc::clone(names),
            sender: sender.clone(),
            library: Arc::clone(library),
            accept_loss,
            sentinel: Arc::clone(sentinel),
            tally: Tally::default(),
            decoder: Decoder::default(),
            events: (0..RUN).map(|_| Slot::default()).collect(),
            outcome: Outcome::default(),
            effects: Vec::new(),
            line: Vec::with_capacity(4_096),
            position: String::new(),
        }
    }
}

/// One partition of the log.
#[derive(Debug)]
pub struct Shard {
    /// Where it stands.
    pub standing: Standing,
    /// Effects of records before this offset are not performed again.
    pub perform_from: i64,
    /// What it has performed and is not acknowledged yet.
    pub trail: Arc<Trail>,
    engine: Engine,
    /// What every position of this partition begins with.
    prefix: String,
    source: usize,
    checked: bool,
    /// Event time of the newest event or tick applied since it was taken over, in milliseconds.
    newest_ms: i64,
}

impl Shard {
    /// A partition of which nothing is known, beginning at an offset.
    pub fn new(
        (topic, partition): (&str, i32),
        next: i64,
        perform_from: i64,
        prepared: &Arc<Prepared>,
    ) -> Self {
        Self {
            standing: Standing {
                partition,
                next,
                ..Standing::default()
            },
            perform_from,
            trail: Arc::default(),
            engine: Engine::new(Arc::clone(prepared)),
            prefix: format!("{topic}/{partition}@"),
            source: 0,
            checked: true,
            newest_ms: 0,
        }
    }

    /// A partition from a snapshot.
    ///
    /// # Errors
    /// Where the snapshot is of another partition, or damaged.
    pub fn restore(
        (topic, partition): (&str, i32),
        bytes: &[u8],
        perform_from: i64,
        fallback: &Arc<Prepared>,
        library: &Library,
    ) -> Result<Self, SnapshotError> {
        let (standing, rest) = Standing::read(bytes, partition)?;
        let prepared = if standing.book.is_empty() {
            Arc::clone(fallback)
        } else {
            match library.read(&standing.book) {
                Ok(Control::Book(prepared)) => prepared,
                Ok(Control::Enforcement(_)) => Arc::clone(fallback),
                Err(error) => {
                    tracing::error!(%error, partition, "the rule book of a checkpoint is not usable; the configured one is taken");
                    Arc::clone(fallback)
                }
            }
        };
        let mut engine = Engine::restore(prepared, &[rest], |_| true)?;
        engine.set_counters(crate::engine::checkpoint::summary(rest)?.counters);
        Ok(Self {
            checked: standing.last_fp == 0,
            standing,
            perform_from,
            trail: Arc::default(),
            engine,
            prefix: format!("{topic}/{partition}@"),
            source: 0,
            newest_ms: 0,
        })
    }

    /// The state as a snapshot's bytes.
    pub fn save(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.standing.put(&mut bytes);
        self.engine.save(&mut bytes);
        bytes
    }

    /// The offset from which records are wanted: one before the next, so that the last one applied
    /// shows whether this is still the log that the state was made from.
    pub fn wanted(&self) -> i64 {
        self.standing.next - i64::from(!self.checked)
    }

    /// Where the log no longer has the record before the next one, that check is left out.
    pub fn look_back_from(&mut self, low: i64) {
        self.checked |= self.standing.next - 1 < low;
    }

    /// Goes on behind a gap that the operator accepts.
    pub fn skip_to(&mut self, next: i64) {
        self.standing.next = next;
        self.checked = true;
    }

    /// The engine, for queries.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Event time of the newest event or tick that the state has seen, in milliseconds; 0 before the
    /// first.
    pub fn newest_ms(&self) -> i64 {
        self.newest_ms.max(self.engine.newest_tick_ms())
    }

    /// Appends the position of the record applied last: `topic/partition@offset`.
    pub fn write_position(&self, out: &mut String) {
        out.push_str(&self.prefix);
        out.push_str(itoa::Buffer::new().format(self.standing.next - 1));
    }

    /// Takes a run of records, at most [`RUN`], in the order of the log.
    ///
    /// # Errors
    /// Where the log is another one, or has a gap, or the broker refuses an effect.
    pub fn take(
        &mut self,
        run: &[BorrowedMessage<'_>],
        bench: &mut Bench,
        ticket: &Arc<Ticket>,
    ) -> Result<(), StreamError> {
        let run = self.expected(run, bench)?;
        bench.tally.records += u64::try_from(run.len()).unwrap_or(0);
        let mut slots = std::mem::take(&mut bench.events);
        for (message, slot) in run.iter().zip(&mut slots) {
            self.read(message, slot, bench, ticket)?;
        }
        let events = slots.iter().take(run.len());
        let events = events.filter(|slot| slot.what == What::Event);
        std::hint::black_box(self.engine.warm(events.map(|slot| &slot.event)));
        let mut done = Ok(());
        for (message, slot) in run.iter().zip(&slots) {
            done = self.apply(message, slot, bench, ticket);
            if done.is_err() {
                break;
            }
        }
        bench.events = slots;
        done?;
        if let Some(last) = run.last() {
            self.standing.last_fp = fingerprint(last);
            self.trail.push(self.standing.next, ticket);
        }
        Ok(())
    }

    /// The records of a run that are to be applied: all, but what was applied before. Checks that
    /// the log is the one that we know, and has no gap.
    fn expected<'r, 'm>(
        &mut self,
        run: &'r [BorrowedMessage<'m>],
        bench: &mut Bench,
    ) -> Result<&'r [BorrowedMessage<'m>], StreamError> {
        let mut rest = run;
        while let Some((message, after)) = rest.split_first() {
            let next = self.standing.next;
            if message.offset() >= next {
                break;
            }
            if message.offset() == next - 1 && !self.checked {
                self.checked = true;
                if fingerprint(message) != self.standing.last_fp {
                    return Err(StreamError::OtherLog {
                        topic: bench.names.log.clone(),
                        partition: self.standing.partition,
                        what: format!("the record at offset {} is another one", next - 1),
                    });
                }
            }
            rest = after;
        }
        let mut next = self.standing.next;
        for message in rest {
            if message.offset() != next {
                self.gap(next, message.offset(), bench)?;
            }
            next = message.offset() + 1;
        }
        Ok(rest)
    }

    fn gap(&mut self, from: i64, found: i64, bench: &mut Bench) -> Result<(), StreamError> {
        let gap = StreamError::Gap {
            topic: bench.names.log.clone(),
            partition: self.standing.partition,
            from,
            to: found - 1,
            why: "the log goes on after them",
        };
        bench.tally.gaps += 1;
        if !bench.accept_loss {
            return Err(gap);
        }
        tracing::error!("{gap}");
        Ok(())
    }

    /// Decodes a record into its slot.
    fn read(
        &mut self,
        message: &BorrowedMessage<'_>,
        slot: &mut Slot,
        bench: &mut Bench,
        ticket: &Arc<Ticket>,
    ) -> Result<(), StreamError> {
        let told = records::told(message);
        let value = message.payload().unwrap_or_default();
        slot.traced = told.trace.is_some();
        slot.what = match told.kind {
            Kind::Event if !self.is_new(&told, &bench.names.dead_letters) => {
                bench.tally.repeats += 1;
                What::Nothing
            }
            Kind::Event | Kind::Stranger => match bench.decoder.decode(value, &mut slot.event) {
                Ok(()) => {
                    complete(&mut slot.event, message, &told);
                    What::Event
                }
                Err(reject) => {
                    bench.tally.rejects.push(reject.code);
                    if message.offset() >= self.perform_from {
                        let letter = super::letters::letter(message, &reject);
                        let topic = &bench.names.dead_letters;
                        bench.sender.send(letter.parcel(topic), ticket)?;
                    }
                    What::Nothing
                }
            },
            Kind::Tick => std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok())
                .map_or(What::Nothing, What::Tick),
            Kind::Control => What::Control,
        };
        Ok(())
    }

    /// Whether a source's record comes for the first time. A source's records come to a partition
    /// in the order of their offsets, so that the highest one says it.
    fn is_new(&mut self, told: &Told<'_>, dead_letters: &str) -> bool {
        // Letters are driven again in any order, each once; a mark sees to that.
        if told.source_offset < 0 || told.source.starts_with(dead_letters) {
            return true;
        }
        let sources = &mut self.standing.sources;
        let found = match sources.get(self.source) {
            Some((source, _)) if **source == *told.source => Some(self.source),
            Some(_) | None => sources
                .iter()
                .position(|(source, _)| **source == *told.source),
        };
        let Some(at) = found else {
            self.source = sources.len();
            sources.push((Arc::from(told.source), told.source_offset));
            return true;
        };
        self.source = at;
        let Some((_, seen)) = sources.get_mut(at) else {
            return true;
        };
        let new = told.source_offset > *seen;
        *seen = told.source_offset.max(*seen);
        new
    }

    fn apply(
        &mut self,
        message: &BorrowedMessage<'_>,
        slot: &Slot,
        bench: &mut Bench,
        ticket: &Arc<Ticket>,
    ) -> Result<(), StreamError> {
        self.standing.next = message.offset() + 1;
        let perform = message.offset() >= self.perform_from;
        match slot.what {
            What::Nothing => Ok(()),
            What::Control => {
                self.control(message.payload().unwrap_or_default(), bench);
                Ok(())
            }
            What::Tick(at_ms) => {
                if at_ms <= self.engine.newest_tick_ms() {
                    return Ok(());
                }
                let mut effects = std::mem::take(&mut bench.effects);
                self.engine.tick(at_ms, &mut effects);
                let done = perform_all(&effects, perform, self.at(message), None, bench, ticket);
                effects.clear();
                bench.effects = effects;
                done
            }
            What::Event => {
                self.newest_ms = self.newest_ms.max(slot.event.at.ms);
                let mut outcome = std::mem::take(&mut bench.outcome);
                self.engine.apply(&slot.event, &mut outcome);
                let done = self.perform(message, slot, &outcome, perform, bench, ticket);
                bench.outcome = outcome;
                done
            }
        }
    }

    /// Sends an event's decision and effects, and counts.
    fn perform(
        &self,
        message: &BorrowedMessage<'_>,
        slot: &Slot,
        outcome: &Outcome,
        perform: bool,
        bench: &mut Bench,
        ticket: &Arc<Ticket>,
    ) -> Result<(), StreamError> {
        let event = &slot.event;
        let tally = &mut bench.tally;
        tally.unknown_codes += u64::from(event.unknown_codes.count());
        if outcome.applied == Applied::Duplicate {
            tally.duplicates += 1;
            return Ok(());
        }
        tally.applied += 1;
        tally.late += u64::from(outcome.late);
        tally.newest_ms = tally.newest_ms.max(event.at.ms);
        tally.found_good += u64::from(outcome.found_good);
        let trace = (perform && slot.traced)
            .then(|| records::trace(message))
            .flatten();
        if let Some(decision) = &outcome.decision {
            let place = match decision.action {
                Advice::Allow => 0,
                Advice::StepUp => 1,
                Advice::Decline => 2,
            };
            tally.payments += u64::from(matches!(event.body, Body::Authorization(_)));
            if let Some(count) = tally.actions.get_mut(place) {
                *count += 1;
            }
            if perform {
                bench.position.clear();
                bench.position.push_str(&self.prefix);
                let mut offset = itoa::Buffer::new();
                bench.position.push_str(offset.format(message.offset()));
                bench.line.clear();
                encode::decision(
                    &mut bench.line,
                    event,
                    decision,
                    &self.engine.prepared().version,
                    &bench.position,
                );
                let parcel = Parcel {
                    topic: &bench.names.decisions,
                    partition: None,
                    key: event.cardholder().as_bytes(),
                    value: trimmed(&bench.line),
                    headers: headers(trace),
                };
                bench.sender.send(parcel, ticket)?;
            }
        }
        perform_all(
            &outcome.effects,
            perform,
            self.at(message),
            trace,
            bench,
            ticket,
        )
    }

    /// Partition and offset of a record.
    fn at(&self, message: &BorrowedMessage<'_>) -> (i32, i64) {
        (self.standing.partition, message.offset())
    }

    /// A rule book comes into force, or enforcement is suspended or resumed.
    fn control(&mut self, record: &[u8], bench: &Bench) {
        let partition = self.standing.partition;
        let prepared = match bench.library.read(record) {
            Ok(Control::Book(prepared)) => prepared,
            Ok(Control::Enforcement(suspended)) => {
                tracing::warn!(partition, suspended, "the switch of all enforcement is set");
                self.engine.suspend(suspended);
                return;
            }
            Err(error) => {
                tracing::error!(%error, partition, "a control record has no effect");
                return;
            }
        };
        if prepared.version == self.engine.prepared().version {
            self.standing.book = record.to_vec();
            return;
        }
        match self.engine.under(prepared) {
            Ok(engine) => {
                self.engine = engine;
                self.standing.book = record.to_vec();
                tracing::info!(partition, version = %self.engine.prepared().version, "a rule book came into force");
            }
            Err(error) => {
                tracing::error!(%error, partition, "a rule book cannot come into force");
            }
        }
    }
}

/// What decode could not know of an event: its cardholder and its address's place, as intake
/// resolved them.
fn complete(event: &mut Event, message: &BorrowedMessage<'_>, told: &Told<'_>) {
    if event.cardholder.is_empty() {
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        match key.filter(|_| !told.by_card) {
            Some(key) => {
                if let Some(span) = event.push_text(key) {
                    event.cardholder = span;
                    event.cardholder_fp = Fingerprint::of(key);
                }
            }
            None => {
                event.cardholder = event.card;
                event.cardholder_fp = Fingerprint::of_card_as_holder(event.card());
            }
        }
    }
    if let Some(place) = told.place {
        event.place = place;
    }
}

fn perform_all(
    effects: &[Effect],
    perform: bool,
    at: (i32, i64),
    trace: Option<&[u8]>,
    bench: &mut Bench,
    ticket: &Arc<Ticket>,
) -> Result<(), StreamError> {
    for effect in effects {
        bench.line.clear();
        let id;
        let (topic, key) = match effect {
            Effect::Alert(alert) => {
                bench.tally.alerts.push(alert.severity.word());
                encode::alert(&mut bench.line, alert);
                (&bench.names.alerts, alert.cardholder.as_bytes())
            }
            Effect::Hold(hold) => {
                bench.tally.holds.push(hold.state.word());
                encode::hold(&mut bench.line, hold);
                id = hold.id.to_string();
                (&bench.names.holds, id.as_bytes())
            }
        };
        if perform {
            // Of a hold and an alert the last line counts: an old one must not follow a new one.
            bench.sentinel.check()?;
            let position = records::position(&bench.names.log, at.0, at.1);
            let headers = headers(trace).unwrap_or_default();
            let parcel = Parcel {
                topic,
                partition: None,
                key,
                value: trimmed(&bench.line),
                headers: Some(records::with(headers, records::SOURCE, position.as_bytes())),
            };
            bench.sender.send(parcel, ticket)?;
        }
    }
    Ok(())
}

fn headers(trace: Option<&[u8]>) -> Option<OwnedHeaders> {
    trace.map(|trace| records::with(OwnedHeaders::new_with_capacity(1), records::TRACE, trace))
}

/// A line without its newline: a record of Kafka is one line already.
fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// What tells a record from another one at the same place of another log.
pub fn fingerprint(message: &BorrowedMessage<'_>) -> u64 {
    let key = xxh3_64(message.key().unwrap_or_default());
    let value = xxh3_64_with_seed(message.payload().unwrap_or_default(), key);
    let at = message.timestamp().to_millis().unwrap_or(0).cast_unsigned();
    xxh3_64_with_seed(&at.to_le_bytes(), value).max(1)
}
