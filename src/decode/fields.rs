//! Reads single fields out of the table that `walk.rs` made: presence, JSON type, bounds.
//!
//! Knows no event type; which fields a type must have stands in `body.rs`.

use super::field::Field;
use super::moment::Calendar;
use super::token::{Kind, Token};
use super::walk::Table;
use super::{Code, Fault, MAX_WHOLE_BYTES};
use crate::domain::country::Country;
use crate::domain::event::{Event, MAX_ID_CHARS, MAX_TEXT_BYTES, Span, UnknownCodes};
use crate::domain::time::Moment;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The largest amount, in minor units: ten million million of a currency with cents.
pub(super) const MAX_AMOUNT_MINOR: i64 = 1_000_000_000_000_000;
/// The longest `acct_info` that is kept, in bytes: thrice what all fields of EMV need.
const MAX_ACCT_INFO_BYTES: usize = 4 * 1024;

/// The fields of one record, and the event that they become.
pub(super) struct Fields<'a> {
    pub(super) record: &'a [u8],
    pub(super) table: &'a Table,
    pub(super) calendar: &'a mut Calendar,
    pub(super) event: &'a mut Event,
    /// Whether the event's text is the record's, and then what had escapes: one copy is cheaper
    /// than one for each field.
    is_whole: bool,
}

#[inline(always)]
pub(super) const fn missing(field: Field) -> Fault {
    Fault::field(Code::MissingField, field, "is missing")
}

#[inline(always)]
pub(super) const fn mistyped(field: Field, says: &'static str) -> Fault {
    Fault::field(Code::MistypedField, field, says)
}

/// Turns an absent field into a fault.
#[inline(always)]
pub(super) fn required<T>(field: Field, value: Option<T>) -> Result<T, Fault> {
    value.ok_or(missing(field))
}

