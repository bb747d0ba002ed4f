//! `report.json`: what a replay read, applied, refused and said, and its digest.
//!
//! Plain sums of what others counted; the labels are judged in `evaluation`.

use crate::engine::Engine;
use crate::replay::evaluation::{Case, Evaluation};
use crate::replay::sink::Sink;
use serde::Serialize;
use std::io;
use std::path::Path;

/// Decisions by action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Actions {
    /// Allowed.
    pub allow: u64,
    /// Stepped up.
    pub step_up: u64,
    /// Declined.
    pub decline: u64,
}

/// The report (EVENTS.md, Outputs).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Records read; always applied + duplicates + rejects (promise `no-loss`).
    pub events_read: u64,
    /// Events applied.
    pub events_applied: u64,
    /// Repeats within 72 h.
    pub duplicates: u64,
    /// Records refused.
    pub rejects: u64,
    /// Events behind their cardholder's clock.
    pub late: u64,
    /// Codes that we did not know.
    pub unknown_codes: u64,
    /// Fields that the contract does not have.
    pub unknown_fields: u64,
    /// Episodes opened.
    pub alerts: u64,
    /// Updates of open episodes.
    pub alert_updates: u64,
    /// Holds asked for.
    pub holds: u64,
    /// Decisions by action.
    pub decisions: Actions,
    /// Cardholders remembered at the end.
    pub cardholders: u64,
    /// Entries of histories and lists that gave way to a bound.
    pub gave_way: u64,
    /// The rule book's version.
    pub ruleset: String,
    /// Hash of the GeoIP databases that the places were looked up in.
    pub geo: String,
    /// SHA-256 over the alert, hold and decision lines.
    pub digest: String,
    /// Against labels, where the record has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Evaluation>,
    /// Each fraud case in each currency, where the record has labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraud_cases: Option<Vec<Case>>,
}

impl Report {
    /// Sums up.
    ///
    /// # Errors
    /// Where the files cannot be read again for the digest.
    pub fn new(
        sink: &Sink,
        engines: &[Engine],
        read: u64,
        unknown_fields: u64,
        geo: String,
    ) -> io::Result<Self> {
        let totals = &sink.totals;
        let [allow, step_up, decline] = totals.tally.actions;
        let confusion = sink.ledger.evaluate();
        let fraud_cases = confusion
            .as_ref()
            .map(|evaluation| evaluation.cases.clone());
        let cardholders: usize = engines.iter().map(Engine::remembered).sum();
        Ok(Self {
            events_read: read,
            events_applied: totals.tally.applied,
            duplicates: totals.tally.duplicates,
            rejects: totals.rejects,
            late: totals.tally.late,
            unknown_codes: totals.tally.unknown_codes,
            unknown_fields,
            alerts: totals.alerts,
            alert_updates: totals.alert_updates,
            holds: totals.holds,
            decisions: Actions {
                allow,
                step_up,
                decline,
            },
            cardholders: u64::try_from(cardholders).unwrap_or(0),
            gave_way: engines
                .iter()
                .map(|engine| engine.counters().gave_way)
                .sum(),
            ruleset: engines
                .first()
                .map_or_else(String::new, |e| e.prepared().version.to_string()),
            geo,
            digest: sink.digest()?,
            confusion,
            fraud_cases,
        })
    }

    /// Whether every record read was applied, counted as a duplicate, or refused (promise `no-loss`).
    pub fn adds_up(&self) -> bool {
        self.events_applied + self.duplicates + self.rejects == self.events_read
    }

    /// Writes it beside the other outputs.
    ///
    /// # Errors
    /// Where the disk does not take it.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(dir.join("report.json"), text)
    }
}
