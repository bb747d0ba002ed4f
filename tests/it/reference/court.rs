//! The court: the engine and the reference hear the same lines, and must say the same of each.
//!
//! It prints the line and the cardholder's story where they differ.

use super::sight::Value;
use super::{Model, Verdict};
use crate::generate::SOME_HOLD;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use varsel::decode::Decoder;
use varsel::domain::event::Event;
use varsel::domain::outcome::{AlertStatus, Effect};
use varsel::engine::prepared::Prepared;
use varsel::engine::vocabulary::{BUILT_INS, Feature};
use varsel::engine::{Applied, Engine, Outcome};
use varsel::expr::{Facts, Slot, Type};
use varsel::geo::Geo;
use varsel::intake::Intake;

/// Every slot of the scheme, as the engine sees it.
fn all_of<F: Facts>(facts: &mut F, model: &Model) -> Vec<Value> {
    let scheme = &model.prepared.book.scheme;
    (0..)
        .map_while(|slot: Slot| scheme.field(slot).map(|field| (slot, field)))
        .map(|(slot, field)| {
            let value = match &field.kind {
                Type::Bool => facts.boolean(slot).map(Value::Bool),
                Type::Int(_) | Type::Duration | Type::Symbol(_) | Type::Code(_) => {
                    facts.int(slot).map(Value::Int)
                }
                Type::Float(_) => facts.float(slot).map(Value::Float),
                Type::Text => facts.text(slot).map(|text| Value::Text(text.to_owned())),
            };
            value.unwrap_or(Value::Unknown)
        })
        .collect()
}

fn agree(slot: usize, ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Float(a), Value::Float(b)) => (a - b).abs() <= 1e-9,
        // The engine's decayed moments are 32-bit: a rounded score may fall one to either side.
        (Value::Int(a), Value::Int(b))
            if slot < BUILT_INS && Feature::ALL[slot] == Feature::AmountTail =>
        {
            (a - b).abs() <= 1
        }
        (ours, theirs) => ours == theirs,
    }
}

/// A book, an engine and the reference side by side.
pub struct Court {
    engine: Engine,
    model: Model,
    intake: Intake,
    decoder: Decoder,
    outcome: Outcome,
    /// Holds told of so far, for the lines that speak of one.
    holds: Vec<(String, String)>,
    pub met: Met,
}

/// What the histories met, so that a comparison of nothing is no proof.
#[derive(Default)]
pub struct Met {
    pub rules: BTreeSet<String>,
    pub slots: BTreeSet<String>,
}

impl Court {
    pub fn new(dir: &Path, prepared: &Arc<Prepared>) -> Self {
        Self {
            engine: Engine::new(Arc::clone(prepared)),
            model: Model::new(dir, Arc::clone(prepared)),
            intake: Intake::new(Geo::embedded().unwrap()),
            decoder: Decoder::default(),
            outcome: Outcome::default(),
            holds: Vec::new(),
            met: Met::default(),
        }
    }

    /// Hears one line: both sides must say the same of it.
    pub fn hear(&mut self, line: &str) -> Verdict {
        let mut event = Event::default();
        let line = match self.holds.last() {
            Some((hold, cardholder)) if line.contains(SOME_HOLD) => {
                let whose = line.find("\"cardholder\":\"").unwrap() + 14;
                let end = whose + line[whose..].find('"').unwrap();
                format!("{}{cardholder}{}", &line[..whose], &line[end..]).replace(SOME_HOLD, hold)
            }
            Some(_) | None => line.to_owned(),
        };
        self.decoder
            .decode(line.as_bytes(), &mut event)
            .map_err(|reject| TestCaseError::fail(format!("{}: {line}", reject.text)))?;
        self.intake.complete(&mut event);
        // A made-up network number, so that hosting networks occur without an ASN database.
        event.place.asn = event
            .ip
            .map(|_| [14_618, 64_500, 3_292][usize::from(event.id_fp.0 % 3 == 0)]);
        if let Some(at_ms) = self.intake.tick_before(event.at.ms) {
            self.tick(at_ms)?;
        }
        self.judge(&event, &line)
    }

