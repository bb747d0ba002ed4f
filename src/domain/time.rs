//! Event time: milliseconds since 1970-01-01 UTC, read from and written as RFC 3339.
//!
//! No clock is read here or anywhere in the core; a time is always somebody's statement.

use chrono::DateTime;

/// One second, in milliseconds.
pub const SECOND_MS: i64 = 1_000;
/// One minute, in milliseconds: the distance of ticks.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// One hour, in milliseconds.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// One day, in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// A moment with the offset it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub ms: i64,
    /// Minutes east of UTC, as written; the local hour of the event follows from it.
    pub offset_min: i16,
}

/// The moments that an event may state: the years 1970 to 2099 (the state keeps whole seconds in
/// 32 bits).
pub const MS_RANGE: std::ops::Range<i64> = 0..4_102_444_800_000;

impl Moment {
    /// Reads RFC 3339 with an offset, `2018-03-05T16:44:56.000+01:00` or `…Z`; finer fractions
    /// than milliseconds are cut. Nothing where it is malformed or outside [`MS_RANGE`].
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = DateTime::parse_from_rfc3339(text).ok()?;
        let ms = parsed.timestamp_millis();
        let offset_min = i16::try_from(parsed.offset().local_minus_utc() / 60).ok()?;
        MS_RANGE.contains(&ms).then_some(Self { ms, offset_min })
    }

    /// The hour of the day, 0-23, at the offset as written.
    pub fn hour(self) -> u8 {
        let local = self.ms + i64::from(self.offset_min) * MINUTE_MS;
        u8::try_from(local.rem_euclid(DAY_MS) / HOUR_MS).unwrap_or(0)
    }
}

/// Appends a time as RFC 3339 UTC with milliseconds: `2018-03-05T15:44:56.000Z`. A time before the
/// year 0 is written as that year's first of March.
///
/// Days to date by Hinnant's `civil_from_days`, without signs: it runs once per output line.
pub fn write_rfc3339(out: &mut Vec<u8>, ms: i64) {
    let days = u32::try_from(ms.div_euclid(DAY_MS) + 719_468).unwrap_or(0);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    let in_day = u32::try_from(ms.rem_euclid(DAY_MS)).unwrap_or(0);
    let (seconds, millis) = (in_day / 1_000, in_day % 1_000);
    let (minutes, second) = (seconds / 60, seconds % 60);
    let [y0, y1] = pair(year / 100);
    let [y2, y3] = pair(year);
    let [o0, o1] = pair(month);
    let [d0, d1] = pair(day);
    let [h0, h1] = pair(minutes / 60);
    let [m0, m1] = pair(minutes % 60);
    let [s0, s1] = pair(second);
    let [_, f0] = pair(millis / 100);
    let [f1, f2] = pair(millis);
    out.extend_from_slice(&[
        y0, y1, y2, y3, b'-', o0, o1, b'-', d0, d1, b'T', h0, h1, b':', m0, m1, b':', s0, s1, b'.',
        f0, f1, f2, b'Z',
    ]);
}

/// The last two decimal digits of a number.
#[inline]
fn pair(number: u32) -> [u8; 2] {
    let at = usize::try_from(number % 100).unwrap_or(0);
    PAIRS[at]
}

/// `00` to `99`.
pub(crate) static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut at = 0;
    while at < 100 {
        pairs[at] = [DIGITS[at / 10], DIGITS[at % 10]];
        at += 1;
    }
    pairs
};

const DIGITS: &[u8; 10] = b"0123456789";

/// A time as text, RFC 3339 UTC with milliseconds.
pub fn rfc3339(ms: i64) -> String {
    let mut out = Vec::with_capacity(24);
    write_rfc3339(&mut out, ms);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_and_writes_back_in_utc() {
        let at = Moment::parse("2018-03-05T16:44:56.120+01:00").unwrap();
        assert_eq!(rfc3339(at.ms), "2018-03-05T15:44:56.120Z");
        assert_eq!(at.hour(), 16);
        for ms in (0..MS_RANGE.end).step_by(7_777_777_777) {
            assert_eq!(Moment::parse(&rfc3339(ms)).unwrap().ms, ms);
        }
    }

    #[test]
    fn a_time_without_offset_or_out_of_range_is_refused() {
        assert_eq!(Moment::parse("2018-03-05T16:44:56"), None);
        assert_eq!(Moment::parse("2100-01-01T00:00:00Z"), None);
        assert_eq!(Moment::parse("1969-12-31T23:59:59Z"), None);
    }
}
