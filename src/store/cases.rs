//! Cases: what the queue is sorted and searched by, and the events behind an episode.
//!
//! Every query of the queue walks one index from where the page before ended, so that a page costs the same with a
//! million episodes. What a case is worth is a formula here; whether it is fraud is for the analyst.

use super::alerts::{number, severity};
use super::happening::Happening;
use super::{Row, StoreError, Tx, Value};
use crate::domain::codes::Severity;
use crate::domain::time::HOUR_MS;
use crate::engine::habit::log2_256;

/// Rows of a page.
pub const PAGE: i64 = 50;
/// Events kept of a cardholder; the oldest give way.
pub const MAX_EVENTS: i64 = 400;
/// What is assumed to be at risk where no amount is known, in minor units.
pub const ASSUMED_MINOR: i64 = 500_000;
/// In this time without a new event an expected loss counts half: what was sent is harder to call back.
pub const HALF_MS: i64 = 6 * HOUR_MS;
/// Names of merchants that a search may mean.
const MAX_MERCHANTS: i64 = 8;

/// An event behind a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Event time.
    pub at_ms: i64,
    /// What happened; nothing where only the decision has come.
    pub happening: Option<Happening>,
    /// Its id.
    pub id: String,
    /// Where its address lies.
    pub country: Option<String>,
    /// The line of what was decided on it.
    pub decision: Option<String>,
}

/// What stands of a case besides its episode's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The episode.
    pub alert: String,
    /// Whether it waits for somebody.
    pub is_open: bool,
    /// 0-999.
    pub score: i64,
    /// Event time of its newest event.
    pub at_ms: i64,
    /// How bad it is.
    pub severity: Severity,
    /// The pattern.
    pub pattern: String,
    /// The cardholder.
    pub cardholder: String,
    /// The largest payment asked for, with its currency and merchant.
    pub at_risk: Option<(i64, String, String)>,
    /// The same in the rule book's currency, where there is a rate.
    pub base_minor: Option<i64>,
}

/// The place in the queue: event time in milliseconds, plus six hours for each doubling of the expected loss, which is
/// score / 1000 of what is at risk. So the order never changes by the passing of time, and an index can hold it.
pub fn rank(score: i64, at_risk_minor: Option<i64>, at_ms: i64) -> i64 {
    let expected = expected_minor(score, at_risk_minor);
    at_ms + i64::from(log2_256(expected.max(1))) * HALF_MS / 256
}

/// The expected loss: score / 1000 of what is at risk.
pub fn expected_minor(score: i64, at_risk_minor: Option<i64>) -> i64 {
    let at_risk = at_risk_minor.unwrap_or(ASSUMED_MINOR);
    at_risk.saturating_mul(score) / 1000
}

/// Keeps how a case stands; the answer is how it stood before, open and severity, where it was known.
///
/// # Errors
/// Where the store does not answer.
pub fn keep(tx: &mut Tx<'_>, case: &Case) -> Result<Option<(bool, Severity)>, StoreError> {
    let before = tx.row(
        "SELECT is_open, severity FROM cases WHERE alert = $1",
        &[(&case.alert).into()],
    )?;
    let (minor, currency, merchant) = match &case.at_risk {
        Some((minor, currency, merchant)) => (
            Value::from(*minor),
            Value::from(currency),
            Value::from(merchant),
        ),
        None => (Value::Null, Value::Null, Value::Null),
    };
    let sought = case
        .at_risk
        .as_ref()
        .map(|(_, _, name)| name.to_lowercase());
    let rank = rank(case.score, case.base_minor, case.at_ms);
    tx.change(
        "INSERT INTO cases (alert, is_open, rank, severity, pattern, cardholder, at_risk, currency, merchant, sought)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (alert) DO UPDATE SET is_open = excluded.is_open, rank = excluded.rank,
             severity = excluded.severity, at_risk = excluded.at_risk, currency = excluded.currency,
             merchant = excluded.merchant, sought = excluded.sought",
        &[
            (&case.alert).into(),
            i64::from(case.is_open).into(),
            rank.into(),
            number(case.severity),
            (&case.pattern).into(),
            (&case.cardholder).into(),
            minor,
            currency,
            merchant,
            sought.as_deref().into(),
        ],
    )?;
    Ok(before.map(|row| (row.int(0) == 1, severity(row.int(1)))))
}

/// Notes that an episode names a rule; false where that was known.
///
/// # Errors
/// Where the store does not answer.
pub fn name_rule(tx: &mut Tx<'_>, alert: &str, rule: &str) -> Result<bool, StoreError> {
    let new = tx.change(
        "INSERT INTO case_rules (alert, rule) VALUES ($1, $2) ON CONFLICT (alert, rule) DO NOTHING",
        &[alert.into(), rule.into()],
    )?;
    Ok(new == 1)
}

