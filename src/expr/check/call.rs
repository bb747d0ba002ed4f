//! The functions and methods of the language: `has`, `double`, `int`, `duration`, `in_list`, and those of texts.
//!
//! It evaluates nothing but the literal of a `duration`.

use std::ops::Range;

use super::told::list_help;
use super::{Checker, Kind, Value};
use crate::expr::duration::parse_duration;
use crate::expr::scheme::{Type, Unit};
use crate::expr::syntax::{Ast, Node};
use crate::expr::tree::{Affix, Reading, Real, Truth, Whole, Words};
use crate::problem::closest;

const FUNCTIONS: [&str; 5] = ["double", "duration", "has", "in_list", "int"];
const METHODS: [&str; 4] = ["contains", "endsWith", "size", "startsWith"];

impl Checker<'_, '_> {
    pub(super) fn call(
        &mut self,
        ast: &Ast,
        name: &str,
        at: &Range<usize>,
        method: bool,
        args: &[Ast],
    ) -> Option<Value> {
        match (method, name, args) {
            (false, "has", [field]) => self.has(field),
            (false, "double", [number]) => self.double(number),
            (false, "int", [number]) => self.int(number),
            (false, "duration", [text]) => self.duration(text),
            (false, "in_list", [field, list]) => self.in_list(field, list),
            (true, "size", [text]) => Some(Value::Whole(
                Whole::Size(Box::new(self.words(text)?)),
                Kind::Int(Unit::Plain),
            )),
            (true, "startsWith", [text, piece]) => self.affix(Affix::Starts, text, piece),
            (true, "endsWith", [text, piece]) => self.affix(Affix::Ends, text, piece),
            (true, "contains", [text, piece]) => self.affix(Affix::Contains, text, piece),
            _ => self.no_such_call(ast, name, at, method, args),
        }
    }

    fn no_such_call<T>(
        &mut self,
        ast: &Ast,
        name: &str,
        at: &Range<usize>,
        method: bool,
        args: &[Ast],
    ) -> Option<T> {
        // Names in the arguments are still worth a look; what type they have no longer is.
        args.iter().for_each(|arg| drop(self.value(arg)));
        let known = if method {
            METHODS.as_slice()
        } else {
            FUNCTIONS.as_slice()
        };
        if known.contains(&name) {
            let form = match name {
                "in_list" => "in_list(x, \"list-name\")".to_owned(),
                "size" => "x.size()".to_owned(),
                "duration" => "duration(\"24h\")".to_owned(),
                _ if method => format!("x.{name}(\"…\")"),
                _ => format!("{name}(x)"),
            };
            return self.fault(
                ast.span.clone(),
                format!("wrong number of arguments for `{name}`"),
                Some(format!("write `{form}`")),
            );
        }
        let help = if !method && METHODS.contains(&name) {
            let rest = if name == "size" { "" } else { "\"…\"" };
            Some(format!("write `x.{name}({rest})`"))
        } else if method && FUNCTIONS.contains(&name) {
            Some(format!("write `{name}(x)`"))
        } else {
            closest(name, known.iter().copied()).map(|meant| format!("did you mean `{meant}`?"))
        };
        let what = if method { "method" } else { "function" };
        self.fault(at.clone(), format!("unknown {what} `{name}`"), help)
    }

    fn has(&mut self, field: &Ast) -> Option<Value> {
        let Node::Name(name) = &field.node else {
            let help = "write `has(x)`, with the name of a field".to_owned();
            return self.fault(
                field.span.clone(),
                "`has` asks whether a field is known",
                Some(help),
            );
        };
        let (slot, field) = self.field(name, field.span.clone())?;
        let reading = match &field.kind {
            Type::Bool => Reading::Bool,
            Type::Int(_) | Type::Duration | Type::Symbol(_) | Type::Code(_) => Reading::Int,
            Type::Float(_) => Reading::Float,
            Type::Text => Reading::Text,
        };
        Some(Value::Truth(Truth::Has(slot, reading)))
    }

