//! The suite's own ground: what the other tests stand on, tried without the monitor.
//! What each must show stands in `truth.rs`; how monitor and broker are driven, in files of their own.

use crate::lines;
use crate::scene::{BANK_PARTITIONS, Scene};
use crate::truth::{Sequences, Sums, compare, lines as sequences};

#[test]
fn what_is_fed_is_drained_with_keys_and_headers() {
    let scene = Scene::new("ground");
    scene.make_bank_topics();
    let mut feed = scene.feed();
    let topic = scene.topic("bank.eid");
    feed.raw(&topic, b"k", b"value", &[("traceparent", b"00-1-2-01")]);
    for line in lines::crowd(50, 1, 500) {
        feed.line(&scene.name, &line);
    }
    assert_eq!(feed.flush(), 501);
    let marked: Vec<_> = scene
        .drain("bank.eid")
        .into_iter()
        .filter(|record| record.value == b"value")
        .collect();
    assert_eq!(marked.len(), 1);
    assert_eq!(marked[0].header("traceparent"), "00-1-2-01");
    let held: u64 = crate::scene::BANK
        .iter()
        .map(|topic| scene.topics.records(&scene.topic(topic)))
        .sum();
    assert_eq!(held, 501);
}

#[test]
fn the_broker_comes_back_from_a_kill_with_what_it_acknowledged() {
    let scene = Scene::new("ground");
    scene.make_bank_topics();
    let mut feed = scene.feed();
    for line in lines::crowd(50, 2, 300) {
        feed.line(&scene.name, &line);
    }
    feed.flush();
    scene.broker.kill();
    scene.broker.start();
    let held: usize = crate::scene::BANK
        .iter()
        .map(|t| scene.drain(t).len())
        .sum();
    assert_eq!(held, 300);
}

#[test]
fn a_cut_topic_begins_where_it_was_cut_and_a_grown_one_has_more_partitions() {
    let scene = Scene::new("ground");
    scene.make_bank_topics();
    let topic = scene.topic("bank.eid");
    let mut feed = scene.feed();
    for number in 0..60 {
        feed.raw(&topic, format!("k{number}").as_bytes(), b"{}", &[]);
    }
    feed.flush();
    let (low, high) = scene.topics.bounds(&topic)[0];
    assert!(low == 0 && high > 2, "{low} {high}");
    scene.topics.cut(&topic, 0, 2);
    assert_eq!(scene.topics.bounds(&topic)[0], (2, high));
    let more = BANK_PARTITIONS + 2;
    scene.topics.grow(&topic, usize::try_from(more).unwrap());
    crate::wait::until("two more partitions", crate::topics::LIMIT, || {
        (scene.topics.partitions(&topic) == more).then_some(())
    });
}

fn one(key: &str, lines: &[&str]) -> Sequences {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    Sequences::from([(key.to_owned(), lines)])
}

#[test]
fn the_comparison_sees_what_is_lost_what_is_too_much_and_what_is_out_of_order() {
    let wanted = one("p", &["a", "b", "c"]);
    for (found, lost, doubled, faults) in [
        (one("p", &["a", "b", "c"]), 0, 0, 0),
        (one("p", &["a", "c"]), 1, 0, 1),
        (one("p", &["a", "b", "c", "d"]), 0, 1, 1),
        (one("p", &["a", "c", "b"]), 0, 0, 1),
        (one("q", &["a", "b", "c"]), 3, 3, 2),
    ] {
        let mut sums = Sums::default();
        compare("lines", &wanted, &found, &mut sums);
        assert_eq!(
            (sums.lost, sums.doubled, sums.faults.len()),
            (lost, doubled, faults)
        );
    }
}

#[test]
fn a_byte_identical_repeat_is_counted_and_left_out() {
    let record = |value: &str| crate::drain::Record {
        partition: 0,
        offset: 0,
        key: b"p".to_vec(),
        value: value.as_bytes().to_vec(),
        headers: std::collections::BTreeMap::new(),
    };
    let mut repeated = 0;
    let found = sequences(
        &[record("a"), record("b"), record("b"), record("c")],
        &mut repeated,
    );
    assert_eq!((found, repeated), (one("p", &["a", "b", "c"]), 1));
}
