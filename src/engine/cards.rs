//! A cardholder's cards and what is known of each: issue, blocks, bypass, scheme, aliases.
//!
//! Four words a card; an alias is an entry of its own that points to its card, and so is what few
//! cards have: a bypass, an unblocking. Made by `card` and `enrolment` events only: a card that no
//! such event told of has no entry and nothing known.

use crate::domain::codes::Action;
use crate::engine::record::{CARD_WORDS, Record, Section, join, seconds, split};

/// The most cards and aliases of one cardholder; further ones are not kept, and counted.
pub const MAX_CARDS: usize = 16;

/// What is known of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Card {
    /// Fingerprint of its token.
    pub fp: u64,
    /// See the constants of [`Card`].
    pub flags: u8,
    /// For an alias, the position of its card.
    pub main: u8,
    /// When it was issued or enrolled, in seconds; 0 where not seen.
    pub issued_s: u32,
    /// Until when the bypass of the one-time password is in force, in seconds; 0 for none.
    pub bypass_until_s: u32,
    /// When it was last unblocked or opened again, in seconds; 0 for never.
    pub opened_s: u32,
}

impl Card {
    /// Blocked by bank or owner.
    pub const BLOCKED: u8 = 1;
    /// Blocked after too many wrong PINs.
    pub const PIN_LOCKED: u8 = 2;
    /// Closed for internet.
    pub const INTERNET_CLOSED: u8 = 4;
    /// Another token of the card at [`Card::main`].
    pub const ALIAS: u8 = 8;
    /// Not a token, but when the card at [`Card::main`] was opened and how long its bypass lasts.
    const EXTRA: u8 = 32;
    /// A card of Mastercard's: response code 65 is a soft decline.
    pub const MASTERCARD: u8 = 16;

    /// Whether a flag is set.
    pub const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// An entry, without what is kept apart.
    fn read(words: &[u32; CARD_WORDS]) -> Self {
        let [low, high, state, issued_s] = *words;
        let [flags, main, ..] = state.to_le_bytes();
        Self {
            fp: join(low, high),
            flags,
            main,
            issued_s,
            ..Self::default()
        }
    }

    fn words(self) -> [u32; CARD_WORDS] {
        let [low, high] = split(self.fp);
        let state = u32::from_le_bytes([self.flags, self.main, 0, 0]);
        [low, high, state, self.issued_s]
    }

    /// The entry of what is kept apart of the card at `main`.
    fn extra_words(self, main: u8) -> [u32; CARD_WORDS] {
        let state = u32::from_le_bytes([Self::EXTRA, main, 0, 0]);
        [self.bypass_until_s, self.opened_s, state, 0]
    }
}

fn all(record: &Record) -> impl Iterator<Item = Card> + '_ {
    let (entries, _) = record.section(Section::Cards).as_chunks();
    entries.iter().map(Card::read)
}

/// The entry of a token: of a card or of an alias.
fn entry_of(record: &Record, fp: u64) -> Option<(usize, Card)> {
    all(record)
        .enumerate()
        .find(|(_, card)| card.fp == fp && !card.has(Card::EXTRA))
}

/// The entry of the card that a token stands for.
fn index_of(record: &Record, fp: u64) -> Option<usize> {
    let (index, card) = entry_of(record, fp)?;
    Some(if card.has(Card::ALIAS) {
        usize::from(card.main)
    } else {
        index
    })
}

/// The entry of what is kept apart of the card at `main`.
fn extra_of(record: &Record, main: usize) -> Option<usize> {
    all(record).position(|card| card.has(Card::EXTRA) && usize::from(card.main) == main)
}

/// How many tokens have entries.
fn tokens(record: &Record) -> usize {
    all(record).filter(|card| !card.has(Card::EXTRA)).count()
}

/// The card at an index, with what is kept apart.
fn whole(record: &Record, index: usize) -> Option<Card> {
    let (entries, _) = record.section(Section::Cards).as_chunks::<CARD_WORDS>();
    let mut card = entries.get(index).map(Card::read)?;
    // A cardholder's first card alone has nothing apart.
    if entries.len() > 1
        && let Some([bypass_until_s, opened_s, ..]) =
            extra_of(record, index).and_then(|extra| entries.get(extra))
    {
        (card.bypass_until_s, card.opened_s) = (*bypass_until_s, *opened_s);
    }
    Some(card)
}

/// What is known of a card, by the fingerprint of its token or of an alias.
pub fn find(record: &Record, fp: u64) -> Option<Card> {
    whole(record, index_of(record, fp)?)
}

/// Whether two tokens stand for the same card.
pub fn same(record: &Record, a: u64, b: u64) -> bool {
    a == b
        || find(record, a)
            .is_some_and(|card| find(record, b).is_some_and(|other| other.fp == card.fp))
}