/// The place of a field in [`UnknownCodes::FIELDS`], found when the program is compiled.
pub(super) const fn unknown_bit(name: &str) -> usize {
    let mut bit = 0;
    while bit < UnknownCodes::FIELDS.len() {
        if same(UnknownCodes::FIELDS[bit].as_bytes(), name.as_bytes()) {
            return bit;
        }
        bit += 1;
    }
    panic!("no such coded field")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl<'a> Fields<'a> {
    /// The fields of a record that has been read; a short one is the event's text already.
    #[inline]
    pub(super) fn new(
        record: &'a [u8],
        table: &'a Table,
        calendar: &'a mut Calendar,
        event: &'a mut Event,
    ) -> Self {
        let is_whole = record.len() <= MAX_WHOLE_BYTES;
        let plain = if table.is_plain { record.len() } else { 0 };
        event.plain = plain.try_into().unwrap_or(0);
        if is_whole && !table.unescaped.is_empty() {
            event.text.extend_from_slice(table.unescaped.as_bytes());
        }
        Self {
            record,
            table,
            calendar,
            event,
            is_whole,
        }
    }

    /// The value of a field; `null` is as good as absent.
    #[inline(always)]
    pub(super) fn token(&self, field: Field) -> Option<Token> {
        let token = self.table.token(field);
        (self.table.seen & field.bit() != 0 && token.kind != Kind::Null).then_some(token)
    }

    #[inline(always)]
    pub(super) fn words(&self, field: Field) -> Result<Option<&'a [u8]>, Fault> {
        if self.table.texts & field.bit() != 0 {
            let place = self.table.places[field.index()];
            return Ok(Some(place.of(self.record)));
        }
        if self.table.seen & field.bit() == 0 {
            return Ok(None);
        }
        self.odd_words(field)
    }

    /// The words of a field that has escapes, or is no text.
    #[cold]
    fn odd_words(&self, field: Field) -> Result<Option<&'a [u8]>, Fault> {
        let token = self.table.token(field);
        match token.kind {
            Kind::Null => Ok(None),
            Kind::Text => Ok(Some(token.place.of(self.record))),
            Kind::Unescaped => Ok(Some(token.place.of(self.table.unescaped.as_bytes()))),
            Kind::Integer | Kind::Float | Kind::Bool | Kind::Array | Kind::Object => {
                Err(mistyped(field, "must be a string"))
            }
        }
    }

    #[inline(always)]
    pub(super) fn required_words(&self, field: Field) -> Result<&'a [u8], Fault> {
        required(field, self.words(field)?)
    }

    /// Text that may be empty, where the field is given at all.
    #[inline(always)]
    pub(super) fn text(&mut self, field: Field) -> Result<Span, Fault> {
        match self.words(field)? {
            None => Ok(Span::default()),
            Some(words) => self.keep(field, words),
        }
    }

    /// Text that may be absent but not empty.
    #[inline(always)]
    pub(super) fn filled(&mut self, field: Field) -> Result<Option<(Span, &'a [u8])>, Fault> {
        match self.words(field)? {
            None => Ok(None),
            Some([]) => Err(mistyped(field, "must not be empty")),
            Some(words) => Ok(Some((self.keep(field, words)?, words))),
        }
    }

    #[inline(always)]
    pub(super) fn required_filled(&mut self, field: Field) -> Result<(Span, &'a [u8]), Fault> {
        let filled = self.filled(field)?;
        required(field, filled)
    }

    /// An id of an event or of an effect of ours: 1 to 64 characters.
    #[inline(always)]
    pub(super) fn id(&self, field: Field) -> Result<Option<&'a [u8]>, Fault> {
        let Some(id) = self.words(field)? else {
            return Ok(None);
        };
        let fits = id.len() <= MAX_ID_CHARS || as_text(id).chars().count() <= MAX_ID_CHARS;
        if id.is_empty() || !fits {
            return Err(mistyped(field, "must have 1 to 64 characters"));
        }
        Ok(Some(id))
    }

    /// Keeps the words of a field in the event.
    #[inline(always)]
    pub(super) fn keep(&mut self, field: Field, words: &[u8]) -> Result<Span, Fault> {
        let too_long = mistyped(field, "is longer than 512 bytes");
        if !self.is_whole {
            return self.event.push_text(as_text(words)).ok_or(too_long);
        }
        if words.len() > MAX_TEXT_BYTES {
            return Err(too_long);
        }
        self.span(self.table.token(field)).ok_or(too_long)
    }

    /// Where a value stands in an event's text that is the record's.
    #[inline(always)]
    fn span(&self, token: Token) -> Option<Span> {
        let before = if token.kind == Kind::Unescaped {
            self.record.len()
        } else {
            0
        };
        Some(Span {
            start: u16::try_from(before + token.start()).ok()?,
            len: u16::try_from(token.end() - token.start()).ok()?,
        })
    }

    /// The free `acct_info`, as it stands in the record.
    pub(super) fn acct_info(&mut self) -> Result<Span, Fault> {
        const TOO_LONG: Fault = mistyped(Field::AcctInfo, "is longer than 4 KiB");
        let Some(token) = self.token(Field::AcctInfo) else {
            return Ok(Span::default());
        };
        // Text is kept without quotes, and resolved where it had escapes.
        let raw = if token.kind == Kind::Unescaped {
            token.place.of(self.table.unescaped.as_bytes())
        } else {
            token.place.of(self.record)
        };
        if raw.len() > MAX_ACCT_INFO_BYTES {
            return Err(TOO_LONG);
        }
        if self.is_whole {
            return self.span(token).ok_or(TOO_LONG);
        }
        let start = u16::try_from(self.event.text.len()).map_err(|_| TOO_LONG)?;
        let len = u16::try_from(raw.len()).map_err(|_| TOO_LONG)?;
        self.event.text.extend_from_slice(raw);
        Ok(Span { start, len })
    }

    /// A JSON integer within bounds; `1e3`, `10.0` and `-0` are none.
    #[inline(always)]
    pub(super) fn integer(
        &self,
        field: Field,
        bounds: RangeInclusive<i64>,
        says: &'static str,
    ) -> Result<Option<i64>, Fault> {
        let Some(token) = self.token(field) else {
            return Ok(None);
        };
        let fault = mistyped(field, says);
        if token.kind != Kind::Integer {
            return Err(fault);
        }
        let value = whole(token.place.of(self.record)).ok_or(fault)?;
        if bounds.contains(&value) {
            Ok(Some(value))
        } else {
            Err(fault)
        }
    }

    #[inline(always)]
    pub(super) fn amount(&self, field: Field) -> Result<Option<i64>, Fault> {
        self.integer(
            field,
            0..=MAX_AMOUNT_MINOR,
            "must be a whole number, 0 to 10^15",
        )
    }

    pub(super) fn moment(&mut self, field: Field) -> Result<Option<Moment>, Fault> {
        const SAYS: &str = "must be RFC 3339 with an offset, 1970 to 2099";
        let Some(words) = self.words(field)? else {
            return Ok(None);
        };
        match self.calendar.parse(words) {
            Some(moment) => Ok(Some(moment)),
            None => Err(Fault::field(Code::BadTime, field, SAYS)),
        }
    }

    /// An address; an IPv4 address in IPv6 clothes is unwrapped. Empty text is as good as absent.
    pub(super) fn address(&self, field: Field) -> Result<Option<IpAddr>, Fault> {
        match self.words(field)? {
            None | Some([]) => Ok(None),
            Some(words) => match ipv4(words).map_or_else(|| as_text(words).parse(), Ok) {
                Ok(IpAddr::V4(address)) => Ok(Some(IpAddr::V4(address))),
                Ok(IpAddr::V6(address)) => Ok(Some(address.to_canonical())),
                Err(_) => Err(mistyped(field, "must be an IPv4 or IPv6 address")),
            },
        }
    }

    /// A coded word, marked where it is not one that we know.
    #[inline(always)]
    pub(super) fn code<T: Default + PartialEq>(
        &mut self,
        field: Field,
        bit: usize,
        parse: impl Fn(&'a [u8]) -> T,
    ) -> Result<Option<T>, Fault> {
        let Some(words) = self.words(field)? else {
            return Ok(None);
        };
        let code = parse(words);
        if code == T::default() {
            self.event.unknown_codes.mark(bit);
        }
        Ok(Some(code))
    }

    #[inline(always)]
    pub(super) fn country(&mut self, field: Field, bit: usize) -> Result<Option<Country>, Fault> {
        self.code(field, bit, Country::parse).map(Option::flatten)
    }

    /// Calls for each text of an array; false where something else is in it. The array has been
    /// read once already, so that only its outline is looked at here.
    pub(super) fn each_text(&self, token: Token, mut each: impl FnMut(&str) -> bool) -> bool {
        let array = as_text(token.place.of(self.record));
        let mut inner = array.get(1..array.len().saturating_sub(1)).unwrap_or("");
        loop {
            inner = inner.trim_start_matches([' ', '\t', '\r', '\n', ',']);
            if inner.is_empty() {
                return true;
            }
            let Some(rest) = inner.strip_prefix('"') else {
                return false;
            };
            let Some(end) = closing_quote(rest.as_bytes()) else {
                return false;
            };
            let raw = rest.get(..end).unwrap_or("");
            let quoted = inner.get(..end + 2).unwrap_or("");
            let goes_on = if raw.contains('\\') {
                serde_json::from_str::<String>(quoted).is_ok_and(|words| each(&words))
            } else {
                each(raw)
            };
            if !goes_on {
                return false;
            }
            inner = rest.get(end + 1..).unwrap_or("");
        }
    }
}

