//! The checked tree: one enum per type, over slots, with constants folded and the cheap conditions first.
//!
//! Types are settled before a node is made, so that nothing here can fail; see `eval` for what the nodes mean.

use super::scheme::{Facts, Scheme, Slot};
use super::syntax::{Arith, Compare};

/// About what one node and one look into a list cost.
const NODE_COST_NS: u32 = 1;
const LIST_COST_NS: u32 = 20;

/// A condition: true, false or unknown.
#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    Const(Option<bool>),
    Slot(Slot),
    /// A symbol is one of those whose bits are set.
    Class {
        slot: Slot,
        mask: u64,
    },
    Has(Slot, Reading),
    Listed {
        list: u16,
        slot: Slot,
    },
    IntSlot {
        compare: Compare,
        slot: Slot,
        value: i64,
    },
    FloatSlot {
        compare: Compare,
        slot: Slot,
        value: f64,
    },
    Not(Box<Truth>),
    And(Box<[Truth]>),
    Or(Box<[Truth]>),
    If(Box<[Truth; 3]>),
    Same {
        equal: bool,
        sides: Box<[Truth; 2]>,
    },
    IntCompare(Compare, Box<[Whole; 2]>),
    FloatCompare(Compare, Box<[Real; 2]>),
    TextSame {
        equal: bool,
        sides: Box<[Words; 2]>,
    },
    /// The values are sorted: made by `int_in` only.
    IntIn(Box<(Whole, Vec<i64>)>),
    FloatIn(Box<(Real, Vec<f64>)>),
    TextIn(Box<(Words, Vec<String>)>),
    Affix(Affix, Box<[Words; 2]>),
}

/// By which method of [`Facts`] a slot is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Bool,
    Int,
    Float,
    Text,
}

/// A test of one text by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affix {
    Starts,
    Ends,
    Contains,
}

/// An integer, a duration, or the number of a symbol or code.
#[derive(Debug, Clone, PartialEq)]
pub enum Whole {
    Const(Option<i64>),
    Slot(Slot),
    Neg(Box<Whole>),
    Arith(Arith, Box<[Whole; 2]>),
    If(Box<(Truth, Whole, Whole)>),
    FromFloat(Box<Real>),
    Size(Box<Words>),
}

/// A double.
#[derive(Debug, Clone, PartialEq)]
pub enum Real {
    Const(Option<f64>),
    Slot(Slot),
    Neg(Box<Real>),
    Arith(Arith, Box<[Real; 2]>),
    If(Box<(Truth, Real, Real)>),
    FromInt(Box<Whole>),
}

/// A text.
#[derive(Debug, Clone, PartialEq)]
pub enum Words {
    Const(String),
    Slot(Slot),
    If(Box<(Truth, Words, Words)>),
}

/// What a walk over a tree meets.
#[derive(Debug, Clone, Copy)]
pub enum Met {
    Node,
    Slot(Slot),
    List(Slot),
}

impl Compare {
    /// The comparison that is true where this one is false; for integers only, since NaN breaks it for doubles.
    fn negated(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Lt => Self::Ge,
            Self::Le => Self::Gt,
            Self::Gt => Self::Le,
            Self::Ge => Self::Lt,
        }
    }

    /// The comparison with its sides exchanged.
    fn flipped(self) -> Self {
        match self {
            Self::Eq | Self::Ne => self,
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
        }
    }
}

/// Facts where nothing is known, for expressions that read nothing.
struct Nothing;

