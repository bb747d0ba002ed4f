//! Scoring beside a mail server that is out: `cargo bench --bench outage -- [--rate N] [--seconds N] [--rounds N]`.
//!
//! The monitor, with the embedded broker, runs in this process: intake, scoring, and a notifier that has no mail to send,
//! a mail server that takes it, or one that is connected to and says nothing. Payments are sent when they are due, and a
//! decision counts from its payment's due moment to when it can be read. One in fifty raises an alert with its second.
#![allow(missing_docs, reason = "a benchmark is nobody's interface")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on ends, and says what it measured"
)]

#[path = "machine.rs"]
mod machine;

use hdrhistogram::Histogram;
use machine::{Table, option, parted};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use varsel::clock::{Stopwatch, now_ms};
use varsel::config::{Config, Mail, Place, Role, Route, Security, Store as Kept};
use varsel::domain::time::write_rfc3339;
use varsel::geo::Geo;
use varsel::live::{self, Parts, Signals};
use varsel::rulebook;
use varsel::store::{Store, alerts, outbox};
use varsel::stream::embedded::Embedded;
use varsel::stream::follow::Follower;
use varsel::stream::send::{Parcel, Sender};
use varsel::stream::tickets::Ticket;
use varsel::telemetry::{Metrics, Readiness};

/// One in so many payments is one of the two declined transfers that raise an alert.
const TRANSFERS: u64 = 50;
const PEOPLE: u64 = 10_000;
/// What comes before and after the measurement must be done within this.
const PATIENCE: Duration = Duration::from_secs(120);
const LONGEST_US: u64 = 600_000_000;

/// The mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Post {
    /// Nobody is told.
    Nobody,
    /// It takes all mail.
    Well,
    /// It takes connections and says nothing.
    Out,
}

impl Post {
    pub const ALL: [Self; 3] = [Self::Nobody, Self::Well, Self::Out];

    fn words(self) -> &'static str {
        match self {
            Self::Nobody => "no notifier",
            Self::Well => "mail is taken",
            Self::Out => "the mail server says nothing",
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub post: Post,
    pub rate: u64,
    pub seconds: u64,
    /// Seconds before that are not counted.
    pub warm: u64,
}

/// What it gave.
#[derive(Debug)]
pub struct Measured {
    pub size: Size,
    /// From the due moment of a payment to when its decision can be read, in microseconds.
    pub seen: Histogram<u64>,
    pub alerts: i64,
    /// Mails that were taken.
    pub sent: u64,
    /// Mails that wait in the store at the end.
    pub queued: i64,
    /// How late the sender itself was at worst.
    pub behind: Duration,
}

/// A mail server; its threads end with the process.
fn mail_server(post: Post) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(AtomicU64::new(0));
    let (count, silent) = (Arc::clone(&taken), Mutex::new(Vec::new()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if post == Post::Out {
                silent.lock().unwrap().push(stream);
            } else {
                let count = Arc::clone(&count);
                std::thread::spawn(move || take(stream, &count).map(drop));
            }
        }
    });
    (port, taken)
}

fn take(stream: TcpStream, taken: &AtomicU64) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    out.write_all(b"220 here\r\n")?;
    let mut is_content = false;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if is_content && line != "." {
            continue;
        }
        let answer: &[u8] = if is_content {
            taken.fetch_add(1, Ordering::Relaxed);
            b"250 taken\r\n"
        } else if line == "DATA" {
            b"354 go on\r\n"
        } else {
            b"250 ok\r\n"
        };
        is_content = line == "DATA";
        out.write_all(answer)?;
    }
    Ok(())
}

/// A payment in the bank's shape; those who transfer are none of those who shop.
fn payment(number: u64, at_ms: i64) -> String {
    let transfers = number % TRANSFERS == TRANSFERS - 1;
    let (person, mcc, amount, response, balance) = if transfers {
        (
            PEOPLE + number / TRANSFERS / 2,
            "4829",
            450_000,
            "51",
            1_200,
        )
    } else {
        (
            number.wrapping_mul(2_654_435_761) % PEOPLE,
            "5411",
            12_550,
            "00",
            900_000,
        )
    };
    let mut at = Vec::new();
    write_rfc3339(&mut at, at_ms);
    serde_json::json!({
        "type": "authorization", "id": format!("o-{number}"), "at": String::from_utf8(at).unwrap(),
        "card": format!("c-{person}"), "cardholder": format!("p-{person}"), "amount_minor": amount, "currency": "DKK",
        "mcc": mcc, "merchant": {"id": format!("m-{}", person % 500), "name": "Some shop", "country": "DK"},
        "channel": "ecommerce", "security": "3ds", "response_code": response, "available_balance_minor": balance,
        "acs_trans_id": format!("a-{number}"), "eci": "05",
    })
    .to_string()
}

