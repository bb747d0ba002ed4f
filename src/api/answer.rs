//! An answer: what a shard says of an attempt, written for those who act on it.
//!
//! The decision's own fields are those of EVENTS.md; beside them stands what an ACS and an
//! authorization host make of it, on which state it rests, and the evidence of each reason. It
//! decides nothing: action, score and refusals are the engine's.

use crate::api::json::Writer;
use crate::domain::codes::{Advice, Channel, DeviceChannel, HoldState, Message, Security};
use crate::domain::event::{Body, Event};
use crate::domain::ids::EffectId;
use crate::domain::outcome::{Decision, Reason};
use crate::engine::Engine;
use crate::engine::book::{Band, Rule};
use crate::engine::cards::{self, Card};
use crate::engine::decide::SUSPENDED;
use crate::engine::record::Record;
use crate::expr::Explained;
use crate::rulebook::conditions;
use crate::stream::seat::Sight;

/// What is asked besides the event itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// What the request lacks: name and why it matters.
    pub lacks: &'a [(&'static str, &'static str)],
    /// The requestor wants a challenge (EMV `threeDSRequestorChallengeInd` 04).
    pub wants_challenge: bool,
    /// A decoupled challenge is possible (EMV 2.2.0 and later).
    pub decoupled: bool,
    /// What the codes of an AReq mean, as a JSON object.
    pub emv: Option<&'a [u8]>,
}

/// What must follow from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Follows {
    /// A hold that was told for the first time, and the state's event time.
    pub delivered: Option<(EffectId, i64)>,
}

/// Judges an event and writes the answer.
pub fn write(
    sight: &Sight<'_>,
    event: &Event,
    asked: &Asked<'_>,
    is_behind: bool,
    out: &mut Vec<u8>,
) -> Follows {
    let engine = sight.shard.engine();
    let record = engine.slab().find(event.cardholder_fp.0);
    let decision = engine.assess(event);
    let mut json = Writer { out };
    json.open();
    json.field("event", event.id());
    json.time("at", event.at.ms);
    json.optional("card", Some(event.card()).filter(|card| !card.is_empty()));
    json.number("score", decision.score);
    json.field(
        "band",
        band(&engine.prepared().book.policy.bands, decision.score),
    );
    json.field("action", decision.action.word());
    findings(&mut json, engine, event, &decision);
    not_available(&mut json, event, asked, record, &decision);
    json.field("ruleset", &engine.prepared().version);
    json.key("models");
    json.raw(b"[]");
    if let Some(rates) = &decision.rates {
        json.field("rates", rates);
    }
    json.flag("late", decision.late);
    acs(&mut json, event, asked, &decision);
    host(&mut json, event, record, &decision);
    if let Some(emv) = asked.emv {
        json.key("emv");
        json.raw(emv);
    }
    state(&mut json, sight, is_behind);
    json.close();
    json.out.push(b'\n');
    let told = decision.hold.filter(|id| is_requested(record, *id));
    Follows {
        delivered: told.map(|id| (id, sight.shard.newest_ms())),
    }
}

/// The band of a score: by what the policy advises at it alone.
pub fn band(bands: &[Band], score: u16) -> &'static str {
    let reached = bands.iter().rev().find(|band| score >= band.from);
    match reached.map(|band| band.action) {
        None | Some(Advice::Allow) => "low",
        Some(Advice::StepUp) => "elevated",
        Some(Advice::Decline) => "high",
    }
}

fn is_requested(record: Option<&Record>, id: EffectId) -> bool {
    let holds = record.and_then(|record| record.cold.as_ref());
    let hold = holds.and_then(|cold| cold.holds.iter().find(|hold| hold.id == id));
    hold.is_some_and(|hold| hold.state == HoldState::Requested)
}

fn findings(json: &mut Writer<'_>, engine: &Engine, event: &Event, decision: &Decision) {
    json.list(
        "methods_refused",
        decision.methods_refused.iter(),
        |json, method| {
            json.text(method.word());
        },
    );
    let hold = decision.hold.map(|hold| hold.to_string());
    json.optional("hold", hold.as_deref());
    for (name, rules) in [("rules", &decision.rules), ("shadow", &decision.shadow)] {
        json.list(name, rules, |json, rule| {
            json.open();
            json.field("id", &rule.id);
            json.number("version", rule.version);
            json.close();
        });
    }
    if decision.reasons.is_empty() {
        json.key("reasons");
        json.raw(b"[]");
        return;
    }
    let evidence = evidence(engine, event, &decision.reasons);
    json.list(
        "reasons",
        decision.reasons.iter().zip(&evidence),
        |json, (reason, evidence)| write_reason(json, reason, evidence, decision),
    );
}

fn write_reason(
    json: &mut Writer<'_>,
    reason: &Reason,
    evidence: &Option<Explained>,
    decision: &Decision,
) {
    json.open();
    json.field("code", &reason.code);
    json.field("text", &reason.text);
    let read = evidence.as_ref().and_then(|term| term.reads.first());
    if let (Some(term), Some((name, value))) = (evidence, read) {
        json.field("what", name);
        json.key("value");
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok();
        if is_json {
            json.raw(value.as_bytes());
        } else {
            json.text(value);
        }
        json.field("threshold", &term.text);
    } else {
        let hold = decision.hold.filter(|_| &*reason.code == "hold-in-force");
        let what = match &*reason.code {
            "hold-in-force" => "hold",
            SUSPENDED => "enforcement",
            _ => "rule",
        };
        json.field("what", what);
        let hold = hold.map(|hold| hold.to_string());
        json.optional("value", hold.as_deref());
        json.optional("threshold", None);
    }
    json.close();
}