impl Facts for Nothing {
    fn boolean(&mut self, _: Slot) -> Option<bool> {
        None
    }
    fn int(&mut self, _: Slot) -> Option<i64> {
        None
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

/// Whether a walk meets neither slot nor list.
fn reads_nothing(walk: impl FnOnce(&mut dyn FnMut(Met))) -> bool {
    let mut free = true;
    walk(&mut |met| free &= matches!(met, Met::Node));
    free
}

impl Truth {
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Membership in a list, which is sorted here once for the search that evaluation makes.
    pub fn int_in(one: Whole, mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        Self::IntIn(Box::new((one, values)))
    }

    /// Meets every node, slot and list, in no promised order.
    pub fn walk(&self, meet: &mut dyn FnMut(Met)) {
        meet(Met::Node);
        match self {
            Self::Const(_) => {}
            Self::Slot(slot)
            | Self::Class { slot, .. }
            | Self::Has(slot, _)
            | Self::IntSlot { slot, .. }
            | Self::FloatSlot { slot, .. } => meet(Met::Slot(*slot)),
            Self::Listed { slot, .. } => meet(Met::List(*slot)),
            Self::Not(inner) => inner.walk(meet),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.walk(meet)),
            Self::If(three) => three.iter().for_each(|part| part.walk(meet)),
            Self::Same { sides, .. } => sides.iter().for_each(|side| side.walk(meet)),
            Self::IntCompare(_, sides) => sides.iter().for_each(|side| side.walk(meet)),
            Self::FloatCompare(_, sides) => sides.iter().for_each(|side| side.walk(meet)),
            Self::TextSame { sides, .. } | Self::Affix(_, sides) => {
                sides.iter().for_each(|side| side.walk(meet))
            }
            Self::IntIn(list) => list.0.walk(meet),
            Self::FloatIn(list) => list.0.walk(meet),
            Self::TextIn(list) => list.0.walk(meet),
        }
    }

    /// The slots it may read, sorted.
    pub fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        self.walk(&mut |met| match met {
            Met::Slot(slot) | Met::List(slot) => slots.push(slot),
            Met::Node => {}
        });
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// About what it costs where every slot is computed once.
    pub fn cost_ns(&self, scheme: &Scheme) -> u32 {
        let mut cost = 0_u32;
        self.walk(&mut |met| {
            cost = cost.saturating_add(match met {
                Met::Node => NODE_COST_NS,
                Met::List(_) => LIST_COST_NS,
                Met::Slot(_) => 0,
            });
        });
        let fields = self
            .slots()
            .into_iter()
            .filter_map(|slot| scheme.field(slot));
        fields.fold(cost, |sum, field| sum.saturating_add(field.cost_ns))
    }

    /// The same condition in fewer and cheaper steps: constants folded, tests of one class merged, cheap ones first.
    pub fn optimised(self, scheme: &Scheme) -> Self {
        let simpler = match self {
            Self::And(parts) => return joined(true, parts, scheme),
            Self::Or(parts) => return joined(false, parts, scheme),
            Self::Not(inner) => not(inner.optimised(scheme)),
            Self::If(three) => {
                let [condition, yes, no] = three.map(|part| part.optimised(scheme));
                if let Self::Const(known) = condition {
                    known.map_or(Self::Const(None), |known| if known { yes } else { no })
                } else if (&yes, &no) == (&Self::Const(Some(true)), &Self::Const(Some(false))) {
                    condition
                } else if (&yes, &no) == (&Self::Const(Some(false)), &Self::Const(Some(true))) {
                    not(condition)
                } else {
                    Self::If(Box::new([condition, yes, no]))
                }
            }
            Self::Same { equal, sides } => same(equal, sides.map(|side| side.optimised(scheme))),
            Self::IntCompare(compare, sides) => match sides.map(|side| side.folded(scheme)) {
                [Whole::Slot(slot), Whole::Const(Some(value))] => Self::IntSlot {
                    compare,
                    slot,
                    value,
                },
                [Whole::Const(Some(value)), Whole::Slot(slot)] => Self::IntSlot {
                    compare: compare.flipped(),
                    slot,
                    value,
                },
                sides => Self::IntCompare(compare, Box::new(sides)),
            },
            Self::FloatCompare(compare, sides) => match sides.map(|side| side.folded(scheme)) {
                [Real::Slot(slot), Real::Const(Some(value))] => Self::FloatSlot {
                    compare,
                    slot,
                    value,
                },
                [Real::Const(Some(value)), Real::Slot(slot)] => Self::FloatSlot {
                    compare: compare.flipped(),
                    slot,
                    value,
                },
                sides => Self::FloatCompare(compare, Box::new(sides)),
            },
            Self::TextSame { equal, sides } => Self::TextSame {
                equal,
                sides: Box::new(sides.map(|side| side.folded(scheme))),
            },
            Self::Affix(affix, sides) => {
                Self::Affix(affix, Box::new(sides.map(|side| side.folded(scheme))))
            }
            Self::IntIn(list) => Self::IntIn(Box::new((list.0.folded(scheme), list.1))),
            Self::FloatIn(list) => Self::FloatIn(Box::new((list.0.folded(scheme), list.1))),
            Self::TextIn(list) => Self::TextIn(Box::new((list.0.folded(scheme), list.1))),
            leaf @ (Self::Const(_)
            | Self::Slot(_)
            | Self::Class { .. }
            | Self::Has(..)
            | Self::Listed { .. }
            | Self::IntSlot { .. }
            | Self::FloatSlot { .. }) => return leaf,
        };
        if reads_nothing(|meet| simpler.walk(meet)) {
            Self::Const(simpler.eval(&mut Nothing))
        } else {
            simpler
        }
    }
}

fn not(inner: Truth) -> Truth {
    match inner {
        Truth::Const(value) => Truth::Const(value.map(|value| !value)),
        Truth::Not(inner) => *inner,
        Truth::Class { slot, mask } => Truth::Class {
            slot,
            mask: !mask & !1,
        },
        Truth::IntSlot {
            compare,
            slot,
            value,
        } => Truth::IntSlot {
            compare: compare.negated(),
            slot,
            value,
        },
        Truth::IntCompare(compare, sides) => Truth::IntCompare(compare.negated(), sides),
        Truth::Same { equal, sides } => Truth::Same {
            equal: !equal,
            sides,
        },
        Truth::TextSame { equal, sides } => Truth::TextSame {
            equal: !equal,
            sides,
        },
        other @ (Truth::Slot(_)
        | Truth::Has(..)
        | Truth::Listed { .. }
        | Truth::FloatSlot { .. }
        | Truth::And(_)
        | Truth::Or(_)
        | Truth::If(_)
        | Truth::FloatCompare(..)
        | Truth::IntIn(_)
        | Truth::FloatIn(_)
        | Truth::TextIn(_)
        | Truth::Affix(..)) => other.negated(),
    }
}

fn same(equal: bool, sides: [Truth; 2]) -> Truth {
    match sides {
        [Truth::Const(Some(value)), other] | [other, Truth::Const(Some(value))] => {
            if value == equal { other } else { not(other) }
        }
        sides => Truth::Same {
            equal,
            sides: Box::new(sides),
        },
    }
}

/// A conjunction (`all`) or a disjunction, flat, without what does not matter, the cheapest part first.
///
/// Order is free: `false && unknown` and `unknown && false` are both false.
fn joined(all: bool, parts: Box<[Truth]>, scheme: &Scheme) -> Truth {
    let mut flat: Vec<Truth> = Vec::new();
    for part in parts {
        match (all, part.optimised(scheme)) {
            (true, Truth::And(inner)) | (false, Truth::Or(inner)) => inner
                .into_iter()
                .for_each(|part| absorb(all, &mut flat, part)),
            (_, part) => absorb(all, &mut flat, part),
        }
    }
    if flat.contains(&Truth::Const(Some(!all))) {
        return Truth::Const(Some(!all));
    }
    flat.sort_by_cached_key(|part| part.cost_ns(scheme));
    match flat.len() {
        0 => Truth::Const(Some(all)),
        1 => flat.remove(0),
        _ if all => Truth::And(flat.into_boxed_slice()),
        _ => Truth::Or(flat.into_boxed_slice()),
    }
}

fn absorb(all: bool, flat: &mut Vec<Truth>, part: Truth) {
    if part == Truth::Const(Some(all)) || flat.contains(&part) {
        return;
    }
    if let Truth::Class { slot, mask } = part {
        for known in flat.iter_mut() {
            if let Truth::Class {
                slot: other,
                mask: wider,
            } = known
                && *other == slot
            {
                *wider = if all { *wider & mask } else { *wider | mask };
                return;
            }
        }
    }
    flat.push(part);
}

impl Whole {
    fn walk(&self, meet: &mut dyn FnMut(Met)) {
        meet(Met::Node);
        match self {
            Self::Const(_) => {}
            Self::Slot(slot) => meet(Met::Slot(*slot)),
            Self::Neg(inner) => inner.walk(meet),
            Self::Arith(_, sides) => sides.iter().for_each(|side| side.walk(meet)),
            Self::If(branch) => {
                branch.0.walk(meet);
                branch.1.walk(meet);
                branch.2.walk(meet);
            }
            Self::FromFloat(real) => real.walk(meet),
            Self::Size(words) => words.walk(meet),
        }
    }