/// Changes a card's entry, which is made where there is none. Returns whether there was no room.
pub fn change(record: &mut Record, fp: u64, change: impl Fn(&mut Card)) -> bool {
    let known = index_of(record, fp);
    if known.is_none() && tokens(record) >= MAX_CARDS {
        return true;
    }
    let fresh = || Card {
        fp,
        ..Card::default()
    };
    let end = usize::from(record.counts().cards);
    let index = known.unwrap_or(end);
    let mut card = known
        .and_then(|index| whole(record, index))
        .unwrap_or_else(fresh);
    change(&mut card);
    put(record, index, card.words());
    let extra = extra_of(record, index);
    if extra.is_some() || card.bypass_until_s != 0 || card.opened_s != 0 {
        let end = usize::from(record.counts().cards);
        let main = u8::try_from(index).unwrap_or(u8::MAX);
        put(record, extra.unwrap_or(end), card.extra_words(main));
    }
    false
}

/// Writes an entry, which is made where it stands behind the last.
fn put(record: &mut Record, index: usize, words: [u32; CARD_WORDS]) {
    let (entries, _) = record.section_mut(Section::Cards).as_chunks_mut();
    match entries.get_mut(index) {
        Some(entry) => *entry = words,
        None => record.insert(Section::Cards, index, words),
    }
}

/// Binds an alias to a card that has an entry. Returns whether there was no room.
pub fn bind_alias(record: &mut Record, fp: u64, alias: u64) -> bool {
    if index_of(record, alias).is_some() {
        return false;
    }
    let Some(main) = index_of(record, fp).and_then(|i| u8::try_from(i).ok()) else {
        return false;
    };
    if tokens(record) >= MAX_CARDS {
        return true;
    }
    let entry = Card {
        fp: alias,
        flags: Card::ALIAS,
        main,
        ..Card::default()
    };
    let end = usize::from(record.counts().cards);
    record.insert(Section::Cards, end, entry.words());
    false
}

/// What a `card` event's action does to a card at `at_ms`; `until_ms` bounds a bypass, which
/// without a bound ends by itself after a day.
pub fn act(card: &mut Card, action: Action, at_ms: i64, until_ms: Option<i64>) {
    let at = seconds(at_ms);
    let mut raise = |flag: u8| card.flags |= flag;
    match action {
        Action::Blocked => raise(Card::BLOCKED),
        Action::PinLocked => raise(Card::PIN_LOCKED),
        Action::InternetClosed => raise(Card::INTERNET_CLOSED),
        Action::Unblocked => {
            card.flags &= !Card::BLOCKED;
            card.opened_s = at;
        }
        Action::PinUnlocked => {
            card.flags &= !Card::PIN_LOCKED;
            card.opened_s = at;
        }
        Action::InternetOpened => {
            card.flags &= !Card::INTERNET_CLOSED;
            card.opened_s = at;
        }
        Action::BypassGranted => {
            card.bypass_until_s = until_ms.map_or(at.saturating_add(BYPASS_S), seconds);
        }
        Action::BypassEnded => card.bypass_until_s = 0,
        Action::Issued => card.issued_s = at,
        Action::CardEnrolled => {
            if card.issued_s == 0 {
                card.issued_s = at;
            }
        }
        Action::Sent
        | Action::Delivered
        | Action::Failed
        | Action::Accepted
        | Action::Rejected
        | Action::Expired
        | Action::KeyIssued
        | Action::KeyAccepted
        | Action::KeyRejected
        | Action::Authenticated
        | Action::AppActivated
        | Action::AppReactivated
        | Action::PhoneLinked
        | Action::PhoneChanged
        | Action::PhoneDeleted
        | Action::Acknowledged
        | Action::Enforced
        | Action::Released => {}
    }
}

/// How long a bypass without a stated end is believed, in seconds: "a short time" (DOMAIN.md).
const BYPASS_S: u32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_finds_its_card() {
        let mut record = Record::new(1, 0);
        change(&mut record, 10, |card| {
            act(card, Action::Issued, 5_000, None)
        });
        change(&mut record, 10, |card| {
            act(card, Action::Blocked, 6_000, None)
        });
        bind_alias(&mut record, 10, 11);
        let card = find(&record, 11).unwrap();
        assert_eq!(
            (card.fp, card.issued_s, card.has(Card::BLOCKED)),
            (10, 5, true)
        );
        assert!(same(&record, 11, 10));
        change(&mut record, 11, |card| {
            act(card, Action::Unblocked, 7_000, None)
        });
        assert!(!find(&record, 10).unwrap().has(Card::BLOCKED));
        assert_eq!(find(&record, 12), None);
    }

    #[test]
    fn what_is_kept_apart_of_a_card_is_found_with_it_and_takes_no_cards_place() {
        let mut record = Record::new(1, 0);
        for fp in 1..=16 {
            let act_on = |card: &mut Card| act(card, Action::Unblocked, 1_000, None);
            assert!(!change(&mut record, fp, act_on));
        }
        assert!(change(&mut record, 17, |_| {}));
        change(&mut record, 3, |card| {
            act(card, Action::BypassGranted, 0, Some(9_000))
        });
        let kept = |fp| find(&record, fp).map(|card| (card.opened_s, card.bypass_until_s));
        assert_eq!((kept(3), kept(4)), (Some((1, 9)), Some((1, 0))));
        // What is kept apart is no token, whatever its numbers.
        assert_eq!(find(&record, join(9, 1)), None);
        assert_eq!(record.counts().cards, 32);
    }
}
