//! The next record of each partition that we read, kept in the transaction of what the records before it caused: this
//! is what makes nothing lost and nothing doubled over a crash.

use super::{StoreError, Tx};
use std::collections::BTreeMap;

/// The next offset by topic and partition, as far as anything was read.
///
/// # Errors
/// Where the store does not answer.
pub fn all(tx: &mut Tx<'_>) -> Result<BTreeMap<(String, i32), i64>, StoreError> {
    let rows = tx.rows("SELECT topic, part, next FROM offsets", &[])?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let part = i32::try_from(row.int(1)).ok()?;
            Some(((row.text(0).to_owned(), part), row.int(2)))
        })
        .collect())
}

/// Keeps the next offset of a partition.
///
/// # Errors
/// Where the store does not answer.
pub fn keep(tx: &mut Tx<'_>, topic: &str, part: i32, next: i64) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO offsets (topic, part, next) VALUES ($1, $2, $3)
         ON CONFLICT (topic, part) DO UPDATE SET next = excluded.next",
        &[topic.into(), i64::from(part).into(), next.into()],
    )
    .map(drop)
}
