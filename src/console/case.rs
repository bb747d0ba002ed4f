//! One case: what happened, why it was raised, what was done, what is not known, and what is to be decided.
//! What its forms do stands in `deeds`.

use super::countries;
use super::habit::{self, Habits};
use super::lines::{Hold, Missing, Raised, Reason};
use super::look::{ConsoleError, Look};
use super::plot::{self, Mark, Shape};
use super::rulesheet::Sheet;
use super::story::{Line, Story};
use super::words::Words;
use crate::api::teller::Teller;
use crate::domain::time::DAY_MS;
use crate::store::Tx;
use crate::store::alerts;
use crate::store::cases::{self, Kept};
use crate::store::notes::{self, Disposition, Note};
use crate::store::queue::{self, Queued};
use askama::Template;

/// Events shown in the table; the plot has them all.
const MAX_LINES: usize = 80;
/// Earlier cases shown.
const MAX_OTHERS: usize = 12;

/// A reason, with the rule that gave it.
struct Ground {
    text: String,
    rule: String,
    version: String,
    is_rule: bool,
}

/// Something of the case beside the cardholder's habit.
struct Beside {
    what: &'static str,
    here: String,
    usual: String,
    is_odd: bool,
}

#[derive(Template)]
#[template(path = "case.html", config = "src/console/askama.toml")]
struct Page<'p> {
    look: &'p Look,
    w: &'static Words,
    here: &'static str,
    case: Queued,
    /// The session's user has it.
    is_mine: bool,
    sentence: String,
    plot: String,
    grounds: Vec<Ground>,
    beside: Vec<Beside>,
    lines: Vec<Line>,
    left_out: i64,
    holds: Vec<Hold>,
    refused: Vec<String>,
    notes: Vec<Note>,
    verdicts: Vec<Disposition>,
    others: Vec<Queued>,
    missing: Vec<Missing>,
    has_habits: bool,
}

impl Page<'_> {
    fn state(&self, hold: &Hold) -> &'static str {
        match hold.state.as_str() {
            "requested" => self.w.hold_requested,
            "delivered" => self.w.hold_delivered,
            "acknowledged" => self.w.hold_acknowledged,
            "released" => self.w.hold_released,
            _ => self.w.hold_expired,
        }
    }

    fn kind(&self, hold: &Hold) -> &'static str {
        if hold.kind == "decline" {
            self.w.hold_decline
        } else {
            self.w.hold_step_up
        }
    }

    /// Wall times of notes are shown by their age too.
    fn ago(&self, at_ms: i64) -> String {
        self.w.ago.replace("{}", &self.look.age(at_ms))
    }
}

/// The page.
///
/// # Errors
/// Where there is no case of that id, or the store does not answer.
pub fn page(
    look: &Look,
    tx: &mut Tx<'_>,
    teller: Option<&Teller>,
    sheet: &Sheet,
    id: &str,
) -> Result<String, ConsoleError> {
    let (Some(mut case), Some(kept)) = (queue::one(tx, id)?, alerts::story(tx, id)?) else {
        return Err(ConsoleError::NotFound);
    };
    let verdicts = notes::dispositions_of(tx, id)?;
    // A verdict ends the episode; its line may still be on its way here.
    case.is_open &= verdicts.is_empty();
    let raised: Raised = serde_json::from_str(&kept.line).unwrap_or_default();
    let (from_ms, to_ms) = Story::span(case.first_at_ms, case.at_ms);
    let events = cases::events(tx, &case.cardholder, from_ms, to_ms)?;
    let others = queue::others(tx, &case.cardholder, id)?;
    let story = Story::of(look, &events, &raised);
    let largest = story.largest();
    let habits = teller.and_then(|teller| {
        let minor = largest.as_ref().map(|(minor, _)| *minor);
        habit::habits(teller, &case.cardholder, case.first_at_ms, minor)
    });
    let declines = beside_declines(look, tx, &case.cardholder, &events)?;
    let sentence = story.sentence(&case.pattern);
    let mut holds: Vec<Hold> = read(&kept.holds);
    holds.sort_by_key(|hold| (!hold.stands(), hold.begins_ms()));
    let scene = story.scene(
        warnings(look, &case, &others, (from_ms, to_ms)),
        &holds,
        &sentence,
    );
    let mut lines = story.lines();
    let left_out = lines.len().saturating_sub(MAX_LINES);
    lines.drain(..left_out);
    let refused = |hold: &Hold| {
        let methods: Vec<String> = hold
            .methods_refused
            .iter()
            .map(|method| story.method(method))
            .collect();
        methods.join(", ")
    };
    let page = Page {
        look,
        w: look.words(),
        here: "case",
        is_mine: case.person.as_deref() == Some(&*look.user),
        plot: plot::svg(look, &scene),
        grounds: grounds(&raised, sheet),
        beside: beside(look, &story, habits.as_ref(), largest, declines),
        left_out: i64::try_from(left_out).unwrap_or(i64::MAX),
        refused: holds.iter().map(refused).collect(),
        notes: notes::notes_of(tx, id)?,
        verdicts,
        missing: story.missing(),
        has_habits: habits.is_some(),
        others: others.into_iter().take(MAX_OTHERS).collect(),
        case,
        sentence,
        lines,
        holds,
    };
    Ok(page.render()?)
}

