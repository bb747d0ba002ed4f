//! A rebuild: what the topics say is laid down in tables of this connection, and at the end put over what is stored, in
//! one transaction, so that nobody ever reads half of it.
//!
//! Rows that the topics say nothing of any more are left as they are: a topic keeps its records for a time, the store
//! for good. What belongs to people (notes, claims) is in no topic and not touched.

use super::{StoreError, Tx};

/// What a rebuild put right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mended {
    /// Rows of alerts that were missing or wrong.
    pub alerts: u64,
    /// Rows of holds that were missing or wrong.
    pub holds: u64,
}

/// Lays out the tables, empty; they end with the connection.
///
/// # Errors
/// Where the store does not answer.
pub fn begin(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for sql in [
        "CREATE TEMPORARY TABLE rebuilt_alerts AS SELECT * FROM alerts WHERE 1 = 0",
        "CREATE UNIQUE INDEX rebuilt_alerts_by_id ON rebuilt_alerts (id)",
        "CREATE TEMPORARY TABLE rebuilt_holds AS SELECT * FROM holds WHERE 1 = 0",
        "CREATE UNIQUE INDEX rebuilt_holds_by_id ON rebuilt_holds (id)",
    ] {
        tx.change(sql, &[])?;
    }
    Ok(())
}

/// Puts what was laid down over what is stored.
///
/// # Errors
/// Where the store does not answer.
pub fn end(tx: &mut Tx<'_>) -> Result<Mended, StoreError> {
    // An episode whose first record is gone began when the store says it did.
    let alerts = tx.change(
        "INSERT INTO alerts (id, first_at, at, seen, changed, status, severity, score, fed, pattern, cardholder, card, line)
         SELECT id, first_at, at, seen, changed, status, severity, score, fed, pattern, cardholder, card, line
         FROM rebuilt_alerts WHERE 1 = 1
         ON CONFLICT (id) DO UPDATE SET at = excluded.at, changed = excluded.changed, status = excluded.status,
             severity = excluded.severity, score = excluded.score, fed = excluded.fed, pattern = excluded.pattern,
             cardholder = excluded.cardholder, card = excluded.card, line = excluded.line,
             first_at = CASE WHEN excluded.first_at < alerts.first_at THEN excluded.first_at ELSE alerts.first_at END
         WHERE alerts.line <> excluded.line OR alerts.status <> excluded.status OR alerts.fed <> excluded.fed
             OR alerts.severity <> excluded.severity OR alerts.score <> excluded.score OR alerts.at <> excluded.at
             OR alerts.pattern <> excluded.pattern OR alerts.cardholder <> excluded.cardholder
             OR coalesce(alerts.card, '') <> coalesce(excluded.card, '') OR alerts.first_at > excluded.first_at",
        &[],
    )?;
    let holds = tx.change(
        "INSERT INTO holds (id, alert, at, state, step, cardholder, card, line)
         SELECT id, alert, at, state, step, cardholder, card, line FROM rebuilt_holds WHERE 1 = 1
         ON CONFLICT (id) DO UPDATE SET alert = excluded.alert, at = excluded.at, state = excluded.state,
             step = excluded.step, cardholder = excluded.cardholder, card = excluded.card, line = excluded.line
         WHERE holds.line <> excluded.line OR holds.state <> excluded.state OR holds.step <> excluded.step
             OR holds.at <> excluded.at OR holds.alert <> excluded.alert OR holds.cardholder <> excluded.cardholder
             OR coalesce(holds.card, '') <> coalesce(excluded.card, '')",
        &[],
    )?;
    Ok(Mended { alerts, holds })
}
