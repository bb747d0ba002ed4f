//! Measures `replay::run` end to end, files to files: `cargo bench --bench replay -- [--cards N] [--events N]`.
//!
//! A population's lines are written to a temporary folder first, then replayed with one and with two shards. Wall time
//! and processor time of all threads are told, the best of some runs each; the digests must agree.
#![allow(missing_docs, reason = "a benchmark is nobody's interface")]

#[path = "feed.rs"]
mod feed;
#[path = "machine.rs"]
mod machine;
#[path = "population.rs"]
mod population;

use machine::{Table, parted, rate};
use population::Population;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use varsel::clock::{Stopwatch, cpu_time};
use varsel::replay::report::Report;
use varsel::replay::{self, Options};

#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub cards: u32,
    pub events: u64,
    pub rounds: u64,
}

#[derive(Debug)]
pub struct Measured {
    pub size: Size,
    pub bytes: u64,
    /// For each count of shards: the least wall time, and the least processor time.
    pub shards: Vec<(usize, Duration, Duration, Report)>,
}

#[allow(dead_code, reason = "the tests include this file as a module")]
#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
    println!("{}", machine::describe());
    let cards = machine::option("--cards").and_then(|n| u32::try_from(n).ok());
    let measured = run(Size {
        cards: cards.unwrap_or(100_000),
        events: machine::option("--events").unwrap_or(2_000_000),
        rounds: machine::option("--rounds").unwrap_or(3),
    });
    println!("{}", table(&measured));
}

pub fn run(size: Size) -> Measured {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let input = folder.path().join("population.jsonl");
    let bytes = write(size, &input).unwrap_or_else(|error| panic!("{error}"));
    let (prepared, geo) = (feed::starter(), feed::geo());
    let mut shards = Vec::new();
    for count in [1, 2] {
        let options = Options {
            inputs: vec![input.clone()],
            topics: None,
            out: folder.path().join(format!("out-{count}")),
            shards: count,
            batch: feed::WARM,
            stop_after: None,
            checkpoint: None,
            resume: None,
        };
        let mut best: Option<(usize, Duration, Duration, Report)> = None;
        for _ in 0..size.rounds.max(1) {
            let (watch, from) = (Stopwatch::start(), cpu_time());
            let report = replay::run(&options, &prepared, &geo, &mut |_, _| {})
                .unwrap_or_else(|error| panic!("{error}"));
            let (wall, cpu) = (watch.elapsed(), cpu_time().saturating_sub(from));
            best = Some(match best {
                None => (count, wall, cpu, report),
                Some((_, w, c, _)) => (count, wall.min(w), cpu.min(c), report),
            });
        }
        shards.extend(best);
    }
    Measured {
        size,
        bytes,
        shards,
    }
}

fn write(size: Size, path: &Path) -> std::io::Result<u64> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut population = Population::new(size.cards, 144, false);
    let (mut line, mut bytes) = (Vec::new(), 0);
    for _ in 0..size.events {
        line.clear();
        population.line(&mut line);
        file.write_all(&line)?;
        bytes += u64::try_from(line.len()).unwrap_or(0);
    }
    file.flush()?;
    Ok(bytes)
}

pub fn table(measured: &Measured) -> Table {
    let mut table = Table::new(
        "`replay::run`, files to files, starter rule book",
        &[
            "shards",
            "events",
            "wall",
            "events/s wall",
            "CPU",
            "events per CPU-second",
            "applied",
            "refused",
            "digest",
        ],
    );
    for (shards, wall, cpu, report) in &measured.shards {
        table.row(&[
            shards,
            &parted(report.events_read),
            &format!("{:.2} s", wall.as_secs_f64()),
            &rate(*wall, report.events_read),
            &format!("{:.2} s", cpu.as_secs_f64()),
            &rate(*cpu, report.events_read),
            &parted(report.events_applied),
            &parted(report.rejects),
            &report.digest.get(..12).unwrap_or_default(),
        ]);
    }
    table.remark(format!(
        "{} cardholders, {} MiB of lines, their first events (issue, enrolment, phone) included; best of {} runs; the report's digest is part of the time",
        parted(u64::from(measured.size.cards)),
        measured.bytes >> 20,
        measured.size.rounds
    ));
    table
}
