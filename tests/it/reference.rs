//! The slow truth: what every name of the vocabulary, every aggregate and every rule must say of an
//! event, recomputed from a cardholder's whole history, against the engine on generated histories.
//!
//! It keeps every event as it was decoded and a few facts that were true when it came; it packs
//! nothing, counts nothing along the way and shares no code with `varsel::engine`. Where a bound
//! makes the engine forget, the same bound is stated here in its plainest form, with the file that
//! documents it. Correctness before speed: each event looks at all events before it.

mod challenges;
mod declared;
mod habits;
mod past;
mod person;
mod places;
mod rules;
mod sight;

use crate::generate::{Move, SOME_HOLD, Town};
use declared::Declared;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sight::{Remembered, Sight, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use varsel::decode::Decoder;
use varsel::domain::codes::{Message, ResponseGroup};
use varsel::domain::country::Country;
use varsel::domain::currency::Currency;
use varsel::domain::event::{Body, Event};
use varsel::domain::outcome::{AlertStatus, Effect};
use varsel::engine::book::Rule;
use varsel::engine::prepared::Prepared;
use varsel::engine::vocabulary::{BUILT_INS, Feature};
use varsel::engine::{Applied, Engine, Outcome};
use varsel::expr::{Facts, Slot, Type};
use varsel::geo::Geo;
use varsel::intake::Intake;
use varsel::rulebook;

/// Whole seconds of a time in milliseconds: the grain of ages and windows.
fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1_000)
}

/// Days since 1970.
fn day_of(ms: i64) -> i64 {
    ms.div_euclid(86_400_000)
}

/// What is bought, in base currency.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bought {
    amount: Option<i64>,
    currency: Option<Currency>,
    mcc: u16,
    mcc_group: u8,
    country: u8,
    merchant: u32,
}

/// An event that came, with what was true of it when it came.
struct Lived {
    event: Arc<Event>,
    /// The cardholder's clock, the event included.
    clock_ms: i64,
    response: ResponseGroup,
    purchase: Option<Bought>,
    /// The challenge that it belonged to, where one had been seen.
    challenge: Option<String>,
    /// The browser's network of that challenge, where it had been passed.
    passed_network: u32,
    country_accustomed: Option<bool>,
    network_accustomed: Option<bool>,
    /// What was approved where that was less, else what was asked for; of an undoing what it takes.
    settled: i64,
    /// The same as history keeps it: 32 bits.
    amount: i64,
    /// For each aggregate: whether it passes the filter, and the base.
    counts: Vec<(bool, bool)>,
    passes: rules::Passes,
    hits: Vec<usize>,
}

impl Lived {
    /// History keeps no undoings, no messages between AReq and RReq, and nothing that is not the
    /// cardholder's doing (`engine/absorb.rs`).
    fn is_kept(&self) -> bool {
        match &self.event.body {
            Body::Authorization(payment) => !payment.is_undoing(),
            Body::Threeds(step) => matches!(step.message, Message::AReq | Message::RReq),
            Body::Otp(_) | Body::Eid(_) | Body::Enrolment(_) | Body::Card(_) => true,
            Body::Disposition(_) | Body::Hold(_) => false,
        }
    }

    /// The merchant, by fingerprint; an eID step has none of its own.
    fn merchant(&self) -> u32 {
        match &self.event.body {
            Body::Eid(_) => 0,
            _ => self.purchase.map_or(0, |bought| bought.merchant),
        }
    }

    /// As a payment that teaches habits: approved, of some known amount.
    fn paid(&self) -> Option<habits::Paid> {
        let Body::Authorization(payment) = &self.event.body else {
            return None;
        };
        let teaches =
            !payment.is_undoing() && self.response == ResponseGroup::Approved && self.settled > 0;
        teaches.then(|| habits::Paid {
            amount: self.settled,
            at_s: seconds(self.event.at.ms),
            hour: self.event.at.hour(),
        })
    }
}

