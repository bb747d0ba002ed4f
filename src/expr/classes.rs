//! What an expression says of classes alone: masks over the codes of Symbol and Bool slots.
//!
//! Every test of one slot is found by trying all its values, so that it cannot disagree with evaluation.

use super::MAX_CLASS_SETS;
use super::scheme::{Facts, Field, Slot, Type, kind_in};
use super::tree::{Met, Truth};

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
    let sets = sets(root, true, fields)?;
    (sets.len() <= MAX_CLASS_SETS).then_some(sets)
}

/// A test's answer for each code of its one slot, as masks; bit 0 for an unknown value.
struct Answers {
    all: u64,
    yes: u64,
    no: u64,
}

/// One slot with one value.
struct Only {
    slot: Slot,
    code: u32,
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

/// Where the condition is definitely true (`wanted`) or definitely false, as a disjunction of conjunctions.
fn sets(truth: &Truth, wanted: bool, fields: &Fields) -> Option<Vec<Conjunction>> {
    if let Some((slot, answers)) = single(truth, fields) {
        let mask = if wanted { answers.yes } else { answers.no };
        if mask & 1 == 1 {
            return None;
        }
        return Some(if mask == 0 {
            Vec::new()
        } else {
            vec![vec![(slot, mask)]]
        });
    }
    match truth {
        Truth::Const(value) => Some(if *value == Some(wanted) {
            vec![Vec::new()]
        } else {
            Vec::new()
        }),
        Truth::Not(inner) => sets(inner, !wanted, fields),
        Truth::And(parts) | Truth::Or(parts) => {
            let together = matches!(truth, Truth::And(_)) == wanted;
            let start = if together {
                vec![Vec::new()]
            } else {
                Vec::new()
            };
            parts.iter().try_fold(start, |so_far, part| {
                let more = sets(part, wanted, fields)?;
                if together {
                    product(&so_far, &more)
                } else {
                    union(so_far, more)
                }
            })
        }
        Truth::If(three) => {
            let [condition, yes, no] = &**three;
            let yes = product(&sets(condition, true, fields)?, &sets(yes, wanted, fields)?)?;
            let no = product(&sets(condition, false, fields)?, &sets(no, wanted, fields)?)?;
            union(yes, no)
        }
        Truth::Same { equal, sides } => {
            let [left, right] = &**sides;
            let both =
                |a: bool, b: bool| product(&sets(left, a, fields)?, &sets(right, b, fields)?);
            let alike = *equal == wanted;
            union(both(true, alike)?, both(false, !alike)?)
        }
        Truth::IntCompare(compare, sides) => pairs(*compare, sides, wanted, fields),
        Truth::Slot(_)
        | Truth::Class { .. }
        | Truth::Has(..)
        | Truth::Listed { .. }
        | Truth::IntSlot { .. }
        | Truth::FloatSlot { .. }
        | Truth::FloatCompare(..)
        | Truth::TextSame { .. }
        | Truth::IntIn(_)
        | Truth::FloatIn(_)
        | Truth::TextIn(_)
        | Truth::Affix(..) => None,
    }
}

/// Two symbols compared with each other, code by code.
fn pairs(
    compare: super::syntax::Compare,
    sides: &[super::tree::Whole; 2],
    wanted: bool,
    fields: &Fields,
) -> Option<Vec<Conjunction>> {
    use super::syntax::Compare;
    use super::tree::Whole;
    let [Whole::Slot(left), Whole::Slot(right)] = sides else {
        return None;
    };
    let (count, other) = (codes(fields, *left)?, codes(fields, *right)?);
    let equal = match compare {
        Compare::Eq => wanted,
        Compare::Ne => !wanted,
        Compare::Lt | Compare::Le | Compare::Gt | Compare::Ge => return None,
    };
    let all = (1..=other).fold(0_u64, |mask, code| mask | (1 << code));
    let mut sets = Vec::new();
    for code in 1..=count {
        let mine = 1_u64 << code;
        let theirs = if equal { mine } else { all & !mine };
        let mut conjunction = vec![(*left, mine), (*right, theirs)];
        conjunction.sort_unstable();
        if theirs != 0 {
            sets.push(conjunction);
        }
    }
    Some(sets)
}

fn product(left: &[Conjunction], right: &[Conjunction]) -> Option<Vec<Conjunction>> {
    if left.len() * right.len() > MAX_INTERIM_SETS {
        return None;
    }
    let mut sets = Vec::new();
    for one in left {
        for other in right {
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

fn union(mut left: Vec<Conjunction>, right: Vec<Conjunction>) -> Option<Vec<Conjunction>> {
    left.extend(right);
    (left.len() <= MAX_INTERIM_SETS).then(|| simplified(left))
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
