//! Which rules and steps can come true for an event at all, before any is evaluated.
//!
//! Of each condition its outlook is taken when the book is made ready: what it can still come to
//! for a combination of the event's coded facts. What is certainly false is left out, and where
//! the coded half of a condition is certainly true only the rest is evaluated, so that an everyday
//! payment meets one or two rules of a hundred. A few cheap numbers and flags (amount, phone age,
//! card blocked) leave out more, asked only where they would. Nothing that could be unknown is
//! left out: the rule itself must say that it cannot tell.

use crate::engine::class::Class;
use crate::engine::features::View;
use crate::engine::vocabulary::Types;
use crate::expr::{Facts, Halves, Program, Slot, Told, Type};

mod tables;

/// What an entry is evaluated for; entries lie in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Rules of the decide phase.
    Decide,
    /// Rules of the absorb phase.
    Absorb,
    /// Steps of sequences.
    Step,
}

/// One thing to be evaluated: a rule, or a step of a rule's sequence.
#[derive(Debug)]
pub struct Claim<'a> {
    /// What for.
    pub stage: Stage,
    /// The rule's number.
    pub rule: usize,
    /// The step's place in the sequence; 0 for rules.
    pub step: usize,
    /// The event types it looks at.
    pub on: Types,
    /// The rule's or step's condition.
    pub when: Option<&'a Program>,
    /// For a rule with a sequence, the last step's condition.
    pub last: Option<&'a Program>,
    /// The exception.
    pub unless: Option<&'a Program>,
}

impl Claim<'_> {
    fn programs(&self) -> impl Iterator<Item = &Program> {
        [self.when, self.last, self.unless].into_iter().flatten()
    }

    /// Whether it can come true or be blamed. An exception speaks only where no unknown step could
    /// be blamed before it.
    fn can_pass(&self, given: &dyn Fn(Slot) -> Option<Told>) -> bool {
        let mut all = self.when.iter().chain(&self.last);
        let saved = self.last.is_none()
            && self
                .unless
                .is_some_and(|unless| unless.outlook(given).is_true());
        !saved && !all.any(|program| program.outlook(given).is_false())
    }
}

/// A claim made ready for one event type.
#[derive(Debug)]
pub struct Entry {
    /// The rule's number.
    pub rule: usize,
    /// The step's place in the sequence; 0 for rules.
    pub step: usize,
    /// The condition cut in what the table settles and the rest.
    pub when: Option<Halves>,
    /// The last step's condition, cut likewise.
    pub last: Option<Halves>,
}

/// For each event type what each combination of its coded facts leaves.
#[derive(Debug, Default)]
pub struct Candidates {
    by_type: Vec<OfType>,
}

#[derive(Debug, Default)]
struct OfType {
    entries: Vec<Entry>,
    /// For each stage the bits of its entries.
    stages: [Vec<u64>; 3],
    /// Words of a set.
    words: usize,
    tabled: Vec<Tabled>,
    /// For each combination the words of what can pass, then of what is settled.
    table: Vec<u64>,
    /// Asked before the decide phase, and those that wait for the outcome.
    asked: Vec<Asked>,
    outcomes: Vec<Asked>,
}

/// A coded fact read off the event's class. Codes that no condition tells apart share a row.
#[derive(Debug)]
struct Tabled {
    shift: u32,
    mask: u64,
    /// For each code what it adds to the place in the table.
    places: Vec<usize>,
}

/// A fact asked of the record or event where it would leave something out.
#[derive(Debug)]
struct Asked {
    slot: Slot,
    reading: Reading,
    /// What some code leaves out.
    touches: Vec<u64>,
    /// For each code the words of what can pass.
    sets: Vec<u64>,
}

/// How the value of a slot becomes a code; 0 stands for unknown.
#[derive(Debug, Clone)]
enum Reading {
    /// 1 for false, 2 for true.
    Bool,
    /// The symbol's own.
    Symbol,
    /// A number: 1 and as many more as it reaches of these.
    Bands(Vec<i64>),
}

impl Asked {
    fn code(&self, view: &mut View<'_>) -> usize {
        match &self.reading {
            Reading::Bool => view.boolean(self.slot).map_or(0, |v| 1 + usize::from(v)),
            Reading::Symbol => view
                .int(self.slot)
                .and_then(|code| usize::try_from(code).ok())
                .unwrap_or(0),
            Reading::Bands(cuts) => view
                .int(self.slot)
                .map_or(0, |v| 1 + cuts.iter().filter(|cut| v >= **cut).count()),
        }
    }
}

