//! Scoring: the log through the engine, effects to their topics, commits after acknowledgement.
//!
//! One thread polls and routes to the hands; each hand owns shards. Taking over and leaving a
//! partition happen here, between two polls: the client waits for us. What a record means is the
//! shard's business.

use crate::config::Config;
use crate::engine::prepared::Prepared;
use crate::stream::StreamError;
use crate::stream::client::{self, ASK, Troubles};
use crate::stream::desk::{BATCH, Desk};
use crate::stream::ends::Ends;
use crate::stream::hand::{Ground, Hand, Said, Snapshot, Task};
use crate::stream::keep::{Committed, keep};
use crate::stream::names::Names;
use crate::stream::seat::Seats;
use crate::stream::send::Sender;
use crate::stream::sentinel::Sentinel;
use crate::stream::shard::Bench;
use crate::stream::vault::Vault;
use crate::telemetry::{Metrics, Readiness};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Batches on their way to one hand: enough to keep it busy, few enough to bound memory.
const WAITING: usize = 64;

/// What scoring needs from the rest of the process.
#[derive(Debug, Clone)]
pub struct Needs {
    /// The configuration.
    pub config: Arc<Config>,
    /// The rule book until the log names one.
    pub prepared: Arc<Prepared>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Whether we are ready.
    pub readiness: Arc<Readiness>,
    /// The way to the broker.
    pub sender: Sender,
    /// Set when the process is to end.
    pub stop: Arc<AtomicBool>,
    /// Where our HTTP answers, for the announcement.
    pub http: String,
    /// Where the shards sit, for queries.
    pub seats: Arc<Seats>,
}

/// A change of what we own.
#[derive(Debug)]
pub enum Change {
    /// These are ours from now on.
    Assign(Vec<i32>),
    /// These are no longer; true where they were lost already.
    Revoke(Vec<i32>, bool),
}

/// What the client tells us between polls.
#[derive(Debug, Default)]
pub struct Ear {
    changes: Mutex<VecDeque<Change>>,
    /// Set when nobody will carry out changes any more.
    pub closing: AtomicBool,
    /// What is committed.
    pub committed: Arc<Committed>,
    /// What the connection met.
    pub troubles: Troubles,
}

impl Ear {
    /// The oldest change that was not carried out.
    pub fn next_change(&self) -> Option<Change> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.pop_front()
    }
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        client::log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubles.note(&error, reason);
    }
}

impl ConsumerContext for Ear {
    /// Only notes the change: it is carried out between two polls, and the client waits for it.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Relaxed) {
            // Nobody polls any more: all is settled, and the client only wants to hear it.
            if let Err(error) = consumer.incremental_unassign(list) {
                tracing::warn!(%error, "partitions cannot be given back");
            }
            return;
        }
        let partitions = list.elements().iter().map(|e| e.partition()).collect();
        let change = if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            Change::Assign(partitions)
        } else {
            Change::Revoke(partitions, consumer.assignment_lost())
        };
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push_back(change);
    }
}

/// Scores until told to stop.
///
/// # Errors
/// Where the work cannot go on without loss; the text says what to do.
pub fn run(needs: &Needs) -> Result<(), StreamError> {
    let config = &needs.config;
    let vault = Arc::new(Vault::open(config)?);
    let ear = Ear::default();
    let committed = Arc::clone(&ear.committed);
    let options = client::group(config, "score")?;
    let consumer: BaseConsumer<Ear> = client::behind(|| options.create_with_context(ear))
        .map_err(StreamError::client("set up the log's consumer"))?;
    consumer
        .subscribe(&[&config.topics.log])
        .map_err(StreamError::client("subscribe to the log"))?;
    let sentinel = Arc::new(Sentinel::new(config.run.session_timeout));
    let (snapshots, to_keep) = sync_channel::<Snapshot>(1);
    let ground = Ground {
        prepared: Arc::clone(&needs.prepared),
        library: Arc::default(),
        vault: Arc::clone(&vault),
        metrics: Arc::clone(&needs.metrics),
        start: config.run.start,
        group: format!("{}-score", config.run.group),
        every: config.checkpoint.every,
        sentinel: Arc::clone(&sentinel),
        snapshots,
        seats: Arc::clone(&needs.seats),
    };
    let ends = Ends::default();
    let names = Arc::new(Names::of(config));
    std::thread::scope(|scope| {
        let (vault, committed) = (&*vault, &*committed);
        let (metrics, readiness) = (&*needs.metrics, &*needs.readiness);
        let watched = &*sentinel;
        let ends = &ends;
        scope.spawn(move || watched.watch(&committed.over));
        scope.spawn(move || ends.watch(config, &committed.over));
        let asked = &consumer;
        let topic = &config.topics.log;
        let ask = move |partition| committed_of(asked, topic, partition);
        scope.spawn(move || keep(&to_keep, ask, vault, committed, metrics, readiness));
        let ground = ground;
        let result = std::thread::scope(|inner| {
            let (say, said) = sync_channel(WAITING);
            let mut crew = Vec::new();
            for _ in 0..config.run.threads.max(1) {
                let (tasks, queue) = sync_channel::<Task<'_>>(WAITING);
                let bench = Bench::new(
                    &names,
                    &needs.sender,
                    &ground.library,
                    config.run.accept_loss,
                    &sentinel,
                );
                let hand = Hand::new(&ground, bench);
                let say: SyncSender<Said> = say.clone();
                inner.spawn(move || hand.work(&queue, &say));
                crew.push(Post {
                    tasks,
                    batch: Vec::with_capacity(BATCH),
                    held: VecDeque::new(),
                });
            }
            Desk::new(needs, &consumer, committed, vault, ends, crew, said).and_then(Desk::turn)
        });
        consumer.context().closing.store(true, Ordering::Relaxed);
        committed.over.store(true, Ordering::Relaxed);
        needs.seats.clear();
        drop(ground);
        result
    })
}

/// What the group has committed of a partition; nothing where the broker does not say.
fn committed_of(consumer: &BaseConsumer<Ear>, topic: &str, partition: i32) -> Option<i64> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    let answer = consumer.committed_offsets(list, ASK).ok()?;
    let offset = answer.find_partition(topic, partition)?.offset();
    offset.to_raw().filter(|offset| *offset >= 0)
}

/// The way to one hand.
pub struct Post<'m> {
    /// Its tasks.
    pub tasks: SyncSender<Task<'m>>,
    /// Records for it.
    pub batch: Vec<BorrowedMessage<'m>>,
    /// Batches that found its queue full; its partitions are paused while there are any.
    pub held: VecDeque<Vec<BorrowedMessage<'m>>>,
}
