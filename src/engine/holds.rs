//! Holds: asked for, told, acknowledged, released or expired; and what they do to an attempt.
//!
//! One state machine (promise `hold-lifecycle`), moved by rules, by `hold` events of the log, and
//! by event time. Decisions look at `released` and the time only; deliveries and acknowledgements
//! are told for people.

use crate::domain::codes::{Action, Advice, Channel, HoldKind, HoldState, Method, Purpose};
use crate::domain::event::{Body, Event, HoldStep};
use crate::domain::ids::{EffectId, Fingerprint};
use crate::domain::outcome::{Effect, Hold, Reason, Refusals};
use crate::engine::book::{HoldPlan, Policy};
use crate::engine::cards;
use crate::engine::cold::{Challenge, Cold, MAX_HOLDS, Standing};
use crate::engine::record::{Record, seconds};
use std::sync::Arc;

/// A hold asked for again is prolonged, and told so, only where it gains this much.
const PROLONG_MS: i64 = 3_600_000;
/// Credentials linked, changed or activated since this long before a hold do not satisfy it.
const FRESH_S: u32 = 24 * 3_600;

/// The holds in force on a card at a moment, in order of asking. A card of 0 (an event without
/// one) is bound by holds on every card only.
pub fn in_force(record: &Record, card: u64, clock_ms: i64) -> impl Iterator<Item = &Standing> {
    let open = record.cold.as_ref().filter(|_| record.due_ms() != 0);
    open.into_iter()
        .flat_map(|cold| &cold.holds)
        .filter(move |hold| {
            clock_ms < hold.until_ms
                && hold.card.as_ref().is_none_or(|token| {
                    card != 0 && cards::same(record, Fingerprint::of(token).0, card)
                })
        })
}

/// What the holds in force say of an attempt.
#[derive(Debug, Clone, Default)]
pub struct Verdict<'a> {
    /// The hold that decides, if any.
    pub hold: Option<&'a Standing>,
    /// What it demands.
    pub advice: Option<Advice>,
    /// Methods refused by all holds in force.
    pub refused: Refusals,
}

/// What the holds in force demand of the event in hand.
pub fn judge<'a>(
    record: &'a Record,
    policy: &Policy,
    event: &Event,
    challenge: Option<&Challenge>,
    clock_ms: i64,
) -> Verdict<'a> {
    let mut verdict = Verdict::default();
    for hold in in_force(record, event.card_fp.0, clock_ms) {
        let advice = match hold.kind {
            HoldKind::Decline => demand_decline(event),
            HoldKind::StepUp => demand_step_up(record, policy, event, challenge, hold),
        };
        if advice == Advice::Allow {
            continue;
        }
        verdict.refused = verdict.refused.union(hold.methods_refused);
        if verdict.advice.is_none_or(|so_far| advice > so_far) {
            verdict.advice = Some(advice);
            verdict.hold = Some(hold);
        }
    }
    verdict
}

fn demand_decline(event: &Event) -> Advice {
    if matches!(event.body, Body::Eid(_)) {
        Advice::Allow
    } else {
        Advice::Decline
    }
}

fn demand_step_up(
    record: &Record,
    policy: &Policy,
    event: &Event,
    challenge: Option<&Challenge>,
    hold: &Standing,
) -> Advice {
    match &event.body {
        Body::Authorization(payment) => match payment.channel {
            Channel::Recurring => policy.held_recurring,
            Channel::Moto => policy.held_moto,
            Channel::Ecommerce | Channel::Pos | Channel::Atm | Channel::Unknown => {
                if challenge.is_some_and(|c| satisfies(record, c, hold)) {
                    Advice::Allow
                } else {
                    Advice::StepUp
                }
            }
        },
        Body::Threeds(_) => Advice::StepUp,
        Body::Eid(eid) => {
            let pays = matches!(eid.purpose, Some(Purpose::Payment));
            if pays && hold.methods_refused.refuses(Method::Eid) {
                Advice::StepUp
            } else {
                Advice::Allow
            }
        }
        Body::Otp(_)
        | Body::Enrolment(_)
        | Body::Card(_)
        | Body::Disposition(_)
        | Body::Hold(_) => Advice::Allow,
    }
}

/// Whether a challenge satisfies a step-up hold for one authorization: passed, not used before, by
/// a method that is known, not refused, and not itself linked, changed or activated since 24 h
/// before the hold (EVENTS.md, Outputs).
pub fn satisfies(record: &Record, challenge: &Challenge, hold: &Standing) -> bool {
    let method = challenge.method();
    let fresh_since = seconds(hold.from_ms).saturating_sub(FRESH_S);
    let fresh = match method {
        Method::Otp => record.marks.phone_s >= fresh_since && record.marks.phone_s != 0,
        Method::EidApp | Method::Eid => {
            record.marks.app_s >= fresh_since && record.marks.app_s != 0
        }
        Method::EidCodeCard | Method::EidCodeToken | Method::Other => false,
        Method::Frictionless | Method::Unknown => return false,
    };
    challenge.passed() && !challenge.used && !fresh && !hold.methods_refused.refuses(method)
}

