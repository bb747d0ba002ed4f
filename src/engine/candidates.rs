//! Which rules and steps can come true for an event at all, before any is evaluated.
//!
//! Of each condition its outlook is taken when the book is made ready: what it can still come to
//! for a combination of the event's coded facts. What is certainly false is left out, and where
//! the coded half of a condition is certainly true only the rest is evaluated, so that an everyday
//! payment meets one or two rules of a hundred. A few cheap numbers and flags (amount, phone age,
//! card blocked) leave out more, asked only where they would. Nothing that could be unknown is
//! left out: the rule itself must say that it cannot tell.

use crate::engine::book::List;
use crate::engine::class::{Class, ClassField};
use crate::engine::features::View;
use crate::engine::vocabulary::{Feature, Types};
use crate::expr::{Facts, Glance, Halves, Program, Slot, Type};

mod tables;

/// From which bit on a row names facts that wait for the outcome.
const OUTCOMES: u32 = 32;

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
    fn can_pass(&self, glance: Glance<'_>) -> bool {
        let mut all = self.when.iter().chain(&self.last);
        let saved = self.last.is_none()
            && self
                .unless
                .is_some_and(|unless| unless.outlook(glance).is_true());
        !saved && !all.any(|program| program.outlook(glance).is_false())
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
    /// The bits of a class that some table tells apart.
    telling: u64,
}

#[derive(Debug, Default)]
struct OfType {
    entries: Vec<Entry>,
    /// The bits of each stage's entries.
    decide: Vec<u64>,
    absorb: Vec<u64>,
    step: Vec<u64>,
    /// Words of a set.
    words: usize,
    tabled: Vec<Tabled>,
    /// For each combination the words of what can pass, then of what is settled, then one of which
    /// facts can leave something of it out: a bit each of `asked`, and from [`OUTCOMES`] on of
    /// `outcomes`.
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
    /// 1 where the card or merchant is known and has none of these short fingerprints, sorted;
    /// else 0.
    Misses(Vec<u32>),
    /// The symbol's own.
    Symbol,
    /// A number: 1 and as many more as it reaches of these, ascending.
    Bands(Vec<i64>),
}

impl Asked {
    fn code(&self, view: &mut View<'_>) -> usize {
        match &self.reading {
            Reading::Bool => view.boolean(self.slot).map_or(0, |v| 1 + usize::from(v)),
            Reading::Misses(shorts) => {
                let key = if self.slot == Feature::Card as Slot {
                    (view.event.card_fp.0 != 0).then(|| view.event.card_fp.short())
                } else {
                    let merchant = view.event.purchase().map(|(merchant, ..)| merchant);
                    merchant.filter(|m| !m.id.is_empty()).map(|m| m.id_fp)
                };
                usize::from(key.is_some_and(|key| shorts.binary_search(&key).is_err()))
            }
            Reading::Symbol => view
                .int(self.slot)
                .and_then(|code| usize::try_from(code).ok())
                .unwrap_or(0),
            Reading::Bands(cuts) => view
                .int(self.slot)
                .map_or(0, |v| 1 + cuts.partition_point(|cut| v >= *cut)),
        }
    }
}

/// What is left for the event in hand; reused from event to event.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// Where the row of the event's combination begins.
    row: usize,
    /// What can pass. The first word stands apart, since most books need no other.
    first: u64,
    more: Vec<u64>,
    /// Rows found before, each where the bits of the class lead: most events are of a few hundred
    /// classes. Empty where they are not worth keeping.
    rows: Vec<(u64, usize)>,
}

/// How many rows are remembered: four kilobytes.
const ROWS: usize = 256;
/// Spreads the bits of a class over the places of rows (Knuth's multiplicative hashing).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl Left {
    /// Room to remember rows in.
    pub fn remembering() -> Self {
        Self {
            rows: vec![(u64::MAX, 0); ROWS],
            ..Self::default()
        }
    }

    /// Where the row of a class begins.
    #[inline]
    fn row_of(&mut self, of_type: &OfType, class: Class, telling: u64) -> usize {
        let bits = class.0 & telling;
        let at = usize::try_from(bits.wrapping_mul(SPREAD) >> 56).unwrap_or(0);
        match self.rows.get_mut(at) {
            Some((known, row)) if *known == bits => *row,
            Some(place) => {
                let row = of_type.row(class);
                *place = (bits, row);
                row
            }
            None => of_type.row(class),
        }
    }

    fn word(&self, word: usize) -> u64 {
        match word.checked_sub(1) {
            None => self.first,
            Some(at) => self.more.get(at).copied().unwrap_or(0),
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.first == 0 && self.more.iter().all(|word| *word == 0)
    }

    fn meets(&self, set: &[u64]) -> bool {
        let Some((first, more)) = set.split_first() else {
            return false;
        };
        self.first & first != 0
            || (!more.is_empty() && self.more.iter().zip(more).any(|(a, b)| a & b != 0))
    }

    fn keep(&mut self, set: &[u64]) {
        let Some((first, more)) = set.split_first() else {
            return;
        };
        self.first &= first;
        if more.is_empty() {
            return;
        }
        for (word, set) in self.more.iter_mut().zip(more) {
            *word &= set;
        }
    }
}

/// A walk over what is left of a stage.
#[derive(Debug)]
pub struct Walk<'a> {
    of_type: Option<&'a OfType>,
    stage: Stage,
    word: usize,
    bits: u64,
}

