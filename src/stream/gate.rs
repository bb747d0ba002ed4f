//! The gate of intake: the polling thread's side. It reads the sources, merges them, passes batches
//! on to the log, takes over and leaves source partitions between two polls, and commits.
//!
//! What a record means is decode's business; whose it is, that of `intake`.

mod moves;

use crate::clock::{self, Stopwatch};
use crate::decode::{Decoder, Reject};
use crate::domain::event::Event;
use crate::intake::Intake;
use crate::stream::StreamError;
use crate::stream::append::{Bound, Change, Ear, Needs, adopt, headers};
use crate::stream::client::ASK;
use crate::stream::ends::Ends;
use crate::stream::letters;
use crate::stream::merge::{Lane, Merge};
use crate::stream::pulse::Pulse;
use crate::stream::reader::Reader;
use crate::stream::records;
use crate::stream::send::Parcel;
use crate::stream::tickets::{Ticket, Trail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message, OwnedHeaders};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Records appended for one ticket.
const BATCH: usize = 256;
/// Records that are read before any is appended, unless there are no more.
const GULP: usize = 8_192;
/// A source partition is paused where so many of its records wait, and goes on below a quarter.
const LANE: usize = 16_384;
/// How long a poll waits where nothing is there.
const POLL: Duration = Duration::from_millis(5);
/// How often is committed, and other instances' bindings are read.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// How often what was committed is committed once more.
const COMMIT_AGAIN: Duration = Duration::from_secs(5);
/// How often the ends of the sources are asked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a lane that should have records and has none may hold up the others.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long acknowledgements are waited for when a partition is left, or at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// `at` may be so much after `received_at` (EVENTS.md).
const FUTURE_MS: i64 = 10 * 60_000;

/// A record on its way, decoded or refused.
struct Waiting<'m> {
    message: BorrowedMessage<'m>,
    read: Result<Box<Event>, Reject>,
}

/// The polling thread's side of the work.
pub struct Gate<'m> {
    needs: &'m Needs,
    consumer: &'m BaseConsumer<Ear>,
    intake: Intake,
    bindings: Reader,
    ends: &'m Ends,
    merge: Merge<Waiting<'m>>,
    trails: BTreeMap<Lane, Trail>,
    sent: BTreeMap<Lane, i64>,
    decoder: Decoder,
    #[expect(clippy::vec_box, reason = "the boxes go out into lanes and come back")]
    spare: Vec<Box<Event>>,
    /// Broker time of the newest record of each topic.
    newest_ms: BTreeMap<usize, i64>,
    commits: Stopwatch,
    again: Stopwatch,
    look: Stopwatch,
    pulse: Pulse,
    patience: Stopwatch,
    paused: BTreeSet<Lane>,
    /// The minute of the newest tick, which commits carry along.
    minute: Option<i64>,
}

impl<'m> Gate<'m> {
    /// A gate that has taken in nothing yet.
    pub fn new(
        needs: &'m Needs,
        consumer: &'m BaseConsumer<Ear>,
        intake: Intake,
        bindings: Reader,
        ends: &'m Ends,
    ) -> Self {
        Self {
            needs,
            consumer,
            intake,
            bindings,
            ends,
            merge: Merge::default(),
            trails: BTreeMap::new(),
            sent: BTreeMap::new(),
            decoder: Decoder::default(),
            spare: Vec::new(),
            newest_ms: BTreeMap::new(),
            commits: Stopwatch::start(),
            again: Stopwatch::start(),
            look: Stopwatch::start(),
            pulse: Pulse::default(),
            patience: Stopwatch::start(),
            paused: BTreeSet::new(),
            minute: None,
        }
    }

    /// Works until told to stop, then commits what is acknowledged.
    ///
    /// # Errors
    /// Where the work cannot go on without loss.
    pub fn turn(mut self) -> Result<(), StreamError> {
        let result = self.until_stopped();
        if result.is_ok() {
            let all: Vec<Lane> = self.trails.keys().copied().collect();
            self.settle(&all)?;
        }
        result
    }

