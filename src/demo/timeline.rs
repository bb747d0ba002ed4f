//! The timeline: what the monitor said of each event of the case, as people read it.
//!
//! It reads the topics of decisions, alerts and holds as any consumer of a bank's would, and
//! counts what it sees of the population besides.

use crate::clock::Stopwatch;
use crate::config::Config;
use crate::demo::DemoError;
use crate::demo::feed::{Feed, Told};
use crate::domain::time::rfc3339;
use crate::stream::reader::Reader;
use crate::telemetry::Metrics;
use rdkafka::message::Message;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

/// From here on the case is shown, event by event: the day of the first declined transfer.
const FROM_MS: i64 = 1_520_262_000_000;
/// How long a decision may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Alerts and holds of an event arrive within this after its decision.
const QUIET: Duration = Duration::from_millis(60);
/// The case's cardholder.
const WHO: &str = "p-144";

/// Reads effects and shows those of the case.
pub struct Timeline {
    decisions: Reader,
    alerts: Reader,
    holds: Reader,
    /// Decisions of the case that were read, by event.
    decided: BTreeMap<String, Value>,
    news: Vec<(&'static str, Value)>,
    /// The hold that the newest decision of the case named.
    named: Option<String>,
    seen: Seen,
}

/// What was seen of all cardholders.
#[derive(Debug, Default)]
struct Seen {
    decisions: BTreeMap<String, u64>,
    alerts: BTreeMap<String, u64>,
    holds: u64,
}

impl Timeline {
    /// Begins with the first effects.
    ///
    /// # Errors
    /// Where the topics cannot be read.
    pub fn new(config: &Config) -> Result<Self, DemoError> {
        Ok(Self {
            decisions: Reader::whole(config, &config.topics.decisions)?,
            alerts: Reader::whole(config, &config.topics.alerts)?,
            holds: Reader::whole(config, &config.topics.holds)?,
            decided: BTreeMap::new(),
            news: Vec::new(),
            named: None,
            seen: Seen::default(),
        })
    }

    /// Reads what has come.
    ///
    /// # Errors
    /// Where the topics cannot be read.
    pub fn keep_up(&mut self) -> Result<(), DemoError> {
        let (decided, news, seen) = (&mut self.decided, &mut self.news, &mut self.seen);
        self.decisions.news(|message| {
            let Some(value) = json(message.payload()) else {
                return;
            };
            *seen.decisions.entry(word(&value, "action")).or_default() += 1;
            if message.key() == Some(WHO.as_bytes()) {
                decided.insert(word(&value, "event"), value);
            }
        })?;
        self.alerts.news(|message| {
            let Some(value) = json(message.payload()) else {
                return;
            };
            if word(&value, "status") == "open" {
                *seen.alerts.entry(word(&value, "severity")).or_default() += 1;
            }
            if word(&value, "cardholder") == WHO {
                news.push(("alert", value));
            }
        })?;
        self.holds.news(|message| {
            let Some(value) = json(message.payload()) else {
                return;
            };
            seen.holds += u64::from(word(&value, "state") == "requested");
            if word(&value, "cardholder") == WHO {
                news.push(("hold", value));
            }
        })?;
        Ok(())
    }

    /// The id of the hold that the newest decision of the case named.
    pub fn standing(&self) -> Option<&str> {
        self.named.as_deref()
    }

