//! A mail server that speaks SMTP as real ones do, and fails as real ones do: what the notifier is tested against.
//! It keeps what it took, dots undoubled, and who brought it. With a paper it speaks TLS, from the first byte or by
//! STARTTLS, and then takes no mail without both that and a password.

use crate::papers::Paper;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What happens to the next mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is taken.
    None,
    /// 421 in place of a greeting.
    Busy,
    /// 450 to the receiver's address.
    Later,
    /// 550 to the receiver's address.
    Never,
    /// 554 after the content.
    NoContent,
    /// Nothing is said after the content, which is not kept.
    Stall,
    /// The connection is cut in the content, which is not kept.
    Cut,
    /// The content is kept, and the connection cut before that is said.
    Lost,
    /// Each answer takes so many milliseconds.
    Slow(u64),
}

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub to: String,
    pub data: String,
    /// Who logged in; empty where nobody did.
    pub user: String,
}

/// What a server asks of who brings mail.
#[derive(Clone)]
enum Guard {
    None,
    /// TLS from the first byte, and a password.
    Tls(Arc<ServerConfig>),
    /// TLS by STARTTLS, and a password.
    StartTls(Arc<ServerConfig>),
}

/// The name and password that a guarded server knows.
pub const LOGIN: (&str, &str) = ("varsel", "open sesame");

/// The way to a client.
enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    fn encrypted(stream: TcpStream, config: &Arc<ServerConfig>) -> Self {
        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
        Self::Tls(Box::new(StreamOwned::new(connection, stream)))
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Taken {
    pub fn header(&self, name: &str) -> String {
        let (head, _) = self.data.split_once("\r\n\r\n").unwrap();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let start = format!("{name}: ");
        let line = unfolded.lines().find(|line| line.starts_with(&start));
        line.unwrap_or_default()
            .trim_start_matches(&start)
            .to_owned()
    }
}

#[derive(Default)]
struct Inside {
    taken: Mutex<Vec<Taken>>,
    changed: Condvar,
    faults: Mutex<VecDeque<Fault>>,
}

/// The server; its threads end with the process.
#[derive(Clone)]
pub struct Catcher {
    pub address: SocketAddr,
    inside: Arc<Inside>,
}

impl Catcher {
    pub fn start() -> Self {
        Self::guarded(Guard::None)
    }

    /// That takes mail over TLS from the first byte.
    pub fn by_tls(paper: &Paper) -> Self {
        Self::guarded(Guard::Tls(served(paper)))
    }

    /// That takes mail after STARTTLS.
    pub fn by_starttls(paper: &Paper) -> Self {
        Self::guarded(Guard::StartTls(served(paper)))
    }

    fn guarded(guard: Guard) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let catcher = Self {
            address: listener.local_addr().unwrap(),
            inside: Arc::default(),
        };
        let inside = Arc::clone(&catcher.inside);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, inside, guard) = (stream.unwrap(), Arc::clone(&inside), guard.clone());
                // A client that goes away in the middle ends its thread with an error: that is how it should be.
                std::thread::spawn(move || inside.serve(stream, &guard).map(drop));
            }
        });
        catcher
    }

    /// What happens to the next mails, in order; the rest are taken.
    pub fn faults(&self, faults: &[Fault]) {
        *self.inside.faults.lock().unwrap() = faults.iter().copied().collect();
    }

    /// Whether some of them are still to come.
    pub fn has_faults_left(&self) -> bool {
        !self.inside.faults.lock().unwrap().is_empty()
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.inside.taken.lock().unwrap().clone()
    }

    /// Waits until so many were taken.
    pub fn until(&self, count: usize, patience: Duration) -> Vec<Taken> {
        let taken = self.inside.taken.lock().unwrap();
        let few = |taken: &mut Vec<Taken>| taken.len() < count;
        let waited = self.inside.changed.wait_timeout_while(taken, patience, few);
        let (taken, waited) = waited.unwrap();
        assert!(!waited.timed_out(), "{} of {count} mails", taken.len());
        taken.clone()
    }
}

impl Inside {
    fn next_fault(&self) -> Fault {
        let mut faults = self.faults.lock().unwrap();
        faults.pop_front().unwrap_or(Fault::None)
    }

