//! What `[store]`, `[notify]`, `[mail]`, `[[route]]` and `[[webhook]]` say, as typed values.
//!
//! How they are read from the text stands in `routes.rs`. What a route does with an alert, and how a mail is sent, is
//! deliberately not known here.

use super::SecretSource;
use crate::domain::codes::Severity;
use lettre::Address;
use lettre::message::Mailbox;
use std::path::PathBuf;
use std::time::Duration;

/// Where alerts, holds and what is to be sent are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Store {
    /// SQLite, in a file of this machine.
    File(PathBuf),
    /// PostgreSQL: for several instances.
    Postgres {
        /// `postgres://user@host:port/database`, without a password and `sslmode`.
        url: String,
        /// Where the password is read.
        password: Option<SecretSource>,
        /// Whether the way there is TLS, the server's certificate checked.
        tls: bool,
        /// The authorities that are trusted, PEM; without it, those of the system.
        ca_file: Option<PathBuf>,
    },
}

/// Who is told of alerts, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// The language of mails.
    pub language: Language,
    /// What case links begin with, without a slash at the end; without it, mails have no link.
    pub link: Option<String>,
    /// A folder whose templates stand in for the built-in ones of the same name.
    pub templates: Option<PathBuf>,
    /// Lines that lay in their topic for longer are kept and not told: 1 min to 30 d.
    pub stale_after: Duration,
    /// Hosts of private networks that webhooks may call.
    pub private_hosts: Vec<String>,
    /// How mail is sent; nothing where no route names an address.
    pub mail: Option<Mail>,
    /// Where alerts go.
    pub routes: Vec<Route>,
    /// Receivers over HTTP, by name.
    pub webhooks: Vec<Webhook>,
}

/// A language that mails are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Danish.
    Danish,
}

impl Language {
    /// Its ISO 639-1 code.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Danish => "da",
        }
    }
}

/// The mail server.
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is protected.
    pub security: Security,
    /// The authorities that are trusted, PEM; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// Who sends.
    pub from: Mailbox,
    /// Our name and password there.
    pub login: Option<Login>,
    /// How long one mail may take, from the connection to the last answer: 1 s to 10 min.
    pub timeout: Duration,
}

/// Credentials of the mail server.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    /// The user.
    pub username: String,
    /// Where the password is read.
    pub password: SecretSource,
}

/// How the way to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// TLS by the command STARTTLS (RFC 3207); without it nothing is sent.
    StartTls,
    /// None: on this machine only.
    Plain,
}

/// To whom which alerts go, and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its name, by which the store knows it.
    pub name: String,
    /// Addresses.
    pub mail: Vec<Address>,
    /// Names of webhooks.
    pub webhooks: Vec<String>,
    /// Only these severities; empty for all.
    pub severities: Vec<Severity>,
    /// Only these patterns; empty for all.
    pub patterns: Vec<String>,
    /// Only between these minutes of the local day, the second not included; over midnight where it is the smaller.
    pub hours: Option<(u32, u32)>,
    /// Only on these days of the local week, from Monday.
    pub days: [bool; 7],
    /// How long a message waits for more to tell: 0 s to 1 h.
    pub group_wait: Duration,
    /// Messages to one receiver at once before they are grouped: 1 to 100.
    pub burst: u32,
    /// After those, one message in each of these spans: 1 s to 1 d.
    pub group_interval: Duration,
    /// Messages about one episode after its first: 0 to 20.
    pub updates: u32,
    /// How long after a message an episode that has only grown is told again: 1 s to 1 d.
    pub update_interval: Duration,
    /// How long after a message an episode that is still open is told again; zero for never, up to 30 d.
    pub repeat_interval: Duration,
    /// All in one message, once in each of these spans; zero for no digest, up to 7 d.
    pub digest: Duration,
}

impl Route {
    /// A route to everybody of `mail`, for all alerts, with the defaults.
    pub fn new(name: &str, mail: Vec<Address>) -> Self {
        Self {
            name: name.to_owned(),
            mail,
            webhooks: Vec::new(),
            severities: Vec::new(),
            patterns: Vec::new(),
            hours: None,
            days: [true; 7],
            group_wait: Duration::from_secs(2),
            burst: 10,
            group_interval: Duration::from_secs(60),
            updates: 3,
            update_interval: Duration::from_secs(600),
            repeat_interval: Duration::from_secs(4 * 3_600),
            digest: Duration::ZERO,
        }
    }
}

/// A receiver over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// Whether the way there is TLS; without it only to hosts of `private_hosts`.
    pub tls: bool,
    /// Its host: a name, or an address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Path and query, from the slash on.
    pub path: String,
    /// Where the key of the signatures is read.
    pub secret: SecretSource,
    /// The authorities that are trusted, PEM; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long one call may take, from the look-up of the name to the answer's head: 1 s to 1 min.
    pub timeout: Duration,
}
