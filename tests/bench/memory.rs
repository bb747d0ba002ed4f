//! Measures memory: bytes per cardholder after weeks of the population: `cargo bench --bench memory -- [--cards N] [--days N]`.
//!
//! Told twice: on the evening of the last day, and after a quiet night in which the sweep has passed every record once
//! (6 h in quarter minutes, as a sweep takes 1,440 ticks). Open matters are told apart. The process' resident memory is
//! the cross-check: what the records say of themselves must not be far below what the system gave.
#![allow(missing_docs, reason = "a benchmark is nobody's interface")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people are rounded"
)]

#[path = "feed.rs"]
mod feed;
#[path = "machine.rs"]
mod machine;
#[path = "population.rs"]
mod population;

use feed::{DEAL, Feed, Tally};
use machine::{Table, parted};
use population::Population;
use varsel::decode::Decoder;
use varsel::domain::event::Event;
use varsel::domain::time::HOUR_MS;
use varsel::engine::record::{Record, Section};
use varsel::engine::{Engine, Outcome};
use varsel::geo::Geo;
use varsel::intake::Intake;

const SECTIONS: [Section; 7] = [
    Section::Cards,
    Section::Groups,
    Section::Countries,
    Section::Known,
    Section::Cells,
    Section::Seen,
    Section::Past,
];
const NIGHT_MS: i64 = 6 * HOUR_MS;
const NIGHT_TICKS: i64 = 1_441;

#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub cards: u32,
    pub days: i64,
}

/// The records at one moment.
#[derive(Debug)]
pub struct Rest {
    pub when: &'static str,
    pub cardholders: u64,
    /// Bytes at rest of each cardholder, ascending.
    pub bytes: Vec<usize>,
    /// Bytes of all records' sections, in order.
    pub sections: [u64; 7],
    pub index: u64,
    pub open: u64,
    pub open_bytes: u64,
    pub resident: u64,
}

#[derive(Debug)]
pub struct Measured {
    pub size: Size,
    pub events: u64,
    pub rests: Vec<Rest>,
    /// Bindings of intake: how many, bytes.
    pub bound: (u64, u64),
}

#[allow(dead_code, reason = "the tests include this file as a module")]
#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
    println!("{}", machine::describe());
    let cards = machine::option("--cards").and_then(|n| u32::try_from(n).ok());
    let days = machine::option("--days").and_then(|n| i64::try_from(n).ok());
    let measured = run(Size {
        cards: cards.unwrap_or(200_000),
        days: days.unwrap_or(35),
    });
    for table in tables(&measured) {
        println!("{table}");
    }
}

pub fn run(size: Size) -> Measured {
    let mut engine = Engine::new(feed::starter());
    let mut feed = Feed::new(size.cards, 144);
    let (mut batch, mut outcome, mut effects) = (Vec::new(), Outcome::default(), Vec::new());
    let mut tally = Tally::default();
    // One batch first, so that buffers and tables of the process itself are not counted.
    feed.fill(&mut batch, DEAL);
    let before = machine::resident();
    feed::apply(&mut engine, &batch, &mut outcome, &mut effects, &mut tally);
    while feed.at_ms < Population::day_end_ms(size.days) - HOUR_MS {
        feed.fill(&mut batch, DEAL);
        feed::apply(&mut engine, &batch, &mut outcome, &mut effects, &mut tally);
    }
    let mut rests = vec![rest("evening of the last day", &engine, before)];
    for tick in 1..=NIGHT_TICKS {
        engine.tick(feed.at_ms + NIGHT_MS * tick / NIGHT_TICKS, &mut effects);
    }
    rests.push(rest("after the night", &engine, before));
    Measured {
        size,
        events: tally.events,
        rests,
        bound: bindings(size),
    }
}

