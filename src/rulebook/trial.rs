//! Runs the examples of a rule book through the real decoder and engine.
//!
//! Each example has a fresh engine with the whole book, the built-in country database, and a tick
//! at each whole minute, as a replay has. After its last event time runs on, so that absences
//! become facts. How the outcome is printed is the command line's.

use crate::decode::Decoder;
use crate::domain::event::Event;
use crate::domain::outcome::{AlertStatus, Effect};
use crate::domain::time::MINUTE_MS;
use crate::engine::book::{Mode, Phase, Rule};
use crate::engine::features::View;
use crate::engine::prepared::Prepared;
use crate::engine::{Engine, Outcome};
use crate::expr::Explained;
use crate::geo::{Geo, GeoError};
use crate::intake::Intake;
use crate::rulebook::{Example, Loaded, Notes};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What became of one example.
#[derive(Debug)]
pub struct Verdict {
    /// The rule's id.
    pub rule: String,
    /// The family the rule stands in.
    pub family: String,
    /// What the example shows.
    pub says: String,
    /// `file:line` where it stands.
    pub place: String,
    /// The events that behaved otherwise than it says; empty where it holds.
    pub surprises: Vec<Surprise>,
}

/// An event that behaved otherwise than an example says.
#[derive(Debug)]
pub struct Surprise {
    /// The event's id.
    pub event: String,
    /// True where it should have hit and did not; false for the reverse.
    pub expected: bool,
    /// The conditions of the rule at this event: name of the condition, and its parts.
    pub conditions: Vec<(&'static str, Vec<Explained>)>,
}

/// Runs every example of a book.
///
/// # Errors
/// Where the built-in country database is damaged.
pub fn test(mut loaded: Loaded) -> Result<Vec<Verdict>, GeoError> {
    let geo = Geo::embedded()?;
    // What waits shows its hit by its alert only, and a rule in shadow raises none.
    for rule in loaded.book.rules.iter_mut().filter(|rule| rule.waits()) {
        rule.mode = Mode::Live;
    }
    let prepared = Arc::new(Prepared::new(loaded.book));
    let mut verdicts = Vec::new();
    for (number, notes) in loaded.notes.iter().enumerate() {
        for example in &notes.examples {
            verdicts.push(verdict(&prepared, &geo, number, notes, example));
        }
    }
    Ok(verdicts)
}

fn verdict(
    prepared: &Arc<Prepared>,
    geo: &Geo,
    number: usize,
    notes: &Notes,
    example: &Example,
) -> Verdict {
    let hits = Run::of(prepared, geo, number, example, &BTreeSet::new()).hits;
    let wrong: BTreeSet<&str> = example
        .given
        .iter()
        .map(|given| given.id.as_str())
        .filter(|id| example.hits.iter().any(|hit| hit == id) != hits.contains(*id))
        .collect();
    let mut surprises = Vec::new();
    if !wrong.is_empty() {
        let mut told = Run::of(prepared, geo, number, example, &wrong).told;
        for given in example
            .given
            .iter()
            .filter(|given| wrong.contains(given.id.as_str()))
        {
            surprises.push(Surprise {
                event: given.id.clone(),
                expected: !hits.contains(&given.id),
                conditions: told.remove(&given.id).unwrap_or_default(),
            });
        }
    }
    Verdict {
        rule: notes.id.clone(),
        family: notes.family.clone(),
        says: example.says.clone(),
        place: example.place.clone(),
        surprises,
    }
}

/// The parts of a condition, by the condition's name.
/// A rule's conditions by name, each explained part by part.
pub type Told = Vec<(&'static str, Vec<Explained>)>;

/// One example on its way through an engine.
struct Run<'r> {
    prepared: &'r Arc<Prepared>,
    number: usize,
    engine: Engine,
    intake: Intake,
    /// When each event was.
    at_ms: BTreeMap<String, i64>,
    tick_ms: i64,
    hits: BTreeSet<String>,
    told: BTreeMap<String, Told>,
}

impl<'r> Run<'r> {
    fn of(
        prepared: &'r Arc<Prepared>,
        geo: &Geo,
        number: usize,
        example: &Example,
        watched: &BTreeSet<&str>,
    ) -> Self {
        let mut run = Self {
            prepared,
            number,
            engine: Engine::new(Arc::clone(prepared)),
            intake: Intake::new(geo.clone()),
            at_ms: BTreeMap::new(),
            tick_ms: i64::MIN,
            hits: BTreeSet::new(),
            told: BTreeMap::new(),
        };
        let mut decoder = Decoder::default();
        let mut event = Event::default();
        let mut outcome = Outcome::default();
        for given in &example.given {
            // Loading refused what does not decode.
            if decoder.decode(given.json.as_bytes(), &mut event).is_err() {
                continue;
            }
            run.tick_before(event.at.ms);
            run.intake.complete(&mut event);
            event.place.asn = given.asn.or(event.place.asn);
            if watched.contains(given.id.as_str()) {
                let told = run.explain(&event);
                run.told.insert(given.id.clone(), told);
            }
            run.at_ms.insert(given.id.clone(), event.at.ms);
            run.engine.apply(&event, &mut outcome);
            if run.rule().is_some_and(|rule| !rule.waits()) && outcome.hits.contains(&number) {
                run.hits.insert(given.id.clone());
            }
            run.hear(&outcome.effects);
        }
        let patience = run.rule().and_then(waits_for).unwrap_or(0);
        let end = run
            .at_ms
            .values()
            .max()
            .map_or(0, |at| at + patience + MINUTE_MS);
        run.tick_before(end);
        run
    }

