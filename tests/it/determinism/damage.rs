//! Promise `no-loss`: on damaged files every record is applied, a duplicate or refused, and the good
//! ones fare as if the bad ones were not there. Promise `no-pan`: a card number comes out nowhere.
//!
//! The only card numbers here are test numbers, to see them refused.

use super::{Desk, Options, unplaced};
use crate::generate::{Dice, town};
use std::path::Path;

const PAN: &str = "4111 1111 1111 1111";
const PAN_BARE: &str = "5555555555554444";

/// One damaged record, made from a good one.
fn damaged(line: &str, dice: &mut Dice) -> Vec<u8> {
    let with = |from: &str, to: &str| line.replacen(from, to, 1).into_bytes();
    let texts: Vec<(usize, &str)> = line.match_indices("\":\"").collect();
    let (colon, _) = texts[dice.below(texts.len())];
    let (head, tail) = line.split_at(colon + 3);
    match dice.below(10) {
        0 => line.as_bytes()[..line.len() / 2].to_vec(),
        1 => (0..200_u8)
            .map(|n| n.wrapping_mul(37).max(11))
            .filter(|b| *b != b'\n')
            .collect(),
        2 => format!("{head}{}{tail}", "x".repeat(1 << 20)).into_bytes(),
        3 => with("\"id\":\"", "\"id\":17,\"was\":\""),
        4 => with("\"at\":\"", "\"at\":NaN,\"was\":\""),
        5 => format!("[{line}]").into_bytes(),
        6 => format!("{head}{PAN} {tail}").into_bytes(),
        7 => format!("{head}{PAN_BARE}-{tail}").into_bytes(),
        8 => with("\"type\":\"", "\"type\":\"un"),
        _ => format!("{},\"note\":\"call {PAN}\"}}", line.trim_end_matches('}')).into_bytes(),
    }
}

/// A town's lines, one in twenty followed by a damaged one; the whole, and how many are damaged.
fn mixed(good: &[String], seed: u64) -> (Vec<Vec<u8>>, u64) {
    let mut dice = Dice(seed);
    let mut all = Vec::new();
    let mut bad = 0;
    for line in good {
        all.push(line.clone().into_bytes());
        if dice.once_in(20) {
            all.push(damaged(line, &mut dice));
            bad += 1;
        }
    }
    (all, bad)
}

fn no_card_number_in(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            no_card_number_in(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let holds = |digits: &str| bytes.windows(digits.len()).any(|w| w == digits.as_bytes());
        for digits in [
            PAN,
            PAN_BARE,
            "4111111111111111",
            "1111 1111",
            "555555555555",
        ] {
            assert!(!holds(digits), "{} holds {digits}", path.display());
        }
    }
}

#[test]
fn no_loss_every_record_of_a_damaged_file_is_applied_repeated_or_refused() {
    let desk = Desk::new();
    let good = town("s", 13, 2_500, 40);
    let (all, bad) = mixed(&good, 14);
    assert!(bad > 100);
    let (plain, plain_report) = desk.plain(&desk.input("good.jsonl", &good), "good");
    let damaged = desk.input("damaged.jsonl", &all);
    let (written, report) = desk.plain(&damaged, "damaged");
    assert_eq!(report.events_read, u64::try_from(all.len()).unwrap());
    assert_eq!(
        report.events_read,
        report.events_applied + report.duplicates + report.rejects
    );
    assert_eq!(report.rejects, bad);
    assert_eq!(written[3].lines().count(), usize::try_from(bad).unwrap());
    assert_eq!(report.digest, plain_report.digest);
    assert_eq!(unplaced(&plain[2]), unplaced(&written[2]));
    assert_eq!(
        plain_report.events_read,
        plain_report.events_applied + plain_report.duplicates
    );
    let sharded = Options {
        shards: 4,
        ..desk.options(&[&damaged], "sharded")
    };
    assert_eq!(desk.replay(&sharded).0, written);
}

#[test]
fn no_pan_a_card_number_in_any_field_comes_out_nowhere() {
    let desk = Desk::new();
    let (all, _) = mixed(&town("s", 15, 1_500, 20), 16);
    let input = desk.input("in.jsonl", &all);
    let (written, report) = desk.plain(&input, "out");
    assert!(written[3].matches("card_number").count() > 10, "{report:?}");
    no_card_number_in(&desk.path("out"));
    let half = u64::try_from(all.len() / 2).unwrap();
    let stop = Options {
        stop_after: Some(half),
        checkpoint: Some(desk.path("kept")),
        ..desk.options(&[&input], "half")
    };
    desk.replay(&stop);
    no_card_number_in(&desk.path("half"));
    no_card_number_in(&desk.path("kept"));
}
