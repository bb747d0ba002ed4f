//! The overview: alerts, what was prevented and lost, and how early the warnings came, over time.
//!
//! Money comes from cases that were found to be fraud: prevented is the largest payment of a case that did not go
//! through, lost is what did. Amounts in other currencies than kroner are summed apart.

use super::chart::{self, Part};
use super::look::{ConsoleError, Look};
use super::words::Words;
use crate::domain::codes::Severity;
use crate::domain::time::DAY_MS;
use crate::store::Tx;
use crate::store::tallies::{self, Tally, What};
use askama::Template;
use std::collections::BTreeMap;

/// The most days shown.
const DAYS: i64 = 30;
/// The fewest.
const LEAST: i64 = 7;
/// The currency of the pictures.
const CURRENCY: &str = "DKK";

/// A day in numbers: what the pictures show.
struct Day {
    date: String,
    alerts: i64,
    prevented: String,
    lost: String,
    lead: String,
}

#[derive(Template)]
#[template(path = "overview.html", config = "src/console/askama.toml")]
struct Page<'p> {
    look: &'p Look,
    w: &'static Words,
    here: &'static str,
    days_shown: i64,
    open: i64,
    critical: i64,
    alerts: i64,
    prevented: String,
    lost: String,
    lead: String,
    lead_cases: i64,
    fraud: i64,
    good: i64,
    undetermined: i64,
    alerts_chart: String,
    money_chart: String,
    lead_chart: String,
    days: Vec<Day>,
}

/// Amounts by currency as one text.
fn amounts(look: &Look, tallies: &[Tally]) -> String {
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for tally in tallies {
        *sums.entry(&tally.key).or_default() += tally.count;
    }
    let texts: Vec<String> = sums
        .into_iter()
        .filter(|(_, sum)| *sum != 0)
        .map(|(currency, sum)| look.round_amount(sum, currency))
        .collect();
    if texts.is_empty() {
        look.round_amount(0, CURRENCY)
    } else {
        texts.join(" + ")
    }
}

fn sum(tallies: &[Tally], key: &str) -> i64 {
    tallies
        .iter()
        .filter(|tally| tally.key == key)
        .map(|tally| tally.count)
        .sum()
}

/// The page.
///
/// # Errors
/// Where the store does not answer.
pub fn page(look: &Look, tx: &mut Tx<'_>) -> Result<String, ConsoleError> {
    let w = look.words();
    let newest = tallies::newest(tx, What::Alerts)?;
    let alerts = tallies::since(tx, What::Alerts, newest - DAYS + 1)?;
    let oldest = alerts.first().map_or(newest, |tally| tally.day);
    let first = oldest.min(newest - LEAST + 1);
    let count = usize::try_from(newest - first + 1).unwrap_or(0);
    let mut since = |what| tallies::since(tx, what, first);
    let (prevented, lost) = (since(What::Prevented)?, since(What::Lost)?);
    let (lead, verdicts) = (since(What::Lead)?, since(What::Verdicts)?);
    let open = tallies::since(tx, What::Open, 0)?;
    let of = |tallies: &[Tally], key| chart::by_day(tallies, key, first, count);
    let severities = severities(look, |word| of(&alerts, Some(word)));
    let money = [
        (w.prevented, "c-good", of(&prevented, Some(CURRENCY))),
        (w.lost, "c-bad", of(&lost, Some(CURRENCY))),
    ];
    let cases = of(&lead, Some("cases"));
    let leads = means(&of(&lead, Some("sum")), &cases);
    let number = |count| look.number(count);
    let part = |(name, class, counts): (&str, &'static str, Vec<i64>)| Part {
        name: name.to_owned(),
        class,
        counts,
    };
    let days = days(
        look,
        first,
        &[
            of(&alerts, None),
            money[0].2.clone(),
            money[1].2.clone(),
            leads.clone(),
        ],
        &cases,
    );
    let lead_cases = sum(&lead, "cases");
    let page = Page {
        look,
        w,
        here: "overview",
        days_shown: newest - first + 1,
        open: open.iter().map(|tally| tally.count).sum(),
        critical: sum(&open, "critical"),
        alerts: alerts.iter().map(|tally| tally.count).sum(),
        prevented: amounts(look, &prevented),
        lost: amounts(look, &lost),
        lead: if lead_cases > 0 {
            look.span(sum(&lead, "sum") / lead_cases * 1000)
        } else {
            "–".to_owned()
        },
        lead_cases,
        fraud: sum(&verdicts, "fraud"),
        good: sum(&verdicts, "good"),
        undetermined: sum(&verdicts, "undetermined"),
        alerts_chart: chart::bars(look, w.alerts_by_day, &severities, first, &number),
        money_chart: chart::bars(look, w.money_by_day, &money.map(part), first, &|minor| {
            look.round_amount(minor, CURRENCY)
        }),
        lead_chart: chart::bars(
            look,
            w.lead_by_day,
            &[part((w.lead_time, "c-accent", leads))],
            first,
            &|seconds| look.span(seconds * 1000),
        ),
        days,
    };
    Ok(page.render()?)
}

/// The alerts of each severity, by day.
fn severities(look: &Look, by_day: impl Fn(&'static str) -> Vec<i64>) -> Vec<Part> {
    let part = |severity: &Severity| Part {
        name: look.severity(*severity).to_owned(),
        class: match severity {
            Severity::Low => "c-low",
            Severity::Medium => "c-medium",
            Severity::High => "c-high",
            Severity::Critical => "c-critical",
        },
        counts: by_day(severity.word()),
    };
    Severity::ALL.iter().map(part).collect()
}

/// The mean of each day.
fn means(sums: &[i64], cases: &[i64]) -> Vec<i64> {
    let mean = |(sum, cases): (&i64, &i64)| sum / (*cases).max(1);
    sums.iter().zip(cases).map(mean).collect()
}

/// The numbers behind the pictures: alerts, prevented, lost, lead times.
fn days(look: &Look, first: i64, counts: &[Vec<i64>; 4], cases: &[i64]) -> Vec<Day> {
    let [alerts, prevented, lost, leads] = counts;
    let at = |counts: &[i64], day: usize| counts.get(day).copied().unwrap_or(0);
    let day = |(day, date): (usize, i64)| Day {
        date: look.day(date * DAY_MS + DAY_MS / 2),
        alerts: at(alerts, day),
        prevented: look.round_amount(at(prevented, day), CURRENCY),
        lost: look.round_amount(at(lost, day), CURRENCY),
        lead: if at(cases, day) > 0 {
            look.span(at(leads, day) * 1000)
        } else {
            "–".to_owned()
        },
    };
    (0..alerts.len()).zip(first..).map(day).collect()
}
