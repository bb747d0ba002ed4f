//! Habits of a cardholder in fixed space: how large the payments are, and at what hours.
//!
//! Amounts are looked at as log2 of minor units in steps of 1/256, read off the integer's bits, so
//! that no logarithm of a C library decides a score. A decayed mean and variance (West 1979,
//! weighted incremental update) serve the tail; a histogram by octaves serves the robust z-score
//! (median and quartile distance; Huber 1981). What is unusual enough to matter is for rules.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Half-life of the decayed mean and variance, in seconds: a quarter of a year.
const HALF_LIFE_S: u32 = 90 * 86_400;
/// Payments before which a habit is not one.
pub const ENOUGH_PAYMENTS: u16 = 8;
/// Octaves of the histogram: bin 0 holds all below 2^8 minor units, the last all from 2^22 on.
const OCTAVES: usize = 16;
/// The octave of the second bin.
const FIRST_OCTAVE: i32 = 7;
/// Parts of the day, three hours each.
const PARTS: usize = 8;
/// Smallest spread believed, in octaves: a cardholder who always pays the same still may pay half more.
const LEAST_SPREAD: f64 = 0.5;

/// Decayed habits; 52 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Habit {
    /// Mean of log2 amount.
    pub mean: f32,
    /// Variance of log2 amount.
    pub variance: f32,
    /// Decayed number of payments.
    pub weight: f32,
    /// When it was last updated, in seconds.
    pub updated_s: u32,
    /// Payments by octave; all halved when one would overflow.
    pub octaves: [u8; OCTAVES],
    /// Payments by part of the day; all halved when one would overflow.
    pub parts: [u8; PARTS],
    /// Approved payments ever; stops at the top.
    pub payments: u16,
}

/// log2 of a positive amount in 1/256, linear between powers of two (off by at most 0.09 octaves);
/// 0 for amounts below 1.
pub fn log2_256(amount_minor: i64) -> i32 {
    let Ok(amount) = u64::try_from(amount_minor) else {
        return 0;
    };
    if amount == 0 {
        return 0;
    }
    let whole = amount.ilog2();
    let fraction = (u128::from(amount) << 8 >> whole) & 0xFF;
    i32::try_from(whole).unwrap_or(0) * 256 + i32::try_from(fraction).unwrap_or(0)
}

/// The smallest eighth of an octave that is not below the amount, 1-255; 0 for no amount.
pub fn level_up(amount_minor: i64) -> u8 {
    if amount_minor <= 0 {
        return 0;
    }
    let octave = amount_minor.ilog2();
    if octave > 31 {
        return u8::MAX;
    }
    // From 8 on the eighths are whole numbers; below, the division drops a part of them.
    let from = octave * 8;
    let level = if octave >= 3 {
        let eighth = 1_i64 << (octave - 3);
        let above = (amount_minor - (1 << octave)).unsigned_abs();
        from + u32::try_from(above.div_ceil(eighth.unsigned_abs())).unwrap_or(8)
    } else {
        (from..from + 8)
            .find(|level| amount_of_level(u8::try_from(*level).unwrap_or(0)) >= amount_minor)
            .unwrap_or(from + 8)
    };
    u8::try_from(level.max(1)).unwrap_or(u8::MAX)
}

/// The amount of a level: 2^(level/8), linear between powers of two, in minor units.
pub fn amount_of_level(level: u8) -> i64 {
    if level == 0 {
        return 0;
    }
    let base = 1_i64 << (level / 8);
    base + base * i64::from(level % 8) / 8
}

impl Habit {
    /// Takes in an approved payment at `at_s` seconds and `hour` of the day.
    pub fn learn(&mut self, amount_minor: i64, at_s: u32, hour: u8) {
        let log = log2_256(amount_minor);
        #[expect(clippy::cast_precision_loss, reason = "at most 2^14, exact in f32")]
        let x = log as f32 / 256.0;
        let kept = decay(at_s.saturating_sub(self.updated_s));
        self.weight = self.weight * kept + 1.0;
        let delta = x - self.mean;
        self.mean += delta / self.weight;
        self.variance = (1.0 - 1.0 / self.weight) * (self.variance + delta * delta / self.weight);
        self.updated_s = self.updated_s.max(at_s);
        bump(&mut self.octaves, octave_bin(log));
        bump(&mut self.parts, usize::from(hour / 3));
        self.payments = self.payments.saturating_add(1);
    }

    /// Robust z-score of an amount: its distance from the median in units of the quartile distance
    /// over 1.349 (which is the standard deviation of a normal distribution). Nothing before
    /// [`ENOUGH_PAYMENTS`].
    pub fn robust_z(&self, amount_minor: i64) -> Option<f64> {
        if self.payments < ENOUGH_PAYMENTS {
            return None;
        }
        let median = self.quantile(2);
        let spread = ((self.quantile(3) - self.quantile(1)) / 1.349).max(LEAST_SPREAD);
        Some((f64::from(log2_256(amount_minor)) / 256.0 - median) / spread)
    }

