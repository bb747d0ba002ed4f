//! JSON Schemas (draft 2020-12) of the rule book's files, for editors with a YAML language server.
//!
//! They say what can be said of form: fields, words, ranges, patterns. Names and types inside
//! expressions are checked by `varsel rules check` only.

use crate::domain::codes::{Advice, EventType, HoldKind, Refusal, Severity};
use crate::engine::book::RTS_KEYS;
use crate::rulebook::examples;
use crate::rulebook::rules::{MAX_ID_CHARS, MAX_WHY_CHARS};
use crate::rulebook::sequence::MAX_COUNT;
use crate::rulebook::{features, policy};
use serde_json::{Map, Value, json};

/// Which file a schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A rule family.
    Rules,
    /// `features.yaml`.
    Features,
    /// `policy.yaml`.
    Policy,
    /// `groups.yaml`.
    Groups,
    /// `rates.yaml`.
    Rates,
}

/// The schema of a file, as indented JSON.
pub fn schema(kind: Kind) -> String {
    let (title, body) = match kind {
        Kind::Rules => ("A rule family of Varsel", family()),
        Kind::Features => ("The aggregates of a Varsel rule book", features()),
        Kind::Policy => ("The policy of a Varsel rule book", policy()),
        Kind::Groups => ("The MCC groups of a Varsel rule book", groups()),
        Kind::Rates => ("The exchange rates of a Varsel rule book", rates()),
    };
    let mut all = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
    });
    if let (Value::Object(all), Value::Object(body)) = (&mut all, body) {
        all.extend(body);
    }
    format!("{all:#}")
}

/// An object with these fields and no others.
fn object(fields: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": false,
    })
}

fn list(items: Value, description: &str) -> Value {
    json!({"type": "array", "items": items, "description": description})
}

fn words(words: &[&str], description: &str) -> Value {
    json!({"enum": words, "description": description})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "description": description})
}

fn named(pattern: &str, description: &str) -> Value {
    json!({"type": "string", "pattern": pattern, "maxLength": MAX_ID_CHARS, "description": description})
}

fn span(description: &str) -> Value {
    json!({"type": "string", "pattern": "^[0-9]+(s|m|min|h|d)$", "description": description})
}

fn types(description: &str) -> Value {
    let word = json!({"enum": EventType::WORDS});
    json!({
        "oneOf": [word.clone(), {"type": "array", "items": word, "minItems": 1}],
        "description": description,
    })
}

const KEBAB: &str = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$";
const SNAKE: &str = "^[a-z][a-z0-9]*(_[a-z0-9]+)*$";

fn family() -> Value {
    let mut rule = rule_fields();
    if let (Value::Object(rule), Value::Object(more)) = (&mut rule, consequences()) {
        rule.extend(more);
    }
    let mut rule = object(rule, &["id", "version", "why", "on", "score", "examples"]);
    if let Value::Object(rule) = &mut rule {
        let either = json!([{"required": ["when"]}, {"required": ["sequence"]}]);
        rule.insert("anyOf".to_owned(), either);
        let needs = json!({
            "hold": ["pattern"], "pattern": ["severity"], "severity": ["pattern"],
        });
        rule.insert("dependentRequired".to_owned(), needs);
    }
    let fields = json!({
        "family": text("The title under which these rules are shown."),
        "rules": list(rule, "The rules of this family."),
    });
    object(fields, &["family", "rules"])
}

fn rule_fields() -> Value {
    json!({
        "id": named(KEBAB, "The rule's claim in kebab-case, unique in the book; the reason's code in alerts."),
        "version": {"type": "integer", "minimum": 1, "maximum": 9_999,
            "description": "Counted up by its author with every change."},
        "why": {"type": "string", "minLength": 1, "maxLength": MAX_WHY_CHARS,
            "description": "One sentence for the alert: why this is suspicious, or why it is not."},
        "on": types("The event types that the rule looks at."),
        "phase": words(&["decide", "absorb"],
            "decide (default): before the outcome, bears on the decision. absorb: with the outcome, for alerts and holds."),
        "when": text("The condition: an expression over fields and features."),
        "unless": text("Where this is true the rule does not hit."),
        "sequence": sequence(),
        "mode": words(&["live", "shadow"], "live (default), or shadow: watched, without effect."),
        "examples": list(example(), "At least one with a hit and one with `hits: []`."),
    })
}

fn consequences() -> Value {
    let hold = object(
        json!({
            "kind": words(HoldKind::WORDS, "What the hold asks for."),
            "for": span("How long it stands, 72h where left out."),
            "methods_refused": list(json!({"enum": Refusal::WORDS}), "Methods that do not satisfy it."),
            "cards": words(&["this", "all"], "this (default): the card in hand; all: every card of the cardholder."),
        }),
        &["kind"],
    );
    json!({
        "score": {"type": "integer", "minimum": -999, "maximum": 999,
            "description": "What a hit adds to the score; protective rules subtract."},
        "pattern": named(KEBAB, "The pattern whose episode (alert) a hit opens or feeds."),
        "severity": words(Severity::WORDS, "How bad the alert is."),
        "hold": hold,
        "rts_factors": list(json!({"enum": RTS_KEYS}), "Factors of PSD2 RTS (EU) 2018/389 that a hit raises."),
    })
}

fn sequence() -> Value {
    let step = object(
        json!({
            "on": types("The event types of this step."),
            "where": text("The step's condition."),
            "count": {"type": "integer", "minimum": 1, "maximum": MAX_COUNT,
                "description": "How many times it must come true, once where left out."},
            "absent": {"type": "boolean",
                "description": "No such event: between steps it breaks the chain; last, the rule hits when `for` has passed without it."},
            "for": span("For a last step with `absent: true`: how long event time must pass without it."),
        }),
        &["on"],
    );
    object(
        json!({
            "within": span("From the first event of the chain to the last."),
            "steps": list(step, "Ordered steps; the last is the event in hand."),
        }),
        &["within", "steps"],
    )
}

