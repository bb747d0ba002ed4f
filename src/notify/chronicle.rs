//! The chronicle: the events behind each episode, from the log and the decisions to the store, and what is counted.
//!
//! An alert names its events by id only. So the leader follows the log too, remembers its newest records for a while,
//! and keeps those of cardholders who have an episode: those before it as far as they are remembered, and those after
//! it while it is open. Whatever else is in the log it forgets. It judges nothing and scoring waits for nothing here.

use super::memory::{Memory, Record};
use super::{AGAIN, LOOK, Needs, Trouble};
use crate::clock::{self, Stopwatch};
use crate::domain::codes::Severity;
use crate::domain::currency::{Currency, RateTable};
use crate::domain::time::{DAY_MS, Moment};
use crate::store::cases::{self, Case, Episode, Kept};
use crate::store::happening::Happening;
use crate::store::notes::{self, Disposition};
use crate::store::samples::{self, Sample};
use crate::store::tallies::{self, What};
use crate::store::{Store, StoreError, Tx, lease, offsets, views};
use crate::stream::StreamError;
use crate::stream::follow::{Followed, Follower};
use crate::stream::letters;
use crate::stream::records::{self, Kind};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Records taken in by one transaction.
const BATCH: usize = 2_000;
/// Records of each partition read again after a start, so that something is remembered.
const BACK: i64 = 20_000;
/// Characters of a refused record that are shown.
const SAMPLE: usize = 240;
/// Cardholders asked for at once.
const WATCHED: i64 = 1_000;
/// Before an episode began, its amounts are looked for in this span.
const BEFORE_MS: i64 = DAY_MS;

/// Up to which change of episodes was looked at stands among the offsets, under this name.
const CHANGES: &str = "(changes)";

/// A dead letter, as its place, reason, sentence and beginning.
type Letter = (String, String, String, String);

/// What is read of a decision.
#[derive(Debug, Deserialize)]
struct Decided {
    event: String,
    at: String,
    #[serde(default)]
    rules: Vec<Named>,
    #[serde(default)]
    shadow: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Named {
    id: String,
}

/// What is read of an alert.
#[derive(Debug, Default, Deserialize)]
struct Raised {
    #[serde(default)]
    rules: Vec<Named>,
}

/// What goes on while we lead.
struct Chronicle<'c> {
    needs: &'c Needs,
    holder: &'c str,
    memory: Memory,
    /// Cardholders with an open case.
    watched: BTreeSet<String>,
    /// Up to where changes of episodes were looked at.
    seen: (i64, String),
    /// From which record on each partition is counted: what is before was counted.
    counted: BTreeMap<(String, i32), i64>,
}

/// Keeps the chronicle while `leads` is set, until the end. Faults are told and waited out.
pub fn run(needs: &Needs, holder: &str, leads: &AtomicBool) {
    while !needs.stop.load(Ordering::Relaxed) {
        if !leads.load(Ordering::Acquire) {
            std::thread::sleep(LOOK);
            continue;
        }
        match shift(needs, holder, leads) {
            Ok(()) | Err(Trouble::Store(StoreError::NotLeading)) => {}
            Err(trouble) => {
                tracing::error!(%trouble, "the events behind cases are not kept now");
                std::thread::sleep(AGAIN);
            }
        }
    }
}

fn shift(needs: &Needs, holder: &str, leads: &AtomicBool) -> Result<(), Trouble> {
    let config = &needs.config;
    let mut store = Store::open(&config.store)?;
    let counted = store.look(offsets::all)?;
    let topics = [
        &config.topics.log,
        &config.topics.decisions,
        &config.topics.dead_letters,
    ];
    let topics = topics.map(String::as_str);
    let follower = Follower::behind(config, &topics, &counted, BACK)?;
    let mut chronicle = Chronicle {
        needs,
        holder,
        memory: Memory::default(),
        watched: BTreeSet::new(),
        seen: (0, String::new()),
        counted,
    };
    chronicle.remember(&mut store)?;
    let pulse = needs.readiness.pulse("chronicle");
    while leads.load(Ordering::Acquire) && !needs.stop.load(Ordering::Relaxed) {
        pulse.beat();
        let batch = gather(&follower)?;
        chronicle.step(&mut store, batch)?;
    }
    needs.readiness.ended("chronicle");
    Ok(())
}

/// What has come by now.
fn gather(follower: &Follower) -> Result<Vec<Followed>, StreamError> {
    let watch = Stopwatch::start();
    let mut batch = Vec::new();
    let mut wait = LOOK;
    while batch.len() < BATCH && watch.elapsed() < LOOK * 2 {
        match follower.poll(wait)? {
            Some(record) => batch.push(record),
            None => break,
        }
        wait = Duration::ZERO;
    }
    Ok(batch)
}

