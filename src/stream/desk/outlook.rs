//! What the desk looks at besides records: readiness, the log's ends, and what the client says in
//! place of a record. Whether the work can go on is decided here; how it goes on, in the desk.

use super::{Desk, SILENCE};
use crate::clock::{self, Stopwatch};
use crate::stream::StreamError;
use crate::stream::client::{ASK, REPLY, Troubles, is_missing, until_answered};
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use std::sync::atomic::Ordering;

impl Desk<'_> {
    /// Says whether we are ready, and why not.
    pub(super) fn readiness(&mut self) {
        let ready = &self.needs.readiness;
        if self.owned.is_empty() {
            ready.unmet("assigned", "no partition of the log is assigned".to_owned());
        } else {
            ready.met("assigned");
        }
        let behind: i64 = self
            .owned
            .values()
            .map(|owned| (owned.goal - owned.next).max(0))
            .sum();
        if behind > 0 || !self.coming.is_empty() {
            ready.unmet(
                "restored",
                format!("{behind} records of the log are still to be read again"),
            );
        } else {
            ready.met("restored");
        }
        let acked = self.needs.sender.acknowledged();
        if acked != self.acked || self.needs.sender.in_flight() == 0 {
            self.acked = acked;
            self.silence = Stopwatch::start();
        }
        if self.silence.elapsed() > SILENCE {
            let text = format!(
                "the broker has acknowledged nothing for {} s",
                self.silence.elapsed().as_secs()
            );
            ready.unmet("acknowledged", text);
        } else {
            ready.met("acknowledged");
        }
        let metrics = &self.needs.metrics;
        let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
        metrics
            .effects_in_flight
            .store(number(self.needs.sender.in_flight()), Ordering::Relaxed);
        metrics
            .partitions_owned
            .store(number(self.owned.len()), Ordering::Relaxed);
    }

    /// Looks at the log's ends: lag, and whether the log is still the one that we know.
    ///
    /// # Errors
    /// Where our client is lost.
    pub(super) fn look(&mut self) -> Result<(), StreamError> {
        let topic = self.topic;
        let places = self
            .owned
            .keys()
            .map(|partition| (topic.to_owned(), *partition));
        self.ends.want(places);
        let now_ms = clock::now_ms();
        let mut oldest_ms = 0;
        for (partition, owned) in &self.owned {
            let Some((low, high)) = self.ends.of(self.topic, *partition) else {
                continue;
            };
            let lag = (high - owned.next).max(0);
            let labels = [self.topic, &partition.to_string()];
            self.needs
                .metrics
                .lag_records
                .set(&labels, lag.unsigned_abs());
            if lag > 0 && owned.newest_ms > 0 {
                oldest_ms = oldest_ms.max(now_ms - owned.newest_ms);
            }
            if owned.next < low {
                tracing::warn!(
                    partition,
                    low,
                    next = owned.next,
                    "the log's beginning has passed us"
                );
            }
        }
        let bound = self.needs.config.bounds.lag_ready;
        let bound_ms = i64::try_from(bound.as_millis()).unwrap_or(i64::MAX);
        if oldest_ms > bound_ms {
            let text = format!("the oldest unread record is {} s old", oldest_ms / 1_000);
            self.needs.readiness.unmet("lag", text);
        } else {
            self.needs.readiness.met("lag");
        }
        let mut behind = oldest_ms > bound_ms;
        let (client, troubles) = (self.consumer.client(), &self.consumer.context().troubles);
        let is_down = |troubles: &Troubles| match troubles.last() {
            Some((RDKafkaErrorCode::AllBrokersDown, reason)) => Some(reason),
            Some(_) | None => None,
        };
        // Said before it is looked into, which takes seconds where nobody answers.
        if let Some(reason) = is_down(troubles) {
            self.needs.readiness.unmet("kafka", reason);
            self.needs.seats.lag(true);
        }
        let felt = self.pulse.feel(&self.needs.config, client, troubles);
        if is_down(troubles).is_some() {
            behind = true;
        } else {
            self.needs.readiness.met("kafka");
        }
        self.needs.seats.lag(behind);
        felt
    }

    /// What the client says in place of a record.
    pub(super) fn met(&mut self, error: KafkaError) -> Result<(), StreamError> {
        let code = error.rdkafka_error_code();
        match code {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.out_of_range()
            }
            Some(_) if is_missing(&error) => self.missing(&error),
            Some(RDKafkaErrorCode::FencedInstanceId | RDKafkaErrorCode::Fatal) => {
                Err(StreamError::Conflict {
                    group: format!("{}-score", self.needs.config.run.group),
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

    /// The broker says that the log is not there: it is believed once it has said so for a while.
    fn missing(&self, error: &KafkaError) -> Result<(), StreamError> {
        tracing::warn!(%error, "Kafka");
        let partition = self.owned.keys().next().copied().unwrap_or(0);
        let asked = until_answered(
            "ask where the log begins and ends",
            &self.needs.config,
            &self.needs.stop,
            || self.consumer.fetch_watermarks(self.topic, partition, REPLY),
        );
        match asked {
            Err(StreamError::Client { source, .. }) if is_missing(&source) => {
                Err(StreamError::OtherLog {
                    topic: self.topic.to_owned(),
                    partition,
                    what: "the topic was removed".to_owned(),
                })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// An offset that we need is not there: says which, or goes on where the operator accepts it.
    fn out_of_range(&mut self) -> Result<(), StreamError> {
        self.flush_held()?;
        for (partition, owned) in &mut self.owned {
            let (low, high) = self
                .consumer
                .fetch_watermarks(self.topic, *partition, ASK)
                .map_err(StreamError::client("ask where the log begins and ends"))?;
            if owned.next > high {
                return Err(StreamError::OtherLog {
                    topic: self.topic.to_owned(),
                    partition: *partition,
                    what: format!(
                        "we have read up to offset {} and it ends at {high}",
                        owned.next
                    ),
                });
            }
            if owned.next >= low {
                continue;
            }
            let gap = StreamError::Gap {
                topic: self.topic.to_owned(),
                partition: *partition,
                from: owned.next,
                to: low - 1,
                why: "removed before we had read them",
            };
            self.needs
                .metrics
                .lost_ranges
                .fetch_add(1, Ordering::Relaxed);
            if !self.needs.config.run.accept_loss {
                return Err(gap);
            }
            tracing::error!("{gap}");
            owned.next = low;
            self.consumer
                .seek(self.topic, *partition, Offset::Offset(low), ASK)
                .map_err(StreamError::client("go on behind a gap"))?;
        }
        Ok(())
    }
}
