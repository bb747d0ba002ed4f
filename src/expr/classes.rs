//! What an expression says of classes alone: masks over the codes of Symbol and Bool slots.
//!
//! Every test of one slot is found by trying all its values, so that it cannot disagree with evaluation.

use super::MAX_CLASS_SETS;
use super::scheme::{Facts, Field, Slot, Type, kind_in};
use super::syntax::Compare;
use super::tree::{Met, Truth, Whole};

/// Most conjunctions kept on the way: they may shrink again, but their product must stay cheap.
const MAX_INTERIM_SETS: usize = 256;

type Fields = [(Slot, Field)];
/// Tests of different slots, sorted by slot, that must all hold.
type Conjunction = Vec<(Slot, u64)>;

/// See [`super::Program::guards`].
pub fn guards(root: &Truth, fields: &Fields) -> Vec<(Slot, u64)> {
    let conjuncts = if let Truth::And(parts) = root {
        &**parts
    } else {
        std::slice::from_ref(root)
    };
    let mut guards: Conjunction = Vec::new();
    for conjunct in conjuncts {
        if let Some((slot, answers)) = single(conjunct, fields) {
            narrow(&mut guards, slot, !answers.no | 1, answers.all | 1);
        }
    }
    guards
}

/// See [`super::Program::class_sets`].
pub fn class_sets(root: &Truth, fields: &Fields) -> Option<Vec<Conjunction>> {
    let sets = sets(root, fields).yes?;
    (sets.len() <= MAX_CLASS_SETS).then_some(sets)
}

/// A test's answer for each code of its one slot, as masks; bit 0 for an unknown value.
struct Answers {
    all: u64,
    yes: u64,
    no: u64,
}

/// One slot with one value.
pub struct Only {
    pub slot: Slot,
    pub code: u32,
}

impl Facts for Only {
    fn boolean(&mut self, slot: Slot) -> Option<bool> {
        (slot == self.slot && self.code != 0).then_some(self.code == 2)
    }
    fn int(&mut self, slot: Slot) -> Option<i64> {
        (slot == self.slot && self.code != 0).then_some(i64::from(self.code))
    }
    fn float(&mut self, _: Slot) -> Option<f64> {
        None
    }
    fn text(&self, _: Slot) -> Option<&str> {
        None
    }
    fn listed(&mut self, _: u16, _: Slot) -> Option<bool> {
        None
    }
}

/// How many codes a slot has, without the unknown one; `None` where it is no class.
fn codes(fields: &Fields, slot: Slot) -> Option<u32> {
    match kind_in(fields, slot)? {
        Type::Bool => Some(2),
        Type::Symbol(symbols) => u32::try_from(symbols.words.len()).ok(),
        Type::Int(_) | Type::Float(_) | Type::Duration | Type::Text | Type::Code(_) => None,
    }
}

/// The one class that a condition tests, if it reads nothing else.
fn single(truth: &Truth, fields: &Fields) -> Option<(Slot, Answers)> {
    let mut listed = false;
    truth.walk(&mut |met| listed |= matches!(met, Met::List(_)));
    let slots = truth.slots();
    let [slot] = slots.as_slice() else {
        return None;
    };
    let count = codes(fields, *slot)?;
    if listed {
        return None;
    }
    let mut answers = Answers {
        all: 0,
        yes: 0,
        no: 0,
    };
    for code in 0..=count {
        let bit = 1_u64 << code;
        answers.all |= bit;
        match truth.eval(&mut Only { slot: *slot, code }) {
            Some(true) => answers.yes |= bit,
            Some(false) => answers.no |= bit,
            None => {}
        }
    }
    Some((*slot, answers))
}

/// Adds a test to a conjunction; `all` are the codes that a slot has.
fn narrow(conjunction: &mut Conjunction, slot: Slot, mask: u64, all: u64) {
    match conjunction.binary_search_by_key(&slot, |(known, _)| *known) {
        Ok(at) => conjunction[at].1 &= mask,
        Err(at) => conjunction.insert(at, (slot, mask & all)),
    }
}

/// Where a condition is definitely true and where definitely false, each as a disjunction of conjunctions, or `None` where
/// classes cannot say; both at once, since each half of one condition may need both of another.
#[derive(Clone)]
struct Sets {
    yes: Option<Vec<Conjunction>>,
    no: Option<Vec<Conjunction>>,
}

impl Sets {
    const UNSAID: Self = Self {
        yes: None,
        no: None,
    };

    fn negated(self) -> Self {
        Self {
            yes: self.no,
            no: self.yes,
        }
    }

    fn both(self, other: Self) -> Self {
        Self {
            yes: product(self.yes, other.yes),
            no: union(self.no, other.no),
        }
    }

    fn choice(condition: Self, yes: Self, no: Self) -> Self {
        Self {
            yes: union(
                product(condition.yes.clone(), yes.yes),
                product(condition.no.clone(), no.yes),
            ),
            no: union(product(condition.yes, yes.no), product(condition.no, no.no)),
        }
    }

    fn either(self, other: Self) -> Self {
        self.negated().both(other.negated()).negated()
    }
}

