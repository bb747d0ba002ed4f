//! The front matter of a checkpoint: what its records' numbers mean, and how to say the same under
//! another rule book.
//!
//! Records name counters, sequence states and MCC groups by number. The numbers change with the
//! book; the identities and names kept here do not.

use crate::domain::ids::Fingerprint;
use crate::engine::Counters;
use crate::engine::book::{Aggregate, Book, Filter, Of, Op};
use crate::engine::cells::{self, Cell, SEQUENCES};
use crate::engine::checkpoint::CheckpointError;
use crate::engine::checkpoint::bytes::{Reader, put_len, put_text};
use crate::engine::class::{Class, ClassField};
use crate::engine::past;
use crate::engine::record::Record;

/// What a part says of itself before its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Version of the rule book that was in force.
    pub book_version: String,
    /// Letters of the currency in which its amounts are.
    pub base: [u8; 3],
    /// The newest tick, in milliseconds.
    pub tick_ms: i64,
    /// What the shard had counted.
    pub counters: Counters,
    /// Whether enforcement was suspended.
    pub suspended: bool,
    /// Identities of the aggregates, in the book's order, and from when each has counted.
    pub aggregates: Vec<(u64, i64)>,
    /// Identities of the sequences, in the book's order.
    pub sequences: Vec<States>,
    /// Names of the MCC groups, in order of their codes.
    pub groups: Vec<String>,
    /// How many cardholders follow.
    pub cardholders: u64,
}

/// The states of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct States {
    /// Identity of the sequence.
    pub identity: u64,
    /// Number of its first state.
    pub first: u16,
    /// How many states it has.
    pub many: u16,
}

impl Tables {
    /// What a book says, for a shard without cardholders.
    pub fn of(book: &Book) -> Self {
        let groups = &book.mcc_groups.symbols.words;
        Self {
            book_version: book.version.clone(),
            base: book.rates.base().letters(),
            tick_ms: 0,
            counters: Counters::default(),
            suspended: false,
            aggregates: book
                .aggregates
                .iter()
                .map(|aggregate| (meaning(aggregate, groups), i64::MIN))
                .collect(),
            sequences: book
                .rules
                .iter()
                .filter_map(|rule| {
                    let sequence = rule.sequence.as_ref()?;
                    Some(States {
                        identity: sequence.identity(&rule.id).0,
                        first: sequence.first_state,
                        many: sequence.states(),
                    })
                })
                .collect(),
            groups: groups.clone(),
            cardholders: 0,
        }
    }

    /// Appends the tables.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_text(out, &self.book_version);
        out.extend_from_slice(&self.base);
        out.extend_from_slice(&self.tick_ms.to_le_bytes());
        let counters = &self.counters;
        for count in [
            counters.applied,
            counters.duplicates,
            counters.late,
            counters.gave_way,
            counters.forgotten,
        ] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        out.push(u8::from(self.suspended));
        put_len(out, self.aggregates.len());
        for (identity, from_ms) in &self.aggregates {
            out.extend_from_slice(&identity.to_le_bytes());
            out.extend_from_slice(&from_ms.to_le_bytes());
        }
        put_len(out, self.sequences.len());
        for states in &self.sequences {
            out.extend_from_slice(&states.identity.to_le_bytes());
            out.extend_from_slice(&states.first.to_le_bytes());
            out.extend_from_slice(&states.many.to_le_bytes());
        }
        put_len(out, self.groups.len());
        for group in &self.groups {
            put_text(out, group);
        }
        out.extend_from_slice(&self.cardholders.to_le_bytes());
    }

    /// Reads the tables.
    pub fn read(from: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let book_version = from.text("the rule book's version")?.to_owned();
        let mut base = [0; 3];
        base.copy_from_slice(from.take(3, "the base currency")?);
        Ok(Self {
            book_version,
            base,
            tick_ms: from.i64("the tick")?,
            counters: Counters {
                applied: from.u64("a counter")?,
                duplicates: from.u64("a counter")?,
                late: from.u64("a counter")?,
                gave_way: from.u64("a counter")?,
                forgotten: from.u64("a counter")?,
            },
            suspended: from.flag("whether enforcement is suspended")?,
            aggregates: from.list(16, "aggregates", |from| {
                Ok((from.u64("an aggregate")?, from.i64("an aggregate")?))
            })?,
            sequences: from.list(12, "sequences", |from| {
                Ok(States {
                    identity: from.u64("a sequence")?,
                    first: from.u16("a sequence")?,
                    many: from.u16("a sequence")?,
                })
            })?,
            groups: from.list(4, "MCC groups", |from| {
                from.text("an MCC group").map(str::to_owned)
            })?,
            cardholders: from.u64("the number of cardholders")?,
        })
    }
}

/// A fingerprint of what an aggregate means: [`Aggregate::identity`], with MCC groups by name, since
/// their codes may mean other groups in another book.
fn meaning(aggregate: &Aggregate, groups: &[String]) -> u64 {
    let mut bare = aggregate.clone();
    let mut named: Vec<Vec<&str>> = Vec::new();
    let filters = std::iter::once(&mut bare.filter).chain(bare.base.as_mut());
    for (field, codes) in filters.flat_map(tests) {
        if *field == ClassField::MccGroup as u8 {
            let mut names: Vec<&str> = (1..)
                .zip(groups)
                .take_while(|(code, _)| *code < u64::BITS)
                .filter(|(code, _)| *codes >> code & 1 == 1)
                .map(|(_, name)| name.as_str())
                .collect();
            names.sort_unstable();
            named.push(names);
            *codes = 0;
        }
    }
    let identity = bare.identity().0;
    if named.is_empty() {
        identity
    } else {
        Fingerprint::of(&format!("{identity:016x} {named:?}")).0
    }
}

