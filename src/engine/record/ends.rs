//! Where a record's sections end in its words.
//!
//! Kept beside the words and moved with them; how many entries lie between two ends follows from
//! the entries' widths. What the words mean is no matter here.

use super::{
    CARD_WORDS, CELL_WORDS, COUNTRY_WORDS, Counts, KNOWN_WORDS, PAST_WORDS, SEEN_WORDS, Section,
};
use std::ops::Range;

/// Where each section ends, in words, and so the next begins: every look into a record needs two of
/// them, and counting entries together each time cost a tenth of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ends {
    /// Bit n: the MCC group of code n has an entry.
    pub(super) groups_set: u16,
    pub(super) cells: u16,
    pub(super) seen: u16,
    pub(super) past: u16,
    // Sections before the counters together have at most 183 words.
    cards: u8,
    groups: u8,
    countries: u8,
    known: u8,
}

impl Ends {
    /// Nothing where a section is longer than its bound can make it.
    pub(super) fn of(counts: Counts) -> Option<Self> {
        let cards = usize::from(counts.cards) * CARD_WORDS;
        let groups = cards + usize::try_from(counts.groups.count_ones()).ok()?;
        let countries = groups + usize::from(counts.countries) * COUNTRY_WORDS;
        let known = countries + usize::from(counts.known) * KNOWN_WORDS;
        let cells = known + usize::from(counts.cells) * CELL_WORDS;
        let seen = cells + usize::from(counts.seen) * SEEN_WORDS;
        let past = seen + usize::from(counts.past) * PAST_WORDS;
        Some(Self {
            groups_set: counts.groups,
            cells: u16::try_from(cells).ok()?,
            seen: u16::try_from(seen).ok()?,
            past: u16::try_from(past).ok()?,
            cards: u8::try_from(cards).ok()?,
            groups: u8::try_from(groups).ok()?,
            countries: u8::try_from(countries).ok()?,
            known: u8::try_from(known).ok()?,
        })
    }

    #[inline]
    pub(super) fn counts(self) -> Counts {
        let entries = |section, words| self.range(section).len() / words;
        let few = |section, words| u8::try_from(entries(section, words)).unwrap_or(u8::MAX);
        let many = |section, words| u16::try_from(entries(section, words)).unwrap_or(u16::MAX);
        Counts {
            groups: self.groups_set,
            cells: many(Section::Cells, CELL_WORDS),
            seen: many(Section::Seen, SEEN_WORDS),
            cards: few(Section::Cards, CARD_WORDS),
            countries: few(Section::Countries, COUNTRY_WORDS),
            known: few(Section::Known, KNOWN_WORDS),
            past: few(Section::Past, PAST_WORDS),
        }
    }

    /// Words of all sections together.
    #[inline]
    pub(super) fn words(self) -> usize {
        usize::from(self.past)
    }

    /// Where a section lies, in words.
    #[inline]
    pub(super) fn range(self, section: Section) -> Range<usize> {
        match section {
            Section::Cards => 0..usize::from(self.cards),
            Section::Groups => usize::from(self.cards)..usize::from(self.groups),
            Section::Countries => usize::from(self.groups)..usize::from(self.countries),
            Section::Known => usize::from(self.countries)..usize::from(self.known),
            Section::Cells => usize::from(self.known)..usize::from(self.cells),
            Section::Seen => usize::from(self.cells)..usize::from(self.seen),
            Section::Past => usize::from(self.seen)..usize::from(self.past),
        }
    }

    /// A section has become longer by so many words, or shorter: its end and all behind it move.
    #[inline]
    pub(super) fn grow(&mut self, section: Section, by: i16) {
        let ends = [
            (Section::Cards, &mut self.cards),
            (Section::Groups, &mut self.groups),
            (Section::Countries, &mut self.countries),
            (Section::Known, &mut self.known),
        ];
        for (one, end) in ends {
            if one >= section {
                // INVARIANT (few-words): the bounds of these sections keep their ends in a byte.
                *end = u8::try_from(i16::from(*end) + by).unwrap_or(*end);
            }
        }
        let ends = [
            (Section::Cells, &mut self.cells),
            (Section::Seen, &mut self.seen),
            (Section::Past, &mut self.past),
        ];
        for (one, end) in ends {
            if one >= section {
                *end = end.wrapping_add_signed(by);
            }
        }
    }

    /// How many MCC groups with a lower code have an entry.
    #[inline]
    pub(super) fn groups_before(self, code: u32) -> usize {
        let lower = u32::from(self.groups_set) & ((1_u32 << code.min(u16::BITS)) - 1);
        usize::try_from(lower.count_ones()).unwrap_or(0)
    }

    #[inline]
    pub(super) fn has_group(self, code: u32) -> bool {
        u32::from(self.groups_set).checked_shr(code).unwrap_or(0) & 1 == 1
    }
}
