//! Dead letters, listed and driven once more.
//!
//! A letter that reads well now goes into the log, with its own dead-letter position as its source.
//! A mark in the dead-letter topic says so, so that no letter is driven twice; what is still
//! refused stays where it is.

use crate::clock;
use crate::config::Config;
use crate::decode::Decoder;
use crate::domain::event::Event;
use crate::geo::Geo;
use crate::intake::Intake;
use crate::stream::append;
use crate::stream::reader::Reader;
use crate::stream::records::{self, LETTER_MASKED, LETTER_POSITION, LETTER_REASON, LETTER_TEXT};
use crate::stream::send::{Parcel, Sender};
use crate::stream::tickets::Ticket;
use crate::stream::{StreamError, client};
use rdkafka::message::{BorrowedMessage, Headers, Message, OwnedHeaders};
use std::collections::BTreeSet;

/// On a mark: the dead-letter position of the letter that was driven.
const REDRIVEN: &str = "varsel-redriven";

/// A dead letter, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its own position.
    pub letter: String,
    /// Where the refused record stood.
    pub position: String,
    /// The reject's code.
    pub reason: String,
    /// The reject's sentence.
    pub text: String,
    /// Whether a card number was masked in it: it can never be driven again.
    pub masked: bool,
    /// Its bytes.
    pub value: Vec<u8>,
}

/// The dead letters that were not driven again, the oldest first.
///
/// # Errors
/// Where the topic cannot be read.
pub fn open(config: &Config) -> Result<Vec<Seen>, StreamError> {
    let mut letters = Vec::new();
    let mut driven = BTreeSet::new();
    Reader::whole(config, &config.topics.dead_letters)?.to_end(|message| {
        match header(message, REDRIVEN) {
            Some(position) => {
                driven.insert(position);
            }
            None => letters.push(seen(message)),
        }
    })?;
    letters.retain(|letter: &Seen| !driven.contains(&letter.letter));
    Ok(letters)
}

fn seen(message: &BorrowedMessage<'_>) -> Seen {
    let word = |key| header(message, key).unwrap_or_default();
    Seen {
        letter: records::position(message.topic(), message.partition(), message.offset()),
        position: word(LETTER_POSITION),
        reason: word(LETTER_REASON),
        text: word(LETTER_TEXT),
        masked: header(message, LETTER_MASKED).is_some(),
        value: message.payload().unwrap_or_default().to_vec(),
    }
}

fn header(message: &BorrowedMessage<'_>, key: &str) -> Option<String> {
    message
        .headers()?
        .iter()
        .find(|header| header.key == key)
        .map(|header| String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned())
}

/// What became of letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Redriven {
    /// In the log now.
    pub appended: u64,
    /// Still refused.
    pub refused: u64,
    /// Not driven, since a card number was masked in them.
    pub masked: u64,
}

/// Drives letters once more.
///
/// # Errors
/// Where the broker fails; what was acknowledged before is marked.
pub fn redrive(
    config: &Config,
    geo: &Geo,
    sender: &Sender,
    letters: &[Seen],
    mut tell: impl FnMut(&Seen, &str),
) -> Result<Redriven, StreamError> {
    let mut intake = Intake::new(geo.clone());
    Reader::whole(config, &config.topics.bindings)?
        .to_end(|message| append::adopt(&mut intake, message))?;
    let mut decoder = Decoder::default();
    let mut event = Event::default();
    let mut sum = Redriven::default();
    for letter in letters {
        if letter.masked {
            sum.masked += 1;
            tell(letter, "left: a card number was masked in it");
            continue;
        }
        if let Err(reject) = decoder.decode(&letter.value, &mut event) {
            sum.refused += 1;
            tell(letter, &format!("still refused: {reject}"));
            continue;
        }
        intake.complete(&mut event);
        let now_ms = clock::now_ms();
        let ticket = Ticket::open();
        let log = Parcel {
            topic: &config.topics.log,
            partition: None,
            key: event.cardholder().as_bytes(),
            value: &letter.value,
            headers: Some(append::headers(
                &event,
                letter.letter.as_bytes(),
                None,
                now_ms,
            )),
        };
        sender.send(log, &ticket)?;
        ticket.settle();
        while !sender.wait(&ticket, client::ASK)? {}
        let mark = Ticket::open();
        let parcel = Parcel {
            topic: &config.topics.dead_letters,
            partition: None,
            key: b"",
            value: b"",
            headers: Some(records::with(
                OwnedHeaders::new(),
                REDRIVEN,
                letter.letter.as_bytes(),
            )),
        };
        sender.send(parcel, &mark)?;
        mark.settle();
        while !sender.wait(&mark, client::ASK)? {}
        sum.appended += 1;
        tell(letter, "in the log now");
    }
    Ok(sum)
}