    /// Shows an event of the case with what came of it; true where it was not allowed.
    ///
    /// # Errors
    /// Where the topics cannot be read, the decision does not come, or the terminal fails.
    pub fn show(&mut self, event: &Told, out: &mut dyn Write) -> Result<bool, DemoError> {
        let watch = Stopwatch::start();
        while event.decided && !self.decided.contains_key(&event.id) {
            if watch.elapsed() > PATIENCE {
                return Err(DemoError::Silent(event.id.clone()));
            }
            self.keep_up()?;
        }
        if event.at_ms < FROM_MS {
            self.news.clear();
            self.decided.remove(&event.id);
            return Ok(false);
        }
        let quiet = Stopwatch::start();
        while quiet.elapsed() < QUIET {
            self.keep_up()?;
        }
        let decision = self.decided.remove(&event.id);
        if let Some(decision) = &decision {
            let named = decision.get("hold").and_then(Value::as_str);
            self.named = named.map(str::to_owned).or(self.named.take());
            attempt(event, decision, out)?;
        }
        for (what, value) in self.news.drain(..) {
            if what == "alert" {
                alert(&value, out)?;
            } else {
                hold(&value, out)?;
            }
        }
        Ok(decision.is_some_and(|decision| word(&decision, "action") != "allow"))
    }

    /// Shows the sums.
    ///
    /// # Errors
    /// Where the terminal fails.
    pub fn totals(
        &mut self,
        feed: &Feed,
        metrics: &Metrics,
        out: &mut dyn Write,
    ) -> Result<(), DemoError> {
        self.keep_up()?;
        let list = |counts: &BTreeMap<String, u64>| {
            let words: Vec<String> = counts
                .iter()
                .map(|(word, n)| format!("{n} {word}"))
                .collect();
            words.join(", ")
        };
        writeln!(
            out,
            "\n{} events fed, {} taken from the log by the scoring",
            feed.sent,
            metrics.events_done()
        )?;
        writeln!(out, "decisions: {}", list(&self.seen.decisions))?;
        writeln!(
            out,
            "alerts: {}; {} holds",
            list(&self.seen.alerts),
            self.seen.holds
        )?;
        Ok(())
    }
}

fn json(payload: Option<&[u8]>) -> Option<Value> {
    serde_json::from_slice(payload?).ok()
}

fn word(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn time(at_ms: i64) -> String {
    rfc3339(at_ms)
        .get(..19)
        .unwrap_or_default()
        .replace('T', " ")
}

/// Minor units as people read them.
fn kroner(minor: i64) -> String {
    let whole = (minor / 100).to_string();
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped}.{:02} kr.", minor % 100)
}

fn attempt(event: &Told, decision: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let what = match &event.purchase {
        Some((merchant, amount)) => format!("{merchant:<20} {:>14}", kroner(*amount)),
        None => format!("{:<35}", ""),
    };
    let outcome = match event.outcome.as_deref() {
        Some("00") => "approved".to_owned(),
        Some(code) => format!("declined ({code})"),
        None => String::new(),
    };
    let score = decision.get("score").and_then(Value::as_u64).unwrap_or(0);
    let refused: Vec<&str> = decision
        .get("methods_refused")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let told = match word(decision, "action").as_str() {
        "allow" => "allow".to_owned(),
        "step_up" if refused.is_empty() => "challenge".to_owned(),
        "step_up" => format!("challenge, not by {}", refused.join(" or ")),
        other => other.to_owned(),
    };
    writeln!(
        out,
        "{}  {:<13} {what}  {outcome:<14} score {score:>3}  the ACS is told: {told}",
        time(event.at_ms),
        event.kind,
    )?;
    for reason in decision
        .get("reasons")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        writeln!(out, "{:21}because {}", "", word(reason, "text"))?;
    }
    Ok(())
}

fn alert(alert: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let count = alert.get("count").and_then(Value::as_u64).unwrap_or(0);
    let what = match word(alert, "status").as_str() {
        "open" => "ALERT",
        _ => "alert",
    };
    writeln!(
        out,
        "{:21}{what} {} ({}, {}), {count} events",
        "",
        word(alert, "pattern"),
        word(alert, "severity"),
        word(alert, "status"),
    )
}

fn hold(hold: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(
        out,
        "{:21}HOLD {} {} until {}",
        "",
        word(hold, "kind"),
        word(hold, "state"),
        word(hold, "until")
            .get(..16)
            .unwrap_or_default()
            .replace('T', " "),
    )
}
