//! Dispositions of the log whose case has not come yet: kept until it does, and no longer than a month.
//!
//! The log, the alerts and their rows are not read in step: who reads the log faster, after a pause of the notifier say,
//! finds a disposition before its case.

use super::{StoreError, Tx};
use crate::domain::time::DAY_MS;

/// So many are kept.
pub const MAX_EARLY: i64 = 10_000;
/// For so long one is kept.
const KEPT_MS: i64 = 30 * DAY_MS;

/// Keeps one; the oldest give way.
///
/// # Errors
/// Where the store does not answer.
pub fn keep(
    tx: &mut Tx<'_>,
    id: &str,
    alert: &str,
    line: &str,
    came_ms: i64,
) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO early (id, alert, line, came) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
        &[id.into(), alert.into(), line.into(), came_ms.into()],
    )?;
    tx.change(
        "DELETE FROM early WHERE came < $1 OR id IN (SELECT id FROM early ORDER BY came DESC, id LIMIT 10 OFFSET $2)",
        &[(came_ms - KEPT_MS).into(), MAX_EARLY.into()],
    )
    .map(drop)
}

/// Takes those of an episode out, the oldest first: line, and when it came.
///
/// # Errors
/// Where the store does not answer.
pub fn take(tx: &mut Tx<'_>, alert: &str) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = tx.rows(
        "SELECT line, came FROM early WHERE alert = $1 ORDER BY came, id",
        &[alert.into()],
    )?;
    if !rows.is_empty() {
        tx.change("DELETE FROM early WHERE alert = $1", &[alert.into()])?;
    }
    let lines = rows.iter().map(|row| (row.text(0).to_owned(), row.int(1)));
    Ok(lines.collect())
}
