//! `sequence:` of a rule: ordered steps, counts, and absences.
//!
//! The numbers of states are given when the book is put together, since they run through all its
//! sequences; here is only what one rule says.

use crate::engine::book::{MAX_SEQUENCE_STATES, MAX_SPAN_MS, Phase, Sequence, Step};
use crate::engine::vocabulary::Types;
use crate::expr::{self, Scheme};
use crate::rulebook::condition;
use crate::rulebook::page::{self, Fields, Page, listed};
use crate::rulebook::rules;
use crate::rulebook::yaml::{Node, Value};

/// The fields of a sequence.
pub const FIELDS: &[&str] = &["within", "steps"];
/// The fields of a step.
pub const STEP_FIELDS: &[&str] = &["on", "where", "count", "absent", "for"];
/// The most repeats of one step.
pub const MAX_COUNT: i64 = 8;

/// Reads a sequence; `rule` are the fields of its rule, for what must fit together.
pub fn sequence(
    node: &Node,
    rule: &Fields,
    on: Types,
    phase: Phase,
    scheme: Option<&Scheme>,
    page: &mut Page,
) -> Option<Sequence> {
    let fields = Fields::of(node, "a sequence", FIELDS, page)?;
    let list = fields.want("steps", page)?;
    let items = page::items(list, "steps", page)?;
    let within_ms = fields
        .want("within", page)
        .and_then(|n| page::span(n, "within", MAX_SPAN_MS, page));
    let last = items.len().saturating_sub(1);
    let steps: Vec<Option<Step>> = items
        .iter()
        .enumerate()
        .map(|(index, item)| step(item, index == last, phase, scheme, page))
        .collect();
    let whole = steps.iter().all(Option::is_some);
    let steps: Vec<Step> = steps.into_iter().flatten().collect();
    if whole {
        check_shape(list, items, &steps, page);
        check_rule(items, &steps, rule, on, phase, page);
    }
    whole.then_some(Sequence {
        steps,
        within_ms: within_ms?,
        first_state: 0,
    })
}

fn step(
    node: &Node,
    last: bool,
    phase: Phase,
    scheme: Option<&Scheme>,
    page: &mut Page,
) -> Option<Step> {
    let fields = Fields::of(node, "a step", STEP_FIELDS, page)?;
    let on = fields.want("on", page).and_then(|n| rules::types(n, page));
    let absent = match fields.get("absent") {
        Some(node) => page::boolean(node, "absent", page)?,
        None => false,
    };
    let count = match fields.get("count") {
        Some(node) if absent => {
            page.fault(node.head(), "an absence has no `count`");
            None
        }
        Some(node) => page::int(node, "count", 1..=MAX_COUNT, page),
        None => Some(1),
    };
    let absent_ms = match (fields.entry("for"), absent && last) {
        (Some(entry), true) => page::span(&entry.node, "for", MAX_SPAN_MS, page).map(Some),
        (None, true) => {
            let help = "how long event time must pass without it, such as `for: 10m`";
            page.fault_help(node.head(), "missing field `for`", help);
            None
        }
        (Some(entry), false) => {
            let help = "`for` is for a last step with `absent: true`";
            page.fault_help(entry.key_span.clone(), "`for` has no meaning here", help);
            None
        }
        (None, false) => Some(absent.then_some(0)),
    };
    // Where expressions cannot be judged the book is refused anyway; `true` holds the place.
    let when = match (fields.get("where"), scheme) {
        (Some(node), Some(scheme)) => {
            let program = condition::compile(node, "where", scheme, page)?;
            let outcomes = phase == Phase::Absorb || !last || absent;
            let on = on.unwrap_or(Types::MAX);
            condition::check_fields((node, &program), on, outcomes, scheme, page);
            Some(program)
        }
        (Some(_) | None, _) => expr::compile("true", &Scheme::new()).ok(),
    };
    Some(Step {
        on: on?,
        when: when?,
        count: u8::try_from(count?).ok()?,
        absent_ms: absent_ms?,
    })
}

/// What holds among the steps themselves.
fn check_shape(list: &Node, items: &[Node], steps: &[Step], page: &mut Page) {
    let (Some(first), Some(first_item)) = (steps.first(), items.first()) else {
        page.fault(list.head(), "a sequence has at least two steps");
        return;
    };
    if steps.len() == 1 && first.count == 1 {
        let help = "one event alone is a `when`";
        page.fault_help(first_item.head(), "a sequence has at least two steps", help);
    }
    if first.absent_ms.is_some() {
        let help = "an absence stands between two steps, or last with `for`";
        page.fault_help(
            first_item.head(),
            "a sequence cannot begin with an absence",
            help,
        );
    }
    for (pair, item) in steps.windows(2).zip(items.iter().skip(1)) {
        if let [before, after] = pair
            && before.absent_ms.is_some()
            && after.absent_ms.is_some()
        {
            let help = "join the two with `||` in one `where`";
            page.fault_help(item.head(), "two absences follow each other", help);
        }
    }
    let states: usize = steps
        .iter()
        .filter(|s| s.absent_ms.is_none())
        .map(|s| usize::from(s.count))
        .sum();
    if states > MAX_SEQUENCE_STATES {
        let message = format!("{states} repeats in all steps, more than {MAX_SEQUENCE_STATES}");
        page.fault_help(list.head(), message, "count them with a feature instead");
    }
}

/// What must fit the rest of the rule.
fn check_rule(
    items: &[Node],
    steps: &[Step],
    rule: &Fields,
    on: Types,
    phase: Phase,
    page: &mut Page,
) {
    let (Some(last), Some(item)) = (steps.last(), items.last()) else {
        return;
    };
    if last.absent_ms.is_none() {
        let stray = last.on & !on;
        if on != 0 && stray != 0 {
            let place = on_of(item);
            let message = format!(
                "the last step is on {}, which the rule is not",
                condition::type_names(stray).join(", ")
            );
            let names = condition::type_names(last.on);
            let help = format!(
                "the last step is the event in hand: let the rule's `on` name {}",
                listed(&names)
            );
            page.fault_help(place, message, help);
        }
        return;
    }
    for name in ["when", "unless"] {
        if let Some(entry) = rule.entry(name) {
            let message = format!("a rule that waits for an absence has no `{name}`");
            let help = "no event is in hand when the time is up: test it in the steps";
            page.fault_help(entry.key_span.clone(), message, help);
        }
    }
    if phase == Phase::Decide {
        let message = "a rule that waits for an absence bears on no decision";
        let place = rule
            .entry("phase")
            .map_or(rule.node.head(), |e| e.node.head());
        page.fault_help(place, message, "write `phase: absorb`");
    }
}

fn on_of(item: &Node) -> std::ops::Range<usize> {
    match &item.value {
        Value::Mapping(entries) => entries
            .iter()
            .find(|e| e.key == "on")
            .map_or_else(|| item.head(), |e| e.node.head()),
        Value::Scalar(_) | Value::Sequence(_) => item.head(),
    }
}
