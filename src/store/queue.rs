//! The queue of cases: pages of it, filters, search.
//!
//! Every query walks one index from where the page before ended, so that a page costs the same with a million episodes.
//! A filter that no index holds besides is one that leaves out few rows of those walked.

use super::alerts::{number, severity};
use super::{Row, StoreError, Tx, Value};
use crate::domain::codes::Severity;

/// Rows of a page.
pub const PAGE: i64 = 50;
/// Names of merchants that a search may mean.
const MAX_MERCHANTS: i64 = 8;

/// A row of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The episode.
    pub alert: String,
    /// See [`super::cases::rank`].
    pub rank: i64,
    /// When it began, event time.
    pub first_at_ms: i64,
    /// Its newest event, event time.
    pub at_ms: i64,
    /// When it was stored, wall time.
    pub seen_ms: i64,
    /// How bad it is.
    pub severity: Severity,
    /// 0-999.
    pub score: i64,
    /// How many events fed it.
    pub count: i64,
    /// The pattern.
    pub pattern: String,
    /// The cardholder.
    pub cardholder: String,
    /// Minor units of the largest payment asked for.
    pub at_risk: Option<i64>,
    /// Their currency.
    pub currency: String,
    /// Where it was asked for.
    pub merchant: String,
    /// The newest verdict.
    pub verdict: Option<String>,
    /// Whether it waits for somebody.
    pub is_open: bool,
    /// Who works on it.
    pub person: Option<String>,
    /// Since when.
    pub since_ms: i64,
}

/// What the queue is to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Closed cases instead of open ones.
    pub closed: bool,
    /// Only this severity.
    pub severity: Option<Severity>,
    /// Only this pattern.
    pub pattern: Option<String>,
    /// Only what this person claimed; an empty name for what nobody did.
    pub person: Option<String>,
    /// An episode's id, a cardholder, or how a merchant's name begins.
    pub sought: Option<String>,
    /// Rank and id of the last row of the page before.
    pub after: Option<(i64, String)>,
}

macro_rules! queue {
    ($($from:literal),+) => {
        concat!(
            "SELECT cases.alert, cases.rank, alerts.first_at, alerts.at, alerts.seen, cases.severity, alerts.score,
                 alerts.fed, cases.pattern, cases.cardholder, cases.at_risk, cases.currency, cases.merchant,
                 cases.verdict, cases.is_open, claims.person, claims.since
             FROM cases JOIN alerts ON alerts.id = cases.alert LEFT JOIN claims ON claims.alert = cases.alert WHERE ",
            $($from),+,
            " AND cases.is_open = $1 AND (cases.rank, cases.alert) < ($2, $3)
             ORDER BY cases.rank DESC, cases.alert DESC LIMIT $4"
        )
    };
}

fn queued(row: &Row) -> Queued {
    Queued {
        alert: row.text(0).to_owned(),
        rank: row.int(1),
        first_at_ms: row.int(2),
        at_ms: row.int(3),
        seen_ms: row.int(4),
        severity: severity(row.int(5)),
        score: row.int(6),
        count: row.int(7),
        pattern: row.text(8).to_owned(),
        cardholder: row.text(9).to_owned(),
        at_risk: row.maybe(11).map(|_| row.int(10)),
        currency: row.text(11).to_owned(),
        merchant: row.text(12).to_owned(),
        verdict: row.maybe(13).map(str::to_owned),
        is_open: row.int(14) == 1,
        person: row.maybe(15).map(str::to_owned),
        since_ms: row.int(16),
    }
}

/// A page of the queue, the most urgent first; one row more than a page where there are more.
///
/// # Errors
/// Where the store does not answer.
pub fn queue(tx: &mut Tx<'_>, wanted: &Wanted) -> Result<Vec<Queued>, StoreError> {
    if let Some(sought) = &wanted.sought {
        return search(tx, wanted, sought);
    }
    let sql = match (&wanted.person, &wanted.pattern, wanted.severity) {
        (None, None, None) => queue!("cases.rank IS NOT NULL"),
        (None, None, Some(_)) => queue!("cases.severity = $5"),
        (None, Some(_), None) => queue!("cases.pattern = $5"),
        (None, Some(_), Some(_)) => queue!("cases.pattern = $5 AND cases.severity = $6"),
        // What nobody claimed is nearly everything, so the other filter leads.
        (Some(person), pattern, severity) if person.is_empty() => match (pattern, severity) {
            (None, None) => queue!("cases.person = ''"),
            (None, Some(_)) => queue!("cases.person || '' = '' AND cases.severity = $5"),
            (Some(_), None) => queue!("cases.person || '' = '' AND cases.pattern = $5"),
            (Some(_), Some(_)) => {
                queue!("cases.person || '' = '' AND cases.pattern = $5 AND cases.severity = $6")
            }
        },
        // What one person claimed is little, so that leads.
        (Some(_), None, None) => queue!("cases.person = $5"),
        (Some(_), None, Some(_)) => queue!("cases.person = $5 AND cases.severity + 0 = $6"),
        (Some(_), Some(_), None) => queue!("cases.person = $5 AND cases.pattern || '' = $6"),
        (Some(_), Some(_), Some(_)) => {
            queue!("cases.person = $5 AND cases.pattern || '' = $6 AND cases.severity + 0 = $7")
        }
    };
    let person = wanted.person.as_deref().filter(|person| !person.is_empty());
    let mut values = first(wanted);
    values.extend(person.map(Value::from));
    values.extend(wanted.pattern.as_deref().map(Value::from));
    values.extend(wanted.severity.map(number));
    Ok(tx.rows(sql, &values)?.iter().map(queued).collect())
}

