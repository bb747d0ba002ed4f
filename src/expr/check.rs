//! Names and types: a tree of syntax into a typed tree over slots, every fault told in the user's words.
//!
//! It does not optimise, and it guesses no conversions: what CEL refuses is refused, with the way to write it.

mod call;
mod compare;
mod told;

use std::ops::Range;
use std::sync::Arc;

use super::Faults;
use super::scheme::{CodeKind, Field, Scheme, Slot, Symbols, Type, Unit};
use super::syntax::{Arith, Ast, Node};
use super::tree::{Real, Truth, Whole, Words};
use crate::problem::closest;

/// A typed part of an expression.
#[derive(Debug, Clone)]
enum Value {
    Truth(Truth),
    Whole(Whole, Kind),
    Real(Real, Unit),
    Words(Words),
}

/// What an integer stands for.
#[derive(Debug, Clone)]
enum Kind {
    Int(Unit),
    Duration,
    Symbol(Arc<Symbols>),
    Code(&'static CodeKind),
}

impl Kind {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => left == right,
            (Self::Duration, Self::Duration) => true,
            (Self::Symbol(left), Self::Symbol(right)) => left == right,
            (Self::Code(left), Self::Code(right)) => left.name == right.name,
            _ => false,
        }
    }
}

/// Walks a tree of syntax; every fault goes to `faults`.
pub struct Checker<'s, 'f> {
    source: &'s str,
    scheme: &'s Scheme,
    faults: &'f mut Faults,
}

impl<'s, 'f> Checker<'s, 'f> {
    pub fn new(source: &'s str, scheme: &'s Scheme, faults: &'f mut Faults) -> Self {
        Self {
            source,
            scheme,
            faults,
        }
    }

    /// The tree as a condition; `None` where something in it has a fault.
    pub fn condition(&mut self, ast: &Ast) -> Option<Truth> {
        match self.value(ast)? {
            Value::Truth(truth) => Some(truth),
            other @ (Value::Whole(..) | Value::Real(..) | Value::Words(_)) => {
                let told = self.told(ast, &other);
                let help = match other {
                    Value::Whole(_, Kind::Int(_)) | Value::Real(..) => "compare it, as in `… > 0`",
                    Value::Whole(_, Kind::Duration) => "compare it, as in `… > duration(\"24h\")`",
                    Value::Whole(_, Kind::Symbol(_) | Kind::Code(_)) | Value::Words(_) => {
                        "compare it, as in `… == \"…\"`"
                    }
                    Value::Truth(_) => return None,
                };
                self.fault(
                    ast.span.clone(),
                    format!("expected a condition, found {told}"),
                    Some(help.to_owned()),
                )
            }
        }
    }