fn tests(filter: &mut Filter) -> impl Iterator<Item = &mut (u8, u64)> {
    filter.any.iter_mut().flatten()
}

/// How to say under the book in force what a part says under its own.
#[derive(Debug)]
pub struct Translation {
    /// For each aggregate of the book in force its place in the part; nothing for a new one.
    pub from: Vec<Option<usize>>,
    counters: Vec<Option<Counter>>,
    states: Vec<Option<u32>>,
    groups: [u8; 16],
    is_same: bool,
    are_groups_same: bool,
}

/// An aggregate's counters under the book in force.
#[derive(Debug, Clone, Copy)]
struct Counter {
    index: u32,
    /// Its values are codes of MCC groups.
    of_groups: bool,
}

impl Translation {
    /// Compares a part's tables with those of the book in force.
    pub fn new(old: &Tables, new: &Tables, book: &Book) -> Self {
        let identities =
            |tables: &Tables| -> Vec<u64> { tables.aggregates.iter().map(|(id, _)| *id).collect() };
        let (olds, news) = (identities(old), identities(new));
        let from = pair(&news, &olds);
        let counters = pair(&olds, &news)
            .into_iter()
            .map(|index| {
                let index = index?;
                let aggregate = book.aggregates.get(index)?;
                Some(Counter {
                    index: u32::try_from(index).ok()?,
                    of_groups: aggregate.op == Op::Distinct && aggregate.of == Of::MccGroup,
                })
            })
            .collect();
        let are_groups_same = old.groups == new.groups;
        Self {
            from,
            counters,
            states: states(&old.sequences, &new.sequences),
            groups: groups(&old.groups, &new.groups),
            is_same: are_groups_same && olds == news && old.sequences == new.sequences,
            are_groups_same,
        }
    }

    /// Says a record's words anew; what has no counterpart under the book in force is dropped.
    pub fn apply(&self, record: &mut Record, book: &Book) {
        if self.is_same {
            return;
        }
        cells::rekey(record, |cell| self.cell(cell));
        if self.are_groups_same {
            return;
        }
        record.recode_groups(|code| self.group(i64::from(code)).map(u32::from));
        past::reclass(record, |class| self.class(class));
        let challenges = record.cold.iter_mut().flat_map(|cold| &mut cold.challenges);
        for purchase in challenges.filter_map(|challenge| challenge.purchase.as_mut()) {
            purchase.mcc_group = book.mcc_groups.code(purchase.mcc);
        }
    }

    fn cell(&self, cell: Cell) -> Option<Cell> {
        if let Some(state) = cell.id.checked_sub(SEQUENCES) {
            let state = (*self.states.get(usize::try_from(state).ok()?)?)?;
            let id = SEQUENCES + state;
            return Some(Cell { id, ..cell });
        }
        let counter = (*self.counters.get(usize::try_from(cell.id / 2).ok()?)?)?;
        let value = if counter.of_groups && !self.are_groups_same {
            i64::from(self.group(cell.value)?)
        } else {
            cell.value
        };
        Some(Cell {
            id: counter.index * 2 + cell.id % 2,
            value,
            ..cell
        })
    }

    fn class(&self, class: Class) -> Class {
        let code = class.get(ClassField::MccGroup);
        class.with(
            ClassField::MccGroup,
            self.group(i64::from(code)).unwrap_or(0),
        )
    }

    /// The code of a group under the book in force; nothing for one that is gone.
    fn group(&self, code: i64) -> Option<u8> {
        let code = usize::try_from(code).ok()?;
        self.groups.get(code).copied().filter(|code| *code != 0)
    }
}

/// For each of `these` the place of its like among `those`, each used once, in order.
fn pair(these: &[u64], those: &[u64]) -> Vec<Option<usize>> {
    let mut used = vec![false; those.len()];
    these
        .iter()
        .map(|this| {
            let place = those
                .iter()
                .zip(&used)
                .position(|(that, used)| that == this && !used)?;
            if let Some(used) = used.get_mut(place) {
                *used = true;
            }
            Some(place)
        })
        .collect()
}

/// For each state's number in the part its number in the book in force.
fn states(old: &[States], new: &[States]) -> Vec<Option<u32>> {
    let end = |states: &States| usize::from(states.first) + usize::from(states.many);
    let mut map = vec![None; old.iter().map(end).max().unwrap_or(0)];
    for states in old {
        let same = |other: &&States| other.identity == states.identity && other.many == states.many;
        let Some(now) = new.iter().find(same) else {
            continue;
        };
        let from = usize::from(states.first);
        let places = map.get_mut(from..end(states)).unwrap_or_default();
        for (number, place) in (u32::from(now.first)..).zip(places) {
            *place = Some(number);
        }
    }
    map
}

/// For each group's code in the part its code in the book in force; 0 for none.
fn groups(old: &[String], new: &[String]) -> [u8; 16] {
    let mut map = [0; 16];
    for (place, name) in map.iter_mut().skip(1).zip(old) {
        let code = new.iter().position(|known| known == name).map(|at| at + 1);
        *place = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(0);
    }
    map
}
