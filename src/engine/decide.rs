//! Phase one: what the monitor says of an event from what was known before it.
//!
//! Reads, never writes (promise `assess-is-pure`): a risk query runs exactly this. The outcome of
//! the event in hand is out of sight here; see `absorb` for what follows from it.

use crate::domain::codes::{Advice, Channel};
use crate::domain::event::{Body, Event};
use crate::domain::outcome::{Decision, MAX_NOT_AVAILABLE, MAX_REASONS, Reason, Refusals};
use crate::engine::book::{Band, Mode, Policy, Rule};
use crate::engine::candidates::{Entry, Stage};
use crate::engine::cold::Standing;
use crate::engine::features::View;
use crate::engine::holds;
use crate::engine::prepared::Prepared;
use crate::engine::sequences;
use crate::expr::{Halves, Program, Slot};
use std::sync::Arc;

/// The reason's code where a decision would have had teeth and enforcement is suspended.
pub const SUSPENDED: &str = "enforcement-suspended";

/// What the rules said of an event in one phase, reused from event to event.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Numbers of the rules that hit, ascending.
    pub hits: Vec<usize>,
    /// Names that a live rule wanted and could not have, each once, and why; unbounded by the
    /// contract's eight, bounded by the rules' names.
    pub unknown: Vec<(Slot, &'static str)>,
    /// Factors of live rules that could not be evaluated.
    pub blind: u32,
    /// Room to find the blame of one condition in.
    blamed: Vec<Slot>,
}

impl Findings {
    /// Forgets the event before.
    pub fn clear(&mut self) {
        self.hits.clear();
        self.unknown.clear();
        self.blind = 0;
    }
}

/// Evaluates what is left of a phase's rules ([`crate::engine::candidates`]).
#[inline]
pub fn evaluate(prepared: &Prepared, view: &mut View<'_>, stage: Stage, findings: &mut Findings) {
    if prepared.candidates.has(stage, view) {
        evaluate_left(prepared, view, stage, findings);
    }
}

#[inline(never)]
fn evaluate_left(prepared: &Prepared, view: &mut View<'_>, stage: Stage, findings: &mut Findings) {
    let mut walk = prepared.candidates.walk(stage, view);
    while let Some((entry, settled)) = walk.next(&view.scratch.left) {
        let Some(rule) = prepared.book.rules.get(entry.rule) else {
            continue;
        };
        match hit(rule, settled.then_some(entry), view) {
            Some(true) => findings.hits.push(entry.rule),
            Some(false) => {}
            None => blame(rule, view, findings),
        }
    }
}

/// Whether a rule hits; nothing where it cannot be told. An exception that cannot be told does
/// not protect. Of conditions the settled half of which is true, only the rest is evaluated.
fn hit(rule: &Rule, settled: Option<&Entry>, view: &mut View<'_>) -> Option<bool> {
    if let Some(sequence) = &rule.sequence {
        let last = &sequence.steps.last()?.when;
        let rest = settled.and_then(|entry| entry.last.as_ref());
        if !half(last, rest, view)? || !sequences::is_ripe(view.record, sequence, view.clock_ms) {
            return Some(false);
        }
    }
    let rest = settled.and_then(|entry| entry.when.as_ref());
    let when = rule
        .when
        .as_ref()
        .map_or(Some(true), |program| half(program, rest, view));
    if when == Some(false) {
        return Some(false);
    }
    if rule
        .unless
        .as_ref()
        .is_some_and(|program| program.eval(view) == Some(true))
    {
        return Some(false);
    }
    when
}

/// What a condition comes to: by its rest where that is all that is open, else as a whole.
pub fn half(whole: &Program, rest: Option<&Halves>, view: &mut View<'_>) -> Option<bool> {
    match rest {
        Some(halves) => halves.rest(view),
        None => whole.eval(view),
    }
}

fn blame(rule: &Rule, view: &mut View<'_>, findings: &mut Findings) {
    if rule.mode == Mode::Shadow {
        return;
    }
    findings.blind |= crate::engine::prepared::factor_bits(rule);
    let last = rule
        .sequence
        .as_ref()
        .and_then(|s| s.steps.last())
        .map(|s| &s.when);
    for program in rule.when.iter().chain(last) {
        program.blame_into(view, &mut findings.blamed);
        for slot in &findings.blamed {
            if findings.unknown.iter().all(|(known, _)| known != slot) {
                findings.unknown.push((*slot, view.why_unknown(*slot)));
            }
        }
    }
}

