//! A range of one partition, read once, in order: what a replay of a topic reads. It belongs to no
//! group, commits nothing, and so never touches the live monitor.

use crate::config::Config;
use crate::stream::StreamError;
use crate::stream::client::{self, ASK, Ear};
use crate::stream::reader::{asked, is_passing};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

/// How long a poll waits.
const POLL: Duration = Duration::from_millis(200);

/// Where a range begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// With what is there.
    Open,
    /// At an offset.
    Offset(i64),
    /// At the first record that the broker has from this moment on, in milliseconds.
    Time(i64),
}

/// A range being read.
pub struct Range {
    consumer: BaseConsumer<Ear>,
    next: i64,
    end: i64,
}

impl std::fmt::Debug for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Range")
            .field("next", &self.next)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl Range {
    /// A range of a partition; what lies outside what is there is left out.
    ///
    /// # Errors
    /// Where the broker does not answer.
    pub fn open(
        config: &Config,
        topic: &str,
        partition: i32,
        (from, to): (Bound, Bound),
    ) -> Result<Self, StreamError> {
        let consumer: BaseConsumer<Ear> = client::reader(config)?
            .create_with_context(Ear::default())
            .map_err(StreamError::client("set up a reader"))?;
        let (low, high) = asked("ask where a topic begins and ends", || {
            consumer.fetch_watermarks(topic, partition, ASK)
        })?;
        let place = |bound, open| match bound {
            Bound::Open => Ok(open),
            Bound::Offset(offset) => Ok(offset.clamp(low, high)),
            Bound::Time(ms) => at_time(&consumer, topic, partition, ms)
                .map(|offset| offset.map_or(high, |offset| offset.clamp(low, high))),
        };
        let (next, end) = (place(from, low)?, place(to, high)?);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(next))
            .map_err(StreamError::client("name an offset"))?;
        consumer
            .assign(&list)
            .map_err(StreamError::client("read a topic"))?;
        Ok(Self {
            consumer,
            next,
            end,
        })
    }

    /// How many offsets the range has left.
    pub fn left(&self) -> u64 {
        (self.end - self.next).max(0).unsigned_abs()
    }

    /// The next record; nothing at the end.
    ///
    /// # Errors
    /// Where the broker fails.
    pub fn poll(&mut self) -> Result<Option<BorrowedMessage<'_>>, StreamError> {
        while self.next < self.end {
            match self.consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    self.next = message.offset() + 1;
                    return Ok((message.offset() < self.end).then_some(message));
                }
                // What is left are marks of transactions, or compacted away.
                Some(Err(KafkaError::PartitionEOF(_))) => self.next = self.end,
                Some(Err(error)) if is_passing(&error) => {}
                Some(Err(source)) => {
                    return Err(StreamError::Client {
                        doing: "read a topic",
                        source,
                    });
                }
            }
        }
        Ok(None)
    }
}

/// The first offset from a moment on; nothing where no record is that young.
fn at_time(
    consumer: &BaseConsumer<Ear>,
    topic: &str,
    partition: i32,
    ms: i64,
) -> Result<Option<i64>, StreamError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(ms))
        .map_err(StreamError::client("name a time"))?;
    let found = consumer
        .offsets_for_times(list, ASK)
        .map_err(StreamError::client("ask for the offset of a time"))?;
    Ok(found
        .find_partition(topic, partition)
        .and_then(|element| element.offset().to_raw())
        .filter(|offset| *offset >= 0))
}
