//! A mail server that speaks SMTP as real ones do, and fails as real ones do: what the notifier is tested against.
//! It keeps what it took, dots undoubled. It deliberately knows no TLS.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let catcher = Self {
            address: listener.local_addr().unwrap(),
            inside: Arc::default(),
        };
        let inside = Arc::clone(&catcher.inside);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, inside) = (stream.unwrap(), Arc::clone(&inside));
                // A client that goes away in the middle ends its thread with an error: that is how it should be.
                std::thread::spawn(move || inside.serve(stream).map(drop));
            }
        });
        catcher
    }

    /// What happens to the next mails, in order; the rest are taken.
    pub fn faults(&self, faults: &[Fault]) {
        *self.inside.faults.lock().unwrap() = faults.iter().copied().collect();
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

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut out = stream.try_clone()?;
        let mut lines = BufReader::new(stream);
        let mut fault = self.next_fault();
        let mut say = move |fault: Fault, text: &str| {
            if let Fault::Slow(ms) = fault {
                std::thread::sleep(Duration::from_millis(ms));
            }
            out.write_all(format!("{text}\r\n").as_bytes())
        };
        if fault == Fault::Busy {
            return say(fault, "421 busy");
        }
        say(fault, "220 catcher ESMTP")?;
        let (mut to, mut is_fresh) = (String::new(), true);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            let verb = line.get(..4).unwrap_or(line).to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => say(fault, "250-catcher\r\n250-8BITMIME\r\n250 SIZE 1000000")?,
                "MAIL" => {
                    if !is_fresh {
                        fault = self.next_fault();
                    }
                    is_fresh = false;
                    say(fault, "250 ok")?;
                }
                "RCPT" => match fault {
                    Fault::Later => say(fault, "450 4.2.0 greylisted")?,
                    Fault::Never => say(fault, "550 5.1.1 no such person")?,
                    _ => {
                        line.trim_start_matches("RCPT TO:<")
                            .trim_end_matches('>')
                            .clone_into(&mut to);
                        say(fault, "250 ok")?;
                    }
                },
                "DATA" => {
                    say(fault, "354 go on")?;
                    if fault == Fault::Cut {
                        return Ok(());
                    }
                    let data = content(&mut lines)?;
                    match fault {
                        Fault::NoContent => say(fault, "554 5.6.0 not like this")?,
                        Fault::Stall => {
                            let mut rest = Vec::new();
                            // Until the client has had enough.
                            std::io::Read::read_to_end(&mut lines, &mut rest)?;
                            return Ok(());
                        }
                        _ => {
                            let to = to.clone();
                            self.taken.lock().unwrap().push(Taken { to, data });
                            self.changed.notify_all();
                            if fault == Fault::Lost {
                                return Ok(());
                            }
                            say(fault, "250 2.0.0 taken")?;
                        }
                    }
                }
                "QUIT" => return say(fault, "221 bye"),
                "RSET" | "NOOP" => say(fault, "250 ok")?,
                _ => say(fault, "502 what?")?,
            }
        }
    }
}

/// The lines up to a dot alone, dots undoubled.
fn content(lines: &mut impl BufRead) -> std::io::Result<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
