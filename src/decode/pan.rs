//! The card-number guard: finds primary account numbers in text (EVENTS.md, "Card numbers").
//!
//! A card number is 13 to 19 digits, whole groups joined by single spaces or dashes, with a known
//! scheme's prefix and length and a valid Luhn digit. It is looked for before anything of a record
//! is kept, and by whatever writes text out. It says yes or no, and never which digits.

/// The fewest digits of a card number.
pub(super) const SHORTEST: usize = 13;
/// The most digits of a card number.
const LONGEST: u32 = 19;
/// One bit for each count of digits back to which a group may have begun, 0 to [`LONGEST`].
const STARTS: u32 = (1 << (LONGEST + 1)) - 1;

/// The first digits of a scheme's cards, from and to, and how many digits its cards have.
struct Scheme {
    from: u32,
    to: u32,
    lengths: &'static [u32],
}

const fn scheme(from: u32, to: u32, lengths: &'static [u32]) -> Scheme {
    Scheme { from, to, lengths }
}

/// Issuer identification ranges by scheme (ISO/IEC 7812 and the schemes' published ranges).
const SCHEMES: &[Scheme] = &[
    // Visa
    scheme(4, 4, &[13, 16, 19]),
    // Mastercard
    scheme(51, 55, &[16]),
    scheme(2221, 2720, &[16]),
    // American Express
    scheme(34, 34, &[15]),
    scheme(37, 37, &[15]),
    // Diners Club
    scheme(300, 305, &[14, 15, 16, 17, 18, 19]),
    scheme(3095, 3095, &[14, 15, 16, 17, 18, 19]),
    scheme(36, 36, &[14, 15, 16, 17, 18, 19]),
    scheme(38, 39, &[14, 15, 16, 17, 18, 19]),
    // Discover
    scheme(6011, 6011, &[16, 17, 18, 19]),
    scheme(644, 649, &[16, 17, 18, 19]),
    scheme(65, 65, &[16, 17, 18, 19]),
    // JCB
    scheme(3528, 3589, &[16, 17, 18, 19]),
    // UnionPay
    scheme(62, 62, &[16, 17, 18, 19]),
    scheme(81, 81, &[16, 17, 18, 19]),
    // Maestro
    scheme(5018, 5018, &[13, 14, 15, 16, 17, 18, 19]),
    scheme(5020, 5020, &[13, 14, 15, 16, 17, 18, 19]),
    scheme(5038, 5038, &[13, 14, 15, 16, 17, 18, 19]),
    scheme(5893, 5893, &[13, 14, 15, 16, 17, 18, 19]),
    scheme(6304, 6304, &[13, 14, 15, 16, 17, 18, 19]),
    scheme(6390, 6390, &[13, 14, 15, 16, 17, 18, 19]),
    scheme(6759, 6759, &[13, 14, 15, 16, 17, 18, 19]),
    scheme(676, 676, &[13, 14, 15, 16, 17, 18, 19]),
    // Dankort
    scheme(5019, 5019, &[16]),
    // Mir
    scheme(2200, 2204, &[16, 17, 18, 19]),
    // UATP
    scheme(1, 1, &[15]),
    // RuPay
    scheme(60, 60, &[16]),
    scheme(508, 508, &[16]),
    // Troy
    scheme(9792, 9792, &[16]),
];

/// True where the text holds a card number, also within a longer grouped run of digits.
///
/// Digits, spaces and dashes of other scripts count as their ASCII kin. The cost for text without
/// thirteen such characters in a row is one look at every thirteenth byte.
#[inline]
pub fn contains_card_number(text: &str) -> bool {
    text.len() >= SHORTEST && has_stretch(text.as_bytes()) && scan(text)
}

/// True where the whole part of a JSON number is a card number, an exponent written out: some
/// languages write a long whole number as `4.0E15`. Digits behind the point are no card number.
#[inline]
pub(super) fn number_contains_card_number(raw: &str) -> bool {
    (raw.len() >= SHORTEST || raw.contains(['e', 'E'])) && whole_part_is_card_number(raw)
}

