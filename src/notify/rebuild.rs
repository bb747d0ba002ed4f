//! Filling the store from the topics, whole: for one that was lost, moved or damaged. Rows that are missing or wrong are
//! put right; those that the topics say nothing of stay. What the notifier has not taken in yet is taken in as it would,
//! so that who is to be told follows from the offsets kept.

use crate::clock;
use crate::config::Config;
use crate::domain::currency::RateTable;
use crate::notify::Trouble;
use crate::notify::record::{self, Heard, Now};
use crate::notify::recount::{Recounted, recount};
use crate::store::alerts::{self, Shelf};
use crate::store::{Store, StoreError, lease, offsets, rebuilt};
use crate::stream::StreamError;
use crate::stream::reader::Reader;
use rdkafka::message::{BorrowedMessage, Message};
use std::collections::BTreeMap;

/// Records taken in by one transaction.
const BATCH: usize = 1_000;

/// What a rebuild found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Records read.
    pub read: u64,
    /// Rows that were missing or wrong.
    pub mended: u64,
    /// Records that were no lines of ours.
    pub unreadable: u64,
    /// Episodes in the store now.
    pub alerts: i64,
    /// Holds in the store now.
    pub holds: i64,
    /// What stands behind the episodes.
    pub behind: Recounted,
}

/// A record of a topic.
struct Read {
    part: i32,
    offset: i64,
    came_ms: Option<i64>,
    line: String,
}

/// Reads alerts and holds from their beginning to their end into the store, then what stands behind them from the log,
/// the decisions and the dead letters.
///
/// # Errors
/// Where a notifier leads, the store does not answer, or the broker fails.
pub fn rebuild(config: &Config, rates: &RateTable) -> Result<Rebuilt, Trouble> {
    let mut store = Store::open(&config.store)?;
    let holder = format!("rebuild/{}", std::process::id());
    let kept = store.commit(|tx| {
        rebuilt::begin(tx)?;
        offsets::all(tx)
    })?;
    let mut work = Work {
        config,
        kept,
        holder: &holder,
        store: &mut store,
        found: Rebuilt::default(),
    };
    for topic in [&config.topics.alerts, &config.topics.holds] {
        work.topic(topic)?;
    }
    let mut found = work.found;
    let mended = store.commit(|tx| {
        lease::hold(tx, &holder)?;
        rebuilt::end(tx)
    })?;
    found.mended = mended.alerts + mended.holds;
    (found.alerts, found.holds) = store.commit(alerts::count)?;
    found.behind = recount(config, &mut store, &holder, rates)?;
    found.read += found.behind.read;
    lease::give_back(&mut store, &holder)?;
    Ok(found)
}

struct Work<'w> {
    config: &'w Config,
    /// The next offset of each partition that the notifier keeps.
    kept: BTreeMap<(String, i32), i64>,
    holder: &'w str,
    store: &'w mut Store,
    found: Rebuilt,
}

impl Work<'_> {
    fn topic(&mut self, topic: &str) -> Result<(), Trouble> {
        let mut reader = Reader::whole(self.config, topic).map_err(Trouble::Stream)?;
        let mut batch = Vec::with_capacity(BATCH);
        let mut failed: Option<StoreError> = None;
        let read: Result<(), StreamError> = reader.to_end(|message| {
            batch.push(taken(message));
            if batch.len() >= BATCH && failed.is_none() {
                failed = self.take_in(topic, &batch).err();
            }
            if batch.len() >= BATCH {
                batch.clear();
            }
        });
        read?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        Ok(self.take_in(topic, &batch)?)
    }

    fn take_in(&mut self, topic: &str, batch: &[Read]) -> Result<(), StoreError> {
        let now_ms = clock::now_ms();
        if !lease::take(self.store, self.holder, now_ms)? {
            return Err(StoreError::NotLeading);
        }
        let now = Now {
            ms: now_ms,
            local: clock::day_and_minute(now_ms),
        };
        let (config, kept) = (self.config, &self.kept);
        let heard = self.store.commit(|tx| {
            let mut heard = Vec::with_capacity(batch.len());
            for record in batch {
                let next = kept.get(&(topic.to_owned(), record.part));
                let is_new = next.is_none_or(|next| record.offset >= *next);
                let is_alert = topic == config.topics.alerts;
                heard.push(if is_alert {
                    record::rebuilt(tx, &record.line, now_ms)?
                } else {
                    record::hold(tx, Shelf::Rebuilt, &record.line)?
                });
                if is_new && is_alert {
                    let came_ms = record.came_ms.unwrap_or(now_ms);
                    record::alert(tx, &config.notify, &record.line, came_ms, now)?;
                } else if is_new {
                    record::hold(tx, Shelf::Store, &record.line)?;
                }
                if is_new {
                    offsets::keep(tx, topic, record.part, record.offset + 1)?;
                }
            }
            Ok(heard)
        })?;
        let unreadable = heard.iter().filter(|one| **one == Heard::Unreadable);
        self.found.unreadable += u64::try_from(unreadable.count()).unwrap_or(0);
        self.found.read += u64::try_from(heard.len()).unwrap_or(0);
        Ok(())
    }
}

fn taken(message: &BorrowedMessage<'_>) -> Read {
    Read {
        part: message.partition(),
        offset: message.offset(),
        came_ms: message.timestamp().to_millis(),
        line: String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned(),
    }
}