    /// The quartiles of amounts in minor units, to the eighth of an octave. Nothing before [`ENOUGH_PAYMENTS`].
    pub fn quartiles(&self) -> Option<[i64; 3]> {
        if self.payments < ENOUGH_PAYMENTS {
            return None;
        }
        let amount = |quarter| {
            let eighths = (self.quantile(quarter) * 8.0).clamp(0.0, 255.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to 0..=255"
            )]
            amount_of_level(eighths as u8)
        };
        Some([amount(1), amount(2), amount(3)])
    }

    /// How far in the upper tail an amount lies: -log10 of the predictive p-value (Student's t
    /// around the decayed mean, Gelman et al., Bayesian Data Analysis, 3.2), times 100, rounded,
    /// 0-999. Nothing before [`ENOUGH_PAYMENTS`].
    pub fn tail(&self, amount_minor: i64) -> Option<i64> {
        if self.payments < ENOUGH_PAYMENTS {
            return None;
        }
        let weight = f64::from(self.weight).max(2.0);
        let sigma = f64::from(self.variance).sqrt().max(LEAST_SPREAD) * (1.0 + 1.0 / weight).sqrt();
        let x = f64::from(log2_256(amount_minor)) / 256.0;
        let t = (x - f64::from(self.mean)) / sigma;
        let p = StudentsT::new(0.0, 1.0, weight - 1.0).ok()?.sf(t);
        let score = (-p.max(1e-12).log10() * 100.0).round().clamp(0.0, 999.0);
        #[expect(clippy::cast_possible_truncation, reason = "clamped to 0..=999")]
        Some(score as i64)
    }

    /// Share of payments in the same part of the day. Nothing before [`ENOUGH_PAYMENTS`].
    pub fn hour_share(&self, hour: u8) -> Option<f64> {
        if self.payments < ENOUGH_PAYMENTS {
            return None;
        }
        let all: u32 = self.parts.iter().map(|n| u32::from(*n)).sum();
        let here = self.parts.get(usize::from(hour / 3)).copied().unwrap_or(0);
        Some(f64::from(here) / f64::from(all.max(1)))
    }

    /// A quartile (1, 2, 3) of log2 amount, linear within its octave.
    fn quantile(&self, quarter: u32) -> f64 {
        let all: u32 = self.octaves.iter().map(|n| u32::from(*n)).sum();
        let wanted = f64::from(all * quarter) / 4.0;
        let mut below = 0.0;
        for (bin, count) in (FIRST_OCTAVE..).zip(&self.octaves) {
            let count = f64::from(*count);
            if count > 0.0 && below + count >= wanted {
                return f64::from(bin) + (wanted - below) / count;
            }
            below += count;
        }
        f64::from(FIRST_OCTAVE)
    }
}

fn octave_bin(log: i32) -> usize {
    let last = i32::try_from(OCTAVES).unwrap_or(16) - 1;
    usize::try_from((log / 256 - FIRST_OCTAVE).clamp(0, last)).unwrap_or(0)
}

fn bump(bins: &mut [u8], bin: usize) {
    if bins.get(bin).is_some_and(|n| *n == u8::MAX) {
        for count in bins.iter_mut() {
            *count /= 2;
        }
    }
    if let Some(count) = bins.get_mut(bin) {
        *count += 1;
    }
}

/// 2^(-seconds / half-life), linear between whole half-lives.
fn decay(seconds: u32) -> f32 {
    let whole = seconds / HALF_LIFE_S;
    if whole >= 24 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than f32")]
    let part = (seconds % HALF_LIFE_S) as f32 / HALF_LIFE_S as f32;
    let halves = u16::try_from(1_u32 << whole.min(15)).unwrap_or(u16::MAX);
    (1.0 - part / 2.0) / f32::from(halves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_never_below_its_amount_and_at_most_an_eighth_octave_above() {
        for amount in [1_i64, 2, 9, 100, 12_345, 3_388_211, 2_000_000_000] {
            let up = amount_of_level(level_up(amount));
            assert!(
                up >= amount && up <= amount + amount / 7 + 1,
                "{amount} -> {up}"
            );
        }
        assert_eq!(level_up(0), 0);
        for amount in (1..5_000).chain((1..2_000).map(|n| n * 2_654_435)) {
            let searched = (1..=u8::MAX).find(|level| amount_of_level(*level) >= amount);
            assert_eq!(level_up(amount), searched.unwrap_or(u8::MAX), "{amount}");
        }
    }

    #[test]
    fn an_amount_far_above_habit_lies_far_in_the_tail_and_a_usual_one_does_not() {
        let mut habit = Habit::default();
        for day in 0..40_u32 {
            habit.learn(20_000 + i64::from(day % 7) * 5_000, day * 86_400, 12);
        }
        assert!(habit.robust_z(3_388_211).unwrap() > 5.0);
        assert!(habit.tail(3_388_211).unwrap() > 500);
        assert!(habit.robust_z(25_000).unwrap() < 1.0);
        assert!(habit.tail(25_000).unwrap() < 100);
        assert!(habit.hour_share(13).unwrap() > 0.9 && habit.hour_share(3).unwrap() < 0.1);
    }

    #[test]
    fn eight_payments_make_a_habit_and_seven_do_not() {
        let mut habit = Habit::default();
        for day in 0..7 {
            habit.learn(10_000, day * 86_400, 12);
        }
        assert_eq!(habit.robust_z(10_000), None);
        habit.learn(10_000, 7 * 86_400, 12);
        assert!(habit.robust_z(10_000).is_some());
    }
}
