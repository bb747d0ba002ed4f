//! What must stand in the topics, worked out from the bank's records and the log, and compared with what does.
//!
//! Two claims. Intake: each record of the bank is in the log, with its own bytes, or a dead letter, and never both;
//! each source keeps its order. Scoring: the engine, run over each partition of the log from its first record in this
//! process, without checkpoints or restarts, says the very lines that stand in the effects' topics, each cardholder's in
//! order; an effect repeated after a crash is byte-identical. It uses none of the code that speaks to Kafka.

use crate::drain::Record;
use crate::scene::{BANK, Scene};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use varsel::decode::Decoder;
use varsel::domain::event::Event;
use varsel::domain::ids::Fingerprint;
use varsel::domain::outcome::Effect;
use varsel::encode;
use varsel::engine::prepared::Prepared;
use varsel::engine::{Applied, Engine, Outcome};
use varsel::geo::Geo;
use varsel::rulebook;

/// Lines under one key of a topic, in order.
pub type Sequences = BTreeMap<String, Vec<String>>;

/// What was counted; `faults` are sentences, and must be empty.
#[derive(Debug, Default)]
pub struct Sums {
    /// The bank's records.
    pub records: usize,
    /// Event records of the log, repeats included.
    pub logged: usize,
    /// Source records that the log has more than once.
    pub relogged: usize,
    /// Records that came to dead letters.
    pub rejected: usize,
    /// Events that the engine met again by id.
    pub duplicates: u64,
    pub late: u64,
    pub decisions: usize,
    pub alerts: usize,
    pub holds: usize,
    /// Effects that stand there more than once, byte-identical.
    pub repeated: usize,
    /// Holds whose last record is an older state.
    pub stale: usize,
    /// The bank's records in neither, and lines that must be there and are not.
    pub lost: usize,
    /// Lines that must not be there.
    pub doubled: usize,
    pub faults: Vec<String>,
}

impl Sums {
    fn fault(&mut self, text: String) {
        if self.faults.len() < 20 {
            self.faults.push(text);
        }
    }

    /// Fails the test where anything is lost, doubled or out of order.
    pub fn hold(&self, scene: &Scene) {
        assert!(
            self.lost == 0 && self.doubled == 0 && self.faults.is_empty(),
            "{} lost, {} doubled:\n  {}{}",
            self.lost,
            self.doubled,
            self.faults.join("\n  "),
            scene.last_words()
        );
    }

    /// The line of the table.
    pub fn tell(&self, test: &str, kills: Option<usize>) {
        let kills = kills.map_or_else(|| "-".to_owned(), |count| count.to_string());
        crate::tell::counted(
            test,
            &[
                ("kills", &kills),
                ("records", &self.records),
                ("rejected", &self.rejected),
                ("lost", &self.lost),
                ("doubled", &self.doubled),
                ("relogged", &self.relogged),
                ("repeated", &self.repeated),
                ("stale", &self.stale),
                ("duplicates", &self.duplicates),
                ("late", &self.late),
                ("decisions", &self.decisions),
                ("alerts", &self.alerts),
                ("holds", &self.holds),
            ],
        );
    }
}

/// Compares everything in a scene that has settled.
pub fn sums(scene: &Scene) -> Sums {
    let mut sums = Sums::default();
    let log = scene.drain("varsel.log");
    let letters = scene.drain("varsel.dead-letters");
    intake(scene, &log, &letters, &mut sums);
    let expected = expected(scene, &log, &mut sums);
    let decisions = lines(&scene.drain("varsel.decisions"), &mut sums.repeated);
    let alerts = lines(&scene.drain("varsel.alerts"), &mut sums.repeated);
    let held = scene.drain("varsel.holds");
    newest(&held, &expected.holds, &mut sums);
    let holds = lines(&held, &mut sums.repeated);
    sums.decisions = compare("decisions", &expected.decisions, &decisions, &mut sums);
    sums.alerts = compare("alerts", &expected.alerts, &alerts, &mut sums);
    sums.holds = compare("holds", &expected.holds, &holds, &mut sums);
    sums
}

