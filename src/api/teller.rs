//! The teller: what every call needs, and the way from a question's bytes to its answer.
//!
//! An attempt is read and resolved as intake does it, and judged by the shard that holds the
//! cardholder, where it sits here. Who is asked otherwise, and what is asked over HTTP, stands
//! elsewhere; what it means for the log, in `steps`.

use crate::api::answer::{self, Asked};
use crate::api::audit::Audit;
use crate::api::door::Door;
use crate::api::failure::{Code, Failure};
use crate::api::forward::Forwarder;
use crate::api::ledger::Ledger;
use crate::api::token::Keys;
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::decode::{Decoder, Reject};
use crate::domain::event::{Body, Event};
use crate::domain::ids::EffectId;
use crate::http::Tls;
use crate::problem::Problem;
use crate::stream::StreamError;
use crate::stream::placing::partition_of;
use crate::stream::seat::{Seats, Shut, Sight};
use crate::stream::send::Sender;
use crate::telemetry::Metrics;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Holds of which it is remembered that they were told; the oldest is forgotten first.
const MAX_TOLD: usize = 65_536;
/// A shard's run takes less than this, unless the machine is overloaded.
const GLANCE: Duration = Duration::from_micros(500);
/// An answer of every day fits in so many bytes.
const ANSWER_BYTES: usize = 1_024;

/// How long a call may take, from when it came.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// When it came.
    pub begun: Stopwatch,
    /// How long it may take.
    pub bound: Duration,
}

impl Span {
    /// A moment of it: what a call may spend on waiting while others wait for the thread.
    pub fn glance(&self) -> Self {
        Self {
            begun: Stopwatch::start(),
            bound: self.left().min(GLANCE),
        }
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.bound.saturating_sub(self.begun.elapsed())
    }
}

/// What became of a question.
#[derive(Debug)]
pub enum Judged {
    /// The answer.
    Here(Vec<u8>),
    /// The shard of this partition is to be asked, which does not sit here.
    Elsewhere(i32),
}

/// A decoder and an event, used again and again.
#[derive(Debug, Default)]
struct Bench {
    decoder: Decoder,
    event: Event,
}

/// Holds that were told by an answer.
#[derive(Debug, Default)]
struct Told {
    known: BTreeSet<EffectId>,
    order: VecDeque<EffectId>,
}

/// What every call needs.
#[derive(Debug)]
pub struct Teller {
    /// The configuration.
    pub config: Arc<Config>,
    /// The shards that sit here.
    pub seats: Arc<Seats>,
    /// What is known from topics.
    pub ledger: Arc<Ledger>,
    /// The way to the log.
    pub sender: Sender,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The way to other instances.
    pub forwarder: Forwarder,
    /// By which card numbers become tokens.
    pub keys: Option<Keys>,
    /// Who may call.
    pub door: Door,
    /// Where calls that change something are noted.
    pub audit: Option<Audit>,
    /// Calls answered: counted often, so that its cell is kept.
    fine: Arc<AtomicU64>,
    bench: Mutex<Bench>,
    told: Mutex<Told>,
}

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        let code = match reject.code {
            "card_number" => Code::CardNumber,
            "too_long" => Code::TooLarge,
            "malformed_json" | "not_utf8" | "too_deep" | "not_an_object" => Code::BadRequest,
            _ => Code::Refused,
        };
        Self::new(code, reject.to_string())
    }
}

impl Teller {
    /// A teller that was asked nothing yet.
    ///
    /// # Errors
    /// Where keys, clients or the audit log cannot be read, or the door would be open to a network.
    pub fn new(
        config: &Arc<Config>,
        seats: &Arc<Seats>,
        ledger: &Arc<Ledger>,
        sender: &Sender,
        metrics: &Arc<Metrics>,
        tls: Option<Arc<Tls>>,
    ) -> Result<Self, StreamError> {
        let keys = config
            .api
            .token_keys
            .as_ref()
            .map(|source| -> Result<Keys, Problem> {
                let secret = source.read()?;
                Keys::read(&secret).map_err(|fault| {
                    source.fault(fault, "write `ID:HEX`, and the key before it after a space")
                })
            });
        let door = door(config)?;
        Ok(Self {
            config: Arc::clone(config),
            seats: Arc::clone(seats),
            ledger: Arc::clone(ledger),
            sender: sender.clone(),
            metrics: Arc::clone(metrics),
            forwarder: Forwarder::new(&config.run.instance, !door.is_open(), tls),
            keys: keys.transpose().map_err(StreamError::Password)?,
            door,
            audit: audit(config)?,
            fine: metrics.answers.cell(&["ok"]),
            bench: Mutex::default(),
            told: Mutex::default(),
        })
    }

    /// Reads the clients' file again; one that is faulty changes nothing.
    pub fn renew(&self) {
        let Some(path) = &self.config.api.clients else {
            return;
        };
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        match text.and_then(|text| self.door.renew(&text)) {
            Ok(()) => tracing::info!("the clients' file was read again"),
            Err(fault) => {
                tracing::error!("the new clients' file is refused, the old one stays: {fault}");
            }
        }
    }

