//! A cardholder's record: a fixed head and one short run of words, cut into sections.
//!
//! Ten million of these must fit in memory, so the sections lie one after another in a single
//! allocation: name, cards, known places, counters, ids seen, history. What most cardholders do
//! not have at rest (open challenges, episodes, holds) is boxed apart in [`Cold`]. This file
//! knows widths and offsets; what the entries mean is in the files named after them.

use crate::engine::cold::Cold;
use crate::engine::habit::Habit;

/// Words of one entry in each section.
pub const CARD_WORDS: usize = 6;
/// See [`CARD_WORDS`].
pub const KNOWN_WORDS: usize = 2;
/// See [`CARD_WORDS`].
pub const CELL_WORDS: usize = 4;
/// See [`CARD_WORDS`].
pub const SEEN_WORDS: usize = 2;
/// See [`CARD_WORDS`].
pub const PAST_WORDS: usize = 6;
/// Memory grows by this many words, so that a record wastes at most 32 bytes.
const GROWTH_WORDS: usize = 8;

/// A section of a record, in the order in which they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The cardholder's key as text, padded to words.
    Name,
    /// Cards and their aliases.
    Cards,
    /// Merchants, countries, networks and MCC groups known.
    Known,
    /// Bucketed counters and sequence states.
    Cells,
    /// Fingerprints of ids seen within 72 h.
    Seen,
    /// The newest events.
    Past,
}

/// How many entries each section has, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Bytes of the name (its words follow).
    pub name_bytes: u16,
    /// Cards.
    pub cards: u8,
    /// Known places.
    pub known: u8,
    /// Counters.
    pub cells: u16,
    /// Ids seen.
    pub seen: u16,
    /// Events in history.
    pub past: u8,
}

impl Counts {
    /// Words of all sections together.
    pub fn words(self) -> usize {
        usize::from(self.name_bytes).div_ceil(4)
            + usize::from(self.cards) * CARD_WORDS
            + usize::from(self.known) * KNOWN_WORDS
            + usize::from(self.cells) * CELL_WORDS
            + usize::from(self.seen) * SEEN_WORDS
            + usize::from(self.past) * PAST_WORDS
    }
}

/// One cardholder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Fingerprint of the cardholder's key; 0 in a free slot.
    pub key: u64,
    /// Event time of the newest event applied, in milliseconds.
    pub clock_ms: i64,
    /// The earliest moment at which something open becomes due of itself, in milliseconds; 0 where
    /// no hold, episode or absence is open, so that most events never touch [`Record::cold`].
    pub due_ms: i64,
    /// When the cardholder was first seen, in seconds.
    pub first_s: u32,
    /// Where the phone, the app and the last card-present payment stand.
    pub marks: Marks,
    /// Decayed habits of amount and hour.
    pub habit: Habit,
    /// What is open: challenges, episodes, holds.
    pub cold: Option<Box<Cold>>,
    counts: Counts,
    words: Vec<u32>,
}

/// Dates and flags of which each cardholder has at most one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// When the phone in force was linked, in seconds; 0 where none was seen.
    pub phone_s: u32,
    /// When the eID app was last activated, in seconds; 0 where never seen.
    pub app_s: u32,
    /// When the last approved card-present payment was, in seconds; 0 before the first.
    pub present_s: u32,
    /// Home country's index; 0 unknown.
    pub home: u8,
    /// Country index of that card-present payment; 0 unknown.
    pub present_country: u8,
    /// Country index of the phone in force; 0 unknown.
    pub phone_country: u8,
    /// Door through which the phone was linked: code of the enrolment channel.
    pub phone_channel: u8,
    /// Bits: see the constants of [`Marks`].
    pub flags: u8,
}

impl Marks {
    /// The phone in force replaced an earlier one.
    pub const PHONE_REPLACED: u8 = 1;
    /// The app's activation came from an accustomed country.
    pub const APP_ACCUSTOMED: u8 = 2;
    /// Whether that is known at all.
    pub const APP_PLACE_KNOWN: u8 = 4;
    /// The eID is blocked.
    pub const EID_BLOCKED: u8 = 8;
    /// A phone was deleted: the next one linked replaces it.
    pub const PHONE_DELETED: u8 = 16;

    /// Whether a flag is set.
    pub const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Sets or clears a flag.
    pub const fn set(&mut self, flag: u8, on: bool) {
        if on {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
    }
}

impl Record {
    /// A new cardholder, first seen at `at_ms`.
    pub fn new(key: u64, name: &str, at_ms: i64) -> Self {
        let mut record = Self {
            key,
            clock_ms: at_ms,
            first_s: seconds(at_ms),
            ..Self::default()
        };
        record.counts.name_bytes = u16::try_from(name.len()).unwrap_or(u16::MAX);
        let packed: Vec<u32> = name.as_bytes().chunks(4).map(pack).collect();
        record.reserve(packed.len());
        record.words.extend_from_slice(&packed);
        record
    }

