//! News as they are stored: streams, their bounds and their end. What a page makes of them is for
//! `tests/browser`.

use super::*;
use std::path::Path;
use std::sync::atomic::Ordering;

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
fn the_health_page_has_the_rule_book_that_scores_now_of_each_instance() {
    let rules = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, rules.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    // What the rules need is in the folder's own folder.
    let lists = rules.path().join("lists");
    std::fs::create_dir(&lists).unwrap();
    for file in
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/lists")).unwrap()
    {
        let path = file.unwrap().path();
        std::fs::copy(&path, lists.join(path.file_name().unwrap())).unwrap();
    }
    let world = World::beginning(&[], Some(rules.path()), |_| {});
    let mut anna = world.visit("anna");
    let instance = world.bank.config.run.instance.clone();
    let mut shows = |version: &str| {
        let watch = Stopwatch::start();
        loop {
            let page = anna.get("/console/health").text;
            let (_, books) = page.split_once("id=\"h-books\"").unwrap();
            let (books, _) = books.split_once("</section>").unwrap();
            if books.contains(&instance) && books.contains(version) {
                return;
            }
            assert!(watch.elapsed() < PATIENCE, "no {version} in {books}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    shows(&varsel::rulebook::embedded().unwrap().book.version);
    let policy = rules.path().join("policy.yaml");
    let text = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(&policy, format!("{text}\n# Another book.\n")).unwrap();
    let next = varsel::rulebook::chosen(Some(rules.path()))
        .unwrap()
        .book
        .version;
    let monitor = world.monitor.as_ref().unwrap();
    monitor.signals.reload.store(true, Ordering::Relaxed);
    shows(&next);
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
