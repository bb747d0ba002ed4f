//! Decode: the bytes of one record become an [`Event`], or a [`Reject`] that says why not.
//!
//! Pure: no file, no clock, no network. It checks all that the contract (EVENTS.md) asks of one
//! record by itself, and refuses card numbers before anything is kept. Who a card belongs to,
//! whether the record was seen before and where an address lies is for those who come after.

mod body;
mod field;
mod fields;
mod look;
mod moment;
mod pan;
mod shape;
mod string;
mod token;
mod walk;

use crate::domain::event::Event;
use field::Field;
use look::{BLOCK, Look};
use moment::Calendar;
use shape::{PADDING, Shapes};
use std::fmt;
use walk::Table;

pub use pan::contains_card_number;

/// The longest record that is read, in bytes: a hundred times what the contract's events need,
/// and short enough that a hostile one costs little.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;

/// The longest record that an event keeps whole, in bytes: four times the contract's longest, and
/// little beside what an event of many long texts keeps anyway.
const MAX_WHOLE_BYTES: usize = 4 * 1024;

/// Every reason for which a record is refused, with its meaning; stable, since dead letters and
/// counters carry the codes. Of several faults the one that is found first is told: size and
/// encoding, then JSON, then card numbers, then the fields, common ones first.
pub const REJECT_CODES: &[(&str, &str)] = &[
    ("too_long", "the record is longer than 64 KiB"),
    ("not_utf8", "the record is not UTF-8"),
    ("malformed_json", "the record is not valid JSON"),
    (
        "too_deep",
        "objects and arrays are nested more than 32 levels deep",
    ),
    (
        "card_number",
        "a string, or a number that is no amount, holds a card number",
    ),
    (
        "duplicate_key",
        "an object has the same key twice, so that its meaning is open",
    ),
    ("not_an_object", "the record is JSON, but no object"),
    (
        "missing_field",
        "a field that this type requires is absent or null",
    ),
    (
        "mistyped_field",
        "a field has the wrong JSON type, or a value outside its bounds",
    ),
    ("unknown_type", "`type` is none of the contract's"),
    (
        "unknown_message",
        "`message` is none of EMV 3-D Secure's that we read",
    ),
    ("unknown_action", "`action` is none that this type has"),
    (
        "bad_time",
        "a time is not RFC 3339 with an offset between 1970 and 2099",
    ),
    (
        "future_time",
        "`at` is more than 10 minutes after `received_at`",
    ),
    (
        "no_key",
        "neither card nor cardholder, or not both where the type requires both",
    ),
];

/// Why a record was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// One of [`REJECT_CODES`].
    pub code: &'static str,
    /// For people; names fields of the contract and never a value or a key of the record.
    pub text: String,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl std::error::Error for Reject {}

/// A reason to refuse, in the order of [`REJECT_CODES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    TooLong,
    NotUtf8,
    MalformedJson,
    TooDeep,
    CardNumber,
    DuplicateKey,
    NotAnObject,
    MissingField,
    MistypedField,
    UnknownType,
    UnknownMessage,
    UnknownAction,
    BadTime,
    FutureTime,
    NoKey,
}

/// A reason to refuse with its field and sentence, before it costs an allocation.
#[derive(Debug, Clone, Copy)]
struct Fault {
    code: Code,
    field: Option<Field>,
    says: &'static str,
}

impl Fault {
    /// A fault of the record as a whole, in the words of [`REJECT_CODES`].
    const fn of(code: Code) -> Self {
        Self {
            code,
            field: None,
            says: REJECT_CODES[code as usize].1,
        }
    }

    const fn record(code: Code, says: &'static str) -> Self {
        Self {
            code,
            field: None,
            says,
        }
    }

    #[inline(always)]
    const fn field(code: Code, field: Field, says: &'static str) -> Self {
        Self {
            code,
            field: Some(field),
            says,
        }
    }
}

impl From<Fault> for Reject {
    fn from(fault: Fault) -> Self {
        let text = match fault.field {
            Some(field) => format!("`{}` {}", field.path(), fault.says),
            None => fault.says.to_owned(),
        };
        Self {
            code: REJECT_CODES[fault.code as usize].0,
            text,
        }
    }
}

/// Reads records; one for each thread. It remembers the order of keys that the last records of
/// each type had, so that like records are read quickly; what it answers does not depend on that.
#[derive(Debug, Default)]
pub struct Decoder {
    table: Table,
    shapes: Shapes,
    calendar: Calendar,
    unknown_fields: u64,
}

impl Decoder {
    /// Reads one record into an event that is used again and again: nothing is allocated once its
    /// text is large enough. After a reject the event's content means nothing.
    ///
    /// `cardholder` is what the record gives, else empty; `place` is left at its default.
    ///
    /// Errors: see [`REJECT_CODES`].
    pub fn decode(&mut self, record: &[u8], into: &mut Event) -> Result<(), Reject> {
        self.read(record, into, false).map_err(Reject::from)
    }

    /// Reads a question: an event whose outcome is still to come, so that an authorization may lack
    /// its `response_code`. All else is as in [`Decoder::decode`].
    ///
    /// Errors: see [`REJECT_CODES`].
    pub fn question(&mut self, record: &[u8], into: &mut Event) -> Result<(), Reject> {
        self.read(record, into, true).map_err(Reject::from)
    }

    /// How many keys in the records accepted so far belong to no field of their type.
    pub const fn unknown_fields(&self) -> u64 {
        self.unknown_fields
    }

    fn read(&mut self, record: &[u8], into: &mut Event, is_open: bool) -> Result<(), Fault> {
        if record.len() > MAX_RECORD_BYTES {
            return Err(Fault::of(Code::TooLong));
        }
        self.table.unescaped.clear();
        into.text.clear();
        let is_whole = record.len() <= MAX_WHOLE_BYTES;
        if !(is_whole && self.follow(record, &mut into.text)) {
            self.table.is_plain &= is_whole;
            let text = str::from_utf8(record).map_err(|_| Fault::of(Code::NotUtf8))?;
            self.table.walk(text).map_err(Fault::of)?;
            if self.table.is_plain {
                self.shapes.learn(text, &self.table);
            }
        }
        let strange = body::build(record, &self.table, &mut self.calendar, into, is_open)?;
        self.unknown_fields += self.table.unknown + strange;
        Ok(())
    }

    /// Copies a record into what becomes the event's text, and reads it there, if it is plain and
    /// its shape is known.
    #[inline]
    fn follow(&mut self, record: &[u8], text: &mut Vec<u8>) -> bool {
        text.reserve(record.len() + PADDING);
        text.extend_from_slice(record);
        text.extend_from_slice(&[b' '; PADDING]);
        let (blocks, _) = text.as_chunks();
        let (blocks, _) = blocks.split_at(record.len().div_ceil(BLOCK));
        let look = Look::of(blocks);
        let (table, length) = (&mut self.table, record.len());
        table.is_plain = look.is_plain;
        let is_known = look.is_plain
            && (look.is_ascii || str::from_utf8(record).is_ok())
            && self
                .shapes
                .follow(text, length, look.quotes, table)
                .is_some();
        text.truncate(length);
        is_known
    }
}