    /// The cardholder's key as text.
    pub fn name(&self) -> String {
        let bytes: Vec<u8> = self
            .section(Section::Name)
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .take(usize::from(self.counts.name_bytes))
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Entries of each section.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// All the words, for checkpoints.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Brings [`Record::due_ms`] up to date after something was opened, fed or closed, and lets go of
    /// [`Record::cold`] where nothing is left in it.
    pub fn refresh_due(&mut self) {
        self.due_ms = self
            .cold
            .as_ref()
            .and_then(|cold| cold.next_deadline())
            .unwrap_or(0);
        if self.cold.as_ref().is_some_and(|cold| cold.is_empty()) {
            self.cold = None;
        }
    }

    /// Puts a record together again from a checkpoint's parts; nothing where they do not fit.
    pub fn with_words(mut self, counts: Counts, words: Vec<u32>) -> Option<Self> {
        self.counts = counts;
        self.words = words;
        (self.range(Section::Past).end == self.words.len()).then_some(self)
    }

    /// Bytes on the heap and in its slot, open matters ([`Cold`]) apart; 16 bytes for the
    /// allocator's own header and rounding.
    pub fn bytes_at_rest(&self) -> usize {
        size_of::<Self>() + self.words.capacity() * 4 + 16
    }

    /// Touches every cache line of the head and the words, so that the loads of many records
    /// overlap. The sum has no meaning; it keeps the loads alive.
    pub fn touch(&self) -> u64 {
        let head = self.key
            ^ self.clock_ms.cast_unsigned()
            ^ self.due_ms.cast_unsigned()
            ^ u64::from(self.first_s)
            ^ u64::from(self.marks.flags)
            ^ u64::from(self.habit.payments)
            ^ u64::from(self.habit.updated_s)
            ^ u64::from(self.counts.name_bytes);
        self.words
            .iter()
            .step_by(16)
            .fold(head, |sum, word| sum ^ u64::from(*word))
    }

    /// Where a section lies, in words.
    fn range(&self, section: Section) -> std::ops::Range<usize> {
        let name = usize::from(self.counts.name_bytes).div_ceil(4);
        let cards = name + usize::from(self.counts.cards) * CARD_WORDS;
        let known = cards + usize::from(self.counts.known) * KNOWN_WORDS;
        let cells = known + usize::from(self.counts.cells) * CELL_WORDS;
        let seen = cells + usize::from(self.counts.seen) * SEEN_WORDS;
        let past = seen + usize::from(self.counts.past) * PAST_WORDS;
        match section {
            Section::Name => 0..name,
            Section::Cards => name..cards,
            Section::Known => cards..known,
            Section::Cells => known..cells,
            Section::Seen => cells..seen,
            Section::Past => seen..past,
        }
    }

    /// The words of a section.
    pub fn section(&self, section: Section) -> &[u32] {
        self.words.get(self.range(section)).unwrap_or(&[])
    }

    /// The words of a section, to change entries in place.
    pub fn section_mut(&mut self, section: Section) -> &mut [u32] {
        let range = self.range(section);
        self.words.get_mut(range).unwrap_or(&mut [])
    }

    /// Inserts an entry before the entry at `index` of its section.
    pub fn insert<const N: usize>(&mut self, section: Section, index: usize, entry: [u32; N]) {
        let at = (self.range(section).start + index * N).min(self.words.len());
        self.reserve(N);
        self.words.extend_from_slice(&entry);
        if let Some(tail) = self.words.get_mut(at..) {
            tail.rotate_right(N);
        }
        self.recount(section, 1);
    }

    /// Removes `many` entries from the entry at `index` on.
    pub fn remove<const N: usize>(&mut self, section: Section, index: usize, many: usize) {
        if many == 0 {
            return;
        }
        let start = self.range(section).start + index * N;
        let end = (start + many * N).min(self.words.len());
        self.words.drain(start.min(end)..end);
        self.recount(section, -i32::try_from(many).unwrap_or(i32::MAX));
    }

    /// Changes or drops the entries of a section one by one: those for which `keep` is true stay, as
    /// it left them.
    pub fn retain<const N: usize>(
        &mut self,
        section: Section,
        mut keep: impl FnMut(&mut [u32; N]) -> bool,
    ) {
        let (entries, _) = self.section_mut(section).as_chunks_mut::<N>();
        let mut kept = 0;
        for index in 0..entries.len() {
            if entries.get_mut(index).is_some_and(&mut keep) {
                entries.swap(kept, index);
                kept += 1;
            }
        }
        let gone = entries.len() - kept;
        self.remove::<N>(section, kept, gone);
    }

    /// Whether the record holds more memory than it may waste.
    pub fn has_slack(&self) -> bool {
        self.words.capacity() > self.words.len() + GROWTH_WORDS
    }

    /// Gives back memory that the record has not used for a while.
    pub fn shrink(&mut self) {
        if self.has_slack() {
            self.words
                .shrink_to(self.words.len().next_multiple_of(GROWTH_WORDS));
        }
    }

    fn reserve(&mut self, more: usize) {
        let wanted = self.words.len() + more;
        if wanted > self.words.capacity() {
            let capacity = wanted.next_multiple_of(GROWTH_WORDS);
            self.words.reserve_exact(capacity - self.words.len());
        }
    }

    fn recount(&mut self, section: Section, by: i32) {
        let counts = &mut self.counts;
        match section {
            Section::Name => {}
            Section::Cards => counts.cards = moved(counts.cards, by),
            Section::Known => counts.known = moved(counts.known, by),
            Section::Cells => counts.cells = moved(counts.cells, by),
            Section::Seen => counts.seen = moved(counts.seen, by),
            Section::Past => counts.past = moved(counts.past, by),
        }
    }
}

/// A count moved by some; every section has a bound far below its type's.
fn moved<T: TryFrom<i32> + Into<i32> + Copy>(count: T, by: i32) -> T {
    T::try_from(count.into() + by).unwrap_or(count)
}

/// Whole seconds of a time in milliseconds; times are within [`crate::domain::time::MS_RANGE`].
pub fn seconds(ms: i64) -> u32 {
    u32::try_from(ms.div_euclid(1_000)).unwrap_or(0)
}

/// Two words as one number, low word first.
pub fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// A number as two words, low word first.
#[expect(clippy::cast_possible_truncation, reason = "the cut is the purpose")]
pub fn split(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

fn pack(bytes: &[u8]) -> u32 {
    let mut word = [0; 4];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    u32::from_le_bytes(word)
}
