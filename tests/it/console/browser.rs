//! A browser as far as the console can tell: it keeps cookies, finds the token in a page, sends forms, and says from
//! where. It runs no script; that is for `tests/browser`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    /// A header by its name in small letters; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// Where it sends the browser.
    pub fn leads_to(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text);
        self.header("location")
    }

    /// The token of its forms.
    pub fn csrf(&self) -> String {
        let (_, rest) = self
            .text
            .split_once("name=\"csrf\" value=\"")
            .unwrap_or_else(|| panic!("no form in {}", self.text));
        rest.split('"').next().unwrap().to_owned()
    }
}

/// A browser.
#[derive(Debug, Clone)]
pub struct Browser {
    address: SocketAddr,
    pub cookies: BTreeMap<String, String>,
    /// Headers besides, by name.
    pub says: Vec<(&'static str, String)>,
}

impl Browser {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            cookies: BTreeMap::new(),
            says: vec![("sec-fetch-site", "same-origin".to_owned())],
        }
    }

    /// The same, saying something else of where its requests come from.
    pub fn saying(&self, says: &[(&'static str, &str)]) -> Self {
        let mut other = self.clone();
        other.says = says
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        other
    }

    fn head(&self, method: &str, path: &str) -> String {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if !cookies.is_empty() {
            head += &format!("cookie: {}\r\n", cookies.join("; "));
        }
        for (name, value) in &self.says {
            head += &format!("{name}: {value}\r\n");
        }
        head
    }

    fn send(&mut self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        // A server that never answers must fail the test, not stop it.
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).unwrap();
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        for (_, cookie) in headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Answer {
            status: status.parse().unwrap(),
            headers,
            text: text.to_owned(),
        }
    }

    pub fn get(&mut self, path: &str) -> Answer {
        let head = self.head("GET", path);
        self.send(&format!("{head}connection: close\r\n\r\n"))
    }

    /// Sends a form as it is.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let body = body.join("&");
        let head = self.head("POST", path);
        self.send(&format!(
            "{head}connection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Sends a form with the token of this browser's pages.
    pub fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.get("/console/queue").csrf();
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend_from_slice(fields);
        self.post(path, &all)
    }

    /// Logs in; the answer as it came.
    pub fn try_log_in(&mut self, name: &str, password: &str) -> Answer {
        let csrf = self.get("/console/log-in").csrf();
        let fields = [
            ("csrf", csrf.as_str()),
            ("name", name),
            ("password", password),
        ];
        self.post("/console/log-in", &fields)
    }

    /// Comes to a page by way of another site: strict cookies stay behind, what the answer sets is kept.
    pub fn come(&mut self, path: &str) -> Answer {
        let mut sent = self.saying(&[("sec-fetch-site", "cross-site")]);
        sent.cookies.retain(|name, _| name.ends_with("-trip"));
        let answer = sent.get(path);
        self.cookies.retain(|name, _| !name.ends_with("-trip"));
        self.cookies.extend(sent.cookies);
        answer
    }

    /// Listens to the news.
    pub fn listen(&self) -> Listening {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).unwrap();
        let head = self.head("GET", "/console/events");
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        let mut status = String::new();
        lines.read_line(&mut status).unwrap();
        Listening {
            status: status.split(' ').nth(1).unwrap().parse().unwrap(),
            lines,
        }
    }
}

/// A stream of news.
pub struct Listening {
    pub status: u16,
    lines: BufReader<TcpStream>,
}

impl Listening {
    /// The next event's name and data; nothing where the stream has ended.
    pub fn next(&mut self) -> Option<(String, String)> {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(found) = line.strip_prefix("event: ") {
                found.trim_end().clone_into(&mut name);
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, data.trim_end().to_owned()));
            }
            // The last chunk of a body that has ended.
            if line == "0\r\n" {
                return None;
            }
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
