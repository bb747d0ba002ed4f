//! Following topics from offsets that the caller keeps: what the notifier reads alerts and holds with. It belongs to a
//! group by name only and commits nothing: the offsets are kept where what the records caused is kept.

use crate::config::{Config, Role, Start};
use crate::domain::event::Place;
use crate::stream::StreamError;
use crate::stream::client::{self, ASK, Ear};
use crate::stream::pulse::Pulse;
use crate::stream::reader::{asked, is_passing};
use crate::stream::records::{self, Kind};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

/// A record that was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it came into the topic, wall time; nothing where the broker does not say.
    pub came_ms: Option<i64>,
    /// Its key: whose it is.
    pub key: Vec<u8>,
    /// Its value; empty where it is a tombstone.
    pub value: Vec<u8>,
    /// Of a dead letter: code and sentence of the reject.
    pub letter: Option<(String, String)>,
    /// Of the log: what it is.
    pub kind: Kind,
    /// Of the log: where the event's address lies.
    pub place: Option<Place>,
}

/// Topics being followed.
pub struct Follower {
    config: Config,
    consumer: BaseConsumer<Ear>,
    pulse: Pulse,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl Follower {
    /// Goes on at the offsets given; a partition without one begins where `run.start` says, with the oldest record
    /// where that refuses. Records that are gone are told in the log and passed over.
    ///
    /// # Errors
    /// Where the broker does not answer.
    pub fn open(
        config: &Config,
        topics: &[&str],
        offsets: &BTreeMap<(String, i32), i64>,
    ) -> Result<Self, StreamError> {
        Self::behind(config, topics, offsets, 0)
    }

    /// As [`Follower::open`], but so many records further back in each partition, as far as they are there.
    ///
    /// # Errors
    /// Where the broker does not answer.
    pub fn behind(
        config: &Config,
        topics: &[&str],
        offsets: &BTreeMap<(String, i32), i64>,
        back: i64,
    ) -> Result<Self, StreamError> {
        let mut options = client::reader(config)?;
        options.set("group.id", config.run.group_of(Role::Notify));
        let consumer: BaseConsumer<Ear> = options
            .create_with_context(Ear::default())
            .map_err(StreamError::client("set up a reader"))?;
        let mut list = TopicPartitionList::new();
        for topic in topics {
            let metadata = asked("ask for a topic", || {
                consumer.fetch_metadata(Some(topic), ASK)
            })?;
            let found = metadata.topics().first();
            let count = found.map_or(0, |topic| topic.partitions().len());
            for partition in 0..i32::try_from(count).unwrap_or(0) {
                let ends = asked("ask where a topic begins and ends", || {
                    consumer.fetch_watermarks(topic, partition, ASK)
                })?;
                let kept = offsets.get(&((*topic).to_owned(), partition)).copied();
                let next = next(config.run.start, topic, partition, ends, kept);
                let next = (next - back).max(ends.0);
                list.add_partition_offset(topic, partition, Offset::Offset(next))
                    .map_err(StreamError::client("name an offset"))?;
            }
        }
        consumer
            .assign(&list)
            .map_err(StreamError::client("read a topic"))?;
        Ok(Self {
            config: config.clone(),
            consumer,
            pulse: Pulse::of_one_that_is_mended(),
        })
    }

    /// The next record; nothing where none came within `wait`.
    ///
    /// # Errors
    /// Where the broker fails for longer than a moment, or what was to be read is gone; where the client is lost.
    pub fn poll(&mut self, wait: Duration) -> Result<Option<Followed>, StreamError> {
        let (client, troubles) = (self.consumer.client(), &self.consumer.context().troubles);
        self.pulse.feel(&self.config, client, troubles)?;
        match self.consumer.poll(wait) {
            Some(Ok(message)) => Ok(Some(followed(&message))),
            None | Some(Err(KafkaError::PartitionEOF(_))) => Ok(None),
            Some(Err(error)) if is_passing(&error) => Ok(None),
            Some(Err(source)) => Err(StreamError::Client {
                doing: "read a topic",
                source,
            }),
        }
    }
}

/// Where a partition is read on.
fn next(
    start: Start,
    topic: &str,
    partition: i32,
    (low, high): (i64, i64),
    kept: Option<i64>,
) -> i64 {
    match kept {
        None => client::first_offset(start, low, high).unwrap_or(low),
        Some(kept) if kept < low => {
            let gone = low - kept;
            tracing::error!(
                topic,
                partition,
                gone,
                "records were gone before they were told"
            );
            low
        }
        Some(kept) if kept > high => {
            tracing::error!(
                topic,
                partition,
                kept,
                high,
                "the topic was made anew: it is read from its beginning"
            );
            low
        }
        Some(kept) => kept,
    }
}

fn letter(message: &BorrowedMessage<'_>) -> Option<(String, String)> {
    let headers = message.headers()?;
    let of = |key: &str| {
        let header = headers.iter().find(|header| header.key == key)?;
        Some(String::from_utf8_lossy(header.value?).into_owned())
    };
    Some((of(records::LETTER_REASON)?, of(records::LETTER_TEXT)?))
}

/// A record as it is followed.
pub fn followed(message: &BorrowedMessage<'_>) -> Followed {
    let told = records::told(message);
    Followed {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        came_ms: message.timestamp().to_millis(),
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().unwrap_or_default().to_vec(),
        letter: letter(message),
        kind: told.kind,
        place: told.place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_read_on_where_it_was_left_and_from_its_beginning_where_that_is_gone() {
        let next = |kept| super::next(Start::Latest, "t", 0, (10, 20), kept);
        assert_eq!(next(Some(15)), 15);
        assert_eq!(next(Some(20)), 20);
        assert_eq!(next(Some(9)), 10);
        assert_eq!(next(Some(21)), 10);
        assert_eq!(next(None), 20);
        assert_eq!(super::next(Start::Refuse, "t", 0, (10, 20), None), 10);
    }
}
