//! Topics as an operator changes them: made, deleted, given more partitions, cut off at the front; and offsets of groups.
//!
//! All through the admin client and plain look-ups; it reads no records.

use crate::wait::done;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::time::Duration;

pub const LIMIT: Duration = Duration::from_secs(120);

pub struct Topics {
    bootstrap: String,
    admin: AdminClient<DefaultClientContext>,
    looker: BaseConsumer,
}

impl Topics {
    pub fn new(bootstrap: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        Self {
            bootstrap: bootstrap.to_owned(),
            admin: config.create().unwrap(),
            looker: config.create().unwrap(),
        }
    }

    pub fn create(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = settings
            .iter()
            .fold(topic, |t, (key, value)| t.set(key, value));
        // A broker that has just started may not count itself as one to put replicas on yet.
        let waits = Err((name.to_owned(), RDKafkaErrorCode::InvalidReplicationFactor));
        let made = crate::wait::until("a broker takes a new topic", LIMIT, || {
            let made = done(self.admin.create_topics([&topic], &options())).unwrap();
            (made[0] != waits).then_some(made)
        });
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        // Metadata trails behind the controller's answer.
        crate::wait::until("a topic just made is known", LIMIT, || {
            (self.partitions(name) == partitions).then_some(())
        });
        self.led(name);
    }

    pub fn delete(&self, name: &str) {
        let gone = done(self.admin.delete_topics(&[name], &options())).unwrap();
        assert!(gone.iter().all(Result::is_ok), "{gone:?}");
        crate::wait::until("a topic just deleted is gone", LIMIT, || {
            (self.partitions(name) == 0).then_some(())
        });
    }

    pub fn grow(&self, name: &str, partitions: usize) {
        let wanted = NewPartitions::new(name, partitions);
        let grown = done(self.admin.create_partitions([&wanted], &options())).unwrap();
        assert!(grown.iter().all(Result::is_ok), "{grown:?}");
    }

    /// Cuts off all records of a partition before an offset, as retention does.
    pub fn cut(&self, name: &str, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(name, partition, Offset::Offset(before))
            .unwrap();
        done(self.admin.delete_records(&list, &options())).unwrap();
        let low = self
            .looker
            .fetch_watermarks(name, partition, LIMIT)
            .unwrap()
            .0;
        assert_eq!(low, before, "the broker did not cut {name}/{partition}");
    }

    /// How many partitions a topic has; none where there is no such topic.
    pub fn partitions(&self, name: &str) -> i32 {
        let metadata = self.looker.fetch_metadata(Some(name), LIMIT).unwrap();
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        topic.map_or(0, |t| i32::try_from(t.partitions().len()).unwrap())
    }

    /// First offset and the one after the last, of each partition.
    pub fn bounds(&self, name: &str) -> Vec<(i64, i64)> {
        (0..self.partitions(name))
            .map(|p| {
                // A broker under load now and then has no leader for a moment.
                crate::wait::until("a partition says where it begins and ends", LIMIT, || {
                    self.looker.fetch_watermarks(name, p, LIMIT).ok()
                })
            })
            .collect()
    }

    /// Waits until every partition of a topic just made has a leader that answers.
    pub fn led(&self, name: &str) {
        crate::wait::until("a topic just made has leaders", LIMIT, || {
            let all = 0..self.partitions(name);
            all.into_iter()
                .all(|p| self.looker.fetch_watermarks(name, p, LIMIT).is_ok())
                .then_some(())
        });
    }

    /// Records in a topic, as far as offsets tell.
    pub fn records(&self, name: &str) -> u64 {
        let held = self.bounds(name).into_iter().map(|(low, high)| high - low);
        u64::try_from(held.sum::<i64>()).unwrap()
    }

    /// What a group has committed of each partition; nothing where it has not yet.
    pub fn committed(&self, group: &str, name: &str) -> Vec<Option<i64>> {
        let asker: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", group)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions(name) {
            list.add_partition(name, partition);
        }
        let list = crate::wait::until("the group says what it has committed", LIMIT, || {
            asker.committed_offsets(list.clone(), LIMIT).ok()
        });
        list.elements()
            .iter()
            .map(|element| match element.offset() {
                Offset::Offset(offset) => Some(offset),
                Offset::Beginning
                | Offset::End
                | Offset::Stored
                | Offset::Invalid
                | Offset::OffsetTail(_) => None,
            })
            .collect()
    }

    /// How many records of a topic a group has yet to commit.
    pub fn behind(&self, group: &str, name: &str) -> i64 {
        let bounds = self.bounds(name);
        let committed = self.committed(group, name);
        let each = bounds.iter().zip(committed);
        each.map(|((low, high), at)| high - at.unwrap_or(*low))
            .sum()
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(LIMIT))
        .operation_timeout(Some(LIMIT))
}
