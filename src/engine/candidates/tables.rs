//! How the tables of candidates are made: once for a rule book, from the outlooks of its conditions.
//!
//! For each event type the coded facts that its conditions test are combined into one table while
//! that stays small; what else is cheap to ask gets a set for each of its codes.

use super::{Asked, Claim, Entry, OUTCOMES, OfType, Reading, Stage, Tabled};
use crate::engine::book::List;
use crate::engine::class::ClassField;
use crate::engine::vocabulary::{BUILT_INS, Feature};
use crate::expr::{Glance, Slot, Told, Type};

/// The most combinations of coded facts tabled for one event type: 16 KiB a word of rules.
const MAX_COMBINATIONS: usize = 1_024;
/// The most facts asked for each event type beside the table, looks into lists apart.
const MAX_ASKED: usize = 16;
/// The most looks into lists asked for each event type: one costs less than the condition it spares.
const MAX_LISTED: usize = 8;
const _: () = assert!(MAX_ASKED + MAX_LISTED <= OUTCOMES as usize);
/// Facts dearer than this are not asked beforehand, in nanoseconds; the cheap are asked first.
const MAX_COST_NS: u32 = 16;

/// A built-in that conditions test, and what each of its codes gives.
struct Fact {
    slot: Slot,
    reading: Reading,
    givens: Vec<Told>,
    cost_ns: u32,
    /// For a look into a list, which.
    list: Option<u16>,
}

/// A fact with its codes in groups that no condition tells apart.
struct Grouped {
    field: ClassField,
    slot: Slot,
    /// For each code its group.
    group_of: Vec<usize>,
    /// For each group its codes together.
    givens: Vec<Told>,
}

