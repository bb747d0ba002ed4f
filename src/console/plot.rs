//! The timeline of a case as SVG: amounts by outcome, challenges, eID steps with their country, alerts, holds.
//!
//! Time runs from left to right and is drawn together where nothing happened, amounts on a logarithmic axis. Shape and
//! lane tell what colour tells too. Only classes are written: how they look stands in the style sheet.

use super::look::Look;
use std::fmt::Write as _;

/// The picture's width, in its own units.
const WIDTH: f64 = 960.0;
/// Where the plot begins, right of the lanes' names.
const LEFT: f64 = 128.0;
/// Where it ends.
const RIGHT: f64 = WIDTH - 24.0;
/// Top and bottom of the amounts.
const TOP: f64 = 16.0;
/// See [`TOP`].
const BOTTOM: f64 = 206.0;
/// The height of a lane.
const LANE: f64 = 30.0;
/// A silence as long as this takes no more room than one half as long would by far.
const KNEE_S: f64 = 30.0;
/// Labels on the time axis stand at least so far apart.
const APART: f64 = 92.0;
/// Marks of one kind nearer than this are drawn side by side.
const NEAR: f64 = 13.0;

/// What a mark means; each has a shape of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A payment that went through.
    Approved,
    /// A payment that did not.
    Declined,
    /// A payment asked for whose outcome is not known.
    Open,
    /// A challenge that was passed.
    Passed,
    /// A challenge that was failed or left.
    Failed,
    /// A challenge that was begun.
    Asked,
    /// A step with the eID.
    Eid,
    /// An SMS code.
    Code,
    /// An alert, or its growth.
    Alert,
}

impl Shape {
    fn class(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Open => "pending",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Asked => "asked",
            Self::Eid => "eid",
            Self::Code => "code",
            Self::Alert => "alert",
        }
    }

    /// The outline around a point.
    fn outline(self, x: f64, y: f64) -> String {
        match self {
            Self::Approved => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\"/>"),
            Self::Open => format!("<circle class=\"hollow\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"/>"),
            Self::Declined => path(x, y, "m-6-6l12 12m0-12l-12 12", true),
            Self::Failed => path(x, y, "m-5-5l10 10m0-10l-10 10", true),
            Self::Passed => path(x, y, "m-6 0l4.5 5l8-10", true),
            Self::Asked => path(x, y, "m-4-6l9 6l-9 6z", false),
            Self::Eid => path(x, y, "m0-8l8 8l-8 8l-8-8z", false),
            Self::Code => path(x, y, "m-5-4h10v8h-10z", false),
            Self::Alert => path(x, y, "m0-8l8 14h-16z", false),
        }
    }
}

fn path(x: f64, y: f64, shape: &str, is_line: bool) -> String {
    let class = if is_line { " class=\"line\"" } else { "" };
    format!("<path{class} d=\"M{x:.1} {y:.1}{shape}\"/>")
}

/// A mark at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at_ms: i64,
    /// What.
    pub shape: Shape,
    /// Of a payment, minor units.
    pub minor: Option<i64>,
    /// A short text beside it, such as a country.
    pub label: String,
    /// What it says in full.
    pub title: String,
}

/// A bar: a hold in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// From when.
    pub from_ms: i64,
    /// Until when.
    pub until_ms: i64,
    /// What it says in full.
    pub title: String,
}

/// A row of marks under the amounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Its name.
    pub name: String,
    /// Its marks.
    pub marks: Vec<Mark>,
    /// Its bars.
    pub bars: Vec<Bar>,
}

/// What is to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Its name, for those who do not see it.
    pub title: String,
    /// What it shows, for those who do not see it.
    pub text: String,
    /// Payments.
    pub payments: Vec<Mark>,
    /// Their currency.
    pub currency: String,
    /// Lanes with anything in them.
    pub lanes: Vec<Lane>,
    /// The name of the amounts' axis.
    pub amounts: String,
}

/// Where times lie: silences are drawn together.
struct Axis {
    /// Times in order, with their places.
    stops: Vec<(i64, f64)>,
}

