//! The log changed under the monitor: cut off before it was read, made anew, given more partitions. It must notice, stop,
//! and name what is missing or what to do; and go on over a gap only where the operator says so.

use crate::lines::{self, Line};
use crate::monitor::Monitor;
use crate::scene::{BANK_PARTITIONS, PARTITIONS, Scene};
use crate::truth;
use crate::wait::{until, within};
use std::time::Duration;

const NOTICED: Duration = Duration::from_secs(60);

fn send(scene: &Scene, lines: &[Line]) {
    let mut feed = scene.feed();
    for line in lines {
        feed.line(&scene.name, line);
    }
    feed.flush();
}

/// What it says once it has stopped, or is up and not ready: one of the two it must be.
fn refusal(monitor: &mut Monitor, what: &str) -> String {
    let told = within(NOTICED, || {
        if let Some(ended) = monitor.has_ended() {
            assert_eq!(ended.code, Some(1), "{what}: {}", ended.said);
            return Some(ended.said);
        }
        let (status, body) = monitor.get("/readyz")?;
        (status == 503 && body.contains("varsel.log"))
            .then(|| format!("{body}\n{}", monitor.said()))
    });
    told.unwrap_or_else(|| panic!("{what}: it goes on as if nothing were: {}", monitor.said()))
}

#[test]
fn records_cut_off_before_they_were_scored_are_named_and_stop_it_until_the_loss_is_accepted() {
    let mut scene = Scene::ready("cut");
    let lines = lines::busy(500, 51, 6_000, 1);
    let (first, rest) = lines.split_at(lines.len() / 2);
    send(&scene, first);
    let monitor = scene.start_ready("one");
    scene.settle(Duration::from_secs(120));
    monitor.finish();
    // Intake alone takes the rest into the log; nobody scores it.
    scene.set("run", "roles", "[\"intake\"]");
    let intake = scene.start("intake");
    send(&scene, rest);
    until("intake has taken the rest", Duration::from_secs(60), || {
        (scene.behind().0 == 0).then_some(())
    });
    intake.finish();
    let log = scene.topic("varsel.log");
    let score = format!("{}-score", scene.name);
    let committed = scene.topics.committed(&score, &log)[0].unwrap();
    let high = scene.topics.bounds(&log)[0].1;
    let cut = committed + (high - committed) / 2;
    assert!(
        cut > committed,
        "there is nothing to cut off: {committed} of {high}"
    );
    scene.topics.cut(&log, 0, cut);
    scene.set("run", "roles", "[\"intake\", \"score\"]");
    let mut monitor = scene.start("one");
    let told = refusal(&mut monitor, "a part of the log is gone");
    let last = cut - 1;
    assert!(
        told.contains(&committed.to_string()) && told.contains(&last.to_string()),
        "it does not name the range {committed} to {last}: {told}"
    );
    assert!(
        told.contains("accept_loss"),
        "it does not tell the way out: {told}"
    );
    monitor.kill();
    scene.set("run", "accept_loss", true);
    let mut monitor = scene.start_ready("one");
    scene.settle(Duration::from_secs(60));
    assert!(monitor.metric("varsel_lost_ranges_total", "") >= 1.0);
    assert!(
        monitor.said().contains(&last.to_string()),
        "the loss is not in the log: {}",
        monitor.said()
    );
    monitor.finish();
    crate::tell::counted(
        "cut",
        &[
            ("records", &lines.len()),
            ("cut_off", &(cut - committed)),
            ("from", &committed),
            ("to", &last),
        ],
    );
}

#[test]
fn a_log_made_anew_under_the_same_name_is_refused() {
    let scene = Scene::ready("anew");
    let lines = lines::busy(500, 53, 6_000, 1);
    let (first, rest) = lines.split_at(lines.len() / 2);
    send(&scene, first);
    let monitor = scene.start_ready("one");
    scene.settle(Duration::from_secs(120));
    monitor.finish();
    let log = scene.topic("varsel.log");
    scene.topics.delete(&log);
    scene.topics.create(&log, PARTITIONS, &[]);
    send(&scene, rest);
    let mut monitor = scene.start("one");
    let told = refusal(&mut monitor, "the log was made anew");
    assert!(
        told.contains("help") || told.contains("run.group"),
        "it does not tell the way out: {told}"
    );
    crate::tell::counted("anew", &[("records", &lines.len())]);
}

