//! Measures decode: nanoseconds per record and megabytes per second on one core.
//!
//! `cargo bench --bench decode -- FILE…` reads JSON lines, by default the valid records of the
//! committed corpus. Rejects are counted by code, so that it serves as a quick check of a file too.
#![expect(
    clippy::print_stdout,
    reason = "a benchmark measures time and prints what it measured"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use varsel::clock::Stopwatch;
use varsel::decode::Decoder;
use varsel::domain::event::Event;

/// A round lasts at least so many records, to outlast the clock's grain.
const RECORDS_A_ROUND: usize = 100_000;
/// Many short rounds, because the best of them is least disturbed by what else the machine does.
const ROUNDS: usize = 60;

fn main() -> std::io::Result<()> {
    let files: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    let mut lines = Vec::new();
    for file in &files {
        let bytes = std::fs::read(file)?;
        lines.extend(
            bytes
                .split(|b| *b == b'\n')
                .filter(|l| !l.is_empty())
                .map(<[u8]>::to_vec),
        );
    }
    if files.is_empty() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/decode");
        for entry in std::fs::read_dir(corpus)? {
            let path = entry?.path();
            if path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("valid"))
            {
                lines.push(std::fs::read(path)?);
            }
        }
        lines.sort();
    }
    let mut decoder = Decoder::default();
    let mut event = Event::default();
    let mut rejects = BTreeMap::new();
    for line in &lines {
        if let Err(reject) = decoder.decode(line, &mut event) {
            *rejects.entry(reject.to_string()).or_insert(0_u64) += 1;
        }
    }
    println!("{} records, rejects {rejects:?}", lines.len());
    let repeats = RECORDS_A_ROUND / lines.len().max(1) + 1;
    let records = u128::try_from(repeats * lines.len()).unwrap_or(1).max(1);
    let bytes: usize = lines.iter().map(|line| line.len() * repeats).sum();
    let bytes = u128::try_from(bytes).unwrap_or(0);
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Stopwatch::start();
        for _ in 0..repeats {
            for line in &lines {
                black_box(decoder.decode(black_box(line), &mut event).is_ok());
            }
        }
        rounds.push(start.elapsed().as_nanos().max(1));
    }
    rounds.sort_unstable();
    for (name, elapsed) in [("best", rounds[0]), ("median", rounds[ROUNDS / 2])] {
        println!(
            "{name}: {} ns a record of {} bytes, {} MB/s",
            elapsed / records,
            bytes / records,
            bytes * 1_000 / elapsed
        );
    }
    Ok(())
}
