//! What stands behind an episode, as the store keeps it: its case, its events, what was found, what it came to. Each
//! function says the same whether a record is followed as it comes or read again in a rebuild.

use super::memory::Record;
use crate::clock;
use crate::domain::codes::Severity;
use crate::domain::currency::{Currency, RateTable};
use crate::domain::time::{DAY_MS, Moment};
use crate::notify::counts::{Counts, Decided, Named};
use crate::store::cases::{self, Case, Episode, Kept};
use crate::store::happening::Happening;
use crate::store::notes::{self, Disposition};
use crate::store::samples::Sample;
use crate::store::tallies::{self, What};
use crate::store::{StoreError, Tx};
use crate::stream::follow::Followed;
use crate::stream::letters;
use crate::stream::records::{self, Kind};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Before an episode began, its amounts are looked for in this span.
const BEFORE_MS: i64 = DAY_MS;
/// Characters of a refused record that are shown.
const SAMPLE: usize = 240;

/// What is read of an alert.
#[derive(Debug, Default, Deserialize)]
struct Raised {
    #[serde(default)]
    rules: Vec<Named>,
    #[serde(default)]
    events: Vec<String>,
}

fn raised(episode: &Episode) -> Raised {
    serde_json::from_str(&episode.line).unwrap_or_default()
}

/// The rules that an episode names.
pub fn rules_named(episode: &Episode) -> impl Iterator<Item = String> {
    raised(episode).rules.into_iter().map(|rule| rule.id)
}

/// A record that was refused, masked; nothing where it is not of the topic of dead letters.
pub fn letter(followed: &Followed, dead_letters: &str) -> Option<Sample> {
    if followed.topic != dead_letters {
        return None;
    }
    let (reason, said) = followed.letter.clone()?;
    let (masked, _) = letters::mask(&followed.value, true);
    let begin = String::from_utf8_lossy(&masked);
    Some(Sample {
        place: records::position(&followed.topic, followed.partition, followed.offset),
        reason,
        said,
        at_ms: followed.came_ms.unwrap_or_else(clock::now_ms),
        record: begin.chars().take(SAMPLE).collect(),
    })
}

/// What a record says, and of whom; nothing where it is no event and no decision that says anything.
pub fn read(followed: Followed, decisions: &str) -> Option<(String, Record)> {
    let cardholder = String::from_utf8(followed.key).ok()?;
    let line = String::from_utf8(followed.value).ok()?;
    if followed.topic == decisions {
        return (!is_everyday(&line)).then_some((cardholder, Record::Decision(line)));
    }
    let country = followed.place.and_then(|place| place.country);
    let country = country.map(|two| String::from_utf8_lossy(&two.letters()).into_owned());
    (followed.kind == Kind::Event).then_some((cardholder, Record::Event(line, country)))
}

/// Whether a decision found nothing: most do, and they are not kept.
fn is_everyday(line: &str) -> bool {
    line.contains("\"rules\":[],\"reasons\":[]") && !line.contains("\"shadow\":[")
}

/// Keeps a record of a cardholder who has an episode.
///
/// # Errors
/// Where the store does not answer.
pub fn keep(tx: &mut Tx<'_>, cardholder: &str, record: &Record) -> Result<(), StoreError> {
    match record {
        Record::Event(line, country) => match Happening::read(line) {
            Some(happening) => {
                cases::keep_event(tx, cardholder, &happening, line, country.as_deref())
            }
            None => Ok(()),
        },
        Record::Decision(line) => match serde_json::from_str::<Decided>(line) {
            Ok(decided) => {
                let at_ms = Moment::parse(&decided.at).map_or(0, |at| at.ms);
                cases::keep_decision(tx, cardholder, &decided.event, at_ms, line)
            }
            Err(_) => Ok(()),
        },
    }
}

