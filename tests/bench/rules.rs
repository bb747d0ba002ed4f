//! Measures what rules cost: 24, the whole starter book, and 100 of them: `cargo bench --bench rules -- [--cards N]`.
//!
//! The 24 are live rules of the starter book taken at even distances in order of id, with the features that they ask
//! for and no others. The 100 are the starter book, all live, and variants of it with other thresholds and merchant
//! groups. The three are measured in turn, round by round, so that a busy machine burdens them alike.
#![allow(missing_docs, reason = "a benchmark is nobody's interface")]

#[path = "feed.rs"]
mod feed;
#[path = "machine.rs"]
mod machine;
#[path = "population.rs"]
mod population;

use feed::{DEAL, Feed, Tally};
use machine::{Table, each, parted, percent, rate};
use population::Population;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use varsel::clock::thread_cpu_time;
use varsel::engine::prepared::Prepared;
use varsel::engine::{Engine, Outcome};
use varsel::rulebook;

const FEW: usize = 24;
const MANY: usize = 100;
/// Files of a book that hold no rules.
const GROUND: [&str; 4] = ["features.yaml", "groups.yaml", "policy.yaml", "rates.yaml"];
/// The groups of the starter book's transfer rules, and what variants ask for in their place.
const TRANSFERS: &str = r#"["transfer", "quasi_cash", "financial"]"#;
const OTHERS: [&str; 3] = [
    r#"["gambling", "stored_value", "high_risk_remote"]"#,
    r#"["electronics", "travel", "digital"]"#,
    r#"["transfer", "gambling", "electronics"]"#,
];

#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub cards: u32,
    pub days: i64,
    pub rounds: u64,
    pub events: u64,
}

#[derive(Debug)]
pub struct Measured {
    pub rules: usize,
    pub aggregates: usize,
    pub best: Duration,
    pub round: u64,
    pub tally: Tally,
}

#[allow(dead_code, reason = "the tests include this file as a module")]
#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
    println!("{}", machine::describe());
    let cards = machine::option("--cards").and_then(|n| u32::try_from(n).ok());
    let measured = run(Size {
        cards: cards.unwrap_or(100_000),
        days: 3,
        rounds: machine::option("--rounds").unwrap_or(9),
        events: machine::option("--events").unwrap_or(200_000),
    });
    println!("{}", table(&measured));
}

pub fn run(size: Size) -> Vec<Measured> {
    let families = families();
    let books = [few(&families), whole(&families, 0), whole(&families, MANY)];
    let mut runs: Vec<(Engine, Feed, Measured)> = books
        .into_iter()
        .map(|prepared| {
            let measured = Measured {
                rules: prepared.book.rules.len(),
                aggregates: prepared.book.aggregates.len(),
                best: Duration::MAX,
                round: 0,
                tally: Tally::default(),
            };
            (Engine::new(prepared), Feed::new(size.cards, 144), measured)
        })
        .collect();
    let (mut batch, mut outcome, mut effects) = (Vec::new(), Outcome::default(), Vec::new());
    for (engine, feed, _) in &mut runs {
        let mut before = Tally::default();
        while feed.at_ms < Population::day_end_ms(size.days) {
            feed.fill(&mut batch, DEAL);
            feed::apply(engine, &batch, &mut outcome, &mut effects, &mut before);
        }
    }
    for _ in 0..size.rounds {
        for (engine, feed, m) in &mut runs {
            let (mut used, start) = (Duration::ZERO, m.tally.events);
            while m.tally.events - start < size.events {
                feed.fill(&mut batch, DEAL);
                let from = thread_cpu_time();
                feed::apply(engine, &batch, &mut outcome, &mut effects, &mut m.tally);
                used += thread_cpu_time().saturating_sub(from);
            }
            m.round = m.tally.events - start;
            m.best = m.best.min(used);
        }
    }
    runs.into_iter().map(|(.., measured)| measured).collect()
}

/// A file of rules: its opening, and each rule's text.
struct Family {
    name: String,
    opening: String,
    rules: Vec<String>,
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/rules"))
}

/// The starter book's families, cut at the rules; shadow rules made live.
fn families() -> Vec<Family> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap_or_else(|error| panic!("{error}"))
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".yaml") && !GROUND.contains(&name.as_str()))
        .collect();
    names.sort_unstable();
    let cut = |name: String| {
        let text = read(&name).replace("    mode: shadow\n", "");
        let mut parts = text.split("\n  - id: ").map(str::to_owned);
        Family {
            opening: parts.next().unwrap_or_default(),
            rules: parts.collect(),
            name,
        }
    };
    names.into_iter().map(cut).collect()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn id(rule: &str) -> &str {
    rule.lines().next().unwrap_or_default()
}

