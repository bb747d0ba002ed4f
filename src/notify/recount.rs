//! The second half of a rebuild: from the episodes in the store, the log, the decisions and the dead letters to the cases,
//! the events behind them, the dispositions, and what is counted of them.
//!
//! Cases and events are put right as they are read; all counts at the end, in one transaction with the offsets from which
//! the chronicle goes on. Of days that a topic no longer has whole, no count becomes smaller.

use super::memory::Record;
use super::{Trouble, behind, chronicle};
use crate::clock;
use crate::config::Config;
use crate::domain::currency::RateTable;
use crate::notify::counts::Counts;
use crate::store::cases;
use crate::store::samples::{self, Sample};
use crate::store::tallies::{self, What};
use crate::store::{Store, StoreError, Tx, lease, offsets, views};
use crate::stream::StreamError;
use crate::stream::follow::{Followed, followed};
use crate::stream::reader::Reader;
use std::collections::{BTreeMap, BTreeSet};

/// Records taken in by one transaction.
const BATCH: usize = 1_000;
/// Episodes looked at by one transaction.
const PAGE: i64 = 500;
/// Counted from the store's own rows alone.
const OF_CASES: [What; 10] = [
    What::Alerts,
    What::Open,
    What::Raised,
    What::Fraud,
    What::Good,
    What::Undetermined,
    What::Verdicts,
    What::Prevented,
    What::Lost,
    What::Lead,
];

/// What was put right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recounted {
    /// Records read.
    pub read: u64,
    /// Cases in the store now.
    pub cases: u64,
    /// Dispositions that were in the log.
    pub dispositions: u64,
}

/// Puts right what stands behind the episodes that are in the store.
///
/// # Errors
/// Where another leads, the store does not answer, or the broker fails.
pub(super) fn recount(
    config: &Config,
    store: &mut Store,
    holder: &str,
    rates: &RateTable,
) -> Result<Recounted, Trouble> {
    let mut work = Work {
        config,
        store,
        holder,
        rates,
        watched: BTreeSet::new(),
        ends: Vec::new(),
        found: Recounted::default(),
    };
    // The cases first, so that dispositions find theirs; once more when their events are there.
    work.cases()?;
    work.topic(&config.topics.log, &mut Counts::default())?;
    let mut hits = Counts::default();
    let hits_from = work.topic(&config.topics.decisions, &mut hits)?;
    let mut refused = Counts::default();
    let refused_from = work.topic(&config.topics.dead_letters, &mut refused)?;
    let counts = work.cases()?;
    let ends = work.ends;
    work.store.commit(|tx| {
        lease::hold(tx, holder)?;
        counts.replace(tx, &OF_CASES, i64::MIN)?;
        hits.replace(tx, &[What::Hits, What::Shadow], hits_from)?;
        refused.replace(tx, &[What::Rejects], refused_from)?;
        for (topic, part, next) in &ends {
            offsets::keep(tx, topic, *part, *next)?;
        }
        let newest_ms = views::newest_ms(tx)?;
        offsets::keep(tx, chronicle::CHANGES, 0, newest_ms)
    })?;
    Ok(work.found)
}

struct Work<'w> {
    config: &'w Config,
    store: &'w mut Store,
    holder: &'w str,
    rates: &'w RateTable,
    /// Cardholders who have a case.
    watched: BTreeSet<String>,
    /// The next offset of each partition that was read.
    ends: Vec<(String, i32, i64)>,
    found: Recounted,
}

