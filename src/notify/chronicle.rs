//! The chronicle: the events behind each episode, from the log and the decisions to the store, and what is counted.
//!
//! An alert names its events by id only. So the leader follows the log too, remembers its newest records for a while,
//! and keeps those of cardholders who have an episode: those before it as far as they are remembered, and those after
//! it while it is open. Whatever else is in the log it forgets. It judges nothing and scoring waits for nothing here.

use super::behind;
use super::counts::Counts;
use super::memory::{Memory, Record};
use super::{AGAIN, LOOK, Needs, Trouble};
use crate::clock::{self, Stopwatch};
use crate::domain::currency::RateTable;
use crate::store::cases::{self, Episode};
use crate::store::samples::{self, Sample};
use crate::store::tallies::{self, What};
use crate::store::{Store, StoreError, Tx, early, lease, offsets, views};
use crate::stream::StreamError;
use crate::stream::follow::{Followed, Follower};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Records taken in by one transaction.
const BATCH: usize = 2_000;
/// Records of each partition read again after a start, so that something is remembered.
const BACK: i64 = 20_000;
/// For so long after its end a case still gets events that were written before: partitions are not read in step.
const LINGER_MS: i64 = 60_000;
/// Cardholders asked for at once.
const WATCHED: i64 = 1_000;
/// Up to which change of episodes was looked at stands among the offsets, under this name.
pub const CHANGES: &str = "(changes)";

/// What goes on while we lead.
struct Chronicle<'c> {
    needs: &'c Needs,
    holder: &'c str,
    memory: Memory,
    /// Cardholders with an open case, and those of `over`.
    watched: BTreeSet<String>,
    /// Cardholders whose last case is over, and when: what fed it may still be on its way here.
    over: BTreeMap<String, i64>,
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
    let mut follower = Follower::behind(config, &topics, &counted, BACK)?;
    let mut chronicle = Chronicle {
        needs,
        holder,
        memory: Memory::default(),
        watched: BTreeSet::new(),
        over: BTreeMap::new(),
        seen: (0, String::new()),
        counted,
    };
    chronicle.remember(&mut store)?;
    let pulse = needs.readiness.pulse("chronicle");
    while leads.load(Ordering::Acquire) && !needs.stop.load(Ordering::Relaxed) {
        pulse.beat();
        let batch = gather(&mut follower)?;
        chronicle.step(&mut store, batch)?;
    }
    needs.readiness.ended("chronicle");
    Ok(())
}

/// What has come by now.
fn gather(follower: &mut Follower) -> Result<Vec<Followed>, StreamError> {
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
        // Where nothing came, all has come.
        let came_ms = batch.iter().filter_map(|followed| followed.came_ms).min();
        self.leave(came_ms.unwrap_or(i64::MAX));
        let mut ends = BTreeMap::new();
        let (mut came, mut refused) = (Vec::new(), Vec::new());
        for followed in batch {
            let place = (followed.topic.clone(), followed.partition);
            let next = self.counted.get(&place).copied();
            let is_new = next.is_none_or(|next| followed.offset >= next);
            if is_new {
                ends.insert(place, followed.offset + 1);
            }
            if let Some(letter) = behind::letter(&followed, &self.needs.config.topics.dead_letters)
            {
                refused.extend(is_new.then_some(letter));
                continue;
            }
            let came_ms = followed.came_ms.unwrap_or_else(clock::now_ms);
            let decisions = &self.needs.config.topics.decisions;
            if let Some((cardholder, record)) = behind::read(followed, decisions) {
                if is_new {
                    came.push((cardholder.clone(), record.clone(), came_ms));
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
                self.over.insert(cardholder.clone(), clock::now_ms());
            } else {
                self.over.remove(&cardholder);
            }
            self.watched.insert(cardholder);
        }
        Ok(())
    }

    /// Lets those go whose last case was over long before what comes now was written.
    fn leave(&mut self, came_ms: i64) {
        let watched = &mut self.watched;
        self.over.retain(|cardholder, since_ms| {
            let is_due = came_ms.saturating_sub(*since_ms) > LINGER_MS;
            if is_due {
                watched.remove(cardholder);
            }
            !is_due
        });
    }
}

