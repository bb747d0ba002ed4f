//! Steps in the life of holds, and dispositions: told by a call, appended to the log as events.
//!
//! The log is what counts: state and topics change when the shard reads the step, so that a replay
//! sees it. The id of a step follows from what it is about, so that a call made twice is a repeat.
//! Delivery is told by an answer itself, the first time it names a hold.

use crate::api::failure::{Code, Failure};
use crate::api::json::Writer;
use crate::api::ledger::Row;
use crate::api::teller::{Span, Teller};
use crate::clock;
use crate::decode::Decoder;
use crate::domain::event::Event;
use crate::domain::ids::{EffectId, Fingerprint};
use crate::stream::records;
use crate::stream::send::Parcel;
use crate::stream::tickets::Ticket;
use rdkafka::message::OwnedHeaders;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// How often is looked whether the broker has a step, and whether it shows.
const LOOK: Duration = Duration::from_millis(2);
/// How long a hold or alert that is not known may still be on its way here.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
/// How long a call waits for its step to show before it answers that it is recorded.
const SHOWS: Duration = Duration::from_secs(1);

/// Who takes a step, and why.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Who.
    #[serde(default)]
    pub by: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Of a disposition: `fraud`, `good` or `undetermined`.
    #[serde(default)]
    pub verdict: Option<String>,
}

/// Whose record a step belongs to.
#[derive(Debug, Clone)]
struct Holder {
    cardholder: String,
    /// Whether a card stands for its holder, and `cardholder` is its token.
    by_card: bool,
    at_ms: i64,
}

/// A step to be appended.
#[derive(Debug)]
struct Step {
    /// What is counted.
    what: &'static str,
    holder: Holder,
    line: Vec<u8>,
}

impl Teller {
    /// Tells the log that a hold was told, the first time; nobody waits for it.
    pub fn deliver(&self, hold: EffectId, event: &Event, at_ms: i64) {
        let is_full = self.sender.in_flight() >= self.config.bounds.in_flight;
        if is_full || !self.is_first(hold) {
            return;
        }
        let holder = Holder {
            cardholder: event.cardholder().to_owned(),
            by_card: event.cardholder == event.card,
            at_ms,
        };
        let step = hold_step(&hold, "delivered", holder, &Said::default());
        if let Err(error) = self.append(&step) {
            tracing::warn!(code = error.code.word(), "a delivery is not told");
        }
    }

