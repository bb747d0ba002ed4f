//! A hand: one scoring thread with the shards that it owns.
//!
//! It takes batches of records and orders to take over or leave a partition, in one row; it says
//! what became of the orders. When a shard's snapshot is due, it makes its bytes; keeping them
//! is `keep`'s business, since a snapshot may be published only once its offset is committed.

use crate::clock::Stopwatch;
use crate::config::Start;
use crate::domain::codes::Advice;
use crate::engine::prepared::Prepared;
use crate::stream::StreamError;
use crate::stream::book::Library;
use crate::stream::client::first_offset;
use crate::stream::seat::{Seat, Seats};
use crate::stream::sentinel::Sentinel;
use crate::stream::shard::{Bench, RUN, Shard};
use crate::stream::tally::Tally;
use crate::stream::tickets::{Ticket, Trail};
use crate::stream::vault::Vault;
use crate::telemetry::Metrics;
use rdkafka::message::{BorrowedMessage, Message};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

/// How long a hand waits for work before it looks whether a snapshot is due.
const IDLE: Duration = Duration::from_millis(50);

/// How often cardholders are counted.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// A partition to be taken over.
#[derive(Debug, Clone, Copy)]
pub struct Taking {
    /// The partition.
    pub partition: i32,
    /// Where the group has committed, if it has.
    pub committed: Option<i64>,
    /// The first offset that the log still has.
    pub low: i64,
    /// The offset after its last.
    pub high: i64,
}

/// What a hand is to do.
#[derive(Debug)]
pub enum Task<'m> {
    /// Records, in order within each partition.
    Batch(Vec<BorrowedMessage<'m>>),
    /// Take a partition over.
    Take(Taking),
    /// Leave a partition; say what its state is.
    Leave(i32),
}

/// A snapshot that waits for its offset to be committed.
#[derive(Debug)]
pub struct Snapshot {
    /// The partition.
    pub partition: i32,
    /// Its next offset.
    pub next: i64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a hand says.
#[derive(Debug)]
pub enum Said {
    /// A partition is restored; records are wanted from an offset on.
    Taken {
        /// The partition.
        partition: i32,
        /// The offset.
        wanted: i64,
        /// Its effects on their way.
        trail: Arc<Trail>,
    },
    /// A partition is left, with its last state where that is newer than its last snapshot.
    Left(i32, Option<Snapshot>),
    /// A partition is scored by this rule book from now on.
    Book(i32, Arc<str>),
    /// The work cannot go on.
    Failed(StreamError),
}

/// What all hands share.
#[derive(Debug)]
pub struct Ground {
    /// The configured rule book, until the log names one.
    pub prepared: Arc<Prepared>,
    /// Rule books of control records.
    pub library: Arc<Library>,
    /// Snapshots.
    pub vault: Arc<Vault>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Where a first start begins.
    pub start: Start,
    /// The consumer group, for messages.
    pub group: String,
    /// How often each shard's snapshot is made.
    pub every: Duration,
    /// Whether we still own what we think we own.
    pub sentinel: Arc<Sentinel>,
    /// Snapshots on their way to the vault.
    pub snapshots: SyncSender<Snapshot>,
    /// Where shards sit.
    pub seats: Arc<Seats>,
}

/// One scoring thread.
#[derive(Debug)]
pub struct Hand<'g> {
    ground: &'g Ground,
    bench: Bench,
    shards: BTreeMap<i32, Owned>,
    counted: Stopwatch,
}

#[derive(Debug)]
struct Owned {
    /// Its shard sits here.
    seat: Arc<Seat>,
    since: Stopwatch,
    wait: Duration,
    saved: i64,
    /// Its next offset when it was taken over.
    taken: i64,
    /// The rule book that was last said to score it.
    book: Arc<str>,
}

impl<'g> Hand<'g> {
    /// A hand that owns nothing yet.
    pub fn new(ground: &'g Ground, bench: Bench) -> Self {
        Self {
            ground,
            bench,
            shards: BTreeMap::new(),
            counted: Stopwatch::start(),
        }
    }

