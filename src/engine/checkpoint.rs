//! Checkpoints: a shard's state as bytes and back. Files, offsets and when to write belong to the
//! shell; nothing here reads or writes anything but memory.
//!
//! The bytes, all numbers little-endian: magic, format version (u32), [`tables::Tables`] (book,
//! tick, counters, identities of aggregates and sequences, names of MCC groups, number of
//! cardholders), then the cardholders in ascending order of key, and the XXH3-64 of all before it.
//! A cardholder is a head of 23 words, the record's own words as they lie in memory, and, where
//! something is open, its length and texts ([`open`]). Read and written in one pass.

pub mod bytes;
pub mod open;
pub mod tables;
#[cfg(test)]
mod tests;

use crate::engine::cold::Cold;
use crate::engine::habit::Habit;
use crate::engine::prepared::Prepared;
use crate::engine::record::{Counts, Marks, Record, join, split};
use crate::engine::{Counters, Engine};
use bytes::Reader;
use open::Texts;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use tables::{Tables, Translation};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// The first bytes of every checkpoint.
pub const MAGIC: [u8; 8] = *b"VARSELCP";
/// The version of the format. To be raised with every change of what is written, the words and
/// countries whose codes stand in it included.
pub const FORMAT: u32 = 3;
/// Bytes before the tables.
const FRONT: usize = 12;
/// Bytes of the checksum.
const CHECKSUM: usize = 8;
/// Words before a record's own.
const HEAD_WORDS: usize = 23;
/// Where none of the parts was ever ticked, new aggregates count from their newest event.
const NO_TICK: i64 = 0;

/// Why a checkpoint cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// It does not begin as a checkpoint does, or is too short to be one.
    #[error("this is not a checkpoint; name a file that was written as one")]
    NotACheckpoint,
    /// It has another format.
    #[error(
        "the checkpoint has format {found} and this binary reads format {known}; restore it with the version that wrote it, or replay the log from its beginning"
    )]
    Version {
        /// The format found.
        found: u32,
        /// The format that is read.
        known: u32,
    },
    /// Its bytes are not those that were written.
    #[error(
        "the checkpoint's checksum is {found:016x} and its bytes give {computed:016x}: it was cut short or changed; take an older one, or replay the log from its beginning"
    )]
    Checksum {
        /// The checksum that it states.
        found: u64,
        /// The checksum of its bytes.
        computed: u64,
    },
    /// Its checksum holds and its content does not.
    #[error(
        "the checkpoint is damaged at byte {at} ({what}); take an older one, or replay the log from its beginning"
    )]
    Damaged {
        /// Where, in bytes from its beginning.
        at: usize,
        /// What should stand there.
        what: &'static str,
    },
    /// Its amounts are in another base currency than the rule book's.
    #[error(
        "the checkpoint's amounts are in `{found}` and the rule book's base currency is `{known}`; use rates with base `{found}`, or replay the log from its beginning"
    )]
    Base {
        /// The checkpoint's base currency.
        found: String,
        /// The rule book's.
        known: String,
    },
    /// Two parts hold the same cardholder.
    #[error(
        "part {part} of the checkpoint holds a cardholder of an earlier part; give the parts of one checkpoint, each once"
    )]
    Twice {
        /// Number of the part among those given, from 1.
        part: usize,
    },
}

/// What a checkpoint says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Version of the rule book that was in force.
    pub book_version: String,
    /// The newest tick, in milliseconds of event time; 0 before the first.
    pub tick_ms: i64,
    /// What the shard had counted.
    pub counters: Counters,
    /// How many cardholders it holds.
    pub cardholders: u64,
}

/// Checks a checkpoint's form and checksum and says what it is.
///
/// # Errors
/// All that [`Engine::restore`] refuses before it reads cardholders.
pub fn summary(part: &[u8]) -> Result<Summary, CheckpointError> {
    let (tables, _) = open_part(part)?;
    Ok(Summary {
        book_version: tables.book_version,
        tick_ms: tables.tick_ms,
        counters: tables.counters,
        cardholders: tables.cardholders,
    })
}

