//! Currencies by ISO 4217 letters, their minor units, and a table of rates to compare amounts in one base currency.
//! All of it is integer arithmetic: the same amount compares the same on every machine.
//! It deliberately reads no file and knows no rate of its own: the rates come from the configuration.

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// The minor-unit exponents that are not 2 (ISO 4217 list one, column "minor unit").
const EXPONENTS: [(u8, &[u8]); 3] = [
    (
        0,
        b"BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    ),
    (3, b"BHD IQD JOD KWD LYD OMR TND"),
    (4, b"CLF UYW"),
];

/// The active codes of ISO 4217 that have a minor unit, and those withdrawn since 2018 (ANG, BGN, CUC, HRK, MRO, SLL,
/// STD, VEF, ZWL), because recorded events are older than the list. Metals, units of account and test codes are not money.
const LETTERS: &[u8] = b"\
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF \
    BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CLF \
    CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB \
    EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF \
    IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD \
    KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRO \
    MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB \
    PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK \
    SGD SHP SLE SLL SOS SRD SSP STD STN SVC SYP SZL THB TJS TMT TND \
    TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VEF VES \
    VND VUV WST XAD XAF XCD XCG XOF XPF YER ZAR ZMW ZWG ZWL";

/// How many codes [`LETTERS`] holds: three letters each and a space between them.
const COUNT: usize = LETTERS.len().div_ceil(4);

/// The known currencies in alphabetical order.
static CURRENCIES: [Currency; COUNT] = currencies();

/// A currency of ISO 4217.
///
/// Packed as three letters and the minor-unit exponent in the low byte, so the natural order is alphabetical.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(u32);

impl Currency {
    /// Reads exactly three upper-case letters that are a listed code; anything else is `None`.
    #[inline]
    pub fn parse<T: AsRef<[u8]> + ?Sized>(text: &T) -> Option<Self> {
        let letters: [u8; 3] = text.as_ref().try_into().ok()?;
        let [a, b, c] = letters.map(|letter| usize::from(letter.wrapping_sub(b'A')));
        if a >= 26 || b >= 26 || c >= 26 {
            return None;
        }
        let row = usize::from(INDEX[cell(a, b, c)]).checked_sub(1)?;
        CURRENCIES.get(row).copied()
    }

    /// The three letters as ASCII bytes.
    pub fn letters(self) -> [u8; 3] {
        let [a, b, c, _] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// How many decimal digits the minor unit has: 0 to 4, for most currencies 2.
    pub fn exponent(self) -> u8 {
        self.0.to_be_bytes()[3]
    }

    /// Every known currency, in alphabetical order.
    pub fn all() -> impl Iterator<Item = Self> {
        CURRENCIES.iter().copied()
    }
}

/// Row plus one of each three letters, 0 where no currency has them: a look into it is cheaper than
/// a search, and this runs per event.
static INDEX: [u8; 26 * 26 * 26] = index_table();
const _: () = assert!(COUNT < u8::MAX as usize);

const fn cell(a: usize, b: usize, c: usize) -> usize {
    (a * 26 + b) * 26 + c
}

const fn index_table() -> [u8; 26 * 26 * 26] {
    let mut table = [0; 26 * 26 * 26];
    let (mut at, mut index) = (0, 0_u8);
    while at < LETTERS.len() {
        index += 1;
        let [a, b, c] = [LETTERS[at], LETTERS[at + 1], LETTERS[at + 2]];
        table[cell(
            (a - b'A') as usize,
            (b - b'A') as usize,
            (c - b'A') as usize,
        )] = index;
        at += 4;
    }
    table
}

const fn currencies() -> [Currency; COUNT] {
    let mut all = [Currency(0); COUNT];
    let mut row = 0;
    while row < COUNT {
        let letters = [LETTERS[4 * row], LETTERS[4 * row + 1], LETTERS[4 * row + 2]];
        all[row] = Currency(u32::from_be_bytes([
            letters[0],
            letters[1],
            letters[2],
            exponent_of(letters),
        ]));
        row += 1;
    }
    all
}

const fn exponent_of(letters: [u8; 3]) -> u8 {
    let mut group = 0;
    while group < EXPONENTS.len() {
        let (exponent, members) = EXPONENTS[group];
        let mut at = 0;
        while at < members.len() {
            if members[at] == letters[0]
                && members[at + 1] == letters[1]
                && members[at + 2] == letters[2]
            {
                return exponent;
            }
            at += 4;
        }
        group += 1;
    }
    2
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.letters();
        write!(f, "{}{}{}", char::from(a), char::from(b), char::from(c))
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({self})")
    }
}

/// One in micro-units: the rate of the base currency to itself.
pub const ONE_MICRO: i64 = 1_000_000;

/// The highest rate accepted, in micro-units: a thousand million units of the base for one unit. Above it the product of
/// rate and amount would no longer fit 128 bits.
pub const MAX_RATE_MICRO: i64 = 1_000_000_000 * ONE_MICRO;

/// Why a list of rates was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RateError {
    /// A rate that is zero, negative or above [`MAX_RATE_MICRO`].
    #[error("the rate of {0} is {1} millionths, which is outside 1 to 1,000,000,000,000,000")]
    OutOfRange(Currency, i64),
    /// The same currency twice.
    #[error("{0} is listed twice")]
    Twice(Currency),
    /// The base currency listed with a rate that is not 1.
    #[error("{0} is the base currency, so its rate is 1 and not {1} millionths")]
    BaseNotOne(Currency, i64),
}

