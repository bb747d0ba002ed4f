//! What the nodes mean: three-valued evaluation, and which unknown slots are to blame for an unknown answer.
//!
//! Evaluation allocates nothing and stops at the first part that decides.

use super::scheme::{Facts, Slot};
use super::syntax::{Arith, Compare};
use super::tree::{Affix, Reading, Real, Truth, Whole, Words};

impl Compare {
    pub fn of<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Eq => left == right,
            Self::Ne => left != right,
            Self::Lt => left < right,
            Self::Le => left <= right,
            Self::Gt => left > right,
            Self::Ge => left >= right,
        }
    }
}

impl Reading {
    /// Whether a slot's value is known.
    pub fn known<F: Facts>(self, facts: &mut F, slot: Slot) -> bool {
        match self {
            Self::Bool => facts.boolean(slot).is_some(),
            Self::Int => facts.int(slot).is_some(),
            Self::Float => facts.float(slot).is_some(),
            Self::Text => facts.text(slot).is_some(),
        }
    }
}

impl Truth {
    pub fn eval<F: Facts>(&self, facts: &mut F) -> Option<bool> {
        match self {
            Self::Const(value) => *value,
            Self::Slot(slot) => facts.boolean(*slot),
            Self::Class { slot, mask } => in_class(*mask, facts.int(*slot)?),
            Self::Has(slot, reading) => Some(reading.known(facts, *slot)),
            Self::Listed { list, slot } => facts.listed(*list, *slot),
            Self::IntSlot {
                compare,
                slot,
                value,
            } => Some(compare.of(&facts.int(*slot)?, value)),
            Self::FloatSlot {
                compare,
                slot,
                value,
            } => Some(compare.of(&facts.float(*slot)?, value)),
            Self::Not(inner) => inner.eval(facts).map(|value| !value),
            Self::And(parts) => joined(true, parts, facts),
            Self::Or(parts) => joined(false, parts, facts),
            Self::If(three) => {
                let [condition, yes, no] = &**three;
                if condition.eval(facts)? {
                    yes.eval(facts)
                } else {
                    no.eval(facts)
                }
            }
            Self::Same { equal, sides } => {
                let [left, right] = &**sides;
                Some((left.eval(facts)? == right.eval(facts)?) == *equal)
            }
            Self::IntCompare(compare, sides) => {
                let [left, right] = &**sides;
                Some(compare.of(&left.eval(facts)?, &right.eval(facts)?))
            }
            Self::FloatCompare(compare, sides) => {
                let [left, right] = &**sides;
                Some(compare.of(&left.eval(facts)?, &right.eval(facts)?))
            }
            Self::TextSame { equal, sides } => {
                both(sides, facts, |left, right| (left == right) == *equal)
            }
            Self::IntIn(list) => Some(list.1.binary_search(&list.0.eval(facts)?).is_ok()),
            Self::FloatIn(list) => {
                let value = list.0.eval(facts)?;
                Some(list.1.iter().any(|item| Compare::Eq.of(item, &value)))
            }
            Self::TextIn(list) => {
                let text = list.0.chosen(facts)?.read(facts)?;
                Some(list.1.iter().any(|item| item == text))
            }
            Self::Affix(affix, sides) => both(sides, facts, |left, right| match affix {
                Affix::Starts => left.starts_with(right),
                Affix::Ends => left.ends_with(right),
                Affix::Contains => left.contains(right),
            }),
        }
    }

