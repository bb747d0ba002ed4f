//! The desk of scoring: the polling thread's side. It routes records to the hands, takes over and
//! leaves partitions between two polls, commits what is acknowledged, and says whether we are ready.
//!
//! What a record means is the shard's business; how a partition is restored, the hand's.

mod outlook;

use crate::clock::{self, Stopwatch};
use crate::stream::StreamError;
use crate::stream::client::{REPLY, until_answered};
use crate::stream::ends::Ends;
use crate::stream::hand::{Said, Snapshot, Taking, Task};
use crate::stream::keep::Committed;
use crate::stream::owners::Owners;
use crate::stream::pulse::Pulse;
use crate::stream::score::{Change, Ear, Needs, Post};
use crate::stream::tickets::Trail;
use crate::stream::vault::Vault;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError, TrySendError};
use std::time::Duration;

/// Records given to a hand at once, at most. What there is goes as soon as a poll finds no more, so that none waits
/// for others to come.
pub const BATCH: usize = 64;
/// How long a hand whose queue is full may take before its partitions are paused.
const FOLLOW: Duration = Duration::from_millis(200);
/// How often is looked meanwhile.
const BREATH: Duration = Duration::from_micros(200);
/// How long a poll waits where nothing is there.
const POLL: Duration = Duration::from_millis(5);
/// How often is committed.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// How often what was committed is committed once more.
const COMMIT_AGAIN: Duration = Duration::from_secs(5);
/// How often the log's ends and partitions are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A broker that acknowledges nothing for so long is told in the readiness.
const SILENCE: Duration = Duration::from_secs(3);
/// How long acknowledgements are waited for when a partition is left, or at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// A partition that we own.
#[derive(Debug)]
struct Owned {
    trail: Arc<Trail>,
    /// The offset after the newest record given to its hand.
    next: i64,
    /// Where it was to get to be caught up with what was there when we took it.
    goal: i64,
    /// Broker time of the newest record given to its hand.
    newest_ms: i64,
    sent: i64,
}

/// A partition being restored.
#[derive(Debug)]
struct Coming {
    /// The offset wanted, and the trail, once its hand has it.
    ready: Option<(i64, Arc<Trail>)>,
    /// Where the log ended when we asked.
    goal: i64,
}

/// The polling thread's side of the work.
pub struct Desk<'m> {
    needs: &'m Needs,
    consumer: &'m BaseConsumer<Ear>,
    committed: &'m Committed,
    vault: &'m Vault,
    crew: Vec<Post<'m>>,
    said: Receiver<Said>,
    owned: BTreeMap<i32, Owned>,
    /// Partitions being restored, with the offset wanted where it is known.
    coming: BTreeMap<i32, Coming>,
    owners: Owners,
    ends: &'m Ends,
    topic: &'m str,
    commits: Stopwatch,
    again: Stopwatch,
    look: Stopwatch,
    pulse: Pulse,
    rebalance: Option<Stopwatch>,
    paused: bool,
    /// Since when the broker has acknowledged nothing of what is on its way.
    silence: Stopwatch,
    acked: u64,
}

impl<'m> Desk<'m> {
    /// A desk that owns nothing yet.
    ///
    /// # Errors
    /// None today.
    pub fn new(
        needs: &'m Needs,
        consumer: &'m BaseConsumer<Ear>,
        committed: &'m Committed,
        vault: &'m Vault,
        ends: &'m Ends,
        crew: Vec<Post<'m>>,
        said: Receiver<Said>,
    ) -> Result<Self, StreamError> {
        needs.readiness.unmet(
            "assigned",
            "no partition of the log is assigned yet".to_owned(),
        );
        Ok(Self {
            needs,
            consumer,
            committed,
            vault,
            crew,
            said,
            owned: BTreeMap::new(),
            coming: BTreeMap::new(),
            owners: Owners::new(&needs.config, &needs.sender, &needs.http)?,
            ends,
            topic: &needs.config.topics.log,
            commits: Stopwatch::start(),
            again: Stopwatch::start(),
            look: Stopwatch::start(),
            pulse: Pulse::default(),
            rebalance: None,
            paused: false,
            silence: Stopwatch::start(),
            acked: 0,
        })
    }

    /// Works until told to stop, then leaves all in order.
    ///
    /// # Errors
    /// Where the work cannot go on without loss.
    pub fn turn(mut self) -> Result<(), StreamError> {
        let result = self.until_stopped();
        if result.is_ok() {
            let all: Vec<i32> = self.owned.keys().copied().collect();
            self.leave(&all, false)?;
        }
        // Where the work failed, nothing more is committed: the next life repeats it.
        self.answer();
        result
    }

