//! Several instances in one group: coming, going, frozen, started twice by mistake, and known to each other.
//! What each must show stands in `truth.rs`; how monitor and broker are driven, in files of their own.

use crate::feed::paced;
use crate::lines;
use crate::monitor::Monitor;
use crate::population::Dice;
use crate::scene::{PARTITIONS, Scene};
use crate::truth;
use crate::wait::{pause, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Runs `act` while the bank sends, then lets one member bring everything to its end, and holds the sums.
fn while_fed(scene: &Scene, test: &str, per_second: u64, seconds: u64, act: impl FnOnce()) {
    let count = usize::try_from(per_second * seconds).unwrap();
    let lines = lines::busy(2_000, per_second, count, 1);
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let bank = threads.spawn(|| {
            let mut feed = scene.feed();
            paced(&mut feed, &scene.name, &lines, per_second, &stop);
            feed.flush();
        });
        act();
        stop.store(true, Ordering::Relaxed);
        bank.join().unwrap();
    });
    let monitor = scene.start_ready("last");
    scene.settle(Duration::from_secs(300));
    monitor.finish();
    let sums = truth::sums(scene);
    sums.tell(test, None);
    sums.hold(scene);
    assert!(sums.records > 1_000 && sums.decisions > 0, "{sums:?}");
}

#[test]
fn members_coming_and_going_every_few_seconds_lose_and_double_nothing() {
    let scene = Scene::ready("members");
    while_fed(&scene, "members", 1_000, 70, || {
        let mut dice = Dice(4);
        let mut members: [Option<Monitor>; 3] = [None, None, None];
        for _ in 0..20 {
            let place = usize::try_from(dice.below(3)).unwrap();
            members[place] = match members[place].take() {
                None => Some(scene.start(["m0", "m1", "m2"][place])),
                Some(member) => {
                    if dice.below(2) == 0 {
                        member.finish();
                    } else {
                        member.kill();
                    }
                    None
                }
            };
            pause(Duration::from_millis(2_000 + dice.below(2_000)));
        }
    });
}

#[test]
fn a_member_frozen_past_its_session_and_thawed_does_no_harm() {
    let scene = Scene::ready("zombie");
    while_fed(&scene, "zombie", 1_500, 90, || {
        let frozen = scene.start_ready("frozen");
        pause(Duration::from_secs(5));
        let mut other = scene.start_ready("other");
        for _ in 0..3 {
            pause(Duration::from_secs(3));
            frozen.freeze();
            // Twice the session: the other has its partitions by then.
            pause(Duration::from_secs(12));
            let all = f64::from(PARTITIONS);
            until(
                "the other owns every partition",
                Duration::from_secs(20),
                || (other.metric("varsel_partitions_owned", "") >= all).then_some(()),
            );
            frozen.thaw();
        }
        pause(Duration::from_secs(3));
        frozen.finish();
        other.finish();
    });
}

#[test]
fn one_configuration_started_twice_does_no_harm() {
    let mut scene = Scene::new("twice");
    scene.make_bank_topics();
    scene.set("run", "static_membership", true);
    scene.set_text("run", "instance", "the-same");
    scene.make_own_topics();
    let mut conflict = String::new();
    while_fed(&scene, "twice", 1_000, 30, || {
        let mut one = scene.start_ready("one");
        let mut two = scene.start("two");
        // Fencing: of two with one name, one must go, and say why.
        let (name, ended) = until(
            "one of two with one name ends",
            Duration::from_secs(30),
            || {
                let ended = one.has_ended().map(|ended| ("one", ended));
                ended.or_else(|| two.has_ended().map(|ended| ("two", ended)))
            },
        );
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.said);
        conflict = ended.said;
        pause(Duration::from_secs(3));
        for mut member in [one, two] {
            if member.has_ended().is_none() {
                member.terminate();
                member.wait_end(Duration::from_secs(15));
            }
        }
    });
    assert!(
        conflict.contains("the-same") || conflict.contains("instance"),
        "it does not say who is in whose way: {conflict}"
    );
}

#[test]
fn each_instance_announces_what_it_owns() {
    let scene = Scene::ready("owners");
    let mut one = scene.start_ready("one");
    let mut two = scene.start_ready("two");
    let owners = || -> BTreeMap<String, Value> {
        let records = scene.drain("varsel.owners");
        records
            .iter()
            // Other things may be announced there under other keys.
            .filter(|record| !record.value.is_empty() && record.key_text().parse::<i32>().is_ok())
            .map(|r| (r.key_text(), serde_json::from_slice(&r.value).unwrap()))
            .collect()
    };
    let instances = |owners: &BTreeMap<String, Value>| -> BTreeSet<String> {
        owners
            .values()
            .map(|owner| owner["instance"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let all = usize::try_from(PARTITIONS).unwrap();
    let both = BTreeSet::from(["one".to_owned(), "two".to_owned()]);
    let told = until(
        "both own partitions, and say so",
        Duration::from_secs(30),
        || {
            let owners = owners();
            (owners.len() == all && instances(&owners) == both).then_some(owners)
        },
    );
    for owner in told.values() {
        for name in ["instance", "generation", "http", "since_ms", "ruleset"] {
            assert!(!owner[name].is_null(), "{name} is not in {owner}");
        }
    }
    let owned =
        one.metric("varsel_partitions_owned", "") + two.metric("varsel_partitions_owned", "");
    assert!(
        (owned - f64::from(PARTITIONS)).abs() < 0.5,
        "{owned} partitions owned"
    );
    two.kill();
    until(
        "the one left says that it owns all",
        Duration::from_secs(30),
        || {
            let owners = owners();
            (owners.len() == all && instances(&owners).len() == 1).then_some(())
        },
    );
    one.finish();
}
