//! What a condition can still come to when only some of its slots are given: its outlook.
//!
//! By it rules are set aside before anything is evaluated. Every answer of a leaf is found by evaluating it, so that an
//! outlook cannot disagree with evaluation; where a leaf reads more than is given, all answers are left open. It may leave
//! open what cannot happen, and never rules out what can.

use super::classes::Only;
use super::scheme::{Facts, Slot};
use super::syntax::Compare;
use super::tree::{Met, Truth};

/// What is told of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// One of these codes of a Symbol or Bool (a Bool's false is 1 and its true 2); bit 0 stands for an unknown value,
    /// and is the only bit that makes sense of other types.
    Codes(u64),
    /// A known Int or Duration within these bounds, both included.
    Within(i64, i64),
}

/// What is told before anything is evaluated.
#[derive(Clone, Copy)]
pub struct Glance<'a> {
    /// What is told of a slot; nothing where it may hold anything.
    pub told: &'a dyn Fn(Slot) -> Option<Told>,
    /// Whether a list is known not to hold a slot's value, which is known.
    pub misses: &'a dyn Fn(u16, Slot) -> bool,
}

/// The answers that remain possible, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook(u8);

impl Outlook {
    const NONE: Self = Self(0);
    const TRUE: Self = Self(1);
    const FALSE: Self = Self(2);
    const UNKNOWN: Self = Self(4);
    const OPEN: Self = Self(7);
    const EACH: [Option<bool>; 3] = [Some(true), Some(false), None];

    /// True whatever the other slots hold.
    pub fn is_true(self) -> bool {
        self == Self::TRUE
    }

    /// False whatever the other slots hold; unknown is not false.
    pub fn is_false(self) -> bool {
        self == Self::FALSE
    }

    /// Whether an answer remains possible.
    pub fn allows(self, answer: Option<bool>) -> bool {
        self.0 & Self::of(answer).0 != 0
    }