fn whole_part_is_card_number(raw: &str) -> bool {
    let raw = raw.trim_start_matches('-');
    let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // An exponent that is out of all bounds leaves a number with too many digits, or with none.
    let shift = exponent
        .parse::<i64>()
        .unwrap_or(if exponent.starts_with('-') {
            i64::MIN
        } else {
            i64::MAX
        });
    let point = i64::try_from(whole.len())
        .unwrap_or(i64::MAX)
        .saturating_add(shift);
    let point = usize::try_from(point.max(0)).unwrap_or(usize::MAX);
    let digits = whole.chars().chain(fraction.chars());
    let leading = digits
        .clone()
        .take(point)
        .take_while(|digit| *digit == '0')
        .count();
    let length = point.saturating_sub(leading);
    if !(SHORTEST..=SHORTEST + 6).contains(&length) {
        return false;
    }
    let digits = digits.chain(std::iter::repeat('0')).skip(leading);
    contains_card_number(&digits.take(length).collect::<String>())
}

/// True where enough bytes in a row could belong to a card number. Such a stretch covers one of
/// every thirteen positions, so only those are looked at.
#[inline(always)]
pub(super) fn has_stretch(bytes: &[u8]) -> bool {
    let mut probe = SHORTEST - 1;
    while let Some(byte) = bytes.get(probe) {
        if may_belong(*byte) {
            match stretch_around(bytes, probe) {
                Some(end) => probe = end,
                None => return true,
            }
        }
        probe += SHORTEST;
    }
    false
}

/// The end of the stretch around a place, or nothing where it is long enough. Ids and dates are
/// full of dashes: the digits alone must be enough.
fn stretch_around(bytes: &[u8], probe: usize) -> Option<usize> {
    let (mut start, mut end, mut digits) = (probe, probe, 0);
    while start > 0 && may_belong(bytes[start - 1]) {
        start -= 1;
        digits += usize::from(!matches!(bytes[start], b' ' | b'-'));
    }
    while let Some(byte) = bytes.get(end).filter(|byte| may_belong(**byte)) {
        end += 1;
        digits += usize::from(!matches!(byte, b' ' | b'-'));
    }
    (digits < SHORTEST).then_some(end)
}

/// Bytes of other scripts are let through here and judged in [`scan`].
#[inline]
const fn may_belong(byte: u8) -> bool {
    BELONGS[byte as usize]
}

/// Digits, spaces, dashes and all beyond ASCII.
static BELONGS: [bool; 256] = {
    let mut belongs = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let is_digit = byte >= b'0' as usize && byte <= b'9' as usize;
        belongs[byte] = is_digit || byte == b' ' as usize || byte == b'-' as usize || byte >= 0x80;
        byte += 1;
    }
    belongs
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Digit(u8),
    Separator,
    Other,
}

/// A run of digit groups as far as it has been read: the newest digits, four bits each, and where
/// groups began.
struct Run {
    digits: u128,
    /// Bit n is set where a group began n digits ago.
    starts: u32,
}

fn scan(text: &str) -> bool {
    let mut run = Run {
        digits: 0,
        starts: 0,
    };
    let mut last = Part::Other;
    for part in text.chars().map(part) {
        match part {
            Part::Digit(digit) => {
                if last == Part::Other {
                    run = Run {
                        digits: 0,
                        starts: 0,
                    };
                }
                if !matches!(last, Part::Digit(_)) {
                    run.starts |= 1;
                }
                run.digits = (run.digits << 4) | u128::from(digit);
                run.starts = (run.starts << 1) & STARTS;
                last = part;
            }
            Part::Separator | Part::Other => {
                let ended = matches!(last, Part::Digit(_));
                if ended && run.ends_in_card_number() {
                    return true;
                }
                last = if ended { part } else { Part::Other };
            }
        }
    }
    matches!(last, Part::Digit(_)) && run.ends_in_card_number()
}

impl Run {
    fn ends_in_card_number(&self) -> bool {
        (13..=LONGEST)
            .filter(|length| self.starts >> length & 1 == 1)
            .any(|length| self.has_prefix(length) && self.passes_luhn(length))
    }

    fn has_prefix(&self, length: u32) -> bool {
        SCHEMES
            .iter()
            .filter(|scheme| scheme.lengths.contains(&length))
            .any(|scheme| {
                let first = (1..=scheme.from.ilog10() + 1)
                    .fold(0, |number, nth| number * 10 + self.digit(length - nth));
                (scheme.from..=scheme.to).contains(&first)
            })
    }

