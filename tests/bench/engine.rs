//! Measures the engine on decoded events: `cargo bench --bench engine -- [--cards N] [--rounds N] [--events N]`.
//!
//! By default 100 thousand, one million and (where 16 GiB are free) ten million cardholders. Events are made in batches
//! of 4,096 outside of the clock and applied as the replay worker applies them, minute ticks included. Time is that of
//! the one thread's processor; of several rounds the best and the median are told. Output lines are `lines.rs`' matter.
#![allow(missing_docs, reason = "a benchmark is nobody's interface")]

#[path = "feed.rs"]
mod feed;
#[path = "machine.rs"]
mod machine;
#[path = "population.rs"]
mod population;

use feed::{DEAL, Feed, Tally, WARM};
use hdrhistogram::Histogram;
use machine::{Table, each, parted, percent, rate};
use population::Population;
use std::time::Duration;
use varsel::clock::{Stopwatch, thread_cpu_time};
use varsel::domain::event::Event;
use varsel::engine::candidates::Stage;
use varsel::engine::features::{Scratch, View};
use varsel::engine::record::Record;
use varsel::engine::{Engine, Outcome};
use varsel::replay::worker::{Item, Work};

/// Risk queries of the open loop, a second.
const QUERIES_A_SECOND: u64 = 10_000;
/// Events that come in meanwhile, a second: so many for each query.
const EVENTS_A_QUERY: u64 = 5;
/// The longest latency that is told apart: a minute.
const LONGEST_NS: u64 = 60_000_000_000;
/// The ten million take about 7 GiB.
const LARGE: u32 = 10_000_000;
const LARGE_NEEDS_BYTES: u64 = 16 << 30;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub cards: u32,
    /// Whole days that pass before anything is measured.
    pub days: i64,
    pub rounds: u64,
    /// Events of a round.
    pub events: u64,
    /// Risk queries.
    pub queries: u64,
}

/// What one size gave.
#[derive(Debug)]
pub struct Measured {
    pub size: Size,
    pub before: u64,
    pub rounds: Vec<Duration>,
    pub round: u64,
    pub tally: Tally,
    pub candidates: [f64; 3],
    pub gave_way: u64,
    pub rejects: u64,
    /// From the intended moment of sending to the answer.
    pub assess: Histogram<u64>,
    /// From the call to the answer.
    pub service: Histogram<u64>,
}

#[allow(dead_code, reason = "the tests include this file as a module")]
#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
    println!("{}", machine::describe());
    let sizes = match machine::option("--cards").and_then(|n| u32::try_from(n).ok()) {
        Some(cards) => vec![cards],
        None if machine::available() >= LARGE_NEEDS_BYTES => vec![100_000, 1_000_000, LARGE],
        None => vec![100_000, 1_000_000],
    };
    let measured: Vec<Measured> = sizes
        .into_iter()
        .map(|cards| {
            let size = Size {
                cards,
                days: match cards {
                    0..500_000 => 10,
                    500_000..5_000_000 => 4,
                    _ => 2,
                },
                rounds: machine::option("--rounds").unwrap_or(7),
                events: machine::option("--events").unwrap_or(1_000_000),
                queries: machine::option("--queries").unwrap_or(30_000),
            };
            let measured = run(size);
            println!("{}", table(std::slice::from_ref(&measured)));
            measured
        })
        .collect();
    if measured.len() > 1 {
        println!("{}", table(&measured));
    }
    println!("{}", latencies(&measured));
}

/// Lets the days pass, then measures.
pub fn run(size: Size) -> Measured {
    let mut engine = Engine::new(feed::starter());
    let mut feed = Feed::new(size.cards, 144);
    let (mut batch, mut outcome) = (Vec::<Item>::new(), Outcome::default());
    let (mut effects, mut before) = (Vec::new(), Tally::default());
    while feed.at_ms < Population::day_end_ms(size.days) {
        feed.fill(&mut batch, DEAL);
        feed::apply(&mut engine, &batch, &mut outcome, &mut effects, &mut before);
    }
    let mut tally = Tally::default();
    let mut rounds = Vec::new();
    let mut round = 0;
    for _ in 0..size.rounds {
        let (mut used, start) = (Duration::ZERO, tally.events);
        while tally.events - start < size.events {
            feed.fill(&mut batch, DEAL);
            let from = thread_cpu_time();
            feed::apply(&mut engine, &batch, &mut outcome, &mut effects, &mut tally);
            used += thread_cpu_time().saturating_sub(from);
        }
        round = tally.events - start;
        rounds.push(used);
    }
    rounds.sort_unstable();
    feed.fill(&mut batch, DEAL);
    let candidates = candidates(&engine, &batch);
    let (assess, service) = assess(&mut engine, &mut feed, size.queries);
    Measured {
        size,
        before: before.events,
        rounds,
        round,
        tally,
        candidates,
        gave_way: engine.counters().gave_way,
        rejects: feed.rejects,
        assess,
        service,
    }
}