/// The number of a payment, out of its decision's line.
fn number(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let rest = text.split("\"event\":\"o-").nth(1)?;
    rest.split('"').next()?.parse().ok()
}

struct Ground {
    config: Arc<Config>,
    signals: Signals,
    taken: Arc<AtomicU64>,
    dir: PathBuf,
    _broker: Embedded,
}

impl Ground {
    fn new(post: Post) -> Self {
        let (broker, mut config) = Embedded::start().unwrap();
        let dir =
            std::env::temp_dir().join(format!("varsel-outage-{}-{}", std::process::id(), now_ms()));
        config.checkpoint.place = Place::Folder(dir.join("state"));
        config.http.listen = "127.0.0.1:0".parse().unwrap();
        config.store = Kept::File(dir.join("varsel.db"));
        let (port, taken) = mail_server(post);
        if post != Post::Nobody {
            config.run.roles.insert(Role::Notify);
            let mut route = Route::new("team", vec!["fraud@bank.example".parse().unwrap()]);
            (route.group_wait, route.burst) = (Duration::ZERO, 100);
            route.group_interval = Duration::from_secs(1);
            config.notify.routes = vec![route];
            config.notify.mail = Some(Mail {
                host: "127.0.0.1".to_owned(),
                port,
                security: Security::Plain,
                ca_file: None,
                from: "varsel@bank.example".parse().unwrap(),
                login: None,
                timeout: Duration::from_secs(30),
            });
        }
        Self {
            config: Arc::new(config),
            signals: Signals::default(),
            taken,
            dir,
            _broker: broker,
        }
    }

    /// The monitor's thread, once it is ready.
    fn monitor(&self) -> std::thread::JoinHandle<()> {
        let readiness = Arc::new(Readiness::new(&["started"]));
        let parts = Parts {
            config: Arc::clone(&self.config),
            rules: None,
            loaded: rulebook::embedded().unwrap(),
            geo: Geo::embedded().unwrap(),
            metrics: Arc::new(Metrics::default()),
            readiness: Arc::clone(&readiness),
            more: axum::Router::new(),
        };
        let told = self.signals.clone();
        let monitor = std::thread::spawn(move || live::run(parts, &told).unwrap());
        let watch = Stopwatch::start();
        while !readiness.reasons().is_empty() {
            assert!(watch.elapsed() < PATIENCE, "{:?}", readiness.reasons());
            std::thread::sleep(Duration::from_millis(10));
        }
        monitor
    }

    /// Sends each payment when it is due; how late it was at worst.
    fn send(&self, size: Size, watch: Stopwatch) -> Duration {
        let sender = Sender::new(&self.config, &Arc::new(Metrics::default())).unwrap();
        let (ticket, mut behind) = (Ticket::open(), Duration::ZERO);
        let begun_ms = now_ms();
        for event in 0..size.rate * (size.warm + size.seconds) {
            let due = due(event, size.rate);
            match due.checked_sub(watch.elapsed()) {
                Some(early) => std::thread::sleep(early),
                None => behind = behind.max(watch.elapsed() - due),
            }
            let at_ms = begun_ms + i64::try_from(due.as_millis()).unwrap();
            let line = payment(event, at_ms);
            let parcel = Parcel {
                topic: &self.config.topics.sources[0],
                partition: Some(0),
                key: b"",
                value: line.as_bytes(),
                headers: None,
            };
            sender.send(parcel, &ticket).unwrap();
        }
        ticket.settle();
        assert!(sender.wait(&ticket, PATIENCE).unwrap());
        behind
    }

