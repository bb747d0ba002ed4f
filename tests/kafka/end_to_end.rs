//! The shared cases through intake, log and scoring, held against a replay of the same lines from a file; and the
//! replay of a topic held against both.

use crate::drain::{Record, Tail};
use crate::lines::{self, CASES, Line};
use crate::scene::{PARTITIONS, Scene};
use crate::truth::{self, Sequences, Sums};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const STEP: Duration = Duration::from_secs(30);

/// Sends each line only when the one before stands in the log, so that the log has the order of the lines.
fn in_step(scene: &Scene, lines: &[Line]) {
    let tail = Tail::new(
        &scene.broker.bootstrap,
        &scene.topic("varsel.log"),
        PARTITIONS,
    );
    let mut feed = scene.feed();
    for line in lines {
        feed.line(&scene.name, line);
        feed.flush();
        loop {
            let record = tail.next(STEP).unwrap_or_else(|| {
                panic!(
                    "{} did not come into the log{}",
                    line.id,
                    scene.last_words()
                )
            });
            if record.header("v") == "e" {
                assert_eq!(
                    record.text(),
                    line.text,
                    "another event came into the log first"
                );
                break;
            }
        }
    }
}

/// Replays lines from a file; the folder of the outputs.
pub fn replayed(scene: &Scene, lines: &[Line]) -> PathBuf {
    let (file, out) = (scene.dir.join("all.jsonl"), scene.dir.join("from-file"));
    lines::write(&file, lines);
    let words = [
        "replay",
        "--input",
        file.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    let ended = crate::monitor::command(&scene.dir, &words, Duration::from_secs(120));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    out
}

fn rows(dir: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(dir.join(name)).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn field<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}

/// A decision without its position, which no file and no topic share.
fn unplaced(line: &str) -> String {
    let at = line.rfind(",\"position\":").unwrap();
    format!("{}}}", &line[..at])
}

/// The lines of a replay's file under the keys that they have in Kafka.
fn by_key(lines: &[String], key: impl Fn(&Value) -> String) -> Sequences {
    let mut sequences = Sequences::new();
    for line in lines {
        let row: Value = serde_json::from_str(line).unwrap();
        sequences.entry(key(&row)).or_default().push(line.clone());
    }
    sequences
}

fn without_positions(sequences: Sequences) -> Sequences {
    sequences
        .into_iter()
        .map(|(key, lines)| (key, lines.iter().map(|line| unplaced(line)).collect()))
        .collect()
}

/// The live topics against the files of a replay.
fn against_files(scene: &Scene, out: &Path) -> Sums {
    let mut sums = Sums::default();
    let live: Vec<Record> = scene.drain("varsel.decisions");
    let keys: BTreeMap<String, String> = live
        .iter()
        .map(|record| {
            let row: Value = serde_json::from_slice(&record.value).unwrap();
            (field(&row, "event").to_owned(), record.key_text())
        })
        .collect();
    let found = without_positions(truth::lines(&live, &mut sums.repeated));
    let wanted = by_key(&rows(out, "decisions.jsonl"), |row| {
        let event = field(row, "event");
        keys.get(event)
            .cloned()
            .unwrap_or_else(|| format!("nobody, for {event}"))
    });
    sums.decisions = truth::compare("decisions", &without_positions(wanted), &found, &mut sums);
    let found = truth::lines(&scene.drain("varsel.alerts"), &mut sums.repeated);
    let wanted = by_key(&rows(out, "alerts.jsonl"), |row| {
        field(row, "cardholder").to_owned()
    });
    sums.alerts = truth::compare("alerts", &wanted, &found, &mut sums);
    let found = truth::lines(&scene.drain("varsel.holds"), &mut sums.repeated);
    let wanted = by_key(&rows(out, "holds.jsonl"), |row| field(row, "id").to_owned());
    sums.holds = truth::compare("holds", &wanted, &found, &mut sums);
    sums
}

#[test]
fn the_cases_say_live_what_they_say_from_a_file() {
    let scene = Scene::ready("cases");
    let streams = CASES.iter().enumerate();
    // Several tell the same story: each gets people and cards of its own.
    let lines = lines::merged(
        streams
            .map(|(number, name)| lines::story(name, &format!("-{number}"), None))
            .collect(),
    );
    let monitor = scene.start_ready("one");
    in_step(&scene, &lines);
    scene.settle(Duration::from_secs(30));
    monitor.finish();
    let mut sums = against_files(&scene, &replayed(&scene, &lines));
    sums.records = lines.len();
    sums.tell("cases", None);
    sums.hold(&scene);
    assert_eq!(
        sums.repeated, 0,
        "nothing crashed, and effects were repeated"
    );
    assert!(sums.alerts > 40 && sums.holds > 5, "{sums:?}");
    truth::sums(&scene).hold(&scene);
}

#[test]
fn a_topic_replayed_has_the_digest_of_the_same_records_from_a_file() {
    let scene = Scene::ready("replay");
    let crowd = lines::crowd(60, 7, 300);
    let end = Some(crowd[250].at_ms);
    let mut lines = lines::merged(vec![
        lines::story("attack-2018", "-r", end),
        lines::story("attack-over-balance", "-r", end),
        crowd,
    ]);
    // No two at one moment: which came first is then beyond doubt.
    lines.sort_by_key(|line| line.at_ms);
    lines.dedup_by_key(|line| line.at_ms);
    let monitor = scene.start_ready("one");
    in_step(&scene, &lines);
    scene.settle(Duration::from_secs(60));
    let before = scene
        .topics
        .committed(&format!("{}-score", scene.name), &scene.topic("varsel.log"));
    let out = scene.dir.join("from-topic");
    let log = scene.topic("varsel.log");
    let words = ["replay", "--topic", &log, "--out", out.to_str().unwrap()];
    let ended = scene.varsel(&words);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let from_file = replayed(&scene, &lines);
    let report = |dir: &Path| -> Value {
        serde_json::from_str(&fs::read_to_string(dir.join("report.json")).unwrap()).unwrap()
    };
    let (topic, file) = (report(&out), report(&from_file));
    crate::tell::counted(
        "replay-topic",
        &[
            ("records", &lines.len()),
            ("topic_digest", &topic["digest"]),
            ("file_digest", &file["digest"]),
        ],
    );
    let mut sums = Sums::default();
    for (name, key) in [("alerts.jsonl", "cardholder"), ("holds.jsonl", "id")] {
        let key = |row: &Value| field(row, key).to_owned();
        let (wanted, found) = (rows(&from_file, name), rows(&out, name));
        truth::compare(name, &by_key(&wanted, key), &by_key(&found, key), &mut sums);
    }
    sums.hold(&scene);
    assert_eq!(topic["digest"], file["digest"]);
    assert_eq!(topic["events_applied"], file["events_applied"]);
    let after = scene
        .topics
        .committed(&format!("{}-score", scene.name), &scene.topic("varsel.log"));
    assert_eq!(before, after, "the replay moved the live group");
    monitor.finish();
}
