//! Sending: records on their way to the broker, each with a share of its ticket.
//!
//! The client's own queue is the bound of what is in flight: where it is full, the sender waits,
//! and so does all before it. What cannot be delivered at all ends the process, since a commit
//! beyond it would lose it.

use crate::clock::Stopwatch;
use crate::config::Config;
use crate::stream::StreamError;
use crate::stream::client::{self, Troubles};
use crate::stream::tickets::Ticket;
use crate::telemetry::Metrics;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a sender waits before it looks again whether the queue has room.
const FULL_WAIT: Duration = Duration::from_micros(500);

/// What becomes of records sent.
#[derive(Debug, Default)]
pub struct Fate {
    failed: Mutex<Option<(String, String)>>,
    broken: AtomicBool,
    out: AtomicUsize,
    acknowledged: AtomicU64,
    /// What the connection met.
    pub troubles: Troubles,
}

impl ClientContext for Fate {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        client::log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubles.note(&error, reason);
    }
}

impl ProducerContext for Fate {
    type DeliveryOpaque = Arc<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Arc<Ticket>) {
        self.out.fetch_sub(1, Ordering::Relaxed);
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                ticket.settle();
            }
            Err((error, message)) => self.fail(message.topic(), error),
        }
    }
}

impl Fate {
    fn fail(&self, topic: &str, error: &KafkaError) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            *failed = Some((topic.to_owned(), error.to_string()));
        }
        self.broken.store(true, Ordering::Release);
    }
}

/// A record to be sent.
#[derive(Debug)]
pub struct Parcel<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition, where the key does not say.
    pub partition: Option<i32>,
    /// The key; empty: none.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// Headers.
    pub headers: Option<OwnedHeaders>,
}

/// Sends records and hears what became of them.
#[derive(Clone)]
pub struct Sender {
    producer: Arc<ThreadedProducer<Fate>>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Sender {
    /// Connects.
    ///
    /// # Errors
    /// Where the client refuses its options.
    pub fn new(config: &Config, metrics: &Arc<Metrics>) -> Result<Self, StreamError> {
        let producer = client::producer(config)?
            .create_with_context(Fate::default())
            .map_err(StreamError::client("set up the producer"))?;
        Ok(Self {
            producer: Arc::new(producer),
            metrics: Arc::clone(metrics),
        })
    }

    /// Sends a record for a ticket; waits where too much is in flight.
    ///
    /// # Errors
    /// Where the client will never take it.
    pub fn send(&self, parcel: Parcel<'_>, ticket: &Arc<Ticket>) -> Result<(), StreamError> {
        ticket.share();
        self.producer.context().out.fetch_add(1, Ordering::Relaxed);
        let mut record =
            BaseRecord::<[u8], [u8], Arc<Ticket>>::with_opaque_to(parcel.topic, Arc::clone(ticket))
                .payload(parcel.value);
        record.key = (!parcel.key.is_empty()).then_some(parcel.key);
        record.partition = parcel.partition;
        record.headers = parcel.headers;
        let mut retried = false;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    if !retried {
                        self.metrics.produce_retries.fetch_add(1, Ordering::Relaxed);
                        retried = true;
                    }
                    self.check()?;
                    std::thread::sleep(FULL_WAIT);
                    record = back;
                }
                Err((error, _)) => {
                    self.producer.context().fail(parcel.topic, &error);
                    return self.check();
                }
            }
        }
    }

    /// Whether all sent so far was taken or still can be.
    ///
    /// # Errors
    /// The first record that was not.
    pub fn check(&self) -> Result<(), StreamError> {
        let fate = self.producer.context();
        if !fate.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        let failed = fate.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (topic, reason) = failed.clone().unwrap_or_default();
        Err(StreamError::NotTaken { topic, reason })
    }

    /// Records sent and not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.producer.context().out.load(Ordering::Relaxed)
    }

    /// Records acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.producer.context().acknowledged.load(Ordering::Relaxed)
    }

    /// What the connection met last.
    pub fn troubles(&self) -> &Troubles {
        &self.producer.context().troubles
    }

    /// Waits until a ticket is settled; false where it is not within `bound`.
    ///
    /// # Errors
    /// Where a record was refused.
    pub fn wait(&self, ticket: &Ticket, bound: Duration) -> Result<bool, StreamError> {
        let watch = Stopwatch::start();
        while !ticket.is_settled() {
            self.check()?;
            if watch.elapsed() > bound {
                return Ok(false);
            }
            std::thread::sleep(FULL_WAIT);
        }
        Ok(true)
    }

    /// Sends what is left, within a bound.
    pub fn flush(&self, bound: Duration) {
        if let Err(error) = self.producer.flush(bound) {
            tracing::warn!(%error, left = self.in_flight(), "not all records were acknowledged in time");
        }
    }
}