impl Engine {
    /// Appends the whole shard. Equal states give equal bytes, whatever the order in which the
    /// cardholders came.
    pub fn save(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let mut order: Vec<(u64, u32)> = Vec::with_capacity(self.slab.len());
        let mut words = 0;
        for slot in 0..u32::try_from(self.slab.slots()).unwrap_or(u32::MAX) {
            if let Some(record) = self.slab.get(slot).filter(|record| record.key != 0) {
                order.push((record.key, slot));
                words += HEAD_WORDS + record.words().len();
            }
        }
        order.sort_unstable();
        out.reserve(words * 4);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        self.tables(order.len()).put(out);
        for (_, slot) in order {
            if let Some(record) = self.slab.get(slot) {
                put_record(out, record);
            }
        }
        let checksum = xxh3_64(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&checksum.to_le_bytes());
    }

    fn tables(&self, cardholders: usize) -> Tables {
        let mut tables = Tables::of(&self.prepared.book);
        for ((_, from_ms), counted) in tables.aggregates.iter_mut().zip(&self.counted_from_ms) {
            *from_ms = *counted;
        }
        tables.tick_ms = self.tick_ms;
        tables.counters = self.counters;
        tables.suspended = self.suspended;
        tables.cardholders = u64::try_from(cardholders).unwrap_or(u64::MAX);
        tables
    }

    /// The same shard under another rule book, as if restored from its own checkpoint.
    ///
    /// # Errors
    /// Where the other book counts in another base currency.
    pub fn under(&self, prepared: Arc<Prepared>) -> Result<Self, CheckpointError> {
        let mut bytes = Vec::new();
        self.save(&mut bytes);
        let mut engine = Self::restore(prepared, &[&bytes], |_| true)?;
        engine.set_counters(self.counters);
        Ok(engine)
    }

    /// A shard from all parts of a checkpoint, of which `mine` says which cardholders (by key) it
    /// takes; the number of shards may have changed.
    ///
    /// The rule book may have changed too. Counters and sequence states are found again by what
    /// they mean; what is gone is dropped. A bucketed aggregate that was not there before counts
    /// from the parts' newest tick on (their newest event, where there was none) and is unknown
    /// until its span has been seen. Episodes, holds, absences and challenges are kept.
    ///
    /// The counters start at zero, because a part's cannot be divided: add up those of
    /// [`summary`], and give them to one shard by [`Engine::set_counters`].
    ///
    /// # Errors
    /// Where a part is not a checkpoint, of another format, changed, damaged, in another base
    /// currency, or repeats a cardholder.
    pub fn restore(
        prepared: Arc<Prepared>,
        parts: &[&[u8]],
        mine: impl Fn(u64) -> bool,
    ) -> Result<Self, CheckpointError> {
        let now = Tables::of(&prepared.book);
        let mut restored = Restored {
            texts: Texts::of(&prepared),
            engine: Self::new(prepared),
            queue: Vec::new(),
            newest_ms: NO_TICK,
        };
        let mut translations = Vec::with_capacity(parts.len());
        for (number, part) in (1..).zip(parts) {
            let (tables, mut from) = open_part(part)?;
            if tables.base != now.base {
                return Err(CheckpointError::Base {
                    found: String::from_utf8_lossy(&tables.base).into_owned(),
                    known: String::from_utf8_lossy(&now.base).into_owned(),
                });
            }
            let translation = Translation::new(&tables, &now, &restored.engine.prepared.book);
            restored.part(number, &tables, &translation, &mut from, &mine)?;
            translations.push((tables, translation));
        }
        restored.engine.slab.shrink();
        restored.count_from(&translations);
        restored.engine.queue = BinaryHeap::from(restored.queue);
        Ok(restored.engine)
    }
}

/// A shard in the making.
struct Restored {
    engine: Engine,
    texts: Texts,
    queue: Vec<Reverse<(i64, u32)>>,
    /// The newest event of all parts' cardholders, whoever takes them.
    newest_ms: i64,
}

