//! Sending: records on their way to the broker, each with a share of its ticket.
//!
//! What is in flight is bounded; where the bound is met, the sender waits, and so does all before it. What
//! cannot be delivered at all ends the process, since a commit beyond it would lose it. Records of the busy
//! topics (log, decisions) go in bursts, each when the one before is acknowledged: see `outbox.rs`.

use crate::clock::Stopwatch;
use crate::config::Config;
use crate::stream::StreamError;
use crate::stream::client::{self, Troubles};
use crate::stream::outbox::Outbox;
use crate::stream::pulse::Pulse;
use crate::stream::tickets::Ticket;
use crate::telemetry::Metrics;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a sender waits before it looks again whether the queue has room.
const FULL_WAIT: Duration = Duration::from_micros(500);

/// How long the client is listened to before the thread looks whether it is over.
const LISTEN: Duration = Duration::from_millis(500);

/// What becomes of records sent.
#[derive(Debug, Default)]
pub struct Fate {
    failed: Mutex<Option<(String, String)>>,
    broken: AtomicBool,
    lost: AtomicBool,
    out: AtomicUsize,
    /// Of these, records of the busy topics.
    burst: AtomicUsize,
    busy: [String; 2],
    acknowledged: AtomicU64,
    /// What the connection met.
    pub troubles: Troubles,
    line: OnceLock<Weak<Line>>,
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
        let topic = match result {
            Ok(message) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                ticket.settle();
                message.topic()
            }
            Err((error, message)) => {
                self.fail(message.topic(), error);
                message.topic()
            }
        };
        if self.place(topic).is_some()
            && self.burst.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(line) = self.line.get().and_then(Weak::upgrade)
        {
            line.go();
        }
    }
}

impl Fate {
    /// Which of the busy topics this is.
    fn place(&self, topic: &str) -> Option<usize> {
        self.busy.iter().position(|busy| busy == topic)
    }

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

/// The client, and what waits for it.
struct Line {
    producer: BaseProducer<Fate>,
    outbox: Mutex<Outbox>,
    over: AtomicBool,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl Line {
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends off what waits, unless a burst is still out.
    fn go(&self) {
        let fate = self.producer.context();
        let mut burst = {
            let mut outbox = self.outbox();
            if outbox.is_empty() || fate.burst.load(Ordering::Acquire) != 0 {
                return;
            }
            let Some(burst) = outbox.pop() else {
                return;
            };
            // Counted before the first is given to the client: its answer may come at once.
            fate.burst.store(burst.len(), Ordering::Release);
            burst
        };
        burst.hand_over(|to, (key, value), headers, ticket| {
            let topic = fate.busy.get(to.0).map_or("", String::as_str);
            let mut record =
                BaseRecord::<[u8], [u8], Arc<Ticket>>::with_opaque_to(topic, ticket).payload(value);
            record.key = (!key.is_empty()).then_some(key);
            record.partition = to.1;
            record.headers = headers;
            match self.producer.send(record) {
                Ok(()) => Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    Err((back.headers, back.delivery_opaque))
                }
                Err((error, _)) => {
                    fate.fail(topic, &error);
                    Ok(())
                }
            }
        });
        if !burst.is_empty() {
            let left = burst.len();
            self.outbox().put_back(burst);
            fate.burst.fetch_sub(left, Ordering::AcqRel);
        }
    }
}

/// The thread that hears what became of records; it ends with the last sender.
#[derive(Debug)]
struct Listener {
    line: Arc<Line>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.line.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Sends records and hears what became of them.
#[derive(Clone)]
pub struct Sender {
    listener: Arc<Listener>,
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
    /// Where the client refuses its options, or no thread can be had.
    pub fn new(config: &Config, metrics: &Arc<Metrics>) -> Result<Self, StreamError> {
        client::behind(|| Self::connect(config, metrics))
    }

