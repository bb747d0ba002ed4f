//! The engine: events in, decisions and effects out, one cardholder's record at a time.
//!
//! [`Engine::apply`] is two phases, decide then absorb; [`Engine::assess`] is the first alone.
//! Nothing here reads a clock, a file or a network, logs, or fails: bad input was refused at
//! decode, and a rule that cannot be evaluated is named in the decision. Event time moves by a
//! cardholder's own events and by [`Engine::tick`]. One engine is one shard; a decision depends on
//! its cardholder's events and the ticks only, so how cardholders are spread over shards does not
//! show.

pub mod absorb;
pub mod aggregates;
pub mod book;
pub mod candidates;
pub mod cards;
pub mod cells;
pub mod challenge;
pub mod checkpoint;
pub mod class;
pub mod cold;
pub mod decide;
pub mod episodes;
pub mod features;
pub mod habit;
pub mod holds;
pub mod known;
pub mod past;
pub mod prepared;
pub mod raise;
pub mod record;
pub mod seen;
pub mod sequences;
pub mod slab;
pub mod unknown;
pub mod vocabulary;

use crate::domain::event::{Authorization, Body, Event};
use crate::domain::outcome::{Decision, Effect};
use crate::domain::time::DAY_MS;
use crate::engine::candidates::Stage;
use crate::engine::decide::Findings;
use crate::engine::features::{Scratch, View};
use crate::engine::prepared::Prepared;
use crate::engine::raise::Cause;
use crate::engine::record::{Record, Spare, seconds};
use crate::engine::slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

/// A cardholder idle for this long is forgotten (DESIGN.md): 400 days of event time.
pub const FORGET_MS: i64 = 400 * DAY_MS;
/// In how many ticks the sweep visits every cardholder once: a day of minutes.
const SWEEP_TICKS: usize = 1_440;
/// Records of a sweep that are looked up together.
const SWEEP_AT_ONCE: usize = 64;

/// What an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Applied {
    /// It was applied.
    #[default]
    Once,
    /// The same id came within 72 h: counted, not applied.
    Duplicate,
}

/// What came of one event, reused from event to event.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Whether it was applied.
    pub applied: Applied,
    /// True where it arrived behind its cardholder's clock.
    pub late: bool,
    /// The decision, for the types that get one.
    pub decision: Option<Decision>,
    /// What must be performed, in order.
    pub effects: Vec<Effect>,
    /// Numbers of all rules that hit, shadow rules included, ascending.
    pub hits: Vec<usize>,
    /// Holds of which it says that all was good.
    pub found_good: u32,
}

/// Counts of what the engine met; each bound that gave way is visible here (promise `bounded`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events applied.
    pub applied: u64,
    /// Duplicates, counted and not applied.
    pub duplicates: u64,
    /// Events behind their cardholder's clock.
    pub late: u64,
    /// Entries of history, counters or lists that gave way to a bound.
    pub gave_way: u64,
    /// Cardholders forgotten.
    pub forgotten: u64,
}

impl Counters {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            applied: self.applied + other.applied,
            duplicates: self.duplicates + other.duplicates,
            late: self.late + other.late,
            gave_way: self.gave_way + other.gave_way,
            forgotten: self.forgotten + other.forgotten,
        }
    }
}

/// One shard: a rule book, and the records of its cardholders.
#[derive(Debug)]
pub struct Engine {
    prepared: Arc<Prepared>,
    slab: Slab,
    tick_ms: i64,
    queue: Queue,
    sweep_next: usize,
    /// From when each aggregate has counted; the beginning of time unless it was added to records
    /// that a checkpoint restored ("warming").
    counted_from_ms: Vec<i64>,
    counters: Counters,
    suspended: bool,
    scratch: Scratch,
    decided: Findings,
    absorbed: Findings,
    moved: Vec<(usize, u32)>,
    /// A decision of an event before, for its lists.
    kept: Option<Decision>,
    spare: Spare,
    empty: Record,
}