impl Restored {
    fn part(
        &mut self,
        number: usize,
        tables: &Tables,
        translation: &Translation,
        from: &mut Reader<'_>,
        mine: &impl Fn(u64) -> bool,
    ) -> Result<(), CheckpointError> {
        self.engine.tick_ms = self.engine.tick_ms.max(tables.tick_ms);
        self.engine.suspended |= tables.suspended;
        let cardholders = usize::try_from(tables.cardholders).unwrap_or(usize::MAX);
        if cardholders.saturating_mul(HEAD_WORDS * 4) > from.left() {
            return Err(from.damaged("the number of cardholders"));
        }
        self.engine.slab.reserve(cardholders);
        let mut last = 0;
        for _ in 0..cardholders {
            let here = *from;
            let (key, clock_ms, record) = read_record(from, &mut self.texts, mine)?;
            if key <= last {
                return Err(here.damaged("a cardholder's key above the one before"));
            }
            last = key;
            self.newest_ms = self.newest_ms.max(clock_ms);
            let Some(mut record) = record else { continue };
            if number > 1 && self.engine.slab.find(key).is_some() {
                return Err(CheckpointError::Twice { part: number });
            }
            translation.apply(&mut record, &self.engine.prepared.book);
            self.take(record);
        }
        if from.is_empty() {
            Ok(())
        } else {
            Err(from.damaged("nothing after the last cardholder"))
        }
    }

    fn take(&mut self, mut record: Record) {
        let mut deadline = None;
        if let Some(cold) = record.cold.as_deref_mut() {
            deadline = cold.next_deadline();
            cold.queued_ms = deadline.unwrap_or(0);
        }
        record.refresh_due();
        let slot = self.engine.slab.put(record);
        self.queue
            .extend(deadline.map(|deadline| Reverse((deadline, slot))));
    }

    /// From when each aggregate has counted: from the latest moment that any part says.
    fn count_from(&mut self, parts: &[(Tables, Translation)]) {
        let engine = &mut self.engine;
        let new_ms = if engine.tick_ms == NO_TICK {
            self.newest_ms
        } else {
            engine.tick_ms
        };
        let aggregates = engine.prepared.book.aggregates.iter();
        for (index, (from_ms, aggregate)) in engine
            .counted_from_ms
            .iter_mut()
            .zip(aggregates)
            .enumerate()
        {
            for (tables, translation) in parts {
                let place = translation.from.get(index).copied().flatten();
                let saved = place.and_then(|place| tables.aggregates.get(place));
                // The exact history serves short spans, and it was kept before anyone asked.
                let missing_ms = if aggregate.is_exact() {
                    i64::MIN
                } else {
                    new_ms
                };
                *from_ms = (*from_ms).max(saved.map_or(missing_ms, |(_, from_ms)| *from_ms));
            }
        }
    }
}

/// Checks a part as a whole; its tables, and what stands after them but for the checksum.
fn open_part(part: &[u8]) -> Result<(Tables, Reader<'_>), CheckpointError> {
    let (body, checksum) = part
        .split_last_chunk::<CHECKSUM>()
        .filter(|(body, _)| body.len() >= FRONT && body.starts_with(&MAGIC))
        .ok_or(CheckpointError::NotACheckpoint)?;
    let mut from = Reader::new(body, 0);
    from.take(MAGIC.len(), "the magic")?;
    let found = from.u32("the format's version")?;
    if found != FORMAT {
        let known = FORMAT;
        return Err(CheckpointError::Version { found, known });
    }
    let (found, computed) = (u64::from_le_bytes(*checksum), xxh3_64(body));
    if found != computed {
        return Err(CheckpointError::Checksum { found, computed });
    }
    let tables = Tables::read(&mut from)?;
    Ok((tables, from))
}

fn put_record(out: &mut Vec<u8>, record: &Record) {
    bytes::put_words(out, &head(record));
    bytes::put_words(out, record.words());
    if let Some(cold) = &record.cold {
        open::put(out, cold);
    }
}

/// A cardholder's key and clock, and the record where the cardholder is ours.
type Read = (u64, i64, Option<Record>);

fn read_record(
    from: &mut Reader<'_>,
    texts: &mut Texts,
    mine: &impl Fn(u64) -> bool,
) -> Result<Read, CheckpointError> {
    let head: [u32; HEAD_WORDS] = from.head("a cardholder's head")?;
    let here = *from;
    let (mut record, counts, has_cold) = unpack(&head);
    let (key, clock_ms) = (record.key, record.clock_ms);
    if !mine(key) {
        from.take(counts.words() * 4, "a cardholder's words")?;
        if has_cold {
            let len = from.count(1, "what is open")?;
            from.take(len, "what is open")?;
        }
        return Ok((key, clock_ms, None));
    }
    let words = from.words(counts.words(), "a cardholder's words")?;
    if has_cold {
        record.cold = Some(Box::new(read_cold(from, texts)?));
    }
    let record = record
        .with_words(counts, words)
        .ok_or_else(|| here.damaged("a cardholder's words"))?;
    Ok((key, clock_ms, Some(record)))
}

