//! Places a cardholder is known to pay at or come from: merchants, countries, networks, MCC groups.
//!
//! Bounded sets with the number of distinct days and the largest amount. What is rarely used
//! gives way first: a monthly payee outlives a merchant seen once last week. An MCC group and a
//! country take a word each, a merchant and a network two. Order within a set means nothing.

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
    /// The largest amount, in eighths of an octave ([`crate::engine::habit::level_up`]); not kept
    /// of countries.
    pub level: u8,
}

impl Known {
    /// The word of an MCC group: its code is the bit that counts it.
    fn of_group(code: u32, word: u32) -> Self {
        Self {
            kind: Kind::MccGroup as u8,
            key: code,
            days: low_byte(word),
            level: low_byte(word >> 8),
            last_day: word >> 16 & (DAY_CYCLE - 1),
        }
    }

    fn group_word(self) -> u32 {
        u32::from(self.days) | u32::from(self.level) << 8 | self.last_day << 16
    }

    fn of_country(word: u32) -> Self {
        Self {
            kind: low_byte(word & 7),
            key: word >> 3 & 0xFF,
            days: low_byte(word >> 11),
            level: 0,
            last_day: word >> 19,
        }
    }

    fn country_word(self) -> u32 {
        u32::from(self.kind)
            | (self.key & 0xFF) << 3
            | u32::from(self.days) << 11
            | self.last_day << 19
    }

    fn of_words([key, meta]: [u32; KNOWN_WORDS]) -> Self {
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
            | self.last_day << 19;
        [self.key, meta]
    }

    /// Days since it was last used, on day `day` since 1970.
    pub fn age_days(self, day: u32) -> u32 {
        day.wrapping_sub(self.last_day) % DAY_CYCLE
    }

    /// On how many days before day `day` it was used.
    pub fn days_before(self, day: u32) -> u8 {
        if self.age_days(day) == 0 {
            self.days - 1
        } else {
            self.days
        }
    }

    /// A place used for the first time.
    fn fresh(kind: Kind, key: u32, day: u32, level: u8) -> Self {
        Self {
            kind: kind as u8,
            key,
            days: 1,
            last_day: day % DAY_CYCLE,
            level,
        }
    }

    /// The same place, used again on day `day`.
    fn used(mut self, day: u32, level: u8) -> Self {
        let age = self.age_days(day);
        if age > FORGOTTEN_DAYS && age < DAY_CYCLE / 2 {
            (self.days, self.level) = (0, 0);
        }
        // A late event (age near the whole cycle) lies before the last day: its day was counted or is lost.
        if age > 0 && age < DAY_CYCLE / 2 {
            self.last_day = day % DAY_CYCLE;
            self.days = self.days.saturating_add(1);
        }
        self.level = self.level.max(level);
        self
    }

