//! Places a cardholder is known to pay at or come from: merchants, countries, networks, MCC groups.
//!
//! Bounded sets with the number of distinct days and the largest amount. What is rarely used
//! gives way first: a monthly payee outlives a merchant seen once last week.

use crate::engine::record::{KNOWN_WORDS, Record, Section};

/// What kind of place an entry is; 3 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Merchant, by fingerprint: an approved payment with the card present.
    Merchant = 1,
    /// Country, by index: an approved payment with the card present by chip or contactless.
    PaidCountry = 2,
    /// Country, by index: an eID authentication.
    EidCountry = 3,
    /// Network, by fingerprint: an eID authentication or an approved 3-D Secure payment.
    Network = 4,
    /// MCC group, by code: an approved payment.
    MccGroup = 5,
    /// Merchant, by fingerprint: an approved remote payment. Apart from the shops, so that a month
    /// of groceries does not push out the payee of the month before.
    RemoteMerchant = 6,
}

impl Kind {
    /// How many entries of the kind are kept.
    pub const fn bound(self) -> usize {
        match self {
            Self::RemoteMerchant => 8,
            Self::Merchant | Self::PaidCountry | Self::EidCountry | Self::Network => 4,
            Self::MccGroup => 15,
        }
    }
}

/// Days after which an unused entry no longer counts; as long as a cardholder is remembered.
pub const FORGOTTEN_DAYS: u32 = 400;
/// Days of an entry are kept modulo this (13 bits): 22 years, so that 400 days are unambiguous.
const DAY_CYCLE: u32 = 1 << 13;

/// One known place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// What kind; see [`Kind`].
    pub kind: u8,
    /// Fingerprint, index or code.
    pub key: u32,
    /// On how many distinct days; stops at 255.
    pub days: u8,
    /// The last of them, days since 1970 modulo 8192.
    pub last_day: u32,
    /// The largest amount, in eighths of an octave ([`crate::engine::habit::level_up`]).
    pub level: u8,
}

impl Known {
    fn read(words: &[u32]) -> Self {
        let key = words.first().copied().unwrap_or(0);
        let meta = words.get(1).copied().unwrap_or(0);
        Self {
            kind: low_byte(meta & 7),
            key,
            days: low_byte(meta >> 3),
            level: low_byte(meta >> 11),
            last_day: meta >> 19,
        }
    }

    fn words(self) -> [u32; KNOWN_WORDS] {
        let meta = u32::from(self.kind)
            | u32::from(self.days) << 3
            | u32::from(self.level) << 11
            | (self.last_day % DAY_CYCLE) << 19;
        [self.key, meta]
    }

    /// Days since it was last used, on day `day` since 1970.
    pub fn age_days(self, day: u32) -> u32 {
        (day % DAY_CYCLE + DAY_CYCLE - self.last_day) % DAY_CYCLE
    }

