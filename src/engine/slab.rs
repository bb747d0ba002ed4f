//! Where the records live: slots in blocks, found by fingerprint.
//!
//! Blocks never move, so that ten million records grow without copying; the index holds four bytes
//! and a tag for each. Order of slots is order of arrival and shows in no result.

use crate::engine::record::Record;
use hashbrown::HashTable;

/// Records of a block: half a megabyte.
const BLOCK: usize = 4_096;

/// Records looked up in one pass of [`Slab::warm`]; as many loads as a core keeps under way.
const WARM: usize = 64;

/// All records of a shard.
#[derive(Debug, Default)]
pub struct Slab {
    blocks: Vec<Vec<Record>>,
    index: HashTable<u32>,
    free: Vec<u32>,
    used: usize,
}

impl Slab {
    /// How many slots there are, free ones included.
    pub fn slots(&self) -> usize {
        self.used
    }

    /// How many cardholders are remembered.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True before the first cardholder.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The record in a slot.
    pub fn get(&self, slot: u32) -> Option<&Record> {
        let slot = usize::try_from(slot).ok()?;
        self.blocks.get(slot / BLOCK)?.get(slot % BLOCK)
    }

    /// The record in a slot, to change.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Record> {
        let slot = usize::try_from(slot).ok()?;
        self.blocks.get_mut(slot / BLOCK)?.get_mut(slot % BLOCK)
    }

    /// The record of a cardholder.
    pub fn find(&self, key: u64) -> Option<&Record> {
        self.get(self.slot_of(key)?)
    }

    fn slot_of(&self, key: u64) -> Option<u32> {
        let blocks = &self.blocks;
        self.index
            .find(key, |slot| key_in(blocks, *slot) == key)
            .copied()
    }

    /// The slot of a cardholder, made where there is none.
    pub fn slot(&mut self, key: u64, at_ms: i64) -> u32 {
        match self.slot_of(key) {
            Some(slot) => slot,
            None => self.put(Record::new(key, at_ms)),
        }
    }

    /// Makes room in the index for that many more cardholders, so that it need not grow step by step.
    pub fn reserve(&mut self, more: usize) {
        let blocks = &self.blocks;
        self.index.reserve(more, |slot| key_in(blocks, *slot));
    }

    /// Gives back what the index has too much.
    pub fn shrink(&mut self) {
        if self.index.len() < self.index.capacity() / 3 {
            let blocks = &self.blocks;
            self.index.shrink_to_fit(|slot| key_in(blocks, *slot));
        }
    }

    /// Puts a record into a slot.
    pub fn put(&mut self, record: Record) -> u32 {
        let key = record.key;
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(free) = self.get_mut(slot) {
                    *free = record;
                }
                slot
            }
            None => self.append(record),
        };
        let blocks = &self.blocks;
        self.index
            .insert_unique(key, slot, |slot| key_in(blocks, *slot));
        slot
    }

    fn append(&mut self, record: Record) -> u32 {
        if self.used.is_multiple_of(BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(record);
        }
        self.used += 1;
        u32::try_from(self.used - 1).unwrap_or(u32::MAX)
    }

    /// Empties a slot.
    pub fn free(&mut self, slot: u32) {
        let Some(key) = self.get(slot).map(|record| record.key) else {
            return;
        };
        let blocks = &self.blocks;
        if let Ok(entry) = self
            .index
            .find_entry(key, |slot| key_in(blocks, *slot) == key)
        {
            entry.remove();
        }
        if let Some(record) = self.get_mut(slot) {
            *record = Record::default();
            self.free.push(slot);
        }
    }

    /// Touches the records of some cardholders, so that the loads of one pass do not wait for one
    /// another: first the index, then the heads, then the words.
    pub fn warm(&self, mut keys: impl Iterator<Item = u64>) -> u64 {
        let mut sum = 0;
        loop {
            let mut likely: [(u64, Option<u32>); WARM] = [(0, None); WARM];
            let mut asked = 0;
            for (place, key) in likely.iter_mut().zip(keys.by_ref()) {
                // The first slot of its tag is the cardholder's but for one in a hundred; asking the
                // record itself would make the next look-up wait.
                *place = (key, self.index.find(key, |_| true).copied());
                asked += 1;
            }
            let mut found: [Option<&Record>; WARM] = [None; WARM];
            for (place, (key, slot)) in found.iter_mut().zip(likely) {
                let record = slot.and_then(|slot| self.get(slot));
                *place = match record {
                    Some(record) if record.key == key => Some(record),
                    Some(_) => self.find(key),
                    None => None,
                };
            }
            sum = found
                .iter()
                .flatten()
                .fold(sum, |sum, record| sum ^ record.touch());
            if asked < WARM {
                return sum;
            }
        }
    }

    /// The records in order of slots, free ones left out.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.blocks
            .iter()
            .flatten()
            .filter(|record| record.key != 0)
    }

    /// Bytes of the index and the slots' own bookkeeping.
    pub fn index_bytes(&self) -> usize {
        self.index.allocation_size()
            + self.blocks.capacity() * size_of::<Vec<Record>>()
            + self.free.capacity() * 4
    }
}

fn key_in(blocks: &[Vec<Record>], slot: u32) -> u64 {
    let slot = usize::try_from(slot).unwrap_or(0);
    blocks
        .get(slot / BLOCK)
        .and_then(|block| block.get(slot % BLOCK))
        .map_or(0, |record| record.key)
}
