//! The queue: open cases, the most to lose first; filters, search, page by page.
//!
//! The order and every filter come from an index of the store; nothing is sorted or counted here.

use super::look::{ConsoleError, Look};
use super::words::Words;
use crate::domain::codes::Severity;
use crate::store::cases;
use crate::store::queue::{self, Queued, Wanted};
use crate::store::tallies::{self, What};
use crate::store::{StoreError, Tx};
use askama::Template;
use serde::Deserialize;
use std::fmt::Write as _;

/// The longest text of a search that is looked for.
const MAX_SOUGHT: usize = 128;

/// What is asked of the queue: the query of its address. An empty text asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// Only this severity.
    pub severity: String,
    /// Only this pattern.
    pub pattern: String,
    /// `closed`; else open cases.
    pub state: String,
    /// Claimed by this user; `-` for nobody.
    pub by: String,
    /// A cardholder, an alert's id or how a merchant's name begins.
    pub q: String,
    /// Where the page before ended: rank and id.
    pub after: String,
}

impl Asked {
    fn wanted(&self) -> Wanted {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let after = self.after.split_once('.');
        Wanted {
            closed: self.state == "closed",
            severity: Severity::parse(&self.severity),
            pattern: some(&self.pattern),
            person: some(&self.by).map(|by| if by == "-" { String::new() } else { by }),
            sought: some(&self.q).filter(|sought| sought.len() <= MAX_SOUGHT),
            after: after.and_then(|(rank, id)| Some((rank.parse().ok()?, id.to_owned()))),
        }
    }

    /// The query of these filters from a place on.
    fn query(&self, after: Option<&Queued>) -> String {
        let after = after
            .map(|row| format!("{}.{}", row.rank, row.alert))
            .unwrap_or_default();
        let pairs = [
            ("severity", &self.severity),
            ("pattern", &self.pattern),
            ("state", &self.state),
            ("by", &self.by),
            ("q", &self.q),
            ("after", &after),
        ];
        let mut query = String::new();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            let and = if query.is_empty() { '?' } else { '&' };
            let _ = write!(query, "{and}{name}={}", escaped(value));
        }
        query
    }

    fn is_narrowed(&self) -> bool {
        [&self.severity, &self.pattern, &self.by, &self.q]
            .iter()
            .any(|text| !text.is_empty())
    }
}

/// A value of a query (RFC 3986).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[derive(Template)]
#[template(path = "queue.html", config = "src/console/askama.toml")]
struct Page<'p> {
    look: &'p Look,
    w: &'static Words,
    here: &'static str,
    asked: &'p Asked,
    patterns: Vec<String>,
    list: List<'p>,
}

#[derive(Template)]
#[template(path = "rows.html", config = "src/console/askama.toml")]
struct List<'p> {
    look: &'p Look,
    w: &'static Words,
    asked: &'p Asked,
    /// Open cases by severity.
    open: Vec<(Severity, i64)>,
    rows: Vec<Queued>,
    next: Option<String>,
    first: Option<String>,
}

impl<'p> List<'p> {
    fn read(look: &'p Look, tx: &mut Tx<'_>, asked: &'p Asked) -> Result<Self, StoreError> {
        let counts = tallies::since(tx, What::Open, 0)?;
        let of = |severity: Severity| {
            let count = counts.iter().filter(|tally| tally.key == severity.word());
            (severity, count.map(|tally| tally.count).sum())
        };
        let mut rows = queue::queue(tx, &asked.wanted())?;
        let most = usize::try_from(queue::PAGE).unwrap_or(usize::MAX);
        let more = rows.len() > most;
        rows.truncate(most);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|row| asked.query(Some(row)));
        Ok(Self {
            look,
            w: look.words(),
            asked,
            open: Severity::ALL.iter().rev().copied().map(of).collect(),
            rows,
            next,
            first: (!asked.after.is_empty()).then(|| asked.query(None)),
        })
    }

    /// What is expected to be lost, and how it comes about.
    fn expected(&self, row: &Queued) -> String {
        match row.at_risk {
            Some(at_risk) => {
                let expected = cases::expected_minor(row.score, Some(at_risk));
                self.look.round_amount(expected, &row.currency)
            }
            None => self.w.unknown.to_owned(),
        }
    }

    fn of(&self, row: &Queued) -> String {
        let at_risk = row
            .at_risk
            .map(|minor| self.look.round_amount(minor, &row.currency));
        match at_risk {
            Some(at_risk) => format!("{} × {at_risk}", self.look.share(row.score)),
            None => String::new(),
        }
    }
}

/// The page.
///
/// # Errors
/// Where the store does not answer.
pub fn page(look: &Look, tx: &mut Tx<'_>, asked: &Asked) -> Result<String, ConsoleError> {
    let page = Page {
        look,
        w: look.words(),
        here: "queue",
        asked,
        patterns: queue::patterns(tx, asked.state == "closed")?,
        list: List::read(look, tx, asked)?,
    };
    Ok(page.render()?)
}

/// Its rows alone, to be put in place of those shown when there is news.
///
/// # Errors
/// Where the store does not answer.
pub fn rows(look: &Look, tx: &mut Tx<'_>, asked: &Asked) -> Result<String, ConsoleError> {
    Ok(List::read(look, tx, asked)?.render()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_next_page_keeps_the_filters() {
        let asked = Asked {
            severity: "high".to_owned(),
            q: "Køb & salg".to_owned(),
            ..Asked::default()
        };
        assert_eq!(asked.query(None), "?severity=high&q=K%C3%B8b%20%26%20salg");
        let after = Asked {
            after: "1520264696000.abc".to_owned(),
            ..asked
        };
        let wanted = after.wanted();
        assert_eq!(wanted.after, Some((1_520_264_696_000, "abc".to_owned())));
        assert_eq!(wanted.sought.as_deref(), Some("Køb & salg"));
        assert_eq!(
            Asked {
                after: "x".to_owned(),
                ..Asked::default()
            }
            .wanted()
            .after,
            None
        );
    }
}
