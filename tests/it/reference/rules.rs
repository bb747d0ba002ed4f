//! Which rules hit: conditions, sequences by trying every chain of earlier events, absences by
//! looking at all that came until the deadline; and the holds that follow, since one name
//! (`hold_active`) speaks of them.

use super::sight::Sight;
use super::{Lived, Model, Person};
use std::collections::BTreeMap;
use varsel::domain::codes::{Action, HoldKind};
use varsel::domain::event::{Body, Event};
use varsel::domain::ids::EffectId;
use varsel::domain::outcome::Refusals;
use varsel::engine::book::{HoldPlan, Mode, Phase, Rule, Sequence};

/// For each rule with a sequence, the steps that an event passes (bit n: step n).
pub type Passes = BTreeMap<usize, u32>;

fn is_on(types: u16, event: &Event) -> bool {
    types >> event.kind().code() & 1 == 1
}

/// Reversals and refunds are no attempts.
fn is_judged(event: &Event) -> bool {
    !matches!(&event.body, Body::Authorization(payment) if payment.is_undoing())
}

/// What the event in hand passes, its outcome included.
pub fn passes(sight: &mut Sight<'_>) -> Passes {
    let model = sight.model;
    let mut passes = Passes::new();
    if !is_judged(sight.event) {
        return passes;
    }
    sight.outcome = true;
    for (number, rule) in model.rules().iter().enumerate() {
        for (step, one) in rule
            .sequence
            .iter()
            .flat_map(|s| s.steps.iter().enumerate())
        {
            if is_on(one.on, sight.event) && one.when.eval(sight) == Some(true) {
                *passes.entry(number).or_default() |= 1 << step;
            }
        }
    }
    passes
}

/// Whether some chain of events completes the present steps of a sequence at the last of `bits`.
/// All chains are tried: each position at each event, after each earlier event.
fn completes(sequence: &Sequence, bits: &[u32], at_ms: &[i64], clock_ms: i64) -> bool {
    let mut positions: Vec<(usize, Option<usize>)> = Vec::new();
    let mut absence = None;
    for (index, step) in sequence.steps.iter().enumerate() {
        if step.absent_ms.is_some() {
            absence = Some(index);
            continue;
        }
        positions.push((index, absence.take()));
        positions.extend((1..step.count).map(|_| (index, None)));
    }
    let passes = |event: usize, step: usize| bits[event] >> step & 1 == 1;
    let mut ends: Vec<usize> = Vec::new();
    for (place, (step, absence)) in positions.iter().enumerate() {
        let reached = |j: &usize| {
            if place == 0 {
                // A chain of one event takes no time, however late it came.
                return positions.len() == 1 || clock_ms - at_ms[*j] < sequence.within_ms;
            }
            ends.iter().filter(|i| *i < j).any(|i| {
                absence.is_none_or(|absent| !(i + 1..=*j).any(|between| passes(between, absent)))
            })
        };
        ends = (0..bits.len())
            .filter(|j| passes(*j, *step))
            .filter(reached)
            .collect();
    }
    ends.last() == Some(&(bits.len() - 1))
}

fn completes_with(lives: &[Lived], number: usize, rule: &Rule, now: (u32, &Event, i64)) -> bool {
    let Some(sequence) = &rule.sequence else {
        return true;
    };
    let bit = |lived: &Lived| lived.passes.get(&number).copied().unwrap_or(0);
    let (in_hand, event, clock_ms) = now;
    let bits: Vec<u32> = lives.iter().map(bit).chain([in_hand]).collect();
    let at_ms: Vec<i64> = lives
        .iter()
        .map(|l| l.event.at.ms)
        .chain([event.at.ms])
        .collect();
    completes(sequence, &bits, &at_ms, clock_ms)
}

/// The rules that the event in hand hits in either phase, ascending.
pub fn hits(sight: &mut Sight<'_>, passes: &Passes) -> Vec<usize> {
    let model = sight.model;
    let mut hits = Vec::new();
    if !is_judged(sight.event) {
        return hits;
    }
    for (number, rule) in model.rules().iter().enumerate() {
        let last = rule.sequence.as_ref().and_then(|s| s.steps.last());
        let types = last.map_or(rule.on, |step| step.on & rule.on);
        if last.is_some_and(|step| step.absent_ms.is_some()) || !is_on(types, sight.event) {
            continue;
        }
        sight.outcome = rule.phase == Phase::Absorb;
        if let Some(step) = last {
            let mut bits = passes.get(&number).copied().unwrap_or(0);
            let bit = 1 << (rule.sequence.as_ref().unwrap().steps.len() - 1);
            bits &= !bit;
            bits |= if step.when.eval(sight) == Some(true) {
                bit
            } else {
                0
            };
            let now = (bits, sight.event, sight.clock_ms);
            if !completes_with(&sight.person.lives, number, rule, now) {
                continue;
            }
        }
        let holds = rule
            .when
            .as_ref()
            .is_none_or(|when| when.eval(sight) == Some(true));
        let excepted = rule
            .unless
            .as_ref()
            .is_some_and(|unless| unless.eval(sight) == Some(true));
        if holds && !excepted {
            hits.push(number);
        }
    }
    hits
}