    /// On how many days before day `day` it was used.
    pub fn days_before(self, day: u32) -> u8 {
        if self.age_days(day) == 0 {
            self.days - 1
        } else {
            self.days
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the cut is the purpose")]
fn low_byte(word: u32) -> u8 {
    word as u8
}

/// The entry of a place, where the cardholder has one that still counts on day `day`.
pub fn find(record: &Record, kind: Kind, key: u32, day: u32) -> Option<Known> {
    position(record, kind, key)
        .map(|(_, known)| known)
        .filter(|k| k.age_days(day) <= FORGOTTEN_DAYS)
}

/// Whether any entry that still counts on day `day` passes a test.
pub fn any(record: &Record, day: u32, test: impl Fn(&Known) -> bool) -> bool {
    let (entries, _) = record.section(Section::Known).as_chunks::<KNOWN_WORDS>();
    entries
        .iter()
        .map(|words| Known::read(words))
        .any(|known| known.age_days(day) <= FORGOTTEN_DAYS && test(&known))
}

/// Notes that a place was used on day `day`, with an amount level.
pub fn note(record: &mut Record, kind: Kind, key: u32, day: u32, level: u8) {
    if let Some((index, mut known)) = position(record, kind, key) {
        let age = known.age_days(day);
        if age > FORGOTTEN_DAYS && age < DAY_CYCLE / 2 {
            known = Known {
                days: 0,
                level: 0,
                ..known
            };
        }
        // A late event (age near the whole cycle) lies before the last day: its day was counted or is lost.
        if age > 0 && age < DAY_CYCLE / 2 {
            known.last_day = day % DAY_CYCLE;
            known.days = known.days.saturating_add(1);
        }
        known.level = known.level.max(level);
        let words = known.words();
        if let Some(slot) = record
            .section_mut(Section::Known)
            .get_mut(index * KNOWN_WORDS..(index + 1) * KNOWN_WORDS)
        {
            slot.copy_from_slice(&words);
        }
        return;
    }
    make_room(record, kind, day);
    let known = Known {
        kind: kind as u8,
        key,
        days: 1,
        last_day: day % DAY_CYCLE,
        level,
    };
    let index = record.section(Section::Known).len() / KNOWN_WORDS;
    record.insert(Section::Known, index, known.words());
}

fn position(record: &Record, kind: Kind, key: u32) -> Option<(usize, Known)> {
    let (entries, _) = record.section(Section::Known).as_chunks::<KNOWN_WORDS>();
    entries
        .iter()
        .position(|[k, meta]| *k == key && meta & 7 == u32::from(kind as u8))
        .and_then(|index| entries.get(index).map(|words| (index, Known::read(words))))
}

/// Gives the entries of a kind other keys, or drops those for which `rekey` gives none; for restored
/// records whose rule book has changed.
pub fn rekey(record: &mut Record, kind: Kind, rekey: impl Fn(u32) -> Option<u32>) {
    record.retain::<KNOWN_WORDS>(Section::Known, |[key, meta]| {
        if *meta & 7 != u32::from(kind as u8) {
            return true;
        }
        let new = rekey(*key);
        *key = new.unwrap_or(*key);
        new.is_some()
    });
}

/// Drops the entry of the kind that is worth least, where its bound is reached: each day of use
/// weighs as much as thirty days of age; ties go to the smallest key.
fn make_room(record: &mut Record, kind: Kind, day: u32) {
    let (entries, _) = record.section(Section::Known).as_chunks::<KNOWN_WORDS>();
    let of_kind = || {
        entries
            .iter()
            .enumerate()
            .map(|(i, words)| (i, Known::read(words)))
            .filter(|(_, known)| known.kind == kind as u8)
    };
    if of_kind().count() < kind.bound() {
        return;
    }
    let worth = |known: &Known| {
        // For a late event the newer entries lie ahead (age near the whole cycle): they are fresh.
        let age = Some(known.age_days(day)).filter(|age| *age < DAY_CYCLE / 2);
        i64::from(known.days) * 30 - i64::from(age.unwrap_or(0).min(FORGOTTEN_DAYS * 10))
    };
    if let Some((index, _)) = of_kind().min_by_key(|(_, known)| (worth(known), known.key)) {
        record.remove::<KNOWN_WORDS>(Section::Known, index, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monthly_payee_outlives_merchants_seen_once() {
        let mut record = Record::new(1, "p", 0);
        for month in 0..3 {
            note(
                &mut record,
                Kind::RemoteMerchant,
                7,
                17_000 + month * 30,
                10,
            );
        }
        for shop in 100..140 {
            note(&mut record, Kind::RemoteMerchant, shop, 17_070, 1);
        }
        let payee = find(&record, Kind::RemoteMerchant, 7, 17_071).unwrap();
        assert_eq!((payee.days, payee.level), (3, 10));
        assert_eq!(
            usize::from(record.counts().known),
            Kind::RemoteMerchant.bound()
        );
    }

    #[test]
    fn groceries_do_not_push_out_a_payee_of_one_payment() {
        let mut record = Record::new(1, "p", 0);
        note(&mut record, Kind::RemoteMerchant, 7, 17_000, 90);
        for day in 0..40 {
            for shop in 100..112 {
                note(&mut record, Kind::Merchant, shop, 17_000 + day, 50);
            }
        }
        let payee = find(&record, Kind::RemoteMerchant, 7, 17_040).unwrap();
        assert_eq!(payee.days_before(17_040), 1);
    }

    #[test]
    fn a_late_payment_does_not_push_out_what_was_used_since() {
        let mut record = Record::new(1, "p", 0);
        note(&mut record, Kind::Merchant, 7, 16_990, 1);
        for shop in 100..103 {
            note(&mut record, Kind::Merchant, shop, 17_000, 1);
        }
        note(&mut record, Kind::Merchant, 8, 16_999, 1);
        assert!(find(&record, Kind::Merchant, 100, 17_000).is_some());
        assert!(find(&record, Kind::Merchant, 7, 17_000).is_none());
    }

    #[test]
    fn the_day_in_hand_is_not_an_earlier_day() {
        let mut record = Record::new(1, "p", 0);
        note(&mut record, Kind::Network, 9, 17_000, 0);
        note(&mut record, Kind::Network, 9, 17_000, 0);
        let known = find(&record, Kind::Network, 9, 17_000).unwrap();
        assert_eq!(known.days_before(17_000), 0);
        assert_eq!(known.days_before(17_001), 1);
    }

    #[test]
    fn a_place_unused_for_400_days_no_longer_counts() {
        let mut record = Record::new(1, "p", 0);
        note(&mut record, Kind::PaidCountry, 9, 17_000, 0);
        assert!(find(&record, Kind::PaidCountry, 9, 17_400).is_some());
        assert!(find(&record, Kind::PaidCountry, 9, 17_401).is_none());
    }
}