    /// Takes a step with a hold; the answer is the hold as it stands then, and whether the step shows.
    ///
    /// # Errors
    /// Where the hold is not known or over, the words are refused, or the broker does not take it.
    pub async fn step(
        &self,
        hold: EffectId,
        action: &'static str,
        said: &Said,
        span: Span,
    ) -> Result<(Row, bool), Failure> {
        let row = awaited(span, || self.ledger.holds().get(hold).cloned()).await;
        let row = row.ok_or(Code::UnknownHold)?;
        if said.verdict.is_some() {
            return Err(Failure::new(Code::BadRequest, "a hold has no `verdict`"));
        }
        if action == "released" && said.reason.is_empty() {
            return Err(Failure::new(Code::BadRequest, "a release needs a `reason`"));
        }
        if matches!(&*row.state, "released" | "expired") {
            return if *row.state == *action {
                Ok((row, true))
            } else {
                Err(Code::HoldOver.into())
            };
        }
        let holder = self.holder_of(&row, hold, span);
        self.taken(&hold_step(&hold, action, holder, said), span)
            .await?;
        let shows = |row: &Row| match action {
            "acknowledged" => &*row.state != "requested" && &*row.state != "delivered",
            "released" => matches!(&*row.state, "released" | "expired"),
            _ => true,
        };
        loop {
            let row = self.ledger.holds().get(hold).cloned();
            let row = row.ok_or(Code::UnknownHold)?;
            let is_shown = shows(&row);
            if is_shown || span.left().is_zero() || span.begun.elapsed() > SHOWS {
                return Ok((row, is_shown));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Records what an analyst says of an alert; the answer is the alert as it stands then. What was good is held no
    /// longer.
    ///
    /// # Errors
    /// As of [`Teller::step`].
    pub async fn dispose(
        &self,
        alert: EffectId,
        said: &Said,
        key: Option<&str>,
        span: Span,
    ) -> Result<(Row, bool), Failure> {
        let row = awaited(span, || self.ledger.alerts().get(alert).cloned()).await;
        let row = row.ok_or(Code::UnknownAlert)?;
        let verdict = said.verdict.as_deref().unwrap_or_default();
        if !matches!(verdict, "fraud" | "good" | "undetermined") {
            let text = "a disposition needs a `verdict`: `fraud`, `good` or `undetermined`";
            return Err(Failure::new(Code::BadRequest, text));
        }
        let holder = self.holder_of(&row, alert, span);
        let id = disposition_id(&alert, key, verdict);
        let step = disposition(&alert, &id, verdict, holder, said);
        self.taken(&step, span).await?;
        if verdict == "good" {
            self.let_go(alert, said, span).await?;
        }
        loop {
            let row = self.ledger.alerts().get(alert).cloned();
            let row = row.ok_or(Code::UnknownAlert)?;
            let is_shown = &*row.state == "closed";
            if is_shown || span.left().is_zero() || span.begun.elapsed() > SHOWS {
                return Ok((row, is_shown));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What was good is held no longer: the episode's holds that are not over are released, for the disposition's reason.
    async fn let_go(&self, alert: EffectId, said: &Said, span: Span) -> Result<(), Failure> {
        let reason = if said.reason.is_empty() {
            "its alert was found good"
        } else {
            &said.reason
        };
        let said = Said {
            by: said.by.clone(),
            reason: reason.to_owned(),
            verdict: None,
        };
        let standing = self.ledger.holds().standing_of(alert);
        for hold in standing {
            match self.step(hold, "released", &said, span).await {
                Ok(_) => {}
                Err(failure) if failure.code == Code::HoldOver => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Under which key the record with a hold or alert stands, and where its time stands.
    fn holder_of(&self, row: &Row, id: EffectId, span: Span) -> Holder {
        let name = &*row.cardholder;
        let seen = self.see(self.partition_of(name), span.glance(), |sight| {
            let records = sight.shard.engine().slab();
            let named = records.find(Fingerprint::of_card_as_holder(name).0);
            let cold = named.and_then(|record| record.cold.as_ref());
            let by_card = cold.is_some_and(|cold| {
                cold.holds.iter().any(|hold| hold.id == id)
                    || cold.episodes.iter().any(|episode| episode.id == id)
            });
            (by_card, sight.shard.newest_ms())
        });
        // Elsewhere scored: what the line says must do.
        let (by_card, newest_ms) = seen
            .ok()
            .flatten()
            .unwrap_or((row.card.as_deref() == Some(name), 0));
        Holder {
            cardholder: name.to_owned(),
            by_card,
            at_ms: newest_ms.max(row.at_ms),
        }
    }

    /// Appends a step and waits until the broker has it.
    async fn taken(&self, step: &Step, span: Span) -> Result<(), Failure> {
        Decoder::default().decode(&step.line, &mut Event::default())?;
        let ticket = self.append(step)?;
        self.acknowledged(&ticket, span).await
    }

    fn append(&self, step: &Step) -> Result<Arc<Ticket>, Failure> {
        if self.sender.in_flight() >= self.config.bounds.in_flight {
            return Err(Code::LogUnavailable.into());
        }
        let source = format!("api/{}@-1", self.config.run.instance);
        let now = clock::now_ms().to_string();
        let mut headers = OwnedHeaders::new_with_capacity(4);
        headers = records::with(headers, records::KIND, b"e");
        headers = records::with(headers, records::SOURCE, source.as_bytes());
        headers = records::with(headers, records::RECEIVED, now.as_bytes());
        if step.holder.by_card {
            headers = records::with(headers, records::HOLDER, b"card");
        }
        let parcel = Parcel {
            topic: &self.config.topics.log,
            partition: None,
            key: step.holder.cardholder.as_bytes(),
            value: &step.line,
            headers: Some(headers),
        };
        let ticket = Ticket::open();
        let sent = self.sender.send(parcel, &ticket);
        sent.map_err(|_| Failure::from(Code::LogUnavailable))?;
        ticket.settle();
        self.sender.go();
        self.metrics.steps.add(step.what, 1);
        Ok(ticket)
    }
}

/// A row that may be on its way here: an answer can name a hold before its topic is read.
async fn awaited(span: Span, row: impl Fn() -> Option<Row>) -> Option<Row> {
    loop {
        let found = row();
        let is_over = span.left().is_zero() || span.begun.elapsed() > ON_ITS_WAY;
        if found.is_some() || is_over {
            return found;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The members that every step begins with.
fn begin(json: &mut Writer<'_>, kind: &str, id: &str, holder: &Holder) {
    json.open();
    json.field("type", kind);
    json.field("id", id);
    json.time("at", holder.at_ms);
    let key = if holder.by_card { "card" } else { "cardholder" };
    json.field(key, &holder.cardholder);
}

fn end(json: &mut Writer<'_>, said: &Said) {
    for (name, text) in [("by", &said.by), ("reason", &said.reason)] {
        if !text.is_empty() {
            json.field(name, text);
        }
    }
    json.close();
}

fn hold_step(hold: &EffectId, action: &'static str, holder: Holder, said: &Said) -> Step {
    let id = format!("{hold}-{action}");
    let mut line = Vec::new();
    let mut json = Writer { out: &mut line };
    begin(&mut json, "hold", &id, &holder);
    json.field("hold", &hold.to_string());
    json.field("action", action);
    end(&mut json, said);
    Step {
        what: action,
        holder,
        line,
    }
}

/// The id of the event that a disposition becomes: what has the same alert and key is a repeat.
pub fn disposition_id(alert: &EffectId, key: Option<&str>, verdict: &str) -> String {
    match key {
        Some(key) => format!("{alert}-{}", letters(xxh3_64(key.as_bytes()))),
        None => format!("{alert}-{verdict}"),
    }
}

fn disposition(alert: &EffectId, id: &str, verdict: &str, holder: Holder, said: &Said) -> Step {
    let mut line = Vec::new();
    let mut json = Writer { out: &mut line };
    begin(&mut json, "disposition", id, &holder);
    json.key("subject");
    json.open();
    json.field("alert", &alert.to_string());
    json.close();
    json.field("verdict", verdict);
    end(&mut json, said);
    Step {
        what: "disposition",
        holder,
        line,
    }
}

/// A number in letters: digits beside an id's own could pass for a card number.
fn letters(number: u64) -> String {
    (0..16)
        .map(|place| {
            let nibble = u8::try_from(number >> (4 * place) & 0xF).unwrap_or(0);
            char::from(b'a' + nibble)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::codes::{Action, Verdict};
    use crate::domain::event::Body;

    fn holder(by_card: bool) -> Holder {
        Holder {
            cardholder: "p-1".to_owned(),
            by_card,
            at_ms: 1_520_264_846_000,
        }
    }

    fn said() -> Said {
        Said {
            by: "anna".to_owned(),
            reason: "she called \"us\"".to_owned(),
            verdict: None,
        }
    }

    #[test]
    fn a_step_reads_back_as_the_event_it_is() {
        let hold = EffectId::derive("p-1", "hold", "x", "e", 0);
        let mut event = Event::default();
        for by_card in [false, true] {
            let step = hold_step(&hold, "released", holder(by_card), &said());
            Decoder::default().decode(&step.line, &mut event).unwrap();
            let Body::Hold(read) = &event.body else {
                panic!("no step");
            };
            assert_eq!(read.action, Action::Released);
            assert_eq!(event.str(read.hold), hold.to_string());
            assert_eq!(event.str(read.reason), "she called \"us\"");
            assert_eq!(event.card().is_empty(), !by_card);
            assert_eq!(event.id(), format!("{hold}-released"));
        }
        let step = disposition(
            &hold,
            &disposition_id(&hold, Some("k"), "good"),
            "good",
            holder(false),
            &said(),
        );
        Decoder::default().decode(&step.line, &mut event).unwrap();
        let Body::Disposition(read) = &event.body else {
            panic!("no disposition");
        };
        assert!(read.of_alert && read.verdict == Verdict::Good);
    }

    #[test]
    fn a_step_told_twice_has_the_same_id_and_one_that_fits() {
        let hold = EffectId::derive("p-1", "hold", "x", "e", 0);
        let mut ids = Vec::new();
        for at_ms in [1_520_264_846_000, 1_520_264_999_000] {
            let mut holder = holder(false);
            holder.at_ms = at_ms;
            let mut event = Event::default();
            let step = hold_step(&hold, "acknowledged", holder, &said());
            Decoder::default().decode(&step.line, &mut event).unwrap();
            ids.push(event.id().to_owned());
        }
        assert_eq!(ids.first(), ids.last());
    }
}
