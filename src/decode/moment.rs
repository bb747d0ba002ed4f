//! Reads the four forms in which nearly every time is written, without a calendar library.
//!
//! `2018-03-05T16:44:56`, with or without milliseconds, then `Z` or an offset; every other form of
//! RFC 3339 and every faulty one is left to [`Moment::parse`], which has the last word.

use crate::domain::time::{DAY_MS, MINUTE_MS, MS_RANGE, Moment};

/// Reads times; it remembers the last date, offset and minute, since the next ones are mostly the
/// same.
#[derive(Debug)]
pub(super) struct Calendar {
    /// `yyyy-mm-ddThh:mm` and the offset of the last time in whole, and when that minute began.
    minute: [u8; 16],
    minute_zone: [u8; 6],
    minute_began: Moment,
    date: [u8; 11],
    days: i32,
    zone: [u8; 6],
    offset_min: i16,
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            minute: *b"1970-01-01T00:00",
            minute_zone: *b"+00:00",
            minute_began: Moment::default(),
            date: *b"1970-01-01T",
            days: 0,
            zone: *b"+00:00",
            offset_min: 0,
        }
    }
}

impl Calendar {
    /// Reads RFC 3339 with an offset: equal to [`Moment::parse`] for every text.
    #[inline]
    pub(super) fn parse(&mut self, text: &[u8]) -> Option<Moment> {
        self.same_minute(text)
            .or_else(|| self.usual(text))
            .or_else(|| Moment::parse(str::from_utf8(text).ok()?))
    }

    /// A time in the minute of the last one, with milliseconds and the same offset.
    #[inline]
    fn same_minute(&self, text: &[u8]) -> Option<Moment> {
        const ODD: u64 = u64::from_le_bytes([0xff, 0xff, 0xf0, 0xf0, 0xff, 0xf0, 0xf0, 0xf0]);
        const SIX: u64 = u64::from_le_bytes([0, 0, 6, 6, 0, 6, 6, 6]);
        let text: &[u8; 29] = text.try_into().ok()?;
        let (minute, rest) = text.split_first_chunk::<16>()?;
        let (seconds, zone) = rest.split_first_chunk::<7>()?;
        if *minute != self.minute || *zone != self.minute_zone {
            return None;
        }
        let [c, s0, s1, p, f0, f1, f2] = *seconds;
        let word =
            u64::from_le_bytes([b'0', c, s0, s1, p, f0, f1, f2]) ^ u64::from_le_bytes(*b"0:00.000");
        // A digit is now 0 to 9: adding 6 carries nothing into the upper half of its byte.
        let [_, _, s0, s1, _, f0, f1, f2] = word.to_le_bytes().map(i64::from);
        let is_odd = (word | word.wrapping_add(SIX)) & ODD != 0;
        let ms = (s0 * 10 + s1) * 1_000 + f0 * 100 + f1 * 10 + f2;
        (!is_odd && ms < MINUTE_MS).then_some(Moment {
            ms: self.minute_began.ms + ms,
            offset_min: self.minute_began.offset_min,
        })
    }

    #[inline]
    fn usual(&mut self, text: &[u8]) -> Option<Moment> {
        let (date, rest) = text.split_first_chunk::<11>()?;
        let (time, rest) = rest.split_first_chunk::<8>()?;
        let (fraction, zone) = match *rest {
            [b'.', f0, f1, f2, ref zone @ ..] => ([f0, f1, f2], zone),
            ref zone => ([b'0'; 3], zone),
        };
        let in_day = i64::from(time_of_day(*time, fraction)?);
        // Twice eight bytes, which overlap, are compared quicker than eleven.
        let is_last = date.first_chunk::<8>() == self.date.first_chunk()
            && date.last_chunk::<8>() == self.date.last_chunk();
        if !is_last {
            self.days = day(*date)?;
            self.date = *date;
        }
        let offset_min = self.offset(zone)?;
        let ms = i64::from(self.days) * DAY_MS + in_day - i64::from(offset_min) * MINUTE_MS;
        let moment = MS_RANGE
            .contains(&ms)
            .then_some(Moment { ms, offset_min })?;
        if let (Some(minute), Ok(zone)) = (text.first_chunk(), zone.try_into()) {
            (self.minute, self.minute_zone) = (*minute, zone);
            self.minute_began = Moment {
                ms: ms - ms % MINUTE_MS,
                offset_min,
            };
        }
        Some(moment)
    }

