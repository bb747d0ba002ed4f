//! The aggregates as the fraud team declared them: the YAML text read again, each `where` compiled
//! as an ordinary condition over what is remembered of an event.
//!
//! Deliberately apart from the loader's own filters.

use serde::Deserialize;
use std::path::Path;
use varsel::expr::{Program, Scheme, compile, parse_duration};

#[derive(Deserialize)]
struct File {
    features: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    op: String,
    of: Option<String>,
    r#where: Option<String>,
    base: Option<String>,
    over: String,
    same: Option<String>,
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
        let file: File = serde_saphyr::from_str(&text).unwrap();
        let program = |text: String| compile(&text, scheme).unwrap();
        file.features
            .into_iter()
            .map(|entry| Self {
                name: entry.name,
                op: entry.op,
                of: entry.of.unwrap_or_default(),
                filter: entry.r#where.map(program),
                base: entry.base.map(program),
                span_ms: parse_duration(&entry.over.replace("min", "m")).unwrap(),
                same_merchant: entry.same.is_some(),
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