    /// The Luhn check (ISO/IEC 7812-1, annex B).
    fn passes_luhn(&self, length: u32) -> bool {
        let sum: u32 = (0..length)
            .map(|back| match self.digit(back) {
                digit if back % 2 == 0 => digit,
                digit => digit * 2 % 10 + digit * 2 / 10,
            })
            .sum();
        sum.is_multiple_of(10)
    }

    /// The digit that stands so many places before the newest.
    fn digit(&self, back: u32) -> u32 {
        u32::try_from(self.digits >> (4 * back) & 0xf).unwrap_or(0)
    }
}

/// The zeros of the decimal digits in scripts that banks' text is written in, and of the
/// typographic variants (Unicode category Nd).
const ZEROS: &[u32] = &[
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66,
    0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x17e0, 0x1810, 0xff10, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec,
    0x1d7f6,
];

fn part(c: char) -> Part {
    match c {
        '0'..='9' => digit(u32::from(c) - u32::from('0')),
        ' ' | '-' => Part::Separator,
        _ if c.is_ascii() => Part::Other,
        // No-break, typographic and ideographic spaces; hyphens, dashes and the minus sign.
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            Part::Separator
        }
        '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => {
            Part::Separator
        }
        _ => {
            let code = u32::from(c);
            let zero = ZEROS
                .iter()
                .find(|zero| (**zero..**zero + 10).contains(&code));
            zero.map_or(Part::Other, |zero| digit(code - zero))
        }
    }
}

fn digit(value: u32) -> Part {
    u8::try_from(value).map_or(Part::Other, Part::Digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_found_in_every_dress() {
        for text in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111 1111-1111 1111",
            "order 4111111111111111 paid",
            "x5555555555554444",
            "378282246310005",
            "3782 822463 10005",
            "4222222222222",
            "30569309025904",
            "6011111111111117",
            "3530111333300000",
            "2223003122003222",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            "12 4111 1111 1111 1111 99",
            "4111\u{a0}1111\u{2013}1111\u{2011}1111",
            "４１１１１１１１１１１１１１１１",
            "٤١١١١١١١١١١١١١١١",
            "é4111111111111111",
        ] {
            assert!(contains_card_number(text), "{text}");
        }
    }

    #[test]
    fn what_only_resembles_a_card_number_passes() {
        for text in [
            "",
            "4111",
            "4111111111111112",
            "41111111111111111",
            "94111111111111111",
            "4111  1111  1111  1111",
            "4111.1111.1111.1111",
            "4111 1111 1111 111x",
            "7111111111111113",
            "2018-05-01T14:01:14.507+01:00",
            "d7c1ee99-9478-44a6-b1f2-391e29c6b340",
            "00000000000000000000000000000000000000",
            "0000000000000000",
            "                                   ",
            "- - - - - - - - - - - - - - - - - ",
        ] {
            assert!(!contains_card_number(text), "{text}");
        }
    }

    #[test]
    fn a_number_with_an_exponent_is_written_out_first() {
        for raw in [
            "4111111111111111",
            "4.111111111111111E15",
            "4111111111111111.0",
            "-4111111111111111",
            "41111111111111110e-1",
            "0.4111111111111111e16",
        ] {
            assert!(number_contains_card_number(raw), "{raw}");
        }
        for raw in [
            "4.111111111111111E14",
            "1e999999999999999999999",
            "0e999999999999999999999",
            "0e15",
            "1e-5",
            "0e0",
            "4.111111111111111e-15",
            "0.4111111111111111",
            "1.4111111111111111e2",
        ] {
            assert!(!number_contains_card_number(raw), "{raw}");
        }
    }

    #[test]
    fn the_probe_misses_no_stretch_at_any_place() {
        for before in 0..40 {
            for after in 0..30 {
                let text = format!(
                    "{}4111111111111111{}",
                    "x".repeat(before),
                    "y ".repeat(after)
                );
                assert!(contains_card_number(&text), "{text}");
                let text = format!("{}4222222222222{}", "1x".repeat(before), "-y".repeat(after));
                assert!(contains_card_number(&text), "{text}");
            }
        }
    }
}
