//! The rules: each one's text, mode, what it found, and how often it was right; shadow rules beside live ones.
//!
//! Precision is the share of fraud among verdicts of fraud and good; what nobody could tell is left out and shown.

use super::chart;
use super::look::{ConsoleError, Look};
use super::words::Words;
use crate::engine::book::{Mode, Phase};
use crate::rulebook::Loaded;
use crate::store::Tx;
use crate::store::tallies::{self, Tally, What};
use crate::telemetry::Metrics;
use askama::Template;
use std::collections::BTreeMap;

/// Days shown.
const DAYS: usize = 30;

/// A rule as people read it.
#[derive(Debug, Clone, Default)]
struct Text {
    id: String,
    version: u32,
    why: String,
    family: String,
    place: String,
    pattern: String,
    is_shadow: bool,
    is_absorb: bool,
    score: i32,
    yaml: String,
}

/// The rule book as people read it.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    version: String,
    rules: Vec<Text>,
}

impl Sheet {
    /// Of a rule book.
    pub fn of(loaded: &Loaded) -> Self {
        let rules = loaded.book.rules.iter().zip(&loaded.notes);
        let text = |(rule, notes): (&crate::engine::book::Rule, &crate::rulebook::Notes)| {
            let (file, line) = notes.place.rsplit_once(':').unwrap_or((&notes.place, "1"));
            let source = loaded
                .files
                .iter()
                .find(|source| source.shown == file || source.name == file);
            let line: usize = line.parse().unwrap_or(1);
            Text {
                id: rule.id.clone(),
                version: rule.version,
                why: rule.why.clone(),
                family: notes.family.clone(),
                place: notes.place.clone(),
                pattern: rule.pattern.clone().unwrap_or_default(),
                is_shadow: rule.mode == Mode::Shadow,
                is_absorb: rule.phase == Phase::Absorb,
                score: rule.score,
                yaml: source
                    .map(|source| block(&source.text, &rule.id, line))
                    .unwrap_or_default(),
            }
        };
        Self {
            version: loaded.book.version.to_string(),
            rules: rules.map(text).collect(),
        }
    }

    /// Whether it has a rule.
    pub fn has(&self, rule: &str) -> bool {
        self.rules.iter().any(|text| text.id == rule)
    }
}

/// The lines of one rule, up to the next one of its list; its examples are left out.
fn block(text: &str, id: &str, near: usize) -> String {
    let begins = |line: &str| {
        let item = line.trim_start().strip_prefix("- id:");
        item.is_some_and(|named| named.trim().trim_matches('"') == id)
    };
    let lines: Vec<&str> = text.lines().collect();
    let from = lines
        .iter()
        .position(|line| begins(line))
        .unwrap_or(near.saturating_sub(1));
    let indent = |line: &str| line.len() - line.trim_start().len();
    let first = lines.get(from).copied().unwrap_or_default();
    let depth = indent(first);
    let rest = lines.iter().skip(from + 1);
    let inside = rest.take_while(|line| line.trim().is_empty() || indent(line) > depth);
    let mine = std::iter::once(&first).chain(inside);
    let kept: Vec<&str> = mine
        .take_while(|line| !line.trim_start().starts_with("examples:"))
        .map(|line| line.get(depth..).unwrap_or_default())
        .collect();
    kept.join("\n").trim_end().to_owned()
}

/// The bounds of a share by Wilson's score interval (1927) at 95 %, in per mille; nothing for no case.
fn wilson(hits: i64, all: i64) -> Option<(i64, i64)> {
    /// The 97.5th percentile of the normal distribution.
    const Z: f64 = 1.959_964;
    if all <= 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of verdicts are small")]
    let (hits, all) = (hits.max(0) as f64, all as f64);
    let share = hits / all;
    let middle = share + Z * Z / (2.0 * all);
    let spread = Z * (share * (1.0 - share) / all + Z * Z / (4.0 * all * all)).sqrt();
    let scale = 1.0 + Z * Z / all;
    let per_mille = |bound: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "clamped to 0..=1000")]
        let bound = (bound / scale * 1000.0).round().clamp(0.0, 1000.0) as i64;
        bound
    };
    Some((per_mille(middle - spread), per_mille(middle + spread)))
}

/// A row of the page.
struct Row<'r> {
    text: &'r Text,
    hits: i64,
    raised: i64,
    fraud: i64,
    good: i64,
    undetermined: i64,
    precision: String,
    between: String,
    spark: String,
}

