//! When to tell: which route takes an alert, when a message is due, when messages are grouped, when a failed one is
//! tried again, and when its receiver is given a rest.
//!
//! Functions of what is handed in, the time among it: nothing is read and nothing is kept here.

use crate::config::Route;
use crate::domain::codes::Severity;
use crate::store::waiting::{Told, Why};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// For how long a message is tried again.
pub const TRIED_FOR_MS: i64 = 24 * 3_600_000;
/// The first span within which a failed message is tried again, in milliseconds; it doubles with each attempt.
const FIRST_MS: i64 = 4_000;
/// The longest such span.
const LONGEST_MS: i64 = 300_000;
/// After so many failures in a row a receiver rests.
const PATIENCE: u32 = 3;
/// The first rest, in milliseconds; it doubles with each further failure.
const FIRST_REST_MS: i64 = 1_000;
/// The longest rest.
const LONGEST_REST_MS: i64 = 60_000;

fn ms(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4)
}

/// Whether a route takes an alert at this day of the week (0 for Monday) and minute of the day.
pub fn takes(route: &Route, pattern: &str, severity: Severity, (day, minute): (u32, u32)) -> bool {
    let in_hours = route.hours.is_none_or(|(from, to)| {
        if from < to {
            (from..to).contains(&minute)
        } else {
            minute >= from || minute < to
        }
    });
    let on_day = usize::try_from(day)
        .ok()
        .and_then(|day| route.days.get(day));
    in_hours
        && on_day.copied().unwrap_or(true)
        && (route.severities.is_empty() || route.severities.contains(&severity))
        && (route.patterns.is_empty() || route.patterns.iter().any(|one| one == pattern))
}

/// Why and when a route that takes an alert is to be told of it; nothing where it was told often enough.
pub fn heard(
    route: &Route,
    now_ms: i64,
    severity: Severity,
    told: Option<Told>,
) -> Option<(Why, i64)> {
    let soon = now_ms + ms(route.group_wait);
    let (why, due) = match told {
        None => (Why::New, soon),
        Some(told) if told.times > i64::from(route.updates) => return None,
        Some(told) if severity > told.severity => (Why::Raised, soon),
        Some(told) => {
            let later = told.last_ms + ms(route.update_interval);
            (Why::Grown, later.max(soon))
        }
    };
    let digest = ms(route.digest);
    if digest > 0 {
        return Some((why, (now_ms / digest + 1) * digest));
    }
    Some((why, due))
}

/// What a route does with what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// A message for each.
    Apart,
    /// One message for all.
    Together,
    /// Nothing before this time.
    NotBefore(i64),
}

/// What a route does with so many episodes that are due. The messages to a receiver are a bucket of `burst` that fills
/// by one each `group_interval`; `spent_ms` is when that of the route's most told receiver would be full again.
pub fn flush(route: &Route, now_ms: i64, due: i64, spent_ms: i64) -> Flush {
    let (each, burst) = (ms(route.group_interval).max(1), i64::from(route.burst));
    let owed = (spent_ms - now_ms).max(0);
    let free = burst - (owed + each - 1) / each;
    if free < 1 {
        Flush::NotBefore(spent_ms - (burst - 1) * each)
    } else if route.digest.is_zero() && due <= free {
        Flush::Apart
    } else {
        Flush::Together
    }
}

/// When the bucket would be full again after so many messages more.
pub fn spent(route: &Route, now_ms: i64, spent_ms: i64, messages: i64) -> i64 {
    spent_ms.max(now_ms) + messages * ms(route.group_interval).max(1)
}

/// When a message is tried again after so many attempts: somewhere in a span that doubles, by its id, so that many
/// that failed together are not tried together. Nothing where it was queued too long ago.
pub fn again(id: &str, attempt: i64, created_ms: i64, now_ms: i64) -> Option<i64> {
    if now_ms - created_ms >= TRIED_FOR_MS {
        return None;
    }
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(16);
    let span = (FIRST_MS << doublings).min(LONGEST_MS);
    let seed = attempt.unsigned_abs();
    let spread = xxh3_64_with_seed(id.as_bytes(), seed) % span.unsigned_abs();
    Some(now_ms + 1 + i64::try_from(spread).unwrap_or(0))
}

/// Whether a receiver rests: one that fails again and again is asked rarely, so that others are not kept waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    rests_until_ms: i64,
}

impl Breaker {
    /// Until when the receiver rests; nothing where it may be asked.
    pub fn rests(&self, now_ms: i64) -> Option<i64> {
        (now_ms < self.rests_until_ms).then_some(self.rests_until_ms)
    }

    /// It answered, whatever it said of the message.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// It asked to be left alone until then.
    pub fn asked(&mut self, until_ms: i64) {
        self.rests_until_ms = self.rests_until_ms.max(until_ms);
    }

