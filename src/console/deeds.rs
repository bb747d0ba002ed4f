//! The deeds: claim, give back, note, release, dispose. Each is noted in the audit log before it is done.
//!
//! Releases and dispositions take the API's own way: through the log, as events. Where a deed leads is the case again,
//! with a word of what it came to.

use super::session::Visitor;
use super::{Console, Refusal, Sent, see};
use crate::api::call::Call;
use crate::api::failure::{Code, Failure};
use crate::api::steps::{Said, disposition_id};
use crate::clock;
use crate::decode::contains_card_number;
use crate::domain::event::MAX_TEXT_BYTES;
use crate::domain::ids::EffectId;
use crate::notify::record;
use crate::store::notes::{self, Disposition, Note, Refused};
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a note.
pub const MAX_NOTE: usize = 4_000;
/// How long a deed may take that waits for the log.
const DEADLINE: Duration = Duration::from_secs(5);

type Here = State<Arc<Console>>;
type Who = Extension<Visitor>;
type What = Extension<Arc<Sent>>;

/// A deed in the making.
struct Deed {
    console: Arc<Console>,
    visitor: Visitor,
    alert: EffectId,
    call: Call,
}

impl Deed {
    fn of(
        console: Arc<Console>,
        visitor: Visitor,
        id: &str,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        let (call, _) = Call::read(headers, DEADLINE, None);
        Ok(Self {
            console,
            visitor,
            alert: EffectId::parse(id).ok_or(Refusal::NotFound)?,
            call,
        })
    }

    /// Notes the deed in the audit log: on a clerk's thread, since it waits for the disk.
    async fn noted(&self, what: String, said: Said) -> Result<Said, Refusal> {
        let teller = Arc::clone(&self.console.teller);
        let who = self.visitor.name.clone();
        let request_id = self.call.id.to_str().unwrap_or_default().to_owned();
        let clerks = &self.console.clerks;
        let noted = move |_: &mut _| teller.noted(Some(&who), &request_id, &what, said);
        clerks.ask(noted).await
    }

    /// Back to the case, with a word of what came of it.
    fn done(&self, said: &str) -> Response {
        see(&format!("/console/cases/{}", self.alert), said)
    }

    fn said(&self, reason: &str) -> Said {
        Said {
            by: self.visitor.name.clone(),
            reason: reason.to_owned(),
            verdict: None,
        }
    }
}

/// A reason that can stand in the log; nothing where there is none.
fn reason(text: &str) -> Result<Option<&str>, Failure> {
    let text = text.trim();
    if text.len() > MAX_TEXT_BYTES {
        return Err(Failure::new(
            Code::BadRequest,
            format!("a reason has at most {MAX_TEXT_BYTES} bytes"),
        ));
    }
    if contains_card_number(text) {
        return Err(Code::CardNumber.into());
    }
    Ok((!text.is_empty()).then_some(text))
}

/// Takes a case; who is second is told who has it, and may take it over from them by name.
pub async fn claim(
    State(console): Here,
    Extension(visitor): Who,
    Extension(sent): What,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let deed = Deed::of(console, visitor, &id, &headers)?;
    let from = Some(sent.instead_of.clone()).filter(|name| !name.is_empty());
    let what = match &from {
        Some(name) => format!("claim {} instead of {name}", deed.alert),
        None => format!("claim {}", deed.alert),
    };
    deed.noted(what, Said::default()).await?;
    let (alert, who, now_ms) = (
        deed.alert.to_string(),
        deed.visitor.name.clone(),
        clock::now_ms(),
    );
    let claim = deed.console.clerks.commit(move |tx| {
        let claim = notes::claim(tx, &alert, &who, from.as_deref(), now_ms)?;
        Ok(claim.map(|claim| claim.person))
    });
    let holder = claim.await?.map_err(|_| Refusal::NotFound)?;
    let is_ours = holder == deed.visitor.name;
    Ok(deed.done(if is_ours { "claimed" } else { "taken" }))
}

/// Gives a case back.
pub async fn give_back(
    State(console): Here,
    Extension(visitor): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let deed = Deed::of(console, visitor, &id, &headers)?;
    let what = format!("give back {}", deed.alert);
    deed.noted(what, Said::default()).await?;
    let (alert, who) = (deed.alert.to_string(), deed.visitor.name.clone());
    let gone = deed
        .console
        .clerks
        .commit(move |tx| notes::give_back(tx, &alert, &who));
    let was_ours = gone.await?;
    Ok(deed.done(if was_ours { "given-back" } else { "taken" }))
}

