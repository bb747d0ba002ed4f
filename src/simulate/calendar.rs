//! The Danish calendar: local time with its summer, public holidays, bank days, pay days, and when people go away.
//!
//! Days are counted as days of local time since 1970-01-01. Nothing here reads a clock; regional school holidays are
//! taken as one week for all.

use crate::domain::time::{DAY_MS, HOUR_MS};
use chrono::{DateTime, Datelike, NaiveDate, Weekday};

/// One day of local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970-01-01.
    pub number: i64,
    /// Local midnight, in milliseconds UTC.
    pub start_ms: i64,
    /// How long it is: 23 and 25 hours where the clocks change.
    pub length_ms: i64,
    /// Monday is 0.
    pub weekday: u8,
    /// Of the month, from 1.
    pub of_month: u8,
    /// The month, from 1.
    pub month: u8,
    /// A public holiday, or a day on which banks are closed like on one.
    pub holiday: bool,
    /// The last bank day of the month: salaries come.
    pub payday: bool,
    /// How many times as many journeys begin as on an ordinary day.
    pub wanderlust: u64,
}

impl Day {
    /// The day of a number.
    pub fn new(number: i64) -> Self {
        let start_ms = midnight(number);
        let date = date(number);
        Self {
            number,
            start_ms,
            length_ms: midnight(number + 1) - start_ms,
            weekday: u8::try_from(date.weekday().num_days_from_monday()).unwrap_or(0),
            of_month: u8::try_from(date.day()).unwrap_or(1),
            month: u8::try_from(date.month()).unwrap_or(1),
            holiday: is_holiday(date),
            payday: is_bank_day(number)
                && (number + 1..number + 9)
                    .find(|later| is_bank_day(*later))
                    .is_some_and(|next| self::date(next).month() != date.month()),
            wanderlust: wanderlust(date),
        }
    }

    /// Saturdays, Sundays and holidays.
    pub const fn is_free(&self) -> bool {
        self.weekday >= 5 || self.holiday
    }

    /// The moment so many milliseconds into a day of 24 hours; days of 23 and 25 are stretched.
    pub const fn at(&self, in_day_ms: i64) -> i64 {
        self.start_ms + in_day_ms * self.length_ms / DAY_MS
    }
}

/// Milliseconds that Danish local time is ahead of UTC: summer is from the last Sunday of March to that of October, 01:00 UTC.
pub fn offset_ms(at_ms: i64) -> i64 {
    let date = date(at_ms.div_euclid(DAY_MS));
    let change = |month| last_sunday(date.year(), month) * DAY_MS + HOUR_MS;
    let summer = match date.month() {
        4..=9 => true,
        3 => at_ms >= change(3),
        10 => at_ms < change(10),
        _ => false,
    };
    if summer { 2 * HOUR_MS } else { HOUR_MS }
}

fn midnight(number: i64) -> i64 {
    let near = number * DAY_MS - HOUR_MS;
    // The clocks change at night, but after both midnights.
    number * DAY_MS - offset_ms(near - HOUR_MS)
}

fn date(number: i64) -> NaiveDate {
    DateTime::from_timestamp_millis(number.saturating_mul(DAY_MS))
        .map_or(NaiveDate::MIN, |time| time.date_naive())
}

/// Days since 1970-01-01.
pub fn number_of(date: NaiveDate) -> i64 {
    date.signed_duration_since(self::date(0)).num_days()
}

fn last_sunday(year: i32, month: u32) -> i64 {
    let last = NaiveDate::from_ymd_opt(year, month, 31).map_or(0, number_of);
    // 1970-01-01 was a Thursday, so Sundays are 3 more than a multiple of 7.
    last - (last - 3).rem_euclid(7)
}

/// Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher).
fn easter(year: i32) -> i64 {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let h = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    let l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let sum = h + l - 7 * m + 114;
    let month = u32::try_from(sum / 31).unwrap_or(4);
    let day = u32::try_from(sum % 31 + 1).unwrap_or(1);
    NaiveDate::from_ymd_opt(year, month, day).map_or(0, number_of)
}

fn is_holiday(date: NaiveDate) -> bool {
    // Banks are closed on the day of the constitution, Christmas Eve, New Year's Eve and the Friday after Ascension too.
    let fixed = matches!(
        (date.month(), date.day()),
        (1, 1) | (6, 5) | (12, 24..=26 | 31)
    );
    // The Great Prayer Day, 26 days after Easter, was abolished with 2024.
    let after_easter = number_of(date) - easter(date.year());
    let moving = matches!(after_easter, -3 | -2 | 0 | 1 | 39 | 40 | 49 | 50);
    fixed || moving || after_easter == 26 && date.year() < 2024
}

fn is_bank_day(number: i64) -> bool {
    let date = date(number);
    !matches!(date.weekday(), Weekday::Sat | Weekday::Sun) && !is_holiday(date)
}

fn wanderlust(date: NaiveDate) -> u64 {
    let week = date.iso_week().week();
    let after_easter = number_of(date) - easter(date.year());
    match date.month() {
        7 => 6,
        6 | 8 => 3,
        12 if date.day() >= 19 => 4,
        _ if matches!(week, 7 | 8 | 42) || (-5..1).contains(&after_easter) => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> Day {
        Day::new(number_of(
            NaiveDate::from_ymd_opt(year, month, day).unwrap(),
        ))
    }

    #[test]
    fn holidays_are_those_of_the_danish_calendar() {
        for (month, of_month) in [
            (1, 1),
            (4, 2),
            (4, 3),
            (4, 5),
            (4, 6),
            (5, 14),
            (5, 25),
            (12, 25),
        ] {
            assert!(day(2026, month, of_month).holiday, "{month}-{of_month}");
        }
        assert!(!day(2026, 5, 1).holiday);
        assert!(day(2023, 5, 5).holiday);
    }

    #[test]
    fn salaries_come_on_the_last_bank_day_of_the_month() {
        assert!(day(2026, 1, 30).payday);
        assert!(!day(2026, 1, 31).payday);
        // The 31st is New Year's Eve.
        assert!(day(2026, 12, 30).payday);
        let paydays = (0..365).filter(|n| Day::new(day(2026, 1, 1).number + n).payday);
        assert_eq!(paydays.count(), 12);
    }

    #[test]
    fn days_follow_upon_each_other_also_where_the_clocks_change() {
        let spring = day(2026, 3, 29);
        assert_eq!(spring.length_ms, 23 * HOUR_MS);
        assert_eq!(day(2026, 10, 25).length_ms, 25 * HOUR_MS);
        assert_eq!(spring.at(DAY_MS), day(2026, 3, 30).start_ms);
        assert_eq!(offset_ms(spring.start_ms), HOUR_MS);
        assert_eq!(offset_ms(spring.start_ms + 2 * HOUR_MS - 1), HOUR_MS);
        assert_eq!(offset_ms(spring.start_ms + 2 * HOUR_MS), 2 * HOUR_MS);
    }
}