    fn until_stopped(&mut self) -> Result<(), StreamError> {
        let mut idle = false;
        while !self.needs.stop.load(Ordering::Relaxed) {
            match self.consumer.poll(if idle { POLL } else { Duration::ZERO }) {
                Some(Ok(message)) => {
                    idle = false;
                    self.route(message);
                }
                Some(Err(error)) => self.met(error)?,
                None => {
                    self.dispatch();
                    idle = true;
                }
            }
            self.wait_for_room();
            if idle || self.commits.elapsed() > COMMIT_EVERY {
                self.between()?;
            }
        }
        self.dispatch();
        Ok(())
    }

    /// What is done between polls.
    fn between(&mut self) -> Result<(), StreamError> {
        self.needs.sender.check()?;
        self.carry_out()?;
        self.hear()?;
        self.pause_or_go_on();
        if self.commits.elapsed() > COMMIT_EVERY {
            self.commits = Stopwatch::start();
            self.commit(CommitMode::Async);
            self.readiness();
        }
        if self.look.elapsed() > LOOK_EVERY {
            self.look = Stopwatch::start();
            self.look()?;
        }
        Ok(())
    }

    fn post_of(&self, partition: i32) -> usize {
        usize::try_from(partition).unwrap_or(0) % self.crew.len().max(1)
    }

    fn route(&mut self, message: BorrowedMessage<'m>) {
        let Some(owned) = self.owned.get_mut(&message.partition()) else {
            return;
        };
        owned.next = message.offset() + 1;
        owned.newest_ms = message.timestamp().to_millis().unwrap_or(0);
        let post = self.post_of(message.partition());
        let full = self.crew.get_mut(post).is_some_and(|post| {
            post.batch.push(message);
            post.batch.len() >= BATCH
        });
        if full {
            self.dispatch();
        }
    }

    /// Gives the batches in hand to the hands; what finds a full queue is held.
    fn dispatch(&mut self) {
        for post in &mut self.crew {
            if !post.batch.is_empty() {
                let batch = std::mem::replace(&mut post.batch, Vec::with_capacity(BATCH));
                post.held.push_back(batch);
            }
            while let Some(batch) = post.held.pop_front() {
                match post.tasks.try_send(Task::Batch(batch)) {
                    Ok(()) => {}
                    Err(TrySendError::Full(Task::Batch(batch))) => {
                        post.held.push_front(batch);
                        break;
                    }
                    Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => break,
                }
            }
        }
    }

    /// Where a hand cannot follow, waits a little before anything is paused: a pause throws away what the
    /// client has fetched, and what it fetches is bounded anyway.
    fn wait_for_room(&mut self) {
        let full = |crew: &[Post<'_>]| crew.iter().any(|post| !post.held.is_empty());
        if self.paused || !full(&self.crew) {
            return;
        }
        let watch = Stopwatch::start();
        while full(&self.crew)
            && watch.elapsed() < FOLLOW
            && !self.needs.stop.load(Ordering::Relaxed)
        {
            std::thread::sleep(BREATH);
            self.dispatch();
        }
    }

    /// Pauses where a hand or the vault cannot follow; goes on where they can again.
    fn pause_or_go_on(&mut self) {
        self.dispatch();
        let full = self.crew.iter().any(|post| !post.held.is_empty());
        let stuck = self.committed.stuck.load(Ordering::Relaxed);
        let wanted = full || stuck;
        if wanted == self.paused {
            return;
        }
        let mut list = TopicPartitionList::new();
        for partition in self.owned.keys() {
            list.add_partition(self.topic, *partition);
        }
        let done = if wanted {
            self.consumer.pause(&list)
        } else {
            self.consumer.resume(&list)
        };
        match done {
            Ok(()) => self.paused = wanted,
            Err(error) => tracing::warn!(%error, "partitions cannot be paused or resumed"),
        }
    }

    /// Carries out the changes of what we own.
    fn carry_out(&mut self) -> Result<(), StreamError> {
        loop {
            match self.consumer.context().next_change() {
                None => return Ok(()),
                Some(Change::Assign(partitions)) => self.take(&partitions)?,
                Some(Change::Revoke(partitions, lost)) => {
                    self.rebalance.get_or_insert_with(Stopwatch::start);
                    let left = self.leave(&partitions, lost);
                    // Answered even where leaving failed: a client that waits for this cannot be closed.
                    let list = self.list(partitions.iter().copied());
                    if let Err(error) = self.consumer.incremental_unassign(&list) {
                        tracing::warn!(%error, "partitions cannot be given back");
                    }
                    left?;
                }
            }
        }
    }

    /// Says what the client still waits to hear, since it cannot be closed before.
    fn answer(&mut self) {
        let none = TopicPartitionList::new();
        let mut assigned = !std::mem::take(&mut self.coming).is_empty();
        while let Some(change) = self.consumer.context().next_change() {
            match change {
                Change::Assign(_) => assigned = true,
                Change::Revoke(partitions, _) => {
                    let list = self.list(partitions.iter().copied());
                    if let Err(error) = self.consumer.incremental_unassign(&list) {
                        tracing::warn!(%error, "partitions cannot be given back");
                    }
                }
            }
        }
        if assigned && let Err(error) = self.consumer.incremental_assign(&none) {
            tracing::warn!(%error, "partitions cannot be declined");
        }
    }

    fn list(&self, partitions: impl Iterator<Item = i32>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(self.topic, partition);
        }
        list
    }

