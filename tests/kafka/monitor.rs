//! The `varsel` binary as a process: started, asked over HTTP, frozen, hung up on, killed, waited for.
//!
//! What it says goes to a file in the test's folder. Nothing here knows what it ought to say.

use crate::wait::{until, within};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The binary of this build, or the one that `VARSEL_KAFKA_BINARY` names.
fn binary() -> String {
    std::env::var("VARSEL_KAFKA_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_varsel").to_owned())
}

/// A command that came to its end: its exit code (nothing where a signal ended it) and all that it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
}

/// Runs the binary to its end, at most so long.
pub fn command(dir: &Path, words: &[&str], limit: Duration) -> Ended {
    let path = dir.join("command.out");
    let mut child = spawn(dir, words, &path, &[]);
    let status = within(limit, || child.try_wait().unwrap());
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let said = std::fs::read_to_string(&path).unwrap();
    let status =
        status.unwrap_or_else(|| panic!("varsel {words:?} still ran after {limit:?}: {said}"));
    Ended {
        code: status.code(),
        said,
    }
}

fn spawn(dir: &Path, words: &[&str], out: &Path, env: &[(&str, &str)]) -> Child {
    let file = File::options().create(true).append(true).open(out).unwrap();
    let from = file.metadata().unwrap().len();
    if from > 0 && out.extension().is_some_and(|e| e == "out") {
        file.set_len(0).unwrap();
    }
    Command::new(binary())
        .args(words)
        .envs(env.iter().copied())
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap()
}

pub struct Monitor {
    pub name: String,
    child: Child,
    log: PathBuf,
    /// Where this process's words begin in the log.
    from: u64,
    address: Option<SocketAddr>,
}

impl Monitor {
    pub fn start(dir: &Path, config: &Path, name: &str) -> Self {
        Self::start_with(dir, config, name, &[])
    }

    pub fn start_with(dir: &Path, config: &Path, name: &str, env: &[(&str, &str)]) -> Self {
        let log = dir.join(format!("{name}.log"));
        let from = std::fs::metadata(&log).map_or(0, |m| m.len());
        let words = ["run", "--config", config.to_str().unwrap()];
        Self {
            name: name.to_owned(),
            child: spawn(dir, &words, &log, env),
            log,
            from,
            address: None,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What this process has said so far.
    pub fn said(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.from).unwrap().min(bytes.len());
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }

    /// The end of what it has said, without the client's own chatter, for a failure's message.
    pub fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said
            .lines()
            .filter(|l| !l.contains("\"target\":\"kafka\""))
            .collect();
        lines[lines.len().saturating_sub(12)..].join("\n    ")
    }

    /// The HTTP address that it says it listens on; the last, since it may have begun anew.
    fn address(&mut self) -> Option<SocketAddr> {
        if self.address.is_none() {
            let said = self.said();
            let line = said
                .lines()
                .rev()
                .find(|l| l.contains("readyz") && l.contains("127.0.0.1:"))?;
            let tail = line.split("127.0.0.1:").nth(1)?;
            let port: String = tail.chars().take_while(char::is_ascii_digit).collect();
            self.address = Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)));
        }
        self.address
    }

    /// Status and body of an answer; nothing where it does not answer within a second.
    pub fn get(&mut self, path: &str) -> Option<(u16, String)> {
        let address = self.address()?;
        let limit = Duration::from_secs(1);
        let Ok(mut stream) = TcpStream::connect_timeout(&address, limit) else {
            self.address = None;
            return None;
        };
        stream.set_read_timeout(Some(limit)).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: varsel\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    }

    pub fn is_ready(&mut self) -> bool {
        self.get("/readyz").is_some_and(|(status, _)| status == 200)
    }

    /// Waits until `/readyz` says yes; the test fails with its reasons, or where the process ends.
    pub fn wait_ready(&mut self, limit: Duration) {
        let ready = within(limit, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!(
                    "{} ended ({status}) before it was ready: {}",
                    self.name,
                    self.last_words()
                );
            }
            self.is_ready().then_some(())
        });
        if ready.is_none() {
            let answer = self.get("/readyz");
            panic!(
                "{} is not ready after {limit:?}: {answer:?}\n{}",
                self.name,
                self.last_words()
            );
        }
    }

    /// Metrics by name and labels, as they are written.
    pub fn metrics(&mut self) -> BTreeMap<String, f64> {
        let (_, text) = until("an answer of /metrics", Duration::from_secs(10), || {
            self.get("/metrics")
        });
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        rows.filter_map(|row| {
            let (name, value) = row.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
    }

    /// The sum of a metric over all its labels, or over those that contain `label`.
    pub fn metric(&mut self, name: &str, label: &str) -> f64 {
        let metrics = self.metrics();
        let rows = metrics.iter().filter(|(row, _)| {
            let bare = row.split('{').next().unwrap();
            bare == name && row.contains(label)
        });
        rows.map(|(_, value)| value).sum()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .unwrap();
        assert!(
            sent.success(),
            "SIG{name} could not be sent to {}",
            self.name
        );
    }

    pub fn freeze(&self) {
        self.signal("STOP");
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGKILL; false where the process had ended before by itself.
    pub fn kill(mut self) -> bool {
        let alive = self.child.try_wait().unwrap().is_none();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        alive
    }

    pub fn has_ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().unwrap()?;
        Some(Ended {
            code: status.code(),
            said: self.said(),
        })
    }

    /// Waits for its end.
    pub fn wait_end(&mut self, limit: Duration) -> Ended {
        let ended = within(limit, || self.has_ended());
        ended.unwrap_or_else(|| {
            panic!(
                "{} still runs after {limit:?}: {}",
                self.name,
                self.last_words()
            )
        })
    }

    /// SIGTERM, and its end in good order.
    pub fn finish(mut self) {
        self.terminate();
        let ended = self.wait_end(Duration::from_secs(15));
        assert_eq!(
            ended.code,
            Some(0),
            "{} after SIGTERM: {}",
            self.name,
            ended.said
        );
    }

    /// Memory in RAM, in bytes.
    pub fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmRSS"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }

    /// Processor time used so far, user and system.
    pub fn cpu(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.pid());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let after = text.rsplit(')').next().unwrap_or_default();
        let fields: Vec<u64> = after
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse().ok())
            .collect();
        // Linux counts these in hundredths of a second.
        Duration::from_millis(fields.iter().sum::<u64>() * 10)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
