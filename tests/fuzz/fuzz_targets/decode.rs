//! Any bytes as a record: decode does not panic, and what it says or keeps holds no card number.
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz decode`; the ordinary test run replays the corpus.
#![no_main]

use libfuzzer_sys::fuzz_target;
use varsel::decode::{Decoder, contains_card_number};
use varsel::domain::event::Event;

fuzz_target!(|record: &[u8]| {
    let mut event = Event::default();
    match Decoder::default().decode(record, &mut event) {
        Err(reject) => assert!(!contains_card_number(&reject.to_string())),
        Ok(()) => {
            for span in [event.id, event.card, event.cardholder, event.acs] {
                assert!(!contains_card_number(event.str(span)));
            }
        }
    }
});
