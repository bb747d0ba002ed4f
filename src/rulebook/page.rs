//! A file of the rule book while it is read: its text, and where its faults go.
//!
//! The readers of fields below it turn nodes into words, numbers and spans of time, and report
//! what does not fit: unknown fields with a "did you mean", missing ones, wrong types, ranges.
//! What a value means is the caller's business.

use crate::problem::{Problem, Problems, closest};
use crate::rulebook::yaml::{Entry, Node, Style, Value};
use std::ops::{Range, RangeInclusive};

/// A file of the rule book.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name inside the folder, with `/` between: `lists/trusted.txt`.
    pub name: String,
    /// Its name as the user sees it, the folder included.
    pub shown: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// A file that comes from the log, not from a folder.
    pub fn new(name: String, text: String) -> Self {
        Self {
            shown: name.clone(),
            name,
            text,
        }
    }

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
    }
}

/// A file while it is read.
pub struct Page<'a> {
    /// The file.
    pub source: &'a Source,
    problems: &'a mut Problems,
}

impl<'a> Page<'a> {
    /// Opens a file.
    pub fn new(source: &'a Source, problems: &'a mut Problems) -> Self {
        Self { source, problems }
    }

    /// Notes a fault.
    pub fn fault(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.note(span, message.into(), None);
    }

    /// Notes a fault with a line of help.
    pub fn fault_help(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.note(span, message.into(), Some(help.into()));
    }

    /// Notes a fault, with help where there is some.
    pub fn note(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        let problem = Problem::within(&self.source.shown, &self.source.text, span, message);
        self.problems.push(match help {
            Some(help) => problem.with_help(help),
            None => problem,
        });
    }

    /// How many faults there are so far, in all files.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// `file:line` of a byte.
    pub fn place(&self, at: usize) -> String {
        format!("{}:{}", self.source.shown, self.source.line(at))
    }
}

/// A mapping whose fields are known by name.
pub struct Fields<'n> {
    /// The mapping.
    pub node: &'n Node,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// Takes a node as a mapping and reports the fields that `known` does not name.
    pub fn of(node: &'n Node, what: &str, known: &[&str], page: &mut Page) -> Option<Self> {
        let fields = Self::any(node, what, page)?;
        for entry in fields.entries {
            if !known.contains(&entry.key.as_str()) {
                let message = format!("unknown field `{}` in {what}", entry.key);
                let help = suggestion(&entry.key, known);
                page.fault_help(entry.key_span.clone(), message, help);
            }
        }
        Some(fields)
    }

    /// Takes a node as a mapping of whatever fields.
    pub fn any(node: &'n Node, what: &str, page: &mut Page) -> Option<Self> {
        match &node.value {
            Value::Mapping(entries) => Some(Self { node, entries }),
            Value::Scalar(_) | Value::Sequence(_) => {
                page.fault(node.head(), format!("{what} must be fields with values"));
                None
            }
        }
    }

    /// Every field, in the order of the file.
    pub fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    /// A field that may be absent; an empty value counts as absent.
    pub fn get(&self, name: &str) -> Option<&'n Node> {
        self.entry(name).map(|e| &e.node).filter(|n| !n.is_null())
    }

    /// A field with its name's place.
    pub fn entry(&self, name: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|e| e.key == name)
    }

    /// A field that must be there.
    pub fn want(&self, name: &str, page: &mut Page) -> Option<&'n Node> {
        match self.entry(name) {
            None => {
                page.fault(self.node.head(), format!("missing field `{name}`"));
                None
            }
            Some(entry) if entry.node.is_null() => {
                page.fault(
                    entry.key_span.clone(),
                    format!("field `{name}` has no value"),
                );
                None
            }
            Some(entry) => Some(&entry.node),
        }
    }
}

/// The "did you mean" of a word, or the words that there are.
pub fn suggestion(word: &str, known: &[&str]) -> String {
    match closest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of {}", listed(known)),
    }
}

