//! What people do with an episode: claims, notes, dispositions.
//!
//! A disposition is an event of the log first; its row is what the console shows and counts. Everything here is
//! bounded for each episode and goes when the episode goes.

use super::{Row, StoreError, Tx};

/// Notes of one episode.
pub const MAX_NOTES: i64 = 200;
/// Dispositions of one episode.
pub const MAX_DISPOSITIONS: i64 = 50;

/// Who works on an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Their name.
    pub person: String,
    /// Since when.
    pub since_ms: i64,
}

/// What somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: String,
    /// Who.
    pub person: String,
    /// When.
    pub at_ms: i64,
    /// What.
    pub text: String,
}

/// What somebody found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// The event's id in the log.
    pub id: String,
    /// `fraud`, `good` or `undetermined`.
    pub verdict: String,
    /// Who.
    pub person: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at_ms: i64,
}

/// Why a note or claim is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no such episode.
    Unknown,
    /// It has too many already.
    Full,
}

fn is_known(tx: &mut Tx<'_>, alert: &str) -> Result<bool, StoreError> {
    let known = tx.row("SELECT id FROM alerts WHERE id = $1", &[alert.into()])?;
    Ok(known.is_some())
}

/// Claims an episode; the answer is who has it then. Another's claim stands, unless it is the one of `instead_of`.
///
/// # Errors
/// Where the store does not answer.
pub fn claim(
    tx: &mut Tx<'_>,
    alert: &str,
    person: &str,
    instead_of: Option<&str>,
    now_ms: i64,
) -> Result<Result<Claim, Refused>, StoreError> {
    if !is_known(tx, alert)? {
        return Ok(Err(Refused::Unknown));
    }
    tx.change(
        "INSERT INTO claims (alert, person, since) VALUES ($1, $2, $3)
         ON CONFLICT (alert) DO UPDATE SET person = excluded.person, since = excluded.since
         WHERE claims.person = $4",
        &[
            alert.into(),
            person.into(),
            now_ms.into(),
            instead_of.into(),
        ],
    )?;
    // Of two at once the second waits for the first, and finds their claim here.
    let claim = claim_of(tx, alert)?;
    name_holder(tx, alert)?;
    Ok(claim.ok_or(Refused::Unknown))
}

/// Who works on an episode.
///
/// # Errors
/// Where the store does not answer.
pub fn claim_of(tx: &mut Tx<'_>, alert: &str) -> Result<Option<Claim>, StoreError> {
    let row = tx.row(
        "SELECT person, since FROM claims WHERE alert = $1",
        &[alert.into()],
    )?;
    Ok(row.map(|row| Claim {
        person: row.text(0).to_owned(),
        since_ms: row.int(1),
    }))
}

/// The queue finds a case by who works on it: an index holds that.
fn name_holder(tx: &mut Tx<'_>, alert: &str) -> Result<(), StoreError> {
    tx.change(
        "UPDATE cases SET person = coalesce((SELECT person FROM claims WHERE claims.alert = cases.alert), '')
         WHERE alert = $1",
        &[alert.into()],
    )
    .map(drop)
}

/// Gives a claim back; false where it was not theirs.
///
/// # Errors
/// Where the store does not answer.
pub fn give_back(tx: &mut Tx<'_>, alert: &str, person: &str) -> Result<bool, StoreError> {
    let gone = tx.change(
        "DELETE FROM claims WHERE alert = $1 AND person = $2",
        &[alert.into(), person.into()],
    )?;
    name_holder(tx, alert)?;
    Ok(gone == 1)
}

/// Whether a hold belongs to an episode.
///
/// # Errors
/// Where the store does not answer.
pub fn is_hold_of(tx: &mut Tx<'_>, hold: &str, alert: &str) -> Result<bool, StoreError> {
    let row = tx.row("SELECT alert FROM holds WHERE id = $1", &[hold.into()])?;
    Ok(row.is_some_and(|row| row.text(0) == alert))
}

/// Writes a note; one of the same id is a repeat and changes nothing.
///
/// # Errors
/// Where the store does not answer.
pub fn write(tx: &mut Tx<'_>, alert: &str, note: &Note) -> Result<Result<(), Refused>, StoreError> {
    if !is_known(tx, alert)? {
        return Ok(Err(Refused::Unknown));
    }
    let count = tx.number(
        "SELECT count(*) FROM notes WHERE alert = $1",
        &[alert.into()],
    )?;
    if count >= MAX_NOTES {
        return Ok(Err(Refused::Full));
    }
    tx.change(
        "INSERT INTO notes (id, alert, person, at, text) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (id) DO NOTHING",
        &[
            (&note.id).into(),
            alert.into(),
            (&note.person).into(),
            note.at_ms.into(),
            (&note.text).into(),
        ],
    )?;
    Ok(Ok(()))
}

/// The notes of an episode, the oldest first.
///
/// # Errors
/// Where the store does not answer.
pub fn notes_of(tx: &mut Tx<'_>, alert: &str) -> Result<Vec<Note>, StoreError> {
    let rows = tx.rows(
        "SELECT id, person, at, text FROM notes WHERE alert = $1 ORDER BY at, id LIMIT $2",
        &[alert.into(), MAX_NOTES.into()],
    )?;
    let note = |row: &Row| Note {
        id: row.text(0).to_owned(),
        person: row.text(1).to_owned(),
        at_ms: row.int(2),
        text: row.text(3).to_owned(),
    };
    Ok(rows.iter().map(note).collect())
}

/// Keeps a disposition that is in the log; false where it was kept before, or the episode is not known. The oldest of
/// too many gives way.
///
/// # Errors
/// Where the store does not answer.
pub fn dispose(tx: &mut Tx<'_>, alert: &str, found: &Disposition) -> Result<bool, StoreError> {
    let kept = tx.change(
        "INSERT INTO dispositions (id, alert, verdict, person, reason, at)
         SELECT $1, alerts.id, $3, $4, $5, CAST($6 AS BIGINT) FROM alerts WHERE alerts.id = $2
         ON CONFLICT (id) DO NOTHING",
        &[
            (&found.id).into(),
            alert.into(),
            (&found.verdict).into(),
            (&found.person).into(),
            (&found.reason).into(),
            found.at_ms.into(),
        ],
    )?;
    tx.change(
        "DELETE FROM dispositions WHERE id IN (
             SELECT id FROM dispositions WHERE alert = $1 ORDER BY at DESC, id LIMIT 10 OFFSET $2)",
        &[alert.into(), MAX_DISPOSITIONS.into()],
    )?;
    // One that was known says nothing of who took the episode up again since.
    if kept == 1 {
        tx.change("DELETE FROM claims WHERE alert = $1", &[alert.into()])?;
        name_holder(tx, alert)?;
    }
    Ok(kept == 1)
}

/// The dispositions of an episode, the newest first.
///
/// # Errors
/// Where the store does not answer.
pub fn dispositions_of(tx: &mut Tx<'_>, alert: &str) -> Result<Vec<Disposition>, StoreError> {
    let rows = tx.rows(
        "SELECT id, verdict, person, reason, at FROM dispositions WHERE alert = $1
         ORDER BY at DESC, id LIMIT $2",
        &[alert.into(), MAX_DISPOSITIONS.into()],
    )?;
    let disposition = |row: &Row| Disposition {
        id: row.text(0).to_owned(),
        verdict: row.text(1).to_owned(),
        person: row.text(2).to_owned(),
        reason: row.text(3).to_owned(),
        at_ms: row.int(4),
    };
    Ok(rows.iter().map(disposition).collect())
}