impl Engine {
    /// An engine without cardholders.
    pub fn new(prepared: Arc<Prepared>) -> Self {
        let aggregates = prepared.book.aggregates.len();
        Self {
            prepared,
            slab: Slab::default(),
            tick_ms: 0,
            queue: BinaryHeap::new(),
            sweep_next: 0,
            counted_from_ms: vec![i64::MIN; aggregates],
            counters: Counters::default(),
            suspended: false,
            scratch: Scratch::lasting(),
            decided: Findings::default(),
            absorbed: Findings::default(),
            moved: Vec::new(),
            kept: None,
            spare: Spare::default(),
            empty: Record::default(),
        }
    }

    /// The rule book in force.
    pub fn prepared(&self) -> &Arc<Prepared> {
        &self.prepared
    }

    /// The newest tick, in milliseconds of event time; 0 before the first.
    pub fn newest_tick_ms(&self) -> i64 {
        self.tick_ms
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Goes on counting from here; for the sums of what restored shards had counted.
    pub fn set_counters(&mut self, counters: Counters) {
        self.counters = counters;
    }

    /// Suspends all enforcement, or resumes it: while it is suspended rules, alerts and holds go on, and every
    /// decision allows and says so.
    pub fn suspend(&mut self, suspended: bool) {
        self.suspended = suspended;
    }

    /// Whether enforcement is suspended.
    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// How many cardholders are remembered at the newest tick, however far the sweep has come.
    pub fn remembered(&self) -> usize {
        let idle_ms = |record: &&Record| self.tick_ms - record.clock_ms;
        self.slab
            .iter()
            .filter(|record| idle_ms(record) <= FORGET_MS)
            .count()
    }

    /// The records, for measurements and checkpoints.
    pub fn slab(&self) -> &Slab {
        &self.slab
    }

    /// Loads what a batch of cardholders will need, so that the waits for memory overlap. The
    /// returned sum has no meaning; pass it to `std::hint::black_box`.
    pub fn warm<'a>(&self, batch: impl Iterator<Item = &'a Event> + Clone) -> u64 {
        let events = batch.clone().fold(0, |sum, event| sum ^ event.touch());
        events ^ self.slab.warm(batch.map(|event| event.cardholder_fp.0))
    }

    /// What the monitor would decide on an event; changes nothing. A challenge's authorization is
    /// judged without its outcome.
    pub fn assess(&self, event: &Event) -> Decision {
        let mut decision = self.look(event, false, |view| {
            let mut findings = Findings::default();
            self.prepared.candidates.find(view);
            decide::evaluate(&self.prepared, view, Stage::Decide, &mut findings);
            decide::decision(&self.prepared, view, &findings)
        });
        if self.suspended {
            decide::suspend(&mut decision);
        }
        decision
    }