    fn folded(self, scheme: &Scheme) -> Self {
        if reads_nothing(|meet| self.walk(meet)) {
            return Self::Const(self.eval(&mut Nothing));
        }
        match self {
            Self::Const(_) | Self::Slot(_) => self,
            Self::Neg(inner) => Self::Neg(Box::new(inner.folded(scheme))),
            Self::Arith(arith, sides) => {
                Self::Arith(arith, Box::new(sides.map(|side| side.folded(scheme))))
            }
            Self::If(branch) => {
                let (condition, yes, no) = *branch;
                Self::If(Box::new((
                    condition.optimised(scheme),
                    yes.folded(scheme),
                    no.folded(scheme),
                )))
            }
            Self::FromFloat(real) => Self::FromFloat(Box::new(real.folded(scheme))),
            Self::Size(words) => Self::Size(Box::new(words.folded(scheme))),
        }
    }
}

impl Real {
    fn walk(&self, meet: &mut dyn FnMut(Met)) {
        meet(Met::Node);
        match self {
            Self::Const(_) => {}
            Self::Slot(slot) => meet(Met::Slot(*slot)),
            Self::Neg(inner) => inner.walk(meet),
            Self::Arith(_, sides) => sides.iter().for_each(|side| side.walk(meet)),
            Self::If(branch) => {
                branch.0.walk(meet);
                branch.1.walk(meet);
                branch.2.walk(meet);
            }
            Self::FromInt(whole) => whole.walk(meet),
        }
    }

