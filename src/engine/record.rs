//! A cardholder's record: a fixed head and one short run of words, cut into sections.
//!
//! Ten million of these must fit in memory, so the sections lie one after another in a single
//! allocation: cards, known places, counters, ids seen, history. What most cardholders do not have
//! at rest (open challenges, episodes, holds, the name that those need) is boxed apart in [`Cold`].
//! This file knows widths and offsets; what the entries mean is in the files named after them.

use crate::engine::cold::Cold;
use crate::engine::habit::Habit;
use ends::Ends;
pub use spare::Spare;

mod ends;
mod spare;

/// Words of one entry in each section.
pub const CARD_WORDS: usize = 4;
/// See [`CARD_WORDS`].
pub const COUNTRY_WORDS: usize = 1;
/// See [`CARD_WORDS`].
pub const KNOWN_WORDS: usize = 2;
/// See [`CARD_WORDS`].
pub const CELL_WORDS: usize = 4;
/// See [`CARD_WORDS`].
pub const SEEN_WORDS: usize = 2;
/// See [`CARD_WORDS`].
pub const PAST_WORDS: usize = 6;

/// A section of a record, in the order in which they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Cards and their aliases.
    Cards,
    /// MCC groups paid in: a word for each that [`Counts::groups`] names, in order of code.
    Groups,
    /// Countries paid in or used with the eID.
    Countries,
    /// Merchants and networks known.
    Known,
    /// Bucketed counters and sequence states.
    Cells,
    /// Fingerprints of ids seen within 72 h.
    Seen,
    /// The newest events.
    Past,
}

/// How many entries each section has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// MCC groups that have an entry: bit n stands for the group of code n.
    pub groups: u16,
    /// Counters.
    pub cells: u16,
    /// Ids seen.
    pub seen: u16,
    /// Cards.
    pub cards: u8,
    /// Known countries.
    pub countries: u8,
    /// Known merchants and networks.
    pub known: u8,
    /// Events in history.
    pub past: u8,
}

impl Counts {
    /// Words of all sections together.
    pub fn words(self) -> usize {
        usize::from(self.cards) * CARD_WORDS
            + usize::try_from(self.groups.count_ones()).unwrap_or(0)
            + usize::from(self.countries) * COUNTRY_WORDS
            + usize::from(self.known) * KNOWN_WORDS
            + usize::from(self.cells) * CELL_WORDS
            + usize::from(self.seen) * SEEN_WORDS
            + usize::from(self.past) * PAST_WORDS
    }
}

