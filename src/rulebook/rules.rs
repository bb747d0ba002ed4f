//! A family file: rules, each with its condition, score, pattern, hold and examples.
//!
//! Every rule is checked to the end whatever was wrong before; a rule with a fault is left out of
//! the book, and the book is then not used. Evaluation is the engine's.

use crate::domain::codes::{EventType, HoldKind, Refusal, Severity};
use crate::engine::book::{HoldPlan, MAX_RULES, MAX_SPAN_MS, Mode, Phase, RTS_KEYS, Rule};
use crate::engine::vocabulary::Types;
use crate::expr::{Program, Scheme};
use crate::rulebook::condition;
use crate::rulebook::examples::{self, Example};
use crate::rulebook::page::{self, Fields, Page};
use crate::rulebook::sequence;
use crate::rulebook::yaml::Node;
use std::collections::BTreeMap;

/// The fields of a family file.
pub const FAMILY_FIELDS: &[&str] = &["family", "rules"];
/// The fields of a rule.
pub const FIELDS: &[&str] = &[
    "id",
    "version",
    "why",
    "on",
    "phase",
    "when",
    "unless",
    "sequence",
    "score",
    "pattern",
    "severity",
    "hold",
    "mode",
    "rts_factors",
    "examples",
];
/// The fields of a hold.
pub const HOLD_FIELDS: &[&str] = &["kind", "for", "methods_refused", "cards"];
/// The longest `why`: it stands in alerts and decisions.
pub const MAX_WHY_CHARS: usize = 240;
/// The longest id or pattern.
pub const MAX_ID_CHARS: usize = 64;
/// How long a hold stands where the rule does not say (EVENTS.md).
const HOLD_DEFAULT_MS: i64 = 72 * 3_600_000;

/// A rule with what people need of it.
#[derive(Debug)]
pub struct Written {
    /// The rule.
    pub rule: Rule,
    /// Its examples.
    pub examples: Vec<Example>,
    /// `file:line` of its id.
    pub place: String,
    /// The family it stands in.
    pub family: String,
}

/// What the rules of all files share while they are read.
pub struct Shelf<'s> {
    /// Names and types; nothing where a file below them could not be read, so that expressions
    /// cannot be judged.
    pub scheme: Option<&'s Scheme>,
    /// The ids so far, with their places.
    pub ids: BTreeMap<String, String>,
    /// The good rules so far.
    pub rules: Vec<Written>,
}

/// Reads a family file.
pub fn family(root: &Node, shelf: &mut Shelf, page: &mut Page) {
    let Some(fields) = Fields::of(root, "a rule file", FAMILY_FIELDS, page) else {
        return;
    };
    let title = fields
        .want("family", page)
        .and_then(|n| page::text(n, "family", page))
        .unwrap_or_default()
        .to_owned();
    let Some(list) = fields.want("rules", page) else {
        return;
    };
    let Some(items) = page::items(list, "rules", page) else {
        return;
    };
    for item in items {
        if shelf.ids.len() >= MAX_RULES {
            page.fault(item.head(), format!("more than {MAX_RULES} rules"));
            return;
        }
        let Some(fields) = Fields::of(item, "a rule", FIELDS, page) else {
            continue;
        };
        if let Some(mut written) = rule(&fields, shelf, page) {
            written.family.clone_from(&title);
            shelf.rules.push(written);
        }
    }
}

