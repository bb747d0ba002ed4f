//! Encode: decisions, alerts and holds as JSON lines, in the shapes of EVENTS.md.
//!
//! Written by hand into a byte buffer, fields in a fixed order: these bytes are digested, and a
//! decision is written for most events. `position` comes last, so that the digest can leave it
//! out by cutting the line's end.

use crate::domain::event::Event;
use crate::domain::outcome::{Alert, Decision, Hold, Reason, Refusals, RuleRef};
use crate::domain::time::write_rfc3339;
use crate::engine::book::RTS_KEYS;
use std::fmt::Display;

/// What stands before the position in a decision's line.
pub const POSITION: &[u8] = b",\"position\":";

/// Appends a text as a JSON string, escaped.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

fn field(out: &mut Vec<u8>, name: &str, text: &str) {
    key(out, name);
    string(out, text);
}

fn key(out: &mut Vec<u8>, name: &str) {
    if out.last().is_some_and(|last| *last != b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(out: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
    key(out, name);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn id(out: &mut Vec<u8>, name: &str, value: impl Display) {
    key(out, name);
    out.extend_from_slice(format!("\"{value}\"").as_bytes());
}

fn time(out: &mut Vec<u8>, name: &str, ms: i64) {
    key(out, name);
    out.push(b'"');
    write_rfc3339(out, ms);
    out.push(b'"');
}

fn optional(out: &mut Vec<u8>, name: &str, text: Option<&str>) {
    match text {
        Some(text) => field(out, name, text),
        None => {
            key(out, name);
            out.extend_from_slice(b"null");
        }
    }
}

fn list<T>(
    out: &mut Vec<u8>,
    name: &str,
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut Vec<u8>, T),
) {
    key(out, name);
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn rules(out: &mut Vec<u8>, name: &str, rules: &[RuleRef]) {
    list(out, name, rules, |out, rule| {
        out.push(b'{');
        field(out, "id", &rule.id);
        number(out, "version", rule.version);
        out.push(b'}');
    });
}

fn reasons(out: &mut Vec<u8>, reasons: &[Reason]) {
    list(out, "reasons", reasons, |out, reason| {
        out.push(b'{');
        field(out, "code", &reason.code);
        field(out, "text", &reason.text);
        out.push(b'}');
    });
}

fn refusals(out: &mut Vec<u8>, refused: Refusals) {
    list(out, "methods_refused", refused.iter(), |out, refusal| {
        string(out, refusal.word())
    });
}

/// Appends a decision's line, the newline included.
pub fn decision(
    out: &mut Vec<u8>,
    event: &Event,
    decision: &Decision,
    ruleset: &str,
    position: impl Display,
) {
    out.push(b'{');
    field(out, "event", event.id());
    time(out, "at", event.at.ms);
    let card = event.card();
    optional(out, "card", (!card.is_empty()).then_some(card));
    number(out, "score", decision.score);
    field(out, "action", decision.action.word());
    refusals(out, decision.methods_refused);
    match decision.hold {
        Some(hold) => id(out, "hold", hold),
        None => optional(out, "hold", None),
    }
    rules(out, "rules", &decision.rules);
    reasons(out, &decision.reasons);
    list(
        out,
        "not_available",
        &decision.not_available,
        |out, (what, why)| {
            out.push(b'{');
            field(out, "what", what);
            field(out, "why", why);
            out.push(b'}');
        },
    );
    if !decision.shadow.is_empty() {
        rules(out, "shadow", &decision.shadow);
    }
    field(out, "ruleset", ruleset);
    if let Some(rates) = &decision.rates {
        field(out, "rates", rates);
    }
    key(out, "late");
    out.extend_from_slice(if decision.late { b"true" } else { b"false" });
    out.extend_from_slice(POSITION);
    string(out, &position.to_string());
    out.extend_from_slice(b"}\n");
}

/// Appends an alert's line, the newline included.
pub fn alert(out: &mut Vec<u8>, alert: &Alert) {
    out.push(b'{');
    id(out, "id", alert.id);
    time(out, "at", alert.at_ms);
    field(out, "status", alert.status.word());
    optional(out, "card", alert.card.as_deref());
    field(out, "cardholder", &alert.cardholder);
    field(out, "pattern", &alert.pattern);
    field(out, "severity", alert.severity.word());
    number(out, "score", alert.score);
    number(out, "count", alert.count);
    list(out, "events", &alert.events, |out, event| {
        string(out, event)
    });
    field(out, "trigger", &alert.trigger);
    rules(out, "rules", &alert.rules);
    reasons(out, &alert.reasons);
    key(out, "rts_factors");
    out.push(b'{');
    for (name, state) in RTS_KEYS.iter().zip(alert.rts_factors) {
        field(out, name, state.word());
    }
    out.extend_from_slice(b"}}\n");
}

/// Appends a hold's line, the newline included.
pub fn hold(out: &mut Vec<u8>, hold: &Hold) {
    out.push(b'{');
    id(out, "id", hold.id);
    time(out, "at", hold.at_ms);
    optional(out, "card", hold.card.as_deref());
    field(out, "cardholder", &hold.cardholder);
    field(out, "kind", hold.kind.word());
    refusals(out, hold.methods_refused);
    field(out, "state", hold.state.word());
    time(out, "from", hold.from_ms);
    time(out, "until", hold.until_ms);
    id(out, "alert", hold.alert);
    reasons(out, &hold.reasons);
    out.extend_from_slice(b"}\n");
}

/// Appends a reject's line, the newline included. No payload.
pub fn reject(out: &mut Vec<u8>, position: impl Display, code: &str, text: &str) {
    out.push(b'{');
    field(out, "position", &position.to_string());
    key(out, "reason");
    out.push(b'{');
    field(out, "code", code);
    field(out, "text", text);
    out.extend_from_slice(b"}}\n");
}
