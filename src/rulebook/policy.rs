//! `policy.yaml` and `rates.yaml`: how scores become actions, and what currencies are worth.
//!
//! Rates are read from their decimal text digit by digit; no float touches money.

use crate::domain::codes::Advice;
use crate::domain::currency::{Currency, MAX_RATE_MICRO, RateTable};
use crate::engine::book::{Band, MAX_SPAN_MS, Policy};
use crate::rulebook::page::{self, Fields, Page};
use crate::rulebook::yaml::{Node, Style};

/// The fields of `policy.yaml`.
pub const POLICY_FIELDS: &[&str] = &[
    "name",
    "base_currency",
    "bands",
    "unauthenticated",
    "held_recurring",
    "held_moto",
    "episode",
    "acknowledge_within",
    "deliver_within",
];
/// The fields of `rates.yaml`.
pub const RATES_FIELDS: &[&str] = &["base", "as_of", "source", "rates"];
/// What may be advised for a payment that cannot be authenticated.
pub const WITHOUT_STEP_UP: &[&str] = &["allow", "decline"];
/// The longest name of a rule book: it stands in every decision.
const MAX_NAME_BYTES: usize = 40;
/// The most bands: there are two steps above `allow`.
const MAX_BANDS: usize = 8;

/// What `policy.yaml` says.
#[derive(Debug)]
pub struct Paper {
    /// The rule book's name.
    pub name: String,
    /// The currency that amounts are compared in.
    pub base: Currency,
    /// How scores become actions.
    pub policy: Policy,
}

/// Reads `policy.yaml`.
pub fn policy(root: &Node, page: &mut Page) -> Option<Paper> {
    let fields = Fields::of(root, "the policy", POLICY_FIELDS, page)?;
    let name = fields.want("name", page).and_then(|n| name(n, page));
    let base = fields
        .want("base_currency", page)
        .and_then(|n| currency(n, page));
    let bands = fields
        .want("bands", page)
        .and_then(|n| bands(n, "bands", Advice::WORDS, page));
    let unauthenticated = fields
        .want("unauthenticated", page)
        .and_then(|n| self::bands(n, "unauthenticated", WITHOUT_STEP_UP, page));
    let mut held = |field: &str| {
        let node = fields.want(field, page)?;
        page::word(node, "action", WITHOUT_STEP_UP, Advice::parse, page)
    };
    let held_recurring = held("held_recurring");
    let held_moto = held("held_moto");
    let mut span = |field: &str, default: i64| match fields.get(field) {
        Some(node) => page::span(node, field, MAX_SPAN_MS, page),
        None => Some(default),
    };
    let episode_ms = span("episode", 72 * 3_600_000);
    let acknowledge_ms = span("acknowledge_within", 15 * 60_000);
    // A recorded stream tells of no deliveries: unless the book asks, nobody waits for them.
    let deliver_ms = fields.get("deliver_within").map_or(Some(None), |node| {
        page::span(node, "deliver_within", MAX_SPAN_MS, page).map(Some)
    });
    Some(Paper {
        name: name?,
        base: base?,
        policy: Policy {
            bands: bands?,
            unauthenticated: unauthenticated?,
            held_recurring: held_recurring?,
            held_moto: held_moto?,
            episode_ms: episode_ms?,
            acknowledge_ms: acknowledge_ms?,
            deliver_ms: deliver_ms?,
        },
    })
}

fn name(node: &Node, page: &mut Page) -> Option<String> {
    let name = page::text(node, "name", page)?;
    if page::is_name(name, '-') && name.len() <= MAX_NAME_BYTES {
        return Some(name.to_owned());
    }
    let help = format!("kebab-case, at most {MAX_NAME_BYTES} characters, such as `starter`");
    page.fault_help(
        node.head(),
        format!("`{name}` is no name of a rule book"),
        help,
    );
    None
}

fn currency(node: &Node, page: &mut Page) -> Option<Currency> {
    let letters = page::text(node, "currency", page)?;
    let currency = Currency::parse(letters);
    if currency.is_none() {
        let help = "three capital letters of ISO 4217, such as `DKK`";
        page.fault_help(node.head(), format!("unknown currency `{letters}`"), help);
    }
    currency
}

