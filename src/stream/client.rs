//! Clients: how we connect to Kafka, and what we keep fixed because it decides about loss.
//!
//! Options that a promise depends on are set here and cannot be configured away. Connection and
//! credentials come from the configuration; passwords are read at the last moment.

use crate::clock::Stopwatch;
use crate::config::{Config, Start};
use crate::stream::StreamError;
use crate::stream::outbox::ROOM;
use crate::stream::pulse::Pulse;
use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a question to the broker may take.
pub const ASK: Duration = Duration::from_secs(10);
/// How long it may take where it is asked again until it answers.
pub const REPLY: Duration = Duration::from_secs(3);
/// How often a slow broker is asked again at the start.
const RETRIES: usize = 3;
/// How long after a question without an answer it is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// For how long a broker may say that it knows no such topic: one that comes back says so until it
/// has caught up with its cluster.
pub const GONE: Duration = Duration::from_secs(10);
/// The largest record that we send: a log record is a bank's record of at most 64 KiB; a rule book
/// or a dead letter may be larger.
const MAX_RECORD_BYTES: &str = "8388608";

/// How many bytes are worth an answer of the broker, and how many milliseconds it waits for them: fewer and larger
/// answers cost both sides less, and at 10,000 events a second the slowest come sooner (D22).
const FETCH: (&str, &str) = ("16384", "5");

/// The priority, as `nice` counts it, of threads that only move records: behind those that judge and those that answer.
/// A cardholder waits at a checkout for an answer; nobody notices a millisecond of intake.
const STANDS_BACK: i32 = 10;

/// What a client has met lately, for readiness and for words at the end.
#[derive(Debug, Default)]
pub struct Troubles {
    last: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl Troubles {
    /// The last fault of the connection.
    pub fn last(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Forgets it, since the broker answered.
    pub fn clear(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Notes a fault.
    pub fn note(&self, error: &KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            // What the broker said of our credentials explains more than that it is gone.
            let explained = last
                .as_ref()
                .is_some_and(|(known, _)| *known == RDKafkaErrorCode::Authentication);
            // That all are down is so until one answers, whatever is said of one of them meanwhile.
            let is_down = last
                .as_ref()
                .is_some_and(|(known, _)| *known == RDKafkaErrorCode::AllBrokersDown);
            let is_more = code == RDKafkaErrorCode::Authentication;
            if !(explained && code == RDKafkaErrorCode::AllBrokersDown) && (!is_down || is_more) {
                *last = Some((code, reason.to_owned()));
            }
        }
    }
}

/// A context that only listens.
#[derive(Debug, Default)]
pub struct Ear {
    /// What it heard.
    pub troubles: Troubles,
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubles.note(&error, reason);
    }
}

impl rdkafka::consumer::ConsumerContext for Ear {}

/// Passes the client's own log lines on.
pub fn log(level: RDKafkaLogLevel, fac: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => tracing::warn!(target: "kafka", fac, message),
        RDKafkaLogLevel::Warning => tracing::info!(target: "kafka", fac, message),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(target: "kafka", fac, message);
        }
    }
}

/// What every client of ours has in common.
///
/// # Errors
/// Where a password cannot be read.
pub fn base(config: &Config) -> Result<ClientConfig, StreamError> {
    let kafka = &config.kafka;
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &kafka.bootstrap)
        .set("client.id", &config.run.instance)
        .set("group.protocol", "classic")
        .set("log.connection.close", "false")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .set("socket.keepalive.enable", "true");
    client.set("security.protocol", kafka.protocol.kafka_name());
    if let Some(file) = &kafka.ca_file {
        client.set("ssl.ca.location", file.display().to_string());
    }
    if let Some(certificate) = &kafka.certificate {
        client
            .set(
                "ssl.certificate.location",
                certificate.cert_file.display().to_string(),
            )
            .set(
                "ssl.key.location",
                certificate.key_file.display().to_string(),
            );
    }
    if let Some(sasl) = &kafka.sasl {
        let password = sasl.password.read().map_err(StreamError::Password)?;
        client
            .set("sasl.mechanism", sasl.mechanism.kafka_name())
            .set("sasl.username", &sasl.username)
            .set("sasl.password", password.reveal());
    }
    client.set_log_level(RDKafkaLogLevel::Notice);
    Ok(client)
}

/// Gives this thread, and those that it starts, a lower priority than the others have.
pub fn stand_back() {
    if let Err(error) = rustix::process::setpriority_process(None, STANDS_BACK) {
        tracing::debug!(%error, "all threads have the same priority");
    }
}

/// Makes something whose threads are to stand back, such as a client's.
pub fn behind<T: Send>(make: impl FnOnce() -> T + Send) -> T {
    let made = std::thread::scope(|threads| {
        let maker = threads.spawn(|| {
            stand_back();
            make()
        });
        maker.join()
    });
    made.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Options of a consumer of a group.
///
/// # Errors
/// Where a password cannot be read.
pub fn group(config: &Config, role: &str) -> Result<ClientConfig, StreamError> {
    let mut client = base(config)?;
    let session_ms = config.run.session_timeout.as_millis();
    client
        .set("group.id", format!("{}-{role}", config.run.group))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session_ms.to_string())
        .set("heartbeat.interval.ms", (session_ms / 4).max(1).to_string())
        .set("max.poll.interval.ms", "300000")
        .set("fetch.min.bytes", FETCH.0)
        .set("fetch.wait.max.ms", FETCH.1)
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.error.backoff.ms", "50")
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", "65536")
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("allow.auto.create.topics", "false");
    if config.run.static_membership {
        let member = format!("{}-{role}", config.run.instance);
        client.set("group.instance.id", member);
    }
    Ok(client)
}