/// The rules that an episode names.
///
/// # Errors
/// Where the store does not answer.
pub fn rules_of(tx: &mut Tx<'_>, alert: &str) -> Result<Vec<String>, StoreError> {
    let rows = tx.rows(
        "SELECT rule FROM case_rules WHERE alert = $1 ORDER BY rule",
        &[alert.into()],
    )?;
    Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
}

/// Keeps the newest verdict on a case; the answer is the one before, and nothing where the case is not known.
///
/// # Errors
/// Where the store does not answer.
pub fn judge(
    tx: &mut Tx<'_>,
    alert: &str,
    verdict: &str,
) -> Result<Option<Option<String>>, StoreError> {
    let row = tx.row(
        "SELECT verdict FROM cases WHERE alert = $1",
        &[alert.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    tx.change(
        "UPDATE cases SET verdict = $1 WHERE alert = $2",
        &[verdict.into(), alert.into()],
    )?;
    Ok(Some(row.maybe(0).map(str::to_owned)))
}

/// Keeps an event of a cardholder.
///
/// # Errors
/// Where the store does not answer.
pub fn keep_event(
    tx: &mut Tx<'_>,
    cardholder: &str,
    happening: &Happening,
    line: &str,
    country: Option<&str>,
) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO events (cardholder, id, at, line, country) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (cardholder, id) DO UPDATE SET line = excluded.line, country = excluded.country
         WHERE events.line = ''",
        &[
            cardholder.into(),
            (&happening.id).into(),
            happening.at_ms().into(),
            line.into(),
            country.into(),
        ],
    )
    .map(drop)
}

/// Keeps what was decided on an event.
///
/// # Errors
/// Where the store does not answer.
pub fn keep_decision(
    tx: &mut Tx<'_>,
    cardholder: &str,
    event: &str,
    at_ms: i64,
    line: &str,
) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO events (cardholder, id, at, line, decision) VALUES ($1, $2, $3, '', $4)
         ON CONFLICT (cardholder, id) DO UPDATE SET decision = excluded.decision",
        &[cardholder.into(), event.into(), at_ms.into(), line.into()],
    )
    .map(drop)
}

/// Lets the oldest events of a cardholder go where there are too many.
///
/// # Errors
/// Where the store does not answer.
pub fn trim(tx: &mut Tx<'_>, cardholder: &str) -> Result<(), StoreError> {
    tx.change(
        "DELETE FROM events WHERE cardholder = $1 AND at < (
             SELECT min(at) FROM (SELECT at FROM events WHERE cardholder = $1 ORDER BY at DESC LIMIT $2) AS newest)",
        &[cardholder.into(), MAX_EVENTS.into()],
    )
    .map(drop)
}

