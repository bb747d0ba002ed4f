//! Taking over and leaving source partitions: where each goes on, and what an earlier life had
//! committed. What is read from them then is the gate's business.

use super::Gate;
use crate::clock::Stopwatch;
use crate::config::Start;
use crate::stream::StreamError;
use crate::stream::client::{self, REPLY, first_offset, until_answered};
use crate::stream::merge::Lane;
use crate::stream::tickets::Trail;
use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::atomic::Ordering;

impl Gate<'_> {
    pub(super) fn take(&mut self, partitions: &[(String, i32)]) -> Result<(), StreamError> {
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in partitions {
            asked.add_partition(topic, *partition);
        }
        let (config, stop) = (&self.needs.config, &self.needs.stop);
        let committed = until_answered("ask for committed offsets", config, stop, || {
            self.consumer.committed_offsets(asked.clone(), REPLY)
        })?;
        let start = self.start()?;
        let mut list = TopicPartitionList::new();
        for element in committed.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let (low, high) =
                until_answered("ask where a source begins and ends", config, stop, || {
                    self.consumer.fetch_watermarks(topic, partition, REPLY)
                })?;
            let from = match element.offset() {
                Offset::Offset(offset) => {
                    self.remember(element.metadata());
                    self.within(topic, partition, offset, (low, high))?
                }
                Offset::Beginning
                | Offset::End
                | Offset::Stored
                | Offset::Invalid
                | Offset::OffsetTail(_) => {
                    first_offset(start, low, high).ok_or_else(|| StreamError::FirstStart {
                        topic: topic.to_owned(),
                        group: format!("{}-intake", self.needs.config.run.group),
                    })?
                }
            };
            let lane = self.lane(topic, partition);
            self.merge.open(lane, from, high);
            self.trails.insert(lane, Trail::default());
            self.sent.remove(&lane);
            list.add_partition_offset(topic, partition, Offset::Offset(from))
                .map_err(StreamError::client("name an offset"))?;
        }
        self.patience = Stopwatch::start();
        self.consumer
            .incremental_assign(&list)
            .map_err(StreamError::client("take sources over"))?;
        tracing::info!(partitions = self.trails.len(), "sources are assigned");
        self.needs.readiness.met("sources");
        Ok(())
    }

    /// Where a partition without a commit begins: the operator's choice is for the group's first
    /// start; a partition that a topic gains later is read from its beginning.
    fn start(&self) -> Result<Start, StreamError> {
        let mut all = TopicPartitionList::new();
        let there = client::partitions(&self.needs.config)?;
        for topic in &self.needs.config.topics.sources {
            let count = there.get(topic).copied().unwrap_or(0);
            for partition in 0..i32::try_from(count).unwrap_or(0) {
                all.add_partition(topic, partition);
            }
        }
        let committed = until_answered(
            "ask for committed offsets",
            &self.needs.config,
            &self.needs.stop,
            || self.consumer.committed_offsets(all.clone(), REPLY),
        )?;
        let known = |offset| matches!(offset, Offset::Offset(_));
        if committed
            .elements()
            .iter()
            .any(|element| known(element.offset()))
        {
            return Ok(Start::Earliest);
        }
        Ok(self.needs.config.run.start)
    }

    /// The minute of the newest tick, as an earlier life committed it.
    fn remember(&mut self, metadata: &str) {
        if let Ok(minute) = metadata.parse::<i64>() {
            self.minute = self.minute.max(Some(minute));
            self.intake.ticked(minute);
        }
    }

    /// Where a source goes on: where we were, if it is still there.
    pub(super) fn within(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        (low, high): (i64, i64),
    ) -> Result<i64, StreamError> {
        if offset > high {
            return Err(StreamError::OtherLog {
                topic: topic.to_owned(),
                partition,
                what: format!("we have read up to offset {offset} and it ends at {high}"),
            });
        }
        if offset >= low {
            return Ok(offset);
        }
        let gap = StreamError::Gap {
            topic: topic.to_owned(),
            partition,
            from: offset,
            to: low - 1,
            why: "the source begins after them",
        };
        self.needs
            .metrics
            .lost_ranges
            .fetch_add(1, Ordering::Relaxed);
        if !self.needs.config.run.accept_loss {
            return Err(gap);
        }
        tracing::error!("{gap}");
        Ok(low)
    }

    pub(super) fn leave(
        &mut self,
        partitions: &[(String, i32)],
        lost: bool,
    ) -> Result<(), StreamError> {
        let lanes: Vec<Lane> = partitions.iter().map(|(t, p)| self.lane(t, *p)).collect();
        // What waits was not appended: the next owner reads it again.
        for lane in &lanes {
            self.merge.close(*lane);
            self.paused.remove(lane);
        }
        let settled = if lost { Ok(()) } else { self.settle(&lanes) };
        let mut list = TopicPartitionList::new();
        for (topic, partition) in partitions {
            list.add_partition(topic, *partition);
        }
        for lane in &lanes {
            self.trails.remove(lane);
            self.sent.remove(lane);
        }
        if let Err(error) = self.consumer.incremental_unassign(&list) {
            tracing::warn!(%error, "sources cannot be given back");
        }
        settled
    }
}
