//! The broker gone, killed or silent for a while; the checkpoints' disk full.
//!
//! The monitor must wait, say that it is not ready, not grow, and go on by itself.

use crate::feed::{Feed, paced};
use crate::lines;
use crate::monitor::Monitor;
use crate::scene::Scene;
use crate::truth;
use crate::wait::{pause, until, within};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use varsel::clock::Stopwatch;

/// How soon after the broker's return the monitor must be at work again (FAULTS.md, row 5).
const BACK: Duration = Duration::from_secs(10);
/// How soon where the client was lost, so that the process had to begin anew (`stream/pulse.rs`): the group waits for
/// the member that it was until that one's session is over.
const BACK_ANEW: Duration = Duration::from_secs(30);

/// Waits until the monitor is ready; how long it took.
fn ready_again(test: &str, monitor: &mut Monitor) -> Duration {
    let watch = Stopwatch::start();
    // What it lacked meanwhile, for whoever reads that it took too long.
    let mut lacked = Vec::new();
    let ready = within(BACK * 6, || {
        let (status, said) = monitor.get("/readyz")?;
        if lacked.last().is_none_or(|(_, last)| *last != said) {
            lacked.push((watch.elapsed(), said));
        }
        (status == 200).then_some(())
    });
    let back = watch.elapsed();
    if back > bound(monitor) {
        for (after, said) in &lacked {
            println!("    {test}: {after:?} after the return: {said}");
        }
    }
    assert!(ready.is_some(), "not ready again: {}", monitor.said());
    back
}

/// How soon this monitor must be at work again.
fn bound(monitor: &Monitor) -> Duration {
    let is_new = monitor.said().contains("begins anew");
    if is_new { BACK_ANEW } else { BACK }
}

/// Takes the broker away under load with `take`, gives it back with `give`, and holds what came of it.
fn outage(test: &str, away: Duration, take: impl Fn(&Scene), give: impl Fn(&Scene)) {
    let scene = Scene::new(test);
    scene.make_bank_topics();
    scene.make_own_topics();
    let lines = lines::busy(2_000, 21, 120_000, 1);
    let stop = AtomicBool::new(false);
    let mut monitor = scene.start_ready("one");
    let mut back = Duration::ZERO;
    let mut unready = false;
    std::thread::scope(|threads| {
        let bank = threads.spawn(|| {
            let mut feed = scene.feed();
            paced(&mut feed, &scene.name, &lines, 1_500, &stop);
            feed.flush();
        });
        pause(Duration::from_secs(6));
        let cpu = monitor.cpu();
        take(&scene);
        let watch = Stopwatch::start();
        while watch.elapsed() < away {
            pause(Duration::from_secs(1));
            unready |= monitor
                .get("/readyz")
                .is_some_and(|(status, _)| status == 503);
            assert!(
                monitor.has_ended().is_none(),
                "it gave up: {}",
                monitor.said()
            );
        }
        let busy = monitor.cpu() - cpu;
        assert!(
            busy < away / 2,
            "it turned in a loop: {busy:?} of processor time in {away:?}"
        );
        let (level, _) = (monitor.resident(), give(&scene));
        back = ready_again(test, &mut monitor);
        assert!(
            level < 1 << 30,
            "{level} bytes in memory while the broker was away"
        );
        pause(Duration::from_secs(5));
        stop.store(true, Ordering::Relaxed);
        bank.join().unwrap();
    });
    scene.settle(Duration::from_secs(180));
    let bound = bound(&monitor);
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell(test, None);
    crate::tell::counted(
        &format!("{test}-back"),
        &[("seconds", &back.as_secs_f64()), ("unready", &unready)],
    );
    sums.hold(&scene);
    assert!(
        back <= bound,
        "ready again only {back:?} after the broker's return"
    );
    assert!(
        unready || away < Duration::from_secs(25),
        "it said all the while that it was ready"
    );
}

#[test]
fn a_broker_stopped_for_30_s_costs_nothing_but_the_time() {
    let thirty = Duration::from_secs(30);
    outage("stopped", thirty, |s| s.broker.stop(), |s| s.broker.start());
}

#[test]
fn a_broker_killed_costs_nothing_but_the_time() {
    let five = Duration::from_secs(5);
    outage(
        "broker-killed",
        five,
        |s| s.broker.kill(),
        |s| s.broker.start(),
    );
}

#[test]
fn a_broker_that_keeps_its_connections_and_answers_nothing_costs_nothing_but_the_time() {
    let twenty = Duration::from_secs(20);
    outage("frozen", twenty, |s| s.broker.freeze(), |s| s.broker.thaw());
}

/// A file system of its own, of so many bytes; unmounted at the end.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(dir: &'a Path, size: &str) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "varsel-test"])
            .arg(dir)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "this test needs a small tmpfs and may not mount one ({}): run it as root, or under `unshare --map-root-user --mount`",
            String::from_utf8_lossy(&done.stderr).trim()
        );
        Self(dir)
    }

    fn resize(&self, size: &str) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,size={size}")])
            .arg(self.0)
            .status()
            .unwrap();
        assert!(done.success());
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn send(feed: &mut Feed, scene: &Scene, lines: &[lines::Line]) {
    for line in lines {
        feed.line(&scene.name, line);
    }
    feed.flush();
}

#[test]
fn a_full_disk_for_checkpoints_is_told_and_what_comes_after_it_is_whole() {
    let mut scene = Scene::new("full");
    scene.make_bank_topics();
    let dir = scene.dir.join("small");
    scene.set_text("checkpoint", "url", "./small");
    scene.set_text("checkpoint", "every", "1s");
    scene.make_own_topics();
    let disk = Small::mount(&dir, "256k");
    let lines = lines::busy(5_000, 31, 40_000, 1);
    let (first, rest) = lines.split_at(lines.len() / 2);
    let mut feed = scene.feed();
    let mut monitor = scene.start_ready("one");
    send(&mut feed, &scene, first);
    until(
        "a failed checkpoint is counted",
        Duration::from_secs(60),
        || (monitor.metric("varsel_checkpoint_failures_total", "") > 0.0).then_some(()),
    );
    let told = within(Duration::from_secs(30), || {
        let (status, body) = monitor.get("/readyz")?;
        (status == 503).then_some(body)
    });
    let told =
        told.unwrap_or_else(|| panic!("/readyz says yes on a full disk: {}", monitor.said()));
    assert!(
        told.contains("checkpoint"),
        "/readyz does not say why: {told}"
    );
    disk.resize("256m");
    monitor.wait_ready(Duration::from_secs(60));
    send(&mut feed, &scene, rest);
    scene.settle(Duration::from_secs(120));
    // What it wrote after the disk was full must be good to start from.
    pause(Duration::from_secs(3));
    assert!(monitor.kill());
    let mut monitor = scene.start_ready("one");
    let fallbacks = monitor.metric("varsel_checkpoint_fallbacks_total", "");
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("full-disk", Some(1));
    sums.hold(&scene);
    assert!(
        fallbacks < 0.5,
        "{fallbacks} checkpoints written after the full disk were bad"
    );
}
