//! How the monitor does: what it lags behind, what it refused, what was saved, which rule book it works by.
//!
//! All of this instance alone, from its own counts; refused records and holds come from the store, which all share.

use super::look::{ConsoleError, Look};
use super::words::Words;
use crate::api::ledger::Ledger;
use crate::store::samples::{self, Sample};
use crate::store::tallies::{self, What};
use crate::store::{Tx, alerts};
use crate::telemetry::{Metrics, Readiness};
use askama::Template;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// Days of refused records shown.
const DAYS: i64 = 7;
/// More records of a topic than this unread is told: at the floor of one core, ten thousand are read in 40 ms, so whoever
/// has them unread does not keep up.
const FAR_BEHIND: i64 = 10_000;
/// A partition saved longer ago than this is told, in milliseconds.
const OLD_SAVE_MS: i64 = 10 * 60_000;

/// A line of a table: a name and what is shown of it.
struct Line {
    name: String,
    shown: String,
    is_bad: bool,
}

/// By which rule book an instance scores, and how many partitions.
struct Book {
    instance: String,
    ruleset: String,
    partitions: i64,
    /// Another one scores most partitions.
    is_other: bool,
}

#[derive(Template)]
#[template(path = "health.html", config = "src/console/askama.toml")]
struct Page<'p> {
    look: &'p Look,
    w: &'static Words,
    here: &'static str,
    reasons: Vec<String>,
    notes: Vec<String>,
    ruleset: String,
    events: i64,
    late: i64,
    unknown_codes: i64,
    holds_open: i64,
    lag: Vec<Line>,
    ages: Vec<Line>,
    saves: Vec<Line>,
    books: Vec<Book>,
    rejects: Vec<Line>,
    outbox: Vec<Line>,
    samples: Vec<Sample>,
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The page.
///
/// # Errors
/// Where the store does not answer.
pub fn page(
    look: &Look,
    tx: &mut Tx<'_>,
    metrics: &Metrics,
    readiness: &Readiness,
    ledger: &Ledger,
) -> Result<String, ConsoleError> {
    let today = tallies::day(look.now_ms);
    let mut rejects: Vec<Line> = Vec::new();
    for tally in tallies::since(tx, What::Rejects, today - DAYS + 1)? {
        match rejects.iter_mut().find(|line| line.name == tally.key) {
            // Shown is still the number alone here.
            Some(line) => {
                let before: i64 = line.shown.parse().unwrap_or(0);
                line.shown = (before + tally.count).to_string();
            }
            None => rejects.push(Line {
                name: tally.key,
                shown: tally.count.to_string(),
                is_bad: false,
            }),
        }
    }
    for line in &mut rejects {
        line.shown = look.number(line.shown.parse().unwrap_or(0));
    }
    let mut reasons = readiness.reasons();
    reasons.extend(readiness.stuck());
    let page = Page {
        look,
        w: look.words(),
        here: "health",
        reasons,
        notes: readiness.notes(),
        ruleset: metrics.ruleset_now(),
        events: whole(metrics.events_done()),
        late: whole(metrics.late.load(Relaxed)),
        unknown_codes: whole(metrics.unknown_codes.load(Relaxed)),
        holds_open: alerts::unacknowledged(tx)?,
        lag: lag(look, metrics),
        ages: ages(look, metrics),
        saves: saves(look, metrics),
        books: books(ledger),
        outbox: outbox(look, metrics),
        rejects,
        samples: samples::all(tx)?,
    };
    Ok(page.render()?)
}

/// What the instances announce. A book that the fewer partitions have is on its way in, or its instance on its way out.
fn books(ledger: &Ledger) -> Vec<Book> {
    let books = ledger.rule_books();
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for ((_, ruleset), count) in &books {
        *sums.entry(ruleset).or_default() += count;
    }
    let most = sums.iter().max_by_key(|(_, count)| **count);
    let most = most.map(|(ruleset, _)| (*ruleset).to_owned());
    let book = |((instance, ruleset), partitions): (&(String, String), &i64)| Book {
        instance: instance.clone(),
        ruleset: ruleset.clone(),
        partitions: *partitions,
        is_other: most.as_ref() != Some(ruleset),
    };
    books.iter().map(book).collect()
}

/// Records not read yet, by topic: the sum of its partitions.
fn lag(look: &Look, metrics: &Metrics) -> Vec<Line> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (labels, count) in metrics.lag_records.all() {
        *sums
            .entry(labels.into_iter().next().unwrap_or_default())
            .or_default() += count;
    }
    let line = |(name, count): (String, u64)| Line {
        name,
        shown: look.number(whole(count)),
        is_bad: whole(count) > FAR_BEHIND,
    };
    sums.into_iter().map(line).collect()
}

fn ages(look: &Look, metrics: &Metrics) -> Vec<Line> {
    let line = |(labels, age_ms): (Vec<String>, u64)| Line {
        name: labels.into_iter().next().unwrap_or_default(),
        shown: look.span(whole(age_ms)),
        is_bad: false,
    };
    metrics.event_age_ms.all().into_iter().map(line).collect()
}

fn saves(look: &Look, metrics: &Metrics) -> Vec<Line> {
    let line = |(partition, at_ms): (String, i64)| Line {
        name: partition,
        shown: look.age(at_ms),
        is_bad: look.now_ms - at_ms > OLD_SAVE_MS,
    };
    metrics.saves().into_iter().map(line).collect()
}

fn outbox(look: &Look, metrics: &Metrics) -> Vec<Line> {
    let words = look.words();
    let line = |(labels, count): (Vec<String>, u64)| {
        let state = labels.into_iter().next().unwrap_or_default();
        Line {
            is_bad: state == "failed" && count > 0,
            name: match state.as_str() {
                "queued" => words.mail_queued.to_owned(),
                "failed" => words.mail_failed.to_owned(),
                _ => words.mail_waiting.to_owned(),
            },
            shown: look.number(whole(count)),
        }
    };
    metrics.notify_outbox.all().into_iter().map(line).collect()
}