    /// Shows an event in hand to `see`, as applying it now would see it in the decide phase, or in
    /// the absorb phase where `outcome` is set; changes nothing. For explanations and tests.
    pub fn look<T>(&self, event: &Event, outcome: bool, see: impl FnOnce(&mut View<'_>) -> T) -> T {
        let known = self.slab.find(event.cardholder_fp.0);
        let (clock_ms, late) = clock(known.unwrap_or(&self.empty), event, self.tick_ms);
        // Where bringing the record up to now would change it, that is done to a copy.
        let brought_up;
        let record = match known {
            Some(record) if is_current(record, clock_ms) => record,
            Some(record) => {
                let mut copy = record.clone();
                bring_up(&mut copy, &self.prepared, event, clock_ms, &mut Vec::new());
                brought_up = copy;
                &brought_up
            }
            None => {
                brought_up = Record::new(event.cardholder_fp.0, event.at.ms);
                &brought_up
            }
        };
        let mut scratch = Scratch::default();
        let mut view = View::new(
            &self.prepared.book,
            event,
            record,
            (clock_ms, late),
            &self.counted_from_ms,
            &mut scratch,
        );
        view.outcome = outcome;
        see(&mut view)
    }

    /// Applies an event: decides, then absorbs. Cannot fail; what came of it is in `out`.
    pub fn apply(&mut self, event: &Event, out: &mut Outcome) {
        out.applied = Applied::Once;
        out.late = false;
        out.effects.clear();
        out.hits.clear();
        out.found_good = 0;
        let slot = self.slab.slot(event.cardholder_fp.0, event.at.ms);
        let Some(record) = self.slab.get_mut(slot) else {
            out.decision = None;
            return;
        };
        let (clock_ms, late) = clock(record, event, self.tick_ms);
        if seen::contains(record, event.id_fp.0, clock_ms) {
            out.decision = None;
            self.counters.duplicates += 1;
            out.applied = Applied::Duplicate;
            return;
        }
        self.counters.applied += 1;
        self.counters.late += u64::from(late);
        out.late = late;
        if !is_current(record, clock_ms) {
            let due = bring_up(record, &self.prepared, event, clock_ms, &mut out.effects);
            out.hits.extend(due);
        }
        self.judge(slot, event, (clock_ms, late), out);
    }

    fn judge(
        &mut self,
        slot: u32,
        event: &Event,
        (clock_ms, late): (i64, bool),
        out: &mut Outcome,
    ) {
        let prepared = &*self.prepared;
        self.decided.clear();
        self.absorbed.clear();
        self.moved.clear();
        let Some(record) = self.slab.get_mut(slot) else {
            return;
        };
        let mut view = View::new(
            &prepared.book,
            event,
            record,
            (clock_ms, late),
            &self.counted_from_ms,
            &mut self.scratch,
        );
        let mut decided = false;
        let judged = !matches!(&event.body, Body::Authorization(payment) if Authorization::is_undoing(payment));
        if judged {
            prepared.candidates.find(&mut view);
            decide::evaluate(prepared, &mut view, Stage::Decide, &mut self.decided);
            decided = event.is_decided();
            if decided {
                if out.decision.is_none() {
                    out.decision = self.kept.take();
                }
                decide::decide(prepared, &view, &self.decided, &mut out.decision);
                if let Some(decision) = out.decision.as_mut().filter(|_| self.suspended) {
                    decide::suspend(decision);
                }
            }
            view.outcome = true;
            prepared.candidates.narrow(&mut view);
            decide::evaluate(prepared, &mut view, Stage::Absorb, &mut self.absorbed);
            if prepared.candidates.has(Stage::Step, &view) {
                passed_steps(prepared, &mut view, &mut self.moved);
            }
        }
        if !decided && out.decision.is_some() {
            self.kept = out.decision.take();
        }
        let facts = absorb::facts(&view);
        if usize::from(record.counts().cells) > cells::MAX_CELLS / 2 {
            // What is over must not decide what gives way to the bound.
            drop_dead_cells(record, prepared, clock_ms);
        }
        let mut gave_way = move_sequences(record, prepared, &self.moved, event, clock_ms);
        gave_way += absorb::absorb(record, prepared, event, &facts, clock_ms, &mut self.spare);
        record.clock_ms = clock_ms;
        let before = out.effects.len();
        if record.cold.is_some() && matches!(event.body, Body::Disposition(_) | Body::Hold(_)) {
            out.found_good = raise::hear(record, prepared, event, clock_ms, &mut out.effects);
        }
        if !(self.decided.hits.is_empty() && self.absorbed.hits.is_empty()) {
            let hits = raise::both(&self.decided, &self.absorbed);
            let blind = self.decided.blind | self.absorbed.blind;
            let cause = Cause::of(event, clock_ms);
            gave_way += raise::raise(record, prepared, &hits, blind, cause, &mut out.effects);
            out.hits.extend(hits);
        }
        if out.effects.len() > before || !self.moved.is_empty() {
            record.refresh_due();
            enqueue(&mut self.queue, record, slot);
        }
        self.counters.gave_way += u64::from(gave_way);
    }

    /// Moves event time for all cardholders: what is due by `at_ms` becomes true. The effects come
    /// in order of deadline, cardholder, id. Also sweeps a share of the idle records.
    pub fn tick(&mut self, at_ms: i64, effects: &mut Vec<Effect>) {
        effects.clear();
        self.tick_ms = self.tick_ms.max(at_ms);
        while let Some(Reverse((deadline, slot))) = self.queue.peek().copied() {
            if deadline > at_ms {
                break;
            }
            self.queue.pop();
            if let Some(record) = self.slab.get_mut(slot) {
                let Some(cold) = record.cold.as_deref_mut() else {
                    continue;
                };
                if cold.queued_ms != deadline {
                    continue;
                }
                cold.queued_ms = 0;
                raise::due(record, &self.prepared, at_ms, effects);
                record.refresh_due();
                enqueue(&mut self.queue, record, slot);
            }
        }
        effects.sort_by(|a, b| order(a).cmp(&order(b)));
        self.sweep(at_ms);
    }

    /// Tidies the next share of records: forgets the long idle, gives back memory.
    fn sweep(&mut self, at_ms: i64) {
        let slots = self.slab.slots();
        let mut left = slots / SWEEP_TICKS + 1;
        while left > 0 && slots > 0 {
            if self.sweep_next >= slots {
                self.sweep_next = 0;
            }
            let from = self.sweep_next;
            let upto = (from + left.min(SWEEP_AT_ONCE)).min(slots);
            self.sweep_next = upto;
            left -= upto - from;
            // Loads that overlap, as in `warm`.
            std::hint::black_box(self.touch_untidy(from..upto, at_ms));
            for slot in from..upto {
                self.sweep_one(slot, at_ms);
            }
        }
    }

    fn touch_untidy(&self, slots: Range<usize>, at_ms: i64) -> u64 {
        let records = slots.filter_map(|slot| self.slab.get(u32::try_from(slot).ok()?));
        records
            .filter(|record| record.key != 0 && wants_tidying(record, at_ms))
            .fold(0, |sum, record| sum ^ record.touch())
    }

    fn sweep_one(&mut self, slot: usize, at_ms: i64) {
        let Ok(slot) = u32::try_from(slot) else {
            return;
        };
        let Some(record) = self.slab.get_mut(slot).filter(|record| record.key != 0) else {
            return;
        };
        if at_ms - record.clock_ms > FORGET_MS && record.cold.is_none() {
            self.slab.free(slot);
            self.counters.forgotten += 1;
        } else if wants_tidying(record, at_ms) {
            tidy(record, &self.prepared, at_ms, &mut self.spare);
        }
    }
}

/// The cardholder's clock at an event, and whether the event is behind it: never behind the event,
/// the record's newest event or the newest tick.
fn clock(record: &Record, event: &Event, tick_ms: i64) -> (i64, bool) {
    let known = record.clock_ms.max(tick_ms);
    (known.max(event.at.ms), event.at.ms < known)
}

/// Deadlines, the earliest first, with the slots they belong to.
type Queue = BinaryHeap<Reverse<(i64, u32)>>;

/// Puts a cardholder into the queue of deadlines, where something new is due earlier.
fn enqueue(queue: &mut Queue, record: &mut Record, slot: u32) {
    let deadline = record.due_ms();
    let Some(cold) = record.cold.as_deref_mut().filter(|_| deadline != 0) else {
        return;
    };
    if cold.queued_ms == 0 || deadline < cold.queued_ms {
        cold.queued_ms = deadline;
        queue.push(Reverse((deadline, slot)));
    }
}

/// Whether nothing about a record changes of itself by `clock_ms`.
fn is_current(record: &Record, clock_ms: i64) -> bool {
    let due_ms = record.due_ms();
    let due = due_ms != 0 && due_ms <= clock_ms;
    !due && clock_ms - record.clock_ms <= FORGET_MS
}

/// Brings a record to the moment of an event: what was due becomes true, in the order of a tick's
/// effects, and a cardholder idle for too long starts anew. Returns the rules that hit by absence.
fn bring_up(
    record: &mut Record,
    prepared: &Prepared,
    event: &Event,
    clock_ms: i64,
    effects: &mut Vec<Effect>,
) -> Vec<usize> {
    let mut hits = Vec::new();
    let due_ms = record.due_ms();
    if due_ms != 0 && due_ms <= clock_ms {
        hits = raise::due(record, prepared, clock_ms, effects);
        effects.sort_by(|a, b| order(a).cmp(&order(b)));
        record.refresh_due();
    }
    if clock_ms - record.clock_ms > FORGET_MS {
        // As if a sweep had come by before.
        *record = Record::new(event.cardholder_fp.0, event.at.ms);
    }
    hits
}

/// The order in which a tick's effects come.
pub fn order(effect: &Effect) -> (i64, &str, u128) {
    match effect {
        Effect::Alert(alert) => (alert.at_ms, &alert.cardholder, alert.id.0),
        Effect::Hold(hold) => (hold.at_ms, &hold.cardholder, hold.id.0),
    }
}

/// Whether a record may hold what is over; asked of every record once a day, so it looks at the
/// head only. Who was here in the last hours is left for tomorrow.
fn wants_tidying(record: &Record, at_ms: i64) -> bool {
    let idle_ms = at_ms - record.clock_ms;
    let counts = record.counts();
    let open = record.cold.is_some() || record.has_slack();
    let fleeting = counts.past > 0 || (counts.seen > 0 && idle_ms >= 3 * DAY_MS);
    let weekly = counts.cells > 0 && idle_ms >= DAY_MS && (idle_ms / DAY_MS) % 7 == 1;
    idle_ms >= RECENT_MS && (open || fleeting || weekly)
}

/// Records whose cardholder was here within this time are not tidied: they will change again soon.
const RECENT_MS: i64 = 6 * 3_600_000;

fn drop_dead_cells(record: &mut Record, prepared: &Prepared, at_ms: i64) {
    let (book, at_s) = (&prepared.book, seconds(at_ms));
    cells::prune(record, |cell| {
        if cell.id < cells::SEQUENCES {
            aggregates::is_over(cell, &book.aggregates, at_s)
        } else {
            sequences::is_over(cell, &book.rules, at_ms)
        }
    });
}

fn tidy(record: &mut Record, prepared: &Prepared, at_ms: i64, spare: &mut Spare) {
    let clock_s = seconds(at_ms);
    seen::prune(record, at_ms);
    past::prune(record, clock_s);
    if record.counts().cells > 0 {
        drop_dead_cells(record, prepared, at_ms);
    }
    if let Some(cold) = record.cold.as_deref_mut() {
        cold.prune(at_ms);
        if cold.is_empty() {
            record.cold = None;
        }
    }
    record.shrink(spare);
}

/// Which steps of which sequences the event passes: (rule, bits of its steps).
#[inline(never)]
fn passed_steps(prepared: &Prepared, view: &mut View<'_>, moved: &mut Vec<(usize, u32)>) {
    let mut walk = prepared.candidates.walk(Stage::Step, view);
    while let Some((entry, settled)) = walk.next(&view.scratch.left) {
        let (rule, step) = (entry.rule, entry.step);
        let condition = prepared
            .book
            .rules
            .get(rule)
            .and_then(|r| r.sequence.as_ref()?.steps.get(step));
        let rest = entry.when.as_ref().filter(|_| settled);
        if condition.is_some_and(|step| decide::half(&step.when, rest, view) == Some(true)) {
            match moved.last_mut() {
                Some((last, bits)) if *last == rule => *bits |= 1 << step,
                Some(_) | None => moved.push((rule, 1 << step)),
            }
        }
    }
}

fn move_sequences(
    record: &mut Record,
    prepared: &Prepared,
    moved: &[(usize, u32)],
    event: &Event,
    clock_ms: i64,
) -> u32 {
    let mut gave_way = 0;
    for (number, passes) in moved {
        let Some(rule) = prepared.book.rules.get(*number) else {
            continue;
        };
        let Some(sequence) = &rule.sequence else {
            continue;
        };
        let moved = sequences::advance(record, sequence, *passes, event.at.ms, clock_ms);
        gave_way += moved.gave_way;
        if rule.waits() {
            let cause = Cause::of(event, event.at.ms);
            gave_way += u32::from(raise::wait(
                record,
                rule,
                moved.completed,
                moved.broke_wait,
                cause,
            ));
        }
    }
    gave_way
}
