//! What each route has been told of an episode and what it is still to be told, and how many messages each receiver got.
//!
//! When something is due is decided by `notify`; here it is only kept.

use super::alerts::severity;
use super::{StoreError, Tx};
use crate::domain::codes::Severity;

/// Why a route is to be told of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is new to the route.
    New,
    /// It is worse than it was when it was told last.
    Raised,
    /// It has only grown.
    Grown,
    /// It is still open.
    Reminder,
}

impl Why {
    /// The word in the store, and for templates.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Raised => "raised",
            Self::Grown => "grown",
            Self::Reminder => "reminder",
        }
    }
}

/// What a route has been told of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// How often.
    pub times: i64,
    /// When last.
    pub last_ms: i64,
    /// How bad it was then.
    pub severity: Severity,
}

/// An episode that a route is to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The episode's id.
    pub alert: String,
    /// The word of a [`Why`].
    pub why: String,
    /// How often the route has been told of it.
    pub times: i64,
}

/// What a route has been told of an episode; nothing where it was told nothing.
///
/// # Errors
/// Where the store does not answer.
pub fn told(tx: &mut Tx<'_>, route: &str, alert: &str) -> Result<Option<Told>, StoreError> {
    let row = tx.row(
        "SELECT times, last, severity FROM told WHERE route = $1 AND alert = $2",
        &[route.into(), alert.into()],
    )?;
    Ok(row.map(|row| Told {
        times: row.int(0),
        last_ms: row.int(1),
        severity: severity(row.int(2)),
    }))
}

/// A route is to be told of an episode; what is due earlier stays so.
///
/// # Errors
/// Where the store does not answer.
pub fn wait(
    tx: &mut Tx<'_>,
    route: &str,
    alert: &str,
    why: Why,
    due_ms: i64,
) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO waiting (route, alert, why, due) VALUES ($1, $2, $3, $4)
         ON CONFLICT (route, alert) DO UPDATE SET due = excluded.due, silence = NULL,
             why = CASE WHEN waiting.why = 'new' THEN 'new' ELSE excluded.why END
         WHERE excluded.due < waiting.due",
        &[route.into(), alert.into(), why.word().into(), due_ms.into()],
    )
    .map(drop)
}

/// An episode is over: nobody needs to hear more of it than that it was there.
///
/// # Errors
/// Where the store does not answer.
pub fn over(tx: &mut Tx<'_>, alert: &str) -> Result<(), StoreError> {
    tx.change(
        "DELETE FROM waiting WHERE alert = $1 AND (why <> 'new' OR silence IS NOT NULL)",
        &[alert.into()],
    )
    .map(drop)
}

/// How many episodes a route is to be told of by now, and since when the first of them is due.
///
/// # Errors
/// Where the store does not answer.
pub fn count_due(tx: &mut Tx<'_>, route: &str, now_ms: i64) -> Result<(i64, i64), StoreError> {
    let row = tx.row(
        "SELECT count(*), min(due) FROM waiting WHERE route = $1 AND due <= $2",
        &[route.into(), now_ms.into()],
    )?;
    Ok(row.map_or((0, 0), |row| (row.int(0), row.int(1))))
}

/// When something is due next, whatever route.
///
/// # Errors
/// Where the store does not answer.
pub fn next_due(tx: &mut Tx<'_>) -> Result<Option<i64>, StoreError> {
    let row = tx.row("SELECT due FROM waiting ORDER BY due LIMIT 1", &[])?;
    Ok(row.map(|row| row.int(0)))
}

/// How many episodes of each severity a route is to be told of by now, the worst first.
///
/// # Errors
/// Where the store does not answer.
pub fn severities_due(
    tx: &mut Tx<'_>,
    route: &str,
    now_ms: i64,
) -> Result<Vec<(Severity, i64)>, StoreError> {
    let rows = tx.rows(
        "SELECT alerts.severity, count(*) FROM waiting JOIN alerts ON alerts.id = waiting.alert
         WHERE waiting.route = $1 AND waiting.due <= $2 GROUP BY alerts.severity ORDER BY alerts.severity DESC",
        &[route.into(), now_ms.into()],
    )?;
    Ok(rows
        .iter()
        .map(|row| (severity(row.int(0)), row.int(1)))
        .collect())
}

