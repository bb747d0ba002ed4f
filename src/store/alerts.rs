//! Episodes and holds as they were last told, by id: what the queue and mails are made of.
//!
//! A line that was told before, as happens after a crash of whoever scores, changes nothing here: an episode's count
//! only grows, `closed` is its end, and a hold only goes forward. What a line means to a route is not known here.

use super::{StoreError, Tx, Value};
use crate::domain::codes::{HoldState, Severity};
use crate::domain::time::Moment;
use serde::Deserialize;

/// What is read of an alert's line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Alert {
    /// The episode's id.
    pub id: String,
    /// Event time, RFC 3339.
    pub at: String,
    /// `open`, `updated` or `closed`.
    pub status: String,
    /// The card, where it concerns one.
    pub card: Option<String>,
    /// The cardholder's key.
    pub cardholder: String,
    /// The pattern.
    pub pattern: String,
    /// The word of a [`Severity`].
    pub severity: String,
    /// 0-999.
    pub score: i64,
    /// How many events fed it.
    pub count: i64,
}

impl Alert {
    /// Reads a line; nothing where it is none of ours.
    pub fn read(line: &str) -> Option<Self> {
        let alert: Self = serde_json::from_str(line).ok()?;
        let known = Severity::parse(&alert.severity).is_some();
        let stands = matches!(alert.status.as_str(), "open" | "updated" | "closed");
        (known && stands && Moment::parse(&alert.at).is_some()).then_some(alert)
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        Severity::parse(&self.severity).unwrap_or(Severity::Critical)
    }

    /// Whether the episode is over.
    pub fn is_closed(&self) -> bool {
        self.status == "closed"
    }
}

/// What is read of a hold's line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// Event time, RFC 3339.
    pub at: String,
    /// The card, where it concerns one.
    pub card: Option<String>,
    /// The cardholder's key.
    pub cardholder: String,
    /// The word of a [`HoldState`].
    pub state: String,
    /// The episode that it belongs to.
    pub alert: String,
}

impl Hold {
    /// Reads a line; nothing where it is none of ours.
    pub fn read(line: &str) -> Option<Self> {
        let hold: Self = serde_json::from_str(line).ok()?;
        HoldState::parse(&hold.state)?;
        Moment::parse(&hold.at)?;
        Some(hold)
    }

    /// How far it is in its life; it never goes back.
    fn step(&self) -> i64 {
        match HoldState::parse(&self.state) {
            None | Some(HoldState::Requested) => 0,
            Some(HoldState::Delivered) => 1,
            Some(HoldState::Acknowledged) => 2,
            Some(HoldState::Released | HoldState::Expired) => 3,
        }
    }
}

/// An episode with its newest line and the lines of its holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// The episode's id.
    pub id: String,
    /// When it began, in event time.
    pub first_at_ms: i64,
    /// How bad it is.
    pub severity: Severity,
    /// Its newest line.
    pub line: String,
    /// Its holds' newest lines.
    pub holds: Vec<String>,
}

fn ms(at: &str) -> i64 {
    Moment::parse(at).map_or(0, |moment| moment.ms)
}

/// The severity of a number in the store.
pub(super) fn severity(number: i64) -> Severity {
    let place = usize::try_from(number - 1).ok();
    let known = place.and_then(|place| Severity::ALL.get(place));
    known.copied().unwrap_or(Severity::Critical)
}

/// The number of a severity in the store.
pub(super) fn number(severity: Severity) -> Value {
    i64::from(severity.code()).into()
}

/// Keeps an alert's line in a table of alerts.
macro_rules! keep_alert {
    ($table:literal) => {
        concat!(
            "INSERT INTO ", $table, " (id, first_at, at, seen, changed, status, severity, score, fed, pattern, cardholder,
                 card, line)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (id) DO UPDATE SET at = excluded.at, changed = excluded.changed, status = excluded.status,
                 severity = excluded.severity, score = excluded.score, fed = excluded.fed, card = excluded.card,
                 line = excluded.line
             WHERE ", $table, ".status <> 'closed' AND (excluded.status = 'closed' OR excluded.fed > ", $table, ".fed)"
        )
    };
}