    fn rule(&self) -> Option<&'r Rule> {
        self.prepared.book.rules.get(self.number)
    }

    /// One tick at the last whole minute that has passed, as after a gap.
    fn tick_before(&mut self, at_ms: i64) {
        let Some(tick_ms) = self.intake.tick_before(at_ms) else {
            return;
        };
        self.tick_ms = tick_ms;
        let mut effects = Vec::new();
        self.engine.tick(tick_ms, &mut effects);
        self.hear(&effects);
    }

    /// Finds the hits of a rule that waits: its alert names the event that began the wait, and is
    /// dated when the time was up.
    fn hear(&mut self, effects: &[Effect]) {
        let Some(rule) = self.rule() else { return };
        let Some(absent_ms) = waits_for(rule) else {
            return;
        };
        for effect in effects {
            let Effect::Alert(alert) = effect else {
                continue;
            };
            let began = self.at_ms.get(&alert.trigger);
            let due = began.is_some_and(|began| began + absent_ms == alert.at_ms);
            let named = alert.rules.iter().any(|known| *known.id == *rule.id);
            if alert.status != AlertStatus::Closed && due && named {
                self.hits.insert(alert.trigger.clone());
            }
        }
    }

    /// The rule's conditions at an event that is about to be applied.
    fn explain(&self, event: &Event) -> Told {
        let Some(rule) = self.rule() else {
            return Vec::new();
        };
        let outcome = rule.phase == Phase::Absorb;
        self.engine
            .look(event, outcome, |view| conditions(rule, view))
    }
}

/// What each of a rule's conditions says of the event in hand, part by part.
pub fn conditions(rule: &Rule, view: &mut View<'_>) -> Told {
    let last = rule.sequence.as_ref().and_then(|s| s.steps.last());
    [
        ("when", rule.when.as_ref()),
        ("unless", rule.unless.as_ref()),
        ("last step", last.map(|step| &step.when)),
    ]
    .into_iter()
    .filter_map(|(name, program)| Some((name, program?.explain(view))))
    .collect()
}

/// How long a rule waits for what does not come.
fn waits_for(rule: &Rule) -> Option<i64> {
    rule.sequence.as_ref()?.steps.last()?.absent_ms
}