/// A cardholder: everything that ever happened.
#[derive(Default)]
struct Person {
    first_s: Option<i64>,
    clock_ms: i64,
    lives: Vec<Lived>,
    /// The absences that were facts when last looked at.
    fired: Vec<rules::Fired>,
}

/// What the reference says of an event.
struct Answer {
    applied: Applied,
    late: bool,
    hits: Vec<usize>,
}

/// All cardholders, and the book.
struct Model {
    prepared: Arc<Prepared>,
    declared: Vec<Declared>,
    lists: BTreeMap<String, Vec<(String, i64)>>,
    categories: Vec<Slot>,
    people: BTreeMap<u64, Person>,
    tick_ms: i64,
}

impl Model {
    fn new(dir: &Path, prepared: Arc<Prepared>) -> Self {
        let book = &prepared.book;
        let declared = Declared::read(dir, &book.scheme);
        let named: Vec<&str> = declared.iter().map(|d| d.name.as_str()).collect();
        let known: Vec<&str> = book.aggregates.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(named, known);
        let lists = book
            .lists
            .iter()
            .map(|l| (l.name.clone(), declared::list(dir, &l.name)))
            .collect();
        // The categorical facts of `engine/class.rs`, by name.
        let categories = "type message action channel security response mcc_group trans_status authenticator \
            purpose enrolment_channel challenge_method merchant_abroad ip_abroad";
        let categories = categories
            .split_whitespace()
            .map(|name| book.scheme.slot(name).unwrap())
            .collect();
        Self {
            declared,
            lists,
            categories,
            people: BTreeMap::new(),
            tick_ms: 0,
            prepared,
        }
    }

    fn rules(&self) -> &[Rule] {
        &self.prepared.book.rules
    }

    /// Minor units of the base currency; nothing without a rate.
    fn base(&self, minor: i64, currency: Option<Currency>) -> Option<i64> {
        self.prepared.book.rates.to_base_minor(minor, currency?)
    }

    fn bought(&self, event: &Event) -> Option<Bought> {
        let (merchant, minor, currency, mcc) = event.purchase()?;
        Some(Bought {
            amount: self.base(minor, currency),
            currency,
            mcc,
            mcc_group: self.prepared.book.mcc_groups.code(mcc),
            country: merchant.country.map_or(0, Country::index),
            merchant: merchant.id_fp,
        })
    }

    fn on_list(&self, list: &str, value: &str, at_ms: i64) -> Option<bool> {
        let list = self.lists.get(list)?;
        Some(
            list.iter()
                .any(|(entry, until)| entry == value && at_ms < *until),
        )
    }

    /// The cardholder's clock at an event, and whether the event is behind it.
    fn clock(&self, event: &Event) -> (i64, bool) {
        let known = self
            .people
            .get(&event.cardholder_fp.0)
            .map_or(0, |p| p.clock_ms)
            .max(self.tick_ms);
        (known.max(event.at.ms), event.at.ms < known)
    }

    /// The same id within 72 hours, to the second (`engine/seen.rs`).
    fn is_duplicate(&self, event: &Event) -> bool {
        let (clock_ms, _) = self.clock(event);
        self.people
            .get(&event.cardholder_fp.0)
            .is_some_and(|person| {
                clock_ms - person.clock_ms <= 72 * 3_600_000
                    && person.lives.iter().any(|lived| {
                        let age_s = seconds(clock_ms) - seconds(lived.clock_ms);
                        lived.event.id() == event.id() && age_s <= 72 * 3_600
                    })
            })
    }

