//! Counts by day in the making: gathered in memory, put into the store at once. What is read of a decision for them stands
//! here too.

use crate::domain::codes::Severity;
use crate::domain::time::Moment;
use crate::store::cases::Episode;
use crate::store::tallies::{self, What};
use crate::store::{StoreError, Tx};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What is read of a decision.
#[derive(Debug, Deserialize)]
pub struct Decided {
    /// The event decided on.
    pub event: String,
    /// Its time, RFC 3339.
    pub at: String,
    /// The live rules that hit.
    #[serde(default)]
    pub rules: Vec<Named>,
    /// The shadow rules that would have hit.
    #[serde(default)]
    pub shadow: Vec<Named>,
}

/// A rule that is named.
#[derive(Debug, Deserialize)]
pub struct Named {
    /// Its id.
    pub id: String,
}

/// Counts: what, day, key → how many more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<(What, i64, String), i64>);

impl Counts {
    /// Counts more, or less.
    pub fn add(&mut self, what: What, day: i64, key: &str, more: i64) {
        *self.0.entry((what, day, key.to_owned())).or_default() += more;
    }

    /// All that another counted, so many times.
    pub fn add_all(&mut self, others: &Self, times: i64) {
        for ((what, day, key), count) in &others.0 {
            self.add(*what, *day, key, count * times);
        }
    }

    /// The hits that a decision's line names.
    pub fn hits(&mut self, line: &str) {
        let Ok(decided) = serde_json::from_str::<Decided>(line) else {
            return;
        };
        let day = tallies::day(Moment::parse(&decided.at).map_or(0, |at| at.ms));
        let live = decided.rules.into_iter().map(|rule| (What::Hits, rule));
        let shadow = decided.shadow.into_iter().map(|rule| (What::Shadow, rule));
        for (what, rule) in live.chain(shadow) {
            self.add(what, day, &rule.id, 1);
        }
    }

    /// A verdict on an episode, for itself and for the rules that it names.
    pub fn verdict(&mut self, episode: &Episode, verdict: &str, rules: &[String], more: i64) {
        let Some(of_rule) = What::of_verdict(verdict) else {
            return;
        };
        let day = tallies::day(episode.first_at_ms);
        for rule in rules {
            self.add(of_rule, day, rule, more);
        }
        self.add(What::Verdicts, day, verdict, more);
    }

    /// An episode, by its severity.
    pub fn episode(&mut self, first_at_ms: i64, severity: Severity, more: i64) {
        self.add(
            What::Alerts,
            tallies::day(first_at_ms),
            severity.word(),
            more,
        );
    }

    /// An open case, by its severity.
    pub fn open(&mut self, severity: Severity, more: i64) {
        self.add(What::Open, 0, severity.word(), more);
    }

    /// Adds them to what is stored.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn put(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.0
            .iter()
            .try_for_each(|((what, day, key), more)| tallies::add(tx, *what, *day, key, *more))
    }

    /// Puts them in place of what is stored of their kinds from a day on. Of the days before it, of which only a part was
    /// seen again, the larger count stands.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn replace(
        &self,
        tx: &mut Tx<'_>,
        kinds: &[What],
        from_day: i64,
    ) -> Result<(), StoreError> {
        for what in kinds {
            tallies::clear(tx, *what, from_day)?;
        }
        for ((what, day, key), count) in &self.0 {
            if *day < from_day {
                tallies::raise(tx, *what, *day, key, *count)?;
            } else {
                tallies::add(tx, *what, *day, key, *count)?;
            }
        }
        Ok(())
    }
}
