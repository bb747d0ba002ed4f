//! Habits recomputed from every approved payment: amounts and hours.
//!
//! Bounds as documented in `engine/habit.rs`: sixteen bins of octaves and eight parts of the day,
//! halved together when one would pass 255; a habit begins at eight payments.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// An approved payment: amount in base minor units (positive), time in seconds, hour as written.
#[derive(Clone, Copy)]
pub struct Paid {
    pub amount: i64,
    pub at_s: i64,
    pub hour: u8,
}

const HALF_LIFE_S: i64 = 90 * 86_400;
const LEAST_SPREAD: f64 = 0.5;

/// log2 in 1/256, linear between powers of two.
fn log2_256(amount: i64) -> i64 {
    let mut whole = 0;
    while amount >> (whole + 1) > 0 {
        whole += 1;
    }
    if amount <= 0 {
        return 0;
    }
    let power = 1_i128 << whole;
    let fraction = (i128::from(amount) - power) * 256 / power;
    i64::from(whole) * 256 + i64::try_from(fraction).unwrap()
}

fn real(value: i64) -> f64 {
    f64::from(i32::try_from(value).unwrap())
}

/// The smallest 2^(n/8), linear between powers of two, n from 1 to 255, that is not below the largest amount.
pub fn level_up(amount: i64) -> i64 {
    if amount <= 0 {
        return 0;
    }
    let level = |n: i64| {
        let power = 1_i64 << (n / 8);
        power + power * (n % 8) / 8
    };
    (1..=255)
        .map(level)
        .find(|value| *value >= amount)
        .unwrap_or(level(255))
}

fn counted(bins: usize, each: impl Iterator<Item = usize>) -> Vec<i64> {
    let mut counts = vec![0; bins];
    for bin in each {
        if counts[bin] == 255 {
            for count in &mut counts {
                *count /= 2;
            }
        }
        counts[bin] += 1;
    }
    counts
}

/// 2^(-age / half-life), linear between whole half-lives; nothing is left after 24 of them.
fn decay(age_s: i64) -> f64 {
    let age_s = age_s.max(0);
    let whole = age_s / HALF_LIFE_S;
    if whole >= 24 {
        return 0.0;
    }
    let part = real(age_s % HALF_LIFE_S) / real(HALF_LIFE_S);
    (1.0 - part / 2.0) / f64::powi(2.0, i32::try_from(whole.min(15)).unwrap())
}

/// Robust z-score: distance from the median in units of the quartile distance over 1.349.
pub fn robust_z(paid: &[Paid], amount: i64) -> Option<f64> {
    if paid.len() < 8 {
        return None;
    }
    let bins = paid.iter().map(|p| {
        let octave = log2_256(p.amount) / 256;
        usize::try_from((octave - 7).clamp(0, 15)).unwrap()
    });
    let counts = counted(16, bins);
    let all: i64 = counts.iter().sum();
    let quantile = |quarter: i64| {
        let wanted = real(all * quarter) / 4.0;
        let mut below = 0;
        for (bin, count) in counts.iter().enumerate() {
            if *count > 0 && real(below + count) >= wanted {
                let octave = real(i64::try_from(bin).unwrap() + 7);
                return octave + (wanted - real(below)) / real(*count);
            }
            below += count;
        }
        7.0
    };
    let spread = ((quantile(3) - quantile(1)) / 1.349).max(LEAST_SPREAD);
    Some((real(log2_256(amount)) / 256.0 - quantile(2)) / spread)
}

/// Share of payments in the same three hours of the day.
pub fn hour_share(paid: &[Paid], hour: u8) -> Option<f64> {
    if paid.len() < 8 {
        return None;
    }
    let counts = counted(8, paid.iter().map(|p| usize::from(p.hour / 3)));
    let all: i64 = counts.iter().sum();
    Some(real(counts[usize::from(hour / 3)]) / real(all))
}

/// The tail score: the weighted mean and variance of log2 amount written out as sums, each payment
/// weighing what the decay between the payments after it has left; then Student's t.
pub fn tail(paid: &[Paid], amount: i64) -> Option<i64> {
    if paid.len() < 8 {
        return None;
    }
    let mut newest_s = 0;
    let mut steps = Vec::new();
    for p in paid {
        steps.push(decay(p.at_s - newest_s));
        newest_s = newest_s.max(p.at_s);
    }
    let weights: Vec<f64> = (0..paid.len())
        .map(|i| steps[i + 1..].iter().product())
        .collect();
    let log = |p: &Paid| real(log2_256(p.amount)) / 256.0;
    let weight: f64 = weights.iter().sum();
    let mean = paid
        .iter()
        .zip(&weights)
        .map(|(p, w)| log(p) * w)
        .sum::<f64>()
        / weight;
    let squares = paid
        .iter()
        .zip(&weights)
        .map(|(p, w)| (log(p) - mean).powi(2) * w);
    let variance = squares.sum::<f64>() / weight;
    let weight = weight.max(2.0);
    let sigma = variance.sqrt().max(LEAST_SPREAD) * (1.0 + 1.0 / weight).sqrt();
    let t = (real(log2_256(amount)) / 256.0 - mean) / sigma;
    let p = StudentsT::new(0.0, 1.0, weight - 1.0).unwrap().sf(t);
    let score = (-p.max(1e-12).log10() * 100.0).round().clamp(0.0, 999.0);
    (0..1_000).find(|n| real(*n) >= score)
}