    /// Judges an event of the contract, an authorization without its outcome or an AReq.
    ///
    /// # Errors
    /// Why it cannot be judged.
    pub fn assess(&self, body: &[u8], asked: &Asked<'_>, span: Span) -> Result<Judged, Failure> {
        let mut bench = self.bench.lock().unwrap_or_else(PoisonError::into_inner);
        let Bench { decoder, event } = &mut *bench;
        decoder.question(body, event)?;
        let is_question = match &event.body {
            Body::Authorization(payment) => !payment.is_undoing(),
            Body::Threeds(_) => event.is_decided(),
            Body::Otp(_)
            | Body::Eid(_)
            | Body::Enrolment(_)
            | Body::Card(_)
            | Body::Disposition(_)
            | Body::Hold(_) => false,
        };
        if !is_question {
            return Err(Code::NotAQuestion.into());
        }
        self.resolve(event)?;
        let partition = self.partition_of(event.cardholder());
        let mut out = Vec::with_capacity(ANSWER_BYTES);
        let is_behind = self.seats.is_behind();
        let seen = self.see(partition, span, |sight| {
            answer::write(sight, event, asked, is_behind, &mut out)
        })?;
        let Some(follows) = seen else {
            return Ok(Judged::Elsewhere(partition));
        };
        if let Some((hold, at_ms)) = follows.delivered {
            self.deliver(hold, event, at_ms);
        }
        Ok(Judged::Here(out))
    }

    /// Names the cardholder of an event, as intake does.
    ///
    /// # Errors
    /// Where that cannot be known yet: the bindings of cards are being read.
    pub fn resolve(&self, event: &mut Event) -> Result<(), Failure> {
        if event.cardholder.is_empty() && !self.ledger.is_read() {
            let text = "whose card it is cannot be told yet: the bindings of cards are being read";
            return Err(Failure::new(Code::Restoring, text));
        }
        self.ledger.intake().resolve(event);
        Ok(())
    }

    /// Counts a call by what was answered.
    pub fn count(&self, code: &str) {
        if code == "ok" {
            self.fine.fetch_add(1, Ordering::Relaxed);
        } else {
            self.metrics.answers.add(&[code], 1);
        }
    }

    /// The partition of a cardholder.
    pub fn partition_of(&self, cardholder: &str) -> i32 {
        partition_of(cardholder.as_bytes(), self.seats.count())
    }

    /// Looks at a partition's shard; nothing where it does not sit here.
    ///
    /// # Errors
    /// Why it cannot be looked at.
    pub fn see<T>(
        &self,
        partition: i32,
        span: Span,
        see: impl FnOnce(&Sight<'_>) -> T,
    ) -> Result<Option<T>, Failure> {
        let Some(seat) = self.seats.of(partition) else {
            return Err(Code::Internal.into());
        };
        match seat.ask(&span.begun, span.bound, |sight| see(&sight)) {
            Ok(seen) => Ok(Some(seen)),
            Err(Shut::Elsewhere) => Ok(None),
            Err(Shut::Restoring) => Err(Code::Restoring.into()),
            Err(Shut::Frozen) => Err(Code::NoOwner.into()),
            Err(Shut::Busy) => Err(Code::Deadline.into()),
        }
    }

    /// True the first time that a hold is told by an answer.
    pub fn is_first(&self, hold: EffectId) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.known.insert(hold) {
            return false;
        }
        told.order.push_back(hold);
        if told.order.len() > MAX_TOLD
            && let Some(oldest) = told.order.pop_front()
        {
            told.known.remove(&oldest);
        }
        true
    }
}

/// Who may call.
fn door(config: &Config) -> Result<Door, StreamError> {
    let door = match &config.api.clients {
        None => Door::default(),
        Some(path) => {
            let shown = path.display();
            let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
            let read = text.and_then(|text| Door::read(&text, config.api.rate));
            read.map_err(|fault| {
                let help = "write `NAME SCOPE[,SCOPE] SHA256`; `printf %s TOKEN | sha256sum` tells the last, and of a certificate `openssl x509 -fingerprint -sha256`";
                StreamError::Door(format!("`{shown}`: {fault}\n  = help: {help}"))
            })?
        }
    };
    let http = &config.http;
    let addresses = [Some(http.listen), http.grpc_listen].into_iter().flatten();
    let is_secured = http.tls.is_some() && !door.is_open();
    for listen in addresses.filter(|listen| !listen.ip().is_loopback()) {
        if is_secured || http.open {
            continue;
        }
        let (lacks, help) = match (&http.tls, door.is_open()) {
            (None, true) => (
                "TLS and credentials",
                "name `[http.tls]` and `api.clients_file`",
            ),
            (None, false) => ("TLS", "name `certificate` and `key` in `[http.tls]`"),
            (Some(_), _) => ("credentials", "name `api.clients_file`"),
        };
        return Err(StreamError::Door(format!(
            "the risk API would be served at `{listen}` without {lacks}\n  = help: {help}; or listen on 127.0.0.1; where something before it sees to them, set `http.open = true`"
        )));
    }
    Ok(door)
}

/// Where calls that change something are noted.
fn audit(config: &Config) -> Result<Option<Audit>, StreamError> {
    let opened = config.api.audit.as_deref().map(Audit::open);
    opened.transpose().map_err(|error| {
        let help = "keep the broken file apart for whoever audits it, and begin another";
        StreamError::Door(format!("`api.audit_file`: {error}\n  = help: {help}"))
    })
}
