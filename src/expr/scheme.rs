//! What an expression may name: typed fields in slots, symbol sets, codes and lists; and [`Facts`], where values come from.
//!
//! It holds no values and no names of its own: features and event fields are declared by whoever builds the scheme.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a field's value is found: its place in the order of declaration.
pub type Slot = u16;

/// Most words of one symbol set, so that a set of codes with the unknown one fits in 64 bits.
pub const MAX_WORDS: usize = 63;

/// What a number counts; numbers of different units are not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A bare number, comparable with all.
    Plain,
    /// Money in minor units.
    Minor,
    /// How many.
    Count,
    /// Kilometres.
    Km,
    /// Kilometres per hour.
    KmPerHour,
    /// A score.
    Score,
    /// Hours.
    Hours,
    /// Days.
    Days,
    /// A share or a multiple.
    Ratio,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "a plain number",
            Self::Minor => "money in minor units",
            Self::Count => "a count",
            Self::Km => "km",
            Self::KmPerHour => "km/h",
            Self::Score => "a score",
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Ratio => "a ratio",
        })
    }
}

/// A closed set of words; the code of `words[i]` is `i + 1`, and 0 stands for an unknown word.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Symbols {
    /// What the set is called in messages, such as `channel`.
    pub name: String,
    /// The words, at most [`MAX_WORDS`].
    pub words: Vec<String>,
}

impl Symbols {
    /// The code of a word, from 1.
    pub fn code(&self, word: &str) -> Option<u32> {
        let at = self.words.iter().position(|known| known == word)?;
        u32::try_from(at + 1).ok()
    }

    /// The word of a code.
    pub fn word(&self, code: i64) -> Option<&str> {
        let at = usize::try_from(code).ok()?.checked_sub(1)?;
        self.words.get(at).map(String::as_str)
    }
}

/// An open set of codes of one standard, such as countries or merchant categories.
#[derive(Debug)]
pub struct CodeKind {
    /// What a code is called in messages, such as `country`.
    pub name: &'static str,
    /// The number of a code as it is written; `None` where it is not one.
    pub parse: fn(&str) -> Option<u32>,
    /// A number as the code is written.
    pub show: fn(u32) -> String,
    /// How a code is written, such as `two capital letters (ISO 3166-1), such as "DK"`.
    pub hint: &'static str,
}

/// What a field holds.
#[derive(Debug, Clone)]
pub enum Type {
    /// True or false.
    Bool,
    /// An integer.
    Int(Unit),
    /// A double.
    Float(Unit),
    /// A span of time, in milliseconds.
    Duration,
    /// Free text.
    Text,
    /// A word of a closed set, as its code.
    Symbol(Arc<Symbols>),
    /// A code of a standard, as its number.
    Code(&'static CodeKind),
}

/// One thing an expression may name.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name; dots may be part of it.
    pub name: String,
    /// What it holds.
    pub kind: Type,
    /// What computing it costs, in nanoseconds: the cheap conditions are tried first.
    pub cost_ns: u32,
    /// What it means, for people.
    pub doc: String,
}

/// Why a field or a list was not taken into a scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The name is taken.
    Taken,
    /// A symbol set has more than [`MAX_WORDS`] words.
    TooManyWords,
    /// All 65,536 slots are in use.
    Full,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("this name is taken"),
            Self::TooManyWords => write!(f, "a set of words has at most {MAX_WORDS}"),
            Self::Full => write!(f, "there are at most {} names", u32::from(Slot::MAX) + 1),
        }
    }
}

impl std::error::Error for Refusal {}

/// The fields in the order of their slots, and the lists that `in_list` may name.
#[derive(Debug, Clone, Default)]
pub struct Scheme {
    fields: Vec<Field>,
    by_name: BTreeMap<String, Slot>,
    lists: BTreeMap<String, u16>,
}

impl Scheme {
    /// Nothing declared yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a field in the next slot.
    ///
    /// # Errors
    /// Where the name is taken, its symbol set too large, or no slot is left.
    pub fn add(&mut self, field: Field) -> Result<Slot, Refusal> {
        let slot = Slot::try_from(self.fields.len()).map_err(|_| Refusal::Full)?;
        if self.by_name.contains_key(&field.name) {
            return Err(Refusal::Taken);
        }
        if let Type::Symbol(symbols) = &field.kind
            && symbols.words.len() > MAX_WORDS
        {
            return Err(Refusal::TooManyWords);
        }
        self.by_name.insert(field.name.clone(), slot);
        self.fields.push(field);
        Ok(slot)
    }

    /// Makes a list known under a number.
    ///
    /// # Errors
    /// Where the name is taken.
    pub fn add_list(&mut self, name: impl Into<String>, list: u16) -> Result<(), Refusal> {
        match self.lists.entry(name.into()) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(list);
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(_) => Err(Refusal::Taken),
        }
    }

    /// The slot of a name.
    pub fn slot(&self, name: &str) -> Option<Slot> {
        self.by_name.get(name).copied()
    }

    /// The field in a slot.
    pub fn field(&self, slot: Slot) -> Option<&Field> {
        self.fields.get(usize::from(slot))
    }

    /// All fields, in the order of their slots.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The number of a list.
    pub fn list(&self, name: &str) -> Option<u16> {
        self.lists.get(name).copied()
    }

    /// The names of the lists, in order.
    pub fn list_names(&self) -> impl Iterator<Item = &str> {
        self.lists.keys().map(String::as_str)
    }

    /// The names of the fields, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

/// Where an expression's values come from; every answer may be `None`, not known.
///
/// Asked for a slot only by the method that fits its type. Taking `&mut self` lets a value be computed when it is first
/// asked for; texts are handed out two at a time for comparison, and so are read through `&self`.
pub trait Facts {
    /// The value of a Bool.
    fn boolean(&mut self, slot: Slot) -> Option<bool>;
    /// The value of an Int, a Duration in milliseconds, the code of a Symbol (never 0) or the number of a Code.
    fn int(&mut self, slot: Slot) -> Option<i64>;
    /// The value of a Float.
    fn float(&mut self, slot: Slot) -> Option<f64>;
    /// The value of a Text.
    fn text(&self, slot: Slot) -> Option<&str>;
    /// Whether the value of a Text, Symbol or Code is in a list.
    fn listed(&mut self, list: u16, slot: Slot) -> Option<bool>;
}

/// The type of a slot among those a program names, sorted by slot.
pub(super) fn kind_in(fields: &[(Slot, Field)], slot: Slot) -> Option<&Type> {
    let at = fields
        .binary_search_by_key(&slot, |(known, _)| *known)
        .ok()?;
    fields.get(at).map(|(_, field)| &field.kind)
}