fn bands(node: &Node, name: &str, actions: &[&str], page: &mut Page) -> Option<Vec<Band>> {
    let items = page::items(node, name, page)?;
    if items.len() > MAX_BANDS {
        page.fault(node.head(), format!("more than {MAX_BANDS} bands"));
    }
    let mut bands: Vec<Band> = Vec::new();
    let mut whole = true;
    for item in items {
        let Some(band) = band(item, actions, page) else {
            whole = false;
            continue;
        };
        if bands.last().is_some_and(|before| before.from >= band.from) {
            let help = "write the bands with rising `from`";
            page.fault_help(
                item.head(),
                "a band does not begin above the one before it",
                help,
            );
        }
        bands.push(band);
    }
    whole.then_some(bands)
}

fn band(node: &Node, actions: &[&str], page: &mut Page) -> Option<Band> {
    let fields = Fields::of(node, "a band", &["from", "action"], page)?;
    let from = fields
        .want("from", page)
        .and_then(|n| page::int(n, "from", 1..=999, page));
    let action = fields
        .want("action", page)
        .and_then(|n| page::word(n, "action", actions, Advice::parse, page));
    Some(Band {
        from: u16::try_from(from?).ok()?,
        action: action?,
    })
}

/// Reads `rates.yaml`; `base` is the policy's.
pub fn rates(root: &Node, base: Option<Currency>, page: &mut Page) -> Option<RateTable> {
    let fields = Fields::of(root, "the rates", RATES_FIELDS, page)?;
    let own_node = fields.want("base", page);
    let own = own_node.and_then(|n| currency(n, page));
    if let (Some(own), Some(base), Some(node)) = (own, base, own_node)
        && own != base
    {
        let message = format!("the rates are in {own}, the policy compares in {base}");
        page.fault_help(node.head(), message, format!("give every rate in {base}"));
        return None;
    }
    if let Some(node) = fields.want("as_of", page) {
        as_of(node, page);
    }
    if let Some(node) = fields.want("source", page) {
        page::text(node, "source", page);
    }
    let table = Fields::any(fields.want("rates", page)?, "`rates`", page)?;
    let mut rates = Vec::new();
    for entry in table.entries() {
        let code = Currency::parse(&entry.key);
        if code.is_none() {
            let help = "three capital letters of ISO 4217, such as `EUR`";
            let message = format!("unknown currency `{}`", entry.key);
            page.fault_help(entry.key_span.clone(), message, help);
        }
        let micro = rate(&entry.node, page);
        if let (Some(code), Some(micro)) = (code, micro) {
            rates.push((code, micro));
        }
    }
    match RateTable::new(own?, &rates) {
        Ok(table) => Some(table),
        Err(error) => {
            page.fault(table.node.head(), error.to_string());
            None
        }
    }
}

fn as_of(node: &Node, page: &mut Page) {
    let Some(day) = page::text(node, "as_of", page) else {
        return;
    };
    if chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").is_err() {
        page.fault_help(
            node.head(),
            format!("`{day}` is not a date"),
            "such as `2026-03-01`",
        );
    }
}

fn rate(node: &Node, page: &mut Page) -> Option<i64> {
    let plain = node.scalar().filter(|s| s.style != Style::Block);
    let Some(given) = plain else {
        page.fault(node.head(), "a rate must be a decimal number");
        return None;
    };
    let micro = micro(&given.text);
    if micro.is_none() {
        let message = format!("`{}` is not a rate", given.text);
        let help = "units of the base for one unit, above 0, with at most six decimals, such as \
                    `7.4605`";
        page.fault_help(node.head(), message, help);
    }
    micro
}

/// A decimal number in millionths; nothing for anything but digits with one point among them, for
/// more than six decimals, for zero, and beyond [`MAX_RATE_MICRO`].
fn micro(given: &str) -> Option<i64> {
    let (whole, part) = given.split_once('.').unwrap_or((given, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let part: i64 = format!("{part:0<6}").parse().ok()?;
    let micro = whole
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(part)?;
    (1..=MAX_RATE_MICRO).contains(&micro).then_some(micro)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_digit_by_digit() {
        assert_eq!(micro("7.4605"), Some(7_460_500));
        assert_eq!(micro("0.000001"), Some(1));
        assert_eq!(micro("12"), Some(12_000_000));
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "0",
            "-1",
            "1e3",
            "7,46",
            "0.0000001",
            "1.2.3",
            " 1",
            "0x1",
        ] {
            assert_eq!(micro(bad), None, "{bad}");
        }
    }
}