impl Axis {
    fn of(mut times: Vec<i64>) -> Self {
        times.sort_unstable();
        times.dedup();
        let mut stops: Vec<(i64, f64)> = Vec::with_capacity(times.len());
        let mut at = 0.0;
        for time in times {
            if let Some((before, _)) = stops.last() {
                #[expect(clippy::cast_precision_loss, reason = "a place on a picture")]
                let silence_s = (time - before) as f64 / 1000.0;
                at += (1.0 + silence_s / KNEE_S).ln();
            }
            stops.push((time, at));
        }
        let room = RIGHT - LEFT - 84.0;
        let scale = if at > 0.0 { room / at } else { 0.0 };
        let shift = if at > 0.0 {
            LEFT + 20.0
        } else {
            f64::midpoint(LEFT, RIGHT)
        };
        for (_, place) in &mut stops {
            *place = shift + *place * scale;
        }
        Self { stops }
    }

    /// Where a time lies; linear between two known ones, at the edge beyond them.
    fn place(&self, time: i64) -> f64 {
        let after = self.stops.partition_point(|(stop, _)| *stop < time);
        match (
            after.checked_sub(1).and_then(|i| self.stops.get(i)),
            self.stops.get(after),
        ) {
            (_, Some((stop, place))) if *stop == time => *place,
            (Some((from, left)), Some((to, right))) => {
                #[expect(clippy::cast_precision_loss, reason = "a place on a picture")]
                let share = (time - from) as f64 / (to - from) as f64;
                left + (right - left) * share
            }
            (Some(_), None) => RIGHT,
            (None, _) => LEFT,
        }
    }
}

/// Logarithmic heights of amounts.
struct Heights {
    low: f64,
    high: f64,
}

impl Heights {
    fn of(payments: &[Mark]) -> Self {
        let amounts = || {
            payments
                .iter()
                .filter_map(|mark| mark.minor)
                .filter(|minor| *minor > 0)
        };
        let low = amounts().min().map_or(2.0, |minor| log(minor).floor());
        let high = amounts().max().map_or(5.0, |minor| log(minor).ceil());
        Self {
            low,
            high: high.max(low + 1.0),
        }
    }

    fn place(&self, minor: i64) -> f64 {
        let share = (log(minor.max(1)) - self.low) / (self.high - self.low);
        BOTTOM - (BOTTOM - TOP) * share.clamp(0.0, 1.0)
    }

    /// Powers of ten within, in minor units.
    fn lines(&self) -> impl Iterator<Item = i64> {
        let (low, high) = (self.low, self.high);
        (0_u32..=12)
            .filter(move |power| (low..=high).contains(&f64::from(*power)))
            .map(|power| 10_i64.pow(power))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a place on a picture")]
fn log(minor: i64) -> f64 {
    (minor as f64).log10()
}

/// Text as it may stand in markup.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Draws it.
pub fn svg(look: &Look, scene: &Scene) -> String {
    let lanes: Vec<&Lane> = scene.lanes.iter().collect();
    let all = scene
        .payments
        .iter()
        .chain(lanes.iter().flat_map(|lane| &lane.marks));
    let axis = Axis::of(all.map(|mark| mark.at_ms).collect());
    let heights = Heights::of(&scene.payments);
    #[expect(clippy::cast_precision_loss, reason = "a handful of lanes")]
    let foot = BOTTOM + 14.0 + LANE * lanes.len() as f64;
    let height = foot + 44.0;
    let (title, text) = (escaped(&scene.title), escaped(&scene.text));
    let mut out = format!(
        "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" aria-labelledby=\"plot-title plot-text\">\
         <title id=\"plot-title\">{title}</title><desc id=\"plot-text\">{text}</desc>"
    );
    grid(&mut out, look, scene, &heights);
    for (number, lane) in (0_u8..).zip(&lanes) {
        let y = BOTTOM + 14.0 + LANE * (f64::from(number) + 0.5);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 12.0,
            y + 4.0,
            escaped(&lane.name)
        );
        bars(&mut out, lane, &axis, y);
        let mut last = f64::MIN;
        for mark in &lane.marks {
            // Marks of one minute would hide each other.
            let x = axis.place(mark.at_ms).max(last + NEAR);
            last = x + label_room(&mark.label);
            drawn(&mut out, mark, x, y);
        }
    }
    for mark in &scene.payments {
        let y = heights.place(mark.minor.unwrap_or(0));
        drawn(&mut out, mark, axis.place(mark.at_ms), y);
    }
    ticks(&mut out, look, &axis, foot);
    out.push_str("</svg>");
    out
}

/// How much room a label takes right of its mark.
fn label_room(label: &str) -> f64 {
    let letters = u16::try_from(label.chars().count()).unwrap_or(u16::MAX);
    if letters == 0 {
        0.0
    } else {
        10.0 + 9.0 * f64::from(letters)
    }
}

fn grid(out: &mut String, look: &Look, scene: &Scene, heights: &Heights) {
    let _ = write!(
        out,
        "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        LEFT - 12.0,
        BOTTOM + 2.0,
        escaped(&scene.amounts)
    );
    for minor in heights.lines() {
        let y = heights.place(minor);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        );
        if y < BOTTOM - 20.0 {
            let _ = write!(
                out,
                "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 12.0,
                y + 4.0,
                escaped(&look.round_amount(minor, &scene.currency))
            );
        }
    }
}