/// The values that every query of the queue begins with.
fn first(wanted: &Wanted) -> Vec<Value> {
    let (rank, alert) = wanted.after.clone().unwrap_or((i64::MAX, String::new()));
    vec![
        i64::from(!wanted.closed).into(),
        rank.into(),
        Value::Text(alert),
        (PAGE + 1).into(),
    ]
}

/// The same question of open cases, then of closed ones.
fn open_then_closed(
    tx: &mut Tx<'_>,
    sql: &'static str,
    asked: &str,
) -> Result<Vec<Queued>, StoreError> {
    let mut found = Vec::new();
    for closed in [false, true] {
        let mut values = first(&Wanted {
            closed,
            ..Wanted::default()
        });
        values.push(asked.into());
        found.extend(tx.rows(sql, &values)?.iter().map(queued));
    }
    Ok(found)
}

fn search(tx: &mut Tx<'_>, wanted: &Wanted, sought: &str) -> Result<Vec<Queued>, StoreError> {
    let with = |value: &str| {
        let mut values = first(wanted);
        values.push(value.into());
        values
    };
    // An id is one case, whether it is open or not.
    let mut found = open_then_closed(tx, queue!("cases.alert = $5"), &sought.to_lowercase())?;
    let mut rows = tx.rows(queue!("cases.cardholder = $5"), &with(sought))?;
    for merchant in merchants(tx, &sought.to_lowercase())? {
        rows.extend(tx.rows(queue!("cases.sought = $5"), &with(&merchant))?);
    }
    found.extend(rows.iter().map(queued));
    found.sort_by(|a, b| (b.rank, &b.alert).cmp(&(a.rank, &a.alert)));
    found.dedup_by(|a, b| a.alert == b.alert);
    found.truncate(usize::try_from(PAGE + 1).unwrap_or(usize::MAX));
    Ok(found)
}

/// Merchants' names that begin so, one step along the index for each.
fn merchants(tx: &mut Tx<'_>, begin: &str) -> Result<Vec<String>, StoreError> {
    let mut names: Vec<String> = Vec::new();
    for _ in 0..MAX_MERCHANTS {
        let row = match names.last() {
            None => tx.row(
                "SELECT sought FROM cases WHERE sought >= $1 ORDER BY sought LIMIT 1",
                &[begin.into()],
            )?,
            Some(last) => tx.row(
                "SELECT sought FROM cases WHERE sought > $1 ORDER BY sought LIMIT 1",
                &[last.into()],
            )?,
        };
        match row.map(|row| row.text(0).to_owned()) {
            Some(name) if name.starts_with(begin) => names.push(name),
            Some(_) | None => break,
        }
    }
    Ok(names)
}

/// One case of the queue.
///
/// # Errors
/// Where the store does not answer.
pub fn one(tx: &mut Tx<'_>, alert: &str) -> Result<Option<Queued>, StoreError> {
    let found = open_then_closed(tx, queue!("cases.alert = $5"), alert)?;
    Ok(found.into_iter().next())
}

/// The newest other cases of a cardholder, open ones first.
///
/// # Errors
/// Where the store does not answer.
pub fn others(tx: &mut Tx<'_>, cardholder: &str, but: &str) -> Result<Vec<Queued>, StoreError> {
    let mut found = open_then_closed(tx, queue!("cases.cardholder = $5"), cardholder)?;
    found.retain(|case| case.alert != but);
    Ok(found)
}

/// The patterns of which there is a case, one step along the index for each.
///
/// # Errors
/// Where the store does not answer.
pub fn patterns(tx: &mut Tx<'_>, closed: bool) -> Result<Vec<String>, StoreError> {
    /// Rule books have some dozens.
    const MOST: usize = 100;
    let mut names: Vec<String> = Vec::new();
    while names.len() < MOST {
        let last = names.last().map_or("", String::as_str);
        let row = tx.row(
            "SELECT pattern FROM cases WHERE is_open = $1 AND pattern > $2 ORDER BY pattern LIMIT 1",
            &[i64::from(!closed).into(), last.into()],
        )?;
        match row {
            Some(row) => names.push(row.text(0).to_owned()),
            None => break,
        }
    }
    Ok(names)
}