/// An absence that became a fact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fired {
    pub deadline_ms: i64,
    pub rule: usize,
    /// Place of the event that began the wait.
    pub trigger: usize,
}

/// All absences that are facts at `upto_ms`: a wait begins where the present steps are completed
/// and no earlier wait of the rule is on; the event waited for ends it.
pub fn fired(model: &Model, person: &Person, upto_ms: i64) -> Vec<Fired> {
    let mut fired = Vec::new();
    for (rule, one) in model.rules().iter().enumerate() {
        let Some(sequence) = &one.sequence else {
            continue;
        };
        let last = sequence.steps.len() - 1;
        let Some(absent_ms) = sequence.steps[last].absent_ms else {
            continue;
        };
        let mut wait: Option<Fired> = None;
        for (trigger, lived) in person.lives.iter().enumerate() {
            if wait
                .as_ref()
                .is_some_and(|w| w.deadline_ms <= lived.clock_ms)
            {
                fired.extend(wait.take());
            }
            let bits = lived.passes.get(&rule).copied().unwrap_or(0);
            if bits >> last & 1 == 1 {
                wait = None;
            }
            let now = (bits, &*lived.event, lived.clock_ms);
            if wait.is_none()
                && bits != 0
                && completes_with(&person.lives[..trigger], rule, one, now)
            {
                let deadline_ms = lived.event.at.ms + absent_ms;
                wait = Some(Fired {
                    deadline_ms,
                    rule,
                    trigger,
                });
            }
        }
        fired.extend(wait.filter(|w| w.deadline_ms <= upto_ms));
    }
    fired.sort();
    fired
}

/// A hold that was asked for.
struct Hold {
    id: EffectId,
    pattern: String,
    kind: HoldKind,
    card: Option<String>,
    refused: Refusals,
    until_ms: i64,
}

/// Asks for the holds of the rules that hit, pattern by pattern.
fn ask(model: &Model, holds: &mut Vec<Hold>, hits: &[usize], cause: &Event, at_ms: i64) {
    let live = |n: &usize| model.rules()[*n].mode == Mode::Live;
    let mut patterns: BTreeMap<&str, Vec<&HoldPlan>> = BTreeMap::new();
    for rule in hits.iter().filter(|n| live(n)).map(|n| &model.rules()[*n]) {
        if let (Some(pattern), Some(plan)) = (&rule.pattern, &rule.hold) {
            patterns.entry(pattern).or_default().push(plan);
        }
    }
    for (pattern, plans) in patterns {
        for (ordinal, plan) in (0..).zip(plans) {
            let card = Some(cause.card()).filter(|card| !card.is_empty() && !plan.all_cards);
            let until_ms = at_ms + plan.for_ms;
            let same = holds.iter_mut().find(|hold| {
                hold.pattern == pattern
                    && hold.kind == plan.kind
                    && hold.card.as_deref() == card
                    && at_ms < hold.until_ms
            });
            if let Some(hold) = same {
                let refused = hold.refused.union(plan.methods_refused);
                if refused != hold.refused || until_ms - hold.until_ms >= 3_600_000 {
                    hold.refused = refused;
                    hold.until_ms = hold.until_ms.max(until_ms);
                }
                continue;
            }
            holds.push(Hold {
                id: EffectId::derive(cause.cardholder(), "hold", pattern, cause.id(), ordinal),
                pattern: pattern.to_owned(),
                kind: plan.kind,
                card: card.map(str::to_owned),
                refused: plan.methods_refused,
                until_ms,
            });
        }
    }
}

/// Whether a hold stands on the card in hand: all holds ever asked for, less those released, at
/// this moment.
pub fn is_held(sight: &Sight<'_>) -> bool {
    let (model, person) = (sight.model, sight.person);
    let mut fired = fired(model, person, sight.clock_ms);
    let mut holds: Vec<Hold> = Vec::new();
    let mut let_fire = |holds: &mut Vec<Hold>, before: usize, upto_ms: i64| {
        let is_due = |f: &Fired| f.trigger < before && f.deadline_ms <= upto_ms;
        for one in fired.iter().filter(|f| is_due(f)) {
            let cause = &person.lives[one.trigger].event;
            ask(model, holds, &[one.rule], cause, one.deadline_ms);
        }
        fired.retain(|f| !is_due(f));
    };
    for (index, lived) in person.lives.iter().enumerate() {
        let_fire(&mut holds, index, lived.clock_ms);
        if let Body::Hold(step) = &lived.event.body
            && step.action == Action::Released
        {
            let id = lived.event.str(step.hold);
            holds.retain(|hold| hold.id.to_string() != id || hold.until_ms <= lived.clock_ms);
        }
        ask(model, &mut holds, &lived.hits, &lived.event, lived.clock_ms);
    }
    let_fire(&mut holds, person.lives.len(), sight.clock_ms);
    let in_hand = sight.event.card();
    holds
        .iter()
        .filter(|hold| sight.clock_ms < hold.until_ms)
        .any(|hold| {
            hold.card
                .as_ref()
                .is_none_or(|card| !in_hand.is_empty() && sight.known.same_card(card, in_hand))
        })
}
