//! Dead letters: what was refused, with its bytes, its headers, its reason and where it stood.
//!
//! A card number found in it is masked, in value, key and headers (promise `no-pan`); all else is
//! kept as it came, cut only where a broker would not take it.

use crate::decode::{Reject, contains_card_number};
use crate::stream::records::{self, LETTER_MASKED, LETTER_POSITION, LETTER_REASON, LETTER_TEXT};
use crate::stream::send::Parcel;
use rdkafka::message::{BorrowedMessage, Headers, Message, OwnedHeaders};
use std::borrow::Cow;

/// The most bytes of a letter's value: brokers take records of 1 MiB by default, headers included.
const MAX_BYTES: usize = 1_000_000;
/// The most bytes of one header of the original that is kept.
const MAX_HEADER_BYTES: usize = 4_096;
/// The most headers of the original that are kept.
const MAX_HEADERS: usize = 32;
/// Says how long the original was, where the letter is shorter.
const CUT: &str = "varsel-cut";

/// A dead letter.
#[derive(Debug)]
pub struct Letter {
    key: Vec<u8>,
    value: Vec<u8>,
    headers: OwnedHeaders,
}

impl Letter {
    /// The letter as a record.
    pub fn parcel<'a>(&'a self, topic: &'a str) -> Parcel<'a> {
        Parcel {
            topic,
            partition: None,
            key: &self.key,
            value: &self.value,
            headers: Some(self.headers.clone()),
        }
    }
}

/// The letter of a refused record.
pub fn letter(message: &BorrowedMessage<'_>, reject: &Reject) -> Letter {
    let sure = reject.code == "card_number";
    let original = message.payload().unwrap_or_default();
    let kept = original.get(..MAX_BYTES).unwrap_or(original);
    let (value, masked) = mask(kept, sure);
    let (key, _) = mask(message.key().unwrap_or_default(), false);
    let position = records::position(message.topic(), message.partition(), message.offset());
    let mut headers = OwnedHeaders::new();
    for header in message
        .headers()
        .iter()
        .flat_map(|h| h.iter())
        .take(MAX_HEADERS)
    {
        let value = header.value.unwrap_or_default();
        if value.len() <= MAX_HEADER_BYTES && !header.key.starts_with("varsel-") {
            headers = records::with(headers, header.key, &mask(value, false).0);
        }
    }
    headers = records::with(headers, LETTER_POSITION, position.as_bytes());
    headers = records::with(headers, LETTER_REASON, reject.code.as_bytes());
    headers = records::with(headers, LETTER_TEXT, reject.text.as_bytes());
    if masked {
        headers = records::with(headers, LETTER_MASKED, b"1");
    }
    if kept.len() < original.len() {
        headers = records::with(headers, CUT, original.len().to_string().as_bytes());
    }
    Letter {
        key: key.into_owned(),
        value: value.into_owned(),
        headers,
    }
}

/// The bytes with every card number's digits replaced by `X`, and whether there were any. Where
/// decode is `sure` that there is one and it cannot be seen in the bytes (written with escapes),
/// every digit goes.
pub fn mask(bytes: &[u8], sure: bool) -> (Cow<'_, [u8]>, bool) {
    let mut out = Cow::Borrowed(bytes);
    let mut masked = false;
    let mut at = 0;
    while at < bytes.len() {
        let Some(start) = bytes
            .iter()
            .skip(at)
            .position(u8::is_ascii_digit)
            .map(|p| at + p)
        else {
            break;
        };
        let rest = bytes.get(start..).unwrap_or_default();
        let length = rest
            .iter()
            .take_while(|b| b.is_ascii_digit() || matches!(b, b' ' | b'-'))
            .count();
        at = start + length;
        let stretch = bytes.get(start..at).unwrap_or_default();
        if std::str::from_utf8(stretch).is_ok_and(contains_card_number) {
            masked = true;
            for byte in out.to_mut().iter_mut().skip(start).take(length) {
                if byte.is_ascii_digit() {
                    *byte = b'X';
                }
            }
        }
    }
    let text = String::from_utf8_lossy(&out);
    if (sure && !masked) || contains_card_number(&text) {
        let blind = text.chars().map(|c| if c.is_numeric() { 'X' } else { c });
        return (Cow::Owned(blind.collect::<String>().into_bytes()), true);
    }
    (out, masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card number, put together here so that no file shows one.
    fn number() -> String {
        ["41", "1111", "1111", "1111", "11"].concat()
    }

    #[test]
    fn no_pan_a_card_number_in_a_letter_is_masked_and_nothing_else() {
        let text = format!("{{\"card\":\"{}\",\"n\":1234}}", number());
        let (masked, was) = mask(text.as_bytes(), true);
        assert!(was);
        assert_eq!(
            masked.as_ref(),
            b"{\"card\":\"XXXXXXXXXXXXXXXX\",\"n\":1234}"
        );
    }

    #[test]
    fn no_pan_a_card_number_that_is_not_seen_in_the_bytes_takes_all_digits_with_it() {
        let escaped: String = number()
            .chars()
            .map(|c| format!("\\u{:04x}", u32::from(c)))
            .collect();
        let (masked, was) = mask(escaped.as_bytes(), true);
        assert!(was);
        assert!(!masked.iter().any(u8::is_ascii_digit));
    }

    #[test]
    fn bytes_without_a_card_number_stay_as_they_are() {
        let bytes = b"\xff\x00 2018-03-12 12:00:00 100-200-300";
        assert_eq!(mask(bytes, false), (Cow::Borrowed(bytes.as_slice()), false));
    }
}
