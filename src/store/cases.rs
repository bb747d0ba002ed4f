//! Cases: what the queue is sorted and searched by, and the events behind an episode. What a case is worth is a formula
//! here; whether it is fraud is for the analyst.

use super::alerts::{number, severity};
use super::happening::Happening;
use super::{Row, StoreError, Tx, Value};
use crate::domain::codes::Severity;
use crate::domain::time::HOUR_MS;
use crate::engine::habit::log2_256;

/// Events kept of a cardholder; the oldest give way.
pub const MAX_EVENTS: i64 = 400;
/// What is assumed to be at risk where no amount is known, in minor units.
pub const ASSUMED_MINOR: i64 = 500_000;
/// In this time without a new event an expected loss counts half: what was sent is harder to call back.
pub const HALF_MS: i64 = 6 * HOUR_MS;

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
        "INSERT INTO cases (alert, is_open, rank, severity, pattern, cardholder, at_risk, currency, merchant, sought, person)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
             coalesce((SELECT person FROM claims WHERE claims.alert = $1), ''))
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

/// The newest episodes of a cardholder that were found to be fraud, at most 24, the oldest first.
///
/// # Errors
/// Where the store does not answer.
pub fn of_fraud(tx: &mut Tx<'_>, cardholder: &str) -> Result<Vec<Episode>, StoreError> {
    let rows = tx.rows(
        "SELECT alerts.id, first_at, alerts.at, status, alerts.severity, score, alerts.pattern, alerts.cardholder, line
         FROM cases JOIN alerts ON alerts.id = cases.alert
         WHERE cases.cardholder = $1 AND cases.verdict = 'fraud' ORDER BY first_at DESC, alerts.id DESC LIMIT 24",
        &[cardholder.into()],
    )?;
    Ok(rows.iter().rev().map(episode).collect())
}

/// All episodes after an id, in the order of ids, so many at most; each with the newest verdict on it.
///
/// # Errors
/// Where the store does not answer.
pub fn all(
    tx: &mut Tx<'_>,
    after: &str,
    most: i64,
) -> Result<Vec<(Episode, Option<String>)>, StoreError> {
    let rows = tx.rows(
        "SELECT id, first_at, at, status, alerts.severity, score, alerts.pattern, alerts.cardholder, line, cases.verdict
         FROM alerts LEFT JOIN cases ON cases.alert = alerts.id WHERE id > $1 ORDER BY id LIMIT $2",
        &[after.into(), most.into()],
    )?;
    let with_verdict = |row: &Row| (episode(row), row.maybe(9).map(str::to_owned));
    Ok(rows.iter().map(with_verdict).collect())
}