impl Chronicle<'_> {
    /// Who has an open case, and up to where changes were looked at.
    fn remember(&mut self, store: &mut Store) -> Result<(), StoreError> {
        let mut last = String::new();
        loop {
            let names = store.look(|tx| cases::watched(tx, &last, WATCHED))?;
            let Some(newest) = names.last() else { break };
            last.clone_from(newest);
            self.watched.extend(names);
        }
        let seen = self.counted.get(&(CHANGES.to_owned(), 0));
        self.seen = (seen.copied().unwrap_or(0), String::new());
        Ok(())
    }

    /// Takes in a batch, then the episodes that changed.
    fn step(&mut self, store: &mut Store, batch: Vec<Followed>) -> Result<(), StoreError> {
        let mut ends = BTreeMap::new();
        let (mut came, mut refused) = (Vec::new(), Vec::new());
        for followed in batch {
            let place = (followed.topic.clone(), followed.partition);
            let next = self.counted.get(&place).copied();
            let is_new = next.is_none_or(|next| followed.offset >= next);
            if is_new {
                ends.insert(place, followed.offset + 1);
            }
            if let Some(letter) = self.letter(&followed) {
                refused.extend(is_new.then_some(letter));
            } else if let Some((cardholder, record)) = self.read(followed) {
                if is_new {
                    came.push((cardholder.clone(), record.clone()));
                }
                self.memory.add(&cardholder, record);
            }
        }
        let (holder, memory, watched) = (self.holder, &self.memory, &self.watched);
        let (changed, id) = &self.seen;
        let rates = &*self.needs.rates;
        let (news, over) = store.commit(|tx| {
            lease::hold(tx, holder)?;
            take_in(tx, &came, watched, rates)?;
            count_refused(tx, &refused)?;
            for ((topic, part), next) in &ends {
                offsets::keep(tx, topic, *part, *next)?;
            }
            let news = views::since(tx, *changed, id)?;
            let over = follow_up(tx, &news, memory, watched, rates)?;
            if let Some(newest) = news.last() {
                offsets::keep(tx, CHANGES, 0, newest.changed_ms)?;
            }
            Ok((news, over))
        })?;
        self.counted.extend(ends);
        if let Some(newest) = news.last() {
            self.seen = (newest.changed_ms, newest.alert.clone());
        }
        for (cardholder, is_over) in over {
            if is_over {
                self.watched.remove(&cardholder);
            } else {
                self.watched.insert(cardholder);
            }
        }
        Ok(())
    }

    /// A record that was refused, masked; nothing where it is none.
    fn letter(&self, followed: &Followed) -> Option<Letter> {
        if followed.topic != self.needs.config.topics.dead_letters {
            return None;
        }
        let (reason, said) = followed.letter.clone()?;
        let (masked, _) = letters::mask(&followed.value, true);
        let begin = String::from_utf8_lossy(&masked)
            .chars()
            .take(SAMPLE)
            .collect();
        let place = records::position(&followed.topic, followed.partition, followed.offset);
        Some((place, reason, said, begin))
    }

    /// What a record says, and of whom; nothing where it is no event and no decision that says anything.
    fn read(&self, followed: Followed) -> Option<(String, Record)> {
        let cardholder = String::from_utf8(followed.key).ok()?;
        let line = String::from_utf8(followed.value).ok()?;
        if followed.topic == self.needs.config.topics.decisions {
            return (!is_everyday(&line)).then_some((cardholder, Record::Decision(line)));
        }
        let country = followed.place.and_then(|place| place.country);
        let country = country.map(|two| String::from_utf8_lossy(&two.letters()).into_owned());
        (followed.kind == Kind::Event).then_some((cardholder, Record::Event(line, country)))
    }
}

/// Counts what was refused, and keeps a few of each reason.
fn count_refused(tx: &mut Tx<'_>, refused: &[Letter]) -> Result<(), StoreError> {
    let at_ms = clock::now_ms();
    for (place, reason, said, begin) in refused {
        tallies::add(tx, What::Rejects, tallies::day(at_ms), reason, 1)?;
        let sample = Sample {
            place: place.clone(),
            reason: reason.clone(),
            said: said.clone(),
            at_ms,
            record: begin.clone(),
        };
        samples::keep(tx, &sample)?;
    }
    Ok(())
}

/// Whether a decision found nothing: most do, and they are not kept.
fn is_everyday(line: &str) -> bool {
    line.contains("\"rules\":[],\"reasons\":[]") && !line.contains("\"shadow\":[")
}