/// Keeps a hold's line in a table of holds.
macro_rules! keep_hold {
    ($table:literal) => {
        concat!(
            "INSERT INTO ", $table, " (id, alert, at, state, step, cardholder, card, line)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (id) DO UPDATE SET at = excluded.at, state = excluded.state, step = excluded.step,
                 line = excluded.line
             WHERE excluded.step > ", $table, ".step
                 OR (excluded.step = ", $table, ".step AND excluded.at > ", $table, ".at)"
        )
    };
}

/// Where lines are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// The tables that all read.
    Store,
    /// The tables of a rebuild: see `rebuilt.rs`.
    Rebuilt,
}

/// Keeps an alert's line; false where it says nothing new.
///
/// # Errors
/// Where the store does not answer.
pub fn keep(
    tx: &mut Tx<'_>,
    shelf: Shelf,
    alert: &Alert,
    line: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let changed = tx.change(
        match shelf {
            Shelf::Store => keep_alert!("alerts"),
            Shelf::Rebuilt => keep_alert!("rebuilt_alerts"),
        },
        &[
            (&alert.id).into(),
            ms(&alert.at).into(),
            ms(&alert.at).into(),
            now_ms.into(),
            now_ms.into(),
            (&alert.status).into(),
            number(alert.severity()),
            alert.score.into(),
            alert.count.into(),
            (&alert.pattern).into(),
            (&alert.cardholder).into(),
            alert.card.as_deref().into(),
            line.trim_end().into(),
        ],
    )?;
    Ok(changed == 1)
}

/// Keeps a hold's line; false where it says nothing new.
///
/// # Errors
/// Where the store does not answer.
pub fn keep_hold(
    tx: &mut Tx<'_>,
    shelf: Shelf,
    hold: &Hold,
    line: &str,
) -> Result<bool, StoreError> {
    let changed = tx.change(
        match shelf {
            Shelf::Store => keep_hold!("holds"),
            Shelf::Rebuilt => keep_hold!("rebuilt_holds"),
        },
        &[
            (&hold.id).into(),
            (&hold.alert).into(),
            ms(&hold.at).into(),
            (&hold.state).into(),
            hold.step().into(),
            (&hold.cardholder).into(),
            hold.card.as_deref().into(),
            line.trim_end().into(),
        ],
    )?;
    Ok(changed == 1)
}

/// An episode and its holds; nothing where it is not known.
///
/// # Errors
/// Where the store does not answer.
pub fn story(tx: &mut Tx<'_>, id: &str) -> Result<Option<Story>, StoreError> {
    let row = tx.row(
        "SELECT first_at, severity, line FROM alerts WHERE id = $1",
        &[id.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    // The newest are enough for a reader.
    let holds = tx.rows(
        "SELECT line FROM holds WHERE alert = $1 ORDER BY at DESC, id LIMIT 20",
        &[id.into()],
    )?;
    Ok(Some(Story {
        id: id.to_owned(),
        first_at_ms: row.int(0),
        severity: severity(row.int(1)),
        line: row.text(2).to_owned(),
        holds: holds.iter().map(|row| row.text(0).to_owned()).collect(),
    }))
}

/// How many holds were asked for and are not in force yet; at most 1,000 are counted.
///
/// # Errors
/// Where the store does not answer.
pub fn unacknowledged(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    tx.number(
        "SELECT count(*) FROM (SELECT id FROM holds WHERE step < 2 LIMIT 1000) AS waiting",
        &[],
    )
}

/// How many episodes there are, and how many holds.
///
/// # Errors
/// Where the store does not answer.
pub fn count(tx: &mut Tx<'_>) -> Result<(i64, i64), StoreError> {
    let alerts = tx.number("SELECT count(*) FROM alerts", &[])?;
    Ok((alerts, tx.number("SELECT count(*) FROM holds", &[])?))
}

/// Every line of episodes and holds, by id: what a rebuilt store must have too.
///
/// # Errors
/// Where the store does not answer.
pub fn lines(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let rows = tx.rows(
        "SELECT line, id FROM alerts UNION ALL SELECT line, id FROM holds ORDER BY id",
        &[],
    )?;
    Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
}
