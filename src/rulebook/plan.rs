//! What a rule book costs: bytes a cardholder for each aggregate, nanoseconds for each rule.
//!
//! Estimates from the tables of costs, made to be compared with each other; measured throughput
//! is what the benchmarks are for.

use crate::engine::book::{Aggregate, Book, Op, Phase, Rule};
use crate::engine::vocabulary::BUILT_INS;
use crate::expr::{Program, Scheme, Slot, Type};
use crate::rulebook::condition::type_names;
use crate::rulebook::page::show_span;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Bytes of one counter in use.
const CELL_BYTES: usize = 16;
/// Buckets of a span.
const BUCKETS: usize = 60;
/// The most distinct values that one counter keeps.
const MAX_DISTINCT: usize = 64;

/// The plan as a table for people.
pub fn plan(book: &Book) -> String {
    let mut out = format!("rule book {}\n\n", book.version);
    features(book, &mut out);
    out.push('\n');
    rules(book, &mut out);
    out
}

fn features(book: &Book, out: &mut String) {
    let mut rows = vec![row([
        "feature",
        "kept",
        "bytes at worst",
        "when idle",
        "readers",
    ])];
    let mut worst = 0;
    for (slot, aggregate) in (BUILT_INS..).zip(&book.aggregates) {
        let bytes = bytes_at_worst(aggregate);
        worst += bytes;
        let kept = if aggregate.is_exact() {
            "exact, from history".to_owned()
        } else {
            format!("buckets of {}", show_span(aggregate.bucket_s() * 1_000))
        };
        let readers = book
            .rules
            .iter()
            .filter(|r| reads(r).any(|s| usize::from(s) == slot));
        rows.push(row([
            &aggregate.name,
            &kept,
            &bytes.to_string(),
            "0",
            &readers.count().to_string(),
        ]));
    }
    let states: u16 = book
        .rules
        .iter()
        .filter_map(|r| Some(r.sequence.as_ref()?.states()))
        .sum();
    let sequences = usize::from(states) * CELL_BYTES;
    rows.push(row([
        "sequences",
        &format!("{states} states"),
        &sequences.to_string(),
        "0",
        "",
    ]));
    let total = (worst + sequences).to_string();
    rows.push(row(["total", "", &total, "0", ""]));
    table(&rows, out);
    out.push_str("bytes are per cardholder, beside the history that every feature shares\n");
}

/// Bytes that an aggregate takes of a cardholder who fills every bucket.
pub fn bytes_at_worst(aggregate: &Aggregate) -> usize {
    if aggregate.is_exact() {
        return 0;
    }
    let cells = match aggregate.op {
        Op::Count | Op::Sum | Op::Max | Op::Min => BUCKETS,
        Op::Avg | Op::Rate => 2 * BUCKETS,
        Op::Distinct => MAX_DISTINCT,
        Op::Last => 1,
    };
    cells * CELL_BYTES
}

fn rules(book: &Book, out: &mut String) {
    let mut rows = vec![row(["rule", "phase", "on", "ns", "guards and reads"])];
    let mut decide = 0;
    let mut absorb = 0;
    for rule in &book.rules {
        let cost = cost_ns(rule);
        let phase = match rule.phase {
            Phase::Decide => {
                decide += cost;
                "decide"
            }
            Phase::Absorb => {
                absorb += cost;
                "absorb"
            }
        };
        let on = type_names(rule.on).join(" ");
        rows.push(row([
            &rule.id,
            phase,
            &on,
            &cost.to_string(),
            &reading(rule, &book.scheme),
        ]));
    }
    table(&rows, out);
    let count = book.rules.len();
    let _ = writeln!(
        out,
        "{count} rules, {} features, {} lists: {decide} ns to decide and {absorb} ns to absorb \
         where every rule is reached and every value computed; guards spare most",
        book.aggregates.len(),
        book.lists.len(),
    );
}

/// The programs of a rule.
fn programs(rule: &Rule) -> impl Iterator<Item = &Program> {
    let steps = rule
        .sequence
        .iter()
        .flat_map(|s| s.steps.iter().map(|step| &step.when));
    rule.when.iter().chain(&rule.unless).chain(steps)
}

fn cost_ns(rule: &Rule) -> u32 {
    programs(rule)
        .map(Program::cost_ns)
        .fold(0, u32::saturating_add)
}

fn reads(rule: &Rule) -> impl Iterator<Item = Slot> {
    programs(rule).flat_map(|p| p.slots().iter().copied())
}

/// The guards of a rule's condition, then what else it reads.
fn reading(rule: &Rule, scheme: &Scheme) -> String {
    let guards = rule.when.as_ref().map(Program::guards).unwrap_or_default();
    let mut parts: Vec<String> = guards
        .iter()
        .filter_map(|(slot, codes)| guard(*slot, *codes, scheme))
        .collect();
    let guarded: BTreeSet<Slot> = guards.iter().map(|(slot, _)| *slot).collect();
    let others: BTreeSet<Slot> = reads(rule).filter(|slot| !guarded.contains(slot)).collect();
    parts.extend(
        others
            .iter()
            .filter_map(|slot| Some(scheme.field(*slot)?.name.clone())),
    );
    parts.join(", ")
}

fn guard(slot: Slot, codes: u64, scheme: &Scheme) -> Option<String> {
    let field = scheme.field(slot)?;
    let words: Vec<&str> = match &field.kind {
        Type::Symbol(symbols) => symbols.words.iter().map(String::as_str).collect(),
        Type::Bool => vec!["false", "true"],
        Type::Int(_) | Type::Float(_) | Type::Duration | Type::Text | Type::Code(_) => Vec::new(),
    };
    let passing: Vec<&str> = (1_u32..)
        .zip(&words)
        .filter(|(code, _)| codes >> code & 1 == 1)
        .map(|(_, word)| *word)
        .collect();
    // What passes almost everything is better said by what it stops.
    if passing.len() > 4 && passing.len() * 2 > words.len() {
        let stopped: Vec<&str> = words
            .iter()
            .filter(|w| !passing.contains(w))
            .copied()
            .collect();
        return Some(format!("[{} not {}]", field.name, stopped.join("|")));
    }
    Some(format!("[{} {}]", field.name, passing.join("|")))
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// Columns as wide as their widest cell; numbers to the right, the last column free.
fn table(rows: &[Vec<String>], out: &mut String) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|r| r.get(column))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (index, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let number = index > 0 && !cell.is_empty() && cell.bytes().all(|b| b.is_ascii_digit());
            let _ = if number {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
        if index == 0 {
            let rule: usize = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
            out.push_str(&"-".repeat(rule.min(110)));
            out.push('\n');
        }
    }
}
