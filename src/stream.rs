//! The stream: everything that speaks to Kafka, and only here.
//!
//! Two loops around the same engine as a replay's: `append` takes the bank's topics into the log,
//! `score` takes the log through the engine and performs the effects. Both commit only what the
//! broker has acknowledged in full (promises `no-loss`, `harmless-repeat`). What an event means
//! and whether it is suspicious is no question here.

pub mod append;
pub mod book;
pub mod client;
pub mod desk;
pub mod embedded;
pub mod ends;
pub mod follow;
pub mod gate;
pub mod hand;
pub mod keep;
pub mod letters;
pub mod merge;
pub mod names;
pub mod outbox;
pub mod outlet;
pub mod owners;
pub mod placing;
pub mod pulse;
pub mod range;
pub mod reader;
pub mod records;
pub mod redrive;
pub mod score;
pub mod seat;
pub mod send;
pub mod sentinel;
pub mod shard;
pub mod snapshot;
pub mod tally;
pub mod tickets;
pub mod topics;
pub mod vault;

use crate::problem::Problem;
use rdkafka::error::KafkaError;

/// Why a loop against Kafka ended, or could not begin. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The broker does not answer.
    #[error(
        "no Kafka broker answers at `{bootstrap}`: {source}\n  = help: check `kafka.bootstrap`, and that the broker's advertised listeners can be reached from here"
    )]
    Unreachable {
        /// The addresses asked.
        bootstrap: String,
        /// What the client said.
        source: KafkaError,
    },
    /// The broker refuses who we are.
    #[error(
        "the Kafka broker at `{bootstrap}` refuses the connection: {reason}\n  = help: check `kafka.protocol`, `kafka.mechanism`, `kafka.username` and where the password comes from"
    )]
    Refused {
        /// The addresses asked.
        bootstrap: String,
        /// What the broker said.
        reason: String,
    },
    /// A password cannot be read.
    #[error("{0}")]
    Password(Problem),
    /// Topics that we need are not there.
    #[error(
        "{} missing on `{bootstrap}`: {}\n  = help: `varsel topics --config … --apply` creates what is missing",
        if .missing.len() == 1 { "a topic is" } else { "topics are" },
        .missing.iter().map(|topic| format!("`{topic}`")).collect::<Vec<_>>().join(", ")
    )]
    NoTopics {
        /// The addresses asked.
        bootstrap: String,
        /// Their names.
        missing: Vec<String>,
    },
    /// The log has another number of partitions than it was set up with.
    #[error(
        "`{topic}` has {found} partitions and {known} were expected: a cardholder's events would be split over two partitions\n  = help: {help}"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has.
        found: usize,
        /// How many it should have.
        known: usize,
        /// The way out.
        help: String,
    },
    /// The log is not the one that the state was made from.
    #[error(
        "`{topic}/{partition}` is not the log that our state was made from: {what}\n  = help: if the topic was made anew on purpose, set `checkpoint.url` to an empty place and use another `run.group`; otherwise bring the old topic back"
    )]
    OtherLog {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What does not fit.
        what: String,
    },
    /// A part of the log is gone that we still needed.
    #[error(
        "`{topic}/{partition}`: the records {from} to {to} are gone ({why}): {} events were never scored or are missing from the state\n  = help: bring a checkpoint of offset {from} or later, or accept the loss with `run.accept_loss = true`",
        .to - .from + 1
    )]
    Gap {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// First offset missing.
        from: i64,
        /// Last offset missing.
        to: i64,
        /// Why, as far as it can be told.
        why: &'static str,
    },
    /// The operator wants to choose where to begin.
    #[error(
        "`{topic}` was never read by the group `{group}`, and `run.start` is `refuse`\n  = help: set `run.start` to `earliest` or `latest` for the first start"
    )]
    FirstStart {
        /// The topic.
        topic: String,
        /// The consumer group.
        group: String,
    },
    /// A checkpoint's place.
    #[error(transparent)]
    Vault(#[from] vault::VaultError),
    /// The client gave up on a record.
    #[error(
        "the broker did not take a record for `{topic}`: {reason}\n  = help: nothing that depends on it was committed; see to the broker and start again"
    )]
    NotTaken {
        /// The topic.
        topic: String,
        /// Why.
        reason: String,
    },
    /// Another monitor with other settings works in our group.
    #[error(
        "the group `{group}` is already worked by `{other}` with other settings ({what})\n  = help: give one of the two another `run.group` and other topics"
    )]
    Conflict {
        /// The group.
        group: String,
        /// The other instance.
        other: String,
        /// What differs.
        what: String,
    },
    /// The process stood still for longer than the group waits.
    #[error(
        "the process stood still for {0} s: the group has given its partitions away, and it begins anew"
    )]
    Frozen(u64),
    /// A client of ours has lost every broker, and others have not.
    #[error(
        "the Kafka client has lost every broker and asks none any more, while a new one is answered: the process begins anew"
    )]
    Lost,
    /// Anything else that the client says.
    #[error("Kafka: {doing}: {source}")]
    Client {
        /// What was being done.
        doing: &'static str,
        /// What the client said.
        source: KafkaError,
    },
    /// The port for `/livez`, `/readyz` and `/metrics`.
    #[error("{0}\n  = help: free the port, or name another address as `http.listen`")]
    Port(String),
    /// Who may call the risk API, by which TLS, or where its calls are noted.
    #[error("{0}")]
    Door(String),
    /// The notifier cannot work with its configuration.
    #[error("{0}")]
    Notify(String),
    /// A thread could not be had, or ended before its time.
    #[error("a scoring thread stopped unexpectedly: {0}")]
    Thread(String),
}

impl StreamError {
    /// What the client said while doing something.
    pub fn client(doing: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Client { doing, source }
    }
}