/// Each of the bank's records in the log or a dead letter.
fn intake(scene: &Scene, log: &[Record], letters: &[Record], sums: &mut Sums) {
    let mut logged: BTreeMap<&str, &Record> = BTreeMap::new();
    let mut highest: BTreeMap<(i32, &str), i64> = BTreeMap::new();
    for record in log.iter().filter(|record| record.header("v") == "e") {
        sums.logged += 1;
        let source = record.header("s");
        if let Some(before) = logged.insert(source, record) {
            sums.relogged += 1;
            if before.partition != record.partition {
                sums.fault(format!("{source} is in two partitions of the log"));
            }
            continue;
        }
        let Some((place, offset)) = source.rsplit_once('@') else {
            sums.fault(format!("a record of the log has the source `{source}`"));
            continue;
        };
        let offset: i64 = offset.parse().unwrap();
        let newest = highest.entry((record.partition, place)).or_insert(-1);
        if offset < *newest {
            sums.fault(format!("{source} came into the log after {place}@{newest}"));
        }
        *newest = offset.max(*newest);
    }
    let dead: BTreeSet<&str> = letters
        .iter()
        .map(|r| r.header("varsel-position"))
        .collect();
    sums.rejected = dead.len();
    for topic in BANK {
        for record in scene.drain(topic) {
            sums.records += 1;
            let position = format!(
                "{}/{}@{}",
                scene.topic(topic),
                record.partition,
                record.offset
            );
            match (
                logged.get(position.as_str()),
                dead.contains(position.as_str()),
            ) {
                (Some(found), false) if found.value == record.value => {}
                (Some(_), false) => sums.fault(format!("{position} has other bytes in the log")),
                (Some(_), true) => {
                    sums.fault(format!("{position} is in the log and a dead letter"))
                }
                (None, true) => {}
                (None, false) => {
                    sums.lost += 1;
                    sums.fault(format!(
                        "{position} is neither in the log nor a dead letter"
                    ));
                }
            }
        }
    }
}

/// The lines that the log makes.
#[derive(Default)]
pub struct Expected {
    pub decisions: Sequences,
    pub alerts: Sequences,
    pub holds: Sequences,
}

fn put(sequences: &mut Sequences, key: &str, line: &[u8]) {
    let text = std::str::from_utf8(line).unwrap().trim_end();
    let lines = sequences.entry(key.to_owned()).or_default();
    lines.push(text.to_owned());
}

/// One partition's engine, and what it reads with.
struct Reader {
    engine: Engine,
    decoder: Decoder,
    event: Event,
    outcome: Outcome,
    effects: Vec<Effect>,
    line: Vec<u8>,
    tick_ms: i64,
    seen: BTreeSet<String>,
}

/// Runs the engine over each partition of the log.
pub fn expected(scene: &Scene, log: &[Record], sums: &mut Sums) -> Expected {
    let starter = rulebook::embedded().unwrap_or_else(|problems| panic!("{problems}"));
    let prepared = Arc::new(Prepared::new(starter.book));
    let geo = Geo::embedded().unwrap();
    let topic = scene.topic("varsel.log");
    let mut expected = Expected::default();
    for partition in log.chunk_by(|a, b| a.partition == b.partition) {
        let mut reader = Reader {
            engine: Engine::new(Arc::clone(&prepared)),
            decoder: Decoder::default(),
            event: Event::default(),
            outcome: Outcome::default(),
            effects: Vec::new(),
            line: Vec::new(),
            tick_ms: 0,
            seen: BTreeSet::new(),
        };
        for record in partition {
            match record.header("v") {
                "e" => reader.event(record, &geo, &topic, &mut expected, sums),
                "t" => reader.tick(record, &mut expected),
                "c" => reader.control(record),
                other => sums.fault(format!(
                    "{topic}/{}@{} has the header v=`{other}`",
                    record.partition, record.offset
                )),
            }
        }
        let counters = reader.engine.counters();
        sums.duplicates += counters.duplicates;
        sums.late += counters.late;
    }
    expected
}

impl Reader {
    fn event(
        &mut self,
        record: &Record,
        geo: &Geo,
        topic: &str,
        expected: &mut Expected,
        sums: &mut Sums,
    ) {
        if !self.seen.insert(record.header("s").to_owned()) {
            return;
        }
        let position = format!("{topic}/{}@{}", record.partition, record.offset);
        if let Err(reject) = self.decoder.decode(&record.value, &mut self.event) {
            sums.fault(format!("{position} ought to have been refused: {reject}"));
            return;
        }
        let key = record.key_text();
        self.resolve(&key, record.header("h") == "card");
        if self.event.cardholder() != key {
            sums.fault(format!("{position} has the key of another cardholder"));
        }
        if let Some(ip) = self.event.ip {
            self.event.place = geo.lookup(ip);
        }
        self.engine.apply(&self.event, &mut self.outcome);
        if self.outcome.applied == Applied::Duplicate {
            return;
        }
        if let Some(decision) = &self.outcome.decision {
            self.line.clear();
            let version = &self.engine.prepared().version;
            encode::decision(&mut self.line, &self.event, decision, version, &position);
            put(&mut expected.decisions, &key, &self.line);
        }
        let effects = std::mem::take(&mut self.outcome.effects);
        self.effects(&effects, expected);
    }

