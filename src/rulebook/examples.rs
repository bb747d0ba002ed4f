//! `examples:` of a rule: short event lists with the events that must hit.
//!
//! The short form is filled up with defaults to records of the contract (EVENTS.md), as JSON
//! lines, so that an example goes through the same decoder and engine as a bank's stream. Running
//! them is `trial`'s business.

use crate::decode::Decoder;
use crate::domain::codes::{Action, EventType, Message};
use crate::domain::currency::Currency;
use crate::domain::event::Event;
use crate::domain::time::Moment;
use crate::rulebook::page::{self, Fields, Page};
use crate::rulebook::yaml::{Node, Style, Value};
use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde_json::{Map, Value as Json, json};

/// The fields of an example.
pub const FIELDS: &[&str] = &["says", "given", "hits"];
/// The most events of one example, repeats included.
const MAX_EVENTS: usize = 1_000;
/// 2026-03-02T10:00:00+01:00, a Monday, from which an example's spans count.
const START_MS: i64 = 1_772_442_000_000;
/// The offset in which an example's times are written: Danish winter time.
const OFFSET_S: i32 = 3_600;

/// An example.
#[derive(Debug, Clone)]
pub struct Example {
    /// What it shows.
    pub says: String,
    /// `file:line` where it stands.
    pub place: String,
    /// The events, in the order of arrival.
    pub given: Vec<Given>,
    /// Ids of the events that must hit; all others must not.
    pub hits: Vec<String>,
}

/// An event of an example.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its id.
    pub id: String,
    /// The record, as a JSON line.
    pub json: String,
    /// What an ASN database would say of its address; the built-in database knows countries only.
    pub asn: Option<u32>,
}

/// How a field of an event is written in an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A text; quotes may be left out.
    Text,
    /// A whole number.
    Int,
    /// Money in major units, a decimal text.
    Amount,
    /// A time, or a span after the start of the example.
    Time,
    /// `{id, name, country}`, or the id alone.
    Merchant,
    /// Taken over as it stands.
    Free,
}

/// The fields that every event may have.
pub const COMMON: &[(&str, Shape)] = &[
    ("id", Shape::Text),
    ("at", Shape::Time),
    ("type", Shape::Text),
    ("repeat", Shape::Free),
    ("card", Shape::Text),
    ("cardholder", Shape::Text),
    ("received_at", Shape::Time),
];

/// The fields of a purchase.
const PURCHASE: &[(&str, Shape)] = &[
    ("amount", Shape::Amount),
    ("amount_minor", Shape::Int),
    ("currency", Shape::Text),
    ("mcc", Shape::Text),
    ("merchant", Shape::Merchant),
    ("country", Shape::Text),
];

/// The fields of one event type besides [`COMMON`], in parts.
pub fn rows(kind: EventType) -> Vec<(&'static str, Shape)> {
    const T: Shape = Shape::Text;
    let purchase = matches!(kind, EventType::Authorization | EventType::Threeds);
    let own: &[(&str, Shape)] = match kind {
        EventType::Authorization => &[
            ("channel", T),
            ("security", T),
            ("response_code", T),
            ("kind", T),
            ("original", T),
            ("eci", T),
            ("acs_trans_id", T),
            ("available_balance_minor", Shape::Int),
            ("exemption", T),
            ("approved_minor", Shape::Int),
        ],
        EventType::Threeds => &[
            ("message", T),
            ("acs_trans_id", T),
            ("device_channel", T),
            ("browser_ip", T),
            ("asn", Shape::Int),
            ("acct_info", Shape::Free),
            ("trans_status", T),
            ("trans_status_reason", T),
            ("authentication_method", T),
            ("eci", T),
            ("challenge_cancel", T),
            ("interaction_counter", T),
        ],
        EventType::Otp => &[("action", T), ("acs_trans_id", T), ("phone", T)],
        EventType::Eid => &[
            ("action", T),
            ("ip", T),
            ("asn", Shape::Int),
            ("authenticator", T),
            ("purpose", T),
            ("acs_trans_id", T),
            ("key_number", T),
        ],
        EventType::Enrolment => &[
            ("action", T),
            ("channel", T),
            ("phone", T),
            ("phone_country", T),
        ],
        EventType::Card => &[
            ("action", T),
            ("home_country", T),
            ("scheme", T),
            ("until", Shape::Time),
            ("aliases", Shape::Free),
        ],
        EventType::Disposition => &[
            ("subject", Shape::Free),
            ("verdict", T),
            ("by", T),
            ("reason", T),
        ],
        EventType::Hold => &[("hold", T), ("action", T), ("by", T), ("reason", T)],
    };
    let mut rows = COMMON.to_vec();
    if purchase {
        rows.extend_from_slice(PURCHASE);
    }
    rows.extend_from_slice(own);
    rows
}

