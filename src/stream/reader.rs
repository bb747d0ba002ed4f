//! Reading a topic from its beginning to where it ends now: compacted topics at the start, dead
//! letters, ranges for a replay. It belongs to no group and commits nothing.

use crate::clock::Stopwatch;
use crate::config::Config;
use crate::stream::StreamError;
use crate::stream::client::{self, ASK, Ear};
use crate::stream::pulse::Pulse;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long a broker is asked again.
const FOR: Duration = Duration::from_secs(30);
/// How long after a question without an answer it is asked again.
const AGAIN: Duration = Duration::from_millis(300);
/// How long a poll waits.
const POLL: Duration = Duration::from_millis(200);

/// A reader of one topic.
pub struct Reader {
    config: Config,
    consumer: BaseConsumer<Ear>,
    pulse: Pulse,
    topic: String,
    /// Partition → next offset wanted and the offset after the last.
    left: BTreeMap<i32, (i64, i64)>,
    is_from_the_first: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Begins at the beginning of every partition.
    ///
    /// # Errors
    /// Where the topic is not there or the broker does not answer.
    pub fn whole(config: &Config, topic: &str) -> Result<Self, StreamError> {
        let consumer: BaseConsumer<Ear> = client::reader(config)?
            .create_with_context(Ear::default())
            .map_err(StreamError::client("set up a reader"))?;
        let metadata = asked("ask for a topic", || {
            consumer.fetch_metadata(Some(topic), ASK)
        })?;
        let count = metadata
            .topics()
            .first()
            .map_or(0, |t| t.partitions().len());
        let (mut left, mut is_from_the_first) = (BTreeMap::new(), true);
        let mut list = TopicPartitionList::new();
        for partition in 0..i32::try_from(count).unwrap_or(0) {
            let (low, high) = asked("ask where a topic begins and ends", || {
                consumer.fetch_watermarks(topic, partition, ASK)
            })?;
            left.insert(partition, (low, high));
            is_from_the_first &= low == 0;
            list.add_partition_offset(topic, partition, Offset::Offset(low))
                .map_err(StreamError::client("name an offset"))?;
        }
        consumer
            .assign(&list)
            .map_err(StreamError::client("read a topic"))?;
        Ok(Self {
            config: config.clone(),
            consumer,
            pulse: Pulse::default(),
            topic: topic.to_owned(),
            left,
            is_from_the_first,
        })
    }

    /// Whether the topic still had its first record, in every partition, when the reader was made.
    pub fn is_from_the_first(&self) -> bool {
        self.is_from_the_first
    }

    /// Each partition with the offset after what was read.
    pub fn ends(&self) -> impl Iterator<Item = (i32, i64)> {
        self.left.iter().map(|(part, (next, _))| (*part, *next))
    }

    /// Whether all that was there at the beginning has been read.
    pub fn is_done(&self) -> bool {
        self.left.values().all(|(next, end)| next >= end)
    }

    /// Shows every record up to where the topic ended when the reader was made.
    ///
    /// # Errors
    /// Where the broker fails.
    pub fn to_end(&mut self, mut see: impl FnMut(&BorrowedMessage<'_>)) -> Result<(), StreamError> {
        while !self.is_done() {
            self.step(POLL, &mut see)?;
        }
        Ok(())
    }

    /// Shows what has come since, without waiting.
    ///
    /// # Errors
    /// Where the broker fails.
    pub fn news(&mut self, mut see: impl FnMut(&BorrowedMessage<'_>)) -> Result<(), StreamError> {
        while self.step(Duration::ZERO, &mut see)? {}
        Ok(())
    }

    fn step(
        &mut self,
        wait: Duration,
        see: &mut impl FnMut(&BorrowedMessage<'_>),
    ) -> Result<bool, StreamError> {
        let (client, troubles) = (self.consumer.client(), &self.consumer.context().troubles);
        self.pulse.feel(&self.config, client, troubles)?;
        match self.consumer.poll(wait) {
            None => Ok(false),
            Some(Ok(message)) => {
                if let Some((next, _)) = self.left.get_mut(&message.partition()) {
                    *next = message.offset() + 1;
                }
                see(&message);
                Ok(true)
            }
            // Compaction may have taken the last records: the end is where nothing more comes.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if let Some((next, end)) = self.left.get_mut(&partition) {
                    *next = (*next).max(*end);
                }
                Ok(true)
            }
            // A broker that is away comes back; the client looks for it by itself.
            Some(Err(error)) if is_passing(&error) => {
                tracing::debug!(%error, "reading a topic waits");
                Ok(false)
            }
            Some(Err(source)) => Err(StreamError::Client {
                doing: "read a topic",
                source,
            }),
        }
    }
}

/// Whether an error says only that the broker is away for now.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::BrokerNotAvailable
        )
    )
}

/// A question to a broker that is slow, or that is still electing a leader for a new topic: asked
/// again for a while.
pub(super) fn asked<T>(
    doing: &'static str,
    ask: impl Fn() -> KafkaResult<T>,
) -> Result<T, StreamError> {
    let watch = Stopwatch::start();
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if watch.elapsed() > FOR => return Err(StreamError::client(doing)(error)),
            Err(_) => std::thread::sleep(AGAIN),
        }
    }
}