/// Writes a note. The audit log has its id, not its words: they may have to be deleted one day.
pub async fn note(
    State(console): Here,
    Extension(visitor): Who,
    Extension(sent): What,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let deed = Deed::of(console, visitor, &id, &headers)?;
    let text = sent.text.trim().to_owned();
    if text.is_empty() {
        return Ok(deed.done("no-text"));
    }
    if text.len() > MAX_NOTE {
        return Ok(deed.done("too-long"));
    }
    if contains_card_number(&text) {
        return Ok(deed.done(Code::CardNumber.word()));
    }
    let now_ms = clock::now_ms();
    let alert = deed.alert.to_string();
    // A form that is sent twice within a minute is one note.
    let cause = format!("{}:{text}", now_ms / 60_000);
    let note = Note {
        id: EffectId::derive(&deed.visitor.name, "note", &alert, &cause, 0).to_string(),
        person: deed.visitor.name.clone(),
        at_ms: now_ms,
        text,
    };
    deed.noted(format!("note {} of {alert}", note.id), Said::default())
        .await?;
    let written = deed
        .console
        .clerks
        .commit(move |tx| notes::write(tx, &alert, &note));
    match written.await? {
        Ok(()) => Ok(deed.done("noted")),
        Err(Refused::Full) => Ok(deed.done("full")),
        Err(Refused::Unknown) => Err(Refusal::NotFound),
    }
}

/// Releases a hold of the case, as `POST /v1/holds/{id}/release` does.
pub async fn release(
    State(console): Here,
    Extension(visitor): Who,
    Extension(sent): What,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let deed = Deed::of(console, visitor, &id, &headers)?;
    let hold = EffectId::parse(&sent.hold).ok_or(Refusal::NotFound)?;
    let reason = match reason(&sent.reason) {
        Ok(Some(reason)) => reason,
        Ok(None) => return Ok(deed.done("no-reason")),
        Err(failure) => return Ok(deed.done(failure.code.word())),
    };
    let alert = deed.alert.to_string();
    let is_its = deed
        .console
        .clerks
        .look(move |tx| notes::is_hold_of(tx, &hold.to_string(), &alert));
    if !is_its.await? {
        return Err(Refusal::NotFound);
    }
    let said = deed
        .noted(format!("released {hold}"), deed.said(reason))
        .await?;
    let teller = &deed.console.teller;
    match teller.step(hold, "released", &said, deed.call.span).await {
        Ok((row, _)) => {
            // The page that follows shows it, whether the notifier has come so far or not.
            let line = String::from_utf8_lossy(&row.line).into_owned();
            let kept = deed
                .console
                .clerks
                .commit(move |tx| record::hold(tx, &line));
            kept.await?;
            Ok(deed.done("released"))
        }
        Err(failure) => Ok(deed.done(failure.code.word())),
    }
}

/// Says what the case was, as `POST /v1/alerts/{id}/disposition` does, and keeps it for the console.
pub async fn dispose(
    State(console): Here,
    Extension(visitor): Who,
    Extension(sent): What,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let deed = Deed::of(console, visitor, &id, &headers)?;
    let reason = match reason(&sent.reason) {
        Ok(Some(reason)) => reason,
        Ok(None) => return Ok(deed.done("no-reason")),
        Err(failure) => return Ok(deed.done(failure.code.word())),
    };
    let verdict = sent.verdict.clone();
    if !matches!(verdict.as_str(), "fraud" | "good" | "undetermined") {
        return Ok(deed.done(Code::BadRequest.word()));
    }
    let mut said = deed.said(reason);
    said.verdict = Some(verdict.clone());
    let said = deed
        .noted(format!("disposition {}", deed.alert), said)
        .await?;
    // A form that is sent twice is one disposition; another verdict or reason is another.
    let key = format!("{}:{verdict}:{reason}", deed.visitor.name);
    let teller = &deed.console.teller;
    let disposed = teller.dispose(deed.alert, &said, Some(&key), deed.call.span);
    if let Err(failure) = disposed.await {
        return Ok(deed.done(failure.code.word()));
    }
    let found = Disposition {
        id: disposition_id(&deed.alert, Some(&key), &verdict),
        verdict,
        person: deed.visitor.name.clone(),
        reason: reason.to_owned(),
        at_ms: clock::now_ms(),
    };
    let alert = deed.alert.to_string();
    deed.console
        .clerks
        .commit(move |tx| notes::dispose(tx, &alert, &found))
        .await?;
    Ok(deed.done("disposed"))
}
