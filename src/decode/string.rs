//! Strings in a record: their end found sixteen bytes at a time, their escapes resolved.
//!
//! The other half of the reader in `walk.rs`, which knows where strings stand.

use super::Code;
use super::token::{Kind, Token};
use super::walk::{MALFORMED, Walk};

impl Walk<'_> {
    /// Reads a string from its opening quote on.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Token, Code> {
        let start = self.at + 1;
        let end = plain_end(self.bytes, start);
        match self.bytes.get(end) {
            Some(b'"') => {
                self.at = end + 1;
                Ok(Token::new(start, end, Kind::Text))
            }
            Some(b'\\') => self.escaped(start, end),
            _ => Err(MALFORMED),
        }
    }

    /// Reads on in a string that has a backslash, resolving its escapes.
    #[cold]
    fn escaped(&mut self, mut start: usize, mut end: usize) -> Result<Token, Code> {
        let begin = self.table.unescaped.len();
        loop {
            self.table
                .unescaped
                .push_str(self.text.get(start..end).unwrap_or(""));
            self.at = end;
            match self.peek() {
                b'"' => break,
                b'\\' => {
                    let c = self.escape()?;
                    self.table.unescaped.push(c);
                }
                _ => return Err(MALFORMED),
            }
            start = self.at;
            end = plain_end(self.bytes, start);
        }
        self.at += 1;
        Ok(Token::new(
            begin,
            self.table.unescaped.len(),
            Kind::Unescaped,
        ))
    }

    fn escape(&mut self) -> Result<char, Code> {
        self.at += 1;
        let code = self.peek();
        self.at += 1;
        Ok(match code {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(MALFORMED),
        })
    }

    /// Reads the digits of `\u`; half of a surrogate pair is no text.
    fn unicode(&mut self) -> Result<char, Code> {
        let high = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&high) {
            if !self.rest().starts_with(b"\\u") {
                return Err(MALFORMED);
            }
            self.at += 2;
            let low = self.hex()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(MALFORMED);
            }
            0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)
        } else {
            high
        };
        char::from_u32(code).ok_or(MALFORMED)
    }

    fn hex(&mut self) -> Result<u32, Code> {
        let digits = self.rest().first_chunk::<4>().ok_or(MALFORMED)?;
        let mut code = 0;
        for digit in digits {
            code = code * 16 + char::from(*digit).to_digit(16).ok_or(MALFORMED)?;
        }
        self.at += 4;
        Ok(code)
    }
}

/// The place of the first quote, backslash or control character at or after a place, else the end.
#[inline(always)]
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        let found = special(u128::from_le_bytes(*chunk));
        if found != 0 {
            return at + usize::try_from(found.trailing_zeros() / 8).unwrap_or(0);
        }
        at += 16;
    }
    plain_end_of_tail(bytes, at)
}

/// The place of the first quote at or after a place in a plain record, else the end.
#[inline(always)]
pub(super) fn quote_after(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        let (low, high) = chunk.split_at(8);
        let (low, high) = (quotes(low), quotes(high));
        if low | high != 0 {
            let found = if low == 0 {
                64 + high.trailing_zeros()
            } else {
                low.trailing_zeros()
            };
            return at + usize::try_from(found / 8).unwrap_or(0);
        }
        at += 16;
    }
    plain_end_of_tail(bytes, at)
}

#[inline(always)]
fn quotes(half: &[u8]) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let word = half
        .first_chunk::<8>()
        .map_or(0, |eight| u64::from_le_bytes(*eight));
    let quote = word ^ (ONES * 0x22);
    quote.wrapping_sub(ONES) & !quote & (ONES * 0x80)
}

fn plain_end_of_tail(bytes: &[u8], mut at: usize) -> usize {
    while bytes
        .get(at)
        .is_some_and(|b| *b != b'"' && *b != b'\\' && *b >= b' ')
    {
        at += 1;
    }
    at
}

/// Sixteen bytes at once, so that most strings cost one step whatever their length (Mycroft's
/// zero-byte test): the top bit of the lowest byte that is a quote, a backslash or below a space
/// is set, and none below it.
#[inline(always)]
const fn special(word: u128) -> u128 {
    const ONES: u128 = u128::MAX / 0xff;
    const TOPS: u128 = ONES * 0x80;
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5c);
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls) & TOPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_plain_text_is_found_at_every_place() {
        for length in 0..40 {
            for stop in [b'"', b'\\', 0, 0x1f, b'\n'] {
                for filler in ["a", "~", "\u{7f}", "æ", "!", "#", "[", "]", " "] {
                    let mut bytes = filler.repeat(length).into_bytes();
                    let expected = bytes.len();
                    bytes.push(stop);
                    bytes.extend_from_slice(b"tail\"tail\\tail");
                    assert_eq!(plain_end(&bytes, 0), expected);
                }
            }
        }
        for length in 0..40 {
            let text = format!("{}\" and \" so on, for some time", "é!#".repeat(length));
            assert_eq!(quote_after(text.as_bytes(), 0), 4 * length);
        }
        assert_eq!(quote_after(b"no end", 0), 6);
        assert_eq!(plain_end(b"no end", 0), 6);
        assert_eq!(plain_end(b"", 0), 0);
    }
}