fn example() -> Value {
    let one_of: Vec<Value> = EventType::ALL.iter().map(|kind| event(*kind)).collect();
    object(
        json!({
            "says": text("What the example shows."),
            "given": list(json!({"oneOf": one_of}), "The events in order of arrival; fields left out have defaults."),
            "hits": list(json!({"type": "string"}), "Ids of the events that hit, and no others; [] for a miss."),
        }),
        &["says", "given", "hits"],
    )
}

fn event(kind: EventType) -> Value {
    let fields: Map<String, Value> = examples::rows(kind)
        .into_iter()
        .map(|(name, shape)| (name.to_owned(), shape_of(name, shape, kind)))
        .collect();
    object(Value::Object(fields), &["id", "at", "type"])
}

fn shape_of(name: &str, shape: examples::Shape, kind: EventType) -> Value {
    use examples::Shape;
    match (name, shape) {
        ("type", _) => json!({"const": kind.word()}),
        ("repeat", _) => object(
            json!({"times": {"type": "integer", "minimum": 1, "maximum": 500}, "every": span("Between two copies.")}),
            &["times", "every"],
        ),
        (_, Shape::Text) => json!({"type": ["string", "number", "null"]}),
        (_, Shape::Amount) => {
            json!({"type": ["string", "number"], "description": "In major units: \"33882.11\"."})
        }
        (_, Shape::Int) => json!({"type": ["integer", "null"], "minimum": 0}),
        (_, Shape::Time) => json!({"type": "string",
            "description": "A span after 2026-03-02T10:00:00+01:00 such as `2d 3h 5m`, or a time of RFC 3339."}),
        (_, Shape::Merchant) => json!({"oneOf": [
            {"type": "string"},
            object(json!({"id": {"type": "string"}, "name": {"type": "string"}, "country": {"type": "string"}}), &[]),
        ]}),
        (_, Shape::Free) => json!({}),
    }
}

fn features() -> Value {
    let ops: Vec<&str> = features::OPS.iter().map(|(word, _)| *word).collect();
    let ofs: Vec<&str> = features::OFS.iter().map(|(word, _)| *word).collect();
    let feature = object(
        json!({
            "name": named(SNAKE, "Its name in rules, snake_case, ending in its span: `declined_transfers_24h`."),
            "op": words(&ops, "What is computed."),
            "of": words(&ofs, "Of what: event for count, last, rate; amount for sum, max, min, avg; the rest for distinct."),
            "where": text("Which events count: an expression over categorical fields."),
            "base": text("For `op: rate`: the events of which `where` takes a share."),
            "over": span("The span, at most 90d; up to 24h it is exact, above it is counted in sixtieths."),
            "same": words(&["merchant"], "Only events at the merchant in hand."),
            "doc": text("What it means, for those who write rules."),
        }),
        &["name", "op", "over", "doc"],
    );
    object(
        json!({"features": list(feature, "The aggregates.")}),
        &["features"],
    )
}

fn policy() -> Value {
    let band = |actions: &[&str]| {
        object(
            json!({
                "from": {"type": "integer", "minimum": 1, "maximum": 999, "description": "The lowest score of the band."},
                "action": words(actions, "What is advised."),
            }),
            &["from", "action"],
        )
    };
    let held = "What a step-up hold does to it, since it cannot be authenticated.";
    object(
        json!({
            "name": named(KEBAB, "The rule book's name, as decisions show it."),
            "base_currency": {"type": "string", "pattern": "^[A-Z]{3}$", "description": "The currency that amounts are compared in."},
            "bands": list(band(Advice::WORDS), "From which score what is advised, rising."),
            "unauthenticated": list(band(policy::WITHOUT_STEP_UP), "The same for recurring payments and mail or telephone orders."),
            "held_recurring": words(policy::WITHOUT_STEP_UP, held),
            "held_moto": words(policy::WITHOUT_STEP_UP, held),
            "episode": span("How long an episode stays open without growth; 72h by contract."),
            "acknowledge_within": span("How long a delivered hold may go without acknowledgement."),
            "deliver_within": span("How long a requested hold may go without delivery; not waited for unless given."),
        }),
        &[
            "name",
            "base_currency",
            "bands",
            "unauthenticated",
            "held_recurring",
            "held_moto",
        ],
    )
}

fn groups() -> Value {
    let mcc = json!({"type": ["string", "integer"], "pattern": "^[0-9]{4}(-[0-9]{4})?$"});
    let group = object(
        json!({
            "name": named(SNAKE, "The group's name in expressions."),
            "source": text("Who says that these belong together."),
            "mccs": list(mcc, "Merchant category codes, or ranges."),
        }),
        &["name", "source", "mccs"],
    );
    object(
        json!({"groups": list(group, "At most 14; `other` is implied.")}),
        &["groups"],
    )
}

fn rates() -> Value {
    object(
        json!({
            "base": {"type": "string", "pattern": "^[A-Z]{3}$", "description": "That of `policy.yaml`."},
            "as_of": {"type": "string", "format": "date", "description": "The day of the rates."},
            "source": text("Whose rates."),
            "rates": {
                "type": "object",
                "propertyNames": {"pattern": "^[A-Z]{3}$"},
                "additionalProperties": {"type": ["number", "string"]},
                "description": "Units of the base for one major unit, at most six decimals.",
            },
        }),
        &["base", "as_of", "source", "rates"],
    )
}
