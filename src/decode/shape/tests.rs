//! Shapes never answer otherwise than the reader that they stand for, and what banks add is read by them.
//!
//! That every answer is right is for the oracle in `tests/it`; here are the ways to mislead them.

use super::*;
use crate::decode::Decoder;
use crate::domain::event::{Body, Event};

/// What is said of a record after others have been read, each twice.
fn said_after(others: &[&str], record: &str) -> Option<&'static str> {
    let mut decoder = Decoder::default();
    let mut event = Event::default();
    for other in others.iter().chain(others) {
        // Refused or not, its shape is known afterwards.
        decoder.decode(other.as_bytes(), &mut event).ok();
    }
    let said = decoder.decode(record.as_bytes(), &mut event);
    said.err().map(|reject| reject.code)
}

fn otp(rest: &str) -> String {
    format!(r#"{{"type":"otp","id":"a","at":"2018-03-05T16:44:56Z","card":"c",{rest}}}"#)
}

#[test]
fn what_follows_a_text_is_not_taken_behind_a_number() {
    let text = otp(r#""mcc":"5411","action":"sent","acs_trans_id":"x""#);
    let number = otp(r#""mcc":5411,"action":"sent","acs_trans_id":"x""#);
    let mixed = otp(r#""mcc":5411","action":"sent","acs_trans_id":"x""#);
    assert_eq!(
        said_after(&[&text, &number], &mixed),
        Some("malformed_json")
    );
    assert_eq!(said_after(&[&text, &number], &text), None);
    assert_eq!(said_after(&[&text, &number], &number), None);
}

#[test]
fn a_key_that_comes_twice_by_way_of_two_orders_is_found() {
    let one = otp(r#""phone":"p","action":"sent","acs_trans_id":"x""#);
    let other = otp(r#""action":"sent","phone":"p","acs_trans_id":"x""#);
    let twice = otp(r#""phone":"p","action":"sent","phone":"p","acs_trans_id":"x""#);
    assert_eq!(said_after(&[&one, &other], &twice), Some("duplicate_key"));
}

#[test]
fn a_quote_where_a_text_ended_before_does_not_end_one_that_has_ended() {
    let known = otp(r#""action":"sent","acs_trans_id":"abcdefghijklmnop""#);
    let shorter = otp(r#""action":"sent","acs_trans_id":"abc","phone":"q""#);
    let hidden = otp(r#""action":"sent","acs_trans_id":"ab","zip":"fgh""#);
    assert_eq!(said_after(&[&known], &shorter), None);
    assert_eq!(said_after(&[&known], &hidden), None);
    let mut decoder = Decoder::default();
    let mut event = Event::default();
    for record in [&known, &known, &hidden] {
        decoder.decode(record.as_bytes(), &mut event).unwrap();
    }
    assert_eq!(event.str(event.acs), "ab");
    assert_eq!(decoder.unknown_fields(), 1);
}

#[test]
fn a_stream_of_ever_other_shapes_is_forgotten_in_time() {
    let mut decoder = Decoder::default();
    let mut event = Event::default();
    for count in 0..3_000 {
        let record = otp(&format!(
            r#""phone":"p",{}"action":"sent","acs_trans_id":"x""#,
            " ".repeat(count % 20)
        ))
        .replace(
            r#""card":"#,
            &format!("{}\"card\":", " ".repeat(count / 20 % 18)),
        );
        assert!(decoder.decode(record.as_bytes(), &mut event).is_ok());
        assert!(decoder.shapes.steps.len() <= MAX_STEPS + 64);
    }
}

/// A card number that no file shows.
fn card_number() -> String {
    format!("4{}", "1".repeat(15))
}

/// Whether a record is read by its shape after another has been read.
fn is_followed(known: &str, record: &str) -> bool {
    let mut decoder = Decoder::default();
    let mut event = Event::default();
    decoder.decode(known.as_bytes(), &mut event).unwrap();
    decoder.follow(record.as_bytes(), &mut Vec::new())
}

/// Changes a payment of every day, and compares what is said of it by a decoder that has read many
/// of them just before, and by one that has read none.
#[track_caller]
fn check_after_many(usual: &str, from: &str, to: &str) {
    let other = usual.replacen(from, to, 1);
    let mut decoder = Decoder::default();
    let (mut event, mut fresh) = (Event::default(), Event::default());
    for _ in 0..400 {
        decoder.decode(usual.as_bytes(), &mut event).unwrap();
    }
    for record in [other.as_str(), usual] {
        let mut none = Decoder::default();
        let said = decoder.decode(record.as_bytes(), &mut event);
        assert_eq!(said, none.decode(record.as_bytes(), &mut fresh), "{record}");
        if said.is_ok() {
            assert_eq!(event, fresh, "{record}");
        }
    }
}

#[test]
fn a_run_of_steps_says_what_its_steps_say_one_by_one() {
    let usual = r#"{"type":"authorization","id":"aut-lddooanhdpdbilge-onbhec","at":"2026-01-07T00:03:07.629+01:00","card":"ct-eglmcjphggphecfp","cardholder":"cpr-pindbenbopjfffpm","amount_minor":23054,"currency":"DKK","mcc":"5942","merchant":{"id":"GDFBZS480835","name":"Boghandel Valby","country":"DK"},"city":"Ry","channel":"pos","security":"contactless","response_code":"00"}"#;
    let card = card_number();
    let within = format!("ct-{card}");
    for (from, to) in [
        ("aut-l", "aut-"),
        ("aut-l", "aut-ll"),
        ("aut-l", r"aut\u002d"),
        ("aut-ld", "aut-æ"),
        ("aut-ld", r#"aut"ld"#),
        ("aut-lddooanhdpdbilge", r#"aut","ddooanhdpdbilg"#),
        ("aut-lddooanhdpdbilge-onbhec", ""),
        ("ct-eglmcjphggphecfp", &within),
        ("ct-eglmcjphggphecfp", "ct-eglmcjphggphecf\u{1}"),
        ("cpr-pindbenbopjfffpm", ""),
        ("cpr-pindbenbopjfffpm", &card),
        ("2026-01-07T00:03:07.629+01:00", "2026-01-07T00:03:07Z"),
        ("07T00", "07t00"),
        ("07T00:03:07", "07-00-03-07"),
        ("629+01:00", "629+01:0"),
        ("23054", "1"),
        ("23054", "023054"),
        ("23054", "-23054"),
        ("23054", r#""23054""#),
        ("DKK", "DKKK"),
        ("DKK", "XXX"),
        (r#""5942""#, r#""594""#),
        ("mcc", "mmc"),
        (r#""mcc":"5942""#, r#""id":"59420""#),
        (r#""city":"Ry""#, r#""city":"Ry","city":"Ry""#),
        ("Boghandel Valby", ""),
        ("Boghandel Valby", &card),
        (r#""DK"}"#, r#""DK""#),
        (r#""00"}"#, r#""00""#),
        (r#""00"}"#, r#""00"}}"#),
        (r#""00"}"#, r#""00","eci":"05"}"#),
        ("authorization", "authorizatiox"),
        ("authorization", "otp"),
    ] {
        check_after_many(usual, from, to);
    }
}

#[test]
fn a_record_with_fields_of_the_banks_own_is_read_by_its_shape() {
    let rest = |zip: &str, fee: &str, flag: &str, tags: &str| {
        otp(&format!(
            r#""zip":"{zip}","fee":{fee},"our_own_field_of_a_name_that_is_long":"x","flag":{flag},"tags":{tags},"action":"sent","acs_trans_id":"x""#
        ))
    };
    let card = card_number();
    let known = rest("2100", "1", "true", r#"["a","b"]"#);
    for (other, is_like) in [
        (rest("8000", "1.25", "true", r#"["c",{"d":[1,2,3]}]"#), true),
        (rest("8000", "-0.5", "true", "[]"), true),
        (rest("8000", "1", "false", "[]"), false),
        (rest("8000", "1e3", "true", "[]"), false),
        (rest("8000", "1.", "true", "[]"), false),
        (rest("8000", "01", "true", "[]"), false),
        (rest("8000", "1", "true", r#"[{"d":1,"d":2}]"#), false),
        (rest("8000", "1", "true", "[1,]"), false),
        (rest("8000", "1", "true", &format!("[\"{card}\"]")), false),
        (rest(&card, "1", "true", "[]"), false),
        (rest("8000", &card, "true", "[]"), false),
    ] {
        assert_eq!(is_followed(&known, &other), is_like, "{other}");
    }
    let mut decoder = Decoder::default();
    let mut event = Event::default();
    for count in 1..4 {
        decoder.decode(known.as_bytes(), &mut event).unwrap();
        assert_eq!(decoder.unknown_fields(), 5 * count);
    }
}

#[test]
fn a_request_with_account_information_is_read_by_its_shape() {
    let request = |info: &str| {
        format!(
            r#"{{"type":"threeds","id":"a","at":"2018-03-05T16:44:56Z","card":"c","message":"AReq","acs_trans_id":"x","amount_minor":1,"currency":"DKK","mcc":"5411","merchant":{{"id":"m","name":"n","country":"DK","city":"Aarhus"}},"acct_info":{info}}}"#
        )
    };
    let known = request(r#"{"chAccAgeInd":"05"}"#);
    assert!(is_followed(&known, &known));
    let other = request(r#"{"chAccAgeInd":"05","more":{"a":[1]}}"#);
    assert!(is_followed(&known, &other));
    assert!(!is_followed(
        &known,
        &request(&format!("{{\"a\":{}}}", card_number()))
    ));
    let mut decoder = Decoder::default();
    let mut event = Event::default();
    for record in [&known, &known, &other] {
        decoder.decode(record.as_bytes(), &mut event).unwrap();
    }
    let Body::Threeds(message) = &event.body else {
        panic!("a message");
    };
    let info = event.str(message.acct_info);
    assert_eq!(info, r#"{"chAccAgeInd":"05","more":{"a":[1]}}"#);
    assert_eq!(decoder.unknown_fields(), 3);
}

#[test]
fn a_key_of_no_field_that_stands_in_two_objects_closes_neither_for_the_other() {
    let payment = |inner: &str, outer: &str| {
        format!(
            r#"{{"type":"threeds","id":"a","at":"2018-03-05T16:44:56Z","card":"c","message":"AReq","acs_trans_id":"x","amount_minor":1,"currency":"DKK","merchant":{{"id":"m","name":"n","country":"DK"{inner}}}{outer},"mcc":"5411"}}"#
        )
    };
    let (within, behind) = (r#","city":"Ry""#, r#","city":"Ry""#);
    let one = payment(within, "");
    let other = payment("", behind);
    let both = payment(within, behind);
    let open = both.replacen(r#""Ry"}"#, r#""Ry""#, 1);
    let twice = payment("", &format!("{behind}{behind}"));
    let closed = payment("", &format!("{behind}}}"));
    assert_eq!(said_after(&[&one, &other], &both), None);
    assert_eq!(said_after(&[&one, &other], &open), Some("malformed_json"));
    assert_eq!(said_after(&[&one, &other], &twice), Some("duplicate_key"));
    assert_eq!(said_after(&[&one, &other], &closed), Some("malformed_json"));
}
