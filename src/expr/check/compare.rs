//! Comparisons and membership in lists: who may be compared with whom.
//!
//! It converts nothing: values of different kinds are a fault, with the way to write it.

use super::told::{literal, word_help};
use super::{Checker, Kind, Value, agree};
use crate::expr::scheme::Symbols;
use crate::expr::syntax::{Ast, Compare};
use crate::expr::tree::{Real, Truth, Whole, Words};

impl Checker<'_, '_> {
    pub(super) fn compare(
        &mut self,
        ast: &Ast,
        compare: Compare,
        sides: &[Ast; 2],
    ) -> Option<Truth> {
        let (left, right) = self.both(sides)?;
        let equal = compare == Compare::Eq;
        if !matches!(compare, Compare::Eq | Compare::Ne) {
            self.orderable(ast, compare, sides, (&left, &right))?;
        }
        match (left, right) {
            (Value::Truth(left), Value::Truth(right)) => Some(Truth::Same {
                equal,
                sides: Box::new([left, right]),
            }),
            (Value::Words(left), Value::Words(right)) => Some(Truth::TextSame {
                equal,
                sides: Box::new([left, right]),
            }),
            (Value::Real(left, of_left), Value::Real(right, of_right)) => {
                if !agree(of_left, of_right) {
                    return self.apart(
                        ast,
                        sides,
                        (&Value::Real(left, of_left), &Value::Real(right, of_right)),
                    );
                }
                Some(Truth::FloatCompare(compare, Box::new([left, right])))
            }
            (
                Value::Whole(whole, kind @ (Kind::Symbol(_) | Kind::Code(_))),
                Value::Words(Words::Const(text)),
            ) => {
                let number = self.number(&kind, &text, &sides[1])?;
                Some(equals(whole, &kind, number, equal))
            }
            (
                Value::Words(Words::Const(text)),
                Value::Whole(whole, kind @ (Kind::Symbol(_) | Kind::Code(_))),
            ) => {
                let number = self.number(&kind, &text, &sides[0])?;
                Some(equals(whole, &kind, number, equal))
            }
            (Value::Whole(left, of_left), Value::Whole(right, of_right)) => {
                let fits = match (&of_left, &of_right) {
                    (Kind::Int(left), Kind::Int(right)) => agree(*left, *right),
                    (left, right) => left.same(right),
                };
                if !fits {
                    return self.apart(
                        ast,
                        sides,
                        (&Value::Whole(left, of_left), &Value::Whole(right, of_right)),
                    );
                }
                Some(Truth::IntCompare(compare, Box::new([left, right])))
            }
            (left, right) => self.apart(ast, sides, (&left, &right)),
        }
    }

    /// Only numbers and durations have an order.
    fn orderable(
        &mut self,
        ast: &Ast,
        compare: Compare,
        sides: &[Ast; 2],
        values: (&Value, &Value),
    ) -> Option<()> {
        let ordered = |value: &Value| {
            matches!(
                value,
                Value::Real(..) | Value::Whole(_, Kind::Int(_) | Kind::Duration)
            )
        };
        let chain = |value: &Value, side: &Ast| {
            matches!(value, Value::Truth(_))
                && matches!(side.node, crate::expr::syntax::Node::Compare(..))
        };
        for (value, side) in [(values.0, &sides[0]), (values.1, &sides[1])] {
            if !ordered(value) {
                let help = if chain(value, side) {
                    "compare twice, as in `1 < x && x < 5`"
                } else {
                    "only numbers and durations have an order: use `==`, `!=` or `in`"
                };
                let message = format!(
                    "`{}` does not order {}",
                    compare.mark(),
                    self.told(side, value)
                );
                return self.fault(ast.span.clone(), message, Some(help.to_owned()));
            }
        }
        Some(())
    }

    /// The fault of two values that cannot be compared.
    fn apart<T>(&mut self, ast: &Ast, sides: &[Ast; 2], values: (&Value, &Value)) -> Option<T> {
        let [left, right] = sides;
        let units = matches!(
            values,
            (Value::Whole(_, Kind::Int(_)), Value::Whole(_, Kind::Int(_)))
                | (Value::Real(..), Value::Real(..))
        );
        let wrong = if units { "wrong unit: " } else { "" };
        let message = format!(
            "{wrong}{} and {} cannot be compared",
            self.told(left, values.0),
            self.told(right, values.1)
        );
        let help = self.bridge((left, values.0), (right, values.1));
        self.fault(ast.span.clone(), message, help)
    }

    /// The number of a word or code written as a text.
    fn number(&mut self, kind: &Kind, text: &str, at: &Ast) -> Option<i64> {
        match kind {
            Kind::Symbol(symbols) => match symbols.code(text) {
                Some(code) => Some(i64::from(code)),
                None => {
                    let help = word_help(symbols, text);
                    self.fault(
                        at.span.clone(),
                        format!("unknown word {text:?} for `{}`", symbols.name),
                        Some(help),
                    )
                }
            },
            Kind::Code(code) => match (code.parse)(text) {
                Some(number) => Some(i64::from(number)),
                None => {
                    let help = format!("a {} is {}", code.name, code.hint);
                    self.fault(
                        at.span.clone(),
                        format!("{text:?} is no {}", code.name),
                        Some(help),
                    )
                }
            },
            Kind::Int(_) | Kind::Duration => None,
        }
    }

