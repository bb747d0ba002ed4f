//! Silences: what is not to be told for a while, by whom and why. A silence delays and does not delete: an episode that
//! is still open at its end is told then.

use super::alerts::{number, severity};
use super::{StoreError, Tx};
use crate::domain::codes::Severity;

/// Silences that may be in force at once.
pub const MAX_IN_FORCE: i64 = 1_000;

/// What is not to be told for a while. An empty text matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// Only this pattern.
    pub pattern: String,
    /// Only this cardholder.
    pub cardholder: String,
    /// Only this card.
    pub card: String,
    /// Only up to this severity.
    pub below: Severity,
    /// Who wanted it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// From when, wall time.
    pub begins_ms: i64,
    /// Until when.
    pub ends_ms: i64,
}

/// Adds one.
///
/// # Errors
/// Where there are too many, or the store does not answer.
pub fn add(tx: &mut Tx<'_>, silence: &Silence) -> Result<(), StoreError> {
    let in_force = tx.number(
        "SELECT count(*) FROM silences WHERE ends > $1",
        &[silence.begins_ms.into()],
    )?;
    if in_force >= MAX_IN_FORCE {
        let text = format!("there are {in_force} silences in force already");
        return Err(StoreError::Failed(text));
    }
    tx.change(
        "INSERT INTO silences (id, pattern, cardholder, card, below, author, comment, begins, ends)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
        &[
            (&silence.id).into(),
            (&silence.pattern).into(),
            (&silence.cardholder).into(),
            (&silence.card).into(),
            number(silence.below),
            (&silence.author).into(),
            (&silence.comment).into(),
            silence.begins_ms.into(),
            silence.ends_ms.into(),
        ],
    )
    .map(drop)
}

/// Those in force now, the first to end first.
///
/// # Errors
/// Where the store does not answer.
pub fn in_force(tx: &mut Tx<'_>, now_ms: i64) -> Result<Vec<Silence>, StoreError> {
    let rows = tx.rows(
        "SELECT id, pattern, cardholder, card, below, author, comment, begins, ends FROM silences
         WHERE begins <= $1 AND ends > $1 ORDER BY ends, id LIMIT $2",
        &[now_ms.into(), MAX_IN_FORCE.into()],
    )?;
    let silences = rows.iter().map(|row| Silence {
        id: row.text(0).to_owned(),
        pattern: row.text(1).to_owned(),
        cardholder: row.text(2).to_owned(),
        card: row.text(3).to_owned(),
        below: severity(row.int(4)),
        author: row.text(5).to_owned(),
        comment: row.text(6).to_owned(),
        begins_ms: row.int(7),
        ends_ms: row.int(8),
    });
    Ok(silences.collect())
}

/// Ends one now: what waited for its end is due; false where none of that id is in force.
///
/// # Errors
/// Where the store does not answer.
pub fn end(tx: &mut Tx<'_>, id: &str, now_ms: i64) -> Result<bool, StoreError> {
    let changed = tx.change(
        "UPDATE silences SET ends = $1 WHERE id = $2 AND ends > $1",
        &[now_ms.into(), id.into()],
    )?;
    tx.change(
        "UPDATE waiting SET due = $1, silence = NULL WHERE silence = $2",
        &[now_ms.into(), id.into()],
    )?;
    Ok(changed == 1)
}

/// Puts off what is due and silenced, to the end of the silence.
///
/// # Errors
/// Where the store does not answer.
pub fn put_off(tx: &mut Tx<'_>, silence: &Silence, now_ms: i64) -> Result<u64, StoreError> {
    tx.change(
        "UPDATE waiting SET due = $1, silence = $2 WHERE due <= $3 AND EXISTS (
             SELECT 1 FROM alerts WHERE alerts.id = waiting.alert AND ($4 = '' OR pattern = $4)
                 AND ($5 = '' OR cardholder = $5) AND ($6 = '' OR card = $6) AND severity <= $7)",
        &[
            silence.ends_ms.into(),
            (&silence.id).into(),
            now_ms.into(),
            (&silence.pattern).into(),
            (&silence.cardholder).into(),
            (&silence.card).into(),
            number(silence.below),
        ],
    )
}