    /// Adds the unknown slots that make this unknown; none where it is known.
    pub fn blame<F: Facts>(&self, facts: &mut F, blamed: &mut Vec<Slot>) {
        if self.eval(facts).is_some() {
            return;
        }
        match self {
            Self::Const(_) | Self::Has(..) => {}
            // Unknown as a whole, and the slot is all there is to it.
            Self::Slot(slot)
            | Self::Class { slot, .. }
            | Self::Listed { slot, .. }
            | Self::IntSlot { slot, .. }
            | Self::FloatSlot { slot, .. } => blamed.push(*slot),
            Self::Not(inner) => inner.blame(facts, blamed),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().for_each(|part| part.blame(facts, blamed))
            }
            Self::If(three) => {
                let [condition, yes, no] = &**three;
                match condition.eval(facts) {
                    None => condition.blame(facts, blamed),
                    Some(true) => yes.blame(facts, blamed),
                    Some(false) => no.blame(facts, blamed),
                }
            }
            Self::Same { sides, .. } => sides.iter().for_each(|side| side.blame(facts, blamed)),
            Self::IntCompare(_, sides) => sides.iter().for_each(|side| side.blame(facts, blamed)),
            Self::FloatCompare(_, sides) => sides.iter().for_each(|side| side.blame(facts, blamed)),
            Self::TextSame { sides, .. } | Self::Affix(_, sides) => {
                sides.iter().for_each(|side| side.blame(facts, blamed))
            }
            Self::IntIn(list) => list.0.blame(facts, blamed),
            Self::FloatIn(list) => list.0.blame(facts, blamed),
            Self::TextIn(list) => list.0.blame(facts, blamed),
        }
    }
}

/// Whether a symbol's code is in a mask; a code out of range is as good as unknown.
fn in_class(mask: u64, code: i64) -> Option<bool> {
    (1..64)
        .contains(&code)
        .then_some((mask >> (code & 63)) & 1 == 1)
}

fn joined<F: Facts>(all: bool, parts: &[Truth], facts: &mut F) -> Option<bool> {
    let mut answer = Some(all);
    for part in parts {
        match part.eval(facts) {
            Some(value) if value != all => return Some(!all),
            Some(_) => {}
            None => answer = None,
        }
    }
    answer
}

/// Tests two texts at once: which ones is settled first, so that both can be borrowed from the facts together.
fn both<F: Facts>(
    sides: &[Words; 2],
    facts: &mut F,
    test: impl Fn(&str, &str) -> bool,
) -> Option<bool> {
    let [left, right] = sides;
    let (left, right) = (left.chosen(facts)?, right.chosen(facts)?);
    Some(test(left.read(facts)?, right.read(facts)?))
}

impl Whole {
    pub fn eval<F: Facts>(&self, facts: &mut F) -> Option<i64> {
        match self {
            Self::Const(value) => *value,
            Self::Slot(slot) => facts.int(*slot),
            Self::Neg(inner) => inner.eval(facts)?.checked_neg(),
            Self::Arith(arith, sides) => {
                let (left, right) = (sides[0].eval(facts)?, sides[1].eval(facts)?);
                match arith {
                    Arith::Add => left.checked_add(right),
                    Arith::Sub => left.checked_sub(right),
                    Arith::Mul => left.checked_mul(right),
                    Arith::Div => left.checked_div(right),
                    Arith::Rem => left.checked_rem(right),
                }
            }
            Self::If(branch) => {
                let (condition, yes, no) = &**branch;
                if condition.eval(facts)? {
                    yes.eval(facts)
                } else {
                    no.eval(facts)
                }
            }
            Self::FromFloat(real) => truncated(real.eval(facts)?),
            Self::Size(words) => {
                i64::try_from(words.chosen(facts)?.read(facts)?.chars().count()).ok()
            }
        }
    }

    fn blame<F: Facts>(&self, facts: &mut F, blamed: &mut Vec<Slot>) {
        match self {
            Self::Const(_) => {}
            Self::Slot(slot) => blame_slot(*slot, Reading::Int, facts, blamed),
            Self::Neg(inner) => inner.blame(facts, blamed),
            Self::Arith(_, sides) => sides.iter().for_each(|side| side.blame(facts, blamed)),
            Self::If(branch) => {
                let (condition, yes, no) = &**branch;
                match condition.eval(facts) {
                    None => condition.blame(facts, blamed),
                    Some(true) => yes.blame(facts, blamed),
                    Some(false) => no.blame(facts, blamed),
                }
            }
            Self::FromFloat(real) => real.blame(facts, blamed),
            Self::Size(words) => words.blame(facts, blamed),
        }
    }
}