    pub(super) fn membership(&mut self, one: &Ast, items: &[Ast]) -> Option<Truth> {
        let value = self.value(one);
        let checked: Vec<Option<Value>> = items.iter().map(|item| self.item(item)).collect();
        let (value, checked) = (value?, checked.into_iter().collect::<Option<Vec<Value>>>()?);
        let items = (items, checked);
        match &value {
            Value::Truth(truth) => {
                let values = self.collect(one, &value, items, |item| match item {
                    Value::Truth(Truth::Const(value)) => *value,
                    Value::Truth(_) | Value::Whole(..) | Value::Real(..) | Value::Words(_) => None,
                })?;
                Some(truth_in(truth.clone(), &values))
            }
            Value::Words(words) => {
                let values = self.collect(one, &value, items, text_of)?;
                Some(Truth::TextIn(Box::new((words.clone(), values))))
            }
            Value::Real(real, _) => {
                let values = self.collect(one, &value, items, |item| match item {
                    Value::Real(Real::Const(value), _) => *value,
                    Value::Real(..) | Value::Truth(_) | Value::Whole(..) | Value::Words(_) => None,
                })?;
                Some(Truth::FloatIn(Box::new((real.clone(), values))))
            }
            Value::Whole(whole, kind @ (Kind::Symbol(_) | Kind::Code(_))) => {
                let places = items.0;
                let texts = self.collect(one, &value, items, text_of)?;
                let numbers: Vec<Option<i64>> = texts
                    .iter()
                    .zip(places)
                    .map(|(text, at)| self.number(kind, text, at))
                    .collect();
                let numbers = numbers.into_iter().collect::<Option<Vec<i64>>>()?;
                Some(match (whole, kind) {
                    (Whole::Slot(slot), Kind::Symbol(symbols)) => Truth::Class {
                        slot: *slot,
                        mask: mask(symbols, &numbers),
                    },
                    _ => Truth::int_in(whole.clone(), numbers),
                })
            }
            Value::Whole(whole, kind @ (Kind::Int(_) | Kind::Duration)) => {
                let values = self.collect(one, &value, items, |item| match item {
                    Value::Whole(Whole::Const(value), found)
                        if found.same(kind) || both_numbers(found, kind) =>
                    {
                        *value
                    }
                    Value::Whole(..) | Value::Words(_) | Value::Truth(_) | Value::Real(..) => None,
                })?;
                Some(Truth::int_in(whole.clone(), values))
            }
        }
    }

    /// One item of a list, which must be a literal.
    fn item(&mut self, item: &Ast) -> Option<Value> {
        let value = self.value(item)?;
        if literal(&value) {
            return Some(value);
        }
        let help = "compare with `==` and join with `||`, or keep a list and ask `in_list(x, \"list-name\")`";
        let message = format!(
            "a list holds literals only, and {} is none",
            self.told(item, &value)
        );
        self.fault(item.span.clone(), message, Some(help.to_owned()))
    }

    /// The items of a list as the kind that is looked for; every one that does not fit is a fault.
    fn collect<T>(
        &mut self,
        one: &Ast,
        value: &Value,
        (items, found): (&[Ast], Vec<Value>),
        take: impl Fn(&Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut taken = Vec::with_capacity(found.len());
        for (item, found) in items.iter().zip(&found) {
            if let Some(fitting) = take(found) {
                taken.push(fitting);
                continue;
            }
            let (wanted, told) = (self.told(one, value), self.told(item, found));
            let help = self.bridge((one, value), (item, found));
            self.faults.add(
                item.span.clone(),
                format!("{wanted} cannot be found among {told}"),
                help,
            );
        }
        (taken.len() == found.len()).then_some(taken)
    }
}

fn text_of(item: &Value) -> Option<String> {
    match item {
        Value::Words(Words::Const(text)) => Some(text.clone()),
        Value::Words(_) | Value::Truth(_) | Value::Whole(..) | Value::Real(..) => None,
    }
}

fn both_numbers(left: &Kind, right: &Kind) -> bool {
    matches!((left, right), (Kind::Int(_), Kind::Int(_)))
}

fn mask(symbols: &Symbols, codes: &[i64]) -> u64 {
    let all = (1_i64..)
        .zip(&symbols.words)
        .filter(|(code, _)| codes.contains(code));
    all.fold(0, |mask, (code, _)| mask | (1 << code))
}

fn equals(whole: Whole, kind: &Kind, number: i64, equal: bool) -> Truth {
    match (whole, kind) {
        (Whole::Slot(slot), Kind::Symbol(symbols)) => {
            let class = Truth::Class {
                slot,
                mask: mask(symbols, &[number]),
            };
            if equal { class } else { class.negated() }
        }
        (whole, _) => {
            let compare = if equal { Compare::Eq } else { Compare::Ne };
            Truth::IntCompare(compare, Box::new([whole, Whole::Const(Some(number))]))
        }
    }
}

/// Membership of a truth value: where it is known, each of its values has its answer.
fn truth_in(truth: Truth, values: &[bool]) -> Truth {
    let answer = |value: bool| Truth::Const(Some(values.contains(&value)));
    Truth::If(Box::new([truth, answer(true), answer(false)]))
}