impl Candidates {
    /// Makes claims ready; they are given in order of stage, rule and step.
    pub fn new(
        claims: &[Claim<'_>],
        kind_of: &dyn Fn(Slot) -> Option<(Type, u32)>,
        lists: &[List],
    ) -> Self {
        let of_type = |code| {
            let here: Vec<_> = claims.iter().filter(|c| c.on >> code & 1 == 1).collect();
            tables::of_type(&here, code, kind_of, lists)
        };
        let by_type: Vec<OfType> = (0..16).map(of_type).collect();
        let tabled = by_type.iter().flat_map(|of_type| &of_type.tabled);
        let (shift, mask) = ClassField::Type.place();
        Self {
            telling: tabled.fold(mask << shift, |bits, fact| bits | fact.mask << fact.shift),
            by_type,
        }
    }

    fn of_type(&self, view: &View<'_>) -> Option<&OfType> {
        self.by_type.get(usize::from(view.class.type_code()))
    }

    /// Leaves in the view's scratch what can pass for the event in hand, its outcome out of sight.
    pub fn find(&self, view: &mut View<'_>) {
        let left = &mut view.scratch.left;
        left.first = 0;
        left.more.clear();
        let Some(of_type) = self.by_type.get(usize::from(view.class.type_code())) else {
            return;
        };
        left.row = left.row_of(of_type, view.class, self.telling);
        let row = of_type.table.get(left.row..left.row + of_type.words);
        if let Some((first, more)) = row.and_then(<[u64]>::split_first) {
            left.first = *first;
            if !more.is_empty() {
                left.more.extend_from_slice(more);
            }
        }
        let facts = of_type.facts(left.row) & ((1 << OUTCOMES) - 1);
        narrow(&of_type.asked, facts, view);
    }

    /// Leaves out what the outcome rules out.
    pub fn narrow(&self, view: &mut View<'_>) {
        if let Some(of_type) = self.of_type(view) {
            let facts = of_type.facts(view.scratch.left.row) >> OUTCOMES;
            narrow(&of_type.outcomes, facts, view);
        }
    }

    /// Whether anything is left of a stage.
    #[inline]
    pub fn has(&self, stage: Stage, view: &View<'_>) -> bool {
        let left = &view.scratch.left;
        !left.is_empty()
            && self
                .of_type(view)
                .is_some_and(|all| left.meets(all.of(stage)))
    }

    /// A walk from the beginning of a stage.
    pub fn walk(&self, stage: Stage, view: &View<'_>) -> Walk<'_> {
        let mut walk = Walk {
            of_type: self.of_type(view).filter(|_| !view.scratch.left.is_empty()),
            stage,
            word: 0,
            bits: 0,
        };
        walk.bits = walk.open(&view.scratch.left).unwrap_or(0);
        walk
    }

    /// How many are left of a stage.
    pub fn count(&self, stage: Stage, view: &View<'_>) -> usize {
        let mut walk = self.walk(stage, view);
        std::iter::from_fn(|| walk.next(&view.scratch.left)).count()
    }
}

impl<'a> Walk<'a> {
    /// The bits of the word in hand.
    fn open(&self, left: &Left) -> Option<u64> {
        let stage = self.of_type?.of(self.stage);
        Some(left.word(self.word) & stage.get(self.word)?)
    }

    /// The next of what is left, in order of rule and step; and whether the settled half of its
    /// conditions is true.
    #[inline]
    pub fn next(&mut self, left: &Left) -> Option<(&'a Entry, bool)> {
        while self.bits == 0 {
            if self.word + 1 >= self.of_type?.words {
                return None;
            }
            self.word += 1;
            self.bits = self.open(left)?;
        }
        let of_type = self.of_type?;
        let bit = self.bits.trailing_zeros();
        self.bits &= self.bits - 1;
        let settled = of_type.table.get(left.row + of_type.words + self.word)?;
        let at = self.word * 64 + usize::try_from(bit).unwrap_or(0);
        Some((of_type.entries.get(at)?, settled >> bit & 1 == 1))
    }
}

/// Takes out what these facts leave out (bit n: the fact at n); each is asked only where it still
/// can.
fn narrow(asked: &[Asked], mut facts: u64, view: &mut View<'_>) {
    while facts != 0 && !view.scratch.left.is_empty() {
        let at = usize::try_from(facts.trailing_zeros()).unwrap_or(0);
        facts &= facts - 1;
        let Some(fact) = asked.get(at) else {
            return;
        };
        if !view.scratch.left.meets(&fact.touches) {
            continue;
        }
        let start = fact.code(view) * fact.touches.len();
        // A code that nobody tabled leaves everything.
        if let Some(set) = fact.sets.get(start..start + fact.touches.len()) {
            view.scratch.left.keep(set);
        }
    }
}

impl OfType {
    /// The bits of a stage's entries.
    #[inline]
    fn of(&self, stage: Stage) -> &[u64] {
        match stage {
            Stage::Decide => &self.decide,
            Stage::Absorb => &self.absorb,
            Stage::Step => &self.step,
        }
    }

    /// Which facts can leave something of a row out.
    fn facts(&self, row: usize) -> u64 {
        let place = row + 2 * self.words;
        self.table.get(place).copied().unwrap_or(0)
    }

    /// Where in the table the row of an event's class begins.
    #[inline(never)]
    fn row(&self, class: Class) -> usize {
        self.tabled
            .iter()
            .map(|fact| {
                let code = usize::try_from(class.0 >> fact.shift & fact.mask).unwrap_or(0);
                fact.places.get(code).copied().unwrap_or(0)
            })
            .sum()
    }
}