/// Four numbers and three points, as most addresses are; all else is left to the library.
fn ipv4(words: &[u8]) -> Option<IpAddr> {
    let (mut octets, mut at) = ([0_u8; 4], 0);
    let mut digits = 0;
    for &byte in words {
        let octet = octets.get_mut(at)?;
        if byte == b'.' && digits > 0 {
            (at, digits) = (at + 1, 0);
            continue;
        }
        let digit = byte.wrapping_sub(b'0');
        let idle = digits > 0 && *octet == 0;
        if digit > 9 || idle {
            return None;
        }
        *octet = octet.checked_mul(10)?.checked_add(digit)?;
        digits += 1;
    }
    (at == 3 && digits > 0).then(|| IpAddr::from(octets))
}

/// The digits of a JSON integer; nothing for `-0`, which JSON readers take for a float, and for
/// more digits than fit.
#[inline]
fn whole(raw: &[u8]) -> Option<i64> {
    let (sign, digits) = match raw {
        b"-0" => return None,
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    if digits.len() > 18 {
        return None;
    }
    let value = digits
        .iter()
        .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some(sign * value)
}

/// The text of a piece of a record, which as a whole is UTF-8.
#[inline]
pub(super) fn as_text(piece: &[u8]) -> &str {
    str::from_utf8(piece).unwrap_or("")
}

fn closing_quote(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_reader_of_addresses_takes_what_the_library_takes() {
        for words in ["1.2.3.4", "0.0.0.0", "255.255.255.255", "10.0.100.9"] {
            assert_eq!(ipv4(words.as_bytes()), words.parse().ok());
        }
        for words in [
            "",
            ".",
            "1.2.3",
            "1.2.3.",
            "1.2.3.4.",
            "1.2.3.4.5",
            "1..2.3",
            "256.1.1.1",
            "1.1.1.260",
            "01.2.3.4",
            "00.0.0.0",
            "1.2.3.04",
            "1.2.3.4 ",
            "+1.2.3.4",
            "::1",
            "1.2.3.x",
            ".1.2.3.4",
        ] {
            assert_eq!(ipv4(words.as_bytes()), None, "{words}");
        }
    }
}
