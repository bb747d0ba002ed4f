//! Looking: a card's risk state, the lists of holds and alerts, and the published lists of codes.
//!
//! All of it is read; nothing here has an effect.

use crate::api::answer;
use crate::api::failure::{Code, Failure};
use crate::api::json::Writer;
use crate::api::ledger::{Row, Rows};
use crate::api::teller::{Judged, Span, Teller};
use crate::decode::contains_card_number;
use crate::domain::event::{Event, MAX_TEXT_BYTES};
use crate::domain::ids::Fingerprint;
use crate::engine::cold::{Cold, Episode, Standing};
use crate::engine::decide::SUSPENDED;
use crate::engine::holds;
use crate::engine::raise::{UNACKNOWLEDGED, UNACKNOWLEDGED_TEXT, UNDELIVERED, UNDELIVERED_TEXT};
use crate::engine::record::Record;
use crate::stream::seat::Sight;

/// The most rows of a list.
const MAX_ROWS: usize = 200;
/// Rows of a list that names no limit.
const USUAL_ROWS: usize = 50;
/// Codes of reasons that are the engine's own, with their sentences.
const OWN_REASONS: [(&str, &str); 4] = [
    (
        SUSPENDED,
        "Enforcement is suspended: otherwise this would be stepped up or declined",
    ),
    ("hold-in-force", "A hold for the named pattern is in force"),
    (UNDELIVERED, UNDELIVERED_TEXT),
    (UNACKNOWLEDGED, UNACKNOWLEDGED_TEXT),
];

/// What is to be listed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filter {
    cardholder: Option<String>,
    card: Option<String>,
    state: Option<String>,
    limit: usize,
}

impl Filter {
    /// Reads a query: `cardholder`, `card`, `state` (or `status`), `limit` (1 to 200).
    ///
    /// # Errors
    /// Where it has another name, or a limit out of bounds.
    pub fn read(query: &str) -> Result<Self, Failure> {
        let bad = |text: &str| Failure::new(Code::BadRequest, text);
        let mut filter = Self {
            limit: USUAL_ROWS,
            ..Self::default()
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = unescaped(value).ok_or_else(|| bad("the query is not escaped well"))?;
            match name {
                "cardholder" => filter.cardholder = Some(value),
                "card" => filter.card = Some(value),
                "state" | "status" => filter.state = Some(value),
                "limit" => {
                    let limit = value.parse().ok();
                    let limit = limit.filter(|limit| (1..=MAX_ROWS).contains(limit));
                    filter.limit = limit.ok_or_else(|| bad("`limit` is 1 to 200"))?;
                }
                _ => {
                    return Err(bad(
                        "the query can have `cardholder`, `card`, `state` and `limit`",
                    ));
                }
            }
        }
        Ok(filter)
    }

    fn passes(&self, row: &Row) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
        };
        is(&self.cardholder, Some(&row.cardholder))
            && is(&self.card, row.card.as_deref())
            && is(&self.state, Some(&row.state))
    }
}

