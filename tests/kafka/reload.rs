//! Rule books reloaded under load, every third of them bad: none of them costs an event, the bad ones change nothing,
//! and every decision names the one book that was in force where its event stands in the log.

use crate::feed::paced;
use crate::lines;
use crate::monitor::Monitor;
use crate::scene::{PARTITIONS, Scene};
use crate::wait::until;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const RELOADS: usize = 60;

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            std::fs::copy(&path, copy).unwrap();
        }
    }
}

/// A trusted merchant more, so that the book is another one.
fn change(rules: &Path, number: usize) {
    let path = rules.join("lists/trusted-merchants.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{text}m-reload-{number}\n")).unwrap();
}

/// Decisions that name another book than the one in force at their place in the log; and how many books were named.
fn misnamed(scene: &Scene) -> (usize, usize, usize) {
    let mut in_force: BTreeMap<i32, Vec<(i64, String)>> = BTreeMap::new();
    let mut events = 0;
    for record in scene.drain("varsel.log") {
        match record.header("v") {
            "c" => {
                let row: Value = serde_json::from_slice(&record.value).unwrap();
                let version = row["version"].as_str().unwrap().to_owned();
                in_force
                    .entry(record.partition)
                    .or_default()
                    .push((record.offset, version));
            }
            "e" => events += 1,
            _ => {}
        }
    }
    assert!(events > 0);
    assert_eq!(
        in_force.len(),
        usize::try_from(PARTITIONS).unwrap(),
        "not every partition has control records"
    );
    let mut wrong = 0;
    let mut named = BTreeSet::new();
    let decisions = scene.drain("varsel.decisions");
    for record in &decisions {
        let row: Value = serde_json::from_slice(&record.value).unwrap();
        let (place, offset) = row["position"].as_str().unwrap().rsplit_once('@').unwrap();
        let partition: i32 = place.rsplit_once('/').unwrap().1.parse().unwrap();
        let offset: i64 = offset.parse().unwrap();
        let version = row["ruleset"].as_str().unwrap();
        named.insert(version.to_owned());
        let before = in_force[&partition].iter().rfind(|(at, _)| *at < offset);
        wrong += usize::from(before.is_some_and(|(_, known)| known != version));
    }
    (wrong, named.len(), decisions.len())
}

/// One reload of the storm, and what it was counted as; every third book is bad.
fn reload(monitor: &mut Monitor, rules: &Path, number: usize) {
    let bad = rules.join("zz-bad.yaml");
    let refused = number.is_multiple_of(3);
    if refused {
        std::fs::write(&bad, "rules:\n  - id: broken\n    when: ammount >\n").unwrap();
    } else {
        change(rules, number);
    }
    let result = if refused { "refused" } else { "accepted" };
    let before = monitor.metric("varsel_rulebook_reloads_total", result);
    monitor.hang_up();
    until("the reload is counted", Duration::from_secs(20), || {
        (monitor.metric("varsel_rulebook_reloads_total", result) > before).then_some(())
    });
    if refused {
        std::fs::remove_file(&bad).unwrap();
    }
}

#[test]
fn a_storm_of_reloads_with_every_third_bad_costs_no_event_and_leaves_no_doubt_which_book_decided() {
    let mut scene = Scene::new("reload");
    scene.make_bank_topics();
    let rules = scene.dir.join("book");
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"), &rules);
    scene.set_text("rules", "dir", "./book");
    scene.make_own_topics();
    let lines = lines::busy(2_000, 71, 120_000, 1);
    let stop = AtomicBool::new(false);
    let mut monitor = scene.start_ready("one");
    std::thread::scope(|threads| {
        let bank = threads.spawn(|| {
            let mut feed = scene.feed();
            let sent = paced(&mut feed, &scene.name, &lines, 1_500, &stop);
            feed.flush();
            sent
        });
        for number in 1..=RELOADS {
            reload(&mut monitor, &rules, number);
        }
        stop.store(true, Ordering::Relaxed);
        bank.join().unwrap();
    });
    scene.settle(Duration::from_secs(120));
    let refusals = monitor.metric("varsel_rulebook_reloads_total", "refused");
    assert!(
        monitor.said().contains("zz-bad.yaml"),
        "what was wrong with the bad book is told nowhere"
    );
    monitor.finish();
    let (wrong, named, decisions) = misnamed(&scene);
    let (decided, twice) = decided(&scene);
    crate::tell::counted(
        "reload-storm",
        &[
            ("records", &decided.len()),
            (
                "lost",
                &decided.values().filter(|count| **count == 0).count(),
            ),
            ("doubled", &twice),
            ("reloads", &RELOADS),
            ("refused", &refusals),
            ("books_named", &named),
            ("decisions", &decisions),
            ("misnamed", &wrong),
        ],
    );
    let lost: Vec<_> = decided
        .iter()
        .filter(|(_, count)| **count == 0)
        .take(5)
        .collect();
    assert!(lost.is_empty(), "no decision for {lost:?}");
    assert_eq!((wrong, twice), (0, 0));
    assert!(
        named > RELOADS / 3,
        "only {named} books were named in decisions"
    );
}

/// Lines of decision by event that must have one; and how many have several.
fn decided(scene: &Scene) -> (BTreeMap<String, usize>, usize) {
    let mut wanted = BTreeMap::new();
    for topic in ["bank.authorizations", "bank.eid"] {
        for record in scene.drain(topic) {
            let row: Value = serde_json::from_slice(&record.value).unwrap();
            if !matches!(row["kind"].as_str(), Some("reversal" | "refund")) {
                wanted.insert(row["id"].as_str().unwrap().to_owned(), 0);
            }
        }
    }
    let mut twice = 0;
    for record in scene.drain("varsel.decisions") {
        let row: Value = serde_json::from_slice(&record.value).unwrap();
        if let Some(count) = wanted.get_mut(row["event"].as_str().unwrap()) {
            *count += 1;
            twice += usize::from(*count > 1);
        }
    }
    (wanted, twice)
}
