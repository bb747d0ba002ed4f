//! The switch of all enforcement: suspended or resumed at once by a call, for every partition.
//!
//! Setting it appends a control record to every partition of the log, so that a decision follows from
//! what stands before it there and a replay sees the switch; then it is announced beside the owners,
//! so that every instance can tell who has set it and why. What it does to decisions is the engine's.

use crate::api::failure::{Code, Failure};
use crate::api::json::Writer;
use crate::api::steps::Said;
use crate::api::teller::{Span, Teller};
use crate::clock;
use crate::decode::contains_card_number;
use crate::domain::event::MAX_TEXT_BYTES;
use crate::stream::append::send_control;
use crate::stream::book::{SWITCH_KEY, Switched};
use crate::stream::send::Parcel;
use crate::stream::tickets::Ticket;
use serde::Deserialize;
use std::time::Duration;

/// How often is looked whether the broker has it, and whether it shows.
const LOOK: Duration = Duration::from_millis(2);
/// How long a call waits for the switch to show before it answers that it is recorded.
const SHOWS: Duration = Duration::from_secs(1);

/// How the switch is to be set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    suspended: bool,
    reason: String,
    #[serde(default)]
    by: String,
}

/// Reads a body: whether enforcement is to be suspended, and who says so and why, each at most 512 bytes.
///
/// # Errors
/// Where it is no such object, gives no reason, or shows a card number.
pub fn wish(body: &[u8]) -> Result<(bool, Said), Failure> {
    let bad = |text: &str| Failure::new(Code::BadRequest, text);
    // What serde says may name a value of the request.
    let wish: Wish = serde_json::from_slice(body).map_err(|_| {
        bad("the body is no object of `suspended` (true or false), the text `reason` and, if wanted, the text `by`")
    })?;
    if wish.reason.is_empty() {
        return Err(bad("the switch needs a `reason`"));
    }
    if wish.reason.len().max(wish.by.len()) > MAX_TEXT_BYTES {
        return Err(bad("`reason` and `by` are at most 512 bytes"));
    }
    if contains_card_number(&wish.reason) || contains_card_number(&wish.by) {
        return Err(Code::CardNumber.into());
    }
    let said = Said {
        by: wish.by,
        reason: wish.reason,
        verdict: None,
    };
    Ok((wish.suspended, said))
}

/// Setting the switch, as the audit log names it.
pub fn named(suspended: bool) -> &'static str {
    if suspended {
        "suspended all enforcement"
    } else {
        "resumed all enforcement"
    }
}

impl Teller {
    /// Sets the switch; the answer is how it stands then, and whether every shard that sits here has it.
    ///
    /// # Errors
    /// Where the broker does not take it; some partitions may have it then, and setting it again is
    /// harmless.
    pub async fn switch(
        &self,
        suspended: bool,
        said: Said,
        span: Span,
    ) -> Result<(Vec<u8>, bool), Failure> {
        let switched = Switched {
            suspended,
            by: said.by,
            reason: said.reason,
            since_ms: clock::now_ms(),
        };
        let record = switched.write();
        if self.sender.in_flight() >= self.config.bounds.in_flight {
            return Err(Code::LogUnavailable.into());
        }
        let sent = send_control(&self.sender, &self.config, self.seats.count(), &record);
        self.acknowledged(&*sent.map_err(|_| Code::LogUnavailable)?, span)
            .await?;
        let announced = Ticket::open();
        let parcel = Parcel {
            topic: &self.config.topics.owners,
            partition: None,
            key: SWITCH_KEY.as_bytes(),
            value: &record,
            headers: None,
        };
        let sent = self.sender.send(parcel, &announced);
        sent.map_err(|_| Code::LogUnavailable)?;
        announced.settle();
        self.acknowledged(&announced, span).await?;
        tracing::warn!(suspended, "the switch of all enforcement is in the log");
        loop {
            let (here, has) = partitions(self, span, suspended);
            let is_told = self.ledger.switched().as_ref() == Some(&switched);
            let shows = is_told && here == has;
            if shows || span.left().is_zero() || span.begun.elapsed() > SHOWS {
                return Ok((state(self, span), shows));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the broker has all that a ticket stands for.
    ///
    /// # Errors
    /// Where it has not within the span.
    pub async fn acknowledged(&self, ticket: &Ticket, span: Span) -> Result<(), Failure> {
        while !ticket.is_settled() {
            if span.left().is_zero() {
                return Err(Code::LogUnavailable.into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

/// How many shards sit here, and in how many of them the switch stands as asked.
fn partitions(teller: &Teller, span: Span, suspended: bool) -> (u64, u64) {
    let all = 0..i32::try_from(teller.seats.count()).unwrap_or(0);
    let seen = all.filter_map(|partition| {
        let seen = teller.see(partition, span.glance(), |sight| {
            sight.shard.engine().is_suspended()
        });
        // One that cannot be looked at now is here, and not known to have it.
        seen.map_or(Some(!suspended), |seen| seen)
    });
    seen.fold((0, 0), |(here, has), found| {
        (here + 1, has + u64::from(found == suspended))
    })
}

/// How the switch was set last, and in how many of the partitions scored here it is suspended.
pub fn state(teller: &Teller, span: Span) -> Vec<u8> {
    let switched = teller.ledger.switched();
    let (here, suspended) = partitions(teller, span, true);
    let mut out = Vec::new();
    let mut json = Writer { out: &mut out };
    json.open();
    json.flag("suspended", switched.as_ref().is_some_and(|s| s.suspended));
    json.optional("by", switched.as_ref().map(|s| s.by.as_str()));
    json.optional("reason", switched.as_ref().map(|s| s.reason.as_str()));
    match &switched {
        Some(switched) => json.time("since", switched.since_ms),
        None => json.optional("since", None),
    }
    json.key("partitions");
    json.open();
    json.number("here", here);
    json.number("suspended", suspended);
    json.close();
    json.close();
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_or_refused_and_never_shown() {
        let (suspended, said) = wish(br#"{"suspended":true,"reason":"too many holds"}"#).unwrap();
        assert!(suspended && said.by.is_empty());
        let number = ["41", "1111", "1111", "1111", "11"].concat();
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        for (bad, code) in [
            (String::new(), Code::BadRequest),
            (r#"{"suspended":true}"#.to_owned(), Code::BadRequest),
            (
                r#"{"suspended":1,"reason":"x"}"#.to_owned(),
                Code::BadRequest,
            ),
            (
                r#"{"suspended":true,"reason":""}"#.to_owned(),
                Code::BadRequest,
            ),
            (
                r#"{"suspended":true,"reason":"x","a":1}"#.to_owned(),
                Code::BadRequest,
            ),
            (
                format!(r#"{{"suspended":true,"reason":"{long}"}}"#),
                Code::BadRequest,
            ),
            (
                format!(r#"{{"suspended":true,"reason":"{number}"}}"#),
                Code::CardNumber,
            ),
        ] {
            let failure = wish(bad.as_bytes()).unwrap_err();
            assert_eq!(failure.code, code, "{bad}");
            assert!(!failure.detail.contains(&number));
        }
    }
}