fn read(lines: &[String]) -> Vec<Hold> {
    lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// When this and the cardholder's other cases were raised, as marks.
fn warnings(
    look: &Look,
    case: &Queued,
    others: &[Queued],
    (from_ms, to_ms): (i64, i64),
) -> Vec<Mark> {
    let mut marks: Vec<Mark> = std::iter::once(case)
        .chain(others)
        .filter(|case| (from_ms..=to_ms).contains(&case.first_at_ms))
        .map(|case| Mark {
            at_ms: case.first_at_ms,
            shape: Shape::Alert,
            minor: None,
            label: String::new(),
            title: format!(
                "{} · {} · {}",
                look.time(case.first_at_ms),
                look.plain(&case.pattern),
                look.severity(case.severity)
            ),
        })
        .collect();
    marks.sort_by_key(|mark| mark.at_ms);
    marks
}

fn grounds(raised: &Raised, sheet: &Sheet) -> Vec<Ground> {
    let ground = |reason: &Reason| {
        let version = raised.rules.iter().find(|rule| rule.id == reason.code);
        Ground {
            text: reason.text.clone(),
            rule: reason.code.clone(),
            version: version
                .map(|rule| rule.version.to_string())
                .unwrap_or_default(),
            is_rule: sheet.has(&reason.code),
        }
    };
    raised.reasons.iter().map(ground).collect()
}

/// The largest amount of the case beside what is usual.
fn beside_amount(look: &Look, habits: Option<&Habits>, (minor, currency): (i64, String)) -> Beside {
    let words = look.words();
    let unknown = || words.unknown.to_owned();
    let quartiles = habits.and_then(|habits| habits.quartiles);
    let usual = quartiles.map_or_else(unknown, |[low, median, high]| {
        let payments = habits.map_or(0, |habits| i64::from(habits.payments));
        words
            .usual_amounts
            .replace("{low}", &look.round_amount(low, &currency))
            .replace("{high}", &look.round_amount(high, &currency))
            .replace("{median}", &look.round_amount(median, &currency))
            .replace("{count}", &look.number(payments))
    });
    let times = quartiles.map(|[_, median, _]| minor / median.max(1));
    let times = times
        .filter(|times| *times > 1)
        .map(|times| words.times_usual.replace("{}", &look.number(times)));
    Beside {
        what: words.largest_amount,
        here: [Some(look.amount(minor, &currency)), times]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" · "),
        usual,
        is_odd: habits
            .and_then(|habits| habits.tail)
            .is_some_and(|tail| tail >= 200),
    }
}

/// The countries of the case's eID steps beside those that are known.
fn beside_eid(look: &Look, story: &Story<'_>, habits: Option<&Habits>) -> Option<Beside> {
    let words = look.words();
    let unknown = || words.unknown.to_owned();
    let name = |letters: &String| countries::named(look.lang, letters);
    let eid: Vec<String> = story.eid_countries().iter().map(name).collect();
    if eid.is_empty() {
        return None;
    }
    let known = habits.map(|habits| {
        habits
            .home
            .iter()
            .chain(&habits.eid_from)
            .chain(&habits.paid_in)
            .cloned()
            .collect::<Vec<String>>()
    });
    let is_odd = known.as_ref().is_some_and(|known| {
        story
            .eid_countries()
            .iter()
            .any(|country| !known.contains(country))
    });
    let mut usual = known.unwrap_or_default();
    usual.sort_unstable();
    usual.dedup();
    let usual: Vec<String> = usual.iter().map(name).collect();
    Some(Beside {
        what: words.eid_from,
        here: eid.join(", "),
        usual: if usual.is_empty() {
            unknown()
        } else {
            usual.join(", ")
        },
        is_odd,
    })
}

/// When the payments among these that were declined came.
fn declined(events: &[Kept]) -> Vec<i64> {
    let is_declined = |event: &&Kept| {
        let happening = event.happening.as_ref();
        happening.is_some_and(|happening| happening.is_payment() && !happening.is_approved())
    };
    events
        .iter()
        .filter(is_declined)
        .map(|event| event.at_ms)
        .collect()
}

/// The declined payments of the case beside those of the day before the first of them. Of that day the store has what
/// was still remembered as the case began; where it has nothing of it, nothing is said.
fn beside_declines(
    look: &Look,
    tx: &mut Tx<'_>,
    cardholder: &str,
    events: &[Kept],
) -> Result<Option<Beside>, ConsoleError> {
    let here = declined(events);
    let (Some(first), Some(last)) = (here.first(), here.last()) else {
        return Ok(None);
    };
    let words = look.words();
    let count = i64::try_from(here.len()).unwrap_or(i64::MAX);
    let before = cases::events(tx, cardholder, first - DAY_MS, first - 1)?;
    let before_count = i64::try_from(declined(&before).len()).unwrap_or(i64::MAX);
    let within = words.within.replace("{}", &look.span(last - first));
    Ok(Some(Beside {
        what: words.declined_payments,
        here: if count > 1 {
            format!("{} {within}", look.number(count))
        } else {
            look.number(count)
        },
        usual: if before.is_empty() {
            words.unknown.to_owned()
        } else {
            words.known_before.replace("{}", &look.number(before_count))
        },
        is_odd: count > 1 && count > before_count,
    }))
}

/// What the case shows beside the cardholder's own habit.
fn beside(
    look: &Look,
    story: &Story<'_>,
    habits: Option<&Habits>,
    largest: Option<(i64, String)>,
    declines: Option<Beside>,
) -> Vec<Beside> {
    let mut rows = Vec::new();
    if let Some(largest) = largest {
        rows.push(beside_amount(look, habits, largest));
    }
    rows.extend(declines);
    rows.extend(beside_eid(look, story, habits));
    rows
}
