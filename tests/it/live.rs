//! The live monitor against the broker in the process: what comes out is what a replay gives, a stop
//! and a start change nothing, and what is refused lies among the dead letters.
//!
//! The embedded broker proves nothing about durability: crashes, outages and moves of partitions are
//! for `tests/kafka/run`, against a real one.

pub mod ask;

use crate::generate::town;
use rdkafka::message::{Headers, Message};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use varsel::clock::Stopwatch;
use varsel::config::{Config, Place};
use varsel::engine::prepared::Prepared;
use varsel::geo::Geo;
use varsel::live::{self, Parts, Signals};
use varsel::replay::topic::Topics;
use varsel::replay::{Options, run};
use varsel::rulebook;
use varsel::stream::StreamError;
use varsel::stream::embedded::Embedded;
use varsel::stream::range::Bound;
use varsel::stream::reader::Reader;
use varsel::stream::send::{Parcel, Sender};
use varsel::stream::tickets::Ticket;
use varsel::telemetry::{Metrics, Readiness};

/// The recorded cases that everybody must get right.
const CASES: [&str; 6] = [
    "case-144-2018",
    "case-144-2018-second-day-only",
    "case-144-2018-without-eid-log",
    "holiday-in-bulgaria",
    "mistyped-code-twice",
    "short-of-money-at-the-grocery",
];
/// Types of the events of each source, in the order of the configuration.
const SOURCES: [&[&str]; 5] = [
    &["authorization"],
    &["threeds", "otp"],
    &["eid"],
    &["card", "enrolment"],
    &["disposition", "hold"],
];
/// What a whole run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A broker, its monitor's settings, and a folder.
pub struct Bank {
    pub config: Arc<Config>,
    /// Where monitors that are still to start look for a new rule book.
    pub rules: Option<PathBuf>,
    sender: Sender,
    dir: TempDir,
    sent: u64,
    broker: Embedded,
}

/// A running monitor.
pub struct Monitor {
    pub signals: Signals,
    pub metrics: Arc<Metrics>,
    thread: JoinHandle<Result<(), StreamError>>,
}

impl Bank {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (broker, mut config) = Embedded::start().unwrap();
        config.checkpoint.place = Place::Folder(dir.path().join("state"));
        config.checkpoint.every = Duration::from_secs(1);
        config.http.listen = "127.0.0.1:0".parse().unwrap();
        let config = Arc::new(config);
        let sender = Sender::new(&config, &Arc::new(Metrics::default())).unwrap();
        Self {
            config,
            rules: None,
            sender,
            dir,
            sent: 0,
            broker,
        }
    }

    /// Changes the settings of monitors that are still to start.
    pub fn change(&mut self, change: impl FnOnce(&mut Config)) {
        change(Arc::make_mut(&mut self.config));
    }

    /// How many records were fed.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Puts lines into the sources by type; what has no type of ours goes into the first.
    pub fn feed(&mut self, lines: &[impl AsRef<[u8]>]) {
        let ticket = Ticket::open();
        for line in lines {
            let source = source_of(line.as_ref());
            let parcel = Parcel {
                topic: &self.config.topics.sources[source],
                // One partition, so that each source keeps its order as a file does.
                partition: Some(0),
                key: b"",
                value: line.as_ref(),
                headers: None,
            };
            self.sender.send(parcel, &ticket).unwrap();
            self.sent += 1;
        }
        ticket.settle();
        assert!(self.sender.wait(&ticket, PATIENCE).unwrap());
    }

    /// Puts lines into a topic of the monitor's own.
    pub fn put(&self, topic: &str, lines: &[impl AsRef<[u8]>]) {
        let ticket = Ticket::open();
        for line in lines {
            let parcel = Parcel {
                topic,
                partition: Some(0),
                key: b"",
                value: line.as_ref(),
                headers: None,
            };
            self.sender.send(parcel, &ticket).unwrap();
        }
        ticket.settle();
        assert!(self.sender.wait(&ticket, PATIENCE).unwrap());
    }

    pub fn start(&self) -> Monitor {
        self.start_with(Config::clone(&self.config))
    }

    fn start_with(&self, config: Config) -> Monitor {
        let signals = Signals::default();
        let metrics = Arc::new(Metrics::default());
        let parts = Parts {
            config: Arc::new(config),
            rules: self.rules.clone(),
            loaded: rulebook::embedded().unwrap(),
            geo: Geo::embedded().unwrap(),
            metrics: Arc::clone(&metrics),
            readiness: Arc::new(Readiness::new(&[])),
            more: axum::Router::new(),
        };
        let thread = {
            let signals = signals.clone();
            std::thread::spawn(move || live::run(parts, &signals))
        };
        Monitor {
            signals,
            metrics,
            thread,
        }
    }

    /// The records of a topic, without what a repeat after a restart adds.
    pub fn lines(&self, topic: &str) -> Vec<String> {
        let mut lines = Vec::new();
        Reader::whole(&self.config, topic)
            .unwrap()
            .to_end(|message| {
                lines.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
            })
            .unwrap();
        lines
    }

    /// What a replay of the same sources gives, in the order alerts, holds, decisions.
    fn replayed(&self, lines: &[impl AsRef<[u8]>]) -> [Vec<String>; 3] {
        let mut inputs: Vec<PathBuf> = Vec::new();
        for (number, _) in SOURCES.iter().enumerate() {
            let path = self.dir.path().join(format!("{number}.jsonl"));
            let mut text = Vec::new();
            for line in lines
                .iter()
                .filter(|line| source_of(line.as_ref()) == number)
            {
                text.extend_from_slice(line.as_ref());
                text.push(b'\n');
            }
            fs::write(&path, text).unwrap();
            inputs.push(path);
        }
        let out = self.dir.path().join("out");
        let options = Options {
            inputs,
            topics: None,
            out: out.clone(),
            shards: 1,
            batch: 64,
            stop_after: None,
            checkpoint: None,
            resume: None,
        };
        let starter = Arc::new(Prepared::new(rulebook::embedded().unwrap().book));
        run(
            &options,
            &starter,
            &Geo::embedded().unwrap(),
            &mut |_, _| {},
        )
        .unwrap();
        ["alerts.jsonl", "holds.jsonl", "decisions.jsonl"].map(|name| {
            let text = fs::read_to_string(out.join(name)).unwrap();
            sorted(text.lines().map(str::to_owned).collect())
        })
    }

    /// The digest of that replay.
    fn digest(&self) -> String {
        let text = fs::read_to_string(self.dir.path().join("out/report.json")).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        report["digest"].as_str().unwrap().to_owned()
    }

    /// What the monitor gave, in the same order.
    fn given(&self) -> [Vec<String>; 3] {
        let topics = &self.config.topics;
        [&topics.alerts, &topics.holds, &topics.decisions].map(|topic| sorted(self.lines(topic)))
    }
}

