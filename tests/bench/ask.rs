//! Loads the risk API: `cargo bench --bench ask -- [--rate N] [--seconds N] [--connections N] [--ingest N] [--cards N]`.
//!
//! An open loop: requests are due on an absolute schedule, and a latency counts from the due moment (response time) and
//! from the sending (service time). Without `--rate` it asks as fast as the connections allow. The monitor, with the
//! embedded broker, runs in this process; the time of its HTTP thread is told apart. It changes nothing but the log.
#![allow(missing_docs, reason = "a benchmark is nobody's interface")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on ends, and says what it measured"
)]

#[path = "machine.rs"]
mod machine;
#[path = "population.rs"]
mod population;

use hdrhistogram::Histogram;
use machine::{Table, option, parted};
use population::Population;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use varsel::clock::Stopwatch;
use varsel::config::{Config, Place};
use varsel::geo::Geo;
use varsel::live::{self, Parts, Signals};
use varsel::rulebook;
use varsel::stream::embedded::Embedded;
use varsel::stream::send::{Parcel, Sender};
use varsel::stream::tickets::Ticket;
use varsel::telemetry::{Metrics, Readiness};

/// Types of the events of each source, in the order of the configuration.
const SOURCES: [&[&str]; 5] = [
    &["authorization"],
    &["threeds", "otp"],
    &["eid"],
    &["card", "enrolment"],
    &["disposition", "hold"],
];
/// The embedded broker keeps little: the feed is at most so many events ahead.
const AHEAD: u64 = 10_000;
/// The longest latency that is told apart: a minute.
const LONGEST_NS: u64 = 60_000_000_000;
/// Questions that are asked in turn.
const QUESTIONS: usize = 4_096;
/// What comes before the measurement must be done within this.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub cards: u32,
    /// Events that come before anything is asked.
    pub before: u64,
    /// Requests a second; nothing: as fast as the connections allow.
    pub rate: Option<u64>,
    pub seconds: u64,
    pub connections: u64,
    /// Events a second that come in meanwhile.
    pub ingest: u64,
}

/// What it gave.
#[derive(Debug)]
pub struct Measured {
    pub size: Size,
    /// From the due moment, in nanoseconds.
    pub response: Histogram<u64>,
    /// From the sending.
    pub service: Histogram<u64>,
    /// Answers that were not 200.
    pub errors: u64,
    /// Processor time of the HTTP thread.
    pub served: Duration,
    pub took: Duration,
    /// Events that came in meanwhile.
    pub events: u64,
}

/// A monitor with the embedded broker.
struct Ground {
    config: Arc<Config>,
    sender: Sender,
    metrics: Arc<Metrics>,
    signals: Signals,
    dir: std::path::PathBuf,
    sent: AtomicU64,
}

impl Ground {
    /// The monitor's thread and the broker besides.
    fn new() -> (Self, std::thread::JoinHandle<()>, Embedded) {
        let (broker, mut config) = Embedded::start().unwrap();
        let dir = std::env::temp_dir().join(format!("varsel-ask-{}", std::process::id()));
        config.checkpoint.place = Place::Folder(dir.clone());
        config.http.listen = "127.0.0.1:0".parse().unwrap();
        let config = Arc::new(config);
        let metrics = Arc::new(Metrics::default());
        let signals = Signals::default();
        let parts = Parts {
            config: Arc::clone(&config),
            rules: None,
            loaded: rulebook::embedded().unwrap(),
            geo: Geo::embedded().unwrap(),
            metrics: Arc::clone(&metrics),
            readiness: Arc::new(Readiness::new(&[])),
            more: axum::Router::new(),
        };
        let told = signals.clone();
        let monitor = std::thread::spawn(move || live::run(parts, &told).unwrap());
        let ground = Self {
            sender: Sender::new(&config, &Arc::new(Metrics::default())).unwrap(),
            config,
            metrics,
            signals,
            dir,
            sent: AtomicU64::new(0),
        };
        (ground, monitor, broker)
    }

    fn address(&self) -> SocketAddr {
        loop {
            match self.signals.address.get() {
                Some(address) => return *address,
                None => std::thread::yield_now(),
            }
        }
    }

