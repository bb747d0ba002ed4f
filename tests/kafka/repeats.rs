//! The bank sends things twice, late, and in another order; cards are known by names that come by another topic.
//! What each must show stands in `truth.rs`; how monitor and broker are driven, in files of their own.

use crate::lines::{self, Line};
use crate::population::Dice;
use crate::scene::{BANK_PARTITIONS, Scene};
use crate::truth;
use crate::wait::{pause, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MINUTE_MS: i64 = 60_000;

fn send(scene: &Scene, lines: &[Line]) {
    let mut feed = scene.feed();
    for line in lines {
        feed.line(&scene.name, line);
    }
    feed.flush();
}

/// Lines to send again after `lines`, as many as `share`: ids are known for 72 h of event time, and copies of what is
/// older than that would be events of their own.
fn copies(lines: &[Line], share: usize, dice: &mut Dice) -> Vec<Line> {
    let Some(last) = lines.iter().map(|line| line.at_ms).max() else {
        return Vec::new();
    };
    let fresh: Vec<&Line> = lines
        .iter()
        .filter(|line| line.at_ms > last - 48 * 60 * MINUTE_MS)
        .collect();
    let mut chosen: Vec<usize> = (0..fresh.len()).collect();
    for place in 0..share.min(fresh.len()) {
        let rest = u64::try_from(fresh.len() - place).unwrap();
        let other = place + usize::try_from(dice.below(rest)).unwrap();
        chosen.swap(place, other);
    }
    chosen.truncate(share);
    chosen.sort_unstable();
    chosen.iter().map(|place| fresh[*place].clone()).collect()
}

#[test]
fn one_in_twenty_sent_twice_across_a_kill_is_counted_and_applied_once() {
    let scene = Scene::ready("duplicates");
    let lines = lines::busy(1_000, 81, 20_000, 1);
    let mut dice = Dice(81);
    let (first, rest) = lines.split_at(lines.len() / 2);
    let early = copies(first, first.len() / 20, &mut dice);
    let late = copies(rest, rest.len() / 20, &mut dice);
    let again = early.len() + late.len();
    assert!(again * 25 > lines.len(), "only {again} are sent twice");
    let monitor = scene.start_ready("one");
    send(&scene, first);
    send(&scene, &early);
    pause(Duration::from_secs(1));
    assert!(monitor.kill());
    let monitor = scene.start_ready("one");
    // What was sent before the kill, once more after it; then the rest, and a part of that again.
    send(&scene, &early);
    send(&scene, rest);
    send(&scene, &late);
    scene.settle(Duration::from_secs(120));
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("duplicates", Some(1));
    sums.hold(&scene);
    let mut decided: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in scene.drain("varsel.decisions") {
        let row: Value = serde_json::from_slice(&record.value).unwrap();
        let event = row["event"].as_str().unwrap().to_owned();
        decided.entry(event).or_default().push(record.text());
    }
    let twice = decided.values().filter(|lines| {
        let different: BTreeSet<&String> = lines.iter().collect();
        different.len() > 1
    });
    assert_eq!(twice.count(), 0, "events were decided twice");
    let sent_twice = u64::try_from(early.len() + again).unwrap();
    assert!(
        sums.duplicates >= sent_twice,
        "{} of {sent_twice} repeats were met as such",
        sums.duplicates,
    );
}

#[test]
fn a_stream_out_of_order_by_minutes_and_by_days_is_judged_as_it_came() {
    let scene = Scene::ready("disorder");
    let mut dice = Dice(83);
    let mut lines = lines::busy(1_000, 83, 20_000, 1);
    let mut arrival: Vec<(i64, usize)> = lines
        .iter()
        .enumerate()
        .map(|(place, line)| {
            let minutes = i64::try_from(dice.below(15)).unwrap();
            let days = if dice.below(200) == 0 { 3 * 24 * 60 } else { 0 };
            (line.at_ms + (minutes + days) * MINUTE_MS, place)
        })
        .collect();
    arrival.sort_unstable();
    lines = arrival
        .iter()
        .map(|(_, place)| lines[*place].clone())
        .collect();
    let monitor = scene.start_ready("one");
    send(&scene, &lines);
    scene.settle(Duration::from_secs(120));
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("disorder", None);
    sums.hold(&scene);
    assert!(sums.late > 500, "only {} late events", sums.late);
}

/// A payment that names no cardholder.
fn unnamed(id: &str, card: &str, at_ms: i64) -> Line {
    let at = chrono::DateTime::from_timestamp_millis(at_ms).unwrap();
    let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    Line::of(format!(
        r#"{{"type":"authorization","id":"{id}","at":"{at}","card":"{card}","amount_minor":1200,"currency":"DKK","mcc":"5411","merchant":{{"id":"m-1","name":"Netto","country":"DK"}},"channel":"pos","security":"contactless","response_code":"00"}}"#
    ))
}

fn binding(id: &str, card: &str, person: &str, at_ms: i64) -> Line {
    let at = chrono::DateTime::from_timestamp_millis(at_ms).unwrap();
    let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    Line::of(format!(
        r#"{{"type":"card","id":"{id}","at":"{at}","card":"{card}","cardholder":"{person}","action":"issued","home_country":"DK"}}"#
    ))
}

#[test]
fn a_card_bound_before_a_restart_is_known_after_it_and_to_every_instance() {
    let scene = Scene::ready("bindings");
    let start = crate::population::START_MS;
    let cards: Vec<String> = (0..200).map(|n| format!("c-bound-{n}")).collect();
    let bound: Vec<Line> = cards
        .iter()
        .zip(0..)
        .map(|(card, n)| binding(&format!("b-{n}"), card, &format!("p-bound-{n}"), start + n))
        .collect();
    let mut one = scene.start_ready("one");
    send(&scene, &bound);
    scene.settle(Duration::from_secs(60));
    assert!(one.has_ended().is_none());
    assert!(one.kill());
    // Two new instances share the bank's partitions, which no longer tell the bindings.
    let two = scene.start_ready("two");
    let three = scene.start_ready("three");
    let later = start + 10 * MINUTE_MS;
    let mut paid: Vec<Line> = cards
        .iter()
        .zip(0..)
        .map(|(card, n)| unnamed(&format!("a-{n}"), card, later + n))
        .collect();
    paid.push(unnamed("a-alone", "c-of-nobody", later + 500));
    send(&scene, &paid);
    scene.settle(Duration::from_secs(60));
    two.finish();
    three.finish();
    let keys: BTreeMap<String, (String, String)> = scene
        .drain("varsel.log")
        .iter()
        .filter(|record| record.header("v") == "e")
        .map(|record| {
            let row: Value = serde_json::from_slice(&record.value).unwrap();
            let id = row["id"].as_str().unwrap().to_owned();
            (id, (record.key_text(), record.header("h").to_owned()))
        })
        .collect();
    for n in 0..cards.len() {
        assert_eq!(
            keys[&format!("a-{n}")],
            (format!("p-bound-{n}"), String::new())
        );
    }
    assert_eq!(
        keys["a-alone"],
        ("c-of-nobody".to_owned(), "card".to_owned())
    );
    let sums = truth::sums(&scene);
    sums.tell("bindings", Some(1));
    sums.hold(&scene);
}

#[test]
fn an_event_an_hour_behind_the_clock_is_judged_and_one_an_hour_ahead_is_refused() {
    let scene = Scene::ready("clock");
    let monitor = scene.start_ready("one");
    let now = varsel::clock::now_ms();
    let hour = 60 * MINUTE_MS;
    send(
        &scene,
        &[
            unnamed("now", "c-clock", now),
            unnamed("behind", "c-clock", now - hour),
            unnamed("ahead-a-little", "c-clock", now + 5 * MINUTE_MS),
            unnamed("ahead", "c-clock", now + hour),
        ],
    );
    scene.settle(Duration::from_secs(30));
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("clock", None);
    sums.hold(&scene);
    assert_eq!((sums.rejected, sums.decisions, sums.late), (1, 3, 1));
    let letters = scene.drain("varsel.dead-letters");
    assert_eq!(letters[0].header("varsel-reason"), "future_time");
}

#[test]
fn a_trace_goes_with_its_event_into_the_log_and_onto_what_comes_of_it() {
    let scene = Scene::ready("trace");
    let monitor = scene.start_ready("one");
    let trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut feed = scene.feed();
    let mut sent = 0;
    for line in lines::story("attack-2018", "-t", None) {
        let topic = scene.topic(line.topic);
        feed.raw(
            &topic,
            line.key.as_bytes(),
            line.text.as_bytes(),
            &[("traceparent", trace)],
        );
        sent += 1;
    }
    feed.flush();
    scene.settle(Duration::from_secs(60));
    let log = scene.drain("varsel.log");
    let traced = |records: &[crate::drain::Record]| {
        let with = records
            .iter()
            .filter(|r| r.headers.get("traceparent").is_some_and(|t| t == trace));
        with.count()
    };
    assert_eq!(traced(&log), sent);
    let decisions = scene.drain("varsel.decisions");
    assert_eq!(traced(&decisions), decisions.len());
    assert!(traced(&scene.drain("varsel.alerts")) > 0);
    monitor.finish();
}

#[test]
fn a_bank_topic_of_one_partition_and_one_of_many_are_both_read_whole() {
    let scene = Scene::ready("uneven");
    let topic = scene.topic("bank.eid");
    scene
        .topics
        .grow(&topic, usize::try_from(BANK_PARTITIONS * 5).unwrap());
    until("the partitions are there", Duration::from_secs(30), || {
        (scene.topics.partitions(&topic) == BANK_PARTITIONS * 5).then_some(())
    });
    let monitor = scene.start_ready("one");
    send(&scene, &lines::crowd(500, 85, 5_000));
    scene.settle(Duration::from_secs(60));
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("uneven", None);
    sums.hold(&scene);
}