/// The episodes that a route is to be told of by now, the worst first.
///
/// # Errors
/// Where the store does not answer.
pub fn due(tx: &mut Tx<'_>, route: &str, now_ms: i64, most: i64) -> Result<Vec<Due>, StoreError> {
    let rows = tx.rows(
        "SELECT waiting.alert, waiting.why, coalesce(told.times, 0)
         FROM waiting JOIN alerts ON alerts.id = waiting.alert
         LEFT JOIN told ON told.route = waiting.route AND told.alert = waiting.alert
         WHERE waiting.route = $1 AND waiting.due <= $2
         ORDER BY alerts.severity DESC, alerts.score DESC, waiting.alert LIMIT $3",
        &[route.into(), now_ms.into(), most.into()],
    )?;
    let due = rows.iter().map(|row| Due {
        alert: row.text(0).to_owned(),
        why: row.text(1).to_owned(),
        times: row.int(2),
    });
    Ok(due.collect())
}

/// A route is told now of one episode.
///
/// # Errors
/// Where the store does not answer.
pub fn tell_one(tx: &mut Tx<'_>, route: &str, alert: &str, now_ms: i64) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO told (route, alert, times, last, severity)
         SELECT CAST($1 AS TEXT), id, 1, CAST($2 AS BIGINT), severity FROM alerts WHERE id = $3
         ON CONFLICT (route, alert) DO UPDATE SET times = told.times + 1, last = excluded.last,
             severity = excluded.severity",
        &[route.into(), now_ms.into(), alert.into()],
    )?;
    tx.change(
        "DELETE FROM waiting WHERE route = $1 AND alert = $2",
        &[route.into(), alert.into()],
    )
    .map(drop)
}

/// A route is told now of all that is due.
///
/// # Errors
/// Where the store does not answer.
pub fn tell_all(tx: &mut Tx<'_>, route: &str, now_ms: i64) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO told (route, alert, times, last, severity)
         SELECT CAST($1 AS TEXT), alerts.id, 1, CAST($2 AS BIGINT), alerts.severity FROM alerts JOIN waiting ON waiting.alert = alerts.id
         WHERE waiting.route = $1 AND waiting.due <= $2
         ON CONFLICT (route, alert) DO UPDATE SET times = told.times + 1, last = excluded.last,
             severity = excluded.severity",
        &[route.into(), now_ms.into()],
    )?;
    tx.change(
        "DELETE FROM waiting WHERE route = $1 AND due <= $2",
        &[route.into(), now_ms.into()],
    )
    .map(drop)
}

/// Those told just now that are still open are to be told again, unless they were told often enough.
///
/// # Errors
/// Where the store does not answer.
pub fn remind(
    tx: &mut Tx<'_>,
    route: &str,
    told_ms: i64,
    most_times: i64,
    due_ms: i64,
) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO waiting (route, alert, why, due)
         SELECT told.route, told.alert, 'reminder', CAST($1 AS BIGINT) FROM told JOIN alerts ON alerts.id = told.alert
         WHERE told.route = $2 AND told.last = $3 AND told.times < $4 AND alerts.status <> 'closed'
         ON CONFLICT (route, alert) DO NOTHING",
        &[due_ms.into(), route.into(), told_ms.into(), most_times.into()],
    )
    .map(drop)
}

/// How far the messages to a receiver are spent: see `notify/pace.rs`; 0 where it never got one.
///
/// # Errors
/// Where the store does not answer.
pub fn spent(tx: &mut Tx<'_>, receiver: &str) -> Result<i64, StoreError> {
    tx.number(
        "SELECT spent FROM paces WHERE receiver = $1",
        &[receiver.into()],
    )
}

/// Keeps how far the messages to a receiver are spent.
///
/// # Errors
/// Where the store does not answer.
pub fn spend(tx: &mut Tx<'_>, receiver: &str, spent_ms: i64) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO paces (receiver, spent) VALUES ($1, $2)
         ON CONFLICT (receiver) DO UPDATE SET spent = excluded.spent",
        &[receiver.into(), spent_ms.into()],
    )
    .map(drop)
}
