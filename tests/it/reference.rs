//! The slow truth: what every name of the vocabulary, every aggregate and every rule must say of an
//! event, recomputed from a cardholder's whole history, against the engine on generated histories.
//!
//! It keeps every event as it was decoded and a few facts that were true when it came; it packs
//! nothing, counts nothing along the way and shares no code with `varsel::engine`. Where a bound
//! makes the engine forget, the same bound is stated here in its plainest form, with the file that
//! documents it. Correctness before speed: each event looks at all events before it.

mod challenges;
mod court;
mod declared;
mod habits;
mod past;
mod person;
mod places;
mod rules;
mod sight;

use crate::generate::{Move, Town};
use court::{Court, Met};
use declared::Declared;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sight::{Remembered, Sight, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use varsel::domain::codes::{Message, ResponseGroup};
use varsel::domain::country::Country;
use varsel::domain::currency::Currency;
use varsel::domain::event::{Body, Event};
use varsel::engine::Applied;
use varsel::engine::book::Rule;
use varsel::engine::prepared::Prepared;
use varsel::expr::Slot;
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
        let is_eid = matches!(self.event.body, Body::Eid(_));
        let bought = self.purchase.filter(|_| !is_eid);
        bought.map_or(0, |bought| bought.merchant)
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
        let mut settled = asked;
        if let Body::Authorization(payment) = &event.body
            && let Some(part) = payment.approved_minor
            && !payment.is_undoing()
        {
            settled = self.base(part, payment.currency).unwrap_or(asked);
        }
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

type Verdict = Result<(), TestCaseError>;

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
    let (silent, unknown) = compare(&books().join("everything"), 1, 300, 160);
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
    let (_, unknown) = compare(&starter, 2, 120, 160);
    assert!(
        unknown.is_empty(),
        "the histories never knew these names: {unknown:?}"
    );
}