/// What is left for the event in hand; reused from event to event.
#[derive(Debug, Clone, Default)]
pub struct Left {
    can_pass: Vec<u64>,
    settled: Vec<u64>,
}

/// A walk over what is left of a stage.
#[derive(Debug)]
pub struct Walk {
    stage: usize,
    word: usize,
    bits: u64,
}

impl Candidates {
    /// Makes claims ready; they are given in order of stage, rule and step.
    pub fn new(claims: &[Claim<'_>], kind_of: &dyn Fn(Slot) -> Option<(Type, u32)>) -> Self {
        let of_type = |code| {
            let here: Vec<_> = claims.iter().filter(|c| c.on >> code & 1 == 1).collect();
            tables::of_type(&here, code, kind_of)
        };
        Self {
            by_type: (0..16).map(of_type).collect(),
        }
    }

    fn of_type(&self, view: &View<'_>) -> Option<&OfType> {
        self.by_type.get(usize::from(view.class.type_code()))
    }

    /// Leaves in the view's scratch what can pass for the event in hand, its outcome out of sight.
    pub fn find(&self, view: &mut View<'_>) {
        let mut left = std::mem::take(&mut view.scratch.left);
        left.can_pass.clear();
        left.settled.clear();
        if let Some(of_type) = self.of_type(view) {
            let row = of_type.row(view.class);
            let (can_pass, settled) = row.split_at(row.len() / 2);
            left.can_pass.extend_from_slice(can_pass);
            left.settled.extend_from_slice(settled);
            narrow(&of_type.asked, &mut left, view);
        }
        view.scratch.left = left;
    }

    /// Leaves out what the outcome rules out.
    pub fn narrow(&self, view: &mut View<'_>) {
        if let Some(of_type) = self.of_type(view)
            && !of_type.outcomes.is_empty()
        {
            let mut left = std::mem::take(&mut view.scratch.left);
            narrow(&of_type.outcomes, &mut left, view);
            view.scratch.left = left;
        }
    }

    /// The next of what is left of a stage, in order of rule and step; and whether the settled
    /// half of its conditions is true.
    pub fn next(&self, walk: &mut Walk, view: &View<'_>) -> Option<(&Entry, bool)> {
        let of_type = self.of_type(view)?;
        let left = &view.scratch.left;
        while walk.bits == 0 {
            let stage = of_type.stages.get(walk.stage)?.get(walk.word)?;
            walk.bits = left.can_pass.get(walk.word)? & stage;
            walk.word += 1;
        }
        let bit = walk.bits.trailing_zeros();
        walk.bits &= walk.bits - 1;
        let word = walk.word - 1;
        let settled = left
            .settled
            .get(word)
            .is_some_and(|set| set >> bit & 1 == 1);
        let at = word * 64 + usize::try_from(bit).unwrap_or(0);
        Some((of_type.entries.get(at)?, settled))
    }

    /// How many are left of a stage.
    pub fn count(&self, stage: Stage, view: &View<'_>) -> usize {
        let mut walk = Walk::of(stage);
        std::iter::from_fn(|| self.next(&mut walk, view)).count()
    }
}

impl Walk {
    /// From the beginning of a stage.
    pub const fn of(stage: Stage) -> Self {
        Self {
            stage: stage as usize,
            word: 0,
            bits: 0,
        }
    }
}

/// Takes out of `left` what the facts leave out; each is asked only where it can.
fn narrow(asked: &[Asked], left: &mut Left, view: &mut View<'_>) {
    for fact in asked {
        let touched = |(can, touches): (&u64, &u64)| can & touches != 0;
        if !left.can_pass.iter().zip(&fact.touches).any(touched) {
            continue;
        }
        // A code that nobody tabled leaves everything.
        let start = fact.code(view) * fact.touches.len();
        let sets = fact.sets.get(start..).unwrap_or(&[]);
        for (can_pass, set) in left.can_pass.iter_mut().zip(sets) {
            *can_pass &= set;
        }
    }
}

impl OfType {
    /// What the table holds for an event's class: what can pass, then what is settled.
    fn row(&self, class: Class) -> &[u64] {
        let at: usize = self
            .tabled
            .iter()
            .map(|fact| {
                let code = usize::try_from(class.0 >> fact.shift & fact.mask).unwrap_or(0);
                fact.places.get(code).copied().unwrap_or(0)
            })
            .sum();
        self.table.get(at..at + 2 * self.words).unwrap_or(&[])
    }
}
