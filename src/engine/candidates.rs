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
/// The most combinations of codes that are tabled for one event type: 16 KiB a word of rules.
const MAX_COMBINATIONS: usize = 2_048;

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

/// For each event type the facts to ask and what each combination of their codes leaves.
#[derive(Debug, Default)]
pub struct Candidates {
    by_type: Vec<OfType>,
    /// Words of a set that are in use.
    words: usize,
}

/// The facts that rules on one event type test most, tabled in combination while the table is
/// small enough for the cache, and the rest one by one.
#[derive(Debug, Default)]
struct OfType {
    tabled: Vec<Fact>,
    /// For each combination of the tabled facts' codes, the words of its set.
    table: Vec<u64>,
    rest: Vec<(Fact, Vec<Set>)>,
}

/// A coded fact of the event in hand.
#[derive(Debug, Clone, Copy)]
struct Fact {
    slot: Slot,
    is_bool: bool,
    /// How many codes it has, the unknown included.
    codes: usize,
}

impl Fact {
    fn code(self, view: &mut View<'_>) -> usize {
        if self.is_bool {
            view.boolean(self.slot).map_or(0, |v| 1 + usize::from(v))
        } else {
            view.int(self.slot)
                .and_then(|code| usize::try_from(code).ok())
                .unwrap_or(0)
                .min(self.codes - 1)
        }
    }
}

impl Candidates {
    /// Builds the sets for entries whose numbers are below [`MAX_RULES`].
    pub fn new(entries: &[Entry<'_>], kind_of: impl Fn(Slot) -> Option<(Type, u32)>) -> Self {
        let words = entries.iter().map(|e| e.number / 64 + 1).max().unwrap_or(1);
        let by_type = (0..16)
            .map(|code| {
                let of_type: Vec<_> = entries.iter().filter(|e| e.on >> code & 1 == 1).collect();
                OfType::new(&of_type, words, &kind_of)
            })
            .collect();
        Self { by_type, words }
    }

    /// What can pass for the event in hand.
    pub fn of(&self, view: &mut View<'_>) -> Set {
        let mut set = [0; WORDS];
        let code = usize::from(view.event.kind().code());
        let Some(of_type) = self.by_type.get(code) else {
            return set;
        };
        let combination = of_type
            .tabled
            .iter()
            .fold(0, |at, fact| at * fact.codes + fact.code(view));
        let start = combination * self.words;
        let left = of_type.table.get(start..start + self.words).unwrap_or(&[]);
        for (word, bits) in set.iter_mut().zip(left) {
            *word = *bits;
        }
        for (fact, sets) in &of_type.rest {
            if set.iter().take(self.words).all(|word| *word == 0) {
                break;
            }
            if let Some(left) = sets.get(fact.code(view)) {
                for (word, mask) in set.iter_mut().zip(left).take(self.words) {
                    *word &= mask;
                }
            }
        }
        set
    }
}

impl OfType {
    fn new(
        entries: &[&Entry<'_>],
        words: usize,
        kind_of: &impl Fn(Slot) -> Option<(Type, u32)>,
    ) -> Self {
        let guarded: Vec<Guarded> = entries
            .iter()
            .map(|entry| Guarded {
                number: entry.number,
                guards: entry
                    .all
                    .iter()
                    .flat_map(|program| program.guards())
                    .collect(),
            })
            .collect();
        let mut facts: Vec<(Fact, usize)> = Vec::new();
        for (slot, _) in guarded
            .iter()
            .flat_map(|entry| entry.guards.iter().copied())
        {
            match facts.iter_mut().find(|(known, _)| known.slot == slot) {
                Some((_, many)) => *many += 1,
                None => facts.extend(askable(slot, kind_of).map(|fact| (fact, 1))),
            }
        }
        facts.sort_by_key(|(fact, many)| (std::cmp::Reverse(*many), fact.slot));
        let (mut tabled, mut rest, mut combinations) = (Vec::new(), Vec::new(), 1);
        for (fact, _) in facts.into_iter().take(MAX_FACTS) {
            if combinations * fact.codes <= MAX_COMBINATIONS {
                combinations *= fact.codes;
                tabled.push(fact);
            } else {
                let sets = (0..fact.codes)
                    .map(|code| passing(&guarded, &[(fact, code)]))
                    .collect();
                rest.push((fact, sets));
            }
        }
        let mut table = Vec::with_capacity(combinations * words);
        for combination in 0..combinations {
            let mut codes = Vec::with_capacity(tabled.len());
            let mut left = combination;
            for fact in tabled.iter().rev() {
                codes.push((*fact, left % fact.codes));
                left /= fact.codes;
            }
            table.extend(passing(&guarded, &codes).into_iter().take(words));
        }
        Self {
            tabled,
            table,
            rest,
        }
    }
}

/// An entry with the coded facts that its conditions demand.
struct Guarded {
    number: usize,
    guards: Vec<(Slot, u64)>,
}

/// The entries all of whose conditions on these facts can pass with these codes.
fn passing(entries: &[Guarded], codes: &[(Fact, usize)]) -> Set {
    let mut set = [0; WORDS];
    for entry in entries {
        let can_pass = codes.iter().all(|(fact, code)| {
            let mut of_fact = entry.guards.iter().filter(|(slot, _)| *slot == fact.slot);
            of_fact.all(|(_, codes)| codes >> code & 1 == 1)
        });
        if can_pass {
            put(&mut set, entry.number);
        }
    }
    set
}

/// The fact of a slot that may be asked beforehand: a cheap coded built-in.
fn askable(slot: Slot, kind_of: &impl Fn(Slot) -> Option<(Type, u32)>) -> Option<Fact> {
    if usize::from(slot) >= BUILT_INS || Feature::of_slot(slot) == Some(Feature::Type) {
        return None;
    }
    match kind_of(slot)? {
        (_, cost) if cost > MAX_COST_NS => None,
        (Type::Symbol(symbols), _) => Some(Fact {
            slot,
            is_bool: false,
            codes: (symbols.words.len() + 1).min(CODES),
        }),
        (Type::Bool, _) => Some(Fact {
            slot,
            is_bool: true,
            codes: 3,
        }),
        (Type::Int(_) | Type::Float(_) | Type::Duration | Type::Text | Type::Code(_), _) => None,
    }
}

fn put(set: &mut Set, number: usize) {
    if let Some(word) = set.get_mut(number / 64) {
        *word |= 1 << (number % 64);
    }
}
