//! The pen: decision lines one after another, where what most of them share is put together once.
//!
//! It writes the bytes that [`super::decision`] writes.

use super::found::Found;
use super::{EVERYDAY, LINE_BYTES, POSITION, escaped, field, is_everyday, lateness, string};
use crate::domain::codes::Advice;
use crate::domain::event::{Event, Span};
use crate::domain::outcome::Decision;
use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, PAIRS, write_rfc3339};
use std::sync::Arc;

/// A text up to so many bytes is copied as so many, and cut: cheaper than a copy of its own length.
const SHORT: usize = 32;
/// The same for longer ones.
const LONG: usize = 64;

/// Writes decision lines.
#[derive(Debug, Default)]
pub struct Pen {
    ruleset: Arc<str>,
    source: Arc<str>,
    /// From behind the score to the number of the position, in a line of every day.
    middle: Vec<u8>,
    /// The rule book's version with its key, and the position up to its number.
    version: Vec<u8>,
    position: Vec<u8>,
    found: Found,
    /// The day of the last line, since 1970, and how its times begin.
    day: i64,
    date: Vec<u8>,
}

impl Pen {
    /// Appends a decision's line, the newline included. Its position is `source` (a file and `:`,
    /// or topic, partition and `@`) and a number.
    pub fn decision(
        &mut self,
        out: &mut Vec<u8>,
        event: &Event,
        decision: &Decision,
        ruleset: &Arc<str>,
        source: &Arc<str>,
        number: u64,
    ) {
        if !Arc::ptr_eq(&self.ruleset, ruleset) || !Arc::ptr_eq(&self.source, source) {
            self.prepare(ruleset, source);
        }
        out.reserve(LINE_BYTES);
        out.extend_from_slice(b"{\"event\":\"");
        text(out, event, event.id);
        out.extend_from_slice(b"\",\"at\":\"");
        self.time(out, event.at.ms);
        if event.card.is_empty() {
            out.extend_from_slice(b"\",\"card\":null");
        } else {
            out.extend_from_slice(b"\",\"card\":\"");
            text(out, event, event.card);
            out.push(b'"');
        }
        out.extend_from_slice(b",\"score\":");
        match decision.score {
            0 => out.push(b'0'),
            score => out.extend_from_slice(itoa::Buffer::new().format(score).as_bytes()),
        }
        let is_usual = decision.action == Advice::Allow
            && decision.rates.is_none()
            && !decision.late
            && is_everyday(decision);
        if is_usual {
            out.extend_from_slice(&self.middle);
        } else {
            self.unusual(out, decision);
        }
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        out.extend_from_slice(b"\"}\n");
    }

    /// From behind the score to the number of the position.
    fn unusual(&mut self, out: &mut Vec<u8>, decision: &Decision) {
        out.extend_from_slice(b",\"action\":\"");
        out.extend_from_slice(decision.action.word().as_bytes());
        out.push(b'"');
        if is_everyday(decision) {
            out.extend_from_slice(EVERYDAY);
        } else {
            self.found.write(out, decision);
        }
        out.extend_from_slice(&self.version);
        if let Some(rates) = &decision.rates {
            field(out, "rates", rates);
        }
        out.extend_from_slice(lateness(decision.late));
        out.extend_from_slice(&self.position);
    }

    #[cold]
    fn prepare(&mut self, ruleset: &Arc<str>, source: &Arc<str>) {
        self.ruleset = Arc::clone(ruleset);
        self.source = Arc::clone(source);
        self.version = b",\"ruleset\":".to_vec();
        string(&mut self.version, ruleset);
        self.position = POSITION.to_vec();
        self.position.push(b'"');
        escaped(&mut self.position, source);
        self.middle = b",\"action\":\"".to_vec();
        self.middle
            .extend_from_slice(Advice::Allow.word().as_bytes());
        self.middle.push(b'"');
        self.middle.extend_from_slice(EVERYDAY);
        self.middle.extend_from_slice(&self.version);
        self.middle.extend_from_slice(lateness(false));
        self.middle.extend_from_slice(&self.position);
    }

