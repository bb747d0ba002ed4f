//! News as they are stored: streams, their bounds and their end. What a page makes of them is for
//! `tests/browser`.

use super::*;

#[test]
fn a_page_hears_of_an_alert_as_it_is_stored() {
    let lines = story();
    let (early, late) = lines.split_at(lines.len() / 4);
    let mut world = World::with(early);
    let known = world.episodes();
    let anna = world.visit("anna");
    let mut listening = anna.listen();
    assert_eq!(listening.status, 200);
    assert_eq!(listening.next().unwrap().0, "hello");
    world.bank.feed(late);
    // A page asks for its rows at every news, as this does.
    let mut named = None;
    while !world.episodes().iter().any(|id| !known.contains(id)) {
        let (name, data) = listening.next().unwrap();
        assert_eq!(name, "news");
        let data: serde_json::Value = serde_json::from_str(&data).unwrap();
        named = data["alert"].as_str().map(str::to_owned).or(named);
    }
    while named.is_none() {
        let (_, data) = listening.next().unwrap();
        let data: serde_json::Value = serde_json::from_str(&data).unwrap();
        named = data["alert"].as_str().map(str::to_owned);
        assert!(named.is_none() || data["severity"].as_i64().unwrap() > 0);
    }
    world.until(|_| world.episodes().contains(named.as_ref().unwrap()));
}

#[test]
fn a_stream_ends_with_its_session() {
    let world = World::with(&[]);
    let mut anna = world.visit("anna");
    let mut listening = anna.listen();
    assert_eq!(listening.next().unwrap().0, "hello");
    anna.submit("/console/log-out", &[]);
    let mut last = listening.next().unwrap();
    while last.0 == "news" {
        last = listening.next().unwrap();
    }
    assert_eq!(last.0, "over");
    assert_eq!(listening.next(), None);
    assert_eq!(anna.listen().status, 401);
}

#[test]
fn streams_are_bounded_for_each_person() {
    let world = World::with(&[]);
    let anna = world.visit("anna");
    let mut streams: Vec<_> = (0..8).map(|_| anna.listen()).collect();
    for stream in &mut streams {
        assert_eq!(
            (stream.status, stream.next().unwrap().0.as_str()),
            (200, "hello")
        );
    }
    assert_eq!(anna.listen().status, 503);
    // Another's are not touched, and one that is closed makes room.
    assert_eq!(world.visit("bo").listen().status, 200);
    drop(streams.pop());
    let watch = Stopwatch::start();
    while anna.listen().status != 200 {
        assert!(
            watch.elapsed() < PATIENCE,
            "a place that was left stays taken"
        );
    }
}