    fn serve(&self, stream: TcpStream, guard: &Guard) -> io::Result<()> {
        let wire = match guard {
            Guard::Tls(config) => Wire::encrypted(stream, config),
            Guard::None | Guard::StartTls(_) => Wire::Plain(stream),
        };
        let mut talk = Talk {
            lines: BufReader::new(wire),
            fault: self.next_fault(),
            user: String::new(),
        };
        if talk.fault == Fault::Busy {
            return talk.say("421 busy");
        }
        talk.say("220 catcher ESMTP")?;
        let (mut to, mut is_fresh) = (String::new(), true);
        loop {
            let Some(line) = talk.line()? else {
                return Ok(());
            };
            let verb = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
            match (verb.as_str(), guard) {
                ("EHLO", _) => talk.greet(guard)?,
                ("STAR", Guard::StartTls(config)) => {
                    talk.say("220 go on")?;
                    talk = talk.encrypted(config);
                }
                ("AUTH", Guard::Tls(_) | Guard::StartTls(_)) => talk.log_in(&line)?,
                ("MAIL", Guard::Tls(_) | Guard::StartTls(_)) if talk.user.is_empty() => {
                    talk.say("530 5.7.0 who are you?")?;
                }
                ("MAIL", _) => {
                    if !is_fresh {
                        talk.fault = self.next_fault();
                    }
                    is_fresh = false;
                    talk.say("250 ok")?;
                }
                ("RCPT", _) => {
                    line.trim_start_matches("RCPT TO:<")
                        .trim_end_matches('>')
                        .clone_into(&mut to);
                    talk.say(match talk.fault {
                        Fault::Later => "450 4.2.0 greylisted",
                        Fault::Never => "550 5.1.1 no such person",
                        Fault::None
                        | Fault::Busy
                        | Fault::NoContent
                        | Fault::Stall
                        | Fault::Cut
                        | Fault::Lost
                        | Fault::Slow(_) => "250 ok",
                    })?;
                }
                ("DATA", _) => {
                    if !self.take(&mut talk, &to)? {
                        return Ok(());
                    }
                }
                ("QUIT", _) => return talk.say("221 bye"),
                ("RSET" | "NOOP", _) => talk.say("250 ok")?,
                _ => talk.say("502 what?")?,
            }
        }
    }

    /// Takes the content of a mail, or fails to; false where the connection is cut.
    fn take(&self, talk: &mut Talk, to: &str) -> io::Result<bool> {
        talk.say("354 go on")?;
        if talk.fault == Fault::Cut {
            return Ok(false);
        }
        let data = content(&mut talk.lines)?;
        match talk.fault {
            Fault::NoContent => talk.say("554 5.6.0 not like this")?,
            Fault::Stall => {
                // Until the client has had enough.
                talk.lines.read_to_end(&mut Vec::new())?;
                return Ok(false);
            }
            Fault::None
            | Fault::Busy
            | Fault::Later
            | Fault::Never
            | Fault::Cut
            | Fault::Lost
            | Fault::Slow(_) => {
                let (to, user) = (to.to_owned(), talk.user.clone());
                self.taken.lock().unwrap().push(Taken { to, data, user });
                self.changed.notify_all();
                if talk.fault == Fault::Lost {
                    return Ok(false);
                }
                talk.say("250 2.0.0 taken")?;
            }
        }
        Ok(true)
    }
}

/// What a server that shows this paper answers a handshake with.
fn served(paper: &Paper) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from_pem_slice(paper.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![paper.der()], key);
    Arc::new(config.unwrap())
}

/// A conversation with one client.
struct Talk {
    lines: BufReader<Wire>,
    fault: Fault,
    user: String,
}

impl Talk {
    fn say(&mut self, text: &str) -> io::Result<()> {
        if let Fault::Slow(ms) = self.fault {
            std::thread::sleep(Duration::from_millis(ms));
        }
        let wire = self.lines.get_mut();
        wire.write_all(format!("{text}\r\n").as_bytes())?;
        wire.flush()
    }

    /// The next line; nothing where the client has gone.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let bytes = self.lines.read_line(&mut line)?;
        Ok((bytes > 0).then(|| line.trim_end().to_owned()))
    }

    fn greet(&mut self, guard: &Guard) -> io::Result<()> {
        let offer = match (guard, self.lines.get_ref()) {
            (Guard::None, _) => "250-8BITMIME",
            (_, Wire::Plain(_)) => "250-STARTTLS",
            (_, Wire::Tls(_)) => "250-AUTH PLAIN LOGIN",
        };
        self.say(&format!("250-catcher\r\n{offer}\r\n250 SIZE 1000000"))
    }

    fn encrypted(self, config: &Arc<ServerConfig>) -> Self {
        assert!(
            self.lines.buffer().is_empty(),
            "nothing before the handshake"
        );
        let lines = match self.lines.into_inner() {
            Wire::Plain(stream) => BufReader::new(Wire::encrypted(stream, config)),
            wire @ Wire::Tls(_) => BufReader::new(wire),
        };
        Self { lines, ..self }
    }

    /// `AUTH PLAIN` (RFC 4616): two words after zeros, base64.
    fn log_in(&mut self, line: &str) -> io::Result<()> {
        let coded = line.trim_start_matches("AUTH PLAIN ");
        let expected = format!("\0{}\0{}", LOGIN.0, LOGIN.1);
        let is_plain = matches!(self.lines.get_ref(), Wire::Plain(_));
        if is_plain || STANDARD.decode(coded).ok() != Some(expected.into_bytes()) {
            return self.say("535 5.7.8 no");
        }
        LOGIN.0.clone_into(&mut self.user);
        self.say("235 2.7.0 welcome")
    }
}

/// The lines up to a dot alone, dots undoubled.
fn content(lines: &mut impl BufRead) -> io::Result<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