fn rest(when: &'static str, engine: &Engine, before: u64) -> Rest {
    let slab = engine.slab();
    let mut bytes: Vec<usize> = slab.iter().map(Record::bytes_at_rest).collect();
    bytes.sort_unstable();
    let mut sections = [0; 7];
    for record in slab.iter() {
        for (sum, section) in sections.iter_mut().zip(SECTIONS) {
            *sum += (record.section(section).len() * 4) as u64;
        }
    }
    let open: Vec<u64> = slab
        .iter()
        .filter_map(|record| Some(record.cold.as_deref()?.bytes() as u64))
        .collect();
    Rest {
        when,
        cardholders: slab.len() as u64,
        bytes,
        sections,
        index: slab.index_bytes() as u64,
        open: open.len() as u64,
        open_bytes: open.iter().sum(),
        resident: machine::resident().saturating_sub(before),
    }
}

/// What intake keeps when the same cards are issued.
fn bindings(size: Size) -> (u64, u64) {
    let mut intake = Intake::new(Geo::none());
    let mut population = Population::new(size.cards, 144, false);
    let (mut line, mut event, mut decoder) = (Vec::new(), Event::default(), Decoder::default());
    while population.line(&mut line) < Population::day_end_ms(0) {
        if decoder.decode(&line[..line.len() - 1], &mut event).is_ok() {
            intake.complete(&mut event);
        }
        line.clear();
    }
    (intake.bound() as u64, intake.bytes() as u64)
}

pub fn tables(measured: &Measured) -> [Table; 2] {
    let mut whole = Table::new(
        "Bytes per cardholder at rest, starter rule book",
        &[
            "moment",
            "mean",
            "p50",
            "p90",
            "p99",
            "max",
            "index",
            "intake binding",
            "mean in all",
            "with open matters",
            "bytes of each",
            "resident memory / cardholder",
        ],
    );
    let mut parts = Table::new(
        "Of the mean, by section",
        &[
            "moment",
            "head",
            "cards",
            "MCC groups",
            "countries",
            "known",
            "cells",
            "seen",
            "past",
            "slack",
        ],
    );
    let binding = measured.bound.1 as f64 / measured.bound.0.max(1) as f64;
    for rest in &measured.rests {
        whole_row(&mut whole, rest, binding);
        parts_row(&mut parts, rest);
    }
    whole.remark(format!(
        "{} cardholders, {} events in {} days; `mean in all` is record, index and binding, without open matters",
        parted(u64::from(measured.size.cards)),
        parted(measured.events),
        measured.size.days
    ));
    whole.remark("resident memory: growth of the process since before the first event, open matters, freed but kept memory and the engine's queue included, bindings not");
    [whole, parts]
}

fn mean(rest: &Rest) -> f64 {
    rest.bytes.iter().sum::<usize>() as f64 / rest.cardholders.max(1) as f64
}

fn whole_row(table: &mut Table, rest: &Rest, binding: f64) {
    let count = rest.cardholders.max(1) as f64;
    let index = rest.index as f64 / count;
    let at = |share: f64| {
        let place = (rest.bytes.len() as f64 * share) as usize;
        let place = place.min(rest.bytes.len().saturating_sub(1));
        rest.bytes.get(place).copied().unwrap_or(0)
    };
    table.row(&[
        &rest.when,
        &format!("{:.0}", mean(rest)),
        &at(0.5),
        &at(0.9),
        &at(0.99),
        &at(1.0),
        &format!("{index:.1}"),
        &format!("{binding:.1}"),
        &format!("{:.0}", mean(rest) + index + binding),
        &format!("{:.2} %", rest.open as f64 * 100.0 / count),
        &(rest.open_bytes / rest.open.max(1)),
        &format!("{:.0}", rest.resident as f64 / count),
    ]);
}

fn parts_row(table: &mut Table, rest: &Rest) {
    let head = size_of::<Record>() as f64;
    let each = rest
        .sections
        .map(|sum| sum as f64 / rest.cardholders.max(1) as f64);
    let slack = mean(rest) - head - each.iter().sum::<f64>();
    let cells: Vec<String> = [head]
        .into_iter()
        .chain(each)
        .chain([slack])
        .map(|value| format!("{value:.1}"))
        .collect();
    let mut row: Vec<&dyn std::fmt::Display> = vec![&rest.when];
    row.extend(cells.iter().map(|cell| cell as &dyn std::fmt::Display));
    table.row(&row);
}