fn rule(fields: &Fields, shelf: &mut Shelf, page: &mut Page) -> Option<Written> {
    let faults_before = page.count();
    let id = id(fields, &mut shelf.ids, page);
    let version = fields
        .want("version", page)
        .and_then(|n| page::int(n, "version", 1..=9_999, page));
    let why = fields.want("why", page).and_then(|n| why(n, page));
    let on = fields
        .want("on", page)
        .and_then(|n| types(n, page))
        .unwrap_or(0);
    let phase = phase(fields, page).unwrap_or(Phase::Absorb);
    let mode = match fields.get("mode") {
        Some(node) => page::word(node, "mode", &["live", "shadow"], |w| Some(mode(w)), page),
        None => Some(Mode::Live),
    };
    let score = fields
        .want("score", page)
        .and_then(|n| page::int(n, "score", -999..=999, page));
    let (when, unless) = conditions(fields, on, phase, shelf.scheme, page);
    let sequence = fields
        .get("sequence")
        .and_then(|n| sequence::sequence(n, fields, on, phase, shelf.scheme, page));
    let (pattern, severity, hold) = consequences(fields, page);
    let rts_factors = rts_factors(fields, page);
    let examples = examples::examples(fields, id, page);
    if page.count() > faults_before {
        return None;
    }
    let place = fields.get("id").map(|n| page.place(n.span.start));
    Some(Written {
        rule: Rule {
            id: id?.to_owned(),
            version: u32::try_from(version?).ok()?,
            why: why?,
            on,
            phase,
            mode: mode?,
            when,
            unless,
            sequence,
            score: i32::try_from(score?).ok()?,
            pattern,
            severity: severity.unwrap_or(Severity::Low),
            hold,
            rts_factors,
        },
        examples,
        place: place?,
        family: String::new(),
    })
}

fn id<'n>(
    fields: &Fields<'n>,
    ids: &mut BTreeMap<String, String>,
    page: &mut Page,
) -> Option<&'n str> {
    let node = fields.want("id", page)?;
    let id = page::text(node, "id", page)?;
    if !page::is_name(id, '-') || id.len() > MAX_ID_CHARS {
        let help = format!(
            "a claim in kebab-case of at most {MAX_ID_CHARS} characters, such as \
             `over-balance-transfer-attempts`"
        );
        page.fault_help(node.head(), format!("`{id}` is no id of a rule"), help);
        return None;
    }
    if let Some(place) = ids.get(id) {
        let help = format!("the other is at {place}");
        page.fault_help(node.head(), format!("the rule `{id}` is there twice"), help);
        return None;
    }
    ids.insert(id.to_owned(), page.place(node.span.start));
    Some(id)
}