impl Monitor {
    /// Waits until so many records of the sources have gone all the way.
    pub fn until(&self, count: u64) {
        let watch = Stopwatch::start();
        while self.metrics.events_done() < count {
            assert!(
                !self.thread.is_finished(),
                "the monitor ended before it was told to"
            );
            assert!(
                watch.elapsed() < PATIENCE,
                "{} of {count} records in {PATIENCE:?}",
                self.metrics.events_done()
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub fn stop(self) {
        self.signals.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().unwrap();
    }
}

fn source_of(line: &[u8]) -> usize {
    let value: Value = serde_json::from_slice(line).unwrap_or_default();
    let kind = value["type"].as_str().unwrap_or_default();
    SOURCES
        .iter()
        .position(|types| types.contains(&kind))
        .unwrap_or(0)
}

/// Lines without their positions, in an order that does not depend on partitions.
fn sorted(lines: Vec<String>) -> Vec<String> {
    let mut bare: Vec<String> = lines
        .into_iter()
        .map(|line| match line.find(",\"position\":") {
            Some(at) => line[..at].to_owned(),
            None => line,
        })
        .collect();
    bare.sort_unstable();
    bare
}

/// All recorded cases as one stream, in the order of their times.
pub fn cases() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut rows: Vec<(i64, String)> = CASES
        .iter()
        .flat_map(|case| {
            let text = fs::read_to_string(root.join(case).join("events.jsonl")).unwrap();
            // The cases share their people: each gets its own.
            let text = text
                .replace("p-144", &format!("p-{case}"))
                .replace("c-144", &format!("c-{case}"));
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|line| {
            let row: Value = serde_json::from_str(&line).unwrap();
            let at = chrono::DateTime::parse_from_rfc3339(row["at"].as_str().unwrap()).unwrap();
            (at.timestamp_millis(), line)
        })
        .collect();
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn prefix_the_recorded_cases_through_a_broker_give_what_their_replay_gives() {
    let lines = cases();
    let mut bank = Bank::new();
    bank.feed(&lines);
    let monitor = bank.start();
    monitor.until(bank.sent);
    monitor.stop();
    assert_eq!(bank.given(), bank.replayed(&lines));
}

#[test]
fn prefix_a_monitor_stopped_and_started_gives_what_one_that_never_stopped_gives() {
    let lines = town("live", 7, 1_500, 12);
    let mut bank = Bank::new();
    let third = lines.len() / 3;
    for part in [
        &lines[..third],
        &lines[third..2 * third],
        &lines[2 * third..],
    ] {
        // What has come while nobody watched is merged by time, as files are.
        bank.feed(part);
        let monitor = bank.start();
        monitor.until(u64::try_from(part.len()).unwrap());
        monitor.stop();
    }
    assert_eq!(bank.given(), bank.replayed(&lines));
}

/// What a replay of topics gives: its lines in the order alerts, holds, decisions, and its digest.
fn replayed_topics(bank: &Bank, names: &[String]) -> ([Vec<String>; 3], String) {
    let out = bank.dir.path().join("topics");
    let options = Options {
        inputs: Vec::new(),
        topics: Some(Topics {
            config: Arc::clone(&bank.config),
            names: names.to_vec(),
            from: Bound::Open,
            to: Bound::Open,
            with_books: true,
        }),
        out: out.clone(),
        shards: 2,
        batch: 64,
        stop_after: None,
        checkpoint: None,
        resume: None,
    };
    let starter = Arc::new(Prepared::new(rulebook::embedded().unwrap().book));
    let report = run(
        &options,
        &starter,
        &Geo::embedded().unwrap(),
        &mut |_, _| {},
    )
    .unwrap();
    let lines = ["alerts.jsonl", "holds.jsonl", "decisions.jsonl"].map(|name| {
        let text = fs::read_to_string(out.join(name)).unwrap();
        sorted(text.lines().map(str::to_owned).collect())
    });
    (lines, report.digest)
}

#[test]
fn prefix_a_replay_of_the_sources_or_of_the_log_gives_what_the_monitor_gave() {
    let lines = town("topics", 11, 800, 9);
    let mut bank = Bank::new();
    bank.feed(&lines);
    let monitor = bank.start();
    monitor.until(bank.sent);
    monitor.stop();
    let given = bank.given();
    let files = bank.replayed(&lines);
    let (of_sources, digest) = replayed_topics(&bank, &bank.config.topics.sources);
    assert_eq!(of_sources, files, "the sources");
    assert_eq!(digest, bank.digest(), "the very digest of the files");
    let (of_log, _) = replayed_topics(&bank, std::slice::from_ref(&bank.config.topics.log));
    assert_eq!(of_log, given, "the log");
}

#[test]
fn no_loss_what_is_refused_lies_among_the_dead_letters_with_reason_and_position() {
    let lines = cases();
    let number = ["41", "1111", "1111", "1111", "11"].concat();
    let bad: Vec<Vec<u8>> = vec![
        b"not json".to_vec(),
        vec![0xFF, 0x00, 0x7B],
        br#"{"type":"authorization","id":"x"}"#.to_vec(),
        format!(r#"{{"type":"eid","id":"{number}","at":"2018-03-05T10:00:00Z"}}"#).into_bytes(),
    ];
    let mut mixed: Vec<Vec<u8>> = lines.iter().map(|line| line.clone().into_bytes()).collect();
    for (number, line) in bad.iter().enumerate() {
        mixed.insert(10 * (number + 1), line.clone());
    }
    let mut bank = Bank::new();
    bank.feed(&mixed);
    let monitor = bank.start();
    monitor.until(u64::try_from(lines.len()).unwrap());
    monitor.stop();
    assert_eq!(
        bank.given(),
        bank.replayed(&lines),
        "the good ones are as if alone"
    );
    let mut reasons = BTreeMap::new();
    Reader::whole(&bank.config, &bank.config.topics.dead_letters)
        .unwrap()
        .to_end(|message| {
            let header = |key: &str| {
                let headers = message.headers().unwrap();
                let found = headers.iter().find(|h| h.key == key).and_then(|h| h.value);
                String::from_utf8(found.unwrap_or_default().to_vec()).unwrap()
            };
            assert!(header("varsel-position").contains("/0@"), "a position");
            reasons.insert(header("varsel-reason"), message.payload().unwrap().to_vec());
        })
        .unwrap();
    let found: Vec<&str> = reasons.keys().map(String::as_str).collect();
    assert_eq!(
        found,
        ["card_number", "malformed_json", "missing_field", "not_utf8"]
    );
    assert_eq!(reasons["malformed_json"], b"not json", "the original bytes");
    let masked = String::from_utf8(reasons["card_number"].clone()).unwrap();
    assert!(masked.contains(&"X".repeat(number.len())) && !masked.contains(&number));
}