    /// Waits until the notifier has taken in all alerts and, where it can, sent all mails: alerts, and mails that wait.
    fn told(&self, size: Size) -> (i64, i64) {
        if size.post == Post::Nobody {
            return (0, 0);
        }
        let expected =
            i64::try_from(size.rate * (size.warm + size.seconds) / TRANSFERS / 2).unwrap();
        let mut store = Store::open(&self.config.store).unwrap();
        let watch = Stopwatch::start();
        loop {
            let (alerts, _) = store.commit(alerts::count).unwrap();
            let now = now_ms();
            let standing = store.commit(|tx| outbox::standing(tx, now, 0)).unwrap();
            let is_told = standing.waiting == 0 && (standing.queued == 0 || size.post == Post::Out);
            if alerts >= expected && is_told {
                return (alerts, standing.queued);
            }
            assert!(
                watch.elapsed() < PATIENCE,
                "{alerts} of {expected}: {standing:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Follows the decisions until as many were seen as payments were sent.
fn follow(size: Size, watch: Stopwatch, follower: &mut Follower) -> Histogram<u64> {
    let mut seen = Histogram::new_with_bounds(1, LONGEST_US, 3).unwrap();
    let (mut left, mut quiet) = (size.rate * (size.warm + size.seconds), Stopwatch::start());
    while left > 0 {
        assert!(quiet.elapsed() < PATIENCE, "{left} decisions are missing");
        let Some(record) = follower.poll(Duration::from_millis(100)).unwrap() else {
            continue;
        };
        let now = watch.elapsed();
        let event = number(&record.value).unwrap();
        (left, quiet) = (left - 1, Stopwatch::start());
        if event / size.rate >= size.warm {
            let after = now.saturating_sub(due(event, size.rate));
            seen.saturating_record(u64::try_from(after.as_micros()).unwrap());
        }
    }
    seen
}

fn due(event: u64, rate: u64) -> Duration {
    Duration::from_micros(event * 1_000_000 / rate)
}

/// Measures one load beside one mail server.
pub fn run(size: Size) -> Measured {
    let ground = Ground::new(size.post);
    let monitor = ground.monitor();
    let topics = [ground.config.topics.decisions.as_str()];
    let mut follower = Follower::open(&ground.config, &topics, &BTreeMap::new()).unwrap();
    let watch = Stopwatch::start();
    let (seen, behind) = std::thread::scope(|threads| {
        let followed = threads.spawn(|| follow(size, watch, &mut follower));
        let behind = ground.send(size, watch);
        (followed.join().unwrap(), behind)
    });
    let (alerts, queued) = ground.told(size);
    ground.signals.stop.store(true, Ordering::Relaxed);
    monitor.join().unwrap();
    let _ = std::fs::remove_dir_all(&ground.dir);
    Measured {
        size,
        seen,
        alerts,
        sent: ground.taken.load(Ordering::Relaxed),
        queued,
        behind,
    }
}

/// A row for each measurement.
pub fn table(measured: &[Measured]) -> Table {
    let head = [
        "beside",
        "decisions",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "worst",
        "alerts",
        "mails sent",
        "mails waiting",
    ];
    let title = "From a payment's due moment to where its decision can be read";
    let mut table = Table::new(title, &head);
    for m in measured {
        let at = |micros: u64| format!("{:.2} ms", micros as f64 / 1_000.0);
        table.row(&[
            &m.size.post.words(),
            &parted(m.seen.len()),
            &at(m.seen.value_at_quantile(0.5)),
            &at(m.seen.value_at_quantile(0.9)),
            &at(m.seen.value_at_quantile(0.99)),
            &at(m.seen.value_at_quantile(0.999)),
            &at(m.seen.max()),
            &m.alerts,
            &m.sent,
            &m.queued,
        ]);
        table.remark(format!(
            "{}, {} payments a second: the sender itself was at worst {:.1} ms behind",
            m.size.post.words(),
            parted(m.size.rate),
            m.behind.as_secs_f64() * 1e3
        ));
    }
    table
}

#[allow(dead_code, reason = "the tests run the benchmark, not its program")]
fn main() {
    println!("{}", machine::describe());
    let rounds = option("--rounds").unwrap_or(2);
    let mut measured = Vec::new();
    // In turn, so that what the machine does besides falls on all alike.
    for _ in 0..rounds {
        for post in Post::ALL {
            measured.push(run(Size {
                post,
                rate: option("--rate").unwrap_or(2_000),
                seconds: option("--seconds").unwrap_or(30),
                warm: 5,
            }));
        }
    }
    println!("{}", table(&measured));
}
