//! One record as a line of JSON in the contract, field by field, and the order in which lines leave.
//!
//! Values are our own words and numbers, none of which needs escaping; nothing is checked here, the tests decode it all.

use crate::domain::time::write_rfc3339;
use crate::simulate::calendar::offset_ms;
use crate::simulate::dice::mix;
use crate::simulate::person::token;
use crate::simulate::places::Shop;
use core::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io::Write;

/// The topic of a bank that a record would come from, and the file with `--split`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Authorizations, reversals, refunds.
    Authorizations,
    /// 3-D Secure messages and one-time passwords.
    Threeds,
    /// Steps with the eID.
    Eid,
    /// Cards and enrolments.
    Cardholders,
    /// What analysts and disputes said.
    Dispositions,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Authorizations,
        Self::Threeds,
        Self::Eid,
        Self::Cardholders,
        Self::Dispositions,
    ];

    /// The topic's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorizations => "authorizations",
            Self::Threeds => "threeds",
            Self::Eid => "eid",
            Self::Cardholders => "cardholders",
            Self::Dispositions => "dispositions",
        }
    }
}

/// What the generator knows of a record, and the monitor is to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The record's id.
    pub event: String,
    /// The record's `type`.
    pub kind: &'static str,
    /// Whose it is.
    pub cardholder: String,
    /// The pattern of fraud or the honest story that it belongs to.
    pub story: &'static str,
    /// Counts the stories told so far: those of one number belong together.
    pub case: u32,
    /// Done by a fraudster; also true where an owner's own hand was led.
    pub fraud: bool,
    /// An authorization that was approved.
    pub approved: bool,
}

/// A record of the population.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    /// Where the bank would write it.
    pub topic: Topic,
    /// JSON, without a newline.
    pub line: Vec<u8>,
    /// What a bank would key the topic by: the card, as the record calls it; the person for eID, cardholders, dispositions.
    pub key: String,
    /// Event time, milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// Nothing for the everyday.
    pub label: Option<Box<Label>>,
}

/// A JSON object in the making.
#[derive(Debug)]
pub struct Line(Vec<u8>);

impl Line {
    /// Begins a record.
    pub fn new(kind: &str, id: &str) -> Self {
        let mut bytes = Vec::with_capacity(460);
        bytes.extend_from_slice(b"{\"type\":\"");
        bytes.extend_from_slice(kind.as_bytes());
        bytes.push(b'"');
        let mut line = Self(bytes);
        line.text("id", id);
        line
    }

    /// A field of text.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push(b'"');
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
    }

    /// A field of text, where there is one.
    pub fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A field with a whole number.
    pub fn number(&mut self, name: &str, value: i64) {
        self.name(name);
        self.0
            .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A field with anything that can be shown, as text.
    pub fn shown(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        let wrote = write!(self.0, "\"{value}\"");
        debug_assert!(wrote.is_ok());
    }

    /// A time: Danish local time with its offset, or UTC.
    pub fn time(&mut self, name: &str, at_ms: i64, zulu: bool) {
        self.name(name);
        self.0.push(b'"');
        let offset_ms = if zulu { 0 } else { offset_ms(at_ms) };
        write_rfc3339(&mut self.0, at_ms + offset_ms);
        if !zulu {
            self.0.pop();
            let hours: &[u8] = if offset_ms > 3_600_000 {
                b"+02:00"
            } else {
                b"+01:00"
            };
            self.0.extend_from_slice(hours);
        }
        self.0.push(b'"');
    }

    /// An amount at a merchant.
    pub fn purchase(&mut self, shop: &Shop, minor: i64) {
        self.number("amount_minor", minor);
        self.text("currency", shop.currency);
        self.text("mcc", shop.mcc);
        self.name("merchant");
        self.0.extend_from_slice(b"{\"id\":\"m-");
        self.0.extend_from_slice(shop.slug.as_bytes());
        let branch = shop.branch;
        if branch > 0 {
            let wrote = write!(self.0, "-{}-{branch}", shop.country);
            debug_assert!(wrote.is_ok());
        }
        self.0.push(b'"');
        self.text("name", shop.name);
        self.text("country", shop.country);
        self.0.push(b'}');
    }

    /// A field that is an object or a list, as JSON.
    pub fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.0.extend_from_slice(json.as_bytes());
    }

    /// The whole record.
    pub fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

/// Records that are written and whose time has not come: what a visit does in the minutes, a story in the days to come.
#[derive(Debug)]
pub struct Outbox {
    waiting: BinaryHeap<Waiting>,
    written: u64,
    world: u64,
    cases: u32,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    record: Simulated,
}

impl Waiting {
    const fn order(&self) -> (i64, u64) {
        (self.record.at_ms, self.number)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    /// The earliest is the greatest: the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.order().cmp(&self.order())
    }
}

impl Outbox {
    /// Nothing yet.
    pub fn new(seed: u64) -> Self {
        Self {
            waiting: BinaryHeap::new(),
            written: 0,
            world: mix(seed ^ 0x1D),
            cases: 0,
        }
    }

    /// An id that no other record of this population has.
    pub fn id(&mut self, prefix: &str) -> String {
        self.written += 1;
        token(prefix, self.world, self.written)
    }

    /// The number of the next story.
    pub const fn case(&mut self) -> u32 {
        self.cases += 1;
        self.cases
    }

    /// Takes a record in.
    pub fn put(&mut self, record: Simulated) {
        self.written += 1;
        self.waiting.push(Waiting {
            number: self.written,
            record,
        });
    }

    /// The earliest record, if it is not after that time.
    pub fn take(&mut self, until_ms: i64) -> Option<Simulated> {
        if self.waiting.peek()?.record.at_ms > until_ms {
            return None;
        }
        self.waiting.pop().map(|waiting| waiting.record)
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
