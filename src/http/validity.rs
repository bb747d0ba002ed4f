//! From when until when a certificate is valid: the one thing of it that is read here, out of its DER.
//!
//! Enough of X.509 (RFC 5280, section 4.1) to find `validity`. Whether a certificate is genuine is
//! deliberately left to rustls.

use crate::domain::time::Moment;

const SEQUENCE: u8 = 0x30;
/// `[0] version`, which the oldest certificates leave out.
const VERSION: u8 = 0xA0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// First and last moment in milliseconds since 1970; nothing where the certificate cannot be read.
pub fn of(certificate: &[u8]) -> Option<(i64, i64)> {
    let (body, _) = within(certificate, SEQUENCE)?;
    let (signed, _) = within(body, SEQUENCE)?;
    let rest = within(signed, VERSION).map_or(signed, |(_, rest)| rest);
    // Serial number, algorithm and issuer stand before it.
    let rest = (0..3).try_fold(rest, |rest, _| element(rest).map(|(_, _, rest)| rest))?;
    let (validity, _) = within(rest, SEQUENCE)?;
    let (first_tag, first, rest) = element(validity)?;
    let (last_tag, last, _) = element(rest)?;
    Some((moment(first_tag, first)?, moment(last_tag, last)?))
}

/// The content of an element of this tag, and what follows it.
fn within(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    (tag == wanted).then_some((content, rest))
}

/// The first element: its tag, its content, and what follows it. Lengths of up to 4 bytes.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&first, bytes) = bytes.split_first()?;
    let (length, bytes) = if first < 0x80 {
        (usize::from(first), bytes)
    } else {
        let (digits, bytes) = bytes.split_at_checked(usize::from(first & 0x7F))?;
        let length = digits
            .iter()
            .filter(|_| digits.len() <= 4)
            .fold(0, |length, digit| length << 8 | usize::from(*digit));
        (length, bytes)
    };
    let (content, rest) = bytes.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ`, of the years 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn moment(tag: u8, digits: &[u8]) -> Option<i64> {
    let digits = str::from_utf8(digits).ok()?;
    let (century, digits) = match tag {
        UTC_TIME if digits < "50" => ("20", digits),
        UTC_TIME => ("19", digits),
        GENERALIZED_TIME => digits.split_at_checked(2)?,
        _ => return None,
    };
    let part = |from: usize| digits.get(from..from + 2);
    let [year, month, day] = [part(0)?, part(2)?, part(4)?];
    let [hour, minute, second] = [part(6)?, part(8)?, part(10)?];
    let text = format!("{century}{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    Moment::parse(&text).map(|moment| moment.ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn made(first: (i32, u8, u8), last: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["varsel.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(first.0, first.1, first.2);
        params.not_after = date_time_ymd(last.0, last.1, last.2);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn ms(text: &str) -> i64 {
        Moment::parse(text).unwrap().ms
    }

    #[test]
    fn both_ends_are_read_in_both_ways_of_writing_a_time() {
        let certificate = made((1999, 12, 31), (2049, 1, 2));
        let ends = (ms("1999-12-31T00:00:00Z"), ms("2049-01-02T00:00:00Z"));
        assert_eq!(of(&certificate), Some(ends));
        let certificate = made((2026, 2, 3), (2051, 4, 5));
        let ends = (ms("2026-02-03T00:00:00Z"), ms("2051-04-05T00:00:00Z"));
        assert_eq!(of(&certificate), Some(ends));
    }

    #[test]
    fn a_certificate_cut_anywhere_or_with_a_byte_changed_is_no_panic() {
        let certificate = made((2020, 1, 1), (2030, 1, 1));
        for end in 0..200 {
            assert_eq!(of(&certificate[..end]), None);
            for value in [0, 0x7F, 0x80, 0x84, 0xFF] {
                let mut changed = certificate.clone();
                changed[end] = value;
                let _ = of(&changed);
            }
        }
    }
}
