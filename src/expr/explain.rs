//! An expression told condition by condition: what each says, and what it read to say so.
//!
//! It works on the order of the source, not on the order of evaluation.

use std::ops::Range;

use super::Faults;
use super::check::Checker;
use super::duration::show_duration;
use super::lex::lex;
use super::scheme::{Facts, Field, Scheme, Slot, Type, kind_in};
use super::syntax::{Ast, Node};
use super::tree::Truth;

/// One condition of an expression and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// How deep it stands within `&&` and `||`, from 0.
    pub depth: usize,
    /// Its source text, on one line, without comments.
    pub text: String,
    /// Its answer; `None` for unknown.
    pub value: Option<bool>,
    /// The names it reads, with their values in words, in the order of their slots; empty for a condition whose parts follow.
    pub reads: Vec<(String, String)>,
}

/// A condition ready to be explained.
#[derive(Debug, Clone)]
pub struct Line {
    depth: usize,
    text: String,
    truth: Truth,
    pub slots: Vec<Slot>,
}

/// The conditions of a faultless expression: the parts of its outermost `&&`, and theirs under them.
pub fn outline(ast: &Ast, source: &str, scheme: &Scheme) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut none = Faults::default();
    let mut checker = Checker::new(source, scheme, &mut none);
    if let Node::And(parts) = &ast.node {
        parts
            .iter()
            .for_each(|part| describe(part, 0, source, &mut checker, &mut lines));
    } else {
        describe(ast, 0, source, &mut checker, &mut lines);
    }
    lines
}

fn describe(
    ast: &Ast,
    depth: usize,
    source: &str,
    checker: &mut Checker<'_, '_>,
    lines: &mut Vec<Line>,
) {
    let Some(truth) = checker.condition(ast) else {
        return;
    };
    let text = on_one_line(source, ast.span.clone());
    let parts = if let Node::And(parts) | Node::Or(parts) = &ast.node {
        parts.as_slice()
    } else {
        &[]
    };
    let slots = if parts.is_empty() {
        truth.slots()
    } else {
        Vec::new()
    };
    lines.push(Line {
        depth,
        text,
        truth,
        slots,
    });
    for part in parts {
        describe(part, depth + 1, source, checker, lines);
    }
}

fn on_one_line(source: &str, span: Range<usize>) -> String {
    let text = source.get(span).unwrap_or_default();
    if !text.contains('\n') {
        return text.to_owned();
    }
    let mut line = String::new();
    let mut end = 0;
    for token in lex(text, &mut Faults::default()) {
        if token.span.start > end {
            line.push(' ');
        }
        line.push_str(text.get(token.span.clone()).unwrap_or_default());
        end = token.span.end;
    }
    line
}

impl Line {
    pub fn explain<F: Facts>(&self, facts: &mut F, fields: &[(Slot, Field)]) -> Explained {
        let reads = self.slots.iter().filter_map(|slot| {
            let at = fields
                .binary_search_by_key(slot, |(known, _)| *known)
                .ok()?;
            let name = fields.get(at)?.1.name.clone();
            Some((
                name,
                shown(*slot, kind_in(fields, *slot)?, facts)
                    .unwrap_or_else(|| "unknown".to_owned()),
            ))
        });
        let reads = reads.collect();
        Explained {
            depth: self.depth,
            text: self.text.clone(),
            value: self.truth.eval(facts),
            reads,
        }
    }
}

/// A slot's value as it would be written in an expression.
fn shown<F: Facts>(slot: Slot, kind: &Type, facts: &mut F) -> Option<String> {
    Some(match kind {
        Type::Bool => facts.boolean(slot)?.to_string(),
        Type::Int(_) => facts.int(slot)?.to_string(),
        Type::Float(_) => format!("{:?}", facts.float(slot)?),
        Type::Duration => show_duration(facts.int(slot)?),
        Type::Text => format!("{:?}", facts.text(slot)?),
        Type::Symbol(symbols) => format!("{:?}", symbols.word(facts.int(slot)?)?),
        Type::Code(kind) => format!("{:?}", (kind.show)(u32::try_from(facts.int(slot)?).ok()?)),
    })
}
