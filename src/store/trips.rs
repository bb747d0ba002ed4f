//! Trips: log-ins that are on their way at an OpenID Connect provider. Each is used once and is soon over.
//!
//! The id is a hash of what the browser shows. What the provider is told follows from the browser's token as well and
//! is deliberately not kept: from here nobody can end a log-in that they have not begun.

use super::{StoreError, Tx};

/// Trips at once, of everybody; the oldest gives way.
pub const MAX_TRIPS: i64 = 10_000;
/// How long one may last, in milliseconds.
pub const LASTS_MS: i64 = 10 * 60_000;

/// What a trip is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trip {
    /// The page that it leads to; empty for none.
    pub back: String,
    /// The session that the browser had before; empty for none.
    pub session: String,
}

/// Begins one, after deleting what is over.
///
/// # Errors
/// Where the store does not answer.
pub fn begin(tx: &mut Tx<'_>, id: &str, trip: &Trip, now_ms: i64) -> Result<(), StoreError> {
    let over_ms = now_ms.saturating_sub(LASTS_MS);
    tx.change("DELETE FROM trips WHERE begun <= $1", &[over_ms.into()])?;
    tx.change(
        "DELETE FROM trips WHERE id IN (
             SELECT id FROM trips ORDER BY begun DESC, id DESC LIMIT 1000 OFFSET $1)",
        &[(MAX_TRIPS - 1).into()],
    )?;
    tx.change(
        "INSERT INTO trips (id, begun, back, session) VALUES ($1, $2, $3, $4)",
        &[
            id.into(),
            now_ms.into(),
            (&trip.back).into(),
            (&trip.session).into(),
        ],
    )
    .map(drop)
}

/// Ends one: nothing where there is none, another has ended it, or it took too long.
///
/// # Errors
/// Where the store does not answer.
pub fn end(tx: &mut Tx<'_>, id: &str, now_ms: i64) -> Result<Option<Trip>, StoreError> {
    let row = tx.row(
        "SELECT back, session FROM trips WHERE id = $1 AND begun > $2",
        &[id.into(), now_ms.saturating_sub(LASTS_MS).into()],
    )?;
    // Of two that read the same row one deletes it.
    let deleted = tx.change("DELETE FROM trips WHERE id = $1", &[id.into()])?;
    Ok(row.filter(|_| deleted == 1).map(|row| Trip {
        back: row.text(0).to_owned(),
        session: row.text(1).to_owned(),
    }))
}