    /// Brings a cardholder to an event: what was due becomes a fact; after 400 idle days all is
    /// forgotten. Returns the rules that hit by absence.
    fn bring_up(&mut self, event: &Event) -> Vec<usize> {
        let (clock_ms, _) = self.clock(event);
        let key = event.cardholder_fp.0;
        let Some(mut person) = self.people.remove(&key) else {
            self.people.insert(key, Person::default());
            return Vec::new();
        };
        let fired = rules::fired(self, &person, clock_ms);
        let is_new = |f: &&rules::Fired| !person.fired.contains(f);
        let new = fired.iter().filter(is_new).map(|f| f.rule).collect();
        person.fired = fired;
        if clock_ms - person.clock_ms > 400 * 86_400_000 {
            person = Person::default();
        }
        self.people.insert(key, person);
        new
    }

    /// What is seen of an event before it is absorbed; nothing of a duplicate.
    fn sight<'a>(&'a self, event: &'a Event) -> Sight<'a> {
        let (clock_ms, late) = self.clock(event);
        Sight::new(
            self,
            &self.people[&event.cardholder_fp.0],
            event,
            clock_ms,
            late,
        )
    }

    /// Applies an event to a cardholder already brought up to it.
    fn apply(&mut self, event: &Event) -> Answer {
        let (clock_ms, late) = self.clock(event);
        let lived = self.live(event, clock_ms);
        let hits = lived.hits.clone();
        let person = self.people.get_mut(&event.cardholder_fp.0).unwrap();
        person.first_s = person.first_s.or(Some(seconds(event.at.ms)));
        person.clock_ms = clock_ms;
        person.lives.push(lived);
        Answer {
            applied: Applied::Once,
            late,
            hits,
        }
    }

    fn live(&self, event: &Event, clock_ms: i64) -> Lived {
        let mut sight = self.sight(event);
        let passes = rules::passes(&mut sight);
        let hits = rules::hits(&mut sight, &passes);
        sight.outcome = true;
        let remembered: Vec<(Slot, Option<i64>)> = self
            .categories
            .iter()
            .map(|slot| (*slot, plain(sight.value(*slot))))
            .collect();
        let counts = self.declared.iter().map(|declared| {
            let passes = |program: &varsel::expr::Program| {
                program.eval(&mut Remembered(&remembered)) == Some(true)
            };
            (
                declared.filter.as_ref().is_none_or(passes),
                declared.base.as_ref().is_some_and(passes),
            )
        });
        let (settled, amount) = self.amounts(event, sight.purchase);
        Lived {
            clock_ms,
            response: sight.response().unwrap_or_default(),
            purchase: sight.purchase,
            challenge: sight.challenge.as_ref().map(|c| c.acs.clone()),
            passed_network: sight
                .challenge
                .as_ref()
                .filter(|c| c.passed())
                .map_or(0, |c| c.browser_network),
            country_accustomed: sight
                .country_accustomed(event.place.country.map_or(0, Country::index)),
            network_accustomed: sight.network_accustomed(),
            settled,
            amount,
            counts: counts.collect(),
            passes,
            hits,
            event: Arc::new(event.clone()),
        }
    }

    fn amounts(&self, event: &Event, purchase: Option<Bought>) -> (i64, i64) {
        let asked = purchase.and_then(|bought| bought.amount).unwrap_or(0);
        let settled = match &event.body {
            Body::Authorization(payment) if !payment.is_undoing() => payment
                .approved_minor
                .and_then(|minor| self.base(minor, payment.currency))
                .unwrap_or(asked),
            _ => asked,
        };
        (settled, settled.clamp(0, i64::from(u32::MAX)))
    }

    /// Moves event time; returns the absences that became facts: cardholder, trigger, deadline.
    fn tick(&mut self, at_ms: i64) -> Vec<(i64, String, String)> {
        self.tick_ms = self.tick_ms.max(at_ms);
        let mut told = Vec::new();
        let keys: Vec<u64> = self.people.keys().copied().collect();
        for key in keys {
            let person = &self.people[&key];
            let fired = rules::fired(self, person, at_ms);
            told.extend(fired.iter().filter(|f| !person.fired.contains(f)).map(|f| {
                let event = &person.lives[f.trigger].event;
                (
                    f.deadline_ms,
                    event.cardholder().to_owned(),
                    event.id().to_owned(),
                )
            }));
            self.people.get_mut(&key).unwrap().fired = fired;
        }
        told.sort();
        told
    }
}

