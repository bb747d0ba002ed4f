//! The demo's mailbox: a mail server in the process that keeps what it is sent, and a page that shows it.
//!
//! It speaks as much SMTP as our own notifier does, on this machine only; it delivers nothing to anybody.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Mails kept; the oldest gives way.
const KEPT: usize = 200;
/// The most bytes of one mail and of one line.
const MAX_BYTES: u64 = 1024 * 1024;

/// A mail that came.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mail {
    to: String,
    subject: String,
    text: String,
}

/// The mailbox; its threads end with the process.
#[derive(Debug, Clone)]
pub struct Mails {
    /// Where it takes mail.
    pub address: SocketAddr,
    kept: Arc<Mutex<VecDeque<Mail>>>,
}

impl Mails {
    /// Opens the mailbox on a free port of this machine.
    ///
    /// # Errors
    /// Where the system has no port or thread for it.
    pub fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mails = Self {
            address: listener.local_addr()?,
            kept: Arc::default(),
        };
        let inside = mails.clone();
        std::thread::Builder::new()
            .name("mailbox".to_owned())
            .spawn(move || {
                // One after another: the notifier has one connection.
                for stream in listener.incoming().flatten() {
                    if let Err(error) = inside.serve(stream) {
                        tracing::debug!(%error, "a connection to the mailbox ended");
                    }
                }
            })?;
        Ok(mails)
    }

    /// The page of mails.
    pub fn router(&self) -> Router {
        let mails = self.clone();
        Router::new().route("/demo/mails", get(async move || mails.page()))
    }

    /// How many came, those that gave way left out.
    pub fn count(&self) -> usize {
        self.locked().len()
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<Mail>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self) -> Response {
        let mut page = String::from(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>The demo's mails</title></head>\n\
             <body><h1>The demo's mails, the newest first</h1>\n",
        );
        for mail in self.locked().iter().rev() {
            let (subject, to, text) = (
                escaped(&mail.subject),
                escaped(&mail.to),
                escaped(&mail.text),
            );
            let _ = writeln!(
                page,
                "<h2>{subject}</h2>\n<p>to {to}</p>\n<pre>{text}</pre>"
            );
        }
        page.push_str("</body></html>\n");
        let headers = [
            (CONTENT_SECURITY_POLICY, "default-src 'none'"),
            (CACHE_CONTROL, "no-store"),
        ];
        (headers, Html(page)).into_response()
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut out = stream.try_clone()?;
        let mut lines = BufReader::new(stream);
        let mut say = move |text: &str| out.write_all(format!("{text}\r\n").as_bytes());
        say("220 the demo's mailbox")?;
        let mut to = String::new();
        loop {
            let line = line(&mut lines)?;
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => say("250-demo\r\n250 8BITMIME")?,
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1);
                    address.unwrap_or_default().clone_into(&mut to);
                    say("250 ok")?;
                }
                "DATA" => {
                    say("354 go on")?;
                    let data = content(&mut lines)?;
                    self.keep(read(&to, &data));
                    say("250 taken")?;
                }
                "QUIT" => return say("221 bye"),
                _ => say("250 ok")?,
            }
        }
    }

    fn keep(&self, mail: Mail) {
        let mut kept = self.locked();
        kept.push_back(mail);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
}

fn line(lines: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if lines.by_ref().take(MAX_BYTES).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

/// The lines up to a dot alone, dots undoubled.
fn content(lines: &mut impl BufRead) -> io::Result<String> {
    let mut data = String::new();
    while u64::try_from(data.len()).unwrap_or(u64::MAX) < MAX_BYTES {
        let line = line(lines)?;
        if line == ".\r\n" {
            return Ok(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
    Err(io::ErrorKind::FileTooLarge.into())
}

/// Subject and plain text of a mail of ours.
fn read(to: &str, data: &str) -> Mail {
    let (head, body) = data.split_once("\r\n\r\n").unwrap_or((data, ""));
    let head = head.replace("\r\n ", " ");
    let subject = head.lines().find_map(|line| line.strip_prefix("Subject: "));
    let part = body.split("\r\n--").next().unwrap_or_default();
    let (about, text) = part.split_once("\r\n\r\n").unwrap_or(("", part));
    let text = if about.contains("quoted-printable") {
        unquoted(text)
    } else {
        text.to_owned()
    };
    Mail {
        to: to.to_owned(),
        subject: subject.unwrap_or_default().to_owned(),
        text,
    }
}

/// Quoted-printable undone (RFC 2045, 6.7).
fn unquoted(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut pieces = joined.split('=');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let coded = piece
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (coded, piece.get(2..)) {
            (Some(byte), Some(rest)) => {
                bytes.push(byte);
                bytes.extend_from_slice(rest.as_bytes());
            }
            _ => bytes.extend_from_slice(piece.as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_shown_as_text_with_its_markup_made_harmless() {
        let data = "Subject: A\r\n case\r\nX: y\r\n\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
                    <b>=C3=A5=\r\n</b> =3D\r\n--b\r\nContent-Type: text/html\r\n\r\nx";
        let mail = read("a@b.example", data);
        assert_eq!(
            (mail.subject.as_str(), mail.text.as_str()),
            ("A case", "<b>å</b> =")
        );
        assert_eq!(escaped(&mail.text), "&lt;b&gt;å&lt;/b&gt; =");
    }
}