    /// As [`write_rfc3339`] does; the date is worked out once a day.
    #[inline]
    fn time(&mut self, out: &mut Vec<u8>, ms: i64) {
        let (day, in_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
        if day != self.day || self.date.is_empty() {
            self.date.clear();
            write_rfc3339(&mut self.date, ms);
            self.day = day;
        }
        let Some(date) = self.date.first_chunk::<11>() else {
            return write_rfc3339(out, ms);
        };
        let number = |part: i64| usize::try_from(part).unwrap_or(0);
        let pair = |part: i64| PAIRS[number(part) % 100];
        let (minutes, in_minute) = (in_day / MINUTE_MS, in_day % MINUTE_MS);
        let [h0, h1] = pair(in_day / HOUR_MS);
        let [m0, m1] = pair(minutes % 60);
        let [s0, s1] = pair(in_minute / 1_000);
        let millis = in_minute % 1_000;
        let [_, f0] = pair(millis / 100);
        let [f1, f2] = pair(millis % 100);
        out.extend_from_slice(date);
        out.extend_from_slice(&[h0, h1, b':', m0, m1, b':', s0, s1, b'.', f0, f1, f2, b'Z']);
    }
}

/// Appends a text of an event as it stands within a JSON string.
#[inline]
fn text(out: &mut Vec<u8>, event: &Event, span: Span) {
    let (start, length) = (usize::from(span.start), usize::from(span.len));
    if start + length > usize::from(event.plain) {
        return escaped(out, event.str(span));
    }
    let rest = event.text.get(start..).unwrap_or_default();
    let end = out.len() + length;
    match (rest.first_chunk::<SHORT>(), rest.first_chunk::<LONG>()) {
        (Some(more), _) if length <= SHORT => {
            out.extend_from_slice(more);
            out.truncate(end);
        }
        (_, Some(more)) if length <= LONG => {
            out.extend_from_slice(more);
            out.truncate(end);
        }
        _ => out.extend_from_slice(rest.get(..length).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Decoder;
    use crate::domain::ids::EffectId;
    use crate::domain::outcome::{Reason, Refusals, RuleRef};

    fn usual() -> Decision {
        Decision {
            score: 0,
            action: Advice::Allow,
            methods_refused: Refusals::default(),
            hold: None,
            rules: Vec::new(),
            shadow: Vec::new(),
            reasons: Vec::new(),
            not_available: Vec::new(),
            late: false,
            rates: None,
        }
    }

    fn lines(pen: &mut Pen, record: &str, decision: &Decision, source: &str) -> [String; 2] {
        let mut event = Event::default();
        Decoder::default()
            .decode(record.as_bytes(), &mut event)
            .unwrap();
        let (mut quick, mut slow) = (Vec::new(), Vec::new());
        let ruleset: Arc<str> = Arc::from("book-\"1\"");
        let from: Arc<str> = Arc::from(source);
        pen.decision(&mut quick, &event, decision, &ruleset, &from, 4_711);
        let position = format!("{source}4711");
        super::super::decision(&mut slow, &event, decision, &ruleset, &position);
        [quick, slow].map(|line| String::from_utf8(line).unwrap())
    }

    /// Decisions of every kind, some of which differ in one thing.
    fn decisions() -> Vec<Decision> {
        let mut others = vec![usual()];
        others.push(Decision {
            score: 7,
            ..usual()
        });
        others.push(Decision {
            score: 999,
            ..usual()
        });
        others.push(Decision {
            late: true,
            ..usual()
        });
        others.push(Decision {
            action: Advice::Decline,
            ..usual()
        });
        others.push(Decision {
            rates: Some(Arc::from("r")),
            ..usual()
        });
        others.push(Decision {
            not_available: vec![(Arc::from("a"), "b")],
            ..usual()
        });
        let rule = |id: &str, version| RuleRef {
            id: Arc::from(id),
            version,
        };
        let found = Decision {
            action: Advice::StepUp,
            rules: vec![rule("one", 1), rule("two", 2)],
            reasons: vec![Reason {
                code: Arc::from("one"),
                text: Arc::from("says \"one\""),
            }],
            late: true,
            ..usual()
        };
        let mut other = found.clone();
        other.shadow = vec![rule("three", 3)];
        other.rules[1] = rule("two", 2);
        let mut third = found.clone();
        third.rules[1].version = 3;
        third.methods_refused = Refusals(1);
        let mut held = found.clone();
        held.hold = Some(EffectId(7));
        others.extend([found.clone(), other, third, held, found]);
        others
    }

    #[test]
    fn the_pen_writes_what_the_slow_hand_writes() {
        let mut pen = Pen::default();
        for decision in &decisions() {
            for id in [
                "a",
                "0123456789abcdef0123456789abcdef-0123",
                "q\\\"\\u0001",
                "æøå",
            ] {
                for card in [
                    "\"c\"",
                    "\"0123456789abcdef-0123456789abcdef\"",
                    "\"\\\\\"",
                    "null",
                ] {
                    for at in [
                        "2018-03-05T23:59:59.999Z",
                        "1970-01-01T00:00:00Z",
                        "2018-03-06T00:30:00+01:00",
                    ] {
                        let record = format!(
                            r#"{{"type":"otp","card":{card},"cardholder":"p","action":"sent","acs_trans_id":"x","at":"{at}","id":"{id}"}}"#
                        );
                        for source in ["file.jsonl:", "a \"b\"/0@"] {
                            let [quick, slow] = lines(&mut pen, &record, decision, source);
                            assert_eq!(quick, slow);
                        }
                    }
                }
            }
        }
    }
}
