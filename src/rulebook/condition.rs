//! Expressions of a rule book: compiled, their faults brought back to the file, and the checks
//! that only a rule book knows.
//!
//! Which fields an event type carries, which are outcomes and which are kept in history is looked
//! up in the engine's vocabulary; grammar and types are `expr`'s.

use crate::domain::codes::{EventType, Message};
use crate::engine::book::Filter;
use crate::engine::class::ClassField;
use crate::engine::vocabulary::{Feature, Types};
use crate::expr::{self, Program, Scheme, Slot};
use crate::rulebook::page::{self, Page, listed};
use crate::rulebook::yaml::Node;
use std::ops::Range;

/// Compiles an expression; its faults are noted at their own places.
pub fn compile(node: &Node, name: &str, scheme: &Scheme, page: &mut Page) -> Option<Program> {
    let source = page::text(node, name, page)?;
    match expr::compile(source, scheme) {
        Ok(program) => Some(program),
        Err(faults) => {
            for fault in faults {
                let place = node.locate(&page.source.text, &fault.span);
                page.note(place, fault.message, fault.help);
            }
            None
        }
    }
}

/// Where a slot's name stands in an expression: every place, in the file.
pub fn places(node: &Node, slot: Slot, scheme: &Scheme, page: &Page) -> Vec<Range<usize>> {
    let name = scheme.field(slot).map_or("", |f| f.name.as_str());
    let Some(scalar) = node.scalar() else {
        return vec![node.head()];
    };
    let found = mentions(&scalar.text, name);
    if found.is_empty() {
        return vec![node.head()];
    }
    found
        .iter()
        .map(|range| node.locate(&page.source.text, range))
        .collect()
}

/// Every place in an expression's source where a name stands, texts and comments left out.
fn mentions(source: &str, name: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut rest = source.char_indices().peekable();
    while let Some((start, letter)) = rest.next() {
        if letter == '"' || letter == '\'' {
            while let Some((_, inner)) = rest.next() {
                if inner == '\\' {
                    rest.next();
                } else if inner == letter {
                    break;
                }
            }
        } else if letter == '/' && rest.peek().is_some_and(|(_, c)| *c == '/') {
            while rest.next_if(|(_, c)| *c != '\n').is_some() {}
        } else if letter.is_ascii_alphabetic() || letter == '_' {
            let mut end = start + 1;
            while let Some((at, _)) =
                rest.next_if(|(_, c)| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
            {
                end = at + 1;
            }
            let word = source.get(start..end).unwrap_or_default();
            let method = word
                .strip_prefix(name)
                .is_some_and(|tail| tail.starts_with('.'));
            if word == name || method {
                found.push(start..start + name.len());
            }
        }
    }
    found
}

/// Notes fields that have no meaning on any of the event types, and outcomes where they may not
/// be seen.
pub fn check_fields(
    (node, program): (&Node, &Program),
    on: Types,
    outcomes_visible: bool,
    scheme: &Scheme,
    page: &mut Page,
) {
    for slot in program.slots() {
        let Some(feature) = Feature::of_slot(*slot) else {
            continue;
        };
        if feature.is_outcome() && !outcomes_visible {
            for place in places(node, *slot, scheme, page) {
                let message = format!(
                    "`{}` is not known when the decision is made",
                    feature.name()
                );
                page.fault_help(
                    place,
                    message,
                    "outcomes are for rules with `phase: absorb`",
                );
            }
        }
        if feature.on() & on == 0 {
            for place in places(node, *slot, scheme, page) {
                let message = format!(
                    "`{}` has no meaning on {}",
                    feature.name(),
                    type_names(on).join(", ")
                );
                let help = format!("it is known on {}", listed(&type_names(feature.on())));
                page.fault_help(place, message, help);
            }
        }
    }
}

/// The set of one event type.
pub fn bit(kind: EventType) -> Types {
    1 << kind.code()
}

/// The words of a set of event types.
pub fn type_names(types: Types) -> Vec<&'static str> {
    EventType::ALL
        .iter()
        .filter(|k| types & bit(**k) != 0)
        .map(|k| k.word())
        .collect()
}