fn bars(out: &mut String, lane: &Lane, axis: &Axis, y: f64) {
    let count = u16::try_from(lane.bars.len()).unwrap_or(u16::MAX).max(1);
    let thick = (20.0 / f64::from(count)).min(12.0);
    let mut top = y - thick * f64::from(count) / 2.0;
    for bar in &lane.bars {
        let (from, until) = (axis.place(bar.from_ms), axis.place(bar.until_ms));
        let _ = write!(
            out,
            "<g class=\"mark hold\"><title>{}</title><rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/></g>",
            escaped(&bar.title),
            (until - from).max(4.0),
            (thick - 1.5).max(1.5)
        );
        top += thick;
    }
}

fn drawn(out: &mut String, mark: &Mark, x: f64, y: f64) {
    let (class, outline) = (mark.shape.class(), mark.shape.outline(x, y));
    let _ = write!(
        out,
        "<g class=\"mark {class}\"><title>{}</title>{outline}",
        escaped(&mark.title)
    );
    if !mark.label.is_empty() {
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x + 10.0,
            y + 4.0,
            escaped(&mark.label)
        );
    }
    out.push_str("</g>");
}

fn ticks(out: &mut String, look: &Look, axis: &Axis, foot: f64) {
    let _ = write!(
        out,
        "<line class=\"base\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{foot:.1}\" y2=\"{foot:.1}\"/>"
    );
    let (mut last, mut day) = (f64::MIN, String::new());
    for (time, x) in &axis.stops {
        let new_day = look.day(*time);
        if *x < last + APART && !(new_day != day && *x > last + APART / 2.0) {
            continue;
        }
        last = *x;
        let clock = look.clock(*time);
        let _ = write!(
            out,
            "<line class=\"base\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{foot:.1}\" y2=\"{:.1}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\">{clock}</text>",
            foot + 5.0,
            foot + 19.0
        );
        if new_day != day {
            let _ = write!(
                out,
                "<text class=\"tick day\" x=\"{x:.1}\" y=\"{:.1}\">{} {}</text>",
                foot + 35.0,
                escaped(&new_day),
                look.zone(*time)
            );
            day = new_day;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_of_a_night_takes_less_than_half_of_the_axis() {
        let minute = 60_000;
        let night = 26 * 60 * minute;
        let times = vec![
            0,
            2 * minute,
            12 * minute,
            16 * minute,
            19 * minute,
            44 * minute,
            night,
            night + minute,
        ];
        let axis = Axis::of(times);
        let before = axis.place(44 * minute);
        let after = axis.place(night);
        assert!(after - before < (RIGHT - LEFT) / 2.0, "{before} {after}");
        assert!(axis.stops.windows(2).all(|pair| pair[0].1 < pair[1].1));
        assert!(axis.place(night / 2) > before && axis.place(night / 2) < after);
        assert!(
            (axis.place(-1) - LEFT).abs() < 0.01 && (axis.place(2 * night) - RIGHT).abs() < 0.01
        );
    }

    #[test]
    fn amounts_lie_between_their_powers_of_ten() {
        let payment = |minor| Mark {
            at_ms: 0,
            shape: Shape::Declined,
            minor: Some(minor),
            label: String::new(),
            title: String::new(),
        };
        let heights = Heights::of(&[payment(12_345), payment(3_388_211)]);
        assert_eq!(
            heights.lines().collect::<Vec<_>>(),
            [10_000, 100_000, 1_000_000, 10_000_000]
        );
        assert!((heights.place(10_000) - BOTTOM).abs() < 0.01);
        assert!(heights.place(3_388_211) < heights.place(12_345));
    }
}