/// Reads the examples of a rule and checks that there is a hit and a miss among them.
pub fn examples(rule: &Fields, id: Option<&str>, page: &mut Page) -> Vec<Example> {
    let Some(node) = rule.get("examples") else {
        let at = rule.get("id").map_or(rule.node.head(), Node::head);
        let id = id.unwrap_or("this rule");
        let help = "at least one that hits and one with `hits: []`, the honest look-alike";
        page.fault_help(at, format!("`{id}` has no examples"), help);
        return Vec::new();
    };
    let faults_before = page.count();
    let Some(items) = page::items(node, "examples", page) else {
        return Vec::new();
    };
    let examples: Vec<Example> = items
        .iter()
        .filter_map(|item| example(item, page))
        .collect();
    let place = rule
        .entry("examples")
        .map_or(node.head(), |e| e.key_span.clone());
    // An example that could not be read might have been the one that is missing.
    if page.count() == faults_before {
        if examples.iter().all(|e| e.hits.is_empty()) {
            let help = "add one whose `hits` names an event";
            page.fault_help(place.clone(), "no example shows a hit", help);
        }
        if examples.iter().all(|e| !e.hits.is_empty()) {
            let help = "add an honest look-alike with `hits: []`";
            page.fault_help(place, "no example shows a miss", help);
        }
    }
    examples
}

fn example(node: &Node, page: &mut Page) -> Option<Example> {
    let fields = Fields::of(node, "an example", FIELDS, page)?;
    let says = fields
        .want("says", page)
        .and_then(|n| page::text(n, "says", page));
    let mut given: Vec<Given> = Vec::new();
    let list = fields.want("given", page)?;
    let items = page::items(list, "given", page)?;
    if items.is_empty() {
        page.fault(list.head(), "an example has at least one event");
    }
    for item in items {
        let Some(events) = event(item, page) else {
            continue;
        };
        for event in events {
            if given.iter().any(|known| known.id == event.id) {
                let message = format!("the event `{}` is there twice", event.id);
                page.fault_help(item.head(), message, "ids are unique within an example");
            }
            given.push(event);
        }
    }
    if given.len() > MAX_EVENTS {
        page.fault(
            list.head(),
            format!("{} events, more than {MAX_EVENTS}", given.len()),
        );
    }
    let mut hits = Vec::new();
    let hits_node = fields.want("hits", page)?;
    for item in page::items(hits_node, "hits", page)? {
        let Some(hit) = page::text(item, "hits", page) else {
            continue;
        };
        if !given.iter().any(|event| event.id == hit) {
            let known: Vec<&str> = given
                .iter()
                .map(|event| event.id.as_str())
                .take(20)
                .collect();
            let help = page::suggestion(hit, &known);
            page.fault_help(item.head(), format!("no event `{hit}` is given"), help);
        }
        hits.push(hit.to_owned());
    }
    Some(Example {
        says: says?.to_owned(),
        place: page.place(node.span.start),
        given,
        hits,
    })
}