    /// Has partitions restored; they are assigned when all are.
    fn take(&mut self, partitions: &[i32]) -> Result<(), StreamError> {
        self.rebalance.get_or_insert_with(Stopwatch::start);
        if partitions.is_empty() {
            return self.assign();
        }
        let asked = self.list(partitions.iter().copied());
        let (config, stop) = (&self.needs.config, &self.needs.stop);
        let committed = until_answered("ask for committed offsets", config, stop, || {
            self.consumer.committed_offsets(asked.clone(), REPLY)
        })?;
        for partition in partitions {
            let (low, high) =
                until_answered("ask where the log begins and ends", config, stop, || {
                    self.consumer
                        .fetch_watermarks(self.topic, *partition, REPLY)
                })?;
            let committed = committed
                .find_partition(self.topic, *partition)
                .and_then(|element| match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    Offset::Beginning
                    | Offset::End
                    | Offset::Stored
                    | Offset::Invalid
                    | Offset::OffsetTail(_) => None,
                });
            let coming = Coming {
                ready: None,
                goal: high,
            };
            self.coming.insert(*partition, coming);
            if let Some(seat) = self.needs.seats.of(*partition) {
                seat.restoring();
            }
            if let Some(offset) = committed {
                self.committed.set(*partition, offset);
            }
            let taking = Taking {
                partition: *partition,
                committed,
                low,
                high,
            };
            let post = self.post_of(*partition);
            self.order(post, Task::Take(taking))?;
        }
        self.needs
            .readiness
            .unmet("restored", "partitions are being restored".to_owned());
        Ok(())
    }

    fn order(&mut self, post: usize, task: Task<'m>) -> Result<(), StreamError> {
        let sent = self.crew.get(post).map(|post| post.tasks.send(task));
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(StreamError::Thread(format!("hand {post} is gone"))),
        }
    }

    /// Hears what the hands say.
    fn hear(&mut self) -> Result<(), StreamError> {
        loop {
            match self.said.try_recv() {
                Ok(said) => self.heard(said)?,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => {
                    return Err(StreamError::Thread("all hands are gone".to_owned()));
                }
            }
        }
    }

    fn heard(&mut self, said: Said) -> Result<(), StreamError> {
        match said {
            Said::Failed(error) => Err(error),
            Said::Left(..) => Ok(()),
            Said::Book(partition, book) if self.owned.contains_key(&partition) => {
                self.owners.announce(partition, &book)
            }
            Said::Book(..) => Ok(()),
            Said::Taken {
                partition,
                wanted,
                trail,
            } => {
                if let Some(coming) = self.coming.get_mut(&partition) {
                    coming.ready = Some((wanted, trail));
                }
                if self.coming.values().all(|coming| coming.ready.is_some()) {
                    self.assign()?;
                }
                Ok(())
            }
        }
    }

    /// Assigns the partitions that were restored, each from where its state stands.
    fn assign(&mut self) -> Result<(), StreamError> {
        let mut list = TopicPartitionList::new();
        for (partition, coming) in std::mem::take(&mut self.coming) {
            let Coming {
                ready: Some((wanted, trail)),
                goal,
            } = coming
            else {
                continue;
            };
            list.add_partition_offset(self.topic, partition, Offset::Offset(wanted))
                .map_err(StreamError::client("name an offset"))?;
            let owned = Owned {
                trail,
                next: wanted,
                goal,
                newest_ms: 0,
                sent: -1,
            };
            self.owned.insert(partition, owned);
            self.owners
                .announce(partition, &self.needs.prepared.version)?;
        }
        self.consumer
            .incremental_assign(&list)
            .map_err(StreamError::client("take partitions over"))?;
        self.paused = false;
        if let Some(watch) = self.rebalance.take() {
            let metrics = &self.needs.metrics;
            let ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
            metrics.restore_ms.store(ms, Ordering::Relaxed);
            metrics.rebalance_ms.store(ms, Ordering::Relaxed);
            metrics.rebalances.fetch_add(1, Ordering::Relaxed);
            tracing::info!(partitions = self.owned.len(), ms, "partitions are assigned");
        }
        Ok(())
    }

    /// Leaves partitions: their work is finished, acknowledged, committed and kept.
    fn leave(&mut self, partitions: &[i32], lost: bool) -> Result<(), StreamError> {
        let watch = Stopwatch::start();
        self.flush_held()?;
        let mut ours = Vec::new();
        for partition in partitions {
            self.coming.remove(partition);
            if self.owned.contains_key(partition) {
                let post = self.post_of(*partition);
                self.order(post, Task::Leave(*partition))?;
                ours.push(*partition);
            }
        }
        let mut last = Vec::new();
        let mut left = 0;
        while left < ours.len() {
            let said = self.said.recv_timeout(DRAIN * 2);
            match said.map_err(|_| StreamError::Thread("a hand does not answer".to_owned()))? {
                Said::Left(_, snapshot) => {
                    left += 1;
                    last.extend(snapshot);
                }
                other @ (Said::Taken { .. } | Said::Book(..) | Said::Failed(_)) => {
                    self.heard(other)?
                }
            }
        }
        if !lost {
            self.settle(&ours, &watch)?;
            self.keep_last(last);
        }
        for partition in &ours {
            self.owned.remove(partition);
            self.committed.forget(*partition);
            self.needs.metrics.gone(self.topic, *partition);
            self.owners.withdraw(*partition)?;
        }
        Ok(())
    }

    /// Gives the hands all that is held, waiting for them.
    fn flush_held(&mut self) -> Result<(), StreamError> {
        self.dispatch();
        for post in &mut self.crew {
            while let Some(batch) = post.held.pop_front() {
                if post.tasks.send(Task::Batch(batch)).is_err() {
                    return Err(StreamError::Thread("a hand is gone".to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Waits for the acknowledgements of partitions that are left, and commits.
    fn settle(&mut self, partitions: &[i32], watch: &Stopwatch) -> Result<(), StreamError> {
        let out = |owned: &BTreeMap<i32, Owned>| {
            partitions
                .iter()
                .filter_map(|partition| owned.get(partition))
                .any(|owned| !owned.trail.is_empty())
        };
        while out(&self.owned) && watch.elapsed() < DRAIN {
            self.needs.sender.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        self.commit(CommitMode::Sync);
        Ok(())
    }

    /// Keeps the last snapshots, so that the next owner need not read the log's tail again.
    fn keep_last(&self, last: Vec<Snapshot>) {
        for snapshot in last {
            if self.committed.of(snapshot.partition) < Some(snapshot.next) {
                continue;
            }
            let (partition, next) = (snapshot.partition, snapshot.next);
            match self.vault.put(partition, next, snapshot.bytes.into()) {
                Ok(()) => self.needs.metrics.saved(partition, clock::now_ms()),
                Err(error) => {
                    self.needs
                        .metrics
                        .checkpoint_failures
                        .fetch_add(1, Ordering::Relaxed);
                    tracing::error!(%error, "the last checkpoint is not kept; the log's tail replaces it");
                }
            }
        }
    }

    fn commit(&mut self, mode: CommitMode) {
        // An asynchronous commit that failed is not told: now and then all is said again.
        if self.again.elapsed() > COMMIT_AGAIN {
            self.again = Stopwatch::start();
            for owned in self.owned.values_mut() {
                owned.sent = -1;
            }
        }
        let mut list = TopicPartitionList::new();
        let mut new = Vec::new();
        for (partition, owned) in &mut self.owned {
            let settled = owned.trail.settled();
            // A restored tail is behind what an earlier life has committed.
            // Whether an asynchronous commit was accepted is not told; the last one is made sure of.
            let unsaid = settled > owned.sent || matches!(mode, CommitMode::Sync);
            if unsaid && Some(settled) > self.committed.of(*partition) {
                owned.sent = settled;
                new.push((*partition, settled));
                if let Err(error) =
                    list.add_partition_offset(self.topic, *partition, Offset::Offset(settled))
                {
                    tracing::warn!(%error, "an offset cannot be named");
                }
            }
        }
        if new.is_empty() {
            return;
        }
        match self.consumer.commit(&list, mode) {
            // The answer to an asynchronous commit comes to the context.
            Ok(()) if matches!(mode, CommitMode::Sync) => {
                for (partition, offset) in new {
                    self.committed.set(partition, offset);
                }
            }
            Ok(()) => {}
            Err(error) => {
                for owned in self.owned.values_mut() {
                    owned.sent = -1;
                }
                tracing::warn!(%error, "offsets cannot be committed now; they will be tried again");
            }
        }
    }
}
