//! Encode: decisions, alerts and holds as JSON lines, in the shapes of EVENTS.md.
//!
//! Written by hand into a byte buffer, fields in a fixed order: these bytes are digested, and a
//! decision is written for most events. `position` comes last, so that the digest can leave it
//! out by cutting the line's end.

mod found;
mod pen;

use crate::domain::event::Event;
use crate::domain::outcome::{Alert, Decision, Hold, Reason, Refusals, RuleRef};
use crate::domain::time::write_rfc3339;
use crate::engine::book::RTS_KEYS;
use std::fmt::{self, Display, Write};

pub use pen::Pen;

/// What stands before the position in a decision's line.
pub const POSITION: &[u8] = b",\"position\":";

/// What stands in a decision's line where no rule hit and nothing was missing.
const EVERYDAY: &[u8] = b",\"methods_refused\":[],\"hold\":null,\"rules\":[],\"reasons\":[],\
    \"not_available\":[]";
/// A decision's line of every day fits in so many bytes, so that the buffer grows once for it.
const LINE_BYTES: usize = 512;

/// Appends a text as a JSON string, escaped.
#[inline]
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Appends a text as it stands within a JSON string.
#[inline]
fn escaped(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escape(out, text.as_bytes());
    }
}

#[cold]
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !is_odd(*byte) {
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
            control => {
                let digits = [control / 16, control % 16].map(|digit| HEX[usize::from(digit)]);
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
}

/// True for a byte that a JSON string must escape.
const fn is_odd(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// True where nothing must be escaped. Eight bytes at once; the last eight overlap what came
/// before, so that no tail is left but of the shortest texts.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        return !bytes.iter().any(|byte| is_odd(*byte));
    };
    let (words, _) = bytes.as_chunks::<8>();
    words
        .iter()
        .fold(odd_in(last), |odd, word| odd | odd_in(word))
        == 0
}

/// Not zero where one of eight bytes must be escaped (Mycroft's zero-byte test, three times).
#[inline]
const fn odd_in(eight: &[u8; 8]) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(*eight);
    let (quote, backslash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5c));
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls) & (ONES * 0x80)
}

/// Escapes what is formatted into it.
struct Escaped<'a>(&'a mut Vec<u8>);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escaped(self.0, text);
        Ok(())
    }
}

/// Appends what a value shows as a JSON string.
fn shown(out: &mut Vec<u8>, value: impl Display) {
    out.push(b'"');
    let written = write!(Escaped(out), "{value}");
    debug_assert!(written.is_ok(), "a buffer takes all");
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
    shown(out, value);
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

/// Appends a decision's line, the newline included. The position comes as text, since whoever
/// counts positions can write the next one cheaper than a formatter.
pub fn decision(
    out: &mut Vec<u8>,
    event: &Event,
    decision: &Decision,
    ruleset: &str,
    position: &str,
) {
    out.reserve(LINE_BYTES);
    out.extend_from_slice(b"{\"event\":");
    string(out, event.id());
    out.extend_from_slice(b",\"at\":\"");
    write_rfc3339(out, event.at.ms);
    out.extend_from_slice(b"\",\"card\":");
    match event.card() {
        "" => out.extend_from_slice(b"null"),
        card => string(out, card),
    }
    out.extend_from_slice(b",\"score\":");
    out.extend_from_slice(itoa::Buffer::new().format(decision.score).as_bytes());
    out.extend_from_slice(b",\"action\":\"");
    out.extend_from_slice(decision.action.word().as_bytes());
    out.push(b'"');
    if is_everyday(decision) {
        out.extend_from_slice(EVERYDAY);
    } else {
        findings(out, decision);
    }
    field(out, "ruleset", ruleset);
    if let Some(rates) = &decision.rates {
        field(out, "rates", rates);
    }
    out.extend_from_slice(lateness(decision.late));
    out.extend_from_slice(POSITION);
    string(out, position);
    out.extend_from_slice(b"}\n");
}

const fn lateness(late: bool) -> &'static [u8] {
    if late {
        b",\"late\":true"
    } else {
        b",\"late\":false"
    }
}

#[inline]
fn is_everyday(decision: &Decision) -> bool {
    decision.methods_refused == Refusals::default()
        && decision.hold.is_none()
        && decision.rules.is_empty()
        && decision.reasons.is_empty()
        && decision.not_available.is_empty()
        && decision.shadow.is_empty()
}

/// What a decision found, from the refused methods to the rules on trial.
fn findings(out: &mut Vec<u8>, decision: &Decision) {
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
    key(out, "position");
    shown(out, position);
    key(out, "reason");
    out.push(b'{');
    field(out, "code", code);
    field(out, "text", text);
    out.extend_from_slice(b"}}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_reads_back_from_its_json_string() {
        for length in 0..40 {
            for odd in [
                '"', '\\', '\n', '\t', '\r', '\0', '\u{1f}', '\u{7f}', 'æ', ' ', '!', '#', '[', ']',
            ] {
                for place in 0..=length {
                    let mut text = "x".repeat(length);
                    text.insert(place, odd);
                    let mut json = Vec::new();
                    string(&mut json, &text);
                    assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
                    let mut same = Vec::new();
                    shown(&mut same, &text);
                    assert_eq!(same, json);
                }
            }
        }
        let mut control = Vec::new();
        string(&mut control, "\u{1b}\u{2}");
        assert_eq!(control, br#""\u001b\u0002""#);
    }
}
