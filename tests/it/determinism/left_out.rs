//! What candidates leave out could neither hit nor be blamed: every rule of the phase and every
//! step, evaluated whole, says the same as the few that are evaluated.

use super::{Feed, STARTER, case, town};
use std::collections::BTreeSet;
use varsel::engine::book::{Mode, Phase, Rule};
use varsel::engine::candidates::Stage;
use varsel::engine::decide::{self, Findings};
use varsel::engine::features::View;
use varsel::engine::sequences;
use varsel::expr::Slot;

/// As the engine's own words have it: false wins, an unknown exception does not protect.
fn whole(rule: &Rule, view: &mut View<'_>) -> Option<bool> {
    if let Some(sequence) = &rule.sequence {
        let last = sequence.steps.last().unwrap();
        if !last.when.eval(view)? || !sequences::is_ripe(view.record, sequence, view.clock_ms) {
            return Some(false);
        }
    }
    let when = rule
        .when
        .as_ref()
        .map_or(Some(true), |when| when.eval(view));
    let excepted = rule.unless.as_ref().and_then(|unless| unless.eval(view));
    if when == Some(false) || excepted == Some(true) {
        return Some(false);
    }
    when
}

/// Hits, what is unknown, and blind factors, of all rules of a phase.
fn all_of(phase: Phase, view: &mut View<'_>) -> (Vec<usize>, BTreeSet<Slot>, u32) {
    let (mut hits, mut unknown, mut blind) = (Vec::new(), BTreeSet::new(), 0);
    let on = 1 << view.event.kind().code();
    for (number, rule) in STARTER.book.rules.iter().enumerate() {
        if rule.phase != phase || rule.waits() || rule.looks_at() & on == 0 {
            continue;
        }
        match whole(rule, view) {
            Some(true) => hits.push(number),
            Some(false) => {}
            None if rule.mode == Mode::Live => {
                let last = rule.sequence.as_ref().and_then(|s| s.steps.last());
                let programs = rule.when.iter().chain(last.map(|step| &step.when));
                unknown.extend(programs.flat_map(|program| program.blame(view)));
                blind |= varsel::engine::prepared::factor_bits(rule);
            }
            None => {}
        }
    }
    (hits, unknown, blind)
}

fn said(findings: &Findings) -> (Vec<usize>, BTreeSet<Slot>, u32) {
    let unknown = findings.unknown.iter().map(|(slot, _)| *slot).collect();
    (findings.hits.clone(), unknown, findings.blind)
}

#[test]
fn what_is_left_out_could_neither_hit_nor_be_blamed() {
    assert!(
        STARTER
            .book
            .rules
            .iter()
            .all(|rule| rule.sequence.is_none() || rule.when.is_none()),
        "an unknown last step is blamed only where `when` is not false at a glance"
    );
    let mut feed = Feed::new(&STARTER);
    let town = town("s", 21, 1_500, 12);
    let (mut hits, mut blamed, mut evaluated, mut events) = (0, 0, 0, 0);
    for line in case().into_iter().chain(town.iter().map(String::as_str)) {
        let (event, _) = feed.event(line);
        let mut check = |view: &mut View<'_>, phase, stage| {
            let expected = all_of(phase, view);
            let mut findings = Findings::default();
            decide::evaluate(&STARTER, view, stage, &mut findings);
            assert_eq!(said(&findings), expected, "{phase:?}: {line}");
            hits += expected.0.len();
            blamed += expected.1.len();
            evaluated += STARTER.candidates.count(stage, view);
        };
        feed.engine.look(&event, false, |view| {
            STARTER.candidates.find(view);
            check(view, Phase::Decide, Stage::Decide);
            view.outcome = true;
            STARTER.candidates.narrow(view);
            check(view, Phase::Absorb, Stage::Absorb);
        });
        events += 1;
        feed.engine.apply(&event, &mut feed.outcome);
    }
    assert!(hits > 100 && blamed > 100, "{hits} {blamed}");
    assert!(evaluated < 6 * events, "{evaluated} of {events} events");
}
