//! Chance that is the same on every machine: a small generator of our own, and amounts drawn by integer arithmetic.
//!
//! No crate of random numbers, whose streams change between versions, and no C library, whose logarithms differ between
//! machines: the same seed gives the same bytes for ever. It is no source of secrets.

/// A mixing of 64 bits: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
pub const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// SplitMix64: a stream of numbers from a seed.
#[derive(Debug, Clone, Copy)]
pub struct Dice(u64);

/// `2^(n/16)` in 65536ths.
const POWERS: [i64; 17] = [
    65_536, 68_438, 71_468, 74_632, 77_936, 81_386, 84_990, 88_752, 92_682, 96_785, 101_070,
    105_545, 110_218, 115_098, 120_194, 125_515, 131_072,
];
/// The standard deviation of the sum of four uniform numbers below 65536.
const BELL_DEVIATION: i64 = 37_837;

impl Dice {
    /// The stream of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `bound`, which is below 2^32; 0 where the bound is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.roll() >> 32) * bound) >> 32
    }

    /// A number from `low` to below `high`, which lie less than 2^32 apart.
    pub const fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).unsigned_abs()).cast_signed()
    }

    /// True so many times in a thousand.
    pub const fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// A place in a list of so many entries.
    pub fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).unwrap_or(0);
        usize::try_from(self.below(length)).unwrap_or(0)
    }

    /// One of several, which are not none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.index(of.len())]
    }

    /// How many times something happens that happens `millionths` / 10^6 times on average: that number cut, or one more.
    pub const fn count(&mut self, millionths: u64) -> u64 {
        (millionths + self.below(1_000_000)) / 1_000_000
    }

    /// An amount around a median, near enough to log-normal: the normal number is the sum of four uniform ones.
    /// `spread` is the standard deviation in 256ths of an octave (a doubling).
    pub fn amount(&mut self, median: i64, spread: i64) -> i64 {
        let bits = self.roll();
        let sum: u64 = (0..4).map(|part| bits >> (16 * part) & 0xFFFF).sum();
        let octaves = (sum.cast_signed() - 2 * 65_535) * spread / BELL_DEVIATION;
        scaled(median, octaves)
    }
}

/// `amount` times 2 to so many 256ths, by a table and straight lines between its entries.
fn scaled(amount: i64, octaves: i64) -> i64 {
    let whole = octaves.div_euclid(256).clamp(-30, 20);
    let part = octaves.rem_euclid(256);
    let at = usize::try_from(part / 16).unwrap_or(0);
    let factor = POWERS[at] + (POWERS[at + 1] - POWERS[at]) * (part % 16) / 16;
    let amount = amount.saturating_mul(factor) >> 16;
    if whole >= 0 {
        amount << whole
    } else {
        amount >> -whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64s() {
        // The reference output for seed 0 (Vigna's splitmix64.c).
        let mut dice = Dice::new(0);
        assert_eq!(dice.roll(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(dice.roll(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn amounts_lie_around_their_median_and_an_octave_is_a_doubling() {
        let mut dice = Dice::new(7);
        let mut amounts: Vec<i64> = (0..10_001).map(|_| dice.amount(20_000, 256)).collect();
        amounts.sort_unstable();
        assert!((19_000..21_000).contains(&amounts[5_000]));
        // One standard deviation above the median lies the 84th percentile.
        assert!((38_000..42_500).contains(&amounts[8_413]));
        assert_eq!(scaled(1_000, 256), 2_000);
        assert_eq!(scaled(1_000, -512), 250);
        assert_eq!(scaled(65_536, 128), 92_682);
    }

    #[test]
    fn what_is_drawn_stays_within_its_bounds() {
        let mut dice = Dice::new(1);
        for _ in 0..10_000 {
            assert!((-5..9).contains(&dice.between(-5, 9)));
            assert!(dice.below(3) < 3);
        }
        assert_eq!(dice.below(0), 0);
    }
}