#[test]
fn a_log_deleted_and_made_anew_under_a_running_monitor_is_noticed() {
    let scene = Scene::ready("anew-running");
    let lines = lines::busy(500, 57, 6_000, 1);
    let (first, rest) = lines.split_at(lines.len() / 2);
    send(&scene, first);
    let mut monitor = scene.start_ready("one");
    scene.settle(Duration::from_secs(120));
    let log = scene.topic("varsel.log");
    scene.topics.delete(&log);
    scene.topics.create(&log, PARTITIONS, &[]);
    send(&scene, rest);
    refusal(&mut monitor, "the log was made anew while it ran");
    crate::tell::counted("anew-running", &[("records", &lines.len())]);
}

#[test]
fn a_log_that_grows_from_8_to_12_partitions_while_it_runs_is_refused_and_splits_no_cardholder() {
    let mut scene = Scene::new("grown");
    scene.make_bank_topics();
    scene.set("topics", "partitions", 8);
    scene.make_own_topics();
    let lines = lines::busy(500, 59, 9_000, 1);
    let (first, rest) = lines.split_at(lines.len() / 2);
    send(&scene, first);
    let mut monitor = scene.start_ready("one");
    scene.settle(Duration::from_secs(120));
    let log = scene.topic("varsel.log");
    scene.topics.grow(&log, 12);
    send(&scene, rest);
    let told = refusal(&mut monitor, "the log has more partitions");
    assert!(told.contains("12"), "it does not say what it found: {told}");
    monitor.kill();
    let mut monitor = scene.start("again");
    let told = refusal(
        &mut monitor,
        "the log has more partitions than the configuration says",
    );
    assert!(
        told.contains("12") && told.contains('8'),
        "it does not say what it found: {told}"
    );
    let mut places = std::collections::BTreeMap::new();
    for record in scene
        .drain("varsel.log")
        .iter()
        .filter(|r| r.header("v") == "e")
    {
        let before = *places.entry(record.key.clone()).or_insert(record.partition);
        assert_eq!(
            before,
            record.partition,
            "the events of {} are in two partitions",
            record.key_text()
        );
    }
    crate::tell::counted(
        "grown",
        &[("records", &lines.len()), ("cardholders", &places.len())],
    );
}

#[test]
fn a_bank_topic_that_grows_is_read_in_all_its_partitions() {
    let scene = Scene::ready("bank-grown");
    let monitor = scene.start_ready("one");
    let lines = lines::crowd(500, 61, 6_000);
    let (first, rest) = lines.split_at(lines.len() / 2);
    send(&scene, first);
    scene.settle(Duration::from_secs(60));
    let topic = scene.topic("bank.authorizations");
    scene
        .topics
        .grow(&topic, usize::try_from(BANK_PARTITIONS + 3).unwrap());
    until("the new partitions are known", NOTICED, || {
        (scene.topics.partitions(&topic) == BANK_PARTITIONS + 3).then_some(())
    });
    // A producer of its own knows the new partitions from its first look.
    send(&scene, rest);
    // Clients look for new partitions every five minutes unless they are told otherwise; the bank cannot wait that long.
    scene.settle(Duration::from_secs(120));
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("bank-grown", None);
    sums.hold(&scene);
}

#[test]
fn a_log_cut_off_behind_what_was_scored_is_no_loss() {
    let scene = Scene::ready("retention");
    let lines = lines::busy(500, 63, 6_000, 1);
    send(&scene, &lines);
    let monitor = scene.start_ready("one");
    scene.settle(Duration::from_secs(120));
    let sums = truth::sums(&scene);
    sums.hold(&scene);
    // A checkpoint after everything; retention then takes what came before.
    crate::wait::pause(Duration::from_secs(5));
    monitor.finish();
    let log = scene.topic("varsel.log");
    for (partition, (_, high)) in (0..).zip(scene.topics.bounds(&log)) {
        scene.topics.cut(&log, partition, high);
    }
    let mut monitor = scene.start_ready("one");
    assert!(monitor.metric("varsel_lost_ranges_total", "") < 0.5);
    let known = monitor.metric("varsel_cardholders", "");
    assert!(
        known >= 500.0,
        "{known} cardholders are known after the restart"
    );
    monitor.finish();
    sums.tell("retention", None);
}