fn why(node: &Node, page: &mut Page) -> Option<String> {
    let why = page::text(node, "why", page)?.trim();
    let length = why.chars().count();
    if length > MAX_WHY_CHARS {
        let message = format!("`why` has {length} characters, more than {MAX_WHY_CHARS}");
        page.fault_help(
            node.head(),
            message,
            "one sentence, as it shall stand in the alert",
        );
        return None;
    }
    Some(why.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Event types as rules write them: one word or a list of words.
pub fn types(node: &Node, page: &mut Page) -> Option<Types> {
    let mut types = 0;
    for item in page::one_or_more(node) {
        let kind = page::word(item, "event type", EventType::WORDS, EventType::parse, page)?;
        types |= condition::bit(kind);
    }
    if types == 0 {
        page.fault(node.head(), "`on` names no event type");
        return None;
    }
    Some(types)
}

fn phase(fields: &Fields, page: &mut Page) -> Option<Phase> {
    let Some(node) = fields.get("phase") else {
        return Some(Phase::Decide);
    };
    let parse = |word: &str| {
        Some(if word == "decide" {
            Phase::Decide
        } else {
            Phase::Absorb
        })
    };
    page::word(node, "phase", &["decide", "absorb"], parse, page)
}

fn mode(word: &str) -> Mode {
    if word == "live" {
        Mode::Live
    } else {
        Mode::Shadow
    }
}

fn conditions(
    fields: &Fields,
    on: Types,
    phase: Phase,
    scheme: Option<&Scheme>,
    page: &mut Page,
) -> (Option<Program>, Option<Program>) {
    if fields.entry("when").is_none() && fields.entry("sequence").is_none() {
        page.fault(fields.node.head(), "missing field `when` or `sequence`");
    }
    let mut condition = |name: &str| {
        let node = fields.get(name)?;
        let scheme = scheme?;
        let program = condition::compile(node, name, scheme, page)?;
        if on != 0 {
            let outcomes = phase == Phase::Absorb;
            condition::check_fields((node, &program), on, outcomes, scheme, page);
        }
        Some(program)
    };
    (condition("when"), condition("unless"))
}

fn consequences(
    fields: &Fields,
    page: &mut Page,
) -> (Option<String>, Option<Severity>, Option<HoldPlan>) {
    let pattern = fields.get("pattern").and_then(|n| pattern(n, page));
    let severity = fields
        .get("severity")
        .and_then(|n| page::word(n, "severity", Severity::WORDS, Severity::parse, page));
    let hold = fields.get("hold").and_then(|n| hold(n, page));
    let has = |name: &str| fields.get(name).is_some();
    if let Some(entry) = fields.entry("pattern").filter(|_| !has("severity")) {
        let help = format!("one of {}", page::listed(Severity::WORDS));
        page.fault_help(entry.key_span.clone(), "a pattern needs a `severity`", help);
    }
    if let Some(entry) = fields.entry("severity").filter(|_| !has("pattern")) {
        let help = "name the pattern whose alert it is, or leave `severity` out";
        page.fault_help(entry.key_span.clone(), "a severity needs a `pattern`", help);
    }
    if let Some(entry) = fields.entry("hold").filter(|_| !has("pattern")) {
        let help = "a hold belongs to an alert: name the pattern";
        page.fault_help(entry.key_span.clone(), "a hold needs a `pattern`", help);
    }
    (pattern, severity, hold)
}

fn pattern(node: &Node, page: &mut Page) -> Option<String> {
    let pattern = page::text(node, "pattern", page)?;
    if page::is_name(pattern, '-') && pattern.len() <= MAX_ID_CHARS {
        return Some(pattern.to_owned());
    }
    let help = "kebab-case, such as `over-balance-transfers`";
    page.fault_help(
        node.head(),
        format!("`{pattern}` is no name of a pattern"),
        help,
    );
    None
}

fn hold(node: &Node, page: &mut Page) -> Option<HoldPlan> {
    let fields = Fields::of(node, "a hold", HOLD_FIELDS, page)?;
    let kind = fields
        .want("kind", page)
        .and_then(|n| page::word(n, "kind of hold", HoldKind::WORDS, HoldKind::parse, page));
    let for_ms = match fields.get("for") {
        Some(node) => page::span(node, "for", MAX_SPAN_MS, page),
        None => Some(HOLD_DEFAULT_MS),
    };
    let mut methods_refused = Vec::new();
    if let Some(list) = fields.get("methods_refused") {
        for item in page::items(list, "methods_refused", page)? {
            let parsed = page::word(item, "method", Refusal::WORDS, Refusal::parse, page);
            match parsed {
                Some(method) if methods_refused.contains(&method) => {
                    page.fault(item.head(), format!("`{}` is there twice", method.word()));
                }
                Some(method) => methods_refused.push(method),
                None => {}
            }
        }
    }
    let all_cards = match fields.get("cards") {
        Some(node) => page::word(
            node,
            "cards",
            &["this", "all"],
            |word| Some(word == "all"),
            page,
        ),
        None => Some(false),
    };
    Some(HoldPlan {
        kind: kind?,
        for_ms: for_ms?,
        methods_refused: methods_refused.into_iter().collect(),
        all_cards: all_cards?,
    })
}

fn rts_factors(fields: &Fields, page: &mut Page) -> Vec<u8> {
    let Some(list) = fields.get("rts_factors") else {
        return Vec::new();
    };
    let mut factors = Vec::new();
    for item in page::items(list, "rts_factors", page).unwrap_or_default() {
        let position = |key: &str| RTS_KEYS.iter().position(|known| *known == key);
        let place = page::word(item, "factor", RTS_KEYS, position, page);
        if let Some(place) = place.and_then(|at| u8::try_from(at).ok()) {
            if factors.contains(&place) {
                page.fault(item.head(), "this factor is there twice");
            }
            factors.push(place);
        }
    }
    factors.sort_unstable();
    factors
}