/// One cardholder.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Fingerprint of the cardholder's key; 0 in a free slot.
    pub key: u64,
    /// Event time of the newest event applied, in milliseconds.
    pub clock_ms: i64,
    /// When the cardholder was first seen, in seconds.
    pub first_s: u32,
    /// Where the phone, the app and the last card-present payment stand.
    pub marks: Marks,
    /// Decayed habits of amount and hour.
    pub habit: Habit,
    /// What is open: challenges, episodes, holds.
    pub cold: Option<Box<Cold>>,
    ends: Ends,
    /// All the memory there is; the sections fill its beginning.
    words: Box<[u32]>,
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        (self.key, self.clock_ms, self.first_s) == (other.key, other.clock_ms, other.first_s)
            && (self.marks, self.habit, &self.cold) == (other.marks, other.habit, &other.cold)
            && (self.ends, self.words()) == (other.ends, other.words())
    }
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
    /// A hold, an episode or an absence is open: [`Record::due_ms`] is not 0.
    pub const DUE: u8 = 32;

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
    pub fn new(key: u64, at_ms: i64) -> Self {
        Self {
            key,
            clock_ms: at_ms,
            first_s: seconds(at_ms),
            ..Self::default()
        }
    }

    /// Entries of each section.
    #[inline]
    pub fn counts(&self) -> Counts {
        self.ends.counts()
    }

    /// All the words in use, for checkpoints.
    pub fn words(&self) -> &[u32] {
        self.words.get(..self.ends.words()).unwrap_or(&[])
    }

    /// The earliest moment at which something open becomes due of itself, in milliseconds; 0 where
    /// no hold, episode or absence is open. Most events learn so from the head alone.
    pub fn due_ms(&self) -> i64 {
        if !self.marks.has(Marks::DUE) {
            return 0;
        }
        self.cold.as_ref().map_or(0, |cold| cold.due_ms)
    }

    /// Brings [`Record::due_ms`] up to date after something was opened, fed or closed, and lets go of
    /// [`Record::cold`] where nothing is left in it.
    pub fn refresh_due(&mut self) {
        let mut due_ms = 0;
        if let Some(cold) = self.cold.as_deref_mut() {
            due_ms = cold.next_deadline().unwrap_or(0);
            cold.due_ms = due_ms;
        }
        self.marks.set(Marks::DUE, due_ms != 0);
        if self.cold.as_ref().is_some_and(|cold| cold.is_empty()) {
            self.cold = None;
        }
    }

    /// Puts a record together again from a checkpoint's parts; nothing where they do not fit.
    pub fn with_words(mut self, counts: Counts, words: Vec<u32>) -> Option<Self> {
        self.ends = Ends::of(counts)?;
        self.words = words.into_boxed_slice();
        (self.ends.words() == self.words.len()).then_some(self)
    }

    /// Bytes on the heap and in its slot, open matters ([`Cold`]) apart. The heap's part is a whole
    /// block of the allocator, which keeps no header of its own (`block_words`).
    pub fn bytes_at_rest(&self) -> usize {
        size_of::<Self>() + block_words(self.words.len()) * 4
    }

    /// Touches every cache line of the head and the words and the first of what is open, so that
    /// the loads of many records overlap. The sum has no meaning; it keeps the loads alive.
    pub fn touch(&self) -> u64 {
        let head = self.key
            ^ self.clock_ms.cast_unsigned()
            ^ u64::from(self.first_s)
            ^ u64::from(self.marks.flags)
            ^ u64::from(self.habit.payments)
            ^ u64::from(self.habit.updated_s)
            ^ u64::from(self.ends.past)
            ^ self
                .cold
                .as_ref()
                .map_or(0, |cold| cold.due_ms.cast_unsigned());
        self.words()
            .iter()
            .step_by(16)
            .fold(head, |sum, word| sum ^ u64::from(*word))
    }

    /// The words of a section.
    #[inline]
    pub fn section(&self, section: Section) -> &[u32] {
        self.words.get(self.ends.range(section)).unwrap_or(&[])
    }

    /// The words of a section, to change entries in place.
    #[inline]
    pub fn section_mut(&mut self, section: Section) -> &mut [u32] {
        let range = self.ends.range(section);
        self.words.get_mut(range).unwrap_or(&mut [])
    }

    /// The entry of an MCC group.
    #[inline]
    pub fn group(&self, code: u32) -> Option<u32> {
        let index = self.ends.groups_before(code);
        let word = || self.section(Section::Groups).get(index).copied();
        if self.ends.has_group(code) {
            word()
        } else {
            None
        }
    }

    /// Changes the entry of an MCC group, or makes it with `change(None)`. A code beyond
    /// [`crate::engine::class::MAX_MCC_GROUPS`] has none.
    pub fn change_group(&mut self, code: u32, change: impl FnOnce(Option<u32>) -> u32) {
        let Some(bit) = 1_u16.checked_shl(code) else {
            return;
        };
        let index = self.ends.groups_before(code);
        if self.ends.has_group(code) {
            if let Some(word) = self.section_mut(Section::Groups).get_mut(index) {
                *word = change(Some(*word));
            }
        } else {
            self.insert(Section::Groups, index, [change(None)]);
            self.ends.groups_set |= bit;
        }
    }

    /// Gives the entries of MCC groups other codes, or drops those for which `recode` gives none.
    pub fn recode_groups(&mut self, recode: impl Fn(u32) -> Option<u32>) {
        let codes = 0..u16::BITS;
        let old: Vec<(u32, u32)> = codes
            .filter_map(|code| Some((code, self.group(code)?)))
            .collect();
        self.remove::<1>(Section::Groups, 0, old.len());
        self.ends.groups_set = 0;
        for (code, word) in old {
            if let Some(code) = recode(code) {
                self.change_group(code, |_| word);
            }
        }
    }

    /// Adds an id and an event behind those seen, and lets so many of the oldest ids and of the
    /// first events go: all in one move, since nearly every event does just this.
    pub fn renew(
        &mut self,
        (ids, id): (usize, [u32; SEEN_WORDS]),
        (events, event): (usize, [u32; PAST_WORDS]),
        spare: &mut Spare,
    ) {
        let seen = self.ends.range(Section::Seen);
        let past = self.ends.range(Section::Past);
        let kept_ids = (seen.start + ids * SEEN_WORDS).min(seen.end)..seen.end;
        let kept_events = (past.start + events * PAST_WORDS).min(past.end)..past.end;
        let past_at = seen.start + kept_ids.len() + SEEN_WORDS;
        let used = past_at + kept_events.len() + PAST_WORDS;
        if used > self.words.len() {
            self.resize(used, Some(spare));
        }
        // The ids move down or not at all, so the events that follow never lie in their way.
        let words = &mut *self.words;
        if kept_ids.start > seen.start {
            words.copy_within(kept_ids, seen.start);
        }
        if !kept_events.is_empty() {
            words.copy_within(kept_events, past_at);
        }
        if let Some(place) = words.get_mut(past_at - SEEN_WORDS..past_at) {
            place.copy_from_slice(&id);
        }
        if let Some(place) = words.get_mut(used - PAST_WORDS..used) {
            place.copy_from_slice(&event);
        }
        // INVARIANT (few-words): the bounds of ids and events keep these far below 2^16.
        self.ends.seen = u16::try_from(past_at).unwrap_or(u16::MAX);
        self.ends.past = u16::try_from(used).unwrap_or(u16::MAX);
    }

    /// Inserts an entry before the entry at `index` of its section.
    pub fn insert<const N: usize>(&mut self, section: Section, index: usize, entry: [u32; N]) {
        let used = self.ends.words();
        let at = (self.ends.range(section).start + index * N).min(used);
        if used + N > self.words.len() {
            self.resize(used + N, None);
        }
        if let Some(tail) = self.words.get_mut(at..used + N) {
            tail.copy_within(..used - at, N);
            if let Some(place) = tail.first_chunk_mut() {
                *place = entry;
            }
        }
        self.ends.grow(section, i16::try_from(N).unwrap_or(0));
    }

    /// Removes `many` entries from the entry at `index` on.
    pub fn remove<const N: usize>(&mut self, section: Section, index: usize, many: usize) {
        if many == 0 {
            return;
        }
        let used = self.ends.words();
        let start = self.ends.range(section).start + index * N;
        let end = (start + many * N).min(used);
        if let Some(tail) = self.words.get_mut(start.min(end)..used) {
            tail.copy_within(end - start.min(end).., 0);
        }
        let gone = end - start.min(end);
        self.ends.grow(section, -i16::try_from(gone).unwrap_or(0));
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
                if kept != index {
                    entries.swap(kept, index);
                }
                kept += 1;
            }
        }
        let gone = entries.len() - kept;
        self.remove::<N>(section, kept, gone);
    }

    /// Whether the record holds more memory than it needs.
    pub fn has_slack(&self) -> bool {
        self.words.len() > block_words(self.ends.words())
    }

    /// Gives back memory that the record has not used for a while.
    pub fn shrink(&mut self, spare: &mut Spare) {
        if self.has_slack() {
            self.resize(self.ends.words(), Some(spare));
        }
    }

    /// Moves the words into a block that has room for so many.
    #[cold]
    fn resize(&mut self, wanted: usize, mut spare: Option<&mut Spare>) {
        let room = block_words(wanted);
        let block = match spare.as_mut().and_then(|spare| spare.take(room)) {
            Some(mut block) => {
                let used = self.words();
                if let Some(place) = block.get_mut(..used.len()) {
                    place.copy_from_slice(used);
                }
                block
            }
            None => {
                let mut words = Vec::with_capacity(room);
                words.extend_from_slice(self.words());
                words.resize(room, 0);
                words.into_boxed_slice()
            }
        };
        let old = std::mem::replace(&mut self.words, block);
        if let Some(spare) = spare {
            spare.give(old);
        }
    }
}