/// Every so-many-th rule in order of id, and only the features that these ask for.
fn few(families: &[Family]) -> Arc<Prepared> {
    let mut ids: Vec<&str> = families
        .iter()
        .flat_map(|family| family.rules.iter().map(|rule| id(rule)))
        .collect();
    ids.sort_unstable();
    let kept: Vec<&str> = (0..FEW)
        .filter_map(|place| ids.get(place * ids.len() / FEW).copied())
        .collect();
    let books: Vec<(String, String)> = families
        .iter()
        .map(|family| {
            let rules = family.rules.iter().filter(|rule| kept.contains(&id(rule)));
            (family.name.clone(), joined(&family.opening, rules.cloned()))
        })
        .filter(|(_, text)| text.contains("  - id: "))
        .collect();
    let asked: String = books.iter().map(|(_, text)| text.as_str()).collect();
    let features = read("features.yaml");
    let mut parts = features.split("\n  - name: ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts.filter(|part| asked.contains(id(part))) {
        let _ = write!(text, "\n  - name: {part}");
    }
    prepare(&books, &text)
}

/// The whole book, and variants of its rules until there are `count`.
fn whole(families: &[Family], count: usize) -> Arc<Prepared> {
    let mut missing = count.saturating_sub(families.iter().map(|f| f.rules.len()).sum());
    let books: Vec<(String, String)> = families
        .iter()
        .map(|family| {
            let mut rules = family.rules.clone();
            // Each family grows in proportion, so that the mix of rules stays what it was.
            let more = (family.rules.len() * 4 / 5 + 1).min(missing);
            missing -= more.min(family.rules.len());
            rules.extend(family.rules.iter().take(more).enumerate().map(variant));
            (
                family.name.clone(),
                joined(&family.opening, rules.into_iter()),
            )
        })
        .collect();
    prepare(&books, &read("features.yaml"))
}

/// A rule under another id, with other merchant groups, and thresholds a seventh higher.
fn variant((place, rule): (usize, &String)) -> String {
    let conditions_end = rule.find("    examples:").unwrap_or(rule.len());
    let (judges, examples) = rule.split_at(conditions_end);
    let judges = judges.replacen(id(rule), &format!("{}-otherwise", id(rule)), 1);
    let judges = judges.replace(TRANSFERS, OTHERS[place % OTHERS.len()]);
    let mut text = String::new();
    let mut digits = String::new();
    for letter in judges.chars().chain([' ']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        match digits.parse::<u64>() {
            Ok(amount) if amount >= 10_000 => {
                let _ = write!(text, "{}", amount + amount / 7);
            }
            Ok(_) | Err(_) => text.push_str(&digits),
        }
        digits.clear();
        text.push(letter);
    }
    text.pop();
    text + examples
}

fn joined(opening: &str, rules: impl Iterator<Item = String>) -> String {
    let mut text = opening.to_owned();
    for rule in rules {
        let _ = write!(text, "\n  - id: {}", rule.trim_end());
    }
    text.push('\n');
    text
}

/// Writes a book to a temporary folder and loads it as any book is loaded.
fn prepare(books: &[(String, String)], features: &str) -> Arc<Prepared> {
    let folder_made = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let put = |name: &str, text: &str| {
        let path = folder_made.path().join(name);
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    };
    for (name, text) in books {
        put(name, text);
    }
    put("features.yaml", features);
    for name in GROUND.into_iter().skip(1) {
        put(name, &read(name));
    }
    std::fs::create_dir(folder_made.path().join("lists")).unwrap_or_else(|error| panic!("{error}"));
    for entry in std::fs::read_dir(folder().join("lists"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = format!("lists/{}", entry.file_name().to_string_lossy());
        put(&name, &read(&name));
    }
    let loaded = rulebook::load(folder_made.path()).unwrap_or_else(|problems| panic!("{problems}"));
    Arc::new(Prepared::new(loaded.book))
}

/// How many times the first book's time the last one takes.
pub fn ratio(measured: &[Measured]) -> f64 {
    let ns = |m: &Measured| each(m.best, m.round);
    match (measured.first(), measured.last()) {
        (Some(first), Some(last)) => ns(last) / ns(first).max(1e-9),
        _ => 0.0,
    }
}

pub fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "Engine by number of rules, one thread",
        &[
            "rules",
            "aggregates",
            "best ns/event",
            "best per CPU-second",
            "events with a hit",
        ],
    );
    for m in measured {
        table.row(&[
            &m.rules,
            &m.aggregates,
            &format!("{:.0}", each(m.best, m.round)),
            &rate(m.best, m.round),
            &percent(m.tally.with_hit, m.tally.events),
        ]);
    }
    table.remark(format!(
        "{MANY} rules cost {:.2} times {FEW} (goal: at most 2.5); best of rounds of {} events",
        ratio(measured),
        parted(measured.first().map_or(0, |m| m.round))
    ));
    table
}
