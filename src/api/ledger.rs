//! The ledger: what the API knows from the topics: which card is whose, holds and alerts as they stand,
//! and who scores which partition.
//!
//! One thread follows the topics and writes; calls read. It keeps lines as they were told and judges
//! nothing. Bounds: see the constants; what is over gives way first.

use crate::config::Config;
use crate::domain::ids::EffectId;
use crate::domain::time::Moment;
use crate::geo::Geo;
use crate::intake::Intake;
use crate::stream::StreamError;
use crate::stream::append::adopt;
use crate::stream::book::{SWITCH_KEY, Switched};
use crate::stream::reader::Reader;
use hashbrown::HashMap;
use rdkafka::message::{BorrowedMessage, Message};
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

/// Holds kept, and alerts; the oldest gives way.
pub const MAX_ROWS: usize = 200_000;
/// How often the topics are looked at.
const EVERY: Duration = Duration::from_millis(5);

/// A hold or an alert as it was last told.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its line.
    pub line: Box<[u8]>,
    /// The cardholder's key.
    pub cardholder: Box<str>,
    /// The card, where it concerns one.
    pub card: Option<Box<str>>,
    /// `state` of a hold, `status` of an alert.
    pub state: Box<str>,
    /// Event time of the line.
    pub at_ms: i64,
    /// Of a hold: the episode that it belongs to.
    pub alert: Option<EffectId>,
}

/// What is read of a line.
#[derive(Debug, Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    id: &'l str,
    at: &'l str,
    card: Option<String>,
    cardholder: String,
    state: Option<&'l str>,
    status: Option<&'l str>,
    alert: Option<&'l str>,
}

/// Rows by id, in the order in which they came first.
#[derive(Debug, Default)]
pub struct Rows {
    rows: HashMap<u128, Row>,
    order: VecDeque<u128>,
}

impl Rows {
    /// A row.
    pub fn get(&self, id: EffectId) -> Option<&Row> {
        self.rows.get(&id.0)
    }

    /// All rows, the newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Row> {
        self.order.iter().rev().filter_map(|id| self.rows.get(id))
    }

    /// Holds of an episode that are not over.
    pub fn standing_of(&self, alert: EffectId) -> Vec<EffectId> {
        let ours = |row: &Row| row.alert == Some(alert);
        let is_over = |row: &Row| matches!(&*row.state, "released" | "expired" | "satisfied");
        let is_standing = |id: &&u128| {
            self.rows
                .get(*id)
                .is_some_and(|row| ours(row) && !is_over(row))
        };
        let standing = self.order.iter().filter(is_standing);
        standing.map(|id| EffectId(*id)).collect()
    }

    fn put(&mut self, line: &[u8]) {
        let Ok(read) = serde_json::from_slice::<Line<'_>>(line) else {
            return;
        };
        let Some(id) = EffectId::parse(read.id) else {
            return;
        };
        let row = Row {
            line: Box::from(line),
            cardholder: read.cardholder.into(),
            card: read.card.map(Into::into),
            state: Box::from(read.state.or(read.status).unwrap_or_default()),
            at_ms: Moment::parse(read.at).map_or(0, |at| at.ms),
            alert: read.alert.and_then(EffectId::parse),
        };
        if self.rows.insert(id.0, row).is_none() {
            self.order.push_back(id.0);
            if self.order.len() > MAX_ROWS
                && let Some(oldest) = self.order.pop_front()
            {
                self.rows.remove(&oldest);
            }
        }
    }
}

/// Who scores a partition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Owner {
    /// The instance; nothing where the last one has left.
    pub instance: Option<String>,
    /// Where its HTTP answers.
    pub http: Option<String>,
    /// Whether it has the role `api`.
    #[serde(default)]
    pub api: bool,
    /// Whether it answers by TLS.
    #[serde(default)]
    pub tls: bool,
    /// The rule book that scores the partition.
    #[serde(default)]
    pub ruleset: String,
}

/// What the API knows from the topics.
#[derive(Debug)]
pub struct Ledger {
    intake: RwLock<Intake>,
    holds: RwLock<Rows>,
    alerts: RwLock<Rows>,
    owners: RwLock<BTreeMap<i32, Owner>>,
    switched: RwLock<Option<Switched>>,
    is_read: AtomicBool,
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn change<T>(lock: &RwLock<T>, change: impl FnOnce(&mut T)) {
    change(&mut lock.write().unwrap_or_else(PoisonError::into_inner));
}

impl Ledger {
    /// A ledger that knows nothing yet.
    pub fn new(geo: Geo) -> Self {
        Self {
            intake: RwLock::new(Intake::new(geo)),
            holds: RwLock::default(),
            alerts: RwLock::default(),
            owners: RwLock::default(),
            switched: RwLock::default(),
            is_read: AtomicBool::new(false),
        }
    }

