//! Who has looked at an episode, and what has changed since a moment: one row for each person and episode.
//!
//! Each single look stands in the audit log, which is chained and never forgets; these rows are for showing.

use super::{StoreError, Tx};

/// Changed episodes that are read at once.
pub const MAX_NEWS: i64 = 200;

/// Somebody who has looked at an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Who.
    pub person: String,
    /// When last.
    pub last_ms: i64,
    /// How often.
    pub times: i64,
}

/// Notes a look; false where the episode is not known.
///
/// # Errors
/// Where the store does not answer.
pub fn saw(tx: &mut Tx<'_>, alert: &str, person: &str, now_ms: i64) -> Result<bool, StoreError> {
    let noted = tx.change(
        "INSERT INTO views (alert, person, first, last, times)
         SELECT alerts.id, $2, CAST($3 AS BIGINT), CAST($3 AS BIGINT), 1 FROM alerts WHERE alerts.id = $1
         ON CONFLICT (alert, person) DO UPDATE SET last = excluded.last, times = views.times + 1",
        &[alert.into(), person.into(), now_ms.into()],
    )?;
    Ok(noted == 1)
}

/// Who has looked at an episode, the last one first, at most 20.
///
/// # Errors
/// Where the store does not answer.
pub fn of(tx: &mut Tx<'_>, alert: &str) -> Result<Vec<View>, StoreError> {
    let rows = tx.rows(
        "SELECT person, last, times FROM views WHERE alert = $1 ORDER BY last DESC, person LIMIT 20",
        &[alert.into()],
    )?;
    let views = rows.iter().map(|row| View {
        person: row.text(0).to_owned(),
        last_ms: row.int(1),
        times: row.int(2),
    });
    Ok(views.collect())
}

/// An episode that has come or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Its id.
    pub alert: String,
    /// When it was stored as it is.
    pub changed_ms: i64,
    /// `open`, `updated` or `closed`.
    pub status: String,
    /// 1 (low) to 4 (critical).
    pub severity: i64,
}

/// What has come or changed after a place in the order of changes, the oldest first.
///
/// # Errors
/// Where the store does not answer.
pub fn since(tx: &mut Tx<'_>, changed_ms: i64, alert: &str) -> Result<Vec<News>, StoreError> {
    let rows = tx.rows(
        "SELECT id, changed, status, severity FROM alerts
         WHERE changed >= $1 AND (changed > $1 OR id > $2) ORDER BY changed, id LIMIT $3",
        &[changed_ms.into(), alert.into(), MAX_NEWS.into()],
    )?;
    let news = rows.iter().map(|row| News {
        alert: row.text(0).to_owned(),
        changed_ms: row.int(1),
        status: row.text(2).to_owned(),
        severity: row.int(3),
    });
    Ok(news.collect())
}

/// The newest moment at which an episode has come or changed; 0 where there is none.
///
/// # Errors
/// Where the store does not answer.
pub fn newest_ms(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    tx.number("SELECT coalesce(max(changed), 0) FROM alerts", &[])
}