/// Keeps how an episode's case stands now; the answer is the case, and how it stood before: open, and severity.
///
/// # Errors
/// Where the store does not answer.
pub fn stand(
    tx: &mut Tx<'_>,
    episode: &Episode,
    rates: &RateTable,
) -> Result<(Case, Option<(bool, Severity)>), StoreError> {
    let payments = around(tx, episode)?.into_iter().filter_map(|event| {
        let happening = event.happening?;
        let merchant = happening.merchant.unwrap_or_default().name;
        Some((happening.amount_minor?, happening.currency?, merchant))
    });
    let at_risk = payments.max_by_key(|(minor, _, _)| *minor);
    let base_minor = at_risk.as_ref().and_then(|(minor, currency, _)| {
        rates.to_base_minor(*minor, Currency::parse(currency.as_str())?)
    });
    let case = Case {
        alert: episode.id.clone(),
        is_open: !episode.is_closed,
        score: episode.score,
        at_ms: episode.at_ms,
        severity: episode.severity,
        pattern: episode.pattern.clone(),
        cardholder: episode.cardholder.clone(),
        at_risk,
        base_minor,
    };
    let before = cases::keep(tx, &case)?;
    Ok((case, before))
}

/// The events kept from a day before an episode to its newest.
fn around(tx: &mut Tx<'_>, episode: &Episode) -> Result<Vec<Kept>, StoreError> {
    let from_ms = episode.first_at_ms - BEFORE_MS;
    cases::events(tx, &episode.cardholder, from_ms, episode.at_ms)
}

/// What a disposition of the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The event's id.
    pub id: String,
    /// Of which episode.
    pub alert: String,
    /// `fraud`, `good` or `undetermined`.
    pub verdict: String,
    /// Who found it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A line of the log as a disposition of an episode; nothing where it is another event.
pub fn verdict(line: &str) -> Option<Verdict> {
    if !line.contains("\"disposition\"") {
        return None;
    }
    let told = Happening::read(line).filter(|told| told.kind == "disposition")?;
    let verdict = told.verdict?;
    What::of_verdict(&verdict)?;
    Some(Verdict {
        id: told.id,
        alert: told.subject?.alert?,
        verdict,
        by: told.by.unwrap_or_default(),
        reason: told.reason.unwrap_or_default(),
    })
}

/// Keeps a disposition that came at a wall time; the answer is the verdict before it, and nothing where there is no such
/// case.
///
/// # Errors
/// Where the store does not answer.
pub fn judge(
    tx: &mut Tx<'_>,
    told: &Verdict,
    came_ms: i64,
) -> Result<Option<Option<String>>, StoreError> {
    let before = cases::judge(tx, &told.alert, &told.verdict)?;
    if before.is_some() {
        let kept = Disposition {
            id: told.id.clone(),
            verdict: told.verdict.clone(),
            person: told.by.clone(),
            reason: told.reason.clone(),
            at_ms: came_ms,
        };
        notes::dispose(tx, &told.alert, &kept)?;
    }
    Ok(before)
}

/// What the fraud of a cardholder came to, in the days of the overview: of the payments that their cases of fraud name,
/// each once, whatever the number of cases that name it.
///
/// # Errors
/// Where the store does not answer.
pub fn money(tx: &mut Tx<'_>, cardholder: &str) -> Result<Counts, StoreError> {
    let mut counts = Counts::default();
    let mut past = Past::default();
    for episode in cases::of_fraud(tx, cardholder)? {
        let harm = Harm::of(&around(tx, &episode)?, &episode, &mut past);
        let day = tallies::day(episode.first_at_ms);
        for (currency, minor) in &harm.prevented {
            counts.add(What::Prevented, day, currency, *minor);
        }
        for (currency, minor) in &harm.lost {
            counts.add(What::Lost, day, currency, *minor);
        }
        if let Some(lead_ms) = harm.lead_ms {
            counts.add(What::Lead, day, "sum", lead_ms / 1000);
            counts.add(What::Lead, day, "cases", 1);
        }
    }
    Ok(counts)
}

/// The cases of fraud of a cardholder that were looked at before, the oldest first.
#[derive(Debug, Default)]
struct Past {
    /// The payments that they name.
    named: BTreeSet<String>,
    /// The newest of these, and what is counted as prevented since nothing was asked for over a day.
    last_ms: i64,
    prevented: BTreeMap<String, i64>,
}

/// What a case of fraud came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Harm {
    /// The largest payment that did not go through, by currency: the same money is asked for again and again. What an
    /// earlier case of the same days has of it is taken off.
    prevented: BTreeMap<String, i64>,
    /// What went through.
    lost: BTreeMap<String, i64>,
    /// From the first alert to the first payment that went through after it.
    lead_ms: Option<i64>,
}