    /// Cards and addresses.
    pub fn intake(&self) -> RwLockReadGuard<'_, Intake> {
        read(&self.intake)
    }

    /// Holds.
    pub fn holds(&self) -> RwLockReadGuard<'_, Rows> {
        read(&self.holds)
    }

    /// Alerts.
    pub fn alerts(&self) -> RwLockReadGuard<'_, Rows> {
        read(&self.alerts)
    }

    /// Whether all that was in the topics at the start has been read: before that a card may be bound
    /// and not known to be.
    pub fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Acquire)
    }

    /// Who scores a partition, as far as it was announced.
    pub fn owner(&self, partition: i32) -> Option<Owner> {
        read(&self.owners).get(&partition).cloned()
    }

    /// How many partitions each instance scores by each rule book, in the order of their names.
    pub fn rule_books(&self) -> BTreeMap<(String, String), i64> {
        let mut books = BTreeMap::new();
        for owner in read(&self.owners).values() {
            if let Some(instance) = &owner.instance {
                let key = (instance.clone(), owner.ruleset.clone());
                *books.entry(key).or_default() += 1;
            }
        }
        books
    }

    /// The switch of all enforcement as it was set last; nothing where it never was.
    pub fn switched(&self) -> Option<Switched> {
        read(&self.switched).clone()
    }

    /// Follows the topics until `stop`; calls `read_once` when all that was there has been read.
    ///
    /// # Errors
    /// Where a topic cannot be read.
    pub fn follow(
        &self,
        config: &Config,
        stop: &AtomicBool,
        read_once: impl FnOnce(),
    ) -> Result<(), StreamError> {
        let topics = &config.topics;
        let mut bindings = Reader::whole(config, &topics.bindings)?;
        let mut holds = Reader::whole(config, &topics.holds)?;
        let mut alerts = Reader::whole(config, &topics.alerts)?;
        let mut owners = Reader::whole(config, &topics.owners)?;
        let mut read_once = Some(read_once);
        while !stop.load(Ordering::Relaxed) {
            owners.news(|message| self.own(message))?;
            bindings.news(|message| change(&self.intake, |intake| adopt(intake, message)))?;
            holds.news(|message| put(&self.holds, message))?;
            alerts.news(|message| put(&self.alerts, message))?;
            let all = [&owners, &bindings, &holds, &alerts];
            if all.iter().all(|reader| reader.is_done())
                && let Some(read_once) = read_once.take()
            {
                self.is_read.store(true, Ordering::Release);
                read_once();
            }
            std::thread::sleep(EVERY);
        }
        Ok(())
    }

    fn own(&self, message: &BorrowedMessage<'_>) {
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        if key == Some(SWITCH_KEY) {
            let switched = message.payload().and_then(Switched::read);
            change(&self.switched, |known| *known = switched);
            return;
        }
        let partition = key.and_then(|key| key.parse().ok());
        let owner = message
            .payload()
            .and_then(|value| serde_json::from_slice(value).ok());
        if let (Some(partition), Some(owner)) = (partition, owner) {
            change(&self.owners, |owners| {
                owners.insert(partition, owner);
            });
        }
    }
}

fn put(rows: &RwLock<Rows>, message: &BorrowedMessage<'_>) {
    if let Some(line) = message.payload() {
        change(rows, |rows| rows.put(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_hold_counts_and_its_place_stays() {
        let line = |id: &str, state: &str| {
            format!(
                r#"{{"id":"{id:0>32}","at":"2018-03-05T15:47:26.000Z","card":null,"cardholder":"p","state":"{state}"}}"#
            )
        };
        let mut rows = Rows::default();
        rows.put(line("a", "requested").as_bytes());
        rows.put(line("b", "requested").as_bytes());
        rows.put(line("a", "released").as_bytes());
        rows.put(b"not a line");
        let states: Vec<&str> = rows.newest().map(|row| &*row.state).collect();
        assert_eq!(states, ["requested", "released"]);
        let row = rows.get(EffectId(10)).unwrap();
        assert_eq!((&*row.cardholder, &row.card), ("p", &None));
        assert_eq!(row.at_ms, 1_520_264_846_000);
    }
}