/// Options of a consumer without a group, that reads a range and goes.
///
/// # Errors
/// Where a password cannot be read.
pub fn reader(config: &Config) -> Result<ClientConfig, StreamError> {
    let mut client = base(config)?;
    client
        .set("group.id", format!("{}-reader", config.run.group))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "20")
        .set("allow.auto.create.topics", "false");
    Ok(client)
}

/// Options of the producers: nothing acknowledged is ever lost or reordered, and a broker that is
/// away is waited for without end, within the bound of what may be in flight.
///
/// # Errors
/// Where a password cannot be read.
pub fn producer(config: &Config) -> Result<ClientConfig, StreamError> {
    let mut client = base(config)?;
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "0.5")
        .set("message.timeout.ms", "0")
        .set("message.max.bytes", MAX_RECORD_BYTES)
        .set(
            "queue.buffering.max.messages",
            // The busy topics are bounded before the client; it must have room for the others too.
            (config.bounds.in_flight + ROOM).to_string(),
        )
        .set("queue.buffering.max.kbytes", "262144")
        .set("batch.num.messages", "10000")
        .set("allow.auto.create.topics", "false");
    Ok(client)
}

/// An admin client.
///
/// # Errors
/// Where the client refuses its options.
pub fn admin(config: &Config) -> Result<AdminClient<DefaultClientContext>, StreamError> {
    base(config)?
        .create()
        .map_err(StreamError::client("set up the admin client"))
}

/// Partitions of each topic that is there. Also what finds out, before anything starts, whether
/// the broker answers and takes us.
///
/// # Errors
/// Where no broker answers, or it refuses us.
pub fn partitions(config: &Config) -> Result<BTreeMap<String, usize>, StreamError> {
    let consumer: BaseConsumer<Ear> = reader(config)?
        .create_with_context(Ear::default())
        .map_err(StreamError::client("set up the client"))?;
    // A broker that is slow is asked again; one that is not there is told at once.
    let mut answer = consumer.fetch_metadata(None, ASK);
    for _ in 0..RETRIES {
        let slow = RDKafkaErrorCode::OperationTimedOut;
        let is_slow = matches!(&answer, Err(error) if error.rdkafka_error_code() == Some(slow));
        if !is_slow || consumer.context().troubles.last().is_some() {
            break;
        }
        answer = consumer.fetch_metadata(None, ASK);
    }
    // Polled once, so that what the broker said of our credentials is heard.
    let _ = consumer.poll(Duration::from_millis(50));
    let heard = consumer.context().troubles.last();
    let metadata = answer.map_err(|source| unreachable(config, source, heard))?;
    Ok(metadata
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none())
        .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
        .collect())
}

/// Asks the broker until it answers or the process is to end: a broker that is away for a while,
/// or a coordinator that moves, is no reason to stop.
///
/// # Errors
/// The last answer, once told to stop; at once what asking again cannot mend; that a topic or
/// partition is unknown, where it is still so after [`GONE`]; that the client is lost.
pub fn until_answered<T>(
    doing: &'static str,
    config: &Config,
    stop: &AtomicBool,
    ask: impl Fn() -> KafkaResult<T>,
) -> Result<T, StreamError> {
    let mut missing: Option<Stopwatch> = None;
    let mut pulse = Pulse::default();
    loop {
        let error = match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let refused = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::GroupAuthorizationFailed
                    | RDKafkaErrorCode::Authentication
            )
        );
        if !is_missing(&error) {
            missing = None;
        }
        let gone =
            is_missing(&error) && missing.get_or_insert_with(Stopwatch::start).elapsed() > GONE;
        if refused || gone || stop.load(Ordering::Relaxed) {
            return Err(StreamError::client(doing)(error));
        }
        tracing::warn!(%error, "Kafka does not answer now: {doing}");
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut) {
            pulse.missed(config)?;
        }
        std::thread::sleep(AGAIN);
    }
}

/// Whether the broker says that it knows no such topic or partition.
pub fn is_missing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}

/// Why no broker answered.
fn unreachable(
    config: &Config,
    source: KafkaError,
    heard: Option<(RDKafkaErrorCode, String)>,
) -> StreamError {
    let bootstrap = config.kafka.bootstrap.clone();
    match heard {
        Some((RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL, reason)) => {
            StreamError::Refused { bootstrap, reason }
        }
        Some(_) | None => StreamError::Unreachable { bootstrap, source },
    }
}

/// Whether all topics are there.
///
/// # Errors
/// The missing ones.
pub fn require(
    config: &Config,
    there: &BTreeMap<String, usize>,
    names: &[&str],
) -> Result<(), StreamError> {
    let missing: Vec<String> = names
        .iter()
        .filter(|name| !there.contains_key(**name))
        .map(|name| (*name).to_owned())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(StreamError::NoTopics {
        bootstrap: config.kafka.bootstrap.clone(),
        missing,
    })
}

/// Where a group begins in a partition that it never read: nothing means that the operator wants
/// to choose.
pub fn first_offset(start: Start, low: i64, high: i64) -> Option<i64> {
    match start {
        Start::Earliest => Some(low),
        Start::Latest => Some(high),
        Start::Refuse => None,
    }
}