    /// Works until there are no more tasks.
    pub fn work(mut self, tasks: &Receiver<Task<'_>>, said: &SyncSender<Said>) {
        loop {
            let word = match tasks.recv_timeout(IDLE) {
                Ok(Task::Batch(batch)) => self.batch(&batch).err().map(Said::Failed),
                Ok(Task::Take(taking)) => Some(self.take(taking)),
                Ok(Task::Leave(partition)) => Some(self.leave(partition)),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if word.is_some_and(|word| said.send(word).is_err()) {
                return;
            }
            if self.counted.elapsed() > COUNT_EVERY {
                self.counted = Stopwatch::start();
                self.cardholders();
                self.books(said);
            }
            self.count();
            self.snapshots();
        }
    }

    fn batch(&mut self, batch: &[BorrowedMessage<'_>]) -> Result<(), StreamError> {
        self.ground.sentinel.check()?;
        let ticket = Ticket::open();
        let mut done = Ok(());
        'all: for partition in batch.chunk_by(|a, b| a.partition() == b.partition()) {
            let Some(first) = partition.first() else {
                continue;
            };
            let Some(owned) = self.shards.get_mut(&first.partition()) else {
                continue;
            };
            for run in partition.chunks(RUN) {
                let bench = &mut self.bench;
                let taken = owned.seat.work(|shard| shard.take(run, bench, &ticket));
                done = taken.unwrap_or(Ok(()));
                if done.is_err() {
                    break 'all;
                }
            }
        }
        ticket.settle();
        self.bench.sender.go();
        let size = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.ground.metrics.batch_size.observe(size);
        done
    }

    fn take(&mut self, taking: Taking) -> Said {
        let Some(seat) = self.ground.seats.of(taking.partition).map(Arc::clone) else {
            let text = format!("the log has no partition {}", taking.partition);
            return Said::Failed(StreamError::Thread(text));
        };
        seat.restoring();
        let shard = match self.restored(taking) {
            Ok(shard) => shard,
            // Who stood still since the log's end was asked may find what another owner has left meanwhile.
            Err(error) => {
                return Said::Failed(self.ground.sentinel.check().err().unwrap_or(error));
            }
        };
        let (wanted, trail) = (shard.wanted(), Arc::clone(&shard.trail));
        let saved = shard.standing.next;
        // Snapshots of a thread's shards are spread over the time between them.
        let share = u32::try_from(self.shards.len() % 16 + 1).unwrap_or(1);
        seat.take(shard, taking.high, &self.ground.sentinel);
        let owned = Owned {
            seat,
            since: Stopwatch::start(),
            wait: self.ground.every * share / 16,
            saved,
            taken: saved,
            book: Arc::clone(&self.ground.prepared.version),
        };
        self.shards.insert(taking.partition, owned);
        self.counted = Stopwatch::start();
        self.cardholders();
        Said::Taken {
            partition: taking.partition,
            wanted,
            trail,
        }
    }

    /// The newest good snapshot, or the beginning of the log.
    fn restored(&self, taking: Taking) -> Result<Shard, StreamError> {
        let Taking {
            partition,
            committed,
            low,
            high,
        } = taking;
        let ground = self.ground;
        let topic = &self.bench.names.log;
        let other = |what: String| StreamError::OtherLog {
            topic: topic.clone(),
            partition,
            what,
        };
        if let Some(committed) = committed.filter(|committed| *committed > high) {
            return Err(other(format!(
                "we have scored up to offset {committed} and it ends at {high}"
            )));
        }
        for offset in ground.vault.offsets(partition)? {
            if offset > high {
                return Err(other(format!(
                    "there is a checkpoint of offset {offset} and it ends at {high}"
                )));
            }
            let bytes = ground.vault.get(partition, offset)?;
            let perform_from = committed.unwrap_or(offset);
            let restored = Shard::restore(
                (topic, partition),
                &bytes,
                perform_from,
                &ground.prepared,
                &ground.library,
            );
            match restored {
                Ok(mut shard) => {
                    self.reach(&mut shard, low)?;
                    return Ok(shard);
                }
                Err(error) => {
                    ground
                        .metrics
                        .checkpoint_fallbacks
                        .fetch_add(1, Ordering::Relaxed);
                    tracing::error!(%error, partition, offset, "a checkpoint is not usable; the one before it is taken");
                }
            }
        }
        let Some(committed) = committed else {
            let from =
                first_offset(ground.start, low, high).ok_or_else(|| StreamError::FirstStart {
                    topic: topic.clone(),
                    group: ground.group.clone(),
                })?;
            return Ok(Shard::new((topic, partition), from, from, &ground.prepared));
        };
        let mut shard = Shard::new((topic, partition), 0, committed, &ground.prepared);
        self.reach(&mut shard, low)?;
        Ok(shard)
    }

    /// Checks that the log still has what a shard needs next.
    fn reach(&self, shard: &mut Shard, low: i64) -> Result<(), StreamError> {
        let next = shard.standing.next;
        if next >= low {
            shard.look_back_from(low);
            return Ok(());
        }
        let gap = StreamError::Gap {
            topic: self.bench.names.log.clone(),
            partition: shard.standing.partition,
            from: next,
            to: low - 1,
            why: "the log begins after them",
        };
        self.ground
            .metrics
            .lost_ranges
            .fetch_add(1, Ordering::Relaxed);
        if !self.bench.accept_loss {
            return Err(gap);
        }
        tracing::error!("{gap}");
        shard.skip_to(low);
        Ok(())
    }

    fn leave(&mut self, partition: i32) -> Said {
        let last = self.shards.remove(&partition).and_then(|owned| {
            let shard = owned.seat.leave()?;
            // What was handed over to be kept may not be published any more: it is made once again.
            (shard.standing.next > owned.taken).then(|| Snapshot {
                partition,
                next: shard.standing.next,
                bytes: shard.save(),
            })
        });
        Said::Left(partition, last)
    }

    /// Makes the snapshots that are due, unless the vault is still busy.
    fn snapshots(&mut self) {
        for (partition, owned) in &mut self.shards {
            if owned.since.elapsed() < owned.wait {
                continue;
            }
            let saved = owned.saved;
            let made = owned.seat.look(|shard| {
                let next = shard.standing.next;
                (next > saved).then(|| Snapshot {
                    partition: *partition,
                    next,
                    bytes: shard.save(),
                })
            });
            let Some(snapshot) = made.flatten() else {
                continue;
            };
            let next = snapshot.next;
            owned.since = Stopwatch::start();
            if self.ground.snapshots.try_send(snapshot).is_ok() {
                owned.saved = next;
                owned.wait = self.ground.every;
            } else {
                // Asked again soon, but not so soon that making it in vain would cost much.
                owned.wait = self.ground.every / 4;
            }
            return;
        }
    }

    /// Says how many cardholders each shard knows, and whether enforcement is suspended in it.
    fn cardholders(&self) {
        for (partition, owned) in &self.shards {
            let seen = owned.seat.look(|shard| {
                let engine = shard.engine();
                (engine.slab().len(), engine.is_suspended())
            });
            let (known, suspended) = seen.unwrap_or_default();
            let partition = &[&*partition.to_string()];
            let known = u64::try_from(known).unwrap_or(u64::MAX);
            let metrics = &self.ground.metrics;
            metrics.cardholders.set(partition, known);
            metrics.suspended.set(partition, u64::from(suspended));
        }
    }

    /// Says by which rule book a shard scores now, where that has changed; who does not listen at once is told later.
    fn books(&mut self, said: &SyncSender<Said>) {
        for (partition, owned) in &mut self.shards {
            let book = owned
                .seat
                .look(|shard| Arc::clone(&shard.engine().prepared().version));
            let Some(book) = book.filter(|book| *book != owned.book) else {
                continue;
            };
            if said
                .try_send(Said::Book(*partition, Arc::clone(&book)))
                .is_ok()
            {
                owned.book = book;
            }
        }
    }

    /// Adds what was counted to the metrics.
    fn count(&mut self) {
        let tally = std::mem::take(&mut self.bench.tally);
        if tally.records == 0 && tally.gaps == 0 {
            return;
        }
        add(&self.ground.metrics, &tally);
    }
}

fn add(metrics: &Metrics, tally: &Tally) {
    metrics.events.add("applied", tally.applied);
    metrics.events.add("duplicate", tally.duplicates);
    metrics.events.add("repeat", tally.repeats);
    metrics.late.fetch_add(tally.late, Ordering::Relaxed);
    metrics
        .unknown_codes
        .fetch_add(tally.unknown_codes, Ordering::Relaxed);
    metrics.lost_ranges.fetch_add(tally.gaps, Ordering::Relaxed);
    metrics
        .payments
        .fetch_add(tally.payments, Ordering::Relaxed);
    metrics
        .found_good
        .fetch_add(tally.found_good, Ordering::Relaxed);
    for (action, count) in Advice::WORDS.iter().zip(tally.actions) {
        metrics.decisions.add(action, count);
    }
    for reason in &tally.rejects {
        metrics.rejects.add(reason, 1);
    }
    for severity in &tally.alerts {
        metrics.alerts.add(severity, 1);
    }
    for state in &tally.holds {
        metrics.holds.add(state, 1);
    }
}