/// Counts what came, and keeps what belongs to an open case.
fn take_in(
    tx: &mut Tx<'_>,
    came: &[(String, Record)],
    watched: &BTreeSet<String>,
    rates: &RateTable,
) -> Result<(), StoreError> {
    let mut hits: BTreeMap<(What, i64, String), i64> = BTreeMap::new();
    let mut touched = BTreeSet::new();
    for (cardholder, record) in came {
        if watched.contains(cardholder) {
            keep(tx, cardholder, record)?;
            touched.insert(cardholder);
        }
        match record {
            Record::Decision(line) => count_hits(line, &mut hits),
            Record::Event(line, _) if line.contains("\"disposition\"") => found(tx, line)?,
            Record::Event(..) => {}
        }
    }
    for ((what, day, rule), count) in &hits {
        tallies::add(tx, *what, *day, rule, *count)?;
    }
    for cardholder in touched {
        cases::trim(tx, cardholder)?;
        for episode in cases::episodes(tx, cardholder)? {
            if !episode.is_closed {
                stand(tx, &episode, rates)?;
            }
        }
    }
    Ok(())
}

fn keep(tx: &mut Tx<'_>, cardholder: &str, record: &Record) -> Result<(), StoreError> {
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

fn count_hits(line: &str, hits: &mut BTreeMap<(What, i64, String), i64>) {
    let Ok(decided) = serde_json::from_str::<Decided>(line) else {
        return;
    };
    let day = tallies::day(Moment::parse(&decided.at).map_or(0, |at| at.ms));
    let live = decided.rules.into_iter().map(|rule| (What::Hits, rule));
    let shadow = decided.shadow.into_iter().map(|rule| (What::Shadow, rule));
    for (what, rule) in live.chain(shadow) {
        *hits.entry((what, day, rule.id)).or_default() += 1;
    }
}

/// A disposition of the log: it is kept, and counted for the rules of its case.
fn found(tx: &mut Tx<'_>, line: &str) -> Result<(), StoreError> {
    let Some(told) = Happening::read(line).filter(|told| told.kind == "disposition") else {
        return Ok(());
    };
    let (Some(alert), Some(verdict)) = (
        told.subject
            .as_ref()
            .and_then(|subject| subject.alert.clone()),
        told.verdict.clone(),
    ) else {
        return Ok(());
    };
    let Some(of_rule) = What::of_verdict(&verdict) else {
        return Ok(());
    };
    let (Some(episode), Some(before)) = (
        cases::episode_of(tx, &alert)?,
        cases::judge(tx, &alert, &verdict)?,
    ) else {
        return Ok(());
    };
    let kept = Disposition {
        id: told.id.clone(),
        verdict: verdict.clone(),
        person: told.by.clone().unwrap_or_default(),
        reason: told.reason.clone().unwrap_or_default(),
        at_ms: clock::now_ms(),
    };
    notes::dispose(tx, &alert, &kept)?;
    if before.as_deref() == Some(&*verdict) {
        return Ok(());
    }
    let day = tallies::day(episode.first_at_ms);
    let rules = cases::rules_of(tx, &alert)?;
    let was = before
        .as_deref()
        .and_then(What::of_verdict)
        .map(|what| (what, -1));
    for (what, more) in was.into_iter().chain([(of_rule, 1)]) {
        for rule in &rules {
            tallies::add(tx, what, day, rule, more)?;
        }
        let word = if more > 0 {
            Some(verdict.as_str())
        } else {
            before.as_deref()
        };
        tallies::add(tx, What::Verdicts, day, word.unwrap_or_default(), more)?;
    }
    let sign = |word: Option<&str>| i64::from(word == Some("fraud"));
    let more = sign(Some(&verdict)) - sign(before.as_deref());
    count_money(tx, &episode, more)
}

/// What a case of fraud came to, in the days of the overview.
fn count_money(tx: &mut Tx<'_>, episode: &Episode, more: i64) -> Result<(), StoreError> {
    if more == 0 {
        return Ok(());
    }
    let day = tallies::day(episode.first_at_ms);
    let kept = cases::events(
        tx,
        &episode.cardholder,
        episode.first_at_ms - BEFORE_MS,
        episode.at_ms,
    )?;
    let harm = Harm::of(&kept, &episode.line, episode.first_at_ms);
    for (currency, minor) in &harm.prevented {
        tallies::add(tx, What::Prevented, day, currency, more * minor)?;
    }
    for (currency, minor) in &harm.lost {
        tallies::add(tx, What::Lost, day, currency, more * minor)?;
    }
    if let Some(lead_ms) = harm.lead_ms {
        tallies::add(tx, What::Lead, day, "sum", more * (lead_ms / 1000))?;
        tallies::add(tx, What::Lead, day, "cases", more)?;
    }
    Ok(())
}

/// What a case of fraud came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Harm {
    /// The largest payment that did not go through, by currency: the same money is asked for again and again.
    prevented: BTreeMap<String, i64>,
    /// What went through.
    lost: BTreeMap<String, i64>,
    /// From the first alert to the first payment that went through after it.
    lead_ms: Option<i64>,
}

