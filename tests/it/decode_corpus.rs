//! The committed fuzz corpus, replayed and mutated in the ordinary test run: decode never panics,
//! agrees with the slow oracle, and lets no card number through (promise `no-pan`).

use crate::decode_oracle;
use std::path::Path;
use varsel::decode::{Decoder, REJECT_CODES, contains_card_number};
use varsel::domain::event::{Body, Event};

/// Mutated records in one run; a few seconds in a debug build.
const MUTATIONS: usize = 400_000;

/// Pieces that mutation splices in: what breaks readers, and card numbers in several dresses.
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "0",
    "-0",
    "1e3",
    "10.0",
    "NaN",
    "\\u0000",
    "\\ud800",
    "\\u0034111",
    "\u{0}",
    "\n",
    "æ",
    "４",
    " ",
    "-",
    "\"\"",
    "\"id\":",
    "\"card\":",
    "\"x\":1,",
    "\"amount_minor\":",
    "4111111111111111",
    "5555 5555 5555 4444",
    "3782-822463-10005",
    "\"4222222222222\"",
    "1234567890",
    "2018-03-05T16:44:56Z",
    "2018-03-05t16:44:56.123456789-00:00",
    "99999999999999999999",
    "[[[[[[[[",
    "{\"a\":",
];

#[test]
fn every_record_of_the_corpus_is_judged_as_its_name_says() {
    let mut decoder = Decoder::default();
    let mut event = Event::default();
    // Twice, so that each is also read with the keys of others expected.
    for (name, record) in corpus().iter().chain(&corpus()) {
        let code = decoder
            .decode(record, &mut event)
            .err()
            .map_or("valid", |reject| reject.code);
        assert!(name.starts_with(&format!("{code}--")), "{name}: {code}");
    }
    for (code, _) in REJECT_CODES.iter().filter(|(code, _)| *code != "too_long") {
        assert!(
            corpus().iter().any(|(name, _)| name.starts_with(code)),
            "no record for {code}"
        );
    }
    let long = vec![b' '; varsel::decode::MAX_RECORD_BYTES + 1];
    assert_eq!(
        decoder.decode(&long, &mut event).unwrap_err().code,
        "too_long"
    );
}

#[test]
fn no_mutation_panics_differs_from_the_oracle_or_lets_a_card_number_through() {
    let corpus = corpus();
    let mut decoder = Decoder::default();
    let mut event = Event::default();
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let mut accepted = 0;
    for _ in 0..MUTATIONS {
        let mut record = corpus[chance.below(corpus.len())].1.clone();
        if record.len() > 1_000 {
            continue;
        }
        for _ in 0..chance.below(4) {
            mutate(&mut record, &mut chance, &corpus);
        }
        let told = decoder.decode(&record, &mut event);
        decode_oracle::compare(&record, &told, &event);
        match told {
            Err(reject) => assert!(!contains_card_number(&reject.to_string())),
            Ok(()) => {
                accepted += 1;
                for piece in pieces(&event) {
                    assert!(!decode_oracle::has_card_number(piece), "{piece}");
                }
            }
        }
    }
    assert!(
        accepted > MUTATIONS / 10,
        "only {accepted} were accepted: the mutations are too rough"
    );
}

#[test]
fn a_record_is_told_the_same_whatever_was_read_before() {
    let corpus = corpus();
    let mut used = Decoder::default();
    let mut chance = Chance(99);
    for _ in 0..5_000 {
        let (name, record) = &corpus[chance.below(corpus.len())];
        let (mut one, mut other) = (Event::default(), Event::default());
        let fresh = Decoder::default().decode(record, &mut one);
        assert_eq!(used.decode(record, &mut other), fresh, "{name}");
        if fresh.is_ok() {
            assert_eq!(one, other, "{name}");
        }
    }
}

#[test]
fn unknown_fields_are_counted_and_fields_of_other_types_too() {
    let mut decoder = Decoder::default();
    let mut event = Event::default();
    let record = |rest: &str| {
        format!(
            r#"{{"type":"otp","id":"a","at":"2018-03-05T16:44:56Z","card":"c","action":"sent","acs_trans_id":"x"{rest}}}"#
        )
    };
    decoder.decode(record("").as_bytes(), &mut event).unwrap();
    assert_eq!(decoder.unknown_fields(), 0);
    decoder
        .decode(
            record(r#","zip":{"a":1,"b":2},"mcc":5411"#).as_bytes(),
            &mut event,
        )
        .unwrap();
    assert_eq!(decoder.unknown_fields(), 2);
    decoder
        .decode(record(r#","zip":1,"id":2"#).as_bytes(), &mut event)
        .unwrap_err();
    assert_eq!(decoder.unknown_fields(), 2);
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/decode");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(path).unwrap(),
            )
        })
        .collect();
    files.sort();
    assert!(files.len() > 40);
    files
}

fn mutate(record: &mut Vec<u8>, chance: &mut Chance, corpus: &[(String, Vec<u8>)]) {
    let at = chance.below(record.len() + 1);
    let piece = PIECES[chance.below(PIECES.len())].as_bytes();
    match chance.below(8) {
        0 => record.truncate(at),
        1 if at < record.len() => record[at] = u8::try_from(chance.below(256)).unwrap(),
        2 if at < record.len() => record[at] ^= 1 << chance.below(8),
        3 => drop(record.splice(at..at, piece.iter().copied())),
        4 if at < record.len() => drop(record.remove(at)),
        5 => replace_value(record, chance, piece),
        6 => replace_value(record, chance, &[b"\"", piece, b"\""].concat()),
        7 => {
            let other = &corpus[chance.below(corpus.len())].1;
            let from = chance.below(other.len() + 1);
            let to = (from + chance.below(60)).min(other.len());
            record.splice(at..at, other[from..to].iter().copied());
        }
        _ => {}
    }
}

/// Puts something else where a value stands: the most fruitful damage, since the rest stays valid.
fn replace_value(record: &mut Vec<u8>, chance: &mut Chance, by: &[u8]) {
    let colons: Vec<usize> = record
        .windows(2)
        .enumerate()
        .filter(|(_, w)| *w == b"\":")
        .map(|(i, _)| i + 2)
        .collect();
    if colons.is_empty() {
        return;
    }
    let from = colons[chance.below(colons.len())];
    let length = record[from..]
        .iter()
        .position(|b| matches!(b, b',' | b'}'))
        .unwrap_or(0);
    record.splice(from..from + length, by.iter().copied());
}

/// Every text that an event keeps.
fn pieces(event: &Event) -> Vec<&str> {
    let mut spans = vec![event.id, event.card, event.cardholder, event.acs];
    match &event.body {
        Body::Authorization(a) => spans.extend([
            a.merchant.id,
            a.merchant.name,
            a.response_code,
            a.eci,
            a.exemption,
        ]),
        Body::Threeds(t) => {
            spans.extend([
                t.merchant.id,
                t.merchant.name,
                t.acct_info,
                t.trans_status_reason,
                t.eci,
            ]);
        }
        Body::Otp(o) => spans.push(o.phone),
        Body::Eid(e) => spans.push(e.key_number),
        Body::Enrolment(e) => spans.push(e.phone),
        Body::Card(c) => {
            spans.push(c.scheme);
            spans.extend(&c.aliases);
        }
        Body::Disposition(d) => spans.extend([d.subject, d.by, d.reason]),
        Body::Hold(h) => spans.extend([h.hold, h.by, h.reason]),
    }
    spans.into_iter().map(|span| event.str(span)).collect()
}

/// Chance with a seed (xorshift64), so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound
    }
}
