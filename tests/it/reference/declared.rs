//! The aggregates as the fraud team declared them: the YAML text read again, each `where` compiled
//! as an ordinary condition over what is remembered of an event.
//!
//! Deliberately apart from the loader's own filters.

use std::collections::BTreeMap;
use std::path::Path;
use varsel::expr::{Program, Scheme, compile, parse_duration};

/// The entries of a `features.yaml` in its plain shape: one `key: value` a line, texts in single
/// quotes or bare.
fn entries(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut entries: Vec<BTreeMap<String, String>> = Vec::new();
    for line in text
        .lines()
        .filter(|line| line.starts_with("  ") && !line.trim().starts_with('#'))
    {
        let line = match line.strip_prefix("  - ") {
            Some(first) => {
                entries.push(BTreeMap::new());
                first
            }
            None => line.trim(),
        };
        let (key, value) = line.split_once(": ").expect("one field a line");
        let value = value.trim();
        let bare = value
            .strip_prefix('\'')
            .and_then(|v| v.strip_suffix('\''))
            .unwrap_or(value);
        entries
            .last_mut()
            .unwrap()
            .insert(key.to_owned(), bare.replace("''", "'"));
    }
    entries
}

/// An aggregate as declared.
pub struct Declared {
    pub name: String,
    pub op: String,
    pub of: String,
    pub filter: Option<Program>,
    pub base: Option<Program>,
    pub span_ms: i64,
    pub same_merchant: bool,
}

impl Declared {
    /// The aggregates of a book's folder, in the order of the file.
    pub fn read(dir: &Path, scheme: &Scheme) -> Vec<Self> {
        let text = std::fs::read_to_string(dir.join("features.yaml")).unwrap();
        let program = |text: &String| compile(text, scheme).unwrap();
        entries(&text)
            .iter()
            .map(|entry| Self {
                name: entry["name"].clone(),
                op: entry["op"].clone(),
                of: entry.get("of").cloned().unwrap_or_default(),
                filter: entry.get("where").map(program),
                base: entry.get("base").map(program),
                span_ms: parse_duration(&entry["over"].replace("min", "m")).unwrap(),
                same_merchant: entry.contains_key("same"),
            })
            .collect()
    }

    /// Spans up to a day are read off the exact history.
    pub fn is_exact(&self) -> bool {
        self.span_ms <= 24 * 3_600_000
    }
}

/// A list's entries with their ends, from its text.
pub fn list(dir: &Path, name: &str) -> Vec<(String, i64)> {
    let text = std::fs::read_to_string(dir.join("lists").join(format!("{name}.txt"))).unwrap();
    text.lines()
        .map(|line| line.split(" #").next().unwrap().trim())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| match line.split_once(" until ") {
            Some((value, until)) => {
                let until = chrono::DateTime::parse_from_rfc3339(until.trim()).unwrap();
                (value.trim().to_owned(), until.timestamp_millis())
            }
            None => (line.to_owned(), i64::MAX),
        })
        .collect()
}
