//! `lists/NAME.txt`: named lists of texts, one a line, each with an optional end.
//!
//! What a list is of (merchants, countries, cards) is for the rule that asks it to know.

use crate::domain::ids::Fingerprint;
use crate::domain::time::Moment;
use crate::engine::book::List;
use crate::rulebook::page::{self, Page};
use std::collections::BTreeSet;
use std::ops::Range;

/// The most entries of one list: 16 bytes each in memory.
const MAX_ENTRIES: usize = 65_536;
/// The longest entry, in bytes: that of any text field of an event.
const MAX_ENTRY_BYTES: usize = 512;

/// Reads a list; faulty lines are left out.
pub fn list(name: &str, page: &mut Page) -> List {
    let text: &str = &page.source.text;
    let mut entries: Vec<(Fingerprint, i64)> = Vec::new();
    let mut seen: BTreeSet<Fingerprint> = BTreeSet::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        // A value may hold a `#`; a comment begins a line or follows white space.
        let content = match line.find(" #").or_else(|| line.find("\t#")) {
            Some(comment) => line.get(..comment).unwrap_or(line),
            None => line,
        };
        let content = content.trim_end();
        let indent = content.len() - content.trim_start().len();
        let content = content.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let span = at + indent..at + indent + content.len();
        let Some(entry) = entry(content, span.clone(), page) else {
            continue;
        };
        if !seen.insert(entry.0) {
            page.fault(span, "this value is on the list twice");
            continue;
        }
        if entries.len() == MAX_ENTRIES {
            page.fault(span, format!("more than {MAX_ENTRIES} entries"));
            break;
        }
        entries.push(entry);
    }
    entries.sort_unstable();
    List {
        name: name.to_owned(),
        entries,
    }
}

fn entry(content: &str, span: Range<usize>, page: &mut Page) -> Option<(Fingerprint, i64)> {
    let words: Vec<&str> = content.split_whitespace().collect();
    let (value, until) = match words.as_slice() {
        [] => return None,
        [.., _, "until", end] => {
            let value = content
                .rsplit_once("until")
                .map_or(content, |(value, _)| value.trim_end());
            (value, Moment::parse(end).map(|m| m.ms))
        }
        [_, rest @ ..] if rest.contains(&"until") => (content, None),
        // A date without the word is a slip, not part of a value.
        [_, .., last] if Moment::parse(last).is_some() => (content, None),
        [..] => (content, Some(i64::MAX)),
    };
    if value.len() > MAX_ENTRY_BYTES {
        page.fault(span, format!("longer than {MAX_ENTRY_BYTES} bytes"));
        return None;
    }
    if until.is_none() {
        let help = "one value a line, then `until 2026-12-31T00:00:00Z` where it ends";
        page.fault_help(span, "this line is no entry", help);
    }
    until.map(|until| (Fingerprint::of(value), until))
}

/// Whether a list may have this name.
pub fn is_name(name: &str) -> bool {
    page::is_name(name, '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problems;
    use crate::rulebook::page::Source;

    fn read(text: &str) -> (List, usize) {
        let source = Source {
            name: "l".into(),
            shown: "l".into(),
            text: text.into(),
        };
        let mut problems = Problems::new();
        let list = list("l", &mut Page::new(&source, &mut problems));
        (list, problems.len())
    }

    #[test]
    fn an_entry_ends_when_it_says_so_and_comments_are_no_entries() {
        let (list, faults) =
            read("# head\nm-1\n  two words  # note\nm#2 until 2026-01-01T00:00:00Z # why\r\n\n");
        assert_eq!(faults, 0);
        assert_eq!(list.entries.len(), 3);
        assert!(list.holds("m-1", i64::MAX - 1) && list.holds("two words", 0));
        let end = Moment::parse("2026-01-01T00:00:00Z").unwrap().ms;
        assert!(list.holds("m#2", end - 1) && !list.holds("m#2", end));
        assert!(!list.holds("head", 0));
    }

    #[test]
    fn a_twice_written_entry_and_a_bad_end_are_faults() {
        assert_eq!(read("a\na\n").1, 1);
        for bad in ["a until tomorrow\n", "a until next year\n", "a until\n"] {
            assert_eq!(read(bad).1, 1, "{bad}");
        }
        assert_eq!(read("a 2026-01-01T00:00:00Z\n").1, 1);
    }
}