    fn done(&self) -> u64 {
        self.metrics
            .events_done()
            .saturating_sub(self.metrics.steps_taken())
    }

    fn until_done(&self) {
        let watch = Stopwatch::start();
        while self.done() < self.sent.load(Ordering::Relaxed) {
            assert!(watch.elapsed() < PATIENCE, "{} events done", self.done());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Feeds a line, once the scoring has come near.
    fn feed(&self, line: &[u8]) {
        let sent = self.sent.load(Ordering::Relaxed);
        if sent.is_multiple_of(256) {
            while self.done() + AHEAD < sent {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        let text = std::str::from_utf8(line).unwrap();
        let kind = text
            .split("\"type\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let kind = kind.unwrap_or_default();
        let source = SOURCES
            .iter()
            .position(|types| types.contains(&kind))
            .unwrap_or(0);
        let parcel = Parcel {
            topic: &self.config.topics.sources[source],
            partition: Some(0),
            key: b"",
            value: line.trim_ascii_end(),
            headers: None,
        };
        self.sender.send(parcel, &Ticket::open()).unwrap();
        self.sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request for each of some authorizations, as they go over the wire.
fn questions(population: &mut Population, ground: &Ground, before: u64) -> Vec<Vec<u8>> {
    let mut asked = Vec::new();
    let mut line = Vec::new();
    for _ in 0..before {
        line.clear();
        population.line(&mut line);
        ground.feed(&line);
        let text = std::str::from_utf8(&line).unwrap();
        let is_payment = text.contains("\"type\":\"authorization\"") && !text.contains("\"kind\"");
        if is_payment {
            let mut event: serde_json::Value = serde_json::from_str(text).unwrap();
            event.as_object_mut().unwrap().remove("response_code");
            event["id"] = format!("q-{}", asked.len()).into();
            let body = event.to_string();
            let head = format!(
                "POST /v1/assessments HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            asked.push((head + &body).into_bytes());
        }
    }
    // The newest are those that the state knows best.
    let skip = asked.len().saturating_sub(QUESTIONS);
    asked.split_off(skip)
}

/// One connection, kept.
struct Line {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Line {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Self {
            stream,
            answer: Vec::with_capacity(16_384),
        }
    }

    /// Asks and reads the whole answer; true where it is a 200.
    fn ask(&mut self, request: &[u8]) -> bool {
        if self.stream.write_all(request).is_err() {
            return false;
        }
        self.answer.clear();
        let mut piece = [0; 8_192];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) | Err(_) => return false,
                Ok(count) => self.answer.extend_from_slice(&piece[..count]),
            }
            if let Some(length) = whole(&self.answer)
                && self.answer.len() >= length
            {
                return self.answer.starts_with(b"HTTP/1.1 200");
            }
        }
    }
}

/// How long the answer is, once its head has come.
fn whole(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).ok()?;
    let length = text.split("content-length: ").nth(1)?.split('\r').next()?;
    Some(head + length.parse::<usize>().ok()?)
}

/// Processor time of the thread that serves HTTP.
fn http_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    for task in tasks.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.trim() == "http" {
            let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let ns = stat.split(' ').next().and_then(|ns| ns.parse().ok());
            return Duration::from_nanos(ns.unwrap_or(0));
        }
    }
    Duration::ZERO
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(LONGEST_NS)
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).unwrap()
}

/// What one connection saw.
struct Seen {
    response: Histogram<u64>,
    service: Histogram<u64>,
    errors: u64,
}

fn asks(
    size: Size,
    number: u64,
    address: SocketAddr,
    requests: &[Vec<u8>],
    watch: Stopwatch,
) -> Seen {
    let mut line = Line::new(address);
    let mut seen = Seen {
        response: empty(),
        service: empty(),
        errors: 0,
    };
    let end = Duration::from_secs(size.seconds);
    for turn in 0.. {
        let request = turn * size.connections + number;
        let due = size
            .rate
            .map(|rate| Duration::from_nanos(request * 1_000_000_000 / rate));
        if due.unwrap_or_else(|| watch.elapsed()) >= end {
            break;
        }
        if let Some(early) = due.and_then(|due| due.checked_sub(watch.elapsed())) {
            std::thread::sleep(early);
        }
        let body = &requests[usize::try_from(request).unwrap() % requests.len()];
        let sent = watch.elapsed();
        if !line.ask(body) {
            seen.errors += 1;
            line = Line::new(address);
        }
        let now = watch.elapsed();
        seen.service.saturating_record(nanos(now - sent));
        seen.response
            .saturating_record(nanos(now.saturating_sub(due.unwrap_or(sent))));
    }
    seen
}

/// Measures one load.
pub fn run(size: Size) -> Measured {
    let (ground, monitor, _broker) = Ground::new();
    let mut population = Population::new(size.cards, 1, true);
    let requests = questions(&mut population, &ground, size.before);
    ground.until_done();
    let address = ground.address();
    let over = AtomicBool::new(false);
    let (cpu, events) = (http_cpu(), ground.done());
    let watch = Stopwatch::start();
    let mut measured = Measured {
        size,
        response: empty(),
        service: empty(),
        errors: 0,
        served: Duration::ZERO,
        took: Duration::ZERO,
        events: 0,
    };
    std::thread::scope(|scope| {
        scope.spawn(|| ingests(&ground, &mut population, size.ingest, &over));
        let requests = &requests;
        let lines: Vec<_> = (0..size.connections)
            .map(|number| scope.spawn(move || asks(size, number, address, requests, watch)))
            .collect();
        for line in lines {
            let seen = line.join().unwrap();
            measured.response.add(seen.response).unwrap();
            measured.service.add(seen.service).unwrap();
            measured.errors += seen.errors;
        }
        measured.took = watch.elapsed();
        over.store(true, Ordering::Relaxed);
    });
    measured.served = http_cpu() - cpu;
    measured.events = ground.done() - events;
    ground.signals.stop.store(true, Ordering::Relaxed);
    monitor.join().unwrap();
    let _ = std::fs::remove_dir_all(&ground.dir);
    measured
}

/// Feeds so many events a second until it is over.
fn ingests(ground: &Ground, population: &mut Population, rate: u64, over: &AtomicBool) {
    let watch = Stopwatch::start();
    let mut line = Vec::new();
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) {
        let due = u64::try_from(watch.elapsed().as_micros()).unwrap() * rate / 1_000_000;
        while sent < due && !over.load(Ordering::Relaxed) {
            line.clear();
            population.line(&mut line);
            ground.feed(&line);
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A row for each load.
pub fn table(measured: &[Measured]) -> Table {
    let head = [
        "asked for",
        "requests/s",
        "time",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "worst",
        "errors",
        "a core's requests/s",
        "events/s beside",
    ];
    let mut table = Table::new("Risk queries over HTTP", &head);
    for m in measured {
        let seconds = m.took.as_secs_f64();
        let asked = m.size.rate.map_or("all it takes".to_owned(), parted);
        let count = m.response.len();
        for (what, seen) in [("response", &m.response), ("service", &m.service)] {
            let at = |quantile| micros(seen.value_at_quantile(quantile));
            table.row(&[
                &asked,
                &format!("{:.0}", count as f64 / seconds),
                &what,
                &at(0.5),
                &at(0.9),
                &at(0.99),
                &at(0.999),
                &micros(seen.max()),
                &m.errors,
                &format!("{:.0}", count as f64 / m.served.as_secs_f64().max(1e-9)),
                &format!("{:.0}", m.events as f64 / seconds),
            ]);
        }
    }
    table.remark("response: from the due moment; service: from the sending; client, broker and monitor on the same cores");
    table
}

fn micros(ns: u64) -> String {
    format!("{:.0} µs", ns as f64 / 1_000.0)
}

#[allow(dead_code, reason = "the tests take the parts and not the program")]
#[allow(clippy::cast_possible_truncation, reason = "a small number of options")]
fn main() {
    println!("{}", machine::describe());
    let size = Size {
        cards: option("--cards").unwrap_or(100_000) as u32,
        before: option("--before").unwrap_or(300_000),
        rate: option("--rate"),
        seconds: option("--seconds").unwrap_or(30),
        connections: option("--connections").unwrap_or(8),
        ingest: option("--ingest").unwrap_or(0),
    };
    println!("{}", table(&[run(size)]));
}