impl Harm {
    /// Of the payments that an episode names and that no case before it names, and of nothing besides.
    fn of(kept: &[Kept], episode: &Episode, past: &mut Past) -> Self {
        let mut harm = Self::default();
        if episode.first_at_ms - past.last_ms > BEFORE_MS {
            past.prevented.clear();
        }
        let of_it: BTreeSet<String> = raised(episode).events.into_iter().collect();
        for event in kept {
            let Some(happening) = &event.happening else {
                continue;
            };
            let (Some(minor), Some(currency)) =
                (happening.amount_minor, happening.currency.clone())
            else {
                continue;
            };
            let is_named = of_it.contains(&event.id);
            if !happening.is_payment() || !is_named || !past.named.insert(event.id.clone()) {
                continue;
            }
            if happening.is_approved() {
                *harm.lost.entry(currency).or_default() += minor;
                let lead_ms = event.at_ms - episode.first_at_ms;
                harm.lead_ms = harm.lead_ms.or(Some(lead_ms).filter(|lead| *lead >= 0));
            } else {
                let counted = past.prevented.entry(currency.clone()).or_default();
                let more = (minor - *counted).max(0);
                *counted += more;
                *harm.prevented.entry(currency).or_default() += more;
            }
        }
        past.last_ms = past.last_ms.max(episode.at_ms);
        harm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_that_found_nothing_is_everyday_and_a_shadow_hit_is_not() {
        let plain = r#"{"event":"e","rules":[],"reasons":[],"not_available":[],"ruleset":"x"}"#;
        assert!(is_everyday(plain));
        assert!(!is_everyday(
            &plain.replace("\"ruleset\"", "\"shadow\":[{}],\"ruleset\"")
        ));
    }

    fn payment(id: &str, at_ms: i64, minor: i64, code: &str) -> Kept {
        Kept {
            at_ms,
            id: id.to_owned(),
            country: None,
            decision: None,
            happening: Some(Happening {
                kind: "authorization".to_owned(),
                amount_minor: Some(minor),
                currency: Some("DKK".to_owned()),
                response_code: Some(code.to_owned()),
                ..Happening::default()
            }),
        }
    }

    fn episode(first_at_ms: i64, at_ms: i64, events: &str) -> Episode {
        Episode {
            id: "a".to_owned(),
            first_at_ms,
            at_ms,
            is_closed: true,
            severity: Severity::High,
            score: 900,
            pattern: "over-balance".to_owned(),
            cardholder: "p".to_owned(),
            line: format!(r#"{{"events":[{events}]}}"#),
        }
    }

    fn kroner(minor: i64) -> BTreeMap<String, i64> {
        BTreeMap::from([("DKK".to_owned(), minor)])
    }

    #[test]
    fn what_was_declined_counts_once_and_what_went_through_is_summed() {
        let kept = [
            payment("a", 0, 3_388_211, "51"),
            payment("b", 5_000, 2_481_022, "51"),
            payment("c", 90_000, 2_902_338, "00"),
            payment("groceries", 95_000, 10_000, "00"),
        ];
        let case = episode(1_000, 90_000, r#""a","b","c""#);
        let harm = Harm::of(&kept, &case, &mut Past::default());
        assert_eq!(harm.prevented, kroner(3_388_211));
        assert_eq!(harm.lost, kroner(2_902_338));
        assert_eq!(harm.lead_ms, Some(89_000));
    }

    #[test]
    fn what_two_cases_name_counts_once_and_a_case_of_another_week_for_itself() {
        let week = 7 * DAY_MS;
        let kept = [
            payment("a", 1_000, 3_000_000, "51"),
            payment("b", 2_000, 2_000_000, "51"),
            payment("c", 3_000, 3_500_000, "51"),
            payment("d", 4_000, 100_000, "00"),
            payment("e", week, 900_000, "51"),
        ];
        let mut past = Past::default();
        let mut harm = |case: &Episode| Harm::of(&kept, case, &mut past);
        let first = harm(&episode(1_000, 4_000, r#""a","b","d""#));
        assert_eq!(
            (first.prevented, first.lost),
            (kroner(3_000_000), kroner(100_000))
        );
        // The same money again, and half a million more.
        let second = harm(&episode(2_000, 4_000, r#""b","c","d""#));
        assert_eq!(
            (second.prevented, second.lost),
            (kroner(500_000), BTreeMap::new())
        );
        assert_eq!(
            harm(&episode(week, week, r#""e""#)).prevented,
            kroner(900_000)
        );
    }
}