impl Work<'_> {
    /// Renews the lease, and fails where another has it.
    fn lead(&mut self) -> Result<(), StoreError> {
        if lease::take(self.store, self.holder, clock::now_ms())? {
            Ok(())
        } else {
            Err(StoreError::NotLeading)
        }
    }

    /// Brings every episode's case up to date; what they count to.
    fn cases(&mut self) -> Result<Counts, StoreError> {
        let (mut counts, mut last) = (Counts::default(), String::new());
        self.found.cases = 0;
        loop {
            self.lead()?;
            let rates = self.rates;
            let page = self.store.commit(|tx| {
                let page = cases::all(tx, &last, PAGE)?;
                for (episode, verdict) in &page {
                    let (case, _) = behind::stand(tx, episode, rates)?;
                    counts.episode(episode.first_at_ms, case.severity, 1);
                    counts.open(case.severity, i64::from(case.is_open));
                    for rule in behind::rules_named(episode) {
                        cases::name_rule(tx, &episode.id, &rule)?;
                    }
                    let rules = cases::rules_of(tx, &episode.id)?;
                    for rule in &rules {
                        let day = tallies::day(episode.first_at_ms);
                        counts.add(What::Raised, day, rule, 1);
                    }
                    if let Some(verdict) = verdict {
                        counts.verdict(episode, verdict, &rules, 1);
                    }
                }
                Ok::<_, StoreError>(page)
            })?;
            let Some((newest, _)) = page.last() else {
                break;
            };
            last.clone_from(&newest.id);
            self.found.cases += u64::try_from(page.len()).unwrap_or(0);
            self.watched
                .extend(page.into_iter().map(|(episode, _)| episode.cardholder));
        }
        for cardholder in &self.watched {
            let money = self.store.look(|tx| behind::money(tx, cardholder))?;
            counts.add_all(&money, 1);
        }
        Ok(counts)
    }

    /// Reads a topic whole; the first day of which everything is still there.
    fn topic(&mut self, topic: &str, counts: &mut Counts) -> Result<i64, Trouble> {
        let mut reader = Reader::whole(self.config, topic).map_err(Trouble::Stream)?;
        let is_whole = reader.is_from_the_first();
        let mut batch: Vec<Followed> = Vec::with_capacity(BATCH);
        let mut failed: Option<StoreError> = None;
        let mut oldest: BTreeMap<i32, i64> = BTreeMap::new();
        let read: Result<(), StreamError> = reader.to_end(|message| {
            let record = followed(message);
            let came_ms = record.came_ms.unwrap_or_default();
            oldest.entry(record.partition).or_insert(came_ms);
            batch.push(record);
            if batch.len() >= BATCH {
                let full = std::mem::take(&mut batch);
                if failed.is_none() {
                    failed = self.take_in(full, counts).err();
                }
            }
        });
        read.map_err(Trouble::Stream)?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        self.take_in(batch, counts)?;
        let ends = reader.ends();
        self.ends
            .extend(ends.map(|(part, next)| (topic.to_owned(), part, next)));
        let first_ms = oldest.into_values().max().unwrap_or_default();
        Ok(if is_whole {
            i64::MIN
        } else {
            tallies::day(first_ms) + 1
        })
    }

    fn take_in(&mut self, batch: Vec<Followed>, counts: &mut Counts) -> Result<(), StoreError> {
        self.lead()?;
        let topics = &self.config.topics;
        self.found.read += u64::try_from(batch.len()).unwrap_or(0);
        let (mut letters, mut records) = (Vec::new(), Vec::new());
        for record in batch {
            if let Some(letter) = behind::letter(&record, &topics.dead_letters) {
                counts.add(What::Rejects, tallies::day(letter.at_ms), &letter.reason, 1);
                letters.push(letter);
                continue;
            }
            let came_ms = record.came_ms.unwrap_or_else(clock::now_ms);
            if let Some((cardholder, record)) = behind::read(record, &topics.decisions) {
                if let Record::Decision(line) = &record {
                    counts.hits(line);
                }
                if self.watched.contains(&cardholder) {
                    records.push((cardholder, record, came_ms));
                }
            }
        }
        self.found.dispositions += self.store.commit(|tx| laid(tx, &letters, &records))?;
        Ok(())
    }
}

/// Lays a batch down; how many dispositions were in it.
fn laid(
    tx: &mut Tx<'_>,
    letters: &[Sample],
    records: &[(String, Record, i64)],
) -> Result<u64, StoreError> {
    for letter in letters {
        samples::keep(tx, letter)?;
    }
    let mut dispositions = 0;
    let mut touched = BTreeSet::new();
    for (cardholder, record, came_ms) in records {
        behind::keep(tx, cardholder, record)?;
        touched.insert(cardholder);
        if let Record::Event(line, _) = record
            && let Some(told) = behind::verdict(line)
            && behind::judge(tx, &told, *came_ms)?.is_some()
        {
            dispositions += 1;
        }
    }
    for cardholder in touched {
        cases::trim(tx, cardholder)?;
    }
    Ok(dispositions)
}
