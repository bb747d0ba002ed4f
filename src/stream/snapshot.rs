//! A partition's snapshot as bytes: where it stood in the log, what it had seen of each source,
//! the rule book in force, and the engine's own checkpoint.
//!
//! All numbers little-endian: magic, format (u32), partition (i32), next offset (i64), fingerprint
//! of the record before it (u64), sources (count, then length, text, offset each), the rule book's
//! control record (length, bytes), XXH3-64 of all before, and then the engine's checkpoint, which
//! has its own checksum. Where the bytes are kept is `vault`'s business.

use crate::engine::checkpoint::CheckpointError;
use std::sync::Arc;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 8] = *b"VARSELSH";
/// Raised with every change of what is written.
const FORMAT: u32 = 1;
/// The most sources of one partition: a bank's topics have some tens of partitions each.
pub const MAX_SOURCES: usize = 65_536;

/// Where a partition stands, apart from its engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The log's partition.
    pub partition: i32,
    /// The next offset to be applied.
    pub next: i64,
    /// Fingerprint of the record at `next - 1`; 0 where none was applied.
    pub last_fp: u64,
    /// The highest offset seen of each source partition (`topic/partition`).
    pub sources: Vec<(Arc<str>, i64)>,
    /// The control record of the rule book in force; empty where the log has named none.
    pub book: Vec<u8>,
}

/// Why a snapshot cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// It does not begin as one does.
    #[error("this is no snapshot of a partition")]
    NotASnapshot,
    /// It has another format.
    #[error("the snapshot has format {0}, this binary reads format {FORMAT}")]
    Version(u32),
    /// It was cut short or changed.
    #[error("the snapshot is damaged (checksum)")]
    Checksum,
    /// It belongs to another partition.
    #[error("the snapshot is of partition {0}")]
    Partition(i32),
    /// The engine's part cannot be read.
    #[error(transparent)]
    Engine(#[from] CheckpointError),
}

impl Standing {
    /// Appends all but the engine's part.
    pub fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.partition.to_le_bytes());
        out.extend_from_slice(&self.next.to_le_bytes());
        out.extend_from_slice(&self.last_fp.to_le_bytes());
        put_len(out, self.sources.len());
        for (source, offset) in &self.sources {
            put_len(out, source.len());
            out.extend_from_slice(source.as_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
        }
        put_len(out, self.book.len());
        out.extend_from_slice(&self.book);
        let checksum = xxh3_64(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&checksum.to_le_bytes());
    }

    /// Reads what [`Standing::put`] wrote, and where the engine's part begins.
    ///
    /// # Errors
    /// Where it is none, of another format or partition, or damaged.
    pub fn read(bytes: &[u8], partition: i32) -> Result<(Self, &[u8]), SnapshotError> {
        let mut from = Taken(bytes);
        if from.take::<8>() != Some(MAGIC) {
            return Err(SnapshotError::NotASnapshot);
        }
        let format = from
            .take()
            .map(u32::from_le_bytes)
            .ok_or(SnapshotError::NotASnapshot)?;
        if format != FORMAT {
            return Err(SnapshotError::Version(format));
        }
        let standing = Self::rest(&mut from).ok_or(SnapshotError::Checksum)?;
        let written = bytes.len() - from.0.len();
        let computed = xxh3_64(bytes.get(..written).unwrap_or_default());
        if from.take().map(u64::from_le_bytes) != Some(computed) {
            return Err(SnapshotError::Checksum);
        }
        if standing.partition != partition {
            return Err(SnapshotError::Partition(standing.partition));
        }
        Ok((standing, from.0))
    }

    fn rest(from: &mut Taken<'_>) -> Option<Self> {
        let partition = i32::from_le_bytes(from.take()?);
        let next = i64::from_le_bytes(from.take()?);
        let last_fp = u64::from_le_bytes(from.take()?);
        let count = from.len()?;
        if count > MAX_SOURCES {
            return None;
        }
        let mut sources = Vec::with_capacity(count);
        for _ in 0..count {
            let length = from.len()?;
            let text = std::str::from_utf8(from.bytes(length)?).ok()?;
            sources.push((Arc::from(text), i64::from_le_bytes(from.take()?)));
        }
        let length = from.len()?;
        let book = from.bytes(length)?.to_vec();
        Some(Self {
            partition,
            next,
            last_fp,
            sources,
            book,
        })
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

/// Bytes not read yet.
struct Taken<'a>(&'a [u8]);

impl<'a> Taken<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn len(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.take()?)).ok()
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> Standing {
        Standing {
            partition: 3,
            next: 1_000,
            last_fp: 77,
            sources: vec![(Arc::from("bank.eid/0"), 12), (Arc::from("bank.eid/1"), 9)],
            book: b"{}".to_vec(),
        }
    }

    #[test]
    fn a_snapshot_reads_as_it_was_written() {
        let mut bytes = Vec::new();
        standing().put(&mut bytes);
        bytes.extend_from_slice(b"engine");
        assert_eq!(
            Standing::read(&bytes, 3),
            Ok((standing(), b"engine".as_slice()))
        );
        assert_eq!(
            Standing::read(&bytes, 4),
            Err(SnapshotError::Partition(3)),
            "of another partition"
        );
    }

    #[test]
    fn every_changed_or_missing_byte_of_a_snapshot_is_seen() {
        let mut bytes = Vec::new();
        standing().put(&mut bytes);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Standing::read(&changed, 3).is_err(), "byte {at}");
            assert!(Standing::read(&bytes[..at], 3).is_err(), "cut at {at}");
        }
    }
}