    fn until_stopped(&mut self) -> Result<(), StreamError> {
        let mut idle = false;
        let mut come = 0;
        while !self.needs.stop.load(Ordering::Relaxed) {
            match self.consumer.poll(if idle { POLL } else { Duration::ZERO }) {
                Some(Ok(message)) => {
                    idle = false;
                    come += 1;
                    self.read(message);
                }
                Some(Err(error)) => self.met(&error)?,
                None => idle = true,
            }
            // What one answer of the broker brings is a look at all sources at one moment: it is
            // merged as a whole, so that quick sources do not overtake slow ones.
            if idle || come >= GULP {
                come = 0;
                self.append()?;
            }
            if idle || self.commits.elapsed() > COMMIT_EVERY {
                self.between()?;
            }
        }
        Ok(())
    }

    fn between(&mut self) -> Result<(), StreamError> {
        self.needs.sender.check()?;
        self.carry_out()?;
        if self.commits.elapsed() > COMMIT_EVERY {
            self.commits = Stopwatch::start();
            self.commit(CommitMode::Async);
            let intake = &mut self.intake;
            self.bindings.news(|message| adopt(intake, message))?;
        }
        if self.look.elapsed() > LOOK_EVERY {
            self.look = Stopwatch::start();
            self.look();
            let (client, troubles) = (self.consumer.client(), &self.consumer.context().troubles);
            self.pulse.feel(&self.needs.config, client, troubles)?;
        }
        self.pause_or_go_on();
        Ok(())
    }