    fn of(answer: Option<bool>) -> Self {
        match answer {
            Some(true) => Self::TRUE,
            Some(false) => Self::FALSE,
            None => Self::UNKNOWN,
        }
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn answers(self) -> impl Iterator<Item = Option<bool>> {
        Self::EACH
            .into_iter()
            .filter(move |answer| self.allows(*answer))
    }

    /// What comes of each pair of answers.
    fn paired(
        self,
        other: Self,
        combine: impl Fn(Option<bool>, Option<bool>) -> Option<bool>,
    ) -> Self {
        self.answers()
            .flat_map(|one| other.answers().map(move |two| (one, two)))
            .fold(Self::NONE, |all, (one, two)| {
                all.or(Self::of(combine(one, two)))
            })
    }

    fn joined(self, all: bool, other: Self) -> Self {
        self.paired(other, |one, two| match (one, two) {
            (Some(value), _) | (_, Some(value)) if value != all => Some(!all),
            (Some(_), Some(_)) => Some(all),
            (None, _) | (_, None) => None,
        })
    }
}

/// What the other slots leave open, after a glance.
pub fn outlook(truth: &Truth, glance: Glance<'_>) -> Outlook {
    match truth {
        Truth::Const(answer) => Outlook::of(*answer),
        Truth::Not(inner) => outlook(inner, glance)
            .answers()
            .fold(Outlook::NONE, |all, answer| {
                all.or(Outlook::of(answer.map(|value| !value)))
            }),
        Truth::And(parts) => joined(true, parts, glance),
        Truth::Or(parts) => joined(false, parts, glance),
        Truth::If(three) => {
            let [condition, yes, no] = &**three;
            outlook(condition, glance)
                .answers()
                .fold(Outlook::NONE, |all, answer| {
                    all.or(match answer {
                        Some(true) => outlook(yes, glance),
                        Some(false) => outlook(no, glance),
                        None => Outlook::UNKNOWN,
                    })
                })
        }
        Truth::Same { equal, sides } => {
            let [left, right] = &**sides;
            outlook(left, glance).paired(outlook(right, glance), |one, two| {
                Some((one? == two?) == *equal)
            })
        }
        leaf @ (Truth::Slot(_)
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
        | Truth::Affix(..)) => leaf_outlook(leaf, glance),
    }
}

/// Stops at the first part that decides alone.
fn joined(all: bool, parts: &[Truth], glance: Glance<'_>) -> Outlook {
    let mut so_far = Outlook::of(Some(all));
    for part in parts {
        so_far = so_far.joined(all, outlook(part, glance));
        if so_far == Outlook::of(Some(!all)) {
            break;
        }
    }
    so_far
}

fn leaf_outlook(leaf: &Truth, glance: Glance<'_>) -> Outlook {
    if let Truth::Listed { list, slot } = leaf {
        return if (glance.misses)(*list, *slot) {
            Outlook::FALSE
        } else {
            Outlook::OPEN
        };
    }
    let is_has = matches!(leaf, Truth::Has(..));
    let open = if is_has {
        Outlook::TRUE.or(Outlook::FALSE)
    } else {
        Outlook::OPEN
    };
    let Some((slot, told)) = only_slot(leaf).and_then(|slot| Some((slot, (glance.told)(slot)?)))
    else {
        return open;
    };
    match told {
        Told::Codes(codes) => (0..u64::BITS - codes.leading_zeros())
            .filter(|code| codes >> code & 1 == 1)
            .fold(Outlook::NONE, |all, code| {
                all.or(Outlook::of(leaf.eval(&mut Only { slot, code })))
            }),
        Told::Within(..) if is_has => Outlook::TRUE,
        Told::Within(low, high) => {
            if let Truth::IntSlot { compare, value, .. } = leaf {
                within(*compare, *value, low, high)
            } else {
                open
            }
        }
    }
}

/// The answers of a comparison over a range: those at its ends, and at the value itself where it lies between.
fn within(compare: Compare, value: i64, low: i64, high: i64) -> Outlook {
    [low, high, value.clamp(low, high)]
        .into_iter()
        .fold(Outlook::NONE, |all, at| {
            all.or(Outlook::of(Some(compare.of(&at, &value))))
        })
}

/// The one slot that a leaf reads; nothing where it reads several, none, or looks into a list.
fn only_slot(leaf: &Truth) -> Option<Slot> {
    if let Truth::Slot(slot)
    | Truth::Class { slot, .. }
    | Truth::Has(slot, _)
    | Truth::IntSlot { slot, .. }
    | Truth::FloatSlot { slot, .. } = leaf
    {
        return Some(*slot);
    }
    let mut listed = false;
    leaf.walk(&mut |met| listed |= matches!(met, Met::List(_)));
    let slots = leaf.slots();
    let [slot] = slots.as_slice() else {
        return None;
    };
    (!listed).then_some(*slot)
}

/// Meets every leaf: what is no conjunction, disjunction, negation, choice or comparison of conditions.
fn leaves(truth: &Truth, meet: &mut dyn FnMut(&Truth)) {
    match truth {
        Truth::Not(inner) => leaves(inner, meet),
        Truth::And(parts) | Truth::Or(parts) => parts.iter().for_each(|part| leaves(part, meet)),
        Truth::If(three) => three.iter().for_each(|part| leaves(part, meet)),
        Truth::Same { sides, .. } => sides.iter().for_each(|side| leaves(side, meet)),
        leaf @ (Truth::Const(_)
        | Truth::Slot(_)
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
        | Truth::Affix(..)) => meet(leaf),
    }
}

/// See [`super::Program::views`].
pub fn views(truth: &Truth, slot: Slot, what: Told) -> Vec<Outlook> {
    let mut views = Vec::new();
    leaves(truth, &mut |leaf| {
        if only_slot(leaf) == Some(slot) {
            views.push(leaf_outlook(
                leaf,
                Glance {
                    told: &|_| Some(what),
                    misses: &|_, _| false,
                },
            ));
        }
    });
    views
}

/// See [`super::Program::listings`].
pub fn listings(truth: &Truth) -> Vec<(u16, Slot)> {
    let mut listings = Vec::new();
    leaves(truth, &mut |leaf| {
        if let Truth::Listed { list, slot } = leaf {
            listings.push((*list, *slot));
        }
    });
    listings
}

/// See [`super::Program::cuts`].
pub fn cuts(truth: &Truth, slot: Slot) -> Vec<i64> {
    let mut cuts = Vec::new();
    leaves(truth, &mut |leaf| {
        if let Truth::IntSlot {
            slot: read, value, ..
        } = leaf
            && *read == slot
        {
            cuts.extend([*value, value.saturating_add(1)]);
        }
    });
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// A condition in two halves both of which must hold: what reads settled slots only, and the rest.
#[derive(Debug, Clone)]
pub struct Halves {
    settled: Truth,
    rest: Truth,
}

impl Halves {
    /// Cuts a condition in two.
    pub fn of(root: &Truth, is_settled: &dyn Fn(Slot) -> bool) -> Self {
        let conjuncts = if let Truth::And(parts) = root {
            &**parts
        } else {
            std::slice::from_ref(root)
        };
        let settled = |part: &&Truth| {
            let mut all = true;
            part.walk(&mut |met| match met {
                Met::Node => {}
                Met::Slot(slot) => all &= is_settled(slot),
                Met::List(_) => all = false,
            });
            all
        };
        let (settled, rest): (Vec<&Truth>, Vec<&Truth>) = conjuncts.iter().partition(settled);
        Self {
            settled: all_of(&settled),
            rest: all_of(&rest),
        }
    }

    /// The outlook of the settled half.
    pub fn settled(&self, glance: Glance<'_>) -> Outlook {
        outlook(&self.settled, glance)
    }

    /// What the whole condition comes to where the settled half is true.
    pub fn rest<F: Facts>(&self, facts: &mut F) -> Option<bool> {
        self.rest.eval(facts)
    }
}

fn all_of(parts: &[&Truth]) -> Truth {
    match parts {
        [] => Truth::Const(Some(true)),
        [one] => (*one).clone(),
        _ => Truth::And(parts.iter().map(|part| (*part).clone()).collect()),
    }
}
