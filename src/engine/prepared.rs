//! A rule book made ready for the hot loop: candidate sets, and texts shared by reference.
//!
//! Derived once from a checked [`Book`] and read only after that; it holds no state of cardholders.

use crate::domain::outcome::{Reason, RuleRef};
use crate::engine::aggregates;
use crate::engine::book::{Book, Mode, Phase, Rule, Sequence};
use crate::engine::candidates::{Candidates, Claim, Stage};
use crate::expr::Program;
use std::sync::Arc;

/// A rule book and what is derived from it once.
#[derive(Debug)]
pub struct Prepared {
    /// The book.
    pub book: Book,
    /// Which rules and steps can come true for an event.
    pub candidates: Candidates,
    /// For each event type's code the bucketed aggregates that it can feed.
    pub fed: [Vec<aggregates::Fed>; 16],
    /// The rules as decisions name them.
    pub refs: Vec<RuleRef>,
    /// The names of the scheme's slots, as decisions give them.
    pub names: Vec<Arc<str>>,
    /// The rules' sentences.
    pub reasons: Vec<Reason>,
    /// The rules' patterns.
    pub patterns: Vec<Option<Arc<str>>>,
    /// For each event type's code the factors that some live rule looks at.
    pub looked_at: [u32; 16],
    /// The book's version.
    pub version: Arc<str>,
    /// The rate table's hash.
    pub rates: Arc<str>,
}

impl Prepared {
    /// Derives what the hot loop needs.
    pub fn new(book: Book) -> Self {
        let kind_of = |slot| book.scheme.field(slot).map(|f| (f.kind.clone(), f.cost_ns));
        let candidates = Candidates::new(&claims(&book.rules), &kind_of, &book.lists);
        let mut looked_at = [0_u32; 16];
        for rule in book.rules.iter().filter(|r| r.mode == Mode::Live) {
            for (code, factors) in looked_at.iter_mut().enumerate() {
                if rule.on >> code & 1 == 1 {
                    *factors |= factor_bits(rule);
                }
            }
        }
        Self {
            candidates,
            fed: aggregates::fed_by_type(&book.aggregates),
            names: names(&book),
            refs: book.rules.iter().map(rule_ref).collect(),
            reasons: book.rules.iter().map(reason).collect(),
            patterns: book
                .rules
                .iter()
                .map(|r| r.pattern.as_deref().map(Arc::from))
                .collect(),
            looked_at,
            version: Arc::from(book.version.as_str()),
            rates: Arc::from(book.rates.hash()),
            book,
        }
    }
}

impl Rule {
    /// True for a rule whose sequence ends in an absence: it hits by time, not by an event.
    pub fn waits(&self) -> bool {
        self.sequence
            .as_ref()
            .and_then(|s| s.steps.last())
            .is_some_and(|s| s.absent_ms.is_some())
    }

    /// The event types that can complete it.
    pub fn looks_at(&self) -> u16 {
        self.sequence
            .as_ref()
            .and_then(|s| s.steps.last())
            .map_or(self.on, |s| s.on & self.on)
    }
}

/// The rule's factors as bits.
pub fn factor_bits(rule: &Rule) -> u32 {
    rule.rts_factors
        .iter()
        .fold(0, |bits, factor| bits | 1 << factor)
}

/// Everything that may have to be evaluated for an event, in order of stage, rule and step.
fn claims(rules: &[Rule]) -> Vec<Claim<'_>> {
    let of_phase = |phase, stage| {
        let rules = rules.iter().enumerate();
        rules
            .filter(move |(_, rule)| rule.phase == phase && !rule.waits())
            .map(move |(number, rule)| Claim {
                stage,
                rule: number,
                step: 0,
                on: rule.looks_at(),
                when: rule.when.as_ref(),
                last: rule.sequence.as_ref().and_then(last_condition),
                unless: rule.unless.as_ref(),
            })
    };
    let steps = rules.iter().enumerate().flat_map(|(number, rule)| {
        let steps = rule
            .sequence
            .iter()
            .flat_map(|s| s.steps.iter().enumerate());
        steps.map(move |(place, step)| Claim {
            stage: Stage::Step,
            rule: number,
            step: place,
            on: step.on,
            when: Some(&step.when),
            last: None,
            unless: None,
        })
    });
    of_phase(Phase::Decide, Stage::Decide)
        .chain(of_phase(Phase::Absorb, Stage::Absorb))
        .chain(steps)
        .collect()
}

fn last_condition(sequence: &Sequence) -> Option<&Program> {
    sequence.steps.last().map(|step| &step.when)
}

fn names(book: &Book) -> Vec<Arc<str>> {
    let fields = book.scheme.fields().iter();
    fields.map(|field| Arc::from(field.name.as_str())).collect()
}

fn rule_ref(rule: &Rule) -> RuleRef {
    RuleRef {
        id: Arc::from(rule.id.as_str()),
        version: rule.version,
    }
}

fn reason(rule: &Rule) -> Reason {
    Reason {
        code: Arc::from(rule.id.as_str()),
        text: Arc::from(rule.why.as_str()),
    }
}