fn plain(value: Value) -> Option<i64> {
    match value {
        Value::Bool(value) => Some(i64::from(value)),
        Value::Int(value) => Some(value),
        Value::Unknown | Value::Float(_) | Value::Text(_) => None,
    }
}

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
struct Court {
    engine: Engine,
    model: Model,
    intake: Intake,
    decoder: Decoder,
    outcome: Outcome,
    /// Holds told of so far, for the lines that speak of one.
    holds: Vec<(String, String)>,
    met: Met,
}

/// What the histories met, so that a comparison of nothing is no proof.
#[derive(Default)]
struct Met {
    rules: BTreeSet<String>,
    slots: BTreeSet<String>,
}

type Verdict = Result<(), TestCaseError>;

impl Court {
    fn new(dir: &Path, prepared: &Arc<Prepared>) -> Self {
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
    fn hear(&mut self, line: &str) -> Verdict {
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

fn books() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/books")
}

/// A history: moves of a few people.
fn history(longest: usize) -> impl Strategy<Value = Vec<Move>> {
    let step = (0..3_u8, any::<u8>(), any::<u8>(), any::<u64>());
    let step = step.prop_map(|(who, what, gap, dice)| Move {
        who,
        what,
        gap,
        dice,
    });
    proptest::collection::vec(step, longest / 10..longest)
}

fn lines(moves: &[Move]) -> Vec<String> {
    let mut town = Town::new("t", 1_520_000_000_000);
    moves.iter().for_each(|step| town.tell(*step));
    town.lines()
}

/// Compares, and returns the rules that never hit and the names that were never known.
fn compare(dir: &Path, seed: u8, cases: u32, longest: usize) -> (Vec<String>, Vec<String>) {
    let loaded = rulebook::load(dir).unwrap_or_else(|problems| panic!("{problems}"));
    let prepared = Arc::new(Prepared::new(loaded.book));
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 3_000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let met = RefCell::new(Met::default());
    let outcome = TestRunner::new_with_rng(config, rng).run(&history(longest), |moves| {
        let mut court = Court::new(dir, &prepared);
        for line in lines(&moves) {
            court.hear(&line)?;
        }
        met.borrow_mut().rules.append(&mut court.met.rules);
        met.borrow_mut().slots.append(&mut court.met.slots);
        Ok(())
    });
    if let Err(error) = outcome {
        match error {
            proptest::test_runner::TestError::Fail(reason, moves) => {
                panic!("{reason}\nhistory:\n{}", lines(&moves).join("\n"))
            }
            proptest::test_runner::TestError::Abort(reason) => panic!("{reason}"),
        }
    }
    let met = met.into_inner();
    let rules = prepared.book.rules.iter().map(|rule| rule.id.clone());
    let names = prepared
        .book
        .scheme
        .fields()
        .iter()
        .map(|field| field.name.clone());
    (
        rules.filter(|id| !met.rules.contains(id)).collect(),
        names.filter(|name| !met.slots.contains(name)).collect(),
    )
}

#[test]
fn every_feature_and_rule_of_a_book_of_everything_is_what_the_whole_history_says() {
    let (silent, unknown) = compare(&books().join("everything"), 1, 150, 120);
    assert!(
        silent.is_empty(),
        "the histories never met these rules: {silent:?}"
    );
    assert!(
        unknown.is_empty(),
        "the histories never knew these names: {unknown:?}"
    );
}

#[test]
fn every_feature_and_rule_of_the_starter_book_is_what_the_whole_history_says() {
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let (_, unknown) = compare(&starter, 2, 60, 120);
    assert!(
        unknown.is_empty(),
        "the histories never knew these names: {unknown:?}"
    );
}