    fn folded(self, scheme: &Scheme) -> Self {
        if reads_nothing(|meet| self.walk(meet)) {
            return Self::Const(self.eval(&mut Nothing));
        }
        match self {
            Self::Const(_) | Self::Slot(_) => self,
            Self::Neg(inner) => Self::Neg(Box::new(inner.folded(scheme))),
            Self::Arith(arith, sides) => {
                Self::Arith(arith, Box::new(sides.map(|side| side.folded(scheme))))
            }
            Self::If(branch) => {
                let (condition, yes, no) = *branch;
                Self::If(Box::new((
                    condition.optimised(scheme),
                    yes.folded(scheme),
                    no.folded(scheme),
                )))
            }
            Self::FromInt(whole) => Self::FromInt(Box::new(whole.folded(scheme))),
        }
    }
}

impl Words {
    fn walk(&self, meet: &mut dyn FnMut(Met)) {
        meet(Met::Node);
        match self {
            Self::Const(_) => {}
            Self::Slot(slot) => meet(Met::Slot(*slot)),
            Self::If(branch) => {
                branch.0.walk(meet);
                branch.1.walk(meet);
                branch.2.walk(meet);
            }
        }
    }

    fn folded(self, scheme: &Scheme) -> Self {
        match self {
            Self::Const(_) | Self::Slot(_) => self,
            Self::If(branch) => {
                let (condition, yes, no) = *branch;
                Self::If(Box::new((
                    condition.optimised(scheme),
                    yes.folded(scheme),
                    no.folded(scheme),
                )))
            }
        }
    }
}