    #[inline]
    fn offset(&mut self, zone: &[u8]) -> Option<i16> {
        let Ok(six) = <&[u8; 6]>::try_from(zone) else {
            return (*zone == *b"Z").then_some(0);
        };
        if *six != self.zone {
            self.offset_min = offset(*six)?;
            self.zone = *six;
        }
        Some(self.offset_min)
    }
}

/// Milliseconds since midnight of `hh:mm:ss` and three digits. All of it is checked and paired in
/// one word: a byte that is no digit, or no colon where one must stand, leaves top bits set.
#[inline]
fn time_of_day(time: [u8; 8], fraction: [u8; 3]) -> Option<u32> {
    let word = u64::from_le_bytes(time) ^ u64::from_le_bytes(*b"00:00:00");
    let odd = u64::from_le_bytes([0xf0, 0xf0, 0xff, 0xf0, 0xf0, 0xff, 0xf0, 0xf0]);
    let six = u64::from_le_bytes([6, 6, 0, 6, 6, 0, 6, 6]);
    // A digit is now 0 to 9: adding 6 carries nothing into the upper half of its byte.
    if (word | word.wrapping_add(six)) & odd != 0 {
        return None;
    }
    // In the first, fourth and seventh byte: ten times the digit there, and the next one.
    let [hour, _, _, minute, _, _, second, _] = (word * 10 + (word >> 8)).to_le_bytes();
    let [hour, minute, second] = [hour, minute, second].map(u32::from);
    let [f0, f1, f2] = fraction.map(|digit| u32::from(digit.wrapping_sub(b'0')));
    let fits = hour <= 23 && minute <= 59 && second <= 59 && f0 <= 9 && f1 <= 9 && f2 <= 9;
    fits.then_some(((hour * 60 + minute) * 60 + second) * 1_000 + f0 * 100 + f1 * 10 + f2)
}

/// Days since 1970-01-01 of `yyyy-mm-ddT`.
fn day([y0, y1, y2, y3, d0, o0, o1, d1, a0, a1, t]: [u8; 11]) -> Option<i32> {
    if d0 != b'-' || d1 != b'-' || t != b'T' {
        return None;
    }
    let [century, year, month, day] = pairs([y0, y1, y2, y3, o0, o1, a0, a1])?;
    let number = |part| i32::try_from(part).ok();
    days(number(century * 100 + year)?, number(month)?, number(day)?)
}

/// Four numbers of two digits each, or nothing where a byte is no digit.
#[inline]
fn pairs(digits: [u8; 8]) -> Option<[u32; 4]> {
    const ONES: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(digits) ^ (ONES * 0x30);
    // A digit is now 0 to 9: adding 6 carries nothing into the upper half of its byte.
    if (word | word.wrapping_add(ONES * 6)) & (ONES * 0xf0) != 0 {
        return None;
    }
    // In every second byte: ten times the digit before it, and the digit itself.
    let [_, a, _, b, _, c, _, d] = (word.wrapping_mul(10 << 8).wrapping_add(word)).to_le_bytes();
    Some([a, b, c, d].map(u32::from))
}

/// Minutes east of `+hh:mm`.
fn offset(zone: [u8; 6]) -> Option<i16> {
    match zone {
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let [_, _, hours, minutes] = pairs([b'0', b'0', b'0', b'0', h0, h1, m0, m1])?;
            let all = i16::try_from(hours * 60 + minutes).ok()?;
            (hours <= 23 && minutes <= 59).then_some(if sign == b'-' { -all } else { all })
        }
        _ => None,
    }
}