    /// What it is worth when room is made on day `day`: each day of use weighs as much as thirty
    /// days of age; ties go to the smallest key.
    #[inline]
    fn worth(self, day: u32) -> i64 {
        // For a late event the newer entries lie ahead (age near the whole cycle): they are fresh.
        let age = Some(self.age_days(day)).filter(|age| *age < DAY_CYCLE / 2);
        let age = i64::from(age.unwrap_or(0).min(FORGOTTEN_DAYS * 10));
        (i64::from(self.days) * 30 - age) << 32 | i64::from(self.key)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the cut is the purpose")]
fn low_byte(word: u32) -> u8 {
    word as u8
}

/// The entry of a place, where the cardholder has one that still counts on day `day`.
#[inline]
pub fn find(record: &Record, kind: Kind, key: u32, day: u32) -> Option<Known> {
    let known = match kind {
        Kind::MccGroup => Known::of_group(key, record.group(key)?),
        Kind::PaidCountry | Kind::EidCountry => {
            let is_it = is_country(kind, key);
            let words = record.section(Section::Countries).iter();
            Known::of_country(words.copied().find(is_it)?)
        }
        Kind::Merchant | Kind::RemoteMerchant | Kind::Network => {
            let is_it = is_known(kind, key);
            let (entries, _) = record.section(Section::Known).as_chunks();
            Known::of_words(entries.iter().copied().find(is_it)?)
        }
    };
    Some(known).filter(|known| known.age_days(day) <= FORGOTTEN_DAYS)
}

/// The entries of a merchant as a remote payee and as a shop, which still count on day `day`.
#[inline]
pub fn merchant(record: &Record, key: u32, day: u32) -> [Option<Known>; 2] {
    let (entries, _) = record.section(Section::Known).as_chunks::<KNOWN_WORDS>();
    let mut found = [None; 2];
    for words in entries.iter().filter(|[known, _]| *known == key) {
        let known = Known::of_words(*words);
        if known.age_days(day) > FORGOTTEN_DAYS {
            continue;
        }
        if known.kind == Kind::RemoteMerchant as u8 {
            found[0] = Some(known);
        } else if known.kind == Kind::Merchant as u8 {
            found[1] = Some(known);
        }
    }
    found
}

/// Whether any country, merchant or network that still counts on day `day` passes a test.
pub fn any(record: &Record, day: u32, test: impl Fn(&Known) -> bool) -> bool {
    let countries = record.section(Section::Countries).iter().copied();
    let (entries, _) = record.section(Section::Known).as_chunks();
    countries
        .map(Known::of_country)
        .chain(entries.iter().copied().map(Known::of_words))
        .any(|known| known.age_days(day) <= FORGOTTEN_DAYS && test(&known))
}

/// Notes that a place was used on day `day`, with an amount level.
#[inline]
pub fn note(record: &mut Record, kind: Kind, key: u32, day: u32, level: u8) {
    match kind {
        Kind::MccGroup => record.change_group(key, |word| {
            let known = word.map(|word| Known::of_group(key, word).used(day, level));
            let fresh = || Known::fresh(kind, key, day, level);
            known.unwrap_or_else(fresh).group_word()
        }),
        Kind::PaidCountry | Kind::EidCountry => note_country(record, kind, key, day),
        Kind::Merchant | Kind::RemoteMerchant | Kind::Network => {
            note_known(record, kind, key, day, level);
        }
    }
}

/// Notes a country, of which no amount is kept.
fn note_country(record: &mut Record, kind: Kind, key: u32, day: u32) {
    let is_it = is_country(kind, key);
    let (entries, _) = record.section_mut(Section::Countries).as_chunks_mut();
    if let Some([word]) = entries.iter_mut().find(|[word]| is_it(word)) {
        *word = Known::of_country(*word).used(day, 0).country_word();
        return;
    }
    let fresh = [Known::fresh(kind, key, day, 0).country_word()];
    let all = || entries.iter().map(|[word]| Known::of_country(*word));
    match to_give_way(kind, day, all()).and_then(|index| entries.get_mut(index)) {
        Some(entry) => *entry = fresh,
        None => {
            let end = entries.len();
            record.insert(Section::Countries, end, fresh);
        }
    }
}

/// Notes a merchant or a network: its entry is looked for, and the one that would give way, in one
/// pass, since most cardholders' merchants are new.
fn note_known(record: &mut Record, kind: Kind, key: u32, day: u32, level: u8) {
    let (entries, _) = record.section_mut(Section::Known).as_chunks_mut();
    let (mut many, mut least, mut place) = (0, i64::MAX, 0);
    for (index, words) in entries.iter_mut().enumerate() {
        let [known, meta] = *words;
        if meta & 7 != u32::from(kind as u8) {
            continue;
        }
        let entry = Known::of_words([known, meta]);
        if known == key {
            *words = entry.used(day, level).words();
            return;
        }
        many += 1;
        let worth = entry.worth(day);
        if worth < least {
            (least, place) = (worth, index);
        }
    }
    let fresh = Known::fresh(kind, key, day, level).words();
    let end = entries.len();
    match entries.get_mut(place).filter(|_| many >= kind.bound()) {
        Some(entry) => *entry = fresh,
        None => record.insert(Section::Known, end, fresh),
    }
}

#[inline]
fn is_country(kind: Kind, key: u32) -> impl Fn(&u32) -> bool {
    let wanted = u32::from(kind as u8) | (key & 0xFF) << 3;
    move |word| word & 0x7FF == wanted
}

#[inline]
fn is_known(kind: Kind, key: u32) -> impl Fn(&[u32; KNOWN_WORDS]) -> bool {
    let kind = u32::from(kind as u8);
    move |[known, meta]| *known == key && meta & 7 == kind
}

/// The place of the entry of the kind that is worth least, where the kind's bound is reached.
#[inline]
fn to_give_way(kind: Kind, day: u32, all: impl Iterator<Item = Known>) -> Option<usize> {
    let (mut many, mut least) = (0, None);
    for (index, known) in all.enumerate().filter(|(_, k)| k.kind == kind as u8) {
        many += 1;
        let worth = known.worth(day);
        if least.is_none_or(|(other, _)| worth < other) {
            least = Some((worth, index));
        }
    }
    least
        .filter(|_| many >= kind.bound())
        .map(|(_, index)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monthly_payee_outlives_merchants_seen_once() {
        let mut record = Record::new(1, 0);
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
        let mut record = Record::new(1, 0);
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
        let mut record = Record::new(1, 0);
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
        let mut record = Record::new(1, 0);
        note(&mut record, Kind::Network, 9, 17_000, 0);
        note(&mut record, Kind::Network, 9, 17_000, 0);
        let known = find(&record, Kind::Network, 9, 17_000).unwrap();
        assert_eq!(known.days_before(17_000), 0);
        assert_eq!(known.days_before(17_001), 1);
    }

    #[test]
    fn a_place_unused_for_400_days_no_longer_counts() {
        let mut record = Record::new(1, 0);
        note(&mut record, Kind::PaidCountry, 9, 17_000, 0);
        assert!(find(&record, Kind::PaidCountry, 9, 17_400).is_some());
        assert!(find(&record, Kind::PaidCountry, 9, 17_401).is_none());
    }
}
