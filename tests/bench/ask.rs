//! Loads the risk API: `cargo bench --bench ask -- [--rate N] [--seconds N] [--connections N] [--ingest N] [--cards N]
//! [--pin]`.
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
use rustix::event::{PollFd, PollFlags};
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
use varsel::stream::client;
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
    /// Whether client and HTTP thread have a core of their own, and all the rest the other.
    pub pin: bool,
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
        // Broker and feed stand for other machines: they take no core before what is measured.
        for (name, thread) in threads() {
            if name == "rdk:mock" {
                rustix::process::setpriority_process(Some(thread), 10).unwrap();
            }
        }
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

/// One connection, kept, with the question that it carries.
struct Line {
    stream: TcpStream,
    answer: Vec<u8>,
    due: Duration,
    sent: Duration,
}

impl Line {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self {
            stream,
            answer: Vec::with_capacity(16_384),
            due: Duration::ZERO,
            sent: Duration::ZERO,
        }
    }

    /// Asks; false where the question did not go out whole.
    fn ask(&mut self, request: &[u8], due: Duration, now: Duration) -> bool {
        (self.due, self.sent) = (due, now);
        self.answer.clear();
        matches!(self.stream.write(request), Ok(count) if count == request.len())
    }

    /// Reads what has come: once the answer is whole, whether it is a 200.
    fn hear(&mut self) -> Option<bool> {
        let mut piece = [0; 8_192];
        match self.stream.read(&mut piece) {
            Ok(0) => return Some(false),
            Ok(count) => self.answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
            Err(_) => return Some(false),
        }
        let length = whole(&self.answer)?;
        (self.answer.len() >= length).then(|| self.answer.starts_with(b"HTTP/1.1 200"))
    }
}

/// How long the answer is, once its head has come.
fn whole(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).ok()?;
    let length = text.split("content-length: ").nth(1)?.split('\r').next()?;
    Some(head + length.parse::<usize>().ok()?)
}

/// The threads of this process, by name.
fn threads() -> Vec<(String, rustix::process::Pid)> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let named = tasks.flatten().filter_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let number = task.file_name().to_str()?.parse().ok()?;
        let thread = rustix::process::Pid::from_raw(number)?;
        Some((name.trim().to_owned(), thread))
    });
    named.collect()
}

fn is_http((name, _): &(String, rustix::process::Pid)) -> bool {
    name == "http"
}

/// Processor time of the thread that serves HTTP.
fn http_cpu() -> Duration {
    let thread = threads().into_iter().find(is_http);
    let stat = thread.and_then(|(_, thread)| {
        let path = format!("/proc/self/task/{}/schedstat", thread.as_raw_nonzero());
        std::fs::read_to_string(path).ok()
    });
    let ns = stat.and_then(|stat| stat.split(' ').next()?.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

/// Keeps a thread on one core: nothing, the one that calls.
fn keep_on(thread: Option<rustix::process::Pid>, core: usize) {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    // A thread that has ended meanwhile is on no core.
    let _ = rustix::thread::sched_setaffinity(thread, &cores);
}

/// Questions and answers on the first core, all that comes in on the second.
fn pin() {
    for thread in threads() {
        keep_on(Some(thread.1), usize::from(!is_http(&thread)));
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(LONGEST_NS)
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).unwrap()
}

/// What the client saw.
struct Seen {
    response: Histogram<u64>,
    service: Histogram<u64>,
    errors: u64,
}

impl Seen {
    fn note(&mut self, line: &Line, now: Duration, fine: bool) {
        self.errors += u64::from(!fine);
        self.service.saturating_record(nanos(now - line.sent));
        self.response
            .saturating_record(nanos(now.saturating_sub(line.due)));
    }
}

/// Asks on a schedule that waits for nobody: a question goes out when it is due, over any connection that is free.
fn asks(size: Size, address: SocketAddr, requests: &[Vec<u8>], watch: Stopwatch) -> Seen {
    let mut lines: Vec<Line> = (0..size.connections).map(|_| Line::new(address)).collect();
    let (mut free, mut busy): (Vec<usize>, Vec<usize>) = ((0..lines.len()).collect(), Vec::new());
    let mut seen = Seen {
        response: empty(),
        service: empty(),
        errors: 0,
    };
    // The kernel may otherwise be 50 us late.
    rustix::thread::set_current_timer_slack(std::num::NonZero::new(1)).unwrap();
    let (begun, end) = (watch.elapsed(), Duration::from_secs(size.seconds));
    let mut request = 0;
    loop {
        let (mut early, mut over) = (PATIENCE, false);
        while !free.is_empty() {
            let now = watch.elapsed() - begun;
            let due = size.rate.map_or(now, |rate| {
                Duration::from_nanos(request * 1_000_000_000 / rate)
            });
            over = due >= end;
            if over || due > now {
                early = if over { PATIENCE } else { due - now };
                break;
            }
            let place = free.pop().unwrap();
            let body = &requests[usize::try_from(request).unwrap() % requests.len()];
            request += 1;
            if lines[place].ask(body, due, now) {
                busy.push(place);
            } else {
                seen.errors += 1;
                lines[place] = Line::new(address);
                free.push(place);
            }
        }
        if over && busy.is_empty() {
            return seen;
        }
        hears(&mut lines, (&mut busy, &mut free), early, |line, fine| {
            seen.note(line, watch.elapsed() - begun, fine);
        });
    }
}

/// Waits for answers, or until the next question is due, and takes up those that have come whole.
fn hears(
    lines: &mut [Line],
    (busy, free): (&mut Vec<usize>, &mut Vec<usize>),
    bound: Duration,
    mut heard: impl FnMut(&Line, bool),
) {
    let bound = rustix::event::Timespec {
        tv_sec: i64::try_from(bound.as_secs()).unwrap(),
        tv_nsec: bound.subsec_nanos().into(),
    };
    let ready: Vec<bool> = {
        let listen = |place: &usize| PollFd::new(&lines[*place].stream, PollFlags::IN);
        let mut polled: Vec<PollFd<'_>> = busy.iter().map(listen).collect();
        rustix::event::poll(&mut polled, Some(&bound)).unwrap();
        polled.iter().map(|one| !one.revents().is_empty()).collect()
    };
    let mut ready = ready.into_iter();
    busy.retain(|place| {
        let answer = if ready.next().unwrap() {
            lines[*place].hear()
        } else {
            None
        };
        if let Some(fine) = answer {
            heard(&lines[*place], fine);
            if !fine {
                let address = lines[*place].stream.peer_addr().unwrap();
                lines[*place] = Line::new(address);
            }
            free.push(*place);
        }
        answer.is_none()
    });
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
        if size.pin {
            pin();
        }
        let client = scope.spawn(|| {
            if size.pin {
                keep_on(None, 0);
            }
            asks(size, address, &requests, watch)
        });
        let seen = client.join().unwrap();
        measured.response.add(seen.response).unwrap();
        measured.service.add(seen.service).unwrap();
        measured.errors += seen.errors;
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
    client::stand_back();
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
        connections: option("--connections").unwrap_or(64),
        ingest: option("--ingest").unwrap_or(0),
        pin: std::env::args().any(|word| word == "--pin"),
    };
    println!("{}", table(&[run(size)]));
}