/// How many decide rules, absorb rules and steps are left to be evaluated for an event, on average.
fn candidates(engine: &Engine, batch: &[Item]) -> [f64; 3] {
    let prepared = engine.prepared();
    let counted_from_ms = vec![i64::MIN; prepared.book.aggregates.len()];
    let empty = Record::default();
    let (mut scratch, mut sums, mut events) = (Scratch::default(), [0_usize; 3], 0.0);
    for event in batch.iter().filter_map(event) {
        let record = engine.slab().find(event.cardholder_fp.0).unwrap_or(&empty);
        let mut view = View::new(
            &prepared.book,
            event,
            record,
            (event.at.ms, false),
            &counted_from_ms,
            &mut scratch,
        );
        prepared.candidates.find(&mut view);
        sums[0] += prepared.candidates.count(Stage::Decide, &view);
        view.outcome = true;
        prepared.candidates.narrow(&mut view);
        sums[1] += prepared.candidates.count(Stage::Absorb, &view);
        sums[2] += prepared.candidates.count(Stage::Step, &view);
        events += 1.0;
    }
    sums.map(|sum| f64::from(u32::try_from(sum).unwrap_or(u32::MAX)) / f64::max(events, 1.0))
}

fn event(item: &Item) -> Option<&Event> {
    match &item.work {
        Work::Event(event, _) => Some(event),
        Work::Tick(_) | Work::Control(_) => None,
    }
}

/// Risk queries in an open loop on the engine's own thread, which applies batches of 64 events meanwhile; in
/// nanoseconds from the moment at which each was meant to be sent.
fn assess(engine: &mut Engine, feed: &mut Feed, queries: u64) -> (Histogram<u64>, Histogram<u64>) {
    let (mut latencies, mut service) = (histogram(), histogram());
    let (mut outcome, mut effects) = (Outcome::default(), Vec::new());
    let (mut batch, mut asked) = (Vec::new(), Vec::new());
    let events = queries * EVENTS_A_QUERY;
    feed.fill(&mut batch, usize::try_from(events).unwrap_or(0));
    feed.fill(&mut asked, usize::try_from(queries).unwrap_or(0));
    asked.retain(|item| event(item).is_some_and(Event::is_decided));
    let mut waiting = batch.chunks(WARM);
    let gap = Duration::from_nanos(1_000_000_000 / QUERIES_A_SECOND);
    let (mut due, mut came) = (Duration::ZERO, 0);
    let (mut tally, watch) = (Tally::default(), Stopwatch::start());
    for item in (0..queries).filter_map(|n| {
        let len = u64::try_from(asked.len().max(1)).unwrap_or(1);
        asked.get(usize::try_from(n % len).unwrap_or(0))
    }) {
        while watch.elapsed() < due {
            std::hint::spin_loop();
        }
        let called = watch.elapsed();
        if let Some(event) = event(item) {
            std::hint::black_box(engine.assess(event));
        }
        let answered = watch.elapsed();
        record(&mut latencies, answered.saturating_sub(due));
        record(&mut service, answered.saturating_sub(called));
        due += gap;
        came += EVENTS_A_QUERY;
        while tally.events + 64 <= came
            && let Some(chunk) = waiting.next()
        {
            feed::apply(engine, chunk, &mut outcome, &mut effects, &mut tally);
        }
    }
    (latencies, service)
}

/// Wide enough from the start: one that grows by itself would clamp what `saturating_record` gives it.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).unwrap_or_else(|error| panic!("{error}"))
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(LONGEST_NS));
}

/// Throughput of each size.
pub fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "Engine on decoded events, starter rule book, one thread",
        &[
            "cardholders",
            "events before",
            "best ns/event",
            "best per CPU-second",
            "median per CPU-second",
            "decisions",
            "events with a hit",
            "not allowed",
            "effects",
            "candidates decide/absorb/steps",
            "gave way",
            "refused",
        ],
    );
    for m in measured {
        let (best, median) = (m.rounds[0], m.rounds[m.rounds.len() / 2]);
        let [decide, absorb, steps] = m.candidates;
        table.row(&[
            &parted(u64::from(m.size.cards)),
            &parted(m.before),
            &format!("{:.0}", each(best, m.round)),
            &rate(best, m.round),
            &rate(median, m.round),
            &percent(m.tally.decisions, m.tally.events),
            &percent(m.tally.with_hit, m.tally.events),
            &percent(m.tally.not_allowed, m.tally.decisions),
            &percent(m.tally.effects, m.tally.events),
            &format!("{decide:.1} / {absorb:.1} / {steps:.1}"),
            &parted(m.gave_way),
            &parted(m.rejects),
        ]);
    }
    if let Some(m) = measured.first() {
        table.remark(format!(
            "{} rounds of {} events and their minute ticks; batches of {WARM} events warmed, then applied",
            m.rounds.len(),
            parted(m.round)
        ));
    }
    table
}

/// Latency of risk queries.
pub fn latencies(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "Risk queries (`assess`) in process, open loop of 10 k/s while 50 k events/s are applied on the same thread",
        &[
            "cardholders",
            "queries",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
            "service p50",
            "service p99",
        ],
    );
    for m in measured {
        let micros = |ns: u64| format!("{:.1} µs", Duration::from_nanos(ns).as_secs_f64() * 1e6);
        let at = |quantile| micros(m.assess.value_at_quantile(quantile));
        table.row(&[
            &parted(u64::from(m.size.cards)),
            &parted(m.assess.len()),
            &at(0.5),
            &at(0.9),
            &at(0.99),
            &at(0.999),
            &micros(m.assess.max()),
            &micros(m.service.value_at_quantile(0.5)),
            &micros(m.service.value_at_quantile(0.99)),
        ]);
    }
    table.remark("p50 to max: wall clock from the intended moment of sending, so whatever takes the processor away shows in the tail; service: from the call");
    table
}
