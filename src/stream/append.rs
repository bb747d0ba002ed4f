//! Intake: the bank's topics into the log, keyed by cardholder.
//!
//! It decodes, refuses what is malformed, resolves cards, looks up addresses, and appends ticks.
//! A new binding of a card is acknowledged before any record that relies on it is appended. Source
//! positions travel in a header: the scorer drops what a restart repeats. It judges nothing.

use crate::config::Config;
use crate::domain::event::{Event, Place};
use crate::domain::ids::Fingerprint;
use crate::geo::Geo;
use crate::intake::Intake;
use crate::stream::StreamError;
use crate::stream::client::{self, ASK, Troubles};
use crate::stream::ends::Ends;
use crate::stream::gate::Gate;
use crate::stream::reader::Reader;
use crate::stream::records;
use crate::stream::send::{Parcel, Sender};
use crate::stream::tickets::Ticket;
use crate::telemetry::{Metrics, Readiness};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message, OwnedHeaders};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What intake needs from the rest of the process.
#[derive(Debug, Clone)]
pub struct Needs {
    /// The configuration.
    pub config: Arc<Config>,
    /// Countries of addresses.
    pub geo: Geo,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Whether we are ready.
    pub readiness: Arc<Readiness>,
    /// The way to the broker.
    pub sender: Sender,
    /// Set when the process is to end.
    pub stop: Arc<AtomicBool>,
    /// Partitions of the log.
    pub partitions: usize,
}

/// A binding as its topic has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Bound {
    /// Its cardholder.
    pub cardholder: String,
}

/// A change of which source partitions are ours.
#[derive(Debug)]
pub enum Change {
    /// These are ours from now on.
    Assign(Vec<(String, i32)>),
    /// These are no longer; true where they were lost already.
    Revoke(Vec<(String, i32)>, bool),
}

/// What the client tells us between polls.
#[derive(Debug, Default)]
pub struct Ear {
    changes: Mutex<VecDeque<Change>>,
    /// Set when nobody will carry out changes any more.
    pub closing: AtomicBool,
    /// What the connection met.
    pub troubles: Troubles,
}

impl Ear {
    /// The oldest change that was not carried out.
    pub fn next_change(&self) -> Option<Change> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.pop_front()
    }
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        client::log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubles.note(&error, reason);
    }
}

impl ConsumerContext for Ear {
    /// Only notes the change: it is carried out between two polls, and the client waits for it.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Relaxed) {
            // Nobody polls any more: all is settled, and the client only wants to hear it.
            if let Err(error) = consumer.incremental_unassign(list) {
                tracing::warn!(%error, "partitions cannot be given back");
            }
            return;
        }
        let partitions = list
            .elements()
            .iter()
            .map(|e| (e.topic().to_owned(), e.partition()))
            .collect();
        let change = if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            Change::Assign(partitions)
        } else {
            Change::Revoke(partitions, consumer.assignment_lost())
        };
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push_back(change);
    }
}

/// Takes in until told to stop.
///
/// # Errors
/// Where the work cannot go on without loss; the text says what to do.
pub fn run(needs: &Needs) -> Result<(), StreamError> {
    client::stand_back();
    let config = &needs.config;
    let mut intake = Intake::new(needs.geo.clone());
    intake.keep_journal();
    let mut bindings = Reader::whole(config, &config.topics.bindings)?;
    bindings.to_end(|message| adopt(&mut intake, message))?;
    tracing::info!(cards = intake.bound(), "card bindings are read");
    let consumer: BaseConsumer<Ear> = client::group(config, "intake")?
        .create_with_context(Ear::default())
        .map_err(StreamError::client("set up the sources' consumer"))?;
    let topics: Vec<&str> = config.topics.sources.iter().map(String::as_str).collect();
    consumer
        .subscribe(&topics)
        .map_err(StreamError::client("subscribe to the sources"))?;
    let (ends, over) = (Ends::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| ends.watch(config, &over));
        let result = Gate::new(needs, &consumer, intake, bindings, &ends).turn();
        consumer.context().closing.store(true, Ordering::Relaxed);
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// Takes up a binding that another life or instance has made.
pub fn adopt(intake: &mut Intake, message: &BorrowedMessage<'_>) {
    let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
    let card = key.and_then(|key| u64::from_str_radix(key, 16).ok());
    let bound = message
        .payload()
        .and_then(|value| serde_json::from_slice::<Bound>(value).ok());
    if let (Some(card), Some(bound)) = (card, bound) {
        intake.adopt(Fingerprint(card), &bound.cardholder);
    }
}

/// What the log's record says besides the bank's bytes.
pub fn headers(event: &Event, position: &[u8], trace: Option<&[u8]>, now_ms: i64) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(6);
    headers = records::with(headers, records::KIND, b"e");
    headers = records::with(headers, records::SOURCE, position);
    if event.cardholder == event.card {
        // Intake lets the card's own text stand for its holder, and nothing else does.
        headers = records::with(headers, records::HOLDER, b"card");
    }
    if event.place != Place::default() {
        headers = records::with(
            headers,
            records::PLACE,
            records::write_place(event.place).as_bytes(),
        );
    }
    if event.received_at_ms.is_none() {
        headers = records::with(headers, records::RECEIVED, now_ms.to_string().as_bytes());
    }
    if let Some(trace) = trace {
        headers = records::with(headers, records::TRACE, trace);
    }
    headers
}

/// Appends a control record to every partition of the log, and waits until all have it.
///
/// # Errors
/// Where the broker will not take it.
pub fn control(
    sender: &Sender,
    config: &Config,
    partitions: usize,
    record: &[u8],
) -> Result<(), StreamError> {
    let ticket = send_control(sender, config, partitions, record)?;
    while !sender.wait(&ticket, ASK)? {
        tracing::warn!("the broker has not acknowledged a rule book yet");
    }
    Ok(())
}

/// Sends a control record to every partition of the log; the ticket is settled when all have it.
///
/// # Errors
/// Where the broker will not take it.
pub fn send_control(
    sender: &Sender,
    config: &Config,
    partitions: usize,
    record: &[u8],
) -> Result<Arc<Ticket>, StreamError> {
    let ticket = Ticket::open();
    for partition in 0..i32::try_from(partitions).unwrap_or(0) {
        let headers = OwnedHeaders::new_with_capacity(1);
        let parcel = Parcel {
            topic: &config.topics.log,
            partition: Some(partition),
            key: b"",
            value: record,
            headers: Some(records::with(headers, records::KIND, b"c")),
        };
        sender.send(parcel, &ticket)?;
    }
    ticket.settle();
    sender.go();
    Ok(ticket)
}