/// For each reason the term of its rule's condition that says most: a comparison before a plain yes.
fn evidence(engine: &Engine, event: &Event, reasons: &[Reason]) -> Vec<Option<Explained>> {
    let rules = &engine.prepared().book.rules;
    let of = |reason: &Reason| rules.iter().find(|rule| *rule.id == *reason.code);
    engine.look(event, false, |view| {
        let term = |rule: &Rule, view: &mut _| telling(conditions(rule, view));
        reasons
            .iter()
            .map(|reason| of(reason).and_then(|rule| term(rule, view)))
            .collect()
    })
}

/// What most rules begin with, and what says least.
const COMMON: [&str; 5] = ["mcc_group", "type", "message", "channel", "security"];

fn telling(told: crate::rulebook::Told) -> Option<Explained> {
    let terms = told.into_iter().filter(|(name, _)| *name != "unless");
    let terms = terms.flat_map(|(_, terms)| terms);
    let weight = |term: &Explained| {
        let compares = term.text.contains(['<', '>']);
        let is_common = |(name, _): &(String, String)| COMMON.contains(&name.as_str());
        match term.reads.len() {
            1 | 2 if compares => 3,
            1.. if !term.reads.iter().any(is_common) => 2,
            _ => 1,
        }
    };
    let told = terms.filter(|term| term.value == Some(true) && !term.reads.is_empty());
    // Of equals the last: conditions go from what is common to what is particular.
    told.max_by_key(weight)
}

fn not_available(
    json: &mut Writer<'_>,
    event: &Event,
    asked: &Asked<'_>,
    record: Option<&Record>,
    decision: &Decision,
) {
    const UNKNOWN: (&str, &str) = (
        "unknown_card",
        "nothing is known of this card or cardholder: judged on an empty history",
    );
    const NO_IP: (&str, &str) = (
        "browser_ip",
        "the request has none: where it comes from is unknown",
    );
    let named = decision.not_available.iter();
    let engine = named.map(|(what, why)| (&**what, *why));
    let is_areq = matches!(&event.body, Body::Threeds(message) if message.message == Message::AReq);
    let unknown = record.is_none().then_some(UNKNOWN);
    let no_ip = (is_areq && event.ip.is_none()).then_some(NO_IP);
    let ours = unknown.into_iter().chain(no_ip);
    let all = engine.chain(ours).chain(asked.lacks.iter().copied());
    json.list("not_available", all, |json, (what, why)| {
        json.open();
        json.field("what", what);
        json.field("why", why);
        json.close();
    });
}

/// What an ACS makes of it: which `transStatus` is suggested, and by what not to challenge.
fn acs(json: &mut Writer<'_>, event: &Event, asked: &Asked<'_>, decision: &Decision) {
    let alone = matches!(&event.body, Body::Threeds(message)
        if message.device_channel == Some(DeviceChannel::ThreeRi));
    let (status, reason) = match decision.action {
        Advice::Allow if asked.wants_challenge && !alone => ("C", None),
        Advice::Allow => ("Y", None),
        // Nobody sits at a 3RI request: it is challenged apart from it, or not authenticated.
        Advice::StepUp if alone && asked.decoupled => ("D", None),
        Advice::StepUp if alone => ("N", Some("01")),
        Advice::StepUp => ("C", None),
        Advice::Decline => ("R", Some("11")),
    };
    json.key("acs");
    json.open();
    json.field("trans_status", status);
    json.optional("trans_status_reason", reason);
    json.list(
        "methods_not_to_offer",
        decision.methods_refused.iter(),
        |json, method| json.text(method.word()),
    );
    json.close();
}

/// What an authorization host makes of it (STANDARDS, section 4: soft declines by scheme).
fn host(json: &mut Writer<'_>, event: &Event, record: Option<&Record>, decision: &Decision) {
    let card = record.and_then(|record| cards::find(record, event.card_fp.0));
    let is_present = matches!(&event.body, Body::Authorization(payment)
        if matches!(payment.channel, Channel::Pos | Channel::Atm)
            || matches!(payment.security, Security::ChipPin | Security::Chip | Security::Contactless));
    let scheme = card.map(|card| card.has(Card::MASTERCARD));
    let visa = if is_present { "70" } else { "1A" };
    let (advice, code) = match (decision.action, scheme) {
        (Advice::Allow, _) => ("approve", None),
        (Advice::StepUp, Some(true)) => ("soft_decline", Some("65")),
        (Advice::StepUp, Some(false) | None) => ("soft_decline", Some(visa)),
        (Advice::Decline, _) => ("decline", None),
    };
    json.key("host");
    json.open();
    json.field("advice", advice);
    json.optional("response_code", code);
    json.field(
        "scheme",
        match scheme {
            Some(true) => "mastercard",
            Some(false) => "other",
            None => "unknown",
        },
    );
    if decision.action == Advice::StepUp {
        json.key("by_scheme");
        json.open();
        json.field("mastercard", "65");
        json.field("visa", visa);
        json.close();
    }
    json.close();
}

/// On which state an answer rests.
pub fn state(json: &mut Writer<'_>, sight: &Sight<'_>, is_behind: bool) {
    json.key("as_of");
    json.open();
    let mut position = String::with_capacity(32);
    let is_begun = sight.shard.standing.next > 0;
    if is_begun {
        sight.shard.write_position(&mut position);
    }
    json.optional("position", is_begun.then_some(position.as_str()));
    let newest_ms = sight.shard.newest_ms();
    if newest_ms > 0 {
        json.time("at", newest_ms);
    } else {
        json.optional("at", None);
    }
    json.close();
    let stale = sight.stale.or(is_behind.then_some("lagging"));
    json.flag("stale", stale.is_some());
    if let Some(why) = stale {
        json.field("stale_why", why);
    }
}