/// The events of a cardholder within a span of event time, the newest of them where there are too many, oldest first.
///
/// # Errors
/// Where the store does not answer.
pub fn events(
    tx: &mut Tx<'_>,
    cardholder: &str,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<Kept>, StoreError> {
    let rows = tx.rows(
        "SELECT at, line, id, country, decision FROM events
         WHERE cardholder = $1 AND at >= $2 AND at <= $3 ORDER BY at DESC, id DESC LIMIT $4",
        &[
            cardholder.into(),
            from_ms.into(),
            to_ms.into(),
            MAX_EVENTS.into(),
        ],
    )?;
    let kept = |row: &Row| Kept {
        at_ms: row.int(0),
        happening: Happening::read(row.text(1)),
        id: row.text(2).to_owned(),
        country: row.maybe(3).map(str::to_owned),
        decision: row.maybe(4).map(str::to_owned),
    };
    Ok(rows.iter().rev().map(kept).collect())
}

/// A row of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The episode.
    pub alert: String,
    /// See [`rank`].
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
    let mut values = first(wanted);
    let severity = wanted.severity.map(number);
    let sql = match (&wanted.person, &wanted.pattern, severity) {
        (Some(person), _, _) if person.is_empty() => queue!("claims.person IS NULL"),
        (Some(person), _, _) => {
            values.push(person.into());
            queue!("claims.person = $5")
        }
        (None, Some(pattern), Some(severity)) => {
            values.extend([pattern.into(), severity]);
            queue!("cases.pattern = $5 AND cases.severity = $6")
        }
        (None, Some(pattern), None) => {
            values.push(pattern.into());
            queue!("cases.pattern = $5")
        }
        (None, None, Some(severity)) => {
            values.push(severity);
            queue!("cases.severity = $5")
        }
        (None, None, None) => queue!("cases.rank IS NOT NULL"),
    };
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

fn search(tx: &mut Tx<'_>, wanted: &Wanted, sought: &str) -> Result<Vec<Queued>, StoreError> {
    let with = |value: &str| {
        let mut values = first(wanted);
        values.push(value.into());
        values
    };
    let mut found = Vec::new();
    // An id is one case, whether it is open or not.
    for closed in [false, true] {
        let wanted = Wanted {
            closed,
            ..Wanted::default()
        };
        let mut values = first(&wanted);
        values.push(sought.to_lowercase().as_str().into());
        found.extend(tx.rows(queue!("cases.alert = $5"), &values)?);
    }
    found.extend(tx.rows(queue!("cases.cardholder = $5"), &with(sought))?);
    for merchant in merchants(tx, &sought.to_lowercase())? {
        found.extend(tx.rows(queue!("cases.sought = $5"), &with(&merchant))?);
    }
    let mut found: Vec<Queued> = found.iter().map(queued).collect();
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
    for closed in [false, true] {
        let wanted = Wanted {
            closed,
            ..Wanted::default()
        };
        let mut values = first(&wanted);
        values.push(alert.into());
        if let Some(row) = tx.row(queue!("cases.alert = $5"), &values)? {
            return Ok(Some(queued(&row)));
        }
    }
    Ok(None)
}

/// The newest other cases of a cardholder, open ones first.
///
/// # Errors
/// Where the store does not answer.
pub fn others(tx: &mut Tx<'_>, cardholder: &str, but: &str) -> Result<Vec<Queued>, StoreError> {
    let mut found = Vec::new();
    for closed in [false, true] {
        let wanted = Wanted {
            closed,
            ..Wanted::default()
        };
        let mut values = first(&wanted);
        values.push(cardholder.into());
        found.extend(
            tx.rows(queue!("cases.cardholder = $5"), &values)?
                .iter()
                .map(queued),
        );
    }
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

/// The open episodes of a cardholder, with what a case is made of: id, score, times, severity, pattern, line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// Its id.
    pub id: String,
    /// When it began.
    pub first_at_ms: i64,
    /// Its newest event.
    pub at_ms: i64,
    /// Whether it is over.
    pub is_closed: bool,
    /// How bad it is.
    pub severity: Severity,
    /// 0-999.
    pub score: i64,
    /// The pattern.
    pub pattern: String,
    /// The cardholder.
    pub cardholder: String,
    /// Its newest line.
    pub line: String,
}

fn episode(row: &Row) -> Episode {
    Episode {
        id: row.text(0).to_owned(),
        first_at_ms: row.int(1),
        at_ms: row.int(2),
        is_closed: row.text(3) == "closed",
        severity: severity(row.int(4)),
        score: row.int(5),
        pattern: row.text(6).to_owned(),
        cardholder: row.text(7).to_owned(),
        line: row.text(8).to_owned(),
    }
}

/// An episode as it stands.
///
/// # Errors
/// Where the store does not answer.
pub fn episode_of(tx: &mut Tx<'_>, id: &str) -> Result<Option<Episode>, StoreError> {
    let row = tx.row(
        "SELECT id, first_at, at, status, severity, score, pattern, cardholder, line FROM alerts WHERE id = $1",
        &[id.into()],
    )?;
    Ok(row.as_ref().map(episode))
}

/// The newest episodes of a cardholder, at most 24, which is what the engine keeps open.
///
/// # Errors
/// Where the store does not answer.
pub fn episodes(tx: &mut Tx<'_>, cardholder: &str) -> Result<Vec<Episode>, StoreError> {
    let rows = tx.rows(
        "SELECT id, first_at, at, status, severity, score, pattern, cardholder, line FROM alerts
         WHERE cardholder = $1 ORDER BY at DESC LIMIT 24",
        &[cardholder.into()],
    )?;
    Ok(rows.iter().map(episode).collect())
}

/// The cardholders with an open case after a name, in order.
///
/// # Errors
/// Where the store does not answer.
pub fn watched(tx: &mut Tx<'_>, after: &str, most: i64) -> Result<Vec<String>, StoreError> {
    let rows = tx.rows(
        "SELECT DISTINCT cardholder FROM cases WHERE cardholder > $1 AND is_open = 1 ORDER BY cardholder LIMIT $2",
        &[after.into(), most.into()],
    )?;
    Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
}

/// Whether a cardholder has an open case.
///
/// # Errors
/// Where the store does not answer.
pub fn is_watched(tx: &mut Tx<'_>, cardholder: &str) -> Result<bool, StoreError> {
    let row = tx.row(
        "SELECT alert FROM cases WHERE cardholder = $1 AND is_open = 1 LIMIT 1",
        &[cardholder.into()],
    )?;
    Ok(row.is_some())
}