    /// It did not answer, or said that it cannot.
    pub fn failed(&mut self, now_ms: i64) {
        self.failures = self.failures.saturating_add(1);
        if let Some(over) = self.failures.checked_sub(PATIENCE) {
            let rest = (FIRST_REST_MS << over.min(16)).min(LONGEST_REST_MS);
            self.rests_until_ms = now_ms + rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn route() -> Route {
        Route::new("team", Vec::new())
    }

    #[test]
    fn a_route_takes_what_it_names_at_its_hours_also_over_midnight() {
        let mut route = route();
        let takes = |route: &Route, at| super::takes(route, "p", Severity::High, at);
        assert!(takes(&route, (6, 1_439)));
        route.hours = Some((480, 1_020));
        assert!(takes(&route, (0, 480)) && !takes(&route, (0, 1_020)) && !takes(&route, (0, 479)));
        route.hours = Some((1_020, 480));
        assert!(!takes(&route, (0, 480)) && takes(&route, (0, 1_020)) && takes(&route, (0, 0)));
        route.hours = None;
        route.days[6] = false;
        assert!(!takes(&route, (6, 0)) && takes(&route, (5, 0)));
        route.severities = vec![Severity::Low];
        assert!(!takes(&route, (0, 0)));
        route.severities.push(Severity::High);
        assert!(takes(&route, (0, 0)));
        route.patterns = vec!["q".to_owned()];
        assert!(!takes(&route, (0, 0)));
    }

    #[test]
    fn an_episode_is_told_at_once_then_when_worse_then_later_then_no_more() {
        let route = route();
        let told = |times, severity| {
            Some(Told {
                times,
                last_ms: 1_000_000,
                severity,
            })
        };
        let now = 1_010_000;
        let heard = |told| heard(&route, now, Severity::High, told);
        assert_eq!(heard(None), Some((Why::New, now + 2_000)));
        let raised = Some((Why::Raised, now + 2_000));
        assert_eq!(heard(told(1, Severity::Medium)), raised);
        assert_eq!(
            heard(told(1, Severity::High)),
            Some((Why::Grown, 1_600_000))
        );
        assert!(heard(told(3, Severity::Low)).is_some());
        assert_eq!(heard(told(4, Severity::Low)), None);
    }

    #[test]
    fn a_digest_is_due_at_whole_spans() {
        let mut route = route();
        route.digest = Duration::from_secs(3_600);
        let due = heard(&route, 3_600_000 * 7 + 5, Severity::Low, None);
        assert_eq!(due, Some((Why::New, 3_600_000 * 8)));
        assert_eq!(flush(&route, 0, 1, 0), Flush::Together);
        let owed = ms(route.group_interval) * i64::from(route.burst);
        assert!(matches!(flush(&route, 0, 1, owed), Flush::NotBefore(_)));
    }

    /// Messages when so many episodes come evenly over a minute, and are looked at ten times a second.
    fn messages_in_a_minute(route: &Route, episodes: i64) -> i64 {
        let (mut spent_ms, mut waiting, mut sent, mut come) = (0, 0, 0, 0);
        for now_ms in (1_000_000..1_060_000).step_by(100) {
            let by_now = episodes * (now_ms - 1_000_000) / 60_000;
            waiting += by_now - come;
            come = by_now;
            if waiting == 0 {
                continue;
            }
            let messages = match flush(route, now_ms, waiting, spent_ms) {
                Flush::Apart => waiting,
                Flush::Together => 1,
                Flush::NotBefore(later) => {
                    assert!(later > now_ms);
                    continue;
                }
            };
            waiting = 0;
            sent += messages;
            spent_ms = spent(route, now_ms, spent_ms, messages);
        }
        sent
    }

    #[test]
    fn a_flood_of_ten_thousand_in_a_minute_is_at_most_twenty_messages_and_a_few_are_told_apart() {
        let route = route();
        for episodes in [100, 1_000, 10_000, 100_000] {
            let sent = messages_in_a_minute(&route, episodes);
            assert!((1..=11).contains(&sent), "{sent} of {episodes}");
        }
        assert_eq!(messages_in_a_minute(&route, 9), 8, "the last is to come");
    }

    #[test]
    fn a_failed_message_is_tried_again_within_spans_that_double_for_a_day() {
        let id = "0123456789abcdef";
        for attempt in 1..40 {
            let again = again(id, attempt, 0, 1_000).unwrap() - 1_000;
            let span = (4_000_i64 << (attempt - 1).min(20)).min(300_000);
            assert!((1..=span).contains(&again), "{attempt}: {again}");
        }
        assert_ne!(again(id, 1, 0, 0), again("another", 1, 0, 0), "spread");
        assert!(again(id, 9, 0, TRIED_FOR_MS - 1).is_some());
        assert_eq!(again(id, 9, 0, TRIED_FOR_MS), None);
    }

    #[test]
    fn a_receiver_that_fails_three_times_rests_longer_each_time_until_it_answers() {
        let mut breaker = Breaker::default();
        breaker.failed(0);
        breaker.failed(0);
        assert_eq!(breaker.rests(0), None);
        breaker.failed(0);
        assert_eq!(breaker.rests(0), Some(1_000));
        assert_eq!(breaker.rests(1_000), None);
        breaker.failed(1_000);
        assert_eq!(breaker.rests(1_000), Some(3_000));
        for _ in 0..30 {
            breaker.failed(10_000);
        }
        assert_eq!(breaker.rests(10_000), Some(70_000));
        breaker.asked(80_000);
        breaker.asked(20_000);
        assert_eq!(breaker.rests(10_000), Some(80_000));
        breaker.answered();
        assert_eq!(breaker.rests(10_000), None);
    }
}