    fn connect(config: &Config, metrics: &Arc<Metrics>) -> Result<Self, StreamError> {
        let fate = Fate {
            busy: [config.topics.log.clone(), config.topics.decisions.clone()],
            ..Fate::default()
        };
        let line = Arc::new(Line {
            producer: client::producer(config)?
                .create_with_context(fate)
                .map_err(StreamError::client("set up the producer"))?,
            outbox: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let _ = line.producer.context().line.set(Arc::downgrade(&line));
        let heard = Arc::clone(&line);
        let config = config.clone();
        let thread = std::thread::Builder::new()
            .name("deliveries".to_owned())
            .spawn(move || {
                let (fate, mut pulse) = (heard.producer.context(), Pulse::default());
                while !heard.over.load(Ordering::Relaxed) {
                    heard.producer.poll(LISTEN);
                    let client = heard.producer.client();
                    if pulse.feel(&config, client, &fate.troubles).is_err() {
                        fate.lost.store(true, Ordering::Relaxed);
                        fate.broken.store(true, Ordering::Release);
                    }
                }
            })
            .map_err(|error| StreamError::Thread(error.to_string()))?;
        Ok(Self {
            listener: Arc::new(Listener {
                line,
                thread: Some(thread),
            }),
            metrics: Arc::clone(metrics),
        })
    }

    fn line(&self) -> &Line {
        &self.listener.line
    }

    fn fate(&self) -> &Fate {
        self.line().producer.context()
    }

    /// Sends a record for a ticket; waits where too much is in flight. One of a busy topic goes with the next
    /// burst: [`Sender::go`] says that a batch is complete.
    ///
    /// # Errors
    /// Where the client will never take it.
    pub fn send(&self, parcel: Parcel<'_>, ticket: &Arc<Ticket>) -> Result<(), StreamError> {
        ticket.share();
        self.fate().out.fetch_add(1, Ordering::Relaxed);
        match self.fate().place(parcel.topic) {
            Some(place) => self.keep(place, parcel, ticket),
            None => self.send_now(parcel, ticket),
        }
    }

    /// Sends off what waits, now or when the burst before it is acknowledged.
    pub fn go(&self) {
        self.line().go();
    }

    fn keep(
        &self,
        place: usize,
        parcel: Parcel<'_>,
        ticket: &Arc<Ticket>,
    ) -> Result<(), StreamError> {
        let mut outbox = self.line().outbox();
        if outbox.is_full() {
            self.metrics.produce_retries.fetch_add(1, Ordering::Relaxed);
        }
        while outbox.is_full() {
            drop(outbox);
            self.check()?;
            std::thread::sleep(FULL_WAIT);
            outbox = self.line().outbox();
        }
        let Parcel {
            partition,
            key,
            value,
            headers,
            ..
        } = parcel;
        outbox.push((place, partition), (key, value), headers, ticket);
        Ok(())
    }

    fn send_now(&self, parcel: Parcel<'_>, ticket: &Arc<Ticket>) -> Result<(), StreamError> {
        let mut record =
            BaseRecord::<[u8], [u8], Arc<Ticket>>::with_opaque_to(parcel.topic, Arc::clone(ticket))
                .payload(parcel.value);
        record.key = (!parcel.key.is_empty()).then_some(parcel.key);
        record.partition = parcel.partition;
        record.headers = parcel.headers;
        let mut retried = false;
        loop {
            match self.line().producer.send(record) {
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
                    self.fate().fail(parcel.topic, &error);
                    return self.check();
                }
            }
        }
    }

    /// Whether all sent so far was taken or still can be.
    ///
    /// # Errors
    /// The first record that was not; that the client is lost.
    pub fn check(&self) -> Result<(), StreamError> {
        self.go();
        let fate = self.fate();
        if !fate.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        if fate.lost.load(Ordering::Relaxed) {
            return Err(StreamError::Lost);
        }
        let failed = fate.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (topic, reason) = failed.clone().unwrap_or_default();
        Err(StreamError::NotTaken { topic, reason })
    }

    /// Records sent and not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.fate().out.load(Ordering::Relaxed)
    }

    /// Records acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.fate().acknowledged.load(Ordering::Relaxed)
    }

    /// What the connection met last.
    pub fn troubles(&self) -> &Troubles {
        &self.fate().troubles
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
        let watch = Stopwatch::start();
        while !self.line().outbox().is_empty() && watch.elapsed() < bound {
            self.go();
            std::thread::sleep(FULL_WAIT);
        }
        let rest = bound.saturating_sub(watch.elapsed());
        if let Err(error) = self.line().producer.flush(rest) {
            tracing::warn!(%error, left = self.in_flight(), "not all records were acknowledged in time");
        }
    }
}