/// What a hold is asked for: by which alert, on which card, from what.
#[derive(Debug)]
pub struct Request<'a> {
    /// The rule's plan.
    pub plan: &'a HoldPlan,
    /// The pattern.
    pub pattern: &'a Arc<str>,
    /// The alert's id.
    pub alert: EffectId,
    /// Why.
    pub reasons: &'a [Reason],
    /// The causing event's id.
    pub cause: &'a str,
    /// The card in hand, if any.
    pub card: Option<&'a str>,
    /// Place among the holds that this event asked for, for the id.
    pub ordinal: u32,
    /// How long it may go without a delivery, in milliseconds; nothing where none is waited for.
    pub deliver_ms: Option<i64>,
}

/// Asks for a hold: a new one, or more of one that the same pattern asked for already.
pub fn request(
    cold: &mut Cold,
    cardholder: &str,
    request: &Request<'_>,
    at_ms: i64,
    effects: &mut Vec<Effect>,
) -> bool {
    let card = if request.plan.all_cards {
        None
    } else {
        request.card.map(str::to_owned)
    };
    let until_ms = at_ms + request.plan.for_ms;
    let same = cold.holds.iter_mut().find(|hold| {
        hold.pattern == *request.pattern
            && hold.kind == request.plan.kind
            && hold.card == card
            && at_ms < hold.until_ms
    });
    if let Some(hold) = same {
        let refused = hold.methods_refused.union(request.plan.methods_refused);
        if refused != hold.methods_refused || until_ms >= hold.until_ms + PROLONG_MS {
            hold.methods_refused = refused;
            hold.until_ms = hold.until_ms.max(until_ms);
            effects.push(told(hold, cardholder, at_ms));
        }
        return false;
    }
    let full = cold.holds.len() >= MAX_HOLDS;
    if full {
        let soonest = (0..cold.holds.len()).min_by_key(|i| cold.holds.get(*i).map(|h| h.until_ms));
        cold.holds.remove(soonest.unwrap_or(0));
    }
    let hold = Standing {
        id: EffectId::derive(
            cardholder,
            "hold",
            request.pattern,
            request.cause,
            request.ordinal,
        ),
        pattern: Arc::clone(request.pattern),
        card,
        kind: request.plan.kind,
        state: HoldState::Requested,
        methods_refused: request.plan.methods_refused,
        from_ms: at_ms,
        until_ms,
        alert: request.alert,
        reasons: request.reasons.to_vec(),
        awaited_by_ms: request.deliver_ms.map(|bound_ms| at_ms + bound_ms),
    };
    let mut episodes = cold.episodes.iter_mut();
    if let Some(episode) = episodes.find(|episode| episode.id == request.alert) {
        episode.holds = episode.holds.saturating_add(1);
    }
    effects.push(told(&hold, cardholder, at_ms));
    cold.holds.push(hold);
    full
}

/// Absorbs a step that an edge took: delivery, acknowledgement, enforcement, release. A step of a
/// hold that does not stand, or one that was taken before, changes nothing.
pub fn step(
    cold: &mut Cold,
    cardholder: &str,
    policy: &Policy,
    id: &str,
    step: &HoldStep,
    at_ms: i64,
    effects: &mut Vec<Effect>,
) {
    let Some(index) = EffectId::parse(id).and_then(|id| cold.holds.iter().position(|h| h.id == id))
    else {
        return;
    };
    let Some(hold) = cold.holds.get_mut(index) else {
        return;
    };
    let next = if step.action == Action::Released {
        HoldState::Released
    } else if step.action == Action::Delivered && hold.state == HoldState::Requested {
        HoldState::Delivered
    } else if step.action == Action::Acknowledged && hold.state != HoldState::Acknowledged {
        HoldState::Acknowledged
    } else {
        return;
    };
    hold.state = next;
    hold.awaited_by_ms = (next == HoldState::Delivered).then_some(at_ms + policy.acknowledge_ms);
    effects.push(told(hold, cardholder, at_ms));
    if next == HoldState::Released {
        cold.holds.remove(index);
    }
}

/// A line of the hold's life as it stands now.
pub fn told(hold: &Standing, cardholder: &str, at_ms: i64) -> Effect {
    Effect::Hold(Box::new(Hold {
        id: hold.id,
        at_ms,
        card: hold.card.clone(),
        cardholder: cardholder.to_owned(),
        kind: hold.kind,
        methods_refused: hold.methods_refused,
        state: hold.state,
        from_ms: hold.from_ms,
        until_ms: hold.until_ms,
        alert: hold.alert,
        reasons: hold.reasons.clone(),
    }))
}
