//! Samples of records that were refused: the newest few of each reason, masked before they come here.
//! How many there were is counted elsewhere.

use super::{Row, StoreError, Tx};

/// Samples kept of a reason.
const MAX_OF_REASON: i64 = 3;
/// Samples kept in all: whoever writes dead letters chooses their reasons.
const MAX_SAMPLES: i64 = 100;

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// `topic/partition@offset` of the dead letter.
    pub place: String,
    /// The reject's code.
    pub reason: String,
    /// The reject's sentence.
    pub said: String,
    /// When it was refused, wall time.
    pub at_ms: i64,
    /// How it begins, masked.
    pub record: String,
}

/// Keeps one; older ones of its reason give way.
///
/// # Errors
/// Where the store does not answer.
pub fn keep(tx: &mut Tx<'_>, sample: &Sample) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO samples (place, reason, said, at, record) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (place) DO NOTHING",
        &[
            (&sample.place).into(),
            (&sample.reason).into(),
            (&sample.said).into(),
            sample.at_ms.into(),
            (&sample.record).into(),
        ],
    )?;
    tx.change(
        "DELETE FROM samples WHERE place IN (
             SELECT place FROM samples WHERE reason = $1 ORDER BY at DESC, place LIMIT 100 OFFSET $2)",
        &[(&sample.reason).into(), MAX_OF_REASON.into()],
    )?;
    tx.change(
        "DELETE FROM samples WHERE place IN (SELECT place FROM samples ORDER BY at DESC, place LIMIT 100 OFFSET $1)",
        &[MAX_SAMPLES.into()],
    )
    .map(drop)
}

/// All of them, by reason, the newest first.
///
/// # Errors
/// Where the store does not answer.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Sample>, StoreError> {
    let rows = tx.rows(
        "SELECT place, reason, said, at, record FROM samples ORDER BY reason, at DESC, place LIMIT $1",
        &[MAX_SAMPLES.into()],
    )?;
    let sample = |row: &Row| Sample {
        place: row.text(0).to_owned(),
        reason: row.text(1).to_owned(),
        said: row.text(2).to_owned(),
        at_ms: row.int(3),
        record: row.text(4).to_owned(),
    };
    Ok(rows.iter().map(sample).collect())
}
