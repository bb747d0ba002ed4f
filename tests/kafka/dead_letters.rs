//! What cannot be read: it comes to the dead letters as it was, with the reason, costs nobody else anything, and can be
//! listed and sent again once it is mended.

use crate::drain::Record;
use crate::lines;
use crate::population::Dice;
use crate::scene::{BANK, Scene};
use crate::truth;
use std::collections::BTreeMap;
use std::time::Duration;

/// A scheme's prefix and a check digit: made when it is needed, so that no file shows one.
fn card_number() -> String {
    let digits: Vec<u32> = [4, 5, 3, 9, 1, 4, 8, 8, 0, 3, 4, 3, 6, 4, 6].to_vec();
    let doubled = digits.iter().rev().enumerate().map(|(place, digit)| {
        let digit = if place % 2 == 0 { digit * 2 } else { *digit };
        if digit > 9 { digit - 9 } else { digit }
    });
    let check = (10 - doubled.sum::<u32>() % 10) % 10;
    let text: String = digits.iter().map(ToString::to_string).collect();
    format!("{text}{check}")
}

/// A record that nobody can read, and the code of the reject.
fn poison(dice: &mut Dice, number: usize) -> (Vec<u8>, &'static [&'static str]) {
    match number % 7 {
        0 => {
            let bytes: Vec<u8> = (0..40 + dice.below(200)).map(|_| dice.roll().to_le_bytes()[0] | 0x80).collect();
            (bytes, &["not_utf8"])
        }
        1 => (format!("{}{}", "[".repeat(100), "]".repeat(100)).into_bytes(), &["too_deep", "not_an_object"]),
        2 => (
            br#"{"type":"authorization","id":"n","at":"2026-01-05T20:00:00Z","card":"c","amount_minor":NaN}"#.to_vec(),
            &["malformed_json"],
        ),
        3 => {
            let long = "x".repeat(990_000);
            (format!(r#"{{"type":"card","id":"{long}"}}"#).into_bytes(), &["too_long"])
        }
        // Longer than brokers take by default, which the bank's topic does not mind.
        6 => (vec![b'7'; 1_500_000], &["too_long"]),
        4 => (Vec::new(), &["malformed_json"]),
        _ => (
            format!(
                r#"{{"type":"card","id":"pan-{number}","at":"2026-01-05T20:00:00Z","card":"{}","cardholder":"p","action":"issued"}}"#,
                card_number()
            )
            .into_bytes(),
            &["card_number"],
        ),
    }
}

/// Feeds a crowd with one record in a thousand poisoned; what was sent as poison, by its position.
fn poisoned(scene: &Scene, count: usize) -> BTreeMap<String, (Vec<u8>, &'static [&'static str])> {
    let mut feed = scene.feed();
    let mut dice = Dice(91);
    let mut sent = Vec::new();
    for (place, line) in lines::busy(2_000, 91, count, 1).iter().enumerate() {
        if place % 1_000 == 500 {
            let (bytes, reasons) = poison(&mut dice, sent.len());
            let topic = scene.topic(BANK[sent.len() % BANK.len()]);
            let mark = sent.len().to_string();
            let bulk = vec![b'h'; 4_000];
            let mut headers = vec![("mark", mark.as_bytes())];
            if bytes.len() > 1_000_000 {
                headers.extend((0..20).map(|_| ("bulk", bulk.as_slice())));
            }
            feed.raw(&topic, line.key.as_bytes(), &bytes, &headers);
            sent.push((bytes, reasons));
        }
        feed.line(&scene.name, line);
    }
    feed.flush();
    let mut found = BTreeMap::new();
    for topic in BANK {
        for record in scene.drain(topic) {
            if let Ok(mark) = record.header("mark").parse::<usize>() {
                let position = format!(
                    "{}/{}@{}",
                    scene.topic(topic),
                    record.partition,
                    record.offset
                );
                found.insert(position, sent[mark].clone());
            }
        }
    }
    found
}

fn check_letter(letter: &Record, sent: &(Vec<u8>, &'static [&'static str])) {
    let position = letter.header("varsel-position");
    let reason = letter.header("varsel-reason");
    assert!(
        sent.1.contains(&reason),
        "{position}: refused as `{reason}`, not as {:?}",
        sent.1
    );
    assert!(
        !letter.header("varsel-text").is_empty(),
        "{position} has no text"
    );
    assert!(
        !letter.header("mark").is_empty(),
        "{position} has lost its own headers"
    );
    let pan = card_number();
    if reason == "card_number" {
        assert_eq!(letter.header("varsel-masked"), "1", "{position}");
        let masked = letter.text();
        assert!(!masked.contains(&pan), "{position} shows a card number");
        let wanted = String::from_utf8(sent.0.clone())
            .unwrap()
            .replace(&pan, &"X".repeat(pan.len()));
        assert_eq!(masked, wanted, "{position} is otherwise not what was sent");
    } else if sent.0.len() > 1_000_000 {
        // No broker's default takes it whole: the beginning stays, and its length is told.
        let kept = letter.value.len();
        assert!(
            kept > 500_000 && sent.0.starts_with(&letter.value),
            "{position}: {kept} bytes"
        );
        assert_eq!(
            letter.header("varsel-cut"),
            sent.0.len().to_string(),
            "{position}"
        );
    } else {
        assert!(letter.value == sent.0, "{position} is not what was sent");
    }
    for value in letter.headers.values() {
        assert!(
            !String::from_utf8_lossy(value).contains(&pan),
            "{position}: a header shows a card number"
        );
    }
}