    fn topic(&self, lane: Lane) -> &'m str {
        self.needs
            .config
            .topics
            .sources
            .get(lane.0)
            .map_or("", String::as_str)
    }

    fn lane(&self, topic: &str, partition: i32) -> Lane {
        let sources = &self.needs.config.topics.sources;
        let place = sources
            .iter()
            .position(|name| name == topic)
            .unwrap_or(usize::MAX);
        (place, partition)
    }

    /// Decodes a record and puts it into its lane.
    fn read(&mut self, message: BorrowedMessage<'m>) {
        let lane = self.lane(message.topic(), message.partition());
        if let Some(ms) = message.timestamp().to_millis() {
            self.newest_ms.insert(lane.0, ms);
        }
        let mut event = self.spare.pop().unwrap_or_default();
        let value = message.payload().unwrap_or_default();
        let read = match self.decoder.decode(value, &mut event) {
            Ok(()) => Ok(event),
            Err(reject) => {
                self.spare.push(event);
                Err(reject)
            }
        };
        let at = read.as_ref().map_or(i64::MIN, |event| event.at.ms);
        let offset = message.offset();
        self.merge.push(lane, offset, at, Waiting { message, read });
    }

    /// Appends what may go on, batch by batch.
    fn append(&mut self) -> Result<(), StreamError> {
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            while batch.len() < BATCH {
                match self.merge.pop() {
                    Some(next) => batch.push(next),
                    None => break,
                }
            }
            if batch.is_empty() {
                self.lose_patience();
                return Ok(());
            }
            self.patience = Stopwatch::start();
            self.pass(batch)?;
        }
    }

    /// A lane that should have records and gets none holds the others up only so long.
    fn lose_patience(&mut self) {
        if self.patience.elapsed() < PATIENCE {
            return;
        }
        let awaited: Vec<Lane> = self.merge.awaited().collect();
        let reads: BTreeMap<Lane, i64> = self.merge.lanes().collect();
        for lane in awaited {
            if let Some(read) = reads.get(&lane) {
                self.merge.grown(lane, *read);
            }
        }
    }

    /// Passes a batch on: resolves all, has new bindings acknowledged, then appends.
    fn pass(&mut self, mut batch: Vec<(Lane, Waiting<'m>)>) -> Result<(), StreamError> {
        let now_ms = clock::now_ms();
        let mut ticks = Vec::with_capacity(batch.len());
        for (_, waiting) in &mut batch {
            let mut tick = None;
            if let Ok(event) = &mut waiting.read {
                if event.received_at_ms.is_none() && event.at.ms > now_ms + FUTURE_MS {
                    waiting.read = Err(Reject {
                        code: "future_time",
                        text: "`at` is more than 10 minutes after its arrival".to_owned(),
                    });
                } else {
                    self.intake.complete(event);
                    tick = self.intake.tick_before(event.at.ms);
                }
            }
            ticks.push(tick);
        }
        self.bind()?;
        let ticket = Ticket::open();
        for ((lane, waiting), tick) in batch.into_iter().zip(ticks) {
            if let Some(at_ms) = tick {
                self.tick(at_ms, &ticket)?;
            }
            self.send(lane, waiting, now_ms, &ticket)?;
        }
        ticket.settle();
        self.needs.sender.go();
        Ok(())
    }

    /// Has new bindings acknowledged.
    fn bind(&mut self) -> Result<(), StreamError> {
        let changes = self.intake.take_journal();
        if changes.is_empty() {
            return Ok(());
        }
        let ticket = Ticket::open();
        let topic = &self.needs.config.topics.bindings;
        for (card, cardholder) in changes {
            let bound = Bound {
                cardholder: cardholder.into(),
            };
            let key = format!("{:016x}", card.0);
            let parcel = Parcel {
                topic,
                partition: None,
                key: key.as_bytes(),
                value: &serde_json::to_vec(&bound).unwrap_or_default(),
                headers: None,
            };
            self.needs.sender.send(parcel, &ticket)?;
        }
        ticket.settle();
        while !self.needs.sender.wait(&ticket, ASK)? {
            tracing::warn!("the broker has not acknowledged new card bindings yet");
            if self.needs.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(())
    }

    fn tick(&mut self, at_ms: i64, ticket: &Arc<Ticket>) -> Result<(), StreamError> {
        self.minute = Some(at_ms);
        let value = at_ms.to_string();
        for partition in 0..i32::try_from(self.needs.partitions).unwrap_or(0) {
            let headers = OwnedHeaders::new_with_capacity(1);
            let parcel = Parcel {
                topic: &self.needs.config.topics.log,
                partition: Some(partition),
                key: b"",
                value: value.as_bytes(),
                headers: Some(records::with(headers, records::KIND, b"t")),
            };
            self.needs.sender.send(parcel, ticket)?;
        }
        Ok(())
    }

    /// Appends a record to the log, or a refused one to the dead letters.
    fn send(
        &mut self,
        lane: Lane,
        waiting: Waiting<'m>,
        now_ms: i64,
        ticket: &Arc<Ticket>,
    ) -> Result<(), StreamError> {
        let Waiting { message, read } = waiting;
        let topics = &self.needs.config.topics;
        self.needs.metrics.records_read.add(&[message.topic()], 1);
        match read {
            Err(reject) => {
                self.needs.metrics.rejects.add(reject.code, 1);
                let letter = letters::letter(&message, &reject);
                self.needs
                    .sender
                    .send(letter.parcel(&topics.dead_letters), ticket)?;
            }
            Ok(event) => {
                let position =
                    records::position(message.topic(), message.partition(), message.offset());
                let parcel = Parcel {
                    topic: &topics.log,
                    partition: None,
                    key: event.cardholder().as_bytes(),
                    value: message.payload().unwrap_or_default(),
                    headers: Some(headers(
                        &event,
                        position.as_bytes(),
                        records::trace(&message),
                        now_ms,
                    )),
                };
                self.needs.sender.send(parcel, ticket)?;
                self.spare.push(event);
            }
        }
        if let Some(trail) = self.trails.get(&lane) {
            trail.push(message.offset() + 1, ticket);
        }
        Ok(())
    }

    /// Waits for what is on its way, and commits.
    fn settle(&mut self, lanes: &[Lane]) -> Result<(), StreamError> {
        let watch = Stopwatch::start();
        let out = |trails: &BTreeMap<Lane, Trail>| {
            lanes
                .iter()
                .filter_map(|lane| trails.get(lane))
                .any(|trail| !trail.is_empty())
        };
        while out(&self.trails) && watch.elapsed() < DRAIN {
            self.needs.sender.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        self.commit(CommitMode::Sync);
        Ok(())
    }

    fn commit(&mut self, mode: CommitMode) {
        // An asynchronous commit that failed is not told: now and then all is said again.
        if self.again.elapsed() > COMMIT_AGAIN || matches!(mode, CommitMode::Sync) {
            self.again = Stopwatch::start();
            self.sent.clear();
        }
        let mut list = TopicPartitionList::new();
        let minute = self
            .minute
            .map(|minute| minute.to_string())
            .unwrap_or_default();
        for (lane, trail) in &self.trails {
            let settled = trail.settled();
            let sent = self.sent.entry(*lane).or_insert(-1);
            if settled <= *sent {
                continue;
            }
            *sent = settled;
            let topic = self
                .needs
                .config
                .topics
                .sources
                .get(lane.0)
                .map_or("", String::as_str);
            let mut element = list.add_partition(topic, lane.1);
            element.set_metadata(minute.as_str());
            if let Err(error) = element.set_offset(Offset::Offset(settled)) {
                tracing::warn!(%error, "an offset cannot be named");
            }
        }
        if list.count() == 0 {
            return;
        }
        if let Err(error) = self.consumer.commit(&list, mode) {
            self.sent.clear();
            tracing::warn!(%error, "offsets of the sources cannot be committed now; they will be tried again");
        }
    }

    fn carry_out(&mut self) -> Result<(), StreamError> {
        loop {
            match self.consumer.context().next_change() {
                None => return Ok(()),
                Some(Change::Assign(partitions)) => self.take(&partitions)?,
                Some(Change::Revoke(partitions, lost)) => self.leave(&partitions, lost)?,
            }
        }
    }

    /// Asks for the ends of the sources: who must be waited for, and how far behind we are.
    fn look(&mut self) {
        let lanes: Vec<(Lane, i64)> = self.merge.lanes().collect();
        let places = lanes
            .iter()
            .map(|(lane, _)| (self.topic(*lane).to_owned(), lane.1));
        self.ends.want(places);
        let now_ms = clock::now_ms();
        for (place, newest_ms) in std::mem::take(&mut self.newest_ms) {
            let age_ms = (now_ms - newest_ms).max(0).unsigned_abs();
            let topic = self.topic((place, 0));
            self.needs.metrics.event_age_ms.set(&[topic], age_ms);
        }
        for (lane, read) in lanes {
            let topic = self.topic(lane);
            if let Some((_, high)) = self.ends.of(topic, lane.1) {
                self.merge.grown(lane, high);
                let labels = [topic, &lane.1.to_string()];
                self.needs
                    .metrics
                    .lag_records
                    .set(&labels, (high - read).max(0).unsigned_abs());
            }
        }
    }

    fn pause_or_go_on(&mut self) {
        let lanes: Vec<Lane> = self.merge.lanes().map(|(lane, _)| lane).collect();
        for lane in lanes {
            let waiting = self.merge.waiting(lane);
            let is_paused = self.paused.contains(&lane);
            let wanted = if is_paused {
                waiting > LANE / 4
            } else {
                waiting > LANE
            };
            if wanted == is_paused {
                continue;
            }
            let mut list = TopicPartitionList::new();
            list.add_partition(self.topic(lane), lane.1);
            let done = if wanted {
                self.paused.insert(lane);
                self.consumer.pause(&list)
            } else {
                self.paused.remove(&lane);
                self.consumer.resume(&list)
            };
            if let Err(error) = done {
                tracing::warn!(%error, "a source cannot be paused or resumed");
            }
        }
    }

    fn met(&mut self, error: &KafkaError) -> Result<(), StreamError> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                let lanes: Vec<(Lane, i64)> = self.merge.lanes().collect();
                for (lane, read) in lanes {
                    let topic = self.topic(lane);
                    let ends = self
                        .consumer
                        .fetch_watermarks(topic, lane.1, ASK)
                        .map_err(StreamError::client("ask where a source begins and ends"))?;
                    let from = self.within(topic, lane.1, read, ends)?;
                    if from != read {
                        self.consumer
                            .seek(topic, lane.1, Offset::Offset(from), ASK)
                            .map_err(StreamError::client("go on behind a gap"))?;
                    }
                }
                Ok(())
            }
            Some(RDKafkaErrorCode::FencedInstanceId | RDKafkaErrorCode::Fatal) => {
                Err(StreamError::Conflict {
                    group: format!("{}-intake", self.needs.config.run.group),
                    other: self.needs.config.run.instance.clone(),
                    what: "the same `run.instance`".to_owned(),
                })
            }
            Some(_) | None => {
                tracing::warn!(%error, "Kafka");
                Ok(())
            }
        }
    }
}