/// One entry of `given`: an event, or several copies of it.
fn event(node: &Node, page: &mut Page) -> Option<Vec<Given>> {
    let any = Fields::any(node, "an event", page)?;
    let kind_node = any.want("type", page)?;
    let kind = page::word(
        kind_node,
        "event type",
        EventType::WORDS,
        EventType::parse,
        page,
    )?;
    let rows = rows(kind);
    let names: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
    let what = format!("an event of type `{}`", kind.word());
    let fields = Fields::of(node, &what, &names, page)?;
    let id = fields
        .want("id", page)
        .and_then(|n| page::text(n, "id", page));
    let at = fields.want("at", page).and_then(|n| time(n, "at", page));
    let mut record = defaults(kind, &fields, page)?;
    for (name, shape) in &rows {
        let (Some(entry), false) = (fields.entry(name), matches!(*name, "id" | "at" | "repeat"))
        else {
            continue;
        };
        if entry.node.is_null() {
            record.remove(*name);
        } else if let Some(value) = value(name, *shape, &entry.node, page) {
            record.insert((*name).to_owned(), value);
        }
    }
    let asn = record
        .remove("asn")
        .and_then(|asn| u32::try_from(asn.as_u64()?).ok());
    settle(&fields, &mut record, page);
    let (times, every_ms) = match fields.get("repeat") {
        Some(node) => repeat(node, page)?,
        None => (1, 0),
    };
    let (id, at) = (id?, at?);
    let copies: Vec<Given> = (0..times)
        .map(|copy| {
            let id = if fields.get("repeat").is_some() {
                format!("{id}-{}", copy + 1)
            } else {
                id.to_owned()
            };
            record.insert("id".to_owned(), json!(id));
            record.insert("at".to_owned(), json!(write_time(at + copy * every_ms)));
            Given {
                id,
                json: Json::Object(record.clone()).to_string(),
                asn,
            }
        })
        .collect();
    decodes(copies.first()?, node, page).then_some(copies)
}

/// Whether the decoder takes a record; what it refuses is a fault of the example.
fn decodes(given: &Given, node: &Node, page: &mut Page) -> bool {
    let decoded = Decoder::default().decode(given.json.as_bytes(), &mut Event::default());
    if let Err(reject) = &decoded {
        let message = format!("this event would be rejected: {}", reject.text);
        page.fault(node.head(), message);
    }
    decoded.is_ok()
}

/// What an event has where the example does not say otherwise.
fn defaults(kind: EventType, fields: &Fields, page: &mut Page) -> Option<Map<String, Json>> {
    let mut record = json!({"type": kind.word(), "card": "c-1", "cardholder": "p-1"});
    let mut add = |more: Json| {
        if let (Json::Object(all), Json::Object(more)) = (&mut record, more) {
            all.extend(more);
        }
    };
    let purchase = json!({
        "amount_minor": 10_000, "currency": "DKK", "mcc": "5411",
        "merchant": {"id": "m-1", "name": "Merchant", "country": "DK"},
    });
    match kind {
        EventType::Authorization => {
            add(purchase);
            add(json!({"channel": "ecommerce", "security": "3ds", "response_code": "00"}));
        }
        EventType::Threeds => {
            let message = match fields.get("message") {
                Some(node) => page::word(node, "message", Message::WORDS, Message::parse, page)?,
                None => Message::AReq,
            };
            add(json!({"message": message.word(), "acs_trans_id": "acs-1"}));
            match message {
                Message::AReq => add(purchase),
                Message::ARes | Message::CRes | Message::RReq => add(json!({"trans_status": "Y"})),
                Message::CReq => {}
            }
        }
        EventType::Otp => add(json!({"acs_trans_id": "acs-1"})),
        EventType::Eid => add(json!({"ip": "80.62.116.1"})),
        EventType::Enrolment => add(json!({"channel": "bank"})),
        EventType::Card | EventType::Disposition | EventType::Hold => {}
    }
    let actions: Vec<&str> = Action::of(kind).iter().map(|a| a.word()).collect();
    if !actions.is_empty() {
        let node = fields.want("action", page)?;
        page::word(node, "action", &actions, |_| Some(()), page)?;
    }
    match record {
        Json::Object(record) => Some(record),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => None,
    }
}

fn value(name: &str, shape: Shape, node: &Node, page: &mut Page) -> Option<Json> {
    match shape {
        // Money waits for its currency: see `settle`.
        Shape::Text | Shape::Amount => page::text(node, name, page).map(|text| json!(text)),
        Shape::Int => page::int(node, name, 0..=1_000_000_000_000_000, page).map(|n| json!(n)),
        Shape::Time => time(node, name, page).map(|ms| json!(write_time(ms))),
        Shape::Merchant => merchant(node, page),
        Shape::Free => Some(free(node)),
    }
}