fn sets(truth: &Truth, fields: &Fields) -> Sets {
    if let Some((slot, answers)) = single(truth, fields) {
        let said = |mask: u64| match mask {
            0 => Some(Vec::new()),
            _ => (mask & 1 == 0).then(|| vec![vec![(slot, mask)]]),
        };
        return Sets {
            yes: said(answers.yes),
            no: said(answers.no),
        };
    }
    let (always, never) = (Some(vec![Vec::new()]), Some(Vec::new()));
    match truth {
        Truth::Const(Some(true)) => Sets {
            yes: always,
            no: never,
        },
        Truth::Const(Some(false)) => Sets {
            yes: never,
            no: always,
        },
        Truth::Const(None) => Sets {
            yes: never.clone(),
            no: never,
        },
        Truth::Not(inner) => sets(inner, fields).negated(),
        Truth::And(parts) => {
            let start = Sets {
                yes: always,
                no: never,
            };
            parts
                .iter()
                .fold(start, |so_far, part| so_far.both(sets(part, fields)))
        }
        Truth::Or(parts) => {
            let start = Sets {
                yes: never,
                no: always,
            };
            parts
                .iter()
                .fold(start, |so_far, part| so_far.either(sets(part, fields)))
        }
        Truth::If(three) => {
            let [condition, yes, no] = &**three;
            Sets::choice(sets(condition, fields), sets(yes, fields), sets(no, fields))
        }
        Truth::Same { equal, sides } => {
            let [left, right] = &**sides;
            let right = sets(right, fields);
            let same = Sets::choice(sets(left, fields), right.clone(), right.negated());
            if *equal { same } else { same.negated() }
        }
        Truth::IntCompare(Compare::Eq, sides) => pairs(sides, fields),
        Truth::IntCompare(Compare::Ne, sides) => pairs(sides, fields).negated(),
        Truth::Slot(_)
        | Truth::Class { .. }
        | Truth::Has(..)
        | Truth::Listed { .. }
        | Truth::IntSlot { .. }
        | Truth::FloatSlot { .. }
        | Truth::IntCompare(..)
        | Truth::FloatCompare(..)
        | Truth::TextSame { .. }
        | Truth::IntIn(_)
        | Truth::FloatIn(_)
        | Truth::TextIn(_)
        | Truth::Affix(..) => Sets::UNSAID,
    }
}

/// Two symbols of one set that are the same, code by code.
fn pairs(sides: &[Whole; 2], fields: &Fields) -> Sets {
    let [Whole::Slot(left), Whole::Slot(right)] = sides else {
        return Sets::UNSAID;
    };
    let Some(count) = codes(fields, *left) else {
        return Sets::UNSAID;
    };
    let all = (1..=count).fold(0_u64, |mask, code| mask | (1 << code));
    let each = |theirs: fn(u64, u64) -> u64| {
        let sets = (1..=count).map(|code| {
            let mine = 1_u64 << code;
            let mut conjunction = vec![(*left, mine), (*right, theirs(mine, all))];
            conjunction.sort_unstable();
            conjunction
        });
        Some(
            sets.filter(|set| set.iter().all(|(_, mask)| *mask != 0))
                .collect(),
        )
    };
    Sets {
        yes: each(|mine, _| mine),
        no: each(|mine, all| all & !mine),
    }
}

/// Both hold; where one never does, nothing needs to be known of the other.
fn product(
    left: Option<Vec<Conjunction>>,
    right: Option<Vec<Conjunction>>,
) -> Option<Vec<Conjunction>> {
    if [&left, &right]
        .into_iter()
        .any(|sets| sets.as_ref().is_some_and(Vec::is_empty))
    {
        return Some(Vec::new());
    }
    let (left, right) = (left?, right?);
    if left.len() * right.len() > MAX_INTERIM_SETS {
        return None;
    }
    let mut sets = Vec::new();
    for one in &left {
        for other in &right {
            let mut both = one.clone();
            other
                .iter()
                .for_each(|(slot, mask)| narrow(&mut both, *slot, *mask, u64::MAX));
            if both.iter().all(|(_, mask)| *mask != 0) {
                sets.push(both);
            }
        }
    }
    Some(simplified(sets))
}

/// One of them holds.
fn union(
    left: Option<Vec<Conjunction>>,
    right: Option<Vec<Conjunction>>,
) -> Option<Vec<Conjunction>> {
    let mut sets = left?;
    sets.extend(right?);
    (sets.len() <= MAX_INTERIM_SETS).then(|| simplified(sets))
}

/// Drops what another conjunction covers, and merges two that differ in one test.
fn simplified(sets: Vec<Conjunction>) -> Vec<Conjunction> {
    let mut kept: Vec<Conjunction> = Vec::new();
    for mut set in sets {
        // Each merge takes one away from `kept`, so this ends.
        while let Some(at) = kept.iter().position(|known| merged(known, &set).is_some()) {
            let known = kept.swap_remove(at);
            set = merged(&known, &set).unwrap_or(set);
        }
        kept.push(set);
    }
    kept.sort_unstable();
    kept
}

/// One conjunction for two, where there is one that means the same.
fn merged(left: &Conjunction, right: &Conjunction) -> Option<Conjunction> {
    if covers(left, right) {
        return Some(left.clone());
    }
    if covers(right, left) {
        return Some(right.clone());
    }
    if left.len() != right.len() || !left.iter().zip(right).all(|(a, b)| a.0 == b.0) {
        return None;
    }
    let mut differing = (0..left.len()).filter(|at| left[*at].1 != right[*at].1);
    let at = differing.next()?;
    if differing.next().is_some() {
        return None;
    }
    let mut joint = left.clone();
    joint[at].1 |= right[at].1;
    Some(joint)
}

/// Whether everything that passes `narrow` passes `wide`.
fn covers(wide: &Conjunction, narrow: &Conjunction) -> bool {
    wide.iter().all(|(slot, mask)| {
        narrow
            .iter()
            .any(|(other, inner)| other == slot && inner & !mask == 0)
    })
}
