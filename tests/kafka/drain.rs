//! Reads whole topics, from the first record to where each partition ends now.
//!
//! It belongs to no group, so that looking changes nothing.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub headers: BTreeMap<String, Vec<u8>>,
}

impl Record {
    /// A header's text; empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map_or(&[][..], Vec::as_slice);
        std::str::from_utf8(value).unwrap()
    }

    pub fn key_text(&self) -> String {
        String::from_utf8_lossy(&self.key).into_owned()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }
}

/// All records of a topic, by partition and offset.
pub fn all(bootstrap: &str, topic: &str, partitions: i32) -> Vec<Record> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "nobody")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.message.max.bytes", "4000000")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut records = Vec::new();
    let mut open = vec![true; usize::try_from(partitions).unwrap()];
    while open.contains(&true) {
        match consumer.poll(Duration::from_secs(30)) {
            None => panic!("{topic} cannot be read to its end: nothing came for 30 s"),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open[usize::try_from(partition).unwrap()] = false;
            }
            Some(Err(error)) => panic!("{topic} cannot be read: {error}"),
            Some(Ok(message)) => records.push(record(&message)),
        }
    }
    records.sort_by_key(|record: &Record| (record.partition, record.offset));
    records
}

fn record(message: &impl Message) -> Record {
    let headers = message.headers().map_or_else(BTreeMap::new, |headers| {
        headers
            .iter()
            .map(|h| (h.key.to_owned(), h.value.unwrap_or_default().to_vec()))
            .collect()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().unwrap_or_default().to_vec(),
        headers,
    }
}

/// Follows a topic from where it ends now.
pub struct Tail {
    consumer: BaseConsumer,
}

impl Tail {
    pub fn new(bootstrap: &str, topic: &str, partitions: i32) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "nobody")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "5")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            // Resolved now, not at the first fetch: what comes from here on is not missed.
            let (_, high) = consumer
                .fetch_watermarks(topic, partition, Duration::from_secs(30))
                .unwrap();
            list.add_partition_offset(topic, partition, Offset::Offset(high))
                .unwrap();
        }
        consumer.assign(&list).unwrap();
        Self { consumer }
    }

    /// The next record; nothing where none comes in time.
    pub fn next(&self, limit: Duration) -> Option<Record> {
        loop {
            match self.consumer.poll(limit)? {
                Ok(message) => return Some(record(&message)),
                // The client looks for the broker by itself.
                Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown)) => {}
                Err(error) => panic!("cannot follow the topic: {error}"),
            }
        }
    }
}
