//! Fills a store with alerts and measures the pages that people wait for: `cargo bench --bench console -- [--alerts N]`.
//!
//! A new SQLite file, or the PostgreSQL of `VARSEL_TEST_POSTGRES` (a scheme of its own in it must be empty). Measured is
//! what the console does for a page: one transaction that reads, and the writing of the page; not HTTP.
#![allow(missing_docs, reason = "a benchmark is nobody's interface")]

#[path = "machine.rs"]
mod machine;

use hdrhistogram::Histogram;
use machine::{Table, parted};
use std::error::Error;
use std::path::PathBuf;
use varsel::clock::Stopwatch;
use varsel::config::Store as Place;
use varsel::console::look::{ConsoleError, Look, Theme};
use varsel::console::queue::Asked;
use varsel::console::rulesheet::Sheet;
use varsel::console::words::Lang;
use varsel::console::{case, overview, queue};
use varsel::domain::codes::Severity;
use varsel::domain::time::rfc3339;
use varsel::store::alerts::{self, Alert, Shelf};
use varsel::store::cases::{self, Case};
use varsel::store::happening::Happening;
use varsel::store::{Store, StoreError, Tx};

/// Alerts of one transaction.
const BATCH: u64 = 10_000;
/// Event time of the first alert.
const START_MS: i64 = 1_700_000_000_000;
/// Patterns, as many as a rule book has.
const PATTERNS: u64 = 20;

#[derive(Debug, Clone)]
pub struct Size {
    pub alerts: u64,
    pub rounds: u64,
    pub place: Place,
}