    /// Notes a fault; gives `None` so that it can end a check.
    fn fault<T>(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Option<T> {
        self.faults.add(span, message, help);
        None
    }

    fn value(&mut self, ast: &Ast) -> Option<Value> {
        match &ast.node {
            Node::Bad => None,
            Node::Bool(value) => Some(Value::Truth(Truth::Const(Some(*value)))),
            Node::Int(value) => Some(Value::Whole(
                Whole::Const(Some(*value)),
                Kind::Int(Unit::Plain),
            )),
            Node::Double(value) => Some(Value::Real(Real::Const(Some(*value)), Unit::Plain)),
            Node::Text(text) => Some(Value::Words(Words::Const(text.clone()))),
            Node::Name(name) => {
                let (slot, field) = self.field(name, ast.span.clone())?;
                Some(match &field.kind {
                    Type::Bool => Value::Truth(Truth::Slot(slot)),
                    Type::Int(unit) => Value::Whole(Whole::Slot(slot), Kind::Int(*unit)),
                    Type::Float(unit) => Value::Real(Real::Slot(slot), *unit),
                    Type::Duration => Value::Whole(Whole::Slot(slot), Kind::Duration),
                    Type::Text => Value::Words(Words::Slot(slot)),
                    Type::Symbol(symbols) => {
                        Value::Whole(Whole::Slot(slot), Kind::Symbol(Arc::clone(symbols)))
                    }
                    Type::Code(kind) => Value::Whole(Whole::Slot(slot), Kind::Code(kind)),
                })
            }
            Node::Not(inner) => Some(Value::Truth(self.condition(inner)?.negated())),
            Node::Neg(inner) => self.negative(ast, inner),
            Node::Compare(compare, sides) => self.compare(ast, *compare, sides).map(Value::Truth),
            Node::Arith(arith, sides) => self.arith(ast, *arith, sides),
            Node::And(parts) => self
                .conditions(parts)
                .map(|parts| Value::Truth(Truth::And(parts))),
            Node::Or(parts) => self
                .conditions(parts)
                .map(|parts| Value::Truth(Truth::Or(parts))),
            Node::If(three) => self.choice(ast, three),
            Node::In(one, items) => self.membership(one, items).map(Value::Truth),
            Node::Call {
                name,
                name_span,
                method,
                args,
            } => self.call(ast, name, name_span, *method, args),
        }
    }

    /// All parts are checked, also after a fault in one.
    fn conditions(&mut self, parts: &[Ast]) -> Option<Box<[Truth]>> {
        let checked: Vec<Option<Truth>> = parts.iter().map(|part| self.condition(part)).collect();
        checked.into_iter().collect()
    }

    /// The values of both, also checked after a fault in the first.
    fn both(&mut self, sides: &[Ast; 2]) -> Option<(Value, Value)> {
        let [left, right] = sides;
        let (left, right) = (self.value(left), self.value(right));
        Some((left?, right?))
    }

    fn field(&mut self, name: &str, span: Range<usize>) -> Option<(Slot, &'s Field)> {
        let scheme = self.scheme;
        if let Some(slot) = scheme.slot(name)
            && let Some(field) = scheme.field(slot)
        {
            return Some((slot, field));
        }
        let is_word = |field: &Field| match &field.kind {
            Type::Symbol(symbols) => symbols.code(name).is_some(),
            Type::Bool
            | Type::Int(_)
            | Type::Float(_)
            | Type::Duration
            | Type::Text
            | Type::Code(_) => false,
        };
        let help = if name == "null" {
            Some("whether a value is known is asked with `has(…)`".to_owned())
        } else if scheme.fields().iter().any(is_word) {
            Some(format!("write `\"{name}\"`, in quotes"))
        } else {
            closest(name, scheme.names()).map(|meant| format!("did you mean `{meant}`?"))
        };
        self.fault(span, format!("unknown field `{name}`"), help)
    }

    fn negative(&mut self, ast: &Ast, inner: &Ast) -> Option<Value> {
        match self.value(inner)? {
            Value::Whole(whole, Kind::Int(unit)) => {
                Some(Value::Whole(Whole::Neg(Box::new(whole)), Kind::Int(unit)))
            }
            Value::Real(real, unit) => Some(Value::Real(Real::Neg(Box::new(real)), unit)),
            other @ (Value::Whole(..) | Value::Truth(_) | Value::Words(_)) => {
                let told = self.told(inner, &other);
                let help = matches!(other, Value::Truth(_)).then(|| "write `!` for not".to_owned());
                self.fault(
                    ast.span.clone(),
                    format!("`-` wants a number, not {told}"),
                    help,
                )
            }
        }
    }

    fn choice(&mut self, ast: &Ast, three: &[Ast; 3]) -> Option<Value> {
        let [condition, yes_ast, no_ast] = three;
        let (condition, yes, no) = (
            self.condition(condition),
            self.value(yes_ast),
            self.value(no_ast),
        );
        let (condition, yes, no) = (condition?, yes?, no?);
        match (yes, no) {
            (Value::Truth(yes), Value::Truth(no)) => {
                Some(Value::Truth(Truth::If(Box::new([condition, yes, no]))))
            }
            (Value::Words(yes), Value::Words(no)) => {
                Some(Value::Words(Words::If(Box::new((condition, yes, no)))))
            }
            (Value::Real(yes, left), Value::Real(no, right)) if agree(left, right) => Some(
                Value::Real(Real::If(Box::new((condition, yes, no))), joint(left, right)),
            ),
            (Value::Whole(yes, Kind::Int(left)), Value::Whole(no, Kind::Int(right)))
                if agree(left, right) =>
            {
                Some(Value::Whole(
                    Whole::If(Box::new((condition, yes, no))),
                    Kind::Int(joint(left, right)),
                ))
            }
            (Value::Whole(yes, left), Value::Whole(no, right)) if left.same(&right) => Some(
                Value::Whole(Whole::If(Box::new((condition, yes, no))), left),
            ),
            (yes, no) => {
                let message = format!(
                    "both branches of `?` give the same kind of value, but these are {} and {}",
                    self.told(yes_ast, &yes),
                    self.told(no_ast, &no)
                );
                let help = self.bridge((yes_ast, &yes), (no_ast, &no));
                self.fault(ast.span.clone(), message, help)
            }
        }
    }

    fn arith(&mut self, ast: &Ast, arith: Arith, sides: &[Ast; 2]) -> Option<Value> {
        let (left, right) = self.both(sides)?;
        match (&left, &right) {
            (Value::Whole(a, Kind::Int(of_a)), Value::Whole(b, Kind::Int(of_b))) => {
                let unit = self.unit_of(ast, arith, (*of_a, *of_b), sides, (&left, &right))?;
                Some(Value::Whole(
                    Whole::Arith(arith, Box::new([a.clone(), b.clone()])),
                    Kind::Int(unit),
                ))
            }
            (Value::Real(a, of_a), Value::Real(b, of_b)) if arith != Arith::Rem => {
                let unit = self.unit_of(ast, arith, (*of_a, *of_b), sides, (&left, &right))?;
                Some(Value::Real(
                    Real::Arith(arith, Box::new([a.clone(), b.clone()])),
                    unit,
                ))
            }
            (Value::Whole(a, Kind::Duration), Value::Whole(b, Kind::Duration))
                if matches!(arith, Arith::Add | Arith::Sub) =>
            {
                Some(Value::Whole(
                    Whole::Arith(arith, Box::new([a.clone(), b.clone()])),
                    Kind::Duration,
                ))
            }
            _ => {
                let [a, b] = sides;
                let message = format!(
                    "`{}` does not take {} and {}",
                    arith.mark(),
                    self.told(a, &left),
                    self.told(b, &right)
                );
                let help = match (&left, &right) {
                    (Value::Real(..), Value::Real(..)) => {
                        Some("only integers have a remainder: write `int(…)`".to_owned())
                    }
                    (Value::Words(_), Value::Words(_)) => {
                        Some("texts are compared, not computed with".to_owned())
                    }
                    _ => self.bridge((a, &left), (b, &right)),
                };
                self.fault(ast.span.clone(), message, help)
            }
        }
    }

    /// The unit of a result: sums want one unit; of products and quotients it is kept where only one side has one.
    fn unit_of(
        &mut self,
        ast: &Ast,
        arith: Arith,
        units: (Unit, Unit),
        sides: &[Ast; 2],
        values: (&Value, &Value),
    ) -> Option<Unit> {
        let bare = |unit: Unit| matches!(unit, Unit::Plain | Unit::Count | Unit::Ratio);
        let (left, right) = units;
        match arith {
            Arith::Add | Arith::Sub if agree(left, right) => Some(joint(left, right)),
            Arith::Add | Arith::Sub => {
                let [a, b] = sides;
                let (a, b) = (self.told(a, values.0), self.told(b, values.1));
                self.fault(
                    ast.span.clone(),
                    format!("wrong unit: `{}` does not take {a} and {b}", arith.mark()),
                    None,
                )
            }
            Arith::Mul if bare(right) && !bare(left) => Some(left),
            Arith::Mul if bare(left) && !bare(right) => Some(right),
            Arith::Div | Arith::Rem if bare(right) && !bare(left) => Some(left),
            Arith::Rem if left == right => Some(left),
            Arith::Mul | Arith::Div | Arith::Rem => Some(Unit::Plain),
        }
    }
}

/// Whether numbers of these units may be compared or added.
fn agree(left: Unit, right: Unit) -> bool {
    left == right || left == Unit::Plain || right == Unit::Plain
}

fn joint(left: Unit, right: Unit) -> Unit {
    if left == Unit::Plain { right } else { left }
}