/// The words of the smallest block of the allocator that has room for so many: multiples of 16 bytes
/// up to 128, then four sizes to each doubling (mimalloc, `mi_bin`). Asking for less would leave
/// the rest of the block unused all the same.
fn block_words(words: usize) -> usize {
    if words <= 32 {
        return words.next_multiple_of(4);
    }
    let step = 1 << ((words - 1).ilog2() - 2);
    words.next_multiple_of(step)
}

/// Whole seconds of a time in milliseconds; times are within [`crate::domain::time::MS_RANGE`].
#[inline]
pub fn seconds(ms: i64) -> u32 {
    u64::try_from(ms).map_or(0, |ms| u32::try_from(ms / 1_000).unwrap_or(0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_one_of_the_allocators_and_never_too_small() {
        let sizes: Vec<usize> = (1..=300).map(|words| block_words(words) * 4).collect();
        let mut kinds = sizes.clone();
        kinds.dedup();
        assert_eq!(
            kinds,
            [
                16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
                896, 1_024, 1_280
            ]
        );
        assert!(
            (1..=300)
                .zip(&sizes)
                .all(|(words, size)| words * 4 <= *size)
        );
        assert_eq!(block_words(0), 0);
    }

    #[test]
    fn renewing_is_removing_and_inserting_in_one_move() {
        let (mut one, mut two) = (Record::new(1, 0), Record::new(1, 0));
        let (mut most_seen, mut most_past, mut spare) = (0, 0, Spare::default());
        for n in 0..60_u32 {
            let seen = usize::from(one.counts().seen);
            let past = usize::from(one.counts().past);
            let ids = [0, 1, 0, 0, 3, 0, 0, seen][(n % 8) as usize].min(seen);
            let events = [0, 0, 2, past, 0, 1][(n / 6 % 6) as usize].min(past);
            one.renew(
                (ids, [n; SEEN_WORDS]),
                (events, [n; PAST_WORDS]),
                &mut spare,
            );
            two.remove::<SEEN_WORDS>(Section::Seen, 0, ids);
            two.insert(Section::Seen, seen - ids, [n; SEEN_WORDS]);
            two.remove::<PAST_WORDS>(Section::Past, 0, events);
            two.insert(Section::Past, past - events, [n; PAST_WORDS]);
            assert_eq!(one, two, "{n}");
            most_seen = most_seen.max(one.counts().seen);
            most_past = most_past.max(one.counts().past);
        }
        assert!(most_seen > 3 && most_past > 3);
    }

    #[test]
    fn sections_stay_apart_whatever_is_put_in_and_taken_out() {
        let mut record = Record::new(1, 0);
        for n in 0..40 {
            record.insert(Section::Past, 0, [n; PAST_WORDS]);
            record.insert(Section::Seen, usize::from(record.counts().seen), [n; 2]);
            record.change_group(15 - n % 15, |old| old.unwrap_or(0) + 100);
            record.insert(Section::Cards, 0, [n; CARD_WORDS]);
            record.insert(Section::Countries, 0, [n]);
        }
        record.remove::<PAST_WORDS>(Section::Past, 1, 39);
        record.remove::<SEEN_WORDS>(Section::Seen, 0, 38);
        record.remove::<CARD_WORDS>(Section::Cards, 0, 39);
        record.remove::<COUNTRY_WORDS>(Section::Countries, 2, 38);
        record.recode_groups(|code| code.checked_sub(12).filter(|code| *code > 0));
        record.shrink(&mut Spare::default());
        assert!(!record.has_slack());
        let expected = [0, 0, 0, 0, 300, 300, 300, 39, 38, 38, 38, 39, 39];
        assert_eq!(record.words()[..13], expected);
        assert_eq!(record.section(Section::Past), [39; PAST_WORDS]);
        assert_eq!(
            [1, 2, 3, 4].map(|code| record.group(code)),
            [Some(300), Some(300), Some(300), None]
        );
    }
}
