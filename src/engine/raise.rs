//! What follows from hits: episodes opened and fed, holds asked for, absences waited for; and what
//! becomes due of itself as event time passes.

use crate::domain::codes::{HoldState, Severity, Verdict};
use crate::domain::event::{Body, Event};
use crate::domain::outcome::{AlertStatus, Effect, MAX_REASONS, Reason};
use crate::engine::book::{Mode, Rule};
use crate::engine::cold::{Absence, MAX_ABSENCES};
use crate::engine::decide::{Findings, clamp};
use crate::engine::episodes::{self, Feed};
use crate::engine::holds::{self, Request};
use crate::engine::prepared::{Prepared, factor_bits};
use crate::engine::record::Record;
use std::sync::Arc;

/// The pattern of the alert on a hold that was delivered and not acknowledged (DESIGN.md, promise 6).
pub const UNACKNOWLEDGED: &str = "hold-unacknowledged";
/// The pattern of the alert on a hold that was requested and not delivered.
pub const UNDELIVERED: &str = "hold-undelivered";
/// What the first of these alerts says.
pub const UNACKNOWLEDGED_TEXT: &str = "A hold was delivered and nobody acknowledged it in time";
/// What the second says.
pub const UNDELIVERED_TEXT: &str = "A hold was requested and nobody who enforces was told in time";

/// The event that caused something, as alerts and holds name it.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its card, if any.
    pub card: Option<&'a str>,
    /// The code of its type.
    pub type_code: u8,
    /// The cardholder's key.
    pub cardholder: &'a str,
    /// When, in milliseconds of event time.
    pub at_ms: i64,
}

impl<'a> Cause<'a> {
    /// The event in hand as a cause.
    pub fn of(event: &'a Event, at_ms: i64) -> Self {
        let card = event.card();
        Self {
            id: event.id(),
            card: (!card.is_empty()).then_some(card),
            type_code: event.kind().code(),
            cardholder: event.cardholder(),
            at_ms,
        }
    }
}

/// Raises what the hits of an event (both phases together) ask for, patterns in alphabetical
/// order. Returns how many entries had to give way to bounds.
pub fn raise(
    record: &mut Record,
    prepared: &Prepared,
    hits: &[usize],
    blind: u32,
    cause: Cause<'_>,
    effects: &mut Vec<Effect>,
) -> u32 {
    let mut patterns: Vec<&Arc<str>> = hits
        .iter()
        .filter(|n| live(prepared, **n).is_some())
        .filter_map(|n| prepared.patterns.get(*n)?.as_ref())
        .collect();
    patterns.sort_unstable();
    patterns.dedup();
    let mut gave_way = 0;
    for pattern in patterns {
        gave_way += raise_one(record, prepared, hits, blind, pattern, cause, effects);
    }
    gave_way
}

fn live(prepared: &Prepared, number: usize) -> Option<&Rule> {
    prepared
        .book
        .rules
        .get(number)
        .filter(|rule| rule.mode == Mode::Live)
}

