//! Sessions: who is logged in, since when, seen when. Of the token that a browser shows only the SHA-256 is kept.
//!
//! A session is over at its absolute end, or when it was not seen for a while; what is over is deleted.

use super::people::Person;
use super::{StoreError, Tx};

/// Sessions of one person; the oldest gives way.
pub const MAX_EACH: i64 = 20;
/// How often it is written down that a session was seen, in milliseconds: a look at a page should not cost a write.
pub const SEEN_EVERY_MS: i64 = 10_000;

/// A session in force.
#[derive(Debug, Clone)]
pub struct Session {
    /// Whose.
    pub person: Person,
    /// When it was seen last.
    pub seen_ms: i64,
    /// When it ends at the latest.
    pub ends_ms: i64,
}

/// Begins one, after deleting what is over.
///
/// # Errors
/// Where the store does not answer.
pub fn begin(
    tx: &mut Tx<'_>,
    id: &str,
    person: &str,
    now_ms: i64,
    ends_ms: i64,
) -> Result<(), StoreError> {
    tx.change(
        "DELETE FROM sessions WHERE id IN (
             SELECT id FROM sessions WHERE person = $1 ORDER BY begun DESC, id LIMIT 1000 OFFSET $2)",
        &[person.into(), (MAX_EACH - 1).into()],
    )?;
    tx.change(
        "INSERT INTO sessions (id, person, begun, seen, ends) VALUES ($1, $2, $3, $3, $4)",
        &[id.into(), person.into(), now_ms.into(), ends_ms.into()],
    )
    .map(drop)
}

/// The session of that id, if it is in force: not at its end, seen within `idle_ms`, its person not disabled.
///
/// # Errors
/// Where the store does not answer.
pub fn find(
    tx: &mut Tx<'_>,
    id: &str,
    now_ms: i64,
    idle_ms: i64,
) -> Result<Option<Session>, StoreError> {
    let row = tx.row(
        "SELECT people.name, people.role, sessions.seen, sessions.ends
         FROM sessions JOIN people ON people.name = sessions.person
         WHERE sessions.id = $1 AND sessions.ends > $2 AND sessions.seen > $3 AND people.disabled = 0",
        &[id.into(), now_ms.into(), now_ms.saturating_sub(idle_ms).into()],
    )?;
    Ok(row.map(|row| Session {
        person: Person {
            name: row.text(0).to_owned(),
            role: row.text(1).to_owned(),
            password: String::new(),
            is_disabled: false,
            provider: None,
        },
        seen_ms: row.int(2),
        ends_ms: row.int(3),
    }))
}

/// Notes that a session was seen.
///
/// # Errors
/// Where the store does not answer.
pub fn saw(tx: &mut Tx<'_>, id: &str, now_ms: i64) -> Result<(), StoreError> {
    tx.change(
        "UPDATE sessions SET seen = $2 WHERE id = $1",
        &[id.into(), now_ms.into()],
    )
    .map(drop)
}

/// Ends one; false where it was over.
///
/// # Errors
/// Where the store does not answer.
pub fn end(tx: &mut Tx<'_>, id: &str) -> Result<bool, StoreError> {
    Ok(tx.change("DELETE FROM sessions WHERE id = $1", &[id.into()])? == 1)
}

/// Ends all of one person.
///
/// # Errors
/// Where the store does not answer.
pub fn end_all(tx: &mut Tx<'_>, person: &str) -> Result<u64, StoreError> {
    tx.change("DELETE FROM sessions WHERE person = $1", &[person.into()])
}

/// Deletes those that are over.
///
/// # Errors
/// Where the store does not answer.
pub fn forget(tx: &mut Tx<'_>, now_ms: i64, idle_ms: i64) -> Result<u64, StoreError> {
    let idle = now_ms.saturating_sub(idle_ms);
    tx.change(
        "DELETE FROM sessions WHERE ends <= $1 OR seen <= $2",
        &[now_ms.into(), idle.into()],
    )
}
