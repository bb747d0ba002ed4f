//! Small pictures of counts by day: stacked bars with an axis, and a line of bars for a table's cell.
//!
//! Each has its numbers in words too; only classes are written, how they look stands in the style sheet.

use super::look::Look;
use super::plot::escaped;
use crate::domain::time::DAY_MS;
use crate::store::tallies::Tally;
use std::fmt::Write as _;

/// The picture's width and height, in its own units.
const WIDTH: f64 = 560.0;
/// See [`WIDTH`].
const HEIGHT: f64 = 190.0;
/// Left of the bars.
const LEFT: f64 = 86.0;
/// Below the bars.
const FOOT: f64 = 24.0;
/// Above the bars.
const TOP: f64 = 8.0;
/// Labels of days on the axis.
const LABELS: usize = 6;

/// One part of every day's bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// The class of its colour.
    pub class: &'static str,
    /// One count a day.
    pub counts: Vec<i64>,
}

/// Counts of one key by day, from the first day of a span.
pub fn by_day(tallies: &[Tally], key: Option<&str>, first: i64, days: usize) -> Vec<i64> {
    let mut counts = vec![0; days];
    for tally in tallies
        .iter()
        .filter(|tally| key.is_none_or(|key| tally.key == key))
    {
        let place = usize::try_from(tally.day - first).ok();
        if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
            *count += tally.count;
        }
    }
    counts
}

#[expect(clippy::cast_precision_loss, reason = "a height on a picture")]
fn float(count: i64) -> f64 {
    count as f64
}

/// Bars by day, their parts on top of each other; `shown` writes a number of the axis.
pub fn bars(
    look: &Look,
    title: &str,
    parts: &[Part],
    first: i64,
    shown: &dyn Fn(i64) -> String,
) -> String {
    let days = parts.first().map_or(0, |part| part.counts.len());
    let sum = |day: usize| -> i64 { parts.iter().filter_map(|part| part.counts.get(day)).sum() };
    let most = (0..days).map(sum).max().unwrap_or(0).max(1);
    let high = round_up(most);
    let (base, room) = (HEIGHT - FOOT, HEIGHT - FOOT - TOP);
    let step = (WIDTH - LEFT) / float(i64::try_from(days).unwrap_or(1).max(1));
    let mut out = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH:.0} {HEIGHT:.0}\" role=\"img\" aria-label=\"{}\">",
        escaped(title)
    );
    for share in [0, high / 2, high] {
        let y = base - room * float(share) / float(high);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"axis\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            escaped(&shown(share))
        );
    }
    let every = days.div_ceil(LABELS).max(1);
    let mut x = LEFT;
    for (day, date) in (0..days).zip(first..) {
        let name = look.short_day(date * DAY_MS + DAY_MS / 2);
        let mut top = base;
        for part in parts {
            let count = part.counts.get(day).copied().unwrap_or(0).max(0);
            if count == 0 {
                continue;
            }
            let height = room * float(count) / float(high);
            top -= height;
            let _ = write!(
                out,
                "<rect class=\"{}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}: {} {}</title></rect>",
                part.class,
                x + step * 0.12,
                (step * 0.76).min(48.0),
                (height - 0.6).max(0.8),
                escaped(&name),
                escaped(&part.name),
                escaped(&shown(count))
            );
        }
        if day % every == 0 {
            let _ = write!(
                out,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + step * 0.12,
                HEIGHT - 6.0,
                escaped(&name)
            );
        }
        x += step;
    }
    out.push_str("</svg>");
    out
}

/// The next round number: 1, 2, 4 or 10 of a power of ten, so that its half is round too.
fn round_up(most: i64) -> i64 {
    let mut power = 1_i64;
    loop {
        for digit in [2, 4, 10] {
            if most <= digit * power {
                return digit * power;
            }
        }
        let Some(next) = power.checked_mul(10) else {
            return i64::MAX;
        };
        power = next;
    }
}

/// A line of bars for a table's cell: live filled, shadow outlined.
pub fn spark(title: &str, live: &[i64], shadow: &[i64]) -> String {
    let most = live.iter().chain(shadow).copied().max().unwrap_or(0).max(1);
    let mut out = format!(
        "<svg class=\"chart spark\" viewBox=\"0 0 144 26\" role=\"img\" aria-label=\"{}\"><line class=\"base\" x1=\"0\" x2=\"144\" y1=\"25\" y2=\"25\"/>",
        escaped(title)
    );
    let step = 144.0 / float(i64::try_from(live.len()).unwrap_or(1).max(1));
    for (class, counts) in [("c-accent", live), ("c-shadow", shadow)] {
        let mut x = 0.0;
        for count in counts {
            if *count > 0 {
                let height = (22.0 * float(*count) / float(most)).max(1.5);
                let _ = write!(
                    out,
                    "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                    x + step * 0.1,
                    25.0 - height,
                    (step * 0.8).min(12.0)
                );
            }
            x += step;
        }
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_a_round_number_not_below_the_highest_bar() {
        for (most, high) in [
            (1, 2),
            (2, 2),
            (3, 4),
            (5, 10),
            (11, 20),
            (39, 40),
            (401, 1000),
        ] {
            assert_eq!(round_up(most), high, "{most}");
        }
    }

    #[test]
    fn counts_outside_the_days_shown_are_left_out() {
        let tally = |day, key: &str, count| Tally {
            day,
            key: key.to_owned(),
            count,
        };
        let tallies = [
            tally(9, "a", 5),
            tally(10, "a", 1),
            tally(11, "b", 2),
            tally(13, "a", 4),
        ];
        assert_eq!(by_day(&tallies, Some("a"), 10, 3), [1, 0, 0]);
        assert_eq!(by_day(&tallies, None, 10, 3), [1, 2, 0]);
    }
}