    fn resolve(&mut self, key: &str, by_card: bool) {
        let event = &mut self.event;
        if by_card {
            event.cardholder = event.card;
            event.cardholder_fp = Fingerprint::of_card_as_holder(event.card());
        } else if event.cardholder.is_empty() {
            event.cardholder = event.push_text(key).unwrap();
            event.cardholder_fp = Fingerprint::of(key);
        }
    }

    fn tick(&mut self, record: &Record, expected: &mut Expected) {
        let at_ms: i64 = record.text().parse().unwrap();
        if at_ms > self.tick_ms {
            self.tick_ms = at_ms;
            let mut effects = std::mem::take(&mut self.effects);
            self.engine.tick(at_ms, &mut effects);
            self.effects(&effects, expected);
            self.effects = effects;
        }
    }

    fn effects(&mut self, effects: &[Effect], expected: &mut Expected) {
        for effect in effects {
            self.line.clear();
            match effect {
                Effect::Alert(alert) => {
                    encode::alert(&mut self.line, alert);
                    put(&mut expected.alerts, &alert.cardholder, &self.line);
                }
                Effect::Hold(hold) => {
                    encode::hold(&mut self.line, hold);
                    put(&mut expected.holds, &hold.id.to_string(), &self.line);
                }
            }
        }
    }

    /// A rule book comes into force; the starter book may do so again.
    fn control(&mut self, record: &Record) {
        let row: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(
            row["version"].as_str(),
            Some(&*self.engine.prepared().version),
            "the log has a rule book that this comparison does not know"
        );
    }
}

/// What stands in a topic by key, byte-identical repeats left out and counted.
pub fn lines(records: &[Record], repeated: &mut usize) -> Sequences {
    let mut seen = BTreeSet::new();
    let mut sequences = Sequences::new();
    for record in records {
        let key = record.key_text();
        if seen.insert((key.clone(), record.value.clone())) {
            sequences.entry(key).or_default().push(record.text());
        } else {
            *repeated += 1;
        }
    }
    sequences
}

/// Of a hold's lines the last one is what compaction keeps: it must be the newest state, also where an older one was
/// repeated.
fn newest(held: &[Record], expected: &Sequences, sums: &mut Sums) {
    let last: BTreeMap<String, &Record> = held.iter().map(|r| (r.key_text(), r)).collect();
    for (hold, record) in last {
        let state = expected.get(&hold).and_then(|lines| lines.last());
        if state.is_some_and(|state| *state != record.text()) {
            sums.stale += 1;
            sums.fault(format!(
                "hold {hold}: the last record is not its newest state: {}",
                record.text()
            ));
        }
    }
}

/// Counts what is missing, what is too much, and what is in another order; returns the lines found.
pub fn compare(what: &str, expected: &Sequences, found: &Sequences, sums: &mut Sums) -> usize {
    let none = Vec::new();
    let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for key in keys {
        let wanted = expected.get(key).unwrap_or(&none);
        let stands = found.get(key).unwrap_or(&none);
        if wanted == stands {
            continue;
        }
        let wanted_set: BTreeSet<&String> = wanted.iter().collect();
        let stands_set: BTreeSet<&String> = stands.iter().collect();
        let missing: Vec<_> = wanted_set.difference(&stands_set).collect();
        let extra: Vec<_> = stands_set.difference(&wanted_set).collect();
        sums.lost += missing.len();
        sums.doubled += extra.len();
        let first = |lines: &[&&String]| {
            lines
                .first()
                .map_or(String::new(), |line| format!(": {line}"))
        };
        sums.fault(match (missing.len(), extra.len()) {
            (0, 0) => format!("{what} of {key}: {} lines in another order", wanted.len()),
            (lost, 0) => format!("{what} of {key}: {lost} missing{}", first(&missing)),
            (0, more) => format!("{what} of {key}: {more} that must not be{}", first(&extra)),
            (lost, more) => format!(
                "{what} of {key}: {lost} missing and {more} that must not be\n    missing{}\n    there{}",
                first(&missing),
                first(&extra)
            ),
        });
    }
    found.values().map(Vec::len).sum()
}
