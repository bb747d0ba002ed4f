//! Reads the four forms in which nearly every time is written, without a calendar library.
//!
//! `2018-03-05T16:44:56`, with or without milliseconds, then `Z` or an offset; every other form of
//! RFC 3339 and every faulty one is left to [`Moment::parse`], which has the last word.

use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, MS_RANGE, Moment, SECOND_MS};

/// Reads RFC 3339 with an offset: equal to [`Moment::parse`] for every text.
pub(super) fn parse(text: &str) -> Option<Moment> {
    usual(text.as_bytes()).or_else(|| Moment::parse(text))
}

#[inline]
fn usual(text: &[u8]) -> Option<Moment> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let [
        y0,
        y1,
        y2,
        y3,
        b'-',
        o0,
        o1,
        b'-',
        d0,
        d1,
        b'T',
        h0,
        h1,
        b':',
        m0,
        m1,
        b':',
        s0,
        s1,
    ] = *date_time
    else {
        return None;
    };
    let year = pair(y0, y1)? * 100 + pair(y2, y3)?;
    let (month, day) = (pair(o0, o1)?, pair(d0, d1)?);
    let (hour, minute, second) = (pair(h0, h1)?, pair(m0, m1)?, pair(s0, s1)?);
    let (fraction_ms, zone) = match *rest {
        [b'.', f0, f1, f2, ref zone @ ..] => (pair(f0, f1)? * 10 + pair(b'0', f2)?, zone),
        ref zone => (0, zone),
    };
    let offset_min = offset(zone)?;
    let days = days(year, month, day)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let in_day = i64::from(hour) * HOUR_MS
        + i64::from(minute) * MINUTE_MS
        + i64::from(second) * SECOND_MS
        + i64::from(fraction_ms);
    let ms = i64::from(days) * DAY_MS + in_day - i64::from(offset_min) * MINUTE_MS;
    MS_RANGE.contains(&ms).then_some(Moment { ms, offset_min })
}

#[inline]
fn offset(zone: &[u8]) -> Option<i16> {
    match *zone {
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (pair(h0, h1)?, pair(m0, m1)?);
            let all = i16::try_from(hours * 60 + minutes).ok()?;
            (hours <= 23 && minutes <= 59).then_some(if sign == b'-' { -all } else { all })
        }
        _ => None,
    }
}

#[inline]
fn pair(tens: u8, ones: u8) -> Option<i32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i32::from(tens) * 10 + i32::from(ones))
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
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::rfc3339;

    #[test]
    fn the_quick_reader_agrees_with_the_calendar_library() {
        for ms in MS_RANGE.step_by(86_399_977 * 3) {
            let utc = rfc3339(ms);
            let stem = utc.trim_end_matches('Z');
            for text in [
                utc.clone(),
                format!("{stem}+05:30"),
                format!("{stem}-11:00"),
            ] {
                let short = format!("{}{}", &text[..19], &text[23..]);
                assert!(usual(text.as_bytes()) == Moment::parse(&text), "{text}");
                assert!(usual(short.as_bytes()) == Moment::parse(&short), "{short}");
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
            assert_eq!(parse(text), Moment::parse(text), "{text}");
        }
    }
}
