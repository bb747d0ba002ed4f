//! Spans of time as they are written, in expressions and wherever a file has one: `90s`, `1h30m`, `7d`.
//!
//! It knows no calendar: a day is 24 hours.

/// A span in milliseconds, after CEL's `duration`: numbers with units, such as `1h30m` or `1.5h`; `d` is ours.
///
/// `None` also for what is no whole number of milliseconds, or beyond 64 bits of them.
pub fn parse_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total_ms = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit_ms = match unit {
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        total_ms = total_ms.checked_add(scaled(number, unit_ms)?)?;
        rest = tail;
    }
    Some(sign * total_ms)
}

/// A decimal number times a unit, exactly.
fn scaled(number: &str, unit_ms: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<i64>().ok()
        }
    };
    let shift = 10_i64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = digits(fraction)?.checked_mul(unit_ms)?;
    if part % shift != 0 {
        return None;
    }
    digits(whole)?
        .checked_mul(unit_ms)?
        .checked_add(part / shift)
}

/// A span of milliseconds as [`parse_duration`] reads it, such as `1h30m`.
pub fn show_duration(span_ms: i64) -> String {
    let mut rest = span_ms.unsigned_abs();
    let mut text = String::from(if span_ms < 0 { "-" } else { "" });
    for (unit, length_ms) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        if rest >= length_ms {
            text.push_str(&format!("{}{unit}", rest / length_ms));
            rest %= length_ms;
        }
    }
    if span_ms == 0 {
        text.push_str("0s");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_as_it_is_shown() {
        for span_ms in [
            0,
            1,
            999,
            1_000,
            61_001,
            3_600_000,
            5_400_000,
            90_061_001,
            -250,
            i64::MAX,
            -i64::MAX,
        ] {
            assert_eq!(parse_duration(&show_duration(span_ms)), Some(span_ms));
        }
        assert_eq!(show_duration(5_400_000), "1h30m");
        assert_eq!(show_duration(604_800_000), "7d");
        assert_eq!(show_duration(0), "0s");
        assert!(show_duration(i64::MIN).starts_with("-106751991167d"));
    }
}
