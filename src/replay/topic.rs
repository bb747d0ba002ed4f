//! Kafka topics as inputs of a replay: each partition is one input, read in its own order.
//!
//! Of the bank's topics the values are events, as in a file. Of our log the headers say whose an
//! event is and where its address lay, ticks move its partition's time, and control records bring
//! its rule books into force and suspend enforcement, so that a replay of the log is what the monitor saw.

use crate::replay::source::{Piece, Records, SourceError, Stamp};
use crate::stream::StreamError;
use crate::stream::book::{Control, Library};
use crate::stream::range::{Bound, Range};
use crate::stream::records::{self, Kind};
use rdkafka::message::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One partition of a topic.
pub struct Partition {
    range: Range,
    name: String,
    /// Whether it is our log.
    is_log: bool,
    /// Whether rule books in the log count.
    with_books: bool,
    library: Arc<Library>,
    /// The highest offset seen of each source.
    sources: Vec<(Arc<str>, i64)>,
    value: Vec<u8>,
    bytes: Arc<AtomicU64>,
}

/// What a replay of topics needs to know of them.
#[derive(Debug, Clone)]
pub struct Topics {
    /// The configuration, for the connection and the log's name.
    pub config: Arc<crate::config::Config>,
    /// Their names.
    pub names: Vec<String>,
    /// Where to begin.
    pub from: Bound,
    /// Where to end.
    pub to: Bound,
    /// Whether rule books in the log count: not where the user names one.
    pub with_books: bool,
}

impl Topics {
    /// Whether it is our log that is replayed.
    pub fn is_log(&self) -> bool {
        self.names
            .iter()
            .any(|name| *name == self.config.topics.log)
    }

    /// Opens every partition: for each what its positions begin with, and its records.
    ///
    /// # Errors
    /// Where a topic is not there, or the broker does not answer.
    pub fn open(&self, bytes: &Arc<AtomicU64>) -> Result<Vec<(String, Partition)>, StreamError> {
        let there = crate::stream::client::partitions(&self.config)?;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        crate::stream::client::require(&self.config, &there, &names)?;
        let library: Arc<Library> = Arc::default();
        let mut opened = Vec::new();
        for topic in &self.names {
            let count = there.get(topic).copied().unwrap_or(0);
            for partition in 0..i32::try_from(count).unwrap_or(0) {
                let range = Range::open(&self.config, topic, partition, (self.from, self.to))?;
                let name = format!("{topic}/{partition}@");
                let records = Partition {
                    range,
                    name: name.clone(),
                    is_log: *topic == self.config.topics.log,
                    with_books: self.with_books,
                    library: Arc::clone(&library),
                    sources: Vec::new(),
                    value: Vec::new(),
                    bytes: Arc::clone(bytes),
                };
                opened.push((name, records));
            }
        }
        Ok(opened)
    }
}

impl Records for Partition {
    fn next(&mut self) -> Result<Option<(u64, Piece<'_>)>, SourceError> {
        loop {
            let failed = |source| SourceError::Topic {
                name: self.name.clone(),
                source: Box::new(source),
            };
            let Some(message) = self.range.poll().map_err(failed)? else {
                return Ok(None);
            };
            let place = message.offset().unsigned_abs();
            self.value.clear();
            self.value
                .extend_from_slice(message.payload().unwrap_or_default());
            let size = u64::try_from(self.value.len()).unwrap_or(0);
            self.bytes.fetch_add(size, Ordering::Relaxed);
            if !self.is_log {
                return Ok(Some((place, Piece::Whole(&self.value, None))));
            }
            let told = records::told(&message);
            match told.kind {
                Kind::Event => {}
                Kind::Stranger => return Ok(Some((place, Piece::Whole(&self.value, None)))),
                Kind::Tick => {
                    let at = std::str::from_utf8(&self.value)
                        .ok()
                        .and_then(|t| t.parse().ok());
                    if let Some(at_ms) = at {
                        return Ok(Some((place, Piece::Tick(at_ms))));
                    }
                    continue;
                }
                Kind::Control => match control(&self.library, &self.value) {
                    Some(Control::Book(_)) if !self.with_books => continue,
                    Some(control) => return Ok(Some((place, Piece::Control(control)))),
                    None => continue,
                },
            }
            let (source, offset) = (told.source, told.source_offset);
            let stamp = Stamp {
                cardholder: message
                    .key()
                    .filter(|_| !told.by_card)
                    .and_then(|key| std::str::from_utf8(key).ok())
                    .map(str::to_owned),
                place: told.place.unwrap_or_default(),
            };
            let seen = is_repeat(&mut self.sources, source, offset);
            return Ok(Some(if seen {
                (place, Piece::Repeat)
            } else {
                (place, Piece::Whole(&self.value, Some(stamp)))
            }));
        }
    }
}

/// Whether a source's record stood in the log before: they come in the order of their offsets.
fn is_repeat(sources: &mut Vec<(Arc<str>, i64)>, source: &str, offset: i64) -> bool {
    match sources.iter_mut().find(|(known, _)| **known == *source) {
        Some((_, seen)) => {
            let repeat = offset >= 0 && offset <= *seen;
            *seen = offset.max(*seen);
            repeat
        }
        None => {
            sources.push((Arc::from(source), offset));
            false
        }
    }
}

fn control(library: &Library, record: &[u8]) -> Option<Control> {
    match library.read(record) {
        Ok(control) => Some(control),
        Err(error) => {
            tracing::error!(%error, "a control record has no effect");
            None
        }
    }
}