/// Puts the short forms in their places: `amount` into `amount_minor`, `country` into the merchant.
fn settle(fields: &Fields, record: &mut Map<String, Json>, page: &mut Page) {
    if let Some(Json::String(country)) = record.remove("country")
        && let Some(Json::Object(merchant)) = record.get_mut("merchant")
    {
        merchant.insert("country".to_owned(), json!(country));
    }
    let (Some(Json::String(amount)), Some(node)) = (record.remove("amount"), fields.get("amount"))
    else {
        return;
    };
    let currency = record
        .get("currency")
        .and_then(Json::as_str)
        .and_then(Currency::parse);
    let exponent = currency.map_or(2, Currency::exponent);
    if fields.entry("amount_minor").is_some() {
        page.fault(node.head(), "`amount` and `amount_minor` say the same");
    }
    match minor(&amount, usize::from(exponent)) {
        Some(minor) => {
            record.insert("amount_minor".to_owned(), json!(minor));
        }
        None => {
            let help = format!("a number with at most {exponent} decimals, such as `33882.11`");
            page.fault_help(node.head(), format!("`{amount}` is no amount"), help);
        }
    }
}

fn minor(amount: &str, exponent: usize) -> Option<i64> {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > exponent {
        return None;
    }
    format!("{whole}{part:0<exponent$}").parse().ok()
}

fn merchant(node: &Node, page: &mut Page) -> Option<Json> {
    let mut merchant = json!({"id": "m-1", "name": "Merchant", "country": "DK"});
    if node.scalar().is_some() {
        let id = page::text(node, "merchant", page)?;
        return Some(json!({"id": id, "name": id, "country": "DK"}));
    }
    let fields = Fields::of(node, "a merchant", &["id", "name", "country"], page)?;
    for entry in fields.entries() {
        if let Some(slot) = merchant.get_mut(&entry.key) {
            *slot = json!(page::text(&entry.node, &entry.key, page)?);
        }
    }
    Some(merchant)
}

fn free(node: &Node) -> Json {
    match &node.value {
        Value::Scalar(scalar) if scalar.style == Style::Plain => {
            serde_json::from_str(&scalar.text).unwrap_or_else(|_| json!(scalar.text))
        }
        Value::Scalar(scalar) => json!(scalar.text),
        Value::Sequence(items) => Json::Array(items.iter().map(free).collect()),
        Value::Mapping(entries) => Json::Object(
            entries
                .iter()
                .map(|e| (e.key.clone(), free(&e.node)))
                .collect(),
        ),
    }
}

fn repeat(node: &Node, page: &mut Page) -> Option<(i64, i64)> {
    let fields = Fields::of(node, "a repeat", &["times", "every"], page)?;
    let times = fields
        .want("times", page)
        .and_then(|n| page::int(n, "times", 1..=500, page));
    let every = fields
        .want("every", page)
        .and_then(|n| page::span(n, "every", 400 * 86_400_000, page));
    Some((times?, every?))
}

/// A span after the start such as `2d 3h 5m 10s`, or a full time; in milliseconds.
fn time(node: &Node, name: &str, page: &mut Page) -> Option<i64> {
    let given = page::text(node, name, page)?;
    let parts: Option<Vec<i64>> = given.split_whitespace().map(page::parse_span).collect();
    let after = parts.and_then(|parts| parts.into_iter().try_fold(START_MS, i64::checked_add));
    let time = after.or_else(|| Moment::parse(given).map(|m| m.ms));
    let within = time.filter(|ms| crate::domain::time::MS_RANGE.contains(ms));
    if within.is_none() {
        let help = "a span after 2026-03-02T10:00:00+01:00, such as `2d 3h 5m 10s`, or a time \
                    such as `2026-03-02T10:00:00+01:00`";
        page.fault_help(node.head(), format!("`{given}` is no time"), help);
    }
    within
}

fn write_time(ms: i64) -> String {
    let utc = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    match FixedOffset::east_opt(OFFSET_S) {
        Some(offset) => utc
            .with_timezone(&offset)
            .to_rfc3339_opts(SecondsFormat::Millis, false),
        None => utc.to_rfc3339_opts(SecondsFormat::Millis, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_examples_clock_starts_on_a_monday_morning_in_march() {
        assert_eq!(write_time(START_MS), "2026-03-02T10:00:00.000+01:00");
    }

    #[test]
    fn an_amount_is_read_digit_by_digit() {
        assert_eq!(minor("33882.11", 2), Some(3_388_211));
        assert_eq!(minor("5", 2), Some(500));
        assert_eq!(minor("5", 0), Some(5));
        assert_eq!(minor("1.5", 3), Some(1_500));
        for bad in ["", ".5", "1.234", "-1", "1,5", "1e2"] {
            assert_eq!(minor(bad, 2), None, "{bad}");
        }
    }
}
