//! The way to the mail server: connect, STARTTLS or TLS, log in, and hand over a letter step by step, so that it is
//! known whether the server may have taken it when something fails.
//!
//! One connection is kept between letters for a while and dropped after any fault. It deliberately tries nothing
//! again: that is for whoever keeps the outbox. Every send is within one time-out, which lettre itself does not have.

use crate::clock::{Stopwatch, within};
use crate::config::{Mail, Security};
use crate::mail::letter::Letter;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail as From, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

/// A connection is kept for so long after a letter; servers close theirs after some minutes.
const KEPT_FOR: Duration = Duration::from_secs(20);
/// Letters over one connection; many servers allow no more.
const LETTERS: u32 = 50;
/// The most characters of what a server said that are kept.
const SAID: usize = 300;

/// What is on its way when the process is to end may take so long; a drain has ten seconds in all.
pub const GRACE: Duration = Duration::from_secs(3);

/// Why a letter was not handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was said, by the server or the system.
    pub said: String,
    /// What it means.
    pub kind: Kind,
    /// How long the receiver asked to be left alone, in milliseconds.
    pub wait_ms: Option<i64>,
}

impl Refusal {
    /// One that asks for no pause.
    pub fn of(kind: Kind, said: impl Into<String>) -> Self {
        Self {
            said: said.into(),
            kind,
            wait_ms: None,
        }
    }
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server cannot be used now: not there, no TLS, our login refused. The letter has nothing to do with it.
    Server,
    /// The letter was refused for now (4yz).
    Passing,
    /// The letter was refused for good (5yz).
    Final,
    /// The letter was on its way and no answer came: the server may have taken it.
    Doubtful,
}

/// The server, and a connection while it is kept.
#[derive(Debug)]
pub struct Server {
    mail: Mail,
    stop: Arc<AtomicBool>,
    runtime: Runtime,
    line: Option<Line>,
}

struct Line {
    connection: AsyncSmtpConnection,
    used: u32,
    idle: Stopwatch,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// How far a letter came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// No server to speak to yet.
    Greeting,
    /// Sender and receiver.
    Envelope,
    /// The letter itself: from here on its end may be doubtful.
    Content,
}

impl Server {
    /// A server that is not connected to yet; `stop` says that the process is to end.
    ///
    /// # Errors
    /// Where the system has no runtime for it.
    pub fn new(mail: &Mail, stop: &Arc<AtomicBool>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        Ok(Self {
            mail: mail.clone(),
            stop: Arc::clone(stop),
            runtime,
            line: None,
        })
    }

    /// Who sends.
    pub fn mail(&self) -> &Mail {
        &self.mail
    }

    /// Hands a letter over; it is the server's when this returns well.
    ///
    /// # Errors
    /// Why not, and what that means.
    pub fn send(&mut self, letter: &Letter) -> Result<(), Refusal> {
        let line = self
            .line
            .take()
            .filter(|line| line.idle.elapsed() < KEPT_FOR && line.used < LETTERS);
        let mut step = Step::Greeting;
        let sending = deliver(&self.mail, line, letter, &mut step);
        let (span, stop) = (self.mail.timeout, &*self.stop);
        let done = self
            .runtime
            .block_on(async { within(span, (stop, GRACE), sending).await });
        match done {
            Some(Ok(line)) => {
                self.line = Some(line);
                Ok(())
            }
            Some(Err(error)) => Err(refusal(&error, step)),
            None => {
                let kind = match step {
                    Step::Greeting => Kind::Server,
                    Step::Envelope => Kind::Passing,
                    Step::Content => Kind::Doubtful,
                };
                Err(Refusal::of(kind, unanswered(span, stop)))
            }
        }
    }
}

/// What is said of an attempt that was given up.
pub fn unanswered(span: Duration, stop: &AtomicBool) -> String {
    if stop.load(Ordering::Relaxed) {
        "no answer before this process ended".to_owned()
    } else {
        format!("no answer within {} s", span.as_secs())
    }
}

/// A fault of ours or of lettre's.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Smtp(#[from] Error),
    #[error("{0}")]
    Ours(String),
}

fn refusal(fault: &Fault, step: Step) -> Refusal {
    let (code, said) = match fault {
        Fault::Smtp(error) => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            (
                error.status(),
                format!("{error}{}", cause.unwrap_or_default()),
            )
        }
        Fault::Ours(said) => (None, said.clone()),
    };
    let is_final = matches!(fault, Fault::Smtp(error) if error.is_permanent());
    let kind = match step {
        // Also a 5yz: a refused password says nothing against the letter.
        Step::Greeting => Kind::Server,
        Step::Envelope | Step::Content if code.is_some() => {
            // 421 is the server saying that it goes.
            if code.is_some_and(|code| u16::from(code) == 421) {
                Kind::Server
            } else if is_final {
                Kind::Final
            } else {
                Kind::Passing
            }
        }
        Step::Envelope => Kind::Passing,
        Step::Content => Kind::Doubtful,
    };
    let said = said.chars().map(|c| if c.is_control() { ' ' } else { c });
    Refusal::of(kind, said.take(SAID).collect::<String>())
}

async fn deliver(
    mail: &Mail,
    line: Option<Line>,
    letter: &Letter,
    step: &mut Step,
) -> Result<Line, Fault> {
    let kept = match line {
        Some(line) => still_there(line).await,
        None => None,
    };
    let mut line = match kept {
        Some(line) => line,
        None => Line {
            connection: connect(mail).await?,
            used: 0,
            idle: Stopwatch::start(),
        },
    };
    let connection = &mut line.connection;
    *step = Step::Envelope;
    let from = letter.envelope.from().cloned();
    connection.command(From::new(from, Vec::new())).await?;
    for to in letter.envelope.to() {
        connection
            .command(Rcpt::new(to.clone(), Vec::new()))
            .await?;
    }
    connection.command(Data).await?;
    *step = Step::Content;
    connection.message(&letter.bytes).await?;
    line.used += 1;
    line.idle = Stopwatch::start();
    Ok(line)
}

/// A connection that was kept, if the server still speaks on it.
async fn still_there(mut line: Line) -> Option<Line> {
    line.connection.command(Rset).await.is_ok().then_some(line)
}

async fn connect(mail: &Mail) -> Result<AsyncSmtpConnection, Fault> {
    let name = ClientId::Domain(mail.from.email.domain().to_owned());
    let at_once = match mail.security {
        Security::Tls => Some(tls(mail)?),
        Security::StartTls | Security::Plain => None,
    };
    let place = (mail.host.as_str(), mail.port);
    let mut connection =
        AsyncSmtpConnection::connect_tokio1(place, None, &name, at_once, None).await?;
    if mail.security == Security::StartTls {
        // Without it nothing is sent: an attacker could have taken the offer out.
        if !connection.can_starttls() {
            return Err(Fault::Ours("the server does not offer STARTTLS".to_owned()));
        }
        connection.starttls(tls(mail)?, &name).await?;
    }
    if let Some(login) = &mail.login {
        let password = login.password.read();
        let password = password.map_err(|problem| Fault::Ours(problem.message))?;
        let credentials = Credentials::new(login.username.clone(), password.reveal().to_owned());
        connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
    }
    Ok(connection)
}

fn tls(mail: &Mail) -> Result<TlsParameters, Fault> {
    let mut builder = TlsParameters::builder(mail.host.clone());
    if let Some(path) = &mail.ca_file {
        let pem = std::fs::read(path)
            .map_err(|error| Fault::Ours(format!("`{}`: {error}", path.display())))?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&pem)?);
    }
    Ok(builder.build_rustls()?)
}
