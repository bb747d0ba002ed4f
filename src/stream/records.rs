//! The shapes of our own records in Kafka: headers of the log, ticks, control records, positions.
//!
//! The value of an event's record is the bank's bytes, untouched; what we know of it besides is in
//! headers. Only this file knows their names.

use crate::domain::country::Country;
use crate::domain::event::Place;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};

/// What a record of the log is: `e` event, `t` tick, `c` control.
pub const KIND: &str = "v";
/// Where the bank's record stood: `topic/partition@offset`.
pub const SOURCE: &str = "s";
/// `card` where the card stands for its holder; the key is then the card's token.
pub const HOLDER: &str = "h";
/// Where the event's address lies: country, ASN, network, by the GeoIP table of intake.
pub const PLACE: &str = "p";
/// When the bank's edge had it, stamped by intake where the record did not say, in milliseconds.
pub const RECEIVED: &str = "r";
/// W3C Trace Context, passed through.
pub const TRACE: &str = "traceparent";
/// Dead letters: where the record stood.
pub const LETTER_POSITION: &str = "varsel-position";
/// Dead letters: the reject's code.
pub const LETTER_REASON: &str = "varsel-reason";
/// Dead letters: the reject's sentence.
pub const LETTER_TEXT: &str = "varsel-text";
/// Dead letters: `1` where digits of a card number were masked.
pub const LETTER_MASKED: &str = "varsel-masked";

/// What a record of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A bank's event.
    Event,
    /// Event time moves.
    Tick,
    /// A rule book comes into force.
    Control,
    /// Written by somebody else.
    Stranger,
}

/// The headers of a record of the log, as they point into it.
#[derive(Debug, Clone, Copy)]
pub struct Told<'m> {
    /// What it is.
    pub kind: Kind,
    /// Source topic and partition, as text up to the `@`.
    pub source: &'m str,
    /// Offset in the source; -1 where there is none.
    pub source_offset: i64,
    /// Whether the card stands for its holder.
    pub by_card: bool,
    /// Where its address lies.
    pub place: Option<Place>,
    /// `traceparent`.
    pub trace: Option<&'m [u8]>,
}

/// Reads the headers of a record of the log.
pub fn told<'m>(message: &'m BorrowedMessage<'_>) -> Told<'m> {
    let mut told = Told {
        kind: Kind::Stranger,
        source: "",
        source_offset: -1,
        by_card: false,
        place: None,
        trace: None,
    };
    let Some(headers) = message.headers() else {
        return told;
    };
    for header in headers.iter() {
        let Some(value) = header.value else { continue };
        match header.key {
            KIND => {
                told.kind = match value {
                    b"e" => Kind::Event,
                    b"t" => Kind::Tick,
                    b"c" => Kind::Control,
                    _ => Kind::Stranger,
                }
            }
            SOURCE => {
                if let Some((source, offset)) = split_position(value) {
                    told.source = source;
                    told.source_offset = offset;
                }
            }
            HOLDER => told.by_card = true,
            PLACE => told.place = read_place(value),
            TRACE => told.trace = Some(value),
            _ => {}
        }
    }
    told
}

/// `topic/partition@offset` as text before the `@` and offset.
pub fn split_position(value: &[u8]) -> Option<(&str, i64)> {
    let (source, offset) = std::str::from_utf8(value).ok()?.rsplit_once('@')?;
    Some((source, offset.parse().ok()?))
}

/// `topic/partition@offset`.
pub fn position(topic: &str, partition: i32, offset: i64) -> String {
    format!("{topic}/{partition}@{offset}")
}

/// A place as a header's value.
pub fn write_place(place: Place) -> String {
    let letters = place.country.map(Country::letters);
    let country = letters
        .as_ref()
        .map_or("", |two| std::str::from_utf8(two).unwrap_or(""));
    let asn = place.asn.map(|asn| asn.to_string()).unwrap_or_default();
    format!("{country},{asn},{:08x}", place.network)
}

/// Reads what [`write_place`] wrote.
pub fn read_place(value: &[u8]) -> Option<Place> {
    let text = std::str::from_utf8(value).ok()?;
    let mut parts = text.split(',');
    let (country, asn, network) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Place {
        country: Country::parse(country),
        asn: asn.parse().ok(),
        network: u32::from_str_radix(network, 16).ok()?,
    })
}

/// A header with its value.
pub fn with<'a>(headers: OwnedHeaders, key: &'a str, value: &'a [u8]) -> OwnedHeaders {
    headers.insert(Header {
        key,
        value: Some(value),
    })
}

/// The `traceparent` of a record, if it has one.
pub fn trace<'m>(message: &'m BorrowedMessage<'_>) -> Option<&'m [u8]> {
    message
        .headers()?
        .iter()
        .find(|header| header.key == TRACE)
        .and_then(|header| header.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_it_was_written() {
        let place = Place {
            country: Country::parse("BG"),
            asn: Some(8866),
            network: 0xBEEF,
        };
        assert_eq!(read_place(write_place(place).as_bytes()), Some(place));
        assert_eq!(read_place(b",,00000000"), Some(Place::default()));
        assert_eq!(read_place(b"nonsense"), None);
    }

    #[test]
    fn a_position_has_its_offset_after_the_last_at_sign() {
        assert_eq!(split_position(b"a@b/3@17"), Some(("a@b/3", 17)));
        assert_eq!(split_position(b"a/3"), None);
    }
}
