//! Which rules can hit an event at all: bit sets over the event's coded facts.
//!
//! Most rules speak of one MCC group, channel, action or message. Their top-level conditions on
//! such facts become, for each fact and code, the set of rules that can pass; a few ANDs then
//! leave the handful worth evaluating, so that a hundred rules cost little more than two dozen.
//! A code that is unknown passes everything: the rule itself must say that it cannot tell.

use crate::engine::book::MAX_RULES;
use crate::engine::features::View;
use crate::engine::vocabulary::{BUILT_INS, Feature, Types};
use crate::expr::{Facts, Program, Slot, Type};

const WORDS: usize = MAX_RULES / 64;
/// Codes of a fact that are told apart; symbols have at most 63 words and the unknown.
const CODES: usize = 64;
/// The most facts asked for each event type: the ones that most rules test.
const MAX_FACTS: usize = 6;
/// Facts dearer than this are not asked beforehand, in nanoseconds.
const MAX_COST_NS: u32 = 4;

/// A set of rules (or of sequence steps), by their number.
pub type Set = [u64; WORDS];

/// The numbers in a set, in ascending order.
pub fn members(set: Set) -> impl Iterator<Item = usize> {
    let (mut word, mut left) = (0, set[0]);
    std::iter::from_fn(move || {
        while left == 0 {
            word += 1;
            left = *set.get(word)?;
        }
        let bit = left.trailing_zeros();
        left &= left - 1;
        Some(word * 64 + usize::try_from(bit).unwrap_or(0))
    })
}

/// One thing to be evaluated: a rule, or a step.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its number in the sets.
    pub number: usize,
    /// The event types it looks at.
    pub on: Types,
    /// Conditions all of which must pass.
    pub all: Vec<&'a Program>,
}

/// For each event type the facts to ask and what each code leaves.
#[derive(Debug, Default)]
pub struct Candidates {
    by_type: Vec<OfType>,
    words: usize,
}

#[derive(Debug, Default)]
struct OfType {
    all: Set,
    facts: Vec<(Slot, bool, Vec<Set>)>,
}

impl Candidates {
    /// Builds the sets for entries whose numbers are below [`MAX_RULES`].
    pub fn new(entries: &[Entry<'_>], kind_of: impl Fn(Slot) -> Option<(Type, u32)>) -> Self {
        let words = entries.iter().map(|e| e.number / 64 + 1).max().unwrap_or(0);
        let by_type = (0..16)
            .map(|code| {
                let of_type: Vec<_> = entries.iter().filter(|e| e.on >> code & 1 == 1).collect();
                OfType::new(&of_type, &kind_of)
            })
            .collect();
        Self { by_type, words }
    }

    /// What can pass for the event in hand.
    pub fn of(&self, view: &mut View<'_>) -> Set {
        let code = usize::from(view.event.kind().code());
        let Some(of_type) = self.by_type.get(code) else {
            return [0; WORDS];
        };
        let mut set = of_type.all;
        for (slot, is_bool, sets) in &of_type.facts {
            let code = if *is_bool {
                view.boolean(*slot).map_or(0, |v| 1 + usize::from(v))
            } else {
                view.int(*slot)
                    .and_then(|code| usize::try_from(code).ok())
                    .unwrap_or(0)
            };
            if let Some(left) = sets.get(code) {
                for (word, mask) in set.iter_mut().zip(left).take(self.words) {
                    *word &= mask;
                }
            }
        }
        set
    }
}

impl OfType {
    fn new(entries: &[&Entry<'_>], kind_of: &impl Fn(Slot) -> Option<(Type, u32)>) -> Self {
        let mut of_type = Self::default();
        let mut facts: Vec<(Slot, bool, usize)> = Vec::new();
        for entry in entries {
            put(&mut of_type.all, entry.number);
            for (slot, _) in entry.all.iter().flat_map(|program| program.guards()) {
                let Some(is_bool) = askable(slot, kind_of) else {
                    continue;
                };
                match facts.iter_mut().find(|(known, ..)| *known == slot) {
                    Some((.., many)) => *many += 1,
                    None => facts.push((slot, is_bool, 1)),
                }
            }
        }
        facts.sort_by_key(|(slot, _, many)| (std::cmp::Reverse(*many), *slot));
        for (slot, is_bool, _) in facts.into_iter().take(MAX_FACTS) {
            let mut sets = vec![[0; WORDS]; CODES];
            for entry in entries {
                let codes = entry
                    .all
                    .iter()
                    .flat_map(|program| program.guards())
                    .filter(|(guarded, _)| *guarded == slot)
                    .fold(u64::MAX, |codes, (_, more)| codes & more);
                for (code, set) in sets.iter_mut().enumerate() {
                    if codes >> code & 1 == 1 {
                        put(set, entry.number);
                    }
                }
            }
            of_type.facts.push((slot, is_bool, sets));
        }
        of_type
    }
}

/// Whether a slot may be asked beforehand: a cheap coded built-in (true for a boolean).
fn askable(slot: Slot, kind_of: &impl Fn(Slot) -> Option<(Type, u32)>) -> Option<bool> {
    if usize::from(slot) >= BUILT_INS || Feature::of_slot(slot) == Some(Feature::Type) {
        return None;
    }
    match kind_of(slot)? {
        (_, cost) if cost > MAX_COST_NS => None,
        (Type::Symbol(_), _) => Some(false),
        (Type::Bool, _) => Some(true),
        (Type::Int(_) | Type::Float(_) | Type::Duration | Type::Text | Type::Code(_), _) => None,
    }
}

fn put(set: &mut Set, number: usize) {
    if let Some(word) = set.get_mut(number / 64) {
        *word |= 1 << (number % 64);
    }
}
