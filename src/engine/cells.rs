//! Sparse counters: bucketed aggregates over long spans, and the states of sequences.
//!
//! Most cardholders never decline a transfer, so a counter exists only where something was
//! counted: 16 bytes for each bucket in use. An aggregate's span has sixty buckets; its value
//! covers the bucket in hand and the 59 before it. Sums of at most sixty cells are taken when
//! they are asked for, which is cheaper than keeping totals that few ask for.

use crate::engine::record::{CELL_WORDS, Record, Section, join, split};

/// Buckets of a span.
pub const BUCKETS: i64 = 60;
/// The most cells of one cardholder; beyond it the oldest gives way and is counted.
pub const MAX_CELLS: usize = 512;
/// The most distinct values that one aggregate keeps.
pub const MAX_DISTINCT: usize = 64;
/// Counter ids from here on are states of sequences.
pub const SEQUENCES: u32 = 0x8000;

/// One counter: of `id`, in `bucket`, with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Twice the aggregate's number, plus one for its second lane (the count of a mean, the base
    /// of a rate); or [`SEQUENCES`] plus a sequence's state.
    pub id: u32,
    /// Number of the bucket since 1970; 0 for what has none.
    pub bucket: u32,
    /// A count, a sum, an extreme, a fingerprint, or a time in milliseconds.
    pub value: i64,
}

impl Cell {
    fn read(words: &[u32; CELL_WORDS]) -> Self {
        let [id, bucket, low, high] = *words;
        Self {
            id,
            bucket,
            value: join(low, high).cast_signed(),
        }
    }

    fn words(self) -> [u32; CELL_WORDS] {
        let [low, high] = split(self.value.cast_unsigned());
        [self.id, self.bucket, low, high]
    }
}

/// All cells of a record, in order of making.
pub fn all(record: &Record) -> impl Iterator<Item = Cell> + '_ {
    record
        .section(Section::Cells)
        .as_chunks::<CELL_WORDS>()
        .0
        .iter()
        .map(Cell::read)
}

/// The cells of a counter whose buckets lie within the span ending with bucket `now`.
pub fn live(record: &Record, id: u32, now: u32) -> impl Iterator<Item = Cell> + '_ {
    all(record).filter(move |cell| cell.id == id && is_live(*cell, now))
}

/// Whether a cell's bucket lies within the sixty that end with `now`.
pub fn is_live(cell: Cell, now: u32) -> bool {
    i64::from(now) - i64::from(cell.bucket) < BUCKETS
}

/// The value of the only cell of a counter that has no buckets.
pub fn single(record: &Record, id: u32) -> Option<i64> {
    all(record)
        .find(|cell| cell.id == id)
        .map(|cell| cell.value)
}

/// Changes the cell of (id, bucket), or makes it with `change(None)`. Returns whether another
/// had to give way.
pub fn update(
    record: &mut Record,
    id: u32,
    bucket: u32,
    change: impl Fn(Option<i64>) -> i64,
) -> bool {
    let index = all(record).position(|cell| cell.id == id && cell.bucket == bucket);
    put(record, index, id, bucket, change)
}

/// Notes a distinct value: one cell for each value, moved to the newest bucket that saw it.
pub fn note_distinct(record: &mut Record, id: u32, bucket: u32, value: i64) -> bool {
    let known = all(record).position(|cell| cell.id == id && cell.value == value);
    if let Some(index) = known {
        let bucket = all(record)
            .nth(index)
            .map_or(bucket, |cell| cell.bucket.max(bucket));
        return put(record, Some(index), id, bucket, |_| value);
    }
    let mut gave_way = false;
    if all(record).filter(|cell| cell.id == id).count() >= MAX_DISTINCT {
        let oldest = all(record)
            .enumerate()
            .filter(|(_, cell)| cell.id == id)
            .min_by_key(|(_, cell)| cell.bucket)
            .map(|(index, _)| index);
        record.remove::<CELL_WORDS>(Section::Cells, oldest.unwrap_or(0), 1);
        gave_way = true;
    }
    put(record, None, id, bucket, |_| value) || gave_way
}

/// Removes every cell for which `dead` holds.
pub fn prune(record: &mut Record, dead: impl Fn(Cell) -> bool) {
    if record.counts().cells > 0 {
        record.retain::<CELL_WORDS>(Section::Cells, |words| !dead(Cell::read(words)));
    }
}

/// Gives every cell another form, or drops it where `rekey` gives none; for restored records whose
/// rule book has changed.
pub fn rekey(record: &mut Record, rekey: impl Fn(Cell) -> Option<Cell>) {
    record.retain::<CELL_WORDS>(Section::Cells, |words| {
        let cell = rekey(Cell::read(words));
        if let Some(cell) = cell {
            *words = cell.words();
        }
        cell.is_some()
    });
}

fn put(
    record: &mut Record,
    index: Option<usize>,
    id: u32,
    bucket: u32,
    change: impl Fn(Option<i64>) -> i64,
) -> bool {
    if let Some(index) = index {
        let (cells, _) = record
            .section_mut(Section::Cells)
            .as_chunks_mut::<CELL_WORDS>();
        if let Some(words) = cells.get_mut(index) {
            let value = change(Some(Cell::read(words).value));
            *words = Cell { id, bucket, value }.words();
        }
        return false;
    }
    let count = usize::from(record.counts().cells);
    let full = count >= MAX_CELLS;
    if full {
        record.remove::<CELL_WORDS>(Section::Cells, 0, 1);
    }
    let cell = Cell {
        id,
        bucket,
        value: change(None),
    };
    record.insert(
        Section::Cells,
        usize::from(record.counts().cells),
        cell.words(),
    );
    full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_covers_the_bucket_in_hand_and_the_59_before_it() {
        let mut record = Record::new(1, 0);
        for bucket in 100..170 {
            update(&mut record, 4, bucket, |old| old.unwrap_or(0) + 1);
        }
        assert_eq!(live(&record, 4, 169).map(|c| c.value).sum::<i64>(), 60);
        assert_eq!(live(&record, 4, 200).map(|c| c.value).sum::<i64>(), 29);
        prune(&mut record, |cell| !is_live(cell, 200));
        assert_eq!(record.counts().cells, 29);
    }

    #[test]
    fn a_value_seen_again_counts_once_and_lives_on() {
        let mut record = Record::new(1, 0);
        note_distinct(&mut record, 6, 10, -5);
        note_distinct(&mut record, 6, 11, 9);
        note_distinct(&mut record, 6, 60, -5);
        assert_eq!(live(&record, 6, 60).count(), 2);
        assert_eq!(
            live(&record, 6, 75).map(|c| c.value).collect::<Vec<_>>(),
            [-5]
        );
    }
}
