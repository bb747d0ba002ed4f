//! The configuration of the live monitor: `varsel.toml` as typed values, one struct a table.
//!
//! Every fault of the file is told in one run, at its place. Only `kafka.bootstrap` must be given.
//! Secrets are named here and read by [`SecretSource::read`] when they are needed. What the values
//! mean to Kafka, to storage and to the rule book is deliberately not known here.

mod console;
mod http;
mod kafka;
mod notify;
mod oidc;
mod routes;
mod secret;
mod sheet;
mod tables;

#[cfg(test)]
mod tests;

pub use notify::{Language, Login, Mail, Notify, Route, Security, Store, Webhook};
pub use oidc::Oidc;
pub use secret::{Secret, SecretSource};

use crate::problem::{Problem, Problems};
use core::net::SocketAddr;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most bytes of a configuration; one that is longer is some other file.
const MAX_BYTES: u64 = 1024 * 1024;

/// Everything that `varsel.toml` says, with defaults for what it leaves out.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How the brokers are reached.
    pub kafka: Kafka,
    /// What the topics are called, and how they are made.
    pub topics: Topics,
    /// What this instance does and under which name.
    pub run: Run,
    /// Where the rule book lies.
    pub rules: Rules,
    /// Where the address databases lie.
    pub geo: Geo,
    /// Where and how often the state is saved.
    pub checkpoint: Checkpoint,
    /// Where HTTP is served.
    pub http: Http,
    /// What the risk API answers with.
    pub api: Api,
    /// The analysts' console; nothing where there is none.
    pub console: Option<Console>,
    /// Where alerts, holds and what is to be sent are kept.
    pub store: Store,
    /// Who is told of alerts, and how.
    pub notify: Notify,
    /// Bounds of the running monitor.
    pub bounds: Bounds,
    /// What is logged, and how.
    pub log: Log,
}

/// How the brokers are reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Kafka {
    /// `host:port`, several separated by commas, without spaces.
    pub bootstrap: String,
    /// Whether the connection is encrypted and who proves what.
    pub protocol: Protocol,
    /// The authorities that are trusted, PEM; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, where the brokers ask for one.
    pub certificate: Option<Certificate>,
    /// Our name and password; there if and only if the protocol is one of SASL.
    pub sasl: Option<Sasl>,
}

/// A client certificate and its key, PEM.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// The certificate, with its chain.
    pub cert_file: PathBuf,
    /// The private key, without a passphrase.
    pub key_file: PathBuf,
}

/// Credentials for SASL.
#[derive(Debug, Clone, PartialEq)]
pub struct Sasl {
    /// How the password is proven.
    pub mechanism: Mechanism,
    /// The user.
    pub username: String,
    /// Where the password is read.
    pub password: SecretSource,
}

/// `security.protocol` in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// Encrypted; authenticated by certificate where there is one.
    Tls,
    /// Authenticated by SASL, not encrypted.
    SaslPlaintext,
    /// Encrypted and authenticated by SASL.
    SaslTls,
}

impl Protocol {
    /// Whether the connection is encrypted.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::SaslTls)
    }

    /// Whether credentials are needed.
    pub fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslTls)
    }

    /// What Kafka's clients call it: a value of `security.protocol`.
    pub fn kafka_name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Tls => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslTls => "sasl_ssl",
        }
    }
}

/// `sasl.mechanism` in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself is sent (RFC 4616).
    Plain,
    /// SCRAM with SHA-256 (RFC 7677).
    ScramSha256,
    /// SCRAM with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// What Kafka's clients call it: a value of `sasl.mechanism`.
    pub fn kafka_name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// What the topics are called, and how they are made. All names differ from one another.
#[derive(Debug, Clone, PartialEq)]
pub struct Topics {
    /// The bank's topics, 1 to 64.
    pub sources: Vec<String>,
    /// The log of all events by cardholder.
    pub log: String,
    /// Every decision.
    pub decisions: String,
    /// Alerts.
    pub alerts: String,
    /// Holds by id (compacted).
    pub holds: String,
    /// Records that could not be read.
    pub dead_letters: String,
    /// Which card is whose (compacted).
    pub bindings: String,
    /// Which instance owns which partition (compacted).
    pub owners: String,
    /// Partitions of log, decisions, alerts and holds: 1 to 1,024.
    pub partitions: u32,
    /// Copies of each partition: 1 to 9.
    pub replication: u32,
    /// How long the log is kept: 1 h to 3,650 d.
    pub retention: Duration,
}

/// What this instance does and under which name.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// At least one.
    pub roles: BTreeSet<Role>,
    /// The name of this instance, different for each: the host's unless it is given.
    pub instance: String,
    /// The consumer groups are this with `-intake` and `-score` behind it.
    pub group: String,
    /// Whether the group remembers this instance by its name over a restart.
    pub static_membership: bool,
    /// After which silence the group takes this instance for dead: 6 s to 30 min, the brokers' default bounds.
    pub session_timeout: Duration,
    /// Where reading begins when there is no committed position yet.
    pub start: Start,
    /// Threads that score: 1 to 64.
    pub threads: usize,
    /// Whether to go on over a gap in the log.
    pub accept_loss: bool,
}

impl Run {
    /// The consumer group of a role.
    pub fn group_of(&self, role: Role) -> String {
        format!("{}-{}", self.group, role.name())
    }
}

/// A part of the monitor that can run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Bank topics to log.
    Intake,
    /// Log to decisions, alerts and holds.
    Score,
    /// Risk queries and the life of holds, over HTTP.
    Api,
    /// Alerts to people: mail and webhooks.
    Notify,
}