/// A value of a query: `+` is a space, `%` two hex digits.
fn unescaped(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut hex = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (hex()?, hex()?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Holds, the newest first.
pub fn holds(teller: &Teller, filter: &Filter) -> Vec<u8> {
    list("holds", &teller.ledger.holds(), filter)
}

/// Alerts, the newest first.
pub fn alerts(teller: &Teller, filter: &Filter) -> Vec<u8> {
    list("alerts", &teller.ledger.alerts(), filter)
}

fn list(name: &str, rows: &Rows, filter: &Filter) -> Vec<u8> {
    let mut out = Vec::new();
    let mut json = Writer { out: &mut out };
    json.open();
    let found = rows.newest().filter(|row| filter.passes(row));
    json.list(name, found.take(filter.limit), |json, row| {
        json.raw(&row.line);
    });
    json.close();
    out.push(b'\n');
    out
}

/// What is known of a card, or who is to be asked.
///
/// # Errors
/// Why it cannot be looked at.
pub fn card(teller: &Teller, card: &str, span: Span) -> Result<Judged, Failure> {
    if card.is_empty() || card.len() > MAX_TEXT_BYTES {
        return Err(Code::NotFound.into());
    }
    if contains_card_number(card) {
        return Err(Code::CardNumber.into());
    }
    let mut event = Event::default();
    let token = event.push_text(card).ok_or(Code::NotFound)?;
    event.card = token;
    event.card_fp = Fingerprint::of(card);
    teller.resolve(&mut event)?;
    let partition = teller.partition_of(event.cardholder());
    let is_behind = teller.seats.is_behind();
    let mut out = Vec::new();
    let seen = teller.see(partition, span, |sight| {
        write_card(sight, &event, is_behind, &mut out);
    })?;
    Ok(match seen {
        Some(()) => Judged::Here(out),
        None => Judged::Elsewhere(partition),
    })
}

fn write_card(sight: &Sight<'_>, event: &Event, is_behind: bool, out: &mut Vec<u8>) {
    let engine = sight.shard.engine();
    let record = engine.slab().find(event.cardholder_fp.0);
    let mut json = Writer { out };
    json.open();
    json.field("card", event.card());
    json.field("cardholder", event.cardholder());
    json.flag("known", record.is_some());
    match record {
        Some(record) => json.time("newest_event", record.clock_ms),
        None => json.optional("newest_event", None),
    }
    let now_ms = sight
        .shard
        .newest_ms()
        .max(record.map_or(0, |r| r.clock_ms));
    let cold = record.and_then(|record| record.cold.as_deref());
    write_open(&mut json, record, cold, event.card_fp.0, now_ms);
    json.field("ruleset", &engine.prepared().version);
    answer::state(&mut json, sight, is_behind);
    json.close();
    out.push(b'\n');
}

fn write_open(
    json: &mut Writer<'_>,
    record: Option<&Record>,
    cold: Option<&Cold>,
    card: u64,
    now_ms: i64,
) {
    let in_force = record
        .into_iter()
        .flat_map(|record| holds::in_force(record, card, now_ms));
    json.list("holds", in_force, write_hold);
    let episodes = cold.into_iter().flat_map(|cold| &cold.episodes);
    json.list("alerts", episodes, write_episode);
    let challenges = cold.map_or(0, |cold| cold.challenges.len());
    json.number("challenges", u64::try_from(challenges).unwrap_or(0));
}

fn write_hold(json: &mut Writer<'_>, hold: &Standing) {
    json.open();
    json.field("id", &hold.id.to_string());
    json.field("kind", hold.kind.word());
    json.field("state", hold.state.word());
    json.optional("card", hold.card.as_deref());
    json.list(
        "methods_refused",
        hold.methods_refused.iter(),
        |json, method| {
            json.text(method.word());
        },
    );
    json.field("pattern", &hold.pattern);
    json.time("from", hold.from_ms);
    json.time("until", hold.until_ms);
    json.field("alert", &hold.alert.to_string());
    json.close();
}

fn write_episode(json: &mut Writer<'_>, episode: &Episode) {
    json.open();
    json.field("id", &episode.id.to_string());
    json.field("pattern", &episode.pattern);
    json.field("severity", episode.severity.word());
    json.number("score", episode.score);
    json.number("count", episode.count);
    json.list("reasons", &episode.reasons, |json, reason| {
        json.open();
        json.field("code", &reason.code);
        json.field("text", &reason.text);
        json.close();
    });
    json.close();
}

/// Every code of a failure, with its status and what to do.
pub fn problems() -> Vec<u8> {
    let mut out = Vec::new();
    let mut json = Writer { out: &mut out };
    json.open();
    json.list("problems", Code::ALL, |json, code| {
        json.open();
        json.field("code", code.word());
        json.number("status", code.status());
        json.field("title", code.title());
        json.field("what_to_do", code.remedy());
        json.close();
    });
    json.close();
    out.push(b'\n');
    out
}

/// Every code of a reason under the rule book in force here, with its sentence.
///
/// # Errors
/// Where no shard sits here that could say.
pub fn reasons(teller: &Teller, span: Span) -> Result<Vec<u8>, Failure> {
    for partition in 0..i32::try_from(teller.seats.count()).unwrap_or(0) {
        let seen = teller.see(partition, span.glance(), |sight| {
            std::sync::Arc::clone(sight.shard.engine().prepared())
        });
        let Ok(Some(prepared)) = seen else {
            continue;
        };
        let mut out = Vec::new();
        let mut json = Writer { out: &mut out };
        json.open();
        json.field("ruleset", &prepared.version);
        let rules = prepared.book.rules.iter();
        let rules = rules.map(|rule| (rule.id.as_str(), rule.why.as_str()));
        json.list(
            "reasons",
            OWN_REASONS.into_iter().chain(rules),
            |json, (code, text)| {
                json.open();
                json.field("code", code);
                json.field("text", text);
                json.close();
            },
        );
        json.close();
        out.push(b'\n');
        return Ok(out);
    }
    Err(Code::NoOwner.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_refused() {
        let filter = Filter::read("cardholder=p%2D1&state=requested&limit=7").unwrap();
        assert_eq!(filter.cardholder.as_deref(), Some("p-1"));
        assert_eq!(
            (filter.state.as_deref(), filter.limit),
            (Some("requested"), 7)
        );
        assert_eq!(Filter::read("").unwrap().limit, USUAL_ROWS);
        for bad in [
            "limit=0",
            "limit=201",
            "limit=x",
            "colour=red",
            "card=%zz",
            "card=%f",
        ] {
            assert_eq!(
                Filter::read(bad).unwrap_err().code,
                Code::BadRequest,
                "{bad}"
            );
        }
    }
}
