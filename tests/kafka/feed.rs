//! The bank: puts records onto topics, keyed as banks do, and knows that each one arrived.
//! What each must show stands in `truth.rs`; how monitor and broker are driven, in files of their own.

use crate::lines::Line;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use varsel::clock::Stopwatch;

/// Counts what the broker acknowledged, and what it did not.
#[derive(Default)]
pub struct Deliveries {
    arrived: AtomicU64,
    failed: AtomicU64,
}

#[derive(Clone, Default)]
pub struct Tracked(Arc<Deliveries>);

impl ClientContext for Tracked {}

impl ProducerContext for Tracked {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = match result {
            Ok(_) => &self.0.arrived,
            Err(_) => &self.0.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

pub struct Feed {
    producer: BaseProducer<Tracked>,
    deliveries: Arc<Deliveries>,
    sent: u64,
}

impl Feed {
    pub fn new(bootstrap: &str) -> Self {
        Self::with(bootstrap, &[])
    }

    pub fn with(bootstrap: &str, settings: &[(&str, &str)]) -> Self {
        let tracked = Tracked::default();
        let deliveries = Arc::clone(&tracked.0);
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", "2000000")
            .set("queue.buffering.max.messages", "1000000")
            .set("linger.ms", "1")
            .set("message.timeout.ms", "300000");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        let producer = config.create_with_context(tracked).unwrap();
        Self {
            producer,
            deliveries,
            sent: 0,
        }
    }

    /// Sends a line of the contract to its bank topic.
    pub fn line(&mut self, prefix: &str, line: &Line) {
        let topic = format!("{prefix}.{}", line.topic);
        self.raw(&topic, line.key.as_bytes(), line.text.as_bytes(), &[]);
    }

    pub fn raw(&mut self, topic: &str, key: &[u8], value: &[u8], headers: &[(&str, &[u8])]) {
        self.sent += 1;
        let mut owned = OwnedHeaders::new_with_capacity(headers.len());
        for (name, value) in headers {
            owned = owned.insert(Header {
                key: name,
                value: Some(*value),
            });
        }
        let mut record = BaseRecord::to(topic).key(key).payload(value).headers(owned);
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.producer.poll(Duration::from_millis(10));
                    record = back;
                }
                Err((error, _)) => panic!("cannot send to {topic}: {error}"),
            }
        }
        self.producer.poll(Duration::ZERO);
    }

    /// Waits until the broker has acknowledged everything.
    pub fn flush(&mut self) -> u64 {
        self.producer.flush(Duration::from_secs(120)).unwrap();
        assert_eq!(self.deliveries.failed.load(Ordering::Relaxed), 0);
        assert_eq!(self.deliveries.arrived.load(Ordering::Relaxed), self.sent);
        self.sent
    }
}

/// Sends lines at a rate, on the caller's thread, until they end or `stop` is set; returns how many.
pub fn paced(
    feed: &mut Feed,
    prefix: &str,
    lines: &[Line],
    per_second: u64,
    stop: &AtomicBool,
) -> usize {
    let watch = Stopwatch::start();
    for (place, line) in lines.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            return place;
        }
        let due_us = u64::try_from(place).unwrap() * 1_000_000 / per_second;
        let due = Duration::from_micros(due_us);
        if let Some(early) = due.checked_sub(watch.elapsed()) {
            crate::wait::pause(early);
        }
        feed.line(prefix, line);
    }
    lines.len()
}