/// Days since 1970-01-01, by Hinnant's `days_from_civil`; nothing where there is no such day.
#[inline]
fn days(year: i32, month: i32, day: i32) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i32::from(leap),
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = year - i32::from(month <= 2);
    // Never before the year -1, so that one era more makes all of it positive and cheap to divide.
    let from_zero = u32::try_from(year + 400).ok()?;
    let (era, year_of_era) = (from_zero / 400, from_zero % 400);
    let shifted = u32::try_from((month + 9) % 12).ok()?;
    let day_of_year = (153 * shifted + 2) / 5 + u32::try_from(day - 1).ok()?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = i32::try_from(era * 146_097 + day_of_era).ok()?;
    Some(days - 146_097 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::rfc3339;

    #[test]
    fn the_quick_reader_agrees_with_the_calendar_library() {
        let mut calendar = Calendar::default();
        for ms in MS_RANGE.step_by(86_399_977 * 3) {
            let utc = rfc3339(ms);
            let stem = utc.trim_end_matches('Z');
            for text in [
                utc.clone(),
                format!("{stem}+05:30"),
                format!("{stem}-11:00"),
            ] {
                let short = format!("{}{}", &text[..19], &text[23..]);
                assert!(
                    calendar.usual(text.as_bytes()) == Moment::parse(&text),
                    "{text}"
                );
                assert!(
                    calendar.usual(short.as_bytes()) == Moment::parse(&short),
                    "{short}"
                );
            }
        }
    }

    #[test]
    fn a_time_in_the_same_minute_is_read_as_any_other() {
        for first in [
            "2018-03-05T16:44:56.120+01:00",
            "1970-01-01T00:00:00.000+00:00",
        ] {
            for zone in ["+01:00", "-00:30", "Z", "+00:00", "+24:00"] {
                for end in [
                    ":00.000", ":59.999", ":60.000", ":61.000", ":09.001", ":7.0000", ":a0.000",
                    ":00.00", ":00", ";00.000", ":00,000", ":00.00:", ":0/.000", ":0:.000",
                ] {
                    let mut calendar = Calendar::default();
                    assert_eq!(calendar.parse(first.as_bytes()), Moment::parse(first));
                    let text = format!("{}{end}{zone}", &first[..16]);
                    assert_eq!(
                        calendar.parse(text.as_bytes()),
                        Moment::parse(&text),
                        "{text}"
                    );
                    let again = calendar.parse(first.as_bytes());
                    assert_eq!(again, Moment::parse(first), "{first} after {text}");
                }
            }
        }
    }

    #[test]
    fn the_quick_reader_takes_no_time_that_the_library_refuses() {
        for text in [
            "2018-02-29T00:00:00Z",
            "2018-13-01T00:00:00Z",
            "2018-00-01T00:00:00Z",
            "2018-01-00T00:00:00Z",
            "2018-01-01T24:00:00Z",
            "2018-01-01T00:60:00Z",
            "2018-01-01T00:00:60Z",
            "2018-01-01T00:00:00+24:00",
            "2018-01-01T00:00:00+00:60",
            "2018-01-01T00:00:00",
            "2018-01-01T00:00:00.12Z",
            "2018-01-01t00:00:00z",
            "2018-01-01 00:00:00Z",
            "2018-01-01T00:00:00.123456789+01:00",
            "2018-1-1T0:0:0Z",
            "201x-01-01T00:00:00Z",
            "",
        ] {
            let mut calendar = Calendar::default();
            assert_eq!(
                calendar.parse(text.as_bytes()),
                Moment::parse(text),
                "{text}"
            );
            calendar.parse(b"2018-01-01T00:00:00-00:30");
            assert_eq!(
                calendar.parse(text.as_bytes()),
                Moment::parse(text),
                "{text}"
            );
        }
    }
}
