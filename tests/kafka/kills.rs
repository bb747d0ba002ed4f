//! `kill -9` and SIGTERM at any moment, under load: nothing lost, nothing said twice otherwise than it was said.
//!
//! Moments come from a seed that is told, so that a failure can be met again as nearly as processes allow.

use crate::feed::paced;
use crate::lines;
use crate::population::Dice;
use crate::scene::Scene;
use crate::truth;
use crate::wait::pause;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Kills of the run, by `--kills`.
fn kills() -> usize {
    std::env::var("VARSEL_KAFKA_KILLS").map_or(30, |text| text.parse().unwrap())
}

/// Between so many milliseconds a monitor is left alone before it is hit.
const ALONE_MS: std::ops::Range<u64> = 300..4_000;

fn moment(dice: &mut Dice) -> Duration {
    Duration::from_millis(ALONE_MS.start + dice.below(ALONE_MS.end - ALONE_MS.start))
}

fn seed() -> u64 {
    let seed = varsel::clock::now_ms().unsigned_abs();
    println!("    seed {seed}");
    seed
}

/// Hits a monitor again and again while the bank sends; `hit` ends it.
fn under_load(
    scene: &Scene,
    hits: usize,
    dice: &mut Dice,
    mut hit: impl FnMut(usize, crate::monitor::Monitor),
) {
    // A long run is for its kills; its load must still fit into memory at the end.
    let per_second = if hits > 100 { 300 } else { 1_500 };
    let lines = lines::busy(
        2_000,
        dice.0,
        hits * 3 * usize::try_from(per_second).unwrap(),
        2,
    );
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let bank = threads.spawn(|| {
            let mut feed = scene.feed();
            let sent = paced(&mut feed, &scene.name, &lines, per_second, &stop);
            feed.flush();
            sent
        });
        let mut in_work = 0;
        let mut logged = 0;
        for number in 0..hits {
            let monitor = scene.start("one");
            pause(moment(dice));
            let now = scene.topics.records(&scene.topic("varsel.log"));
            in_work += usize::from(now > logged);
            logged = now;
            hit(number, monitor);
        }
        stop.store(true, Ordering::Relaxed);
        let sent = bank.join().unwrap();
        println!("    {sent} lines sent, {in_work} of {hits} hits met a monitor at work");
        assert!(
            in_work * 2 > hits,
            "only {in_work} of {hits} hits met a monitor at work"
        );
    });
}

#[test]
fn kill_9_at_any_moment_under_load_loses_and_doubles_nothing() {
    let mut scene = Scene::new("kills");
    scene.make_bank_topics();
    // A static member is known again at once; else each restart would wait for the dead one's session to end.
    scene.set("run", "static_membership", true);
    scene.make_own_topics();
    let mut dice = Dice(seed());
    let hits = kills();
    under_load(&scene, hits, &mut dice, |number, monitor| {
        let words = monitor.said();
        assert!(
            monitor.kill(),
            "before kill {number} it had ended by itself: {words}"
        );
    });
    let monitor = scene.start_ready("one");
    scene.settle(Duration::from_secs(300));
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("kills", Some(hits));
    sums.hold(&scene);
    assert!(sums.alerts > 100, "{sums:?}");
}

#[test]
fn kill_9_of_a_dynamic_member_loses_and_doubles_nothing() {
    let scene = Scene::ready("kills-dynamic");
    let mut dice = Dice(seed());
    let hits = kills().min(30) / 3;
    under_load(&scene, hits, &mut dice, |_, monitor| {
        // Beyond the dead one's session, so that the kill meets one at work.
        pause(Duration::from_secs(6));
        monitor.kill();
    });
    let monitor = scene.start_ready("one");
    scene.settle(Duration::from_secs(300));
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("kills-dynamic", Some(hits));
    sums.hold(&scene);
}

#[test]
fn a_restart_in_good_order_at_any_moment_loses_and_doubles_nothing() {
    let scene = Scene::ready("restarts");
    let mut dice = Dice(seed());
    let hits = kills().min(30) / 3;
    under_load(&scene, hits, &mut dice, |_, mut monitor| {
        monitor.terminate();
        let ended = monitor.wait_end(Duration::from_secs(11));
        assert_eq!(ended.code, Some(0), "{}", ended.said);
    });
    let monitor = scene.start_ready("one");
    scene.settle(Duration::from_secs(300));
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("restarts", Some(hits));
    sums.hold(&scene);
}

#[test]
fn a_killed_monitor_starts_without_its_checkpoints_and_says_the_same() {
    let scene = Scene::ready("no-checkpoint");
    let lines = lines::busy(500, 11, 8_000, 1);
    let (first, rest) = lines.split_at(lines.len() / 2);
    let mut feed = scene.feed();
    for line in first {
        feed.line(&scene.name, line);
    }
    feed.flush();
    let monitor = scene.start_ready("one");
    scene.settle(Duration::from_secs(120));
    assert!(monitor.kill());
    std::fs::remove_dir_all(scene.dir.join("state")).unwrap();
    for line in rest {
        feed.line(&scene.name, line);
    }
    feed.flush();
    let monitor = scene.start_ready("one");
    scene.settle(Duration::from_secs(120));
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("no-checkpoint", Some(1));
    sums.hold(&scene);
}

#[test]
fn a_damaged_newest_checkpoint_falls_back_to_the_one_before() {
    let scene = Scene::ready("damaged");
    let mut feed = scene.feed();
    let monitor = scene.start_ready("one");
    for part in lines::busy(500, 13, 8_000, 1).chunks(4_000) {
        for line in part {
            feed.line(&scene.name, line);
        }
        feed.flush();
        scene.settle(Duration::from_secs(120));
        // Two rounds of checkpoints.
        pause(Duration::from_secs(5));
    }
    assert!(monitor.kill());
    let damaged = damage_newest(&scene.dir.join("state"));
    assert!(damaged > 0, "there was no checkpoint to damage");
    let mut monitor = scene.start_ready("one");
    let fallbacks = monitor.metric("varsel_checkpoint_fallbacks_total", "");
    assert!(
        fallbacks >= 1.0,
        "{damaged} damaged checkpoints and no fallback was counted"
    );
    scene.settle(Duration::from_secs(60));
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("damaged", Some(1));
    sums.hold(&scene);
}

/// Flips a byte in the middle of the newest file of every folder that has several; how many.
fn damage_newest(dir: &std::path::Path) -> usize {
    let mut files = Vec::new();
    let mut damaged = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damaged += damage_newest(&path);
        } else {
            files.push((path.metadata().unwrap().modified().unwrap(), path));
        }
    }
    files.sort();
    if let Some((_, newest)) = files.pop()
        && !files.is_empty()
    {
        let mut bytes = std::fs::read(&newest).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x5A;
        std::fs::write(&newest, bytes).unwrap();
        damaged += 1;
    }
    damaged
}