/// The decision on the event in hand, from the findings of the decide phase.
pub fn decision(prepared: &Prepared, view: &View<'_>, findings: &Findings) -> Decision {
    if findings.hits.is_empty() && view.record.due_ms() == 0 {
        return harmless(prepared, view, findings);
    }
    let policy = &prepared.book.policy;
    let rules = &prepared.book.rules;
    let mut live: Vec<usize> = Vec::new();
    let mut shadow = Vec::new();
    for number in &findings.hits {
        match rules.get(*number).map(|rule| rule.mode) {
            Some(Mode::Live) => live.push(*number),
            Some(Mode::Shadow) => shadow.extend(prepared.refs.get(*number).cloned()),
            None => {}
        }
    }
    // By falling weight; rules are in order of id, and the sort is stable.
    let weight = |number: &usize| rules.get(*number).map_or(0, |rule| rule.score);
    live.sort_by_key(|number| std::cmp::Reverse(weight(number)));
    let score = clamp(live.iter().map(weight).sum());
    let by_score = banded(policy, view.event, score);
    let verdict = holds::judge(
        view.record,
        policy,
        view.event,
        view.challenge,
        view.clock_ms,
    );
    let action = verdict
        .advice
        .map_or(by_score, |demanded| demanded.max(by_score));
    let mut reasons: Vec<Reason> = verdict.hold.map(in_force).into_iter().collect();
    reasons.extend(
        live.iter()
            .filter_map(|n| prepared.reasons.get(*n).cloned()),
    );
    reasons.truncate(MAX_REASONS);
    let mut refused = verdict.refused;
    if action != Advice::Allow {
        for plan in live.iter().filter_map(|n| rules.get(*n)?.hold.as_ref()) {
            refused = refused.union(plan.methods_refused);
        }
    }
    Decision {
        score,
        action,
        methods_refused: refused,
        hold: verdict.hold.map(|hold| hold.id),
        rules: live
            .iter()
            .filter_map(|n| prepared.refs.get(*n).cloned())
            .collect(),
        shadow,
        reasons,
        not_available: not_available(prepared, findings),
        late: view.late,
        rates: converted(prepared, view),
    }
}

/// The same as [`decision`] into the one of an event before, so that its lists are used again.
pub fn decide(
    prepared: &Prepared,
    view: &View<'_>,
    findings: &Findings,
    known: &mut Option<Decision>,
) {
    let harmless = findings.hits.is_empty() && view.record.due_ms() == 0;
    let Some(known) = known.as_mut().filter(|_| harmless) else {
        *known = Some(decision(prepared, view, findings));
        return;
    };
    known.score = 0;
    known.action = Advice::Allow;
    known.methods_refused = Refusals::default();
    known.hold = None;
    known.rules.clear();
    known.shadow.clear();
    known.reasons.clear();
    known.not_available.clear();
    if !findings.unknown.is_empty() {
        known.not_available.extend(missing(prepared, findings));
    }
    known.late = view.late;
    known.rates = converted(prepared, view);
}

/// The decision on most events: no rule hit, and where nothing is due no hold is open. A score of 0
/// lies below every band.
fn harmless(prepared: &Prepared, view: &View<'_>, findings: &Findings) -> Decision {
    Decision {
        score: 0,
        action: Advice::Allow,
        methods_refused: Refusals::default(),
        hold: None,
        rules: Vec::new(),
        shadow: Vec::new(),
        reasons: Vec::new(),
        not_available: not_available(prepared, findings),
        late: view.late,
        rates: converted(prepared, view),
    }
}

/// Has a decision allow, since enforcement is suspended, and say so; score, rules and reasons stay.
pub fn suspend(decision: &mut Decision) {
    let text = match decision.action {
        Advice::Allow => return,
        Advice::StepUp => "Enforcement is suspended: otherwise this would be stepped up",
        Advice::Decline => "Enforcement is suspended: otherwise this would be declined",
    };
    let reason = Reason {
        code: Arc::from(SUSPENDED),
        text: Arc::from(text),
    };
    decision.reasons.truncate(MAX_REASONS - 1);
    decision.reasons.insert(0, reason);
    decision.action = Advice::Allow;
    decision.methods_refused = Refusals::default();
    decision.hold = None;
}

/// A sum of scores within 0-999.
pub fn clamp(sum: i32) -> u16 {
    u16::try_from(sum.clamp(0, 999)).unwrap_or(0)
}

fn banded(policy: &Policy, event: &Event, score: u16) -> Advice {
    let unauthenticated = matches!(&event.body, Body::Authorization(p)
        if matches!(p.channel, Channel::Recurring | Channel::Moto));
    let bands: &[Band] = if unauthenticated {
        &policy.unauthenticated
    } else {
        &policy.bands
    };
    bands
        .iter()
        .rev()
        .find(|band| score >= band.from)
        .map_or(Advice::Allow, |band| band.action)
}

fn in_force(hold: &Standing) -> Reason {
    let why = hold.reasons.first().map_or("", |reason| &*reason.text);
    Reason {
        code: Arc::from("hold-in-force"),
        text: Arc::from(format!("A hold for {} is in force: {why}", hold.pattern)),
    }
}

fn not_available(prepared: &Prepared, findings: &Findings) -> Vec<(Arc<str>, &'static str)> {
    missing(prepared, findings).collect()
}

fn missing(
    prepared: &Prepared,
    findings: &Findings,
) -> impl Iterator<Item = (Arc<str>, &'static str)> {
    let first = findings.unknown.iter().take(MAX_NOT_AVAILABLE);
    first.filter_map(|(slot, why)| {
        let name = prepared.names.get(usize::from(*slot))?;
        Some((Arc::clone(name), *why))
    })
}

/// The rate table's hash, where the purchase in hand is in another currency than the base.
fn converted(prepared: &Prepared, view: &View<'_>) -> Option<Arc<str>> {
    let base = crate::engine::vocabulary::currency_code(prepared.book.rates.base());
    let purchase = view.purchase?;
    (purchase.currency != base && purchase.amount_minor.is_some())
        .then(|| Arc::clone(&prepared.rates))
}