    fn double(&mut self, number: &Ast) -> Option<Value> {
        match self.value(number)? {
            Value::Whole(whole, Kind::Int(unit)) => {
                Some(Value::Real(Real::FromInt(Box::new(whole)), unit))
            }
            real @ Value::Real(..) => Some(real),
            other @ (Value::Whole(..) | Value::Truth(_) | Value::Words(_)) => {
                self.no_number("double", number, &other)
            }
        }
    }

    fn int(&mut self, number: &Ast) -> Option<Value> {
        match self.value(number)? {
            Value::Real(real, unit) => Some(Value::Whole(
                Whole::FromFloat(Box::new(real)),
                Kind::Int(unit),
            )),
            whole @ Value::Whole(_, Kind::Int(_)) => Some(whole),
            other @ (Value::Whole(..) | Value::Truth(_) | Value::Words(_)) => {
                self.no_number("int", number, &other)
            }
        }
    }

    fn no_number<T>(&mut self, function: &str, at: &Ast, value: &Value) -> Option<T> {
        let message = format!("`{function}` wants a number, not {}", self.told(at, value));
        self.fault(at.span.clone(), message, None)
    }

    fn duration(&mut self, text: &Ast) -> Option<Value> {
        let help =
            "write it with the units `d`, `h`, `m`, `s` and `ms`, as in `duration(\"1h30m\")`"
                .to_owned();
        let Node::Text(written) = &text.node else {
            return self.fault(text.span.clone(), "`duration` wants a text", Some(help));
        };
        match parse_duration(written) {
            Some(span_ms) => Some(Value::Whole(Whole::Const(Some(span_ms)), Kind::Duration)),
            None => self.fault(
                text.span.clone(),
                format!("{written:?} is no duration"),
                Some(help),
            ),
        }
    }

    fn in_list(&mut self, field: &Ast, list: &Ast) -> Option<Value> {
        let slot = self.listable(field);
        let number = if let Node::Text(name) = &list.node {
            self.scheme.list(name).or_else(|| {
                let help = list_help(self.scheme, name);
                self.fault(
                    list.span.clone(),
                    format!("unknown list {name:?}"),
                    Some(help),
                )
            })
        } else {
            let help = "write `in_list(x, \"list-name\")`".to_owned();
            self.fault(list.span.clone(), "a list is named by a text", Some(help))
        };
        Some(Value::Truth(Truth::Listed {
            slot: slot?,
            list: number?,
        }))
    }

    fn listable(&mut self, ast: &Ast) -> Option<u16> {
        let Node::Name(name) = &ast.node else {
            let help = "write `in_list(x, \"list-name\")`, with the name of a field".to_owned();
            return self.fault(ast.span.clone(), "`in_list` looks up a field", Some(help));
        };
        let (slot, field) = self.field(name, ast.span.clone())?;
        match &field.kind {
            Type::Text | Type::Symbol(_) | Type::Code(_) => Some(slot),
            Type::Bool | Type::Int(_) | Type::Float(_) | Type::Duration => {
                let value = self.value(ast)?;
                let message = format!(
                    "lists hold texts, words and codes, and {} is none",
                    self.told(ast, &value)
                );
                self.fault(ast.span.clone(), message, None)
            }
        }
    }

    fn affix(&mut self, affix: Affix, text: &Ast, piece: &Ast) -> Option<Value> {
        let (text, piece) = (self.words(text), self.words(piece));
        Some(Value::Truth(Truth::Affix(affix, Box::new([text?, piece?]))))
    }

    fn words(&mut self, ast: &Ast) -> Option<Words> {
        match self.value(ast)? {
            Value::Words(words) => Some(words),
            other @ (Value::Whole(..) | Value::Truth(_) | Value::Real(..)) => {
                let help = matches!(other, Value::Whole(_, Kind::Symbol(_) | Kind::Code(_)))
                    .then(|| "compare it with `==` or `in`".to_owned());
                let message = format!("expected a text, found {}", self.told(ast, &other));
                self.fault(ast.span.clone(), message, help)
            }
        }
    }
}
