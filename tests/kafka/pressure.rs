//! More than it can take: a backlog of hours, a sink that holds back, one cardholder with a fifth of all traffic.
//! What each must show stands in `truth.rs`; how monitor and broker are driven, in files of their own.

use crate::lines::{self, Line};
use crate::scene::Scene;
use crate::truth;
use crate::wait::{pause, within};
use std::time::Duration;
use varsel::clock::Stopwatch;

const LIMIT: Duration = Duration::from_secs(300);

/// Puts lines there before the monitor starts; returns how long it takes from its start until all is committed.
fn caught_up(scene: &Scene, lines: &[Line]) -> Duration {
    let mut feed = scene.feed();
    for line in lines {
        feed.line(&scene.name, line);
    }
    feed.flush();
    let watch = Stopwatch::start();
    let monitor = scene.start("one");
    scene.settle(LIMIT);
    let took = watch.elapsed();
    monitor.finish();
    took
}

#[test]
fn a_cold_start_catches_up_at_ten_times_real_time_and_more() {
    let scene = Scene::ready("catch-up");
    let lines = lines::busy(20_000, 41, 150_000, 1);
    let took = caught_up(&scene, &lines);
    // The crowd's own time: the stories in it begin weeks before.
    let crowd = lines.iter().filter(|line| !line.id.contains("-41x"));
    let times: Vec<i64> = crowd.map(|line| line.at_ms).collect();
    let span = (times[times.len() - 1] - times[0]) as f64 / 1_000.0;
    let faster = span / took.as_secs_f64();
    let sums = truth::sums(&scene);
    sums.tell("catch-up", None);
    let rate = lines.len() as f64 / took.as_secs_f64();
    let late = sums.late as f64 / lines.len() as f64;
    crate::tell::counted(
        "catch-up-speed",
        &[
            ("seconds", &format!("{:.1}", took.as_secs_f64())),
            ("events_per_s", &format!("{rate:.0}")),
            ("times_real", &format!("{faster:.0}")),
            ("late_share", &format!("{late:.4}")),
        ],
    );
    sums.hold(&scene);
    assert!(faster >= 10.0, "{faster:.1} times real time");
    // Five topics read one after another instead of by time would make most events late.
    assert!(
        late < 0.05,
        "{:.1} % of the events were judged late",
        late * 100.0
    );
}

#[test]
fn a_broker_that_stalls_again_and_again_does_not_make_it_grow() {
    let mut scene = Scene::new("stalls");
    scene.make_bank_topics();
    scene.set("bounds", "in_flight", 2_048);
    scene.set_text("run", "session_timeout", "10s");
    scene.make_own_topics();
    let mut feed = scene.feed();
    for line in lines::busy(5_000, 43, 200_000, 1) {
        feed.line(&scene.name, &line);
    }
    feed.flush();
    let monitor = scene.start("one");
    let mut levels = Vec::new();
    let mut stalls = 0;
    let done = within(LIMIT, || {
        // Three seconds of silence in four: about a tenth of the speed at which it could go.
        scene.broker.freeze();
        pause(Duration::from_secs(3));
        scene.broker.thaw();
        stalls += 1;
        levels.push(monitor.resident());
        pause(Duration::from_secs(1));
        (scene.behind() == (0, 0) || stalls == 12).then_some(())
    });
    assert!(done.is_some());
    scene.settle(LIMIT);
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("stalls", None);
    let peak = levels.iter().max().copied().unwrap_or(0) >> 20;
    crate::tell::counted("stalls-memory", &[("stalls", &stalls), ("peak_mib", &peak)]);
    sums.hold(&scene);
    assert!(peak < 600, "{peak} MiB while the broker held back");
}

#[test]
fn one_cardholder_with_a_fifth_of_all_traffic_is_judged_in_order_and_holds_nobody_up() {
    let even = Scene::ready("even");
    let lines = lines::crowd(5_000, 47, 60_000);
    let took_even = caught_up(&even, &lines);
    truth::sums(&even).hold(&even);
    let scene = Scene::ready("hot");
    let mut taken = 0;
    let hot: Vec<Line> = lines
        .iter()
        .enumerate()
        .map(|(place, line)| {
            if taken * 5 <= place && line.topic == "bank.authorizations" {
                taken += 1;
                busiest(line)
            } else {
                line.clone()
            }
        })
        .collect();
    let share = hot.iter().filter(|line| line.key == HOT).count() * 100 / hot.len();
    let took = caught_up(&scene, &hot);
    let sums = truth::sums(&scene);
    sums.tell("hot-key", None);
    crate::tell::counted(
        "hot-key-speed",
        &[
            ("share_percent", &share),
            ("seconds", &format!("{:.1}", took.as_secs_f64())),
            ("seconds_even", &format!("{:.1}", took_even.as_secs_f64())),
        ],
    );
    sums.hold(&scene);
    assert!(share >= 19, "only {share} % are the busiest person's");
    let slack = Duration::from_secs(5);
    assert!(
        took < took_even * 2 + slack,
        "{took:?}, without the hot key {took_even:?}"
    );
}

const HOT: &str = "p-hot";

/// The same payment by the busiest person there is.
fn busiest(line: &Line) -> Line {
    let mut row: serde_json::Value = serde_json::from_str(&line.text).unwrap();
    row["cardholder"] = HOT.into();
    row["card"] = "c-hot".into();
    Line::of(row.to_string())
}