impl Role {
    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Score => "score",
            Self::Api => "api",
            Self::Notify => "notify",
        }
    }
}

/// Where reading begins when there is no committed position yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record that is still there.
    Earliest,
    /// With the next record to come.
    Latest,
    /// Not at all: an operator must choose first.
    Refuse,
}

/// Where the rule book lies.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// The folder; without it, `./rules`, and failing that the starter book.
    pub dir: Option<PathBuf>,
}

/// Where the address databases lie (MaxMind's format).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Geo {
    /// Address to country.
    pub country: Option<PathBuf>,
    /// Address to network.
    pub asn: Option<PathBuf>,
}

/// Where and how often the state is saved.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Where.
    pub place: Place,
    /// How often, each partition: 1 s to 1 h.
    pub every: Duration,
    /// How many of each partition are kept: 2 to 100, since a damaged newest one needs one before it.
    pub keep: usize,
}

/// A folder or a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine, absolute or from the working directory.
    Folder(PathBuf),
    /// A bucket of an S3-compatible store; credentials come from the environment.
    Bucket {
        /// Its name.
        bucket: String,
        /// What every name in it begins with, without slashes at the ends; empty for none.
        prefix: String,
    },
}

/// Where `/livez`, `/readyz`, `/metrics` and, in the role `api`, `/v1` are served.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Address and port; port 0 is any that is free.
    pub listen: SocketAddr,
    /// `host:port` under which other instances reach this one; without it, `listen`.
    pub advertise: Option<String>,
    /// Whether the risk API may be served beyond this machine without TLS and credentials.
    pub open: bool,
    /// Address and port of gRPC, in the role `api`; without it there is none.
    pub grpc_listen: Option<SocketAddr>,
    /// By which both ports are encrypted.
    pub tls: Option<Tls>,
}

/// TLS of our own ports, and towards other instances; all files are PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Our certificate, with its chain.
    pub certificate: PathBuf,
    /// Its private key, without a passphrase.
    pub key: PathBuf,
    /// Whose signature clients' certificates bear; without it, none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is turned away.
    pub require_client_certificate: bool,
    /// Whose signature other instances' certificates bear; without it, none is called.
    pub peer_ca: Option<PathBuf>,
}

/// What the risk API answers with.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// What an answer that could not be judged advises instead, stated as such.
    pub fallback: Fallback,
    /// How long a query may take that names no deadline: up to 10 s.
    pub deadline: Duration,
    /// Where the keys are read by which card numbers of AReqs become tokens.
    pub token_keys: Option<SecretSource>,
    /// Who may call what; without it, everybody everything.
    pub clients: Option<PathBuf>,
    /// Calls a second of each client: 1 to 1,000,000.
    pub rate: u32,
    /// Where every call that changes something is noted; without it, nowhere.
    pub audit: Option<PathBuf>,
}

/// The analysts' console, below `/console` where HTTP is served.
#[derive(Debug, Clone, PartialEq)]
pub struct Console {
    /// How long a session lasts that asks for nothing: 1 min to 1 d.
    pub idle: Duration,
    /// How long a session lasts at most: 5 min to 7 d.
    pub session: Duration,
    /// Scheme, host and port as browsers know them, where something stands before us; without it, as they ask.
    pub origin: Option<String>,
    /// The provider by way of which people may log in, beside those who have a password here.
    pub oidc: Option<Oidc>,
    /// Whether it shows the demo, and links the demo's mails.
    pub is_demo: bool,
}

/// What may be advised where nothing could be judged. There is no `allow` among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Challenge; soft-decline.
    StepUp,
    /// Decline.
    Decline,
}

impl Fallback {
    /// The action's word (EVENTS.md, Outputs).
    pub fn word(self) -> &'static str {
        match self {
            Self::StepUp => "step_up",
            Self::Decline => "decline",
        }
    }
}

/// Bounds of the running monitor.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// Not ready where the oldest unread record is older: 1 s to 1 d.
    pub lag_ready: Duration,
    /// Effects that are sent and not acknowledged: 64 to 1,048,576.
    pub in_flight: usize,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// From which weight on.
    pub level: Level,
    /// For machines or for people.
    pub format: Format,
}

/// The weight of a line of log, from the heaviest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something should be looked at.
    Warn,
    /// What was done.
    Info,
    /// How it was done.
    Debug,
    /// Every step.
    Trace,
}

/// The shape of a line of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Text,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Every fault of the file, or that it cannot be read.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let shown = path.display().to_string();
        let read = fs::metadata(path).and_then(|about| {
            if about.len() > MAX_BYTES {
                return Ok(Err(about.len()));
            }
            fs::read_to_string(path).map(Ok)
        });
        let problem = match read {
            Ok(Ok(text)) => return Self::parse(&shown, &text),
            Ok(Err(bytes)) => Problem::whole(
                shown,
                format!("the file has {bytes} bytes, at most {MAX_BYTES} are read"),
            ),
            Err(error) => Problem::whole(shown, format!("the file cannot be read: {error}"))
                .with_help(
                    "name the configuration with `--config FILE`; it needs `kafka.bootstrap`",
                ),
        };
        let mut problems = Problems::new();
        problems.push(problem);
        Err(problems)
    }

    /// Checks a text; `file` is what the faults name it.
    ///
    /// # Errors
    /// Every fault of the text.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        tables::read(file, text)
    }

    /// The defaults with these brokers, for tests and demonstrations.
    pub fn default_for(bootstrap: &str) -> Self {
        tables::default_for(bootstrap)
    }
}
