//! How the checker speaks of values: their text, their kind, and what would make two of them fit.
//!
//! It judges nothing; what is a fault is for the rest of the checker to say.

use super::{Checker, Kind, Value};
use crate::expr::scheme::{Scheme, Symbols, Unit};
use crate::expr::syntax::{Arith, Ast, Compare};
use crate::expr::tree::{Real, Whole, Words};
use crate::problem::closest;

/// Longest piece of source quoted inside a message; the carets show the rest.
const MAX_QUOTED_CHARS: usize = 40;

impl Compare {
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

impl Arith {
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
        }
    }
}

impl Value {
    /// Its kind, as a noun.
    fn kind(&self) -> String {
        match self {
            Self::Truth(_) => "true or false".to_owned(),
            Self::Whole(_, Kind::Int(Unit::Plain)) => "an integer".to_owned(),
            Self::Whole(_, Kind::Int(unit)) => format!("{unit}, an integer"),
            Self::Whole(_, Kind::Duration) => "a duration".to_owned(),
            Self::Whole(_, Kind::Symbol(symbols)) => format!("a word of `{}`", symbols.name),
            Self::Whole(_, Kind::Code(kind)) => format!("a {}", kind.name),
            Self::Real(_, Unit::Plain) => "a double".to_owned(),
            Self::Real(_, unit) => format!("{unit}, a double"),
            Self::Words(_) => "a text".to_owned(),
        }
    }
}

impl Checker<'_, '_> {
    /// A value as messages name it: its source and its kind.
    pub(super) fn told(&self, ast: &Ast, value: &Value) -> String {
        let text = self.quoted(ast);
        if text.is_empty() {
            value.kind()
        } else {
            format!("`{text}` ({})", value.kind())
        }
    }

    /// The source of a part, or nothing where it is too long to quote.
    pub(super) fn quoted(&self, ast: &Ast) -> &str {
        let text = self.source.get(ast.span.clone()).unwrap_or_default();
        if text.contains('\n') || text.chars().count() > MAX_QUOTED_CHARS {
            ""
        } else {
            text
        }
    }

    /// What would make two numbers of different kinds fit, if anything does.
    pub(super) fn bridge(&self, left: (&Ast, &Value), right: (&Ast, &Value)) -> Option<String> {
        match (left.1, right.1) {
            (Value::Whole(Whole::Const(Some(value)), Kind::Int(_)), Value::Real(..))
            | (Value::Real(..), Value::Whole(Whole::Const(Some(value)), Kind::Int(_))) => {
                Some(format!("write `{value}.0`"))
            }
            (Value::Whole(_, Kind::Int(_)), Value::Real(..)) => Some(self.as_double(left.0)),
            (Value::Real(..), Value::Whole(_, Kind::Int(_))) => Some(self.as_double(right.0)),
            (
                Value::Whole(_, Kind::Duration),
                Value::Whole(_, Kind::Int(_)) | Value::Real(..) | Value::Words(Words::Const(_)),
            )
            | (
                Value::Whole(_, Kind::Int(_)) | Value::Real(..) | Value::Words(Words::Const(_)),
                Value::Whole(_, Kind::Duration),
            ) => Some("write `duration(\"24h\")`".to_owned()),
            (
                Value::Whole(_, Kind::Code(kind)),
                Value::Whole(Whole::Const(Some(number)), Kind::Int(_)),
            )
            | (
                Value::Whole(Whole::Const(Some(number)), Kind::Int(_)),
                Value::Whole(_, Kind::Code(kind)),
            ) => Some(match (kind.parse)(&number.to_string()) {
                Some(_) => format!("write `\"{number}\"`"),
                None => format!("a {} is {}", kind.name, kind.hint),
            }),
            (Value::Whole(_, Kind::Symbol(symbols)), _)
            | (_, Value::Whole(_, Kind::Symbol(symbols))) => Some(one_of(symbols)),
            _ => None,
        }
    }

    fn as_double(&self, ast: &Ast) -> String {
        match self.quoted(ast) {
            "" => "write `double(…)` around the integer".to_owned(),
            text => format!("write `double({text})`"),
        }
    }
}

/// The words that a set allows.
fn one_of(symbols: &Symbols) -> String {
    let words: Vec<String> = symbols
        .words
        .iter()
        .map(|word| format!("`\"{word}\"`"))
        .collect();
    format!("`{}` is one of {}", symbols.name, words.join(", "))
}

/// What helps against a word that a set does not have.
pub(super) fn word_help(symbols: &Symbols, word: &str) -> String {
    match closest(word, symbols.words.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `\"{meant}\"`? {}", one_of(symbols)),
        None => one_of(symbols),
    }
}

/// What helps against a list that does not exist.
pub(super) fn list_help(scheme: &Scheme, name: &str) -> String {
    if let Some(meant) = closest(name, scheme.list_names()) {
        return format!("did you mean `\"{meant}\"`?");
    }
    let names: Vec<String> = scheme
        .list_names()
        .map(|name| format!("`{name}`"))
        .collect();
    if names.is_empty() {
        "no lists are declared".to_owned()
    } else {
        format!("the lists are {}", names.join(", "))
    }
}

/// Whether a value is written out in the source.
pub(super) fn literal(value: &Value) -> bool {
    match value {
        Value::Whole(whole, _) => matches!(whole, Whole::Const(_)),
        Value::Real(real, _) => matches!(real, Real::Const(_)),
        Value::Words(words) => matches!(words, Words::Const(_)),
        Value::Truth(truth) => matches!(truth, crate::expr::tree::Truth::Const(_)),
    }
}
