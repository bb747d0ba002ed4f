//! Who owns which partition, announced in a compacted topic, so that any instance can forward a
//! query to the owner, and a second deployment on our topics is seen.

use crate::clock;
use crate::config::{Config, Role};
use crate::stream::StreamError;
use crate::stream::send::{Parcel, Sender};
use crate::stream::tickets::Ticket;
use std::sync::atomic::{AtomicU64, Ordering};

/// Announces what this instance owns.
#[derive(Debug)]
pub struct Owners {
    topic: String,
    instance: String,
    http: String,
    /// Whether queries are answered there.
    api: bool,
    /// Whether they are answered by TLS.
    tls: bool,
    sender: Sender,
    /// Counts this process's announcements; with `since_ms` it tells a newer one from an older.
    generation: AtomicU64,
}

impl Owners {
    /// Nothing announced yet.
    ///
    /// # Errors
    /// None today.
    pub fn new(config: &Config, sender: &Sender, http: &str) -> Result<Self, StreamError> {
        Ok(Self {
            topic: config.topics.owners.clone(),
            instance: config.run.instance.clone(),
            http: http.to_owned(),
            api: config.run.roles.contains(&Role::Api),
            tls: config.http.tls.is_some(),
            sender: sender.clone(),
            generation: AtomicU64::new(0),
        })
    }

    /// This instance owns a partition from now on.
    ///
    /// # Errors
    /// Where the broker will never take it.
    pub fn announce(&self, partition: i32, ruleset: &str) -> Result<(), StreamError> {
        let value = serde_json::json!({
            "instance": self.instance,
            "generation": self.generation.fetch_add(1, Ordering::Relaxed),
            "http": self.http,
            "api": self.api,
            "tls": self.tls,
            "since_ms": clock::now_ms(),
            "ruleset": ruleset,
        });
        self.put(partition, value.to_string().as_bytes())
    }

    /// This instance no longer owns a partition. The next owner's word replaces ours, so that this
    /// one says only that nobody does.
    ///
    /// # Errors
    /// Where the broker will never take it.
    pub fn withdraw(&self, partition: i32) -> Result<(), StreamError> {
        let value = serde_json::json!({
            "instance": null,
            "left_by": self.instance,
            "since_ms": clock::now_ms(),
        });
        self.put(partition, value.to_string().as_bytes())
    }

    fn put(&self, partition: i32, value: &[u8]) -> Result<(), StreamError> {
        let key = partition.to_string();
        let parcel = Parcel {
            topic: &self.topic,
            partition: None,
            key: key.as_bytes(),
            value,
            headers: None,
        };
        self.sender.send(parcel, &Ticket::open())
    }
}