    fn tick(&mut self, at_ms: i64) -> Verdict {
        let mut effects = Vec::new();
        self.engine.tick(at_ms, &mut effects);
        let mut told: Vec<(i64, String, String)> = Vec::new();
        for effect in &effects {
            if let Effect::Alert(alert) = effect
                && alert.status != AlertStatus::Closed
                && !alert.rules.is_empty()
            {
                told.push((alert.at_ms, alert.cardholder.clone(), alert.trigger.clone()));
                self.met
                    .rules
                    .extend(alert.rules.iter().map(|rule| rule.id.to_string()));
            }
        }
        told.sort();
        self.note_holds(&effects);
        prop_assert_eq!(
            told,
            self.model.tick(at_ms),
            "absences at the tick of {}",
            at_ms
        );
        Ok(())
    }

    fn note_holds(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Hold(hold) = effect {
                self.holds
                    .push((hold.id.to_string(), hold.cardholder.clone()));
            }
        }
    }

    /// Every slot, as seen in both phases.
    fn look(&mut self, event: &Event, line: &str) -> Verdict {
        for outcome in [false, true] {
            let theirs = self
                .engine
                .look(event, outcome, |view| all_of(view, &self.model));
            let mut sight = self.model.sight(event);
            sight.outcome = outcome;
            let ours = all_of(&mut sight, &self.model);
            for (slot, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                let name = &self.model.prepared.book.scheme.fields()[slot].name;
                if *ours != Value::Unknown && !self.met.slots.contains(name) {
                    self.met.slots.insert(name.clone());
                }
                prop_assert!(
                    agree(slot, ours, theirs),
                    "`{}` (outcome {}): the reference says {:?}, the engine {:?}, of {}",
                    name,
                    outcome,
                    ours,
                    theirs,
                    line
                );
            }
        }
        Ok(())
    }

    fn judge(&mut self, event: &Event, line: &str) -> Verdict {
        let duplicate = self.model.is_duplicate(event);
        let key = event.cardholder_fp.0;
        let before = self.engine.slab().find(key).cloned();
        let assessed = self.engine.assess(event);
        if duplicate {
            self.engine.apply(event, &mut self.outcome);
            prop_assert_eq!(self.outcome.applied, Applied::Duplicate, "{}", line);
            return Ok(());
        }
        let mut hits = self.model.bring_up(event);
        self.look(event, line)?;
        prop_assert_eq!(
            &before,
            &self.engine.slab().find(key).cloned(),
            "a look changed something"
        );
        let answer = self.model.apply(event);
        self.engine.apply(event, &mut self.outcome);
        let effects = std::mem::take(&mut self.outcome.effects);
        self.note_holds(&effects);
        prop_assert_eq!(answer.applied, self.outcome.applied, "{}", line);
        prop_assert_eq!(answer.late, self.outcome.late, "{}", line);
        hits.extend(answer.hits);
        hits.sort_unstable();
        let mut theirs = self.outcome.hits.clone();
        theirs.sort_unstable();
        self.met
            .rules
            .extend(hits.iter().map(|n| self.model.rules()[*n].id.clone()));
        let named = |hits: &[usize]| {
            hits.iter()
                .map(|n| self.model.rules()[*n].id.clone())
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(
            named(&hits),
            named(&theirs),
            "rules that hit: reference, engine; at {}",
            line
        );
        if let Some(decision) = &self.outcome.decision {
            prop_assert_eq!(
                decision,
                &assessed,
                "a risk query says otherwise of {}",
                line
            );
        }
        let cells = self
            .engine
            .slab()
            .find(key)
            .map_or(0, |record| record.counts().cells);
        prop_assert!(
            cells < 512,
            "the book of the test needs more counters than the bound"
        );
        Ok(())
    }
}
