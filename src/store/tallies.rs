//! Counts by day: how many episodes, hits of rules, verdicts, what was prevented and lost. Kept as sums, so that a page
//! over a million episodes reads a few rows.

use super::{Row, StoreError, Tx};
use crate::domain::time::DAY_MS;

/// For so many days counts are kept.
pub const KEPT_DAYS: i64 = 400;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Episodes by severity, on the day they began.
    Alerts,
    /// Episodes open now, by severity; day 0.
    Open,
    /// Episodes by the rules that they name.
    Raised,
    /// Decisions by the live rules that hit.
    Hits,
    /// Decisions by the shadow rules that would have hit.
    Shadow,
    /// Episodes found to be fraud, by rule.
    Fraud,
    /// Episodes found to be good, by rule.
    Good,
    /// Episodes that nobody could tell, by rule.
    Undetermined,
    /// Verdicts, by word.
    Verdicts,
    /// Records refused, by reason, on the day of wall time.
    Rejects,
    /// Minor units declined in episodes that were fraud, by currency.
    Prevented,
    /// Minor units approved in them, by currency.
    Lost,
    /// Seconds from an episode's beginning to the first fraud approved after it; the key is `sum` or `cases`.
    Lead,
}

impl What {
    /// The word in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Open => "open",
            Self::Raised => "raised",
            Self::Hits => "hits",
            Self::Shadow => "shadow",
            Self::Fraud => "fraud",
            Self::Good => "good",
            Self::Undetermined => "undetermined",
            Self::Verdicts => "verdicts",
            Self::Rejects => "rejects",
            Self::Prevented => "prevented",
            Self::Lost => "lost",
            Self::Lead => "lead",
        }
    }

    /// The count of a verdict by rule.
    pub fn of_verdict(verdict: &str) -> Option<Self> {
        match verdict {
            "fraud" => Some(Self::Fraud),
            "good" => Some(Self::Good),
            "undetermined" => Some(Self::Undetermined),
            _ => None,
        }
    }
}

/// A count of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Days since 1970.
    pub day: i64,
    /// Of what: a rule, a severity, a currency.
    pub key: String,
    /// How many.
    pub count: i64,
}

/// The day of an event time.
pub fn day(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS)
}

/// Counts more, or less.
///
/// # Errors
/// Where the store does not answer.
pub fn add(tx: &mut Tx<'_>, what: What, day: i64, key: &str, more: i64) -> Result<(), StoreError> {
    if more == 0 {
        return Ok(());
    }
    tx.change(
        "INSERT INTO tallies (what, day, key, count) VALUES ($1, $2, $3, $4)
         ON CONFLICT (what, day, key) DO UPDATE SET count = tallies.count + excluded.count",
        &[what.word().into(), day.into(), key.into(), more.into()],
    )
    .map(drop)
}

/// The counts from a day on, by day and key.
///
/// # Errors
/// Where the store does not answer.
pub fn since(tx: &mut Tx<'_>, what: What, day: i64) -> Result<Vec<Tally>, StoreError> {
    let rows = tx.rows(
        "SELECT day, key, count FROM tallies WHERE what = $1 AND day >= $2 ORDER BY day, key",
        &[what.word().into(), day.into()],
    )?;
    let tally = |row: &Row| Tally {
        day: row.int(0),
        key: row.text(1).to_owned(),
        count: row.int(2),
    };
    Ok(rows.iter().map(tally).collect())
}

/// The newest day of which something is counted; 0 where nothing is.
///
/// # Errors
/// Where the store does not answer.
pub fn newest(tx: &mut Tx<'_>, what: What) -> Result<i64, StoreError> {
    tx.number(
        "SELECT day FROM tallies WHERE what = $1 ORDER BY day DESC LIMIT 1",
        &[what.word().into()],
    )
}

/// Forgets counts of days long before one.
///
/// # Errors
/// Where the store does not answer.
pub fn forget(tx: &mut Tx<'_>, what: What, day: i64) -> Result<(), StoreError> {
    tx.change(
        "DELETE FROM tallies WHERE what = $1 AND day > 0 AND day < $2",
        &[what.word().into(), (day - KEPT_DAYS).into()],
    )
    .map(drop)
}

/// Takes away what is counted of a kind from a day on.
///
/// # Errors
/// Where the store does not answer.
pub fn clear(tx: &mut Tx<'_>, what: What, from_day: i64) -> Result<(), StoreError> {
    tx.change(
        "DELETE FROM tallies WHERE what = $1 AND day >= $2",
        &[what.word().into(), from_day.into()],
    )
    .map(drop)
}

/// Lets a count be this many at least.
///
/// # Errors
/// Where the store does not answer.
pub fn raise(
    tx: &mut Tx<'_>,
    what: What,
    day: i64,
    key: &str,
    least: i64,
) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO tallies (what, day, key, count) VALUES ($1, $2, $3, $4)
         ON CONFLICT (what, day, key) DO UPDATE SET count = excluded.count WHERE tallies.count < excluded.count",
        &[what.word().into(), day.into(), key.into(), least.into()],
    )
    .map(drop)
}