#[test]
fn one_poisoned_record_in_a_thousand_ends_in_the_dead_letters_and_holds_nobody_up() {
    let scene = Scene::ready("poison");
    let mut monitor = scene.start_ready("one");
    let sent = poisoned(&scene, 30_000);
    scene.settle(Duration::from_secs(120));
    let letters = scene.drain("varsel.dead-letters");
    for letter in &letters {
        let position = letter.header("varsel-position");
        let known = sent
            .get(position)
            .unwrap_or_else(|| panic!("{position} is a dead letter and was none of the poisoned"));
        check_letter(letter, known);
    }
    let counted = monitor.metric("varsel_rejects_total", "");
    assert!(
        !monitor.said().contains(&card_number()),
        "the log shows a card number"
    );
    monitor.finish();
    let sums = truth::sums(&scene);
    sums.tell("poison", None);
    sums.hold(&scene);
    assert_eq!(sums.rejected, sent.len());
    assert!(sent.len() >= 30, "{}", sent.len());
    assert!(
        (counted - sent.len() as f64).abs() < 0.5,
        "{counted} rejects counted of {}",
        sent.len()
    );
    assert_eq!(sums.records, sums.rejected + sums.logged - sums.relogged);
    for topic in ["varsel.log", "varsel.decisions", "varsel.alerts"] {
        let pan = card_number();
        let shows = scene
            .drain(topic)
            .iter()
            .any(|record| record.text().contains(&pan));
        assert!(!shows, "{topic} shows a card number");
    }
}

#[test]
fn dead_letters_are_listed_and_those_sent_again_are_judged() {
    let scene = Scene::ready("redrive");
    let monitor = scene.start_ready("one");
    // Too far in the future when it came, and fine by the time it is sent again: the clock of the edge was wrong.
    let text = r#"{"type":"card","id":"early","at":"2026-01-05T20:00:00Z","card":"c-early","cardholder":"p-early","action":"issued","received_at":"2026-01-05T19:00:00Z"}"#;
    let mut feed = scene.feed();
    feed.raw(
        &scene.topic("bank.cardholders"),
        b"p-early",
        text.as_bytes(),
        &[],
    );
    feed.raw(&scene.topic("bank.cardholders"), b"p-early", b"{", &[]);
    feed.flush();
    scene.settle(Duration::from_secs(30));
    let listed = scene.varsel(&["dead-letters", "list"]);
    assert_eq!(listed.code, Some(0), "{}", listed.said);
    for told in ["future_time", "malformed_json", "bank.cardholders"] {
        assert!(
            listed.said.contains(told),
            "`{told}` is not listed: {}",
            listed.said
        );
    }
    let limited = scene.varsel(&["dead-letters", "list", "--limit", "1"]);
    let count = |said: &str| {
        said.lines()
            .filter(|line| line.contains("bank.cardholders"))
            .count()
    };
    assert_eq!(
        (count(&listed.said), count(&limited.said)),
        (2, 1),
        "{}",
        limited.said
    );
    let driven = scene.varsel(&["dead-letters", "redrive"]);
    assert_eq!(driven.code, Some(0), "{}", driven.said);
    scene.settle(Duration::from_secs(30));
    let again = scene.varsel(&["dead-letters", "list"]);
    assert_eq!(count(&again.said), 2, "{}", again.said);
    let letters = scene.drain("varsel.dead-letters").len();
    let logged = scene
        .drain("varsel.log")
        .iter()
        .filter(|r| r.header("v") == "e")
        .count();
    monitor.finish();
    crate::tell::counted(
        "redrive",
        &[("records", &2), ("rejected", &letters), ("logged", &logged)],
    );
    // Neither was mended: each stays the dead letter that it was, and none is lost on the way.
    assert_eq!((letters, logged), (2, 0), "{}", driven.said);
}