impl Real {
    pub fn eval<F: Facts>(&self, facts: &mut F) -> Option<f64> {
        match self {
            Self::Const(value) => *value,
            Self::Slot(slot) => facts.float(*slot),
            Self::Neg(inner) => inner.eval(facts).map(|value| -value),
            Self::Arith(arith, sides) => {
                let (left, right) = (sides[0].eval(facts)?, sides[1].eval(facts)?);
                match arith {
                    Arith::Add => Some(left + right),
                    Arith::Sub => Some(left - right),
                    Arith::Mul => Some(left * right),
                    Arith::Div => Some(left / right),
                    // The checker lets no remainder of doubles through.
                    Arith::Rem => None,
                }
            }
            Self::If(branch) => {
                let (condition, yes, no) = &**branch;
                if condition.eval(facts)? {
                    yes.eval(facts)
                } else {
                    no.eval(facts)
                }
            }
            Self::FromInt(whole) => whole.eval(facts).map(widened),
        }
    }

    fn blame<F: Facts>(&self, facts: &mut F, blamed: &mut Vec<Slot>) {
        match self {
            Self::Const(_) => {}
            Self::Slot(slot) => blame_slot(*slot, Reading::Float, facts, blamed),
            Self::Neg(inner) => inner.blame(facts, blamed),
            Self::Arith(_, sides) => sides.iter().for_each(|side| side.blame(facts, blamed)),
            Self::If(branch) => {
                let (condition, yes, no) = &**branch;
                match condition.eval(facts) {
                    None => condition.blame(facts, blamed),
                    Some(true) => yes.blame(facts, blamed),
                    Some(false) => no.blame(facts, blamed),
                }
            }
            Self::FromInt(whole) => whole.blame(facts, blamed),
        }
    }
}

impl Words {
    /// The constant or slot that this text comes from, its conditions decided.
    fn chosen<F: Facts>(&self, facts: &mut F) -> Option<&Self> {
        match self {
            Self::Const(_) | Self::Slot(_) => Some(self),
            Self::If(branch) => {
                let (condition, yes, no) = &**branch;
                if condition.eval(facts)? {
                    yes.chosen(facts)
                } else {
                    no.chosen(facts)
                }
            }
        }
    }

    /// The text of a constant or slot.
    fn read<'t, F: Facts>(&'t self, facts: &'t F) -> Option<&'t str> {
        match self {
            Self::Const(text) => Some(text),
            Self::Slot(slot) => facts.text(*slot),
            Self::If(_) => None,
        }
    }

    fn blame<F: Facts>(&self, facts: &mut F, blamed: &mut Vec<Slot>) {
        match self {
            Self::Const(_) => {}
            Self::Slot(slot) => blame_slot(*slot, Reading::Text, facts, blamed),
            Self::If(branch) => {
                let (condition, yes, no) = &**branch;
                match condition.eval(facts) {
                    None => condition.blame(facts, blamed),
                    Some(true) => yes.blame(facts, blamed),
                    Some(false) => no.blame(facts, blamed),
                }
            }
        }
    }
}

fn blame_slot<F: Facts>(slot: Slot, reading: Reading, facts: &mut F, blamed: &mut Vec<Slot>) {
    if !reading.known(facts, slot) {
        blamed.push(slot);
    }
}

/// The nearest double: above 2^53 not every integer has one of its own.
fn widened(value: i64) -> f64 {
    value as f64
}

/// Rounded towards zero; nothing outside the open range of integers, as in cel-go, and NaN is outside.
fn truncated(value: f64) -> Option<i64> {
    let bound = widened(i64::MAX);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within the bounds of an i64, as just compared"
    )]
    (-bound < value && value < bound).then_some(value as i64)
}