/// Counts what was refused, and keeps a few of each reason.
fn count_refused(tx: &mut Tx<'_>, refused: &[Sample]) -> Result<(), StoreError> {
    for sample in refused {
        tallies::add(
            tx,
            What::Rejects,
            tallies::day(sample.at_ms),
            &sample.reason,
            1,
        )?;
        samples::keep(tx, sample)?;
    }
    Ok(())
}

/// Counts what came, and keeps what belongs to an open case.
fn take_in(
    tx: &mut Tx<'_>,
    came: &[(String, Record, i64)],
    watched: &BTreeSet<String>,
    rates: &RateTable,
) -> Result<(), StoreError> {
    let mut hits = Counts::default();
    let mut touched = BTreeSet::new();
    for (cardholder, record, came_ms) in came {
        if watched.contains(cardholder) {
            behind::keep(tx, cardholder, record)?;
            touched.insert(cardholder);
        }
        match record {
            Record::Decision(line) => hits.hits(line),
            Record::Event(line, _) if line.contains("\"disposition\"") => {
                found(tx, line, *came_ms)?
            }
            Record::Event(..) => {}
        }
    }
    hits.put(tx)?;
    for cardholder in touched {
        cases::trim(tx, cardholder)?;
        for episode in cases::episodes(tx, cardholder)? {
            stand(tx, &episode, rates)?;
        }
    }
    Ok(())
}

/// A disposition of the log: it is kept, and counted for the rules of its case; where that is not there yet, it waits.
fn found(tx: &mut Tx<'_>, line: &str, came_ms: i64) -> Result<(), StoreError> {
    let Some(told) = behind::verdict(line) else {
        return Ok(());
    };
    let Some(episode) = cases::episode_of(tx, &told.alert)? else {
        return early::keep(tx, &told.id, &told.alert, line, came_ms);
    };
    let money = behind::money(tx, &episode.cardholder)?;
    let Some(before) = behind::judge(tx, &told, came_ms)? else {
        return early::keep(tx, &told.id, &told.alert, line, came_ms);
    };
    if before.as_deref() == Some(&*told.verdict) {
        return Ok(());
    }
    let mut counts = Counts::default();
    let rules = cases::rules_of(tx, &told.alert)?;
    if let Some(before) = before.as_deref() {
        counts.verdict(&episode, before, &rules, -1);
    }
    counts.verdict(&episode, &told.verdict, &rules, 1);
    counts.add_all(&money, -1);
    counts.add_all(&behind::money(tx, &episode.cardholder)?, 1);
    counts.put(tx)
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
                behind::keep(tx, cardholder, record)?;
            }
            cases::trim(tx, cardholder)?;
        }
        stand(tx, &episode, rates)?;
        for rule in behind::rules_named(&episode) {
            if cases::name_rule(tx, &episode.id, &rule)? {
                let day = tallies::day(episode.first_at_ms);
                tallies::add(tx, What::Raised, day, &rule, 1)?;
            }
        }
        for (line, came_ms) in early::take(tx, &episode.id)? {
            found(tx, &line, came_ms)?;
        }
        let is_over = !cases::is_watched(tx, cardholder)?;
        over.insert(cardholder.clone(), is_over);
    }
    Ok(over)
}

/// Keeps how an episode's case stands now, and counts what that changed.
fn stand(tx: &mut Tx<'_>, episode: &Episode, rates: &RateTable) -> Result<(), StoreError> {
    let (case, before) = behind::stand(tx, episode, rates)?;
    let mut counts = Counts::default();
    if before.is_none_or(|(_, severity)| severity != case.severity) {
        counts.episode(episode.first_at_ms, case.severity, 1);
    }
    if let Some((was_open, severity)) = before {
        if severity != case.severity {
            counts.episode(episode.first_at_ms, severity, -1);
        }
        counts.open(severity, -i64::from(was_open));
    }
    counts.open(case.severity, i64::from(case.is_open));
    counts.put(tx)
}