/// What one major unit of each currency is worth in the base currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateTable {
    base: Currency,
    per_unit: Vec<(Currency, i64)>,
    hash: String,
}

impl RateTable {
    /// Builds the table from rates in micro-units of the base per one major unit, in any order.
    ///
    /// The base itself need not be listed. Errors: a rate outside 1 to [`MAX_RATE_MICRO`], a currency listed twice, or
    /// the base with a rate other than 1.
    pub fn new(base: Currency, rates: &[(Currency, i64)]) -> Result<Self, RateError> {
        let mut per_unit = rates.to_vec();
        per_unit.sort_unstable();
        for &(currency, micro) in &per_unit {
            if !(1..=MAX_RATE_MICRO).contains(&micro) {
                return Err(RateError::OutOfRange(currency, micro));
            }
            if currency == base && micro != ONE_MICRO {
                return Err(RateError::BaseNotOne(currency, micro));
            }
        }
        if let Some(pair) = per_unit.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(RateError::Twice(pair[0].0));
        }
        if let Err(place) = per_unit.binary_search_by_key(&base, |&(currency, _)| currency) {
            per_unit.insert(place, (base, ONE_MICRO));
        }
        let hash = hash_of(base, &per_unit);
        Ok(Self {
            base,
            per_unit,
            hash,
        })
    }

    /// A table that knows its base currency and nothing else.
    pub fn only(base: Currency) -> Self {
        let per_unit = vec![(base, ONE_MICRO)];
        let hash = hash_of(base, &per_unit);
        Self {
            base,
            per_unit,
            hash,
        }
    }

    /// The currency that amounts are compared in.
    pub fn base(&self) -> Currency {
        self.base
    }

    /// The first 16 hex digits of the SHA-256 of the canonical text: `base DKK`, then `EUR 7460000` and so on, one
    /// currency a line in alphabetical order, the base included, each line ended by a line feed.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The rates, in micro-units of the base per major unit, in alphabetical order, the base included.
    pub fn rates(&self) -> &[(Currency, i64)] {
        &self.per_unit
    }

    /// An amount in minor units of its currency as minor units of the base, rounded half away from zero.
    ///
    /// `None` for a currency that is not listed, and for a result beyond 64 bits.
    pub fn to_base_minor(&self, amount_minor: i64, currency: Currency) -> Option<i64> {
        if currency == self.base {
            return Some(amount_minor);
        }
        let row = self
            .per_unit
            .binary_search_by_key(&currency, |&(listed, _)| listed)
            .ok()?;
        let (_, micro) = self.per_unit[row];
        // INVARIANT (rate-fits): 2^63 x 10^15 x 10^4 is below 2^127, so the product cannot overflow.
        let product =
            i128::from(amount_minor) * i128::from(micro) * power_of_ten(self.base.exponent());
        let divisor = i128::from(ONE_MICRO) * power_of_ten(currency.exponent());
        let half = divisor / 2;
        let rounded = (product.abs() + half) / divisor * product.signum();
        i64::try_from(rounded).ok()
    }
}

fn power_of_ten(exponent: u8) -> i128 {
    10_i128.pow(u32::from(exponent))
}