#[derive(Debug)]
pub struct Measured {
    pub alerts: u64,
    /// By page: microseconds.
    pub pages: Vec<(&'static str, Histogram<u64>)>,
}

fn look() -> Look {
    Look {
        lang: Lang::English,
        theme: Theme::System,
        user: "anna".to_owned(),
        role: "analyst".to_owned(),
        may_decide: true,
        csrf: "x".repeat(43),
        path: "/console/queue".to_owned(),
        said: None,
        now_ms: START_MS + 1_000_000_000,
        is_demo: false,
    }
}

/// A number that looks like chance and is not.
fn mixed(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn id(number: u64) -> String {
    format!("{:016x}{number:016x}", mixed(number))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// One alert with its case; every tenth is open, as after a bad week, and every hundredth cardholder has events.
fn put(tx: &mut Tx<'_>, number: u64) -> Result<(), StoreError> {
    let chance = mixed(number);
    // What is open shall be of every kind: another chance than that.
    let kind = mixed(chance);
    let severity = Severity::ALL[usize::try_from(kind % 4).unwrap_or(0)];
    let at_ms = START_MS + signed(number) * 60_000;
    let is_open = chance.is_multiple_of(10);
    let cardholder = format!("p-{}", chance % 400_000);
    let events: Vec<String> = (0..8).map(|n| format!("e-{number}-{n}")).collect();
    let alert = Alert {
        id: id(number),
        at: rfc3339(at_ms),
        status: if is_open { "updated" } else { "closed" }.to_owned(),
        card: Some(format!("c-{}", chance % 400_000)),
        cardholder: cardholder.clone(),
        pattern: format!("pattern-{}", kind / 4 % PATTERNS),
        severity: severity.word().to_owned(),
        score: signed(kind / 100 % 1_000),
        count: 8,
    };
    let line = serde_json::json!({
        "id": alert.id, "at": alert.at, "status": alert.status, "card": alert.card, "cardholder": cardholder,
        "pattern": alert.pattern, "severity": alert.severity, "score": alert.score, "count": 8, "events": events,
        "trigger": "e-7", "rules": [{"id": "over-balance", "version": 1}],
        "reasons": [{"code": "over-balance", "text": "Two money transfers were declined for lack of funds within a day"}],
    });
    alerts::keep(tx, Shelf::Store, &alert, &line.to_string(), at_ms)?;
    let minor = signed(kind / 7 % 5_000_000);
    let case = Case {
        alert: alert.id.clone(),
        is_open,
        score: alert.score,
        at_ms,
        severity,
        pattern: alert.pattern.clone(),
        cardholder: cardholder.clone(),
        at_risk: Some((
            minor,
            "DKK".to_owned(),
            format!("Merchant {}", kind % 5_000),
        )),
        base_minor: Some(minor),
    };
    cases::keep(tx, &case)?;
    if number.is_multiple_of(100) {
        for (event, n) in events.iter().zip(0..) {
            let line = serde_json::json!({
                "type": "authorization", "id": event, "at": rfc3339(at_ms - n * 60_000), "cardholder": cardholder,
                "amount_minor": minor, "currency": "DKK", "mcc": "4829", "response_code": "51", "security": "3ds",
                "merchant": {"id": "m", "name": "Merchant", "country": "DK"}, "channel": "ecommerce",
            });
            let line = line.to_string();
            if let Some(happening) = Happening::read(&line) {
                cases::keep_event(tx, &cardholder, &happening, &line, Some("DK"))?;
            }
        }
    }
    Ok(())
}

/// What is asked of the queue, and what it is called.
fn questions() -> [(&'static str, Asked); 9] {
    let asked = |change: &dyn Fn(&mut Asked)| {
        let mut asked = Asked::default();
        change(&mut asked);
        asked
    };
    [
        ("queue", Asked::default()),
        (
            "queue, severity",
            asked(&|asked| asked.severity = "critical".to_owned()),
        ),
        (
            "queue, pattern",
            asked(&|asked| asked.pattern = "pattern-3".to_owned()),
        ),
        ("queue, nobody's", asked(&|asked| asked.by = "-".to_owned())),
        ("queue, mine", asked(&|asked| asked.by = "anna".to_owned())),
        (
            "queue, mine of a pattern",
            asked(&|asked| {
                asked.by = "anna".to_owned();
                asked.pattern = "pattern-3".to_owned();
            }),
        ),
        (
            "queue, nobody's of both",
            asked(&|asked| {
                asked.by = "-".to_owned();
                asked.pattern = "pattern-3".to_owned();
                asked.severity = "critical".to_owned();
            }),
        ),
        (
            "queue, closed",
            asked(&|asked| asked.state = "closed".to_owned()),
        ),
        (
            "queue, far down",
            asked(&|asked| asked.after = format!("{}.x", START_MS + 100_000_000_000)),
        ),
    ]
}

fn fill(store: &mut Store, alerts: u64) -> Result<(), StoreError> {
    let mut from = 0;
    while from < alerts {
        let to = (from + BATCH).min(alerts);
        store.commit(|tx| (from..to).try_for_each(|number| put(tx, number)))?;
        from = to;
    }
    Ok(())
}

/// Fills the store and opens each page as often as asked.
pub fn run(size: &Size) -> Result<Measured, Box<dyn Error>> {
    let mut store = Store::open(&size.place)?;
    fill(&mut store, size.alerts)?;
    // Half of the analysts' claims are ours.
    store.commit(|tx| {
        for number in (0..size.alerts)
            .filter(|number| mixed(*number).is_multiple_of(10))
            .take(200)
        {
            let who = if number % 2 == 0 { "anna" } else { "bo" };
            let _ = varsel::store::notes::claim(tx, &id(number), who, None, START_MS)?;
        }
        Ok(())
    })?;
    let (look, sheet) = (look(), Sheet::default());
    let mut pages = Vec::new();
    let mut measure =
        |name: &'static str,
         page: &mut dyn FnMut(&mut Tx<'_>, u64) -> Result<String, ConsoleError>| {
            let mut times = Histogram::<u64>::new(3)?;
            for round in 0..size.rounds {
                let watch = Stopwatch::start();
                let page = store.look(|tx| page(tx, round))?;
                times.record(u64::try_from(watch.elapsed().as_micros())?)?;
                assert!(page.contains("</html>"), "{name}");
            }
            pages.push((name, times));
            Ok::<(), Box<dyn Error>>(())
        };
    for (name, asked) in questions() {
        measure(name, &mut |tx, _| queue::page(&look, tx, &asked))?;
    }
    measure("queue, search", &mut |tx, round| {
        let q = match round % 3 {
            0 => format!("p-{}", mixed(round) % 400_000),
            1 => format!("Merchant {}", mixed(round) % 5_000),
            _ => id(mixed(round) % size.alerts),
        };
        queue::page(
            &look,
            tx,
            &Asked {
                q,
                ..Asked::default()
            },
        )
    })?;
    measure("case", &mut |tx, round| {
        let id = id(mixed(round) % size.alerts / 100 * 100);
        case::page(&look, tx, None, &sheet, &id)
    })?;
    measure("overview", &mut |tx, _| overview::page(&look, tx))?;
    Ok(Measured {
        alerts: size.alerts,
        pages,
    })
}

pub fn table(measured: &Measured, what: &str) -> Table {
    let title = format!(
        "Pages over {} alerts in {what}, milliseconds",
        parted(measured.alerts)
    );
    let mut table = Table::new(title, &["page", "p50", "p99", "worst"]);
    let ms = |micros: u64| format!("{}.{}", micros / 1_000, micros % 1_000 / 100);
    for (name, times) in &measured.pages {
        let (half, most) = (times.value_at_quantile(0.5), times.value_at_quantile(0.99));
        table.row(&[name, &ms(half), &ms(most), &ms(times.max())]);
    }
    table
}

#[allow(dead_code, reason = "the tests include this file as a module")]
#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() -> Result<(), Box<dyn Error>> {
    let alerts = machine::option("--alerts").unwrap_or(1_000_000);
    let folder = std::env::temp_dir().join(format!("varsel-bench-console-{}", std::process::id()));
    let postgres = std::env::var("VARSEL_TEST_POSTGRES").ok();
    let (what, place) = match postgres {
        Some(url) => (
            "PostgreSQL",
            Place::Postgres {
                url,
                password: None,
                tls: false,
                ca_file: None,
            },
        ),
        None => (
            "SQLite",
            Place::File(PathBuf::from(&folder).join("varsel.db")),
        ),
    };
    let watch = Stopwatch::start();
    let measured = run(&Size {
        alerts,
        rounds: 500,
        place,
    });
    let _ = std::fs::remove_dir_all(&folder);
    let mut table = table(&measured?, what);
    table.remark(machine::describe());
    table.remark(format!(
        "filled and measured in {} s",
        watch.elapsed().as_secs()
    ));
    println!("{table}");
    Ok(())
}