fn raise_one(
    record: &mut Record,
    prepared: &Prepared,
    hits: &[usize],
    blind: u32,
    pattern: &Arc<str>,
    cause: Cause<'_>,
    effects: &mut Vec<Effect>,
) -> u32 {
    let of_pattern: Vec<(usize, &Rule)> = hits
        .iter()
        .filter(|n| {
            prepared
                .patterns
                .get(**n)
                .is_some_and(|p| p.as_ref() == Some(pattern))
        })
        .filter_map(|n| Some((*n, live(prepared, *n)?)))
        .collect();
    let rules = || of_pattern.iter().map(|(_, rule)| *rule);
    let mut reasons: Vec<Reason> = of_pattern
        .iter()
        .filter_map(|(n, _)| prepared.reasons.get(*n).cloned())
        .collect();
    reasons.truncate(MAX_REASONS);
    let raised = rules().fold(0, |bits, rule| bits | factor_bits(rule));
    let looked_at = prepared
        .looked_at
        .get(usize::from(cause.type_code))
        .copied()
        .unwrap_or(0);
    let all_cards = rules()
        .filter_map(|r| r.hold.as_ref())
        .any(|plan| plan.all_cards);
    let feed = Feed {
        pattern,
        trigger: cause.id,
        card: cause.card.filter(|_| !all_cards),
        severity: rules().map(|r| r.severity).max().unwrap_or(Severity::Low),
        score: clamp(rules().map(|r| r.score).sum()),
        rules: of_pattern
            .iter()
            .filter_map(|(n, _)| prepared.refs.get(*n).cloned())
            .collect(),
        reasons: reasons.clone(),
        factors: raised | (looked_at & !blind) << 16,
    };
    let cold = record.cold.get_or_insert_default();
    cold.name(cause.cardholder);
    let closes_ms = cause.at_ms + prepared.book.policy.episode_ms;
    let (alert, ended) = episodes::feed(
        cold,
        cause.cardholder,
        feed,
        cause.at_ms,
        closes_ms,
        effects,
    );
    let mut gave_way = u32::from(ended);
    for (ordinal, plan) in (0..).zip(rules().filter_map(|r| r.hold.as_ref())) {
        let request = Request {
            plan,
            pattern,
            alert,
            reasons: &reasons,
            cause: cause.id,
            card: cause.card,
            ordinal,
            deliver_ms: prepared.book.policy.deliver_ms,
        };
        gave_way += u32::from(holds::request(
            cold,
            cause.cardholder,
            &request,
            cause.at_ms,
            effects,
        ));
    }
    gave_way
}

/// Starts or breaks the waits of rules that end in an absence. Returns whether one could not be
/// waited for.
pub fn wait(
    record: &mut Record,
    rule: &Rule,
    completed: bool,
    broken: bool,
    cause: Cause<'_>,
) -> bool {
    if broken && let Some(cold) = record.cold.as_deref_mut() {
        cold.absences.retain(|absence| *absence.rule != *rule.id);
    }
    let absent_ms = rule
        .sequence
        .as_ref()
        .and_then(|s| s.steps.last()?.absent_ms);
    let Some(absent_ms) = absent_ms.filter(|_| completed) else {
        return false;
    };
    let cold = record.cold.get_or_insert_default();
    // The earliest wait of a rule is the one that counts; later ones start after it.
    if cold
        .absences
        .iter()
        .any(|absence| *absence.rule == *rule.id)
    {
        return false;
    }
    if cold.absences.len() >= MAX_ABSENCES {
        return true;
    }
    cold.name(cause.cardholder);
    cold.absences.push(Absence {
        rule: Arc::from(rule.id.as_str()),
        trigger: cause.id.to_owned(),
        card: cause.card.map(str::to_owned),
        deadline_ms: cause.at_ms + absent_ms,
    });
    false
}

/// Absorbs what people say of episodes and holds. Returns of how many holds it says that all was good.
pub fn hear(
    record: &mut Record,
    prepared: &Prepared,
    event: &Event,
    at_ms: i64,
    effects: &mut Vec<Effect>,
) -> u32 {
    let Some(cold) = record.cold.as_deref_mut() else {
        return 0;
    };
    match &event.body {
        Body::Disposition(said) => {
            let subject = event.str(said.subject);
            let holds = episodes::dispose(
                cold,
                event.cardholder(),
                subject,
                said.of_alert,
                event.id(),
                at_ms,
                effects,
            );
            return if said.verdict == Verdict::Good {
                holds
            } else {
                0
            };
        }
        Body::Hold(step) => {
            let id = event.str(step.hold);
            holds::step(
                cold,
                event.cardholder(),
                &prepared.book.policy,
                id,
                step,
                at_ms,
                effects,
            );
        }
        Body::Authorization(_)
        | Body::Threeds(_)
        | Body::Otp(_)
        | Body::Eid(_)
        | Body::Enrolment(_)
        | Body::Card(_) => {}
    }
    0
}

