//! A rule book made ready for the hot loop: candidate sets, and texts shared by reference.
//!
//! Derived once from a checked [`Book`] and read only after that; it holds no state of cardholders.

use crate::domain::outcome::{Reason, RuleRef};
use crate::engine::book::{Book, Mode, Phase, Rule};
use crate::engine::candidates::{Candidates, Entry};
use std::sync::Arc;

/// A rule book and what is derived from it once.
#[derive(Debug)]
pub struct Prepared {
    /// The book.
    pub book: Book,
    /// Rules of the decide phase.
    pub decide: Candidates,
    /// Rules of the absorb phase.
    pub absorb: Candidates,
    /// Steps of sequences, numbered as in `step_of`.
    pub steps: Candidates,
    /// For each step's number its rule and its place in the sequence.
    pub step_of: Vec<(usize, usize)>,
    /// The rules as decisions name them.
    pub refs: Vec<RuleRef>,
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
        let of_phase = |phase| {
            let entries: Vec<Entry<'_>> = book
                .rules
                .iter()
                .enumerate()
                .filter(|(_, rule)| rule.phase == phase && !rule.waits())
                .map(|(number, rule)| Entry {
                    number,
                    on: rule.looks_at(),
                    all: conditions(rule),
                })
                .collect();
            Candidates::new(&entries, kind_of)
        };
        let step_of: Vec<(usize, usize)> = book
            .rules
            .iter()
            .enumerate()
            .flat_map(|(rule, r)| {
                let steps = r.sequence.as_ref().map_or(0, |s| s.steps.len());
                (0..steps).map(move |step| (rule, step))
            })
            .collect();
        let step_entries: Vec<Entry<'_>> = step_of
            .iter()
            .enumerate()
            .filter_map(|(number, (rule, step))| {
                let step = book.rules.get(*rule)?.sequence.as_ref()?.steps.get(*step)?;
                Some(Entry {
                    number,
                    on: step.on,
                    all: vec![&step.when],
                })
            })
            .collect();
        let mut looked_at = [0_u32; 16];
        for rule in book.rules.iter().filter(|r| r.mode == Mode::Live) {
            for (code, factors) in looked_at.iter_mut().enumerate() {
                if rule.on >> code & 1 == 1 {
                    *factors |= factor_bits(rule);
                }
            }
        }
        Self {
            decide: of_phase(Phase::Decide),
            absorb: of_phase(Phase::Absorb),
            steps: Candidates::new(&step_entries, kind_of),
            step_of,
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

fn conditions(rule: &Rule) -> Vec<&crate::expr::Program> {
    let last = rule
        .sequence
        .as_ref()
        .and_then(|s| s.steps.last())
        .map(|s| &s.when);
    rule.when.iter().chain(last).collect()
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