fn hash_of(base: Currency, per_unit: &[(Currency, i64)]) -> String {
    let mut text = format!("base {base}\n");
    for (currency, micro) in per_unit {
        text.push_str(&format!("{currency} {micro}\n"));
    }
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(text: &str) -> Currency {
        Currency::parse(text).unwrap()
    }

    fn krone_table() -> RateTable {
        RateTable::new(
            currency("DKK"),
            &[
                (currency("USD"), 6_300_000),
                (currency("EUR"), 7_460_000),
                (currency("JPY"), 46_000),
                (currency("KWD"), 20_500_000),
            ],
        )
        .unwrap()
    }

    #[test]
    fn only_listed_letters_are_currencies() {
        for text in ["DKK", "EUR", "BGN", "HRK", "JPY", "AED", "ZWL"] {
            assert_eq!(currency(text).to_string(), text);
        }
        for text in [
            "", "DK", "dkk", "DKKK", "ABC", "XXX", "XAU", "XTS", "208", "DK ", "ÆK",
        ] {
            assert_eq!(Currency::parse(text), None, "`{text}`");
        }
    }

    #[test]
    fn the_list_is_alphabetical_without_repeats_and_spelled_in_letters() {
        assert!(CURRENCIES.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(
            Currency::all().all(|currency| currency.letters().iter().all(u8::is_ascii_uppercase))
        );
        assert!(
            Currency::all()
                .all(|currency| Currency::parse(&currency.to_string()) == Some(currency))
        );
    }

    #[test]
    fn minor_units_follow_the_standard() {
        for (text, exponent) in [
            ("DKK", 2),
            ("JPY", 0),
            ("ISK", 0),
            ("KRW", 0),
            ("KWD", 3),
            ("BHD", 3),
            ("CLF", 4),
            ("HUF", 2),
        ] {
            assert_eq!(currency(text).exponent(), exponent, "{text}");
        }
        let unusual = EXPONENTS
            .iter()
            .map(|(_, members)| members.len().div_ceil(4))
            .sum::<usize>();
        assert_eq!(
            Currency::all()
                .filter(|currency| currency.exponent() != 2)
                .count(),
            unusual
        );
    }

    #[test]
    fn amounts_cross_over_with_their_minor_units() {
        let table = krone_table();
        let base = |amount, text| table.to_base_minor(amount, currency(text)).unwrap();
        assert_eq!(base(12_345, "DKK"), 12_345);
        assert_eq!(base(10_000, "EUR"), 74_600);
        assert_eq!(base(10_000, "JPY"), 46_000); // ten thousand yen, which has no minor unit
        assert_eq!(base(1_000, "KWD"), 2_050); // one dinar of a thousand fils
        assert_eq!(base(-10_000, "USD"), -63_000);
        assert_eq!(table.to_base_minor(1, currency("SEK")), None);
    }

    #[test]
    fn halves_round_away_from_zero() {
        let table = RateTable::new(currency("DKK"), &[(currency("EUR"), 500_000)]).unwrap();
        let base = |amount| table.to_base_minor(amount, currency("EUR")).unwrap();
        assert_eq!(
            [base(1), base(-1), base(3), base(-3), base(2), base(0)],
            [1, -1, 2, -2, 1, 0]
        );
    }

    #[test]
    fn a_result_beyond_64_bits_is_unknown_and_the_extremes_do_not_overflow() {
        let (base, dear) = (currency("CLF"), currency("JPY"));
        let table = RateTable::new(base, &[(dear, MAX_RATE_MICRO)]).unwrap();
        assert_eq!(table.to_base_minor(i64::MAX, dear), None);
        assert_eq!(table.to_base_minor(i64::MIN, dear), None);
        assert_eq!(table.to_base_minor(i64::MIN, base), Some(i64::MIN));
    }

    #[test]
    fn faulty_rates_are_refused() {
        let (dkk, eur) = (currency("DKK"), currency("EUR"));
        assert_eq!(
            RateTable::new(dkk, &[(eur, 0)]),
            Err(RateError::OutOfRange(eur, 0))
        );
        assert_eq!(
            RateTable::new(dkk, &[(eur, -5)]),
            Err(RateError::OutOfRange(eur, -5))
        );
        assert!(RateTable::new(dkk, &[(eur, MAX_RATE_MICRO + 1)]).is_err());
        assert_eq!(
            RateTable::new(dkk, &[(eur, 7), (eur, 8)]),
            Err(RateError::Twice(eur))
        );
        assert_eq!(
            RateTable::new(dkk, &[(dkk, 7)]),
            Err(RateError::BaseNotOne(dkk, 7))
        );
    }

    #[test]
    fn the_hash_follows_the_content_and_not_the_order() {
        let (dkk, eur, usd) = (currency("DKK"), currency("EUR"), currency("USD"));
        let one = RateTable::new(dkk, &[(eur, 7), (usd, 6)]).unwrap();
        let other = RateTable::new(dkk, &[(usd, 6), (dkk, ONE_MICRO), (eur, 7)]).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.hash().len(), 16);
        assert_ne!(
            one.hash(),
            RateTable::new(dkk, &[(eur, 8), (usd, 6)]).unwrap().hash()
        );
        assert_eq!(RateTable::only(dkk), RateTable::new(dkk, &[]).unwrap());
        // printf 'base DKK\nDKK 1000000\n' | sha256sum
        assert_eq!(RateTable::only(dkk).hash(), "663b64947e433481");
    }

    proptest! {
        #[test]
        fn conversion_errs_by_at_most_half_a_minor_unit_and_keeps_the_sign(
            amount in -1_000_000_000_000_i64..1_000_000_000_000,
            micro in 1..=1_000_000_000_i64,
        ) {
            let (dkk, kwd) = (currency("DKK"), currency("KWD"));
            let table = RateTable::new(dkk, &[(kwd, micro)]).unwrap();
            let base = table.to_base_minor(amount, kwd).unwrap();
            let error = i128::from(base) * 10_000_000 - i128::from(amount) * i128::from(micro);
            prop_assert!(error.abs() * 2 <= 10_000_000);
            prop_assert!(base.signum() == 0 || base.signum() == amount.signum());
        }
    }
}
