//! The way into the bank's topics, for a simulated population: what is sent is acknowledged before
//! anybody says that it is there.

use crate::config::Config;
use crate::stream::send::{Parcel, Sender};
use crate::stream::tickets::Ticket;
use crate::stream::{StreamError, client};
use crate::telemetry::Metrics;
use std::sync::Arc;

/// Sends lines into the sources.
#[derive(Debug)]
pub struct Outlet {
    sender: Sender,
    sources: Vec<String>,
    ticket: Arc<Ticket>,
}

impl Outlet {
    /// Connects; the sources must be there.
    ///
    /// # Errors
    /// Where the broker does not answer, or a topic is missing.
    pub fn open(config: &Config) -> Result<Self, StreamError> {
        let there = client::partitions(config)?;
        let names: Vec<&str> = config.topics.sources.iter().map(String::as_str).collect();
        client::require(config, &there, &names)?;
        Ok(Self {
            sender: Sender::new(config, &Arc::new(Metrics::default()))?,
            sources: config.topics.sources.clone(),
            ticket: Ticket::open(),
        })
    }

    /// Sends a line into a source, by its place in the configuration; beyond the last one, into it.
    ///
    /// # Errors
    /// Where the broker refuses it.
    pub fn send(&self, source: usize, key: &str, line: &[u8]) -> Result<(), StreamError> {
        let topic = self.sources.get(source).or_else(|| self.sources.last());
        let parcel = Parcel {
            topic: topic.map_or("", String::as_str),
            partition: None,
            key: key.as_bytes(),
            value: line,
            headers: None,
        };
        self.sender.send(parcel, &self.ticket)
    }

    /// Waits until all is acknowledged.
    ///
    /// # Errors
    /// Where a record was refused.
    pub fn finish(self) -> Result<(), StreamError> {
        self.ticket.settle();
        while !self.sender.wait(&self.ticket, client::ASK)? {
            tracing::warn!("the broker has not acknowledged all yet");
        }
        Ok(())
    }
}