/// Makes the claims of one event type ready.
pub(super) fn of_type(
    claims: &[&Claim<'_>],
    type_code: u32,
    kind_of: &dyn Fn(Slot) -> Option<(Type, u32)>,
    lists: &[List],
) -> OfType {
    let facts = facts(claims, kind_of);
    let tabled = choose(claims, &facts);
    let is_settled =
        |slot: Slot| slot == Feature::Type as Slot || tabled.iter().any(|fact| fact.slot == slot);
    let entries: Vec<Entry> = claims
        .iter()
        .map(|claim| Entry {
            rule: claim.rule,
            step: claim.step,
            when: claim.when.map(|program| program.halves(&is_settled)),
            last: claim.last.map(|program| program.halves(&is_settled)),
        })
        .collect();
    let told = |facts: Vec<Fact>, most: usize| {
        let mut told: Vec<(u32, Asked)> = facts
            .into_iter()
            .filter(|fact| !is_settled(fact.slot) && fact.cost_ns <= MAX_COST_NS)
            .map(|fact| (fact.cost_ns, asked(claims, type_code, fact)))
            .filter(|(_, fact)| many(&fact.touches) > 0)
            .collect();
        told.sort_by_key(|(cost, fact)| (std::cmp::Reverse(many(&fact.touches)), *cost, fact.slot));
        told.truncate(most);
        told
    };
    let mut asked = told(facts, MAX_ASKED);
    asked.extend(told(listings(claims, lists), MAX_LISTED));
    // What leaves out much for little first: the rest may find nothing left.
    asked.sort_by_key(|(cost, fact)| cost * 256 / many(&fact.touches));
    let (outcomes, asked): (Vec<Asked>, Vec<Asked>) = asked
        .into_iter()
        .map(|(_, fact)| fact)
        .partition(|fact: &Asked| Feature::of_slot(fact.slot).is_some_and(Feature::is_outcome));
    let stage = |stage| {
        set(claims, |at| {
            claims.get(at).is_some_and(|c| c.stage == stage)
        })
    };
    OfType {
        decide: stage(Stage::Decide),
        absorb: stage(Stage::Absorb),
        step: stage(Stage::Step),
        words: words(claims),
        table: table(claims, &entries, type_code, &tabled, [&asked, &outcomes]),
        tabled: placed(&tabled, 2 * words(claims) + 1),
        entries,
        asked,
        outcomes,
    }
}

fn words(claims: &[&Claim<'_>]) -> usize {
    claims.len().div_ceil(64)
}

fn many(set: &[u64]) -> u32 {
    set.iter().map(|word| word.count_ones()).sum()
}

/// The claims, by their place, for which something holds.
fn set(claims: &[&Claim<'_>], holds: impl Fn(usize) -> bool) -> Vec<u64> {
    let mut set = vec![0; words(claims)];
    for at in (0..claims.len()).filter(|at| holds(*at)) {
        if let Some(word) = set.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }
    set
}

fn of_event_type(type_code: u32, slot: Slot) -> Option<Told> {
    (slot == Feature::Type as Slot).then_some(Told::Codes(1 << type_code))
}

/// The built-ins that the claims' conditions test, the type apart, in order of slot.
fn facts(claims: &[&Claim<'_>], kind_of: &dyn Fn(Slot) -> Option<(Type, u32)>) -> Vec<Fact> {
    let mut slots: Vec<Slot> = claims
        .iter()
        .flat_map(|claim| claim.programs())
        .flat_map(|program| program.slots().iter().copied())
        .filter(|slot| usize::from(*slot) < BUILT_INS && *slot != Feature::Type as Slot)
        .collect();
    slots.sort_unstable();
    slots.dedup();
    let fact = |slot| {
        let (kind, cost_ns) = kind_of(slot)?;
        let (reading, givens) = match kind {
            Type::Bool => (Reading::Bool, codes(2)),
            Type::Symbol(symbols) => (Reading::Symbol, codes(symbols.words.len())),
            Type::Int(_) | Type::Duration => {
                let cuts = cuts(claims, slot);
                let givens = bands(&cuts);
                (Reading::Bands(cuts), givens)
            }
            Type::Float(_) | Type::Text | Type::Code(_) => return None,
        };
        Some(Fact {
            slot,
            reading,
            givens,
            cost_ns,
            list: None,
        })
    };
    slots.into_iter().filter_map(fact).collect()
}

/// The lists that conditions ask for the card or the merchant, each a fact of two codes: not sure,
/// and known not to be on it.
fn listings(claims: &[&Claim<'_>], lists: &[List]) -> Vec<Fact> {
    let programs = claims.iter().flat_map(|claim| claim.programs());
    let mut listings: Vec<_> = programs.flat_map(|program| program.listings()).collect();
    listings.sort_unstable();
    listings.dedup();
    let has_short = |slot| slot == Feature::Card as Slot || slot == Feature::MerchantId as Slot;
    let fact = |(list, slot): (u16, Slot)| {
        let entries = &lists
            .get(usize::from(list))
            .filter(|_| has_short(slot))?
            .entries;
        let mut shorts: Vec<u32> = entries.iter().map(|(key, _)| key.short()).collect();
        shorts.sort_unstable();
        Some(Fact {
            slot,
            reading: Reading::Misses(shorts),
            givens: codes(1),
            cost_ns: 1,
            list: Some(list),
        })
    };
    listings.into_iter().filter_map(fact).collect()
}

/// The unknown and each of so many codes.
fn codes(many: usize) -> Vec<Told> {
    (0..=many).map(|code| Told::Codes(1 << code)).collect()
}

/// The unknown and each band between cuts.
fn bands(cuts: &[i64]) -> Vec<Told> {
    let from = std::iter::once(i64::MIN).chain(cuts.iter().copied());
    let upto = cuts.iter().map(|cut| cut - 1).chain([i64::MAX]);
    let known = from.zip(upto).map(|(from, upto)| Told::Within(from, upto));
    std::iter::once(Told::Codes(1)).chain(known).collect()
}

/// What all conditions say of one slot's value, test by test.
fn views(claims: &[&Claim<'_>], slot: Slot, given: Told) -> Vec<crate::expr::Outlook> {
    claims
        .iter()
        .flat_map(|claim| claim.programs())
        .flat_map(|program| program.views(slot, given))
        .collect()
}

/// The numbers at which some condition's answer changes.
fn cuts(claims: &[&Claim<'_>], slot: Slot) -> Vec<i64> {
    let programs = claims.iter().flat_map(|claim| claim.programs());
    let mut cuts: Vec<i64> = programs.flat_map(|program| program.cuts(slot)).collect();
    cuts.retain(|cut| *cut > i64::MIN);
    cuts.sort_unstable();
    cuts.dedup();
    let at = |value| views(claims, slot, Told::Within(value, value));
    cuts.retain(|cut| at(cut - 1) != at(*cut));
    cuts
}

/// The facts to table: of the class, most tested first, while the table stays small.
fn choose(claims: &[&Claim<'_>], facts: &[Fact]) -> Vec<Grouped> {
    let mut grouped: Vec<(usize, Grouped)> = facts
        .iter()
        .filter_map(|fact| {
            let field = Feature::of_slot(fact.slot).and_then(ClassField::of_feature)?;
            let is_outcome = field == ClassField::Response;
            let tests = views(claims, fact.slot, Told::Codes(1)).len();
            (!is_outcome).then(|| (tests, group(claims, fact, field)))
        })
        .collect();
    grouped.sort_by_key(|(tests, fact)| (std::cmp::Reverse(*tests), fact.slot));
    let mut combinations = 1;
    let mut chosen = Vec::new();
    for (_, fact) in grouped {
        if combinations * fact.givens.len() <= MAX_COMBINATIONS {
            combinations *= fact.givens.len();
            chosen.push(fact);
        }
    }
    chosen
}

fn group(claims: &[&Claim<'_>], fact: &Fact, field: ClassField) -> Grouped {
    let mut groups = Vec::new();
    let mut group_of = Vec::new();
    let mut codes: Vec<u64> = Vec::new();
    for (code, given) in fact.givens.iter().enumerate() {
        let said = views(claims, fact.slot, *given);
        let at = groups.iter().position(|known| *known == said);
        let at = at.unwrap_or_else(|| {
            groups.push(said);
            codes.push(0);
            groups.len() - 1
        });
        group_of.push(at);
        if let Some(codes) = codes.get_mut(at) {
            *codes |= 1 << code;
        }
    }
    Grouped {
        field,
        slot: fact.slot,
        group_of,
        givens: codes.into_iter().map(Told::Codes).collect(),
    }
}

/// Where in the table each code of each fact leads; a combination takes `width` words.
fn placed(tabled: &[Grouped], width: usize) -> Vec<Tabled> {
    let mut stride = width;
    let place = |fact: &Grouped| {
        let (shift, mask) = fact.field.place();
        let places = fact.group_of.iter().map(|group| group * stride).collect();
        stride *= fact.givens.len();
        Tabled {
            shift,
            mask,
            places,
        }
    };
    tabled.iter().map(place).collect()
}

/// For each combination, the first fact's groups varying fastest, what can pass, what is settled, and
/// which of the facts asked apart can leave out more.
fn table(
    claims: &[&Claim<'_>],
    entries: &[Entry],
    type_code: u32,
    tabled: &[Grouped],
    asked: [&[Asked]; 2],
) -> Vec<u64> {
    let combinations: usize = tabled.iter().map(|fact| fact.givens.len()).product();
    let mut table = Vec::with_capacity(combinations * (2 * words(claims) + 1));
    for combination in 0..combinations {
        let mut left = combination;
        let mut givens = Vec::with_capacity(tabled.len());
        for fact in tabled {
            let many = fact.givens.len();
            givens.extend(
                fact.givens
                    .get(left % many)
                    .map(|given| (fact.slot, *given)),
            );
            left /= many;
        }
        let told = |slot: Slot| {
            let known = givens.iter().find(|(known, _)| *known == slot);
            known
                .map(|(_, given)| *given)
                .or_else(|| of_event_type(type_code, slot))
        };
        let glance = Glance {
            told: &told,
            misses: &|_, _| false,
        };
        let can_pass = set(claims, |at| {
            claims.get(at).is_some_and(|claim| claim.can_pass(glance))
        });
        let [now, then] = asked.map(|facts| telling(facts, &can_pass));
        table.extend(can_pass);
        table.extend(set(claims, |at| {
            entries.get(at).is_some_and(|entry| {
                let mut halves = entry.when.iter().chain(&entry.last);
                halves.all(|half| half.settled(glance).is_true())
            })
        }));
        table.push(now | then << OUTCOMES);
    }
    table
}

/// Which facts touch any of these claims, a bit each.
fn telling(facts: &[Asked], claims: &[u64]) -> u64 {
    let touch = |fact: &Asked| fact.touches.iter().zip(claims).any(|(a, b)| a & b != 0);
    let told = facts.iter().enumerate().filter(|(_, fact)| touch(fact));
    told.fold(0, |bits, (at, _)| bits | 1 << at)
}

/// A fact with what can pass for each of its codes.
fn asked(claims: &[&Claim<'_>], type_code: u32, fact: Fact) -> Asked {
    let rows: Vec<Vec<u64>> = fact
        .givens
        .iter()
        .map(|given| {
            let told = |slot: Slot| {
                let here = (slot == fact.slot && fact.list.is_none()).then_some(*given);
                here.or_else(|| of_event_type(type_code, slot))
            };
            // Codes of a list's fact say nothing of the slot itself.
            let misses = |list, slot| {
                slot == fact.slot && fact.list == Some(list) && *given == Told::Codes(1 << 1)
            };
            let glance = Glance {
                told: &told,
                misses: &misses,
            };
            set(claims, |at| {
                claims.get(at).is_some_and(|claim| claim.can_pass(glance))
            })
        })
        .collect();
    let touches = set(claims, |at| {
        rows.iter().any(|row| {
            row.get(at / 64)
                .is_some_and(|word| word >> (at % 64) & 1 == 0)
        })
    });
    Asked {
        slot: fact.slot,
        reading: fact.reading,
        touches,
        sets: rows.concat(),
    }
}