fn read_cold(from: &mut Reader<'_>, texts: &mut Texts) -> Result<Cold, CheckpointError> {
    let len = from.count(1, "what is open")?;
    let start = from.at();
    let mut block = Reader::new(from.take(len, "what is open")?, start);
    open::read(&mut block, texts)
}

/// All of a record that has a fixed width.
fn head(record: &Record) -> [u32; HEAD_WORDS] {
    let (marks, habit, counts) = (&record.marks, &record.habit, record.counts());
    let mut words = [0; HEAD_WORDS];
    let [key_low, key_high] = split(record.key);
    let [clock_low, clock_high] = split(record.clock_ms.cast_unsigned());
    let places = [
        marks.home,
        marks.present_country,
        marks.phone_country,
        marks.phone_channel,
    ];
    let small = [
        marks.flags,
        u8::from(record.cold.is_some()),
        counts.past,
        counts.countries,
    ];
    let plain = [
        key_low,
        key_high,
        clock_low,
        clock_high,
        record.first_s,
        marks.phone_s,
        marks.app_s,
        marks.present_s,
        u32::from_le_bytes(places),
        u32::from_le_bytes(small),
        habit.mean.to_bits(),
        habit.variance.to_bits(),
        habit.weight.to_bits(),
        habit.updated_s,
        u32::from(habit.payments) | u32::from(counts.groups) << 16,
        u32::from(counts.cards) | u32::from(counts.known) << 8 | u32::from(counts.cells) << 16,
        u32::from(counts.seen),
    ];
    let (octaves, _) = habit.octaves.as_chunks::<4>();
    let (parts, _) = habit.parts.as_chunks::<4>();
    let bins = octaves.iter().chain(parts).map(|b| u32::from_le_bytes(*b));
    for (place, word) in words.iter_mut().zip(plain.into_iter().chain(bins)) {
        *place = word;
    }
    words
}

/// The inverse of [`head`]: a record without words and without what is open, the counts of its
/// words, and whether something is open.
fn unpack(words: &[u32; HEAD_WORDS]) -> (Record, Counts, bool) {
    let [
        key_low,
        key_high,
        clock_low,
        clock_high,
        first_s,
        phone_s,
        app_s,
        present_s,
        places,
        small,
        mean,
        variance,
        weight,
        updated_s,
        payments_groups,
        sections,
        seen,
        bins @ ..,
    ] = *words;
    let [home, present_country, phone_country, phone_channel] = places.to_le_bytes();
    let [flags, has_cold, past, countries] = small.to_le_bytes();
    let [payments, groups] = halves(payments_groups);
    let [cards_known, cells] = halves(sections);
    let [cards, known] = cards_known.to_le_bytes();
    let [seen, _] = halves(seen);
    let mut habit = Habit {
        mean: f32::from_bits(mean),
        variance: f32::from_bits(variance),
        weight: f32::from_bits(weight),
        updated_s,
        payments,
        ..Habit::default()
    };
    let (octaves, _) = habit.octaves.as_chunks_mut::<4>();
    let (parts, _) = habit.parts.as_chunks_mut::<4>();
    for (place, word) in octaves.iter_mut().chain(parts).zip(bins) {
        *place = word.to_le_bytes();
    }
    let mut record = Record::default();
    record.key = join(key_low, key_high);
    record.clock_ms = join(clock_low, clock_high).cast_signed();
    record.first_s = first_s;
    record.habit = habit;
    record.marks = Marks {
        phone_s,
        app_s,
        present_s,
        home,
        present_country,
        phone_country,
        phone_channel,
        flags,
    };
    let mut counts = Counts {
        groups,
        ..Counts::default()
    };
    (counts.cards, counts.countries, counts.known) = (cards, countries, known);
    (counts.cells, counts.seen, counts.past) = (cells, seen, past);
    (record, counts, has_cold != 0)
}

/// A word as two numbers, the low half first.
fn halves(word: u32) -> [u16; 2] {
    let [a, b, c, d] = word.to_le_bytes();
    [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]
}
