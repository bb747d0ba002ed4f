//! The manners of a service: ready when it is, what it counts, how it ends, each role alone.
//! What each must show stands in `truth.rs`; how monitor and broker are driven, in files of their own.

use crate::lines;
use crate::scene::{PARTITIONS, Scene};
use crate::truth;
use crate::wait::{pause, until};
use std::time::Duration;

/// The metrics that an operator is promised.
const METRICS: [&str; 22] = [
    "varsel_lag_records",
    "varsel_event_age_seconds",
    "varsel_events_total",
    "varsel_records_read_total",
    "varsel_rejects_total",
    "varsel_late_total",
    "varsel_decisions_total",
    "varsel_alerts_total",
    "varsel_holds_total",
    "varsel_checkpoint_age_seconds",
    "varsel_checkpoint_failures_total",
    "varsel_checkpoint_fallbacks_total",
    "varsel_rebalance_seconds",
    "varsel_rebalances_total",
    "varsel_restore_seconds",
    "varsel_partitions_owned",
    "varsel_cardholders",
    "varsel_ruleset_info",
    "varsel_effects_in_flight",
    "varsel_lost_ranges_total",
    "varsel_unknown_codes_total",
    "varsel_batch_size_count",
];

fn send(scene: &Scene, lines: &[lines::Line]) {
    let mut feed = scene.feed();
    for line in lines {
        feed.line(&scene.name, line);
    }
    feed.flush();
}

#[test]
fn what_it_counts_agrees_with_what_stands_in_the_topics() {
    let scene = Scene::ready("metrics");
    let mut monitor = scene.start_ready("one");
    assert_eq!(monitor.get("/livez").unwrap().0, 200);
    let lines = lines::busy(1_000, 101, 15_000, 1);
    send(&scene, &lines);
    scene.settle(Duration::from_secs(120));
    let sums = truth::sums(&scene);
    sums.hold(&scene);
    let near = |what: &str, told: f64, is: usize| {
        assert!(
            (told - is as f64).abs() < 0.5,
            "{what}: told {told}, is {is}"
        );
    };
    near(
        "decisions",
        monitor.metric("varsel_decisions_total", ""),
        sums.decisions,
    );
    near(
        "alert lines",
        monitor.metric("varsel_alerts_total", ""),
        sums.alerts,
    );
    near(
        "hold lines",
        monitor.metric("varsel_holds_total", ""),
        sums.holds,
    );
    let repeats = sums.relogged + usize::try_from(sums.duplicates).unwrap();
    near(
        "applied",
        monitor.metric("varsel_events_total", "applied"),
        sums.logged - repeats,
    );
    near(
        "partitions",
        monitor.metric("varsel_partitions_owned", ""),
        6,
    );
    near("lag", monitor.metric("varsel_lag_records", ""), 0);
    near(
        "in flight",
        monitor.metric("varsel_effects_in_flight", ""),
        0,
    );
    let metrics = monitor.metrics();
    let is_there = |name: &str| {
        metrics
            .keys()
            .any(|row| row.split('{').next() == Some(name))
    };
    let absent: Vec<_> = METRICS.into_iter().filter(|name| !is_there(name)).collect();
    assert!(absent.is_empty(), "not among the metrics: {absent:?}");
    // Every line of the log is one object, so that a collector can read it.
    for line in monitor.said().lines() {
        let row: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(row.is_ok_and(|row| row.is_object()), "not JSON: {line}");
    }
    monitor.finish();
    sums.tell("metrics", None);
}

#[test]
fn it_is_not_ready_before_it_owns_anything_and_ends_within_ten_seconds() {
    let scene = Scene::ready("ready");
    let one = scene.start_ready("one");
    // Its session ends with it, in good order: the next is ready without waiting for a dead one.
    one.finish();
    let watch = varsel::clock::Stopwatch::start();
    let two = scene.start_ready("two");
    let took = watch.elapsed();
    assert!(took < Duration::from_secs(10), "ready only after {took:?}");
    two.finish();
    crate::tell::counted("ready", &[("seconds", &took.as_secs_f64())]);
}

#[test]
fn intake_and_scoring_work_alone_and_together() {
    let mut scene = Scene::ready("roles");
    scene.set("run", "roles", "[\"intake\"]");
    let intake = scene.start("intake");
    let lines = lines::busy(500, 103, 5_000, 1);
    send(&scene, &lines);
    until(
        "intake alone takes all into the log",
        Duration::from_secs(60),
        || (scene.behind().0 == 0).then_some(()),
    );
    assert_eq!(
        scene.topics.records(&scene.topic("varsel.decisions")),
        0,
        "intake alone decided something"
    );
    scene.set("run", "roles", "[\"score\"]");
    let mut score = scene.start_ready("score");
    scene.settle(Duration::from_secs(60));
    let owned = score.metric("varsel_partitions_owned", "");
    assert!((owned - f64::from(PARTITIONS)).abs() < 0.5, "{owned}");
    intake.finish();
    score.finish();
    let sums = truth::sums(&scene);
    sums.tell("roles", None);
    sums.hold(&scene);
}

#[test]
fn a_role_that_there_is_not_yet_is_refused_with_a_clear_word() {
    let mut scene = Scene::ready("no-role");
    scene.set("run", "roles", "[\"score\", \"notify\"]");
    let mut monitor = scene.start("one");
    let ended = monitor.wait_end(Duration::from_secs(20));
    assert_eq!(ended.code, Some(2), "{}", ended.said);
    assert!(ended.said.contains("notify"), "{}", ended.said);
}

#[test]
fn the_first_start_begins_where_the_operator_says() {
    for (start, decided) in [("earliest", true), ("latest", false)] {
        let mut scene = Scene::ready(start);
        send(&scene, &lines::crowd(100, 105, 1_000));
        scene.set_text("run", "start", start);
        let monitor = scene.start_ready("one");
        if decided {
            scene.settle(Duration::from_secs(60));
        } else {
            pause(Duration::from_secs(3));
        }
        let some = scene.topics.records(&scene.topic("varsel.decisions")) > 0;
        assert_eq!(some, decided, "start = {start}");
        monitor.finish();
    }
    let mut scene = Scene::ready("refuse");
    scene.set_text("run", "start", "refuse");
    let mut monitor = scene.start("one");
    let ended = monitor.wait_end(Duration::from_secs(30));
    assert_ne!(ended.code, Some(0), "{}", ended.said);
    assert!(
        ended.said.contains("run.start") || ended.said.contains("`start`"),
        "{}",
        ended.said
    );
}

#[test]
fn the_topics_are_printed_made_once_and_found_complete_again() {
    let scene = Scene::new("topics");
    scene.make_bank_topics();
    let plan = scene.varsel(&["topics"]);
    assert_eq!(plan.code, Some(0), "{}", plan.said);
    let log = scene.topic("varsel.log");
    assert!(plan.said.contains(&log), "{}", plan.said);
    assert_eq!(
        scene.topics.partitions(&log),
        0,
        "printing the plan made a topic"
    );
    scene.make_own_topics();
    assert_eq!(scene.topics.partitions(&log), PARTITIONS);
    scene.make_own_topics();
    assert_eq!(scene.topics.partitions(&log), PARTITIONS);
}