/// Makes true all that is due by `upto_ms`, in order of deadline: holds expire, episodes close,
/// absences become facts, holds that nobody heard of raise their alert. Returns the rules that hit by
/// absence.
pub fn due(
    record: &mut Record,
    prepared: &Prepared,
    upto_ms: i64,
    effects: &mut Vec<Effect>,
) -> Vec<usize> {
    let mut hits = Vec::new();
    while let Some(cold) = record.cold.as_deref_mut() {
        let Some(deadline) = cold.next_deadline().filter(|deadline| *deadline <= upto_ms) else {
            break;
        };
        let name = cold.holder.clone();
        expire(record, &name, deadline, effects);
        unheard(record, prepared, &name, deadline, effects);
        hits.extend(absent(record, prepared, &name, deadline, effects));
        close(record, &name, deadline, effects);
    }
    hits
}

fn expire(record: &mut Record, name: &str, deadline: i64, effects: &mut Vec<Effect>) {
    let Some(cold) = record.cold.as_deref_mut() else {
        return;
    };
    cold.holds.retain_mut(|hold| {
        let over = hold.until_ms <= deadline;
        if over {
            hold.state = crate::domain::codes::HoldState::Expired;
            effects.push(holds::told(hold, name, hold.until_ms));
        }
        !over
    });
}

/// Raises the alerts of holds that were not delivered, or not acknowledged, by `deadline`.
fn unheard(
    record: &mut Record,
    prepared: &Prepared,
    name: &str,
    deadline: i64,
    effects: &mut Vec<Effect>,
) {
    let Some(cold) = record.cold.as_deref_mut() else {
        return;
    };
    let mut late = Vec::new();
    for hold in &mut cold.holds {
        if hold.awaited_by_ms.is_some_and(|by| by <= deadline) {
            hold.awaited_by_ms = None;
            late.push((hold.id.to_string(), hold.card.clone(), hold.state));
        }
    }
    for (hold, card, state) in late {
        let (pattern, text) = if state == HoldState::Requested {
            (UNDELIVERED, UNDELIVERED_TEXT)
        } else {
            (UNACKNOWLEDGED, UNACKNOWLEDGED_TEXT)
        };
        let feed = Feed {
            pattern: &Arc::from(pattern),
            trigger: &hold,
            card: card.as_deref(),
            severity: Severity::Medium,
            score: 0,
            rules: Vec::new(),
            reasons: vec![Reason {
                code: Arc::from(pattern),
                text: Arc::from(text),
            }],
            factors: 0,
        };
        let closes_ms = deadline + prepared.book.policy.episode_ms;
        episodes::feed(cold, name, feed, deadline, closes_ms, effects);
    }
}

fn absent(
    record: &mut Record,
    prepared: &Prepared,
    name: &str,
    deadline: i64,
    effects: &mut Vec<Effect>,
) -> Vec<usize> {
    let mut ripe = Vec::new();
    if let Some(cold) = record.cold.as_deref_mut() {
        cold.absences.retain(|absence| {
            let is_ripe = absence.deadline_ms <= deadline;
            if is_ripe {
                ripe.push(absence.clone());
            }
            !is_ripe
        });
    }
    let mut hits = Vec::new();
    for absence in ripe {
        let Some(number) = prepared
            .book
            .rules
            .iter()
            .position(|r| *r.id == *absence.rule)
        else {
            continue;
        };
        let cause = Cause {
            id: &absence.trigger,
            card: absence.card.as_deref(),
            type_code: 0,
            cardholder: name,
            at_ms: absence.deadline_ms,
        };
        raise(record, prepared, &[number], 0, cause, effects);
        hits.push(number);
    }
    hits
}

fn close(record: &mut Record, name: &str, deadline: i64, effects: &mut Vec<Effect>) {
    let Some(cold) = record.cold.as_deref_mut() else {
        return;
    };
    cold.episodes.retain(|episode| {
        let over = episode.closes_ms <= deadline;
        if over {
            effects.push(episodes::told(
                episode,
                name,
                AlertStatus::Closed,
                episode.closes_ms,
                None,
            ));
        }
        !over
    });
}

/// The hits of both phases together, in order of number.
pub fn both(decided: &Findings, absorbed: &Findings) -> Vec<usize> {
    let mut hits: Vec<usize> = decided.hits.iter().chain(&absorbed.hits).copied().collect();
    hits.sort_unstable();
    hits
}