#[derive(Template)]
#[template(path = "rules.html", config = "src/console/askama.toml")]
struct Page<'p> {
    look: &'p Look,
    w: &'static Words,
    here: &'static str,
    version: &'p str,
    /// Another version is in force than the one whose text is shown.
    in_force: Option<String>,
    rows: Vec<Row<'p>>,
    days: i64,
}

/// Counts by rule, in all and by day.
struct Counted {
    tallies: Vec<Tally>,
    sums: BTreeMap<String, i64>,
}

impl Counted {
    fn read(tx: &mut Tx<'_>, what: What, first: i64) -> Result<Self, ConsoleError> {
        let tallies = tallies::since(tx, what, first)?;
        let mut sums = BTreeMap::new();
        for tally in &tallies {
            *sums.entry(tally.key.clone()).or_default() += tally.count;
        }
        Ok(Self { tallies, sums })
    }

    fn of(&self, rule: &str) -> i64 {
        self.sums.get(rule).copied().unwrap_or(0)
    }
}

/// What was counted of all rules, from a first day on.
struct Counts {
    hits: Counted,
    shadow: Counted,
    raised: Counted,
    fraud: Counted,
    good: Counted,
    undetermined: Counted,
    first: i64,
}

impl Counts {
    fn row<'r>(&self, look: &Look, text: &'r Text) -> Row<'r> {
        let id = text.id.as_str();
        let (fraud, good, raised) = (self.fraud.of(id), self.good.of(id), self.raised.of(id));
        let share = wilson(fraud, fraud + good);
        let found = if text.is_shadow {
            &self.shadow
        } else {
            &self.hits
        };
        let volume =
            |counted: &Counted| chart::by_day(&counted.tallies, Some(id), self.first, DAYS);
        let shown = if raised > 0 { &self.raised } else { &self.hits };
        let title = look
            .words()
            .spark
            .replace("{}", &look.number(raised.max(found.of(id))));
        Row {
            text,
            hits: found.of(id),
            raised,
            fraud,
            good,
            undetermined: self.undetermined.of(id),
            precision: share
                .map(|_| look.percent(fraud * 1000 / (fraud + good)))
                .unwrap_or_default(),
            between: share
                .map(|(low, high)| format!("{} – {}", look.percent(low), look.percent(high)))
                .unwrap_or_default(),
            spark: chart::spark(&title, &volume(shown), &volume(&self.shadow)),
        }
    }
}

/// The page.
///
/// # Errors
/// Where the store does not answer.
pub fn page(
    look: &Look,
    tx: &mut Tx<'_>,
    sheet: &Sheet,
    metrics: &Metrics,
) -> Result<String, ConsoleError> {
    let days = i64::try_from(DAYS).unwrap_or(i64::MAX);
    let newest = tallies::newest(tx, What::Hits)?.max(tallies::newest(tx, What::Alerts)?);
    let first = newest - days + 1;
    let mut read = |what| Counted::read(tx, what, first);
    let counts = Counts {
        hits: read(What::Hits)?,
        shadow: read(What::Shadow)?,
        raised: read(What::Raised)?,
        fraud: read(What::Fraud)?,
        good: read(What::Good)?,
        undetermined: read(What::Undetermined)?,
        first,
    };
    let mut rows: Vec<Row<'_>> = sheet
        .rules
        .iter()
        .map(|text| counts.row(look, text))
        .collect();
    rows.sort_by_key(|row| (-row.raised, -row.hits, &row.text.id));
    let in_force = metrics.ruleset_now();
    let page = Page {
        look,
        w: look.words(),
        here: "rules",
        version: &sheet.version,
        in_force: Some(in_force).filter(|version| !version.is_empty() && *version != sheet.version),
        rows,
        days,
    };
    Ok(page.render()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_is_wide_for_few_verdicts_and_never_leaves_the_unit() {
        assert_eq!(wilson(0, 0), None);
        // Newcombe 1998, table of examples: 1 of 1 and 8 of 10.
        assert_eq!(wilson(1, 1), Some((207, 1000)));
        assert_eq!(wilson(8, 10), Some((490, 943)));
        assert_eq!(wilson(0, 10), Some((0, 278)));
    }

    #[test]
    fn the_text_of_a_rule_ends_where_the_next_begins_and_has_no_examples() {
        let text = "rules:\n  - id: one\n    score: 1\n    examples:\n      - x\n  - id: two\n    score: 2\n";
        assert_eq!(block(text, "one", 2), "- id: one\n  score: 1");
        assert_eq!(block(text, "two", 6), "- id: two\n  score: 2");
    }
}