/// Event types of which history keeps entries.
fn kept() -> Types {
    EventType::ALL
        .iter()
        .filter(|kind| !matches!(kind, EventType::Disposition | EventType::Hold))
        .fold(0, |types, kind| types | bit(*kind))
}

/// Compiles a filter over history: an expression over class fields only.
pub fn filter(node: &Node, name: &str, scheme: &Scheme, page: &mut Page) -> Option<Filter> {
    let program = compile(node, name, scheme, page)?;
    if !only_class_fields(node, name, &program, scheme, page) {
        return None;
    }
    let Some(sets) = program.class_sets() else {
        let message = format!("`{name}` is more than history can test");
        let help = "tests of words and yes-no fields joined by `&&` and `||`, at most 16 \
                    alternatives, and true only of what is known";
        page.fault_help(node.head(), message, help);
        return None;
    };
    let mut on = 0;
    let mut any = Vec::new();
    for set in sets {
        let types = kept_types(&set);
        if types == 0 {
            continue;
        }
        on |= types;
        any.push(
            set.into_iter()
                .filter_map(|(slot, codes)| {
                    let field = ClassField::of_feature(Feature::of_slot(slot)?)?;
                    Some((field as u8, codes))
                })
                .collect(),
        );
    }
    if any.is_empty() {
        let help = "history keeps authorizations, AReq and RReq messages, otp, eid, enrolment and \
                    card events";
        page.fault_help(
            node.head(),
            format!("`{name}` matches no event that is kept"),
            help,
        );
        return None;
    }
    any.sort_unstable();
    any.dedup();
    Some(Filter { on, any })
}

/// A filter that every event in history passes.
pub fn everything() -> Filter {
    Filter {
        on: kept(),
        any: vec![Vec::new()],
    }
}

fn only_class_fields(
    node: &Node,
    name: &str,
    program: &Program,
    scheme: &Scheme,
    page: &mut Page,
) -> bool {
    let strange: Vec<Slot> = program
        .slots()
        .iter()
        .copied()
        .filter(|slot| {
            Feature::of_slot(*slot)
                .and_then(ClassField::of_feature)
                .is_none()
        })
        .collect();
    for slot in &strange {
        let names: Vec<&str> = ClassField::TABLE.iter().map(|(f, _)| f.name()).collect();
        let field = scheme.field(*slot).map_or("", |f| f.name.as_str());
        for place in places(node, *slot, scheme, page) {
            let message = format!("`{name}` cannot test `{field}`: history does not keep it");
            page.fault_help(place, message, format!("it keeps {}", listed(&names)));
        }
    }
    strange.is_empty()
}

/// The kept event types that can pass a conjunction.
fn kept_types(set: &[(Slot, u64)]) -> Types {
    let mut types = kept();
    for (slot, codes) in set {
        let Some(feature) = Feature::of_slot(*slot) else {
            continue;
        };
        types &= feature.on();
        if feature == Feature::Type {
            types &= EventType::ALL
                .iter()
                .filter(|kind| codes >> kind.code() & 1 == 1)
                .fold(0, |types, kind| types | bit(*kind));
        }
        let kept_messages = 1_u64 << Message::AReq.code() | 1_u64 << Message::RReq.code();
        if feature == Feature::Message && codes & kept_messages == 0 {
            types = 0;
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_outside_texts_and_comments_only() {
        let source =
            "mcc == \"mcc\" && in_list(mcc, 'x') // mcc\n && mcc_group != 'b' || mcc.size() > 1";
        let found = mentions(source, "mcc");
        assert_eq!(found, [0..3, 24..27, 65..68].map(|r: Range<usize>| r));
    }
}
