//! What the bank sends: recorded stories, copied under other names and at other times, and a crowd of ordinary people.
//!
//! Lines come in order of `at`, each with the topic of its type. Whether they are fraud is not known here.

use crate::population::Population;
use chrono::{DateTime, SecondsFormat, TimeDelta};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One record of the bank.
#[derive(Debug, Clone)]
pub struct Line {
    pub at_ms: i64,
    pub id: String,
    /// As banks key: by person where they know one, else by card.
    pub key: String,
    /// Without the scene's prefix.
    pub topic: &'static str,
    pub text: String,
}

fn topic_of(kind: &str) -> &'static str {
    match kind {
        "authorization" => "bank.authorizations",
        "threeds" | "otp" => "bank.threeds",
        "eid" => "bank.eid",
        "card" | "enrolment" => "bank.cardholders",
        "disposition" | "hold" => "bank.dispositions",
        other => panic!("no topic for events of type `{other}`"),
    }
}

impl Line {
    pub fn of(text: String) -> Self {
        let row: Value = serde_json::from_str(&text).unwrap();
        Self::from_row(&row, text)
    }

    fn from_row(row: &Value, text: String) -> Self {
        let word = |field: &str| row[field].as_str().unwrap_or_default();
        let at = DateTime::parse_from_rfc3339(word("at")).unwrap();
        let person = word("cardholder");
        Self {
            at_ms: at.timestamp_millis(),
            id: word("id").to_owned(),
            key: if person.is_empty() {
                word("card")
            } else {
                person
            }
            .to_owned(),
            topic: topic_of(word("type")),
            text,
        }
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The names of all recorded stories that the starter book is meant for.
pub fn stories() -> Vec<String> {
    let entries = std::fs::read_dir(golden()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() && !path.join("rules").exists())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Those that stem from the shared cases.
pub const CASES: [&str; 6] = [
    "case-144-2018",
    "case-144-2018-second-day-only",
    "case-144-2018-without-eid-log",
    "holiday-in-bulgaria",
    "mistyped-code-twice",
    "short-of-money-at-the-grocery",
];

/// Fields that name somebody or something of a story's own.
const NAMES: [&str; 6] = [
    "id",
    "card",
    "cardholder",
    "acs_trans_id",
    "original",
    "phone",
];
const TIMES: [&str; 3] = ["at", "until", "received_at"];

/// A story under other names (all of its own get `suffix`), so that its last event is at `end_ms`.
pub fn story(name: &str, suffix: &str, end_ms: Option<i64>) -> Vec<Line> {
    let text = std::fs::read_to_string(golden().join(name).join("events.jsonl")).unwrap();
    let mut rows: Vec<Value> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ms = |row: &Value| {
        let at = row["at"].as_str().unwrap();
        DateTime::parse_from_rfc3339(at).unwrap().timestamp_millis()
    };
    let last = rows.iter().map(ms).max().unwrap();
    let shift = TimeDelta::milliseconds(end_ms.map_or(0, |end| end - last));
    for row in &mut rows {
        rename(row, suffix, shift);
    }
    rows.iter()
        .map(|row| Line::from_row(row, row.to_string()))
        .collect()
}

fn rename(row: &mut Value, suffix: &str, shift: TimeDelta) {
    let object = row.as_object_mut().unwrap();
    for name in NAMES {
        if let Some(Value::String(text)) = object.get_mut(name) {
            text.push_str(suffix);
        }
    }
    for alias in object
        .get_mut("aliases")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        *alias = Value::from(format!("{}{suffix}", alias.as_str().unwrap()));
    }
    for time in TIMES {
        if let Some(Value::String(text)) = object.get_mut(time) {
            let moved = DateTime::parse_from_rfc3339(text).unwrap() + shift;
            *text = moved.to_rfc3339_opts(SecondsFormat::Millis, false);
        }
    }
}

/// Several streams as one, by the times of their heads: each keeps its own order.
pub fn merged(streams: Vec<Vec<Line>>) -> Vec<Line> {
    let mut heads: Vec<_> = streams
        .into_iter()
        .map(|s| s.into_iter().peekable())
        .collect();
    let mut all = Vec::new();
    loop {
        let next = heads
            .iter_mut()
            .enumerate()
            .filter_map(|(i, head)| head.peek().map(|line| (line.at_ms, i)))
            .min();
        let Some((_, at)) = next else { return all };
        all.extend(heads[at].next());
    }
}

/// The first `count` lines of a crowd of ordinary cardholders: cards issued first, then their days.
pub fn crowd(cards: u32, seed: u64, count: usize) -> Vec<Line> {
    let mut population = Population::new(cards, seed, true);
    let mut buffer = Vec::new();
    let mut lines = Vec::with_capacity(count);
    while lines.len() < count {
        buffer.clear();
        population.line(&mut buffer);
        let text = std::str::from_utf8(&buffer).unwrap().trim_end();
        // A random UUID now and then reads as a card number; those are for the tests of rejects.
        if !varsel::decode::contains_card_number(text) {
            lines.push(Line::of(text.to_owned()));
        }
    }
    lines
}

/// A crowd with every story in it, so many times over, all ending while the crowd is about.
pub fn busy(cards: u32, seed: u64, count: usize, copies: usize) -> Vec<Line> {
    let crowd = crowd(cards, seed, count);
    let (first, last) = (crowd[0].at_ms, crowd[crowd.len() - 1].at_ms);
    let mut streams = Vec::new();
    let names = stories();
    let all = i64::try_from(names.len() * copies).unwrap();
    let mut place = 0;
    for copy in 0..copies {
        for name in &names {
            place += 1;
            let end = first + (last - first) * place / (all + 1);
            streams.push(story(name, &format!("-{}x{copy}", seed % 1_000), Some(end)));
        }
    }
    streams.push(crowd);
    merged(streams)
}

/// Writes lines as a file that `varsel replay` reads.
pub fn write(path: &Path, lines: &[Line]) {
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.text);
        text.push('\n');
    }
    std::fs::write(path, text).unwrap();
}