/// Words in backticks with commas between.
pub fn listed(words: &[&str]) -> String {
    words
        .iter()
        .map(|w| format!("`{w}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A scalar's text; anything else is a fault.
pub fn text<'n>(node: &'n Node, name: &str, page: &mut Page) -> Option<&'n str> {
    match node.scalar() {
        Some(scalar) if !scalar.text.trim().is_empty() => Some(&scalar.text),
        Some(_) => {
            page.fault(node.head(), format!("`{name}` is empty"));
            None
        }
        None => {
            page.fault(node.head(), format!("`{name}` must be a text"));
            None
        }
    }
}

/// A whole number in a range.
pub fn int(node: &Node, name: &str, range: RangeInclusive<i64>, page: &mut Page) -> Option<i64> {
    let (low, high) = (range.start(), range.end());
    let plain = node.scalar().filter(|s| s.style == Style::Plain);
    let number = plain.and_then(|s| s.text.parse::<i64>().ok());
    match number {
        Some(number) if range.contains(&number) => Some(number),
        Some(number) => {
            page.fault(
                node.head(),
                format!("`{name}` is {number}, outside {low} to {high}"),
            );
            None
        }
        None => {
            let message = format!("`{name}` must be a whole number from {low} to {high}");
            page.fault(node.head(), message);
            None
        }
    }
}

/// `true` or `false`.
pub fn boolean(node: &Node, name: &str, page: &mut Page) -> Option<bool> {
    let plain = node.scalar().filter(|s| s.style == Style::Plain);
    match plain.map(|s| s.text.as_str()) {
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) | None => {
            page.fault(node.head(), format!("`{name}` must be `true` or `false`"));
            None
        }
    }
}

/// One of a few words; `words` are those that `parse` takes.
pub fn word<T>(
    node: &Node,
    name: &str,
    words: &[&str],
    parse: impl Fn(&str) -> Option<T>,
    page: &mut Page,
) -> Option<T> {
    let given = text(node, name, page)?;
    let parsed = if words.contains(&given) {
        parse(given)
    } else {
        None
    };
    if parsed.is_none() {
        let help = suggestion(given, words);
        page.fault_help(node.head(), format!("unknown {name} `{given}`"), help);
    }
    parsed
}

/// The items of a list.
pub fn items<'n>(node: &'n Node, name: &str, page: &mut Page) -> Option<&'n [Node]> {
    match &node.value {
        Value::Sequence(items) => Some(items),
        Value::Scalar(_) | Value::Mapping(_) => {
            page.fault(node.head(), format!("`{name}` must be a list"));
            None
        }
    }
}

/// A list, or one item that stands for a list of one.
pub fn one_or_more(node: &Node) -> &[Node] {
    match &node.value {
        Value::Sequence(items) => items,
        Value::Scalar(_) | Value::Mapping(_) => std::slice::from_ref(node),
    }
}

/// A span of time such as `24h`, in milliseconds, from 1 s to `max_ms`.
pub fn span(node: &Node, name: &str, max_ms: i64, page: &mut Page) -> Option<i64> {
    let given = text(node, name, page)?;
    match parse_span(given) {
        Some(ms) if (1_000..=max_ms).contains(&ms) => Some(ms),
        Some(_) => {
            let message = format!("`{name}` is `{given}`, outside 1s to {}", show_span(max_ms));
            page.fault(node.head(), message);
            None
        }
        None => {
            let message = format!("`{given}` is not a span of time");
            let help = "a whole number and a unit: `30s`, `10m` or `10min`, `24h`, `7d`";
            page.fault_help(node.head(), message, help);
            None
        }
    }
}

/// Reads `30s`, `10m`, `10min`, `24h` or `7d` as milliseconds.
pub fn parse_span(given: &str) -> Option<i64> {
    let digits = given.len() - given.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = given.split_at(digits);
    let unit_ms = match unit {
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit_ms)
}

/// A span as a person would write it: `90d`, `36h`, `10m`, `30s`.
pub fn show_span(ms: i64) -> String {
    match ms {
        0 => "0s".to_owned(),
        ms if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

/// Whether a text is words of lower-case letters and digits with `joint` between, a letter first.
pub fn is_name(given: &str, joint: char) -> bool {
    given.starts_with(|c: char| c.is_ascii_lowercase())
        && given.split(joint).all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_whole_number_with_a_unit() {
        assert_eq!(parse_span("10m"), Some(600_000));
        assert_eq!(parse_span("10min"), Some(600_000));
        assert_eq!(parse_span("90d"), Some(90 * 86_400_000));
        for bad in [
            "",
            "h",
            "10",
            "1.5h",
            "10 m",
            "-1h",
            "10M",
            "99999999999999999d",
        ] {
            assert_eq!(parse_span(bad), None, "{bad}");
        }
        assert_eq!(show_span(36 * 3_600_000), "36h");
    }

    #[test]
    fn names_are_lower_case_words_with_one_joint_between() {
        assert!(is_name("over-balance-2", '-') && is_name("a_24h", '_'));
        for bad in ["", "-a", "a--b", "a-", "A-b", "2a", "a_b", "a b"] {
            assert!(!is_name(bad, '-'), "{bad}");
        }
    }
}