impl Harm {
    /// Of the payments that an episode's line names, and of nothing besides.
    fn of(kept: &[Kept], line: &str, first_at_ms: i64) -> Self {
        let mut harm = Self::default();
        for event in kept {
            let Some(happening) = &event.happening else {
                continue;
            };
            let (Some(minor), Some(currency)) =
                (happening.amount_minor, happening.currency.clone())
            else {
                continue;
            };
            if !happening.is_payment() || !line.contains(&format!("\"{}\"", event.id)) {
                continue;
            }
            if happening.is_approved() {
                *harm.lost.entry(currency).or_default() += minor;
                let lead_ms = event.at_ms - first_at_ms;
                harm.lead_ms = harm.lead_ms.or(Some(lead_ms).filter(|lead| *lead >= 0));
            } else {
                let largest = harm.prevented.entry(currency).or_default();
                *largest = minor.max(*largest);
            }
        }
        harm
    }
}

/// Brings the cases of changed episodes up to date; of each cardholder, whether nothing of theirs is open any more.
fn follow_up(
    tx: &mut Tx<'_>,
    news: &[views::News],
    memory: &Memory,
    watched: &BTreeSet<String>,
    rates: &RateTable,
) -> Result<BTreeMap<String, bool>, StoreError> {
    let mut over = BTreeMap::new();
    for change in news {
        let Some(episode) = cases::episode_of(tx, &change.alert)? else {
            continue;
        };
        let cardholder = &episode.cardholder;
        if !watched.contains(cardholder) && !over.contains_key(cardholder) {
            for record in memory.of(cardholder) {
                keep(tx, cardholder, record)?;
            }
            cases::trim(tx, cardholder)?;
        }
        stand(tx, &episode, rates)?;
        let raised: Raised = serde_json::from_str(&episode.line).unwrap_or_default();
        for rule in raised.rules {
            if cases::name_rule(tx, &episode.id, &rule.id)? {
                tallies::add(
                    tx,
                    What::Raised,
                    tallies::day(episode.first_at_ms),
                    &rule.id,
                    1,
                )?;
            }
        }
        let is_over = !cases::is_watched(tx, cardholder)?;
        over.insert(cardholder.clone(), is_over);
    }
    Ok(over)
}

/// Keeps how an episode's case stands now.
fn stand(tx: &mut Tx<'_>, episode: &Episode, rates: &RateTable) -> Result<(), StoreError> {
    let kept = cases::events(
        tx,
        &episode.cardholder,
        episode.first_at_ms - BEFORE_MS,
        episode.at_ms,
    )?;
    let payments = kept.into_iter().filter_map(|event| {
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
    let opens = |severity: Severity, more: i64| (What::Open, 0, severity, more);
    let day = tallies::day(episode.first_at_ms);
    let mut counts = Vec::new();
    match before {
        None => counts.push((What::Alerts, day, case.severity, 1)),
        Some((_, severity)) if severity != case.severity => {
            counts.extend([
                (What::Alerts, day, severity, -1),
                (What::Alerts, day, case.severity, 1),
            ]);
        }
        Some(_) => {}
    }
    if let Some((true, severity)) = before {
        counts.push(opens(severity, -1));
    }
    if case.is_open {
        counts.push(opens(case.severity, 1));
    }
    for (what, day, severity, more) in counts {
        tallies::add(tx, what, day, severity.word(), more)?;
    }
    Ok(())
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

    #[test]
    fn what_was_declined_counts_once_and_what_went_through_is_summed() {
        let payment = |id: &str, at_ms: i64, minor: i64, code: &str| Kept {
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
        };
        let kept = [
            payment("a", 0, 3_388_211, "51"),
            payment("b", 5_000, 2_481_022, "51"),
            payment("c", 90_000, 2_902_338, "00"),
            payment("groceries", 95_000, 10_000, "00"),
        ];
        let harm = Harm::of(&kept, r#"{"events":["a","b","c"]}"#, 1_000);
        assert_eq!(
            harm.prevented,
            BTreeMap::from([("DKK".to_owned(), 3_388_211)])
        );
        assert_eq!(harm.lost, BTreeMap::from([("DKK".to_owned(), 2_902_338)]));
        assert_eq!(harm.lead_ms, Some(89_000));
    }
}
