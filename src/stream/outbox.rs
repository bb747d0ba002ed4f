//! The outbox: records of the busy topics that wait until the burst before them is acknowledged.
//!
//! librdkafka has one request at a time on its way for a partition of an idempotent producer, and its thread
//! spins for as long as records behind that request are older than `linger.ms`: a core burnt for nothing.
//! So what would wait there waits here. It does not know what a record means, nor who sends it.

use crate::stream::tickets::Ticket;
use rdkafka::message::OwnedHeaders;
use std::collections::VecDeque;
use std::sync::Arc;

/// Records that wait, at most; more has its sender wait.
pub const ROOM: usize = 32_768;
/// Their bytes, at most, but for one record more.
pub const ROOM_BYTES: usize = 64 << 20;
/// Records that go at once, at most: the client takes in so many within `linger.ms`, so that one request carries
/// all of them.
pub const BURST: usize = 3_072;

/// Which of the busy topics, and the partition where the key does not say.
pub type To = (usize, Option<i32>);

/// Headers, and who is told that the record is acknowledged.
type Rest = (Option<OwnedHeaders>, Arc<Ticket>);

/// One record that waits.
#[derive(Debug)]
struct Kept {
    to: To,
    rest: Rest,
    key: usize,
    value: usize,
}

/// Records that go at once, in their order.
#[derive(Debug, Default)]
pub struct Burst {
    bytes: Vec<u8>,
    kept: VecDeque<Kept>,
    /// How many bytes at the front are gone.
    gone: usize,
}

impl Burst {
    /// How many are left.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// How many bytes are left.
    fn left(&self) -> usize {
        self.bytes.len() - self.gone
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Takes all out, each with its key and value, for as long as `take` takes them; one that it gives back
    /// stays, with all behind it.
    pub fn hand_over(
        &mut self,
        mut take: impl FnMut(To, (&[u8], &[u8]), Option<OwnedHeaders>, Arc<Ticket>) -> Result<(), Rest>,
    ) {
        while let Some(Kept {
            to,
            rest,
            key,
            value,
        }) = self.kept.pop_front()
        {
            let (_, bytes) = self.bytes.split_at(self.gone);
            let (front, _) = bytes.split_at(key + value);
            if let Err(rest) = take(to, front.split_at(key), rest.0, rest.1) {
                self.kept.push_front(Kept {
                    to,
                    rest,
                    key,
                    value,
                });
                return;
            }
            self.gone += key + value;
        }
    }
}

/// Records that wait, cut into bursts.
#[derive(Debug, Default)]
pub struct Outbox {
    bursts: VecDeque<Burst>,
    len: usize,
    bytes: usize,
}

impl Outbox {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a sender must wait.
    pub fn is_full(&self) -> bool {
        self.len >= ROOM || self.bytes >= ROOM_BYTES
    }

    /// Puts a record behind all others.
    pub fn push(
        &mut self,
        to: To,
        (key, value): (&[u8], &[u8]),
        headers: Option<OwnedHeaders>,
        ticket: &Arc<Ticket>,
    ) {
        if self.bursts.back().is_none_or(|last| last.len() >= BURST) {
            self.bursts.push_back(Burst::default());
        }
        let Some(last) = self.bursts.back_mut() else {
            return;
        };
        last.bytes.extend_from_slice(key);
        last.bytes.extend_from_slice(value);
        last.kept.push_back(Kept {
            to,
            rest: (headers, Arc::clone(ticket)),
            key: key.len(),
            value: value.len(),
        });
        self.len += 1;
        self.bytes += key.len() + value.len();
    }

    /// The oldest burst, which waits no more.
    pub fn pop(&mut self) -> Option<Burst> {
        let burst = self.bursts.pop_front()?;
        self.len -= burst.len();
        self.bytes -= burst.left();
        Some(burst)
    }

    /// Puts what is left of a burst before all others.
    pub fn put_back(&mut self, rest: Burst) {
        self.len += rest.len();
        self.bytes += rest.left();
        self.bursts.push_front(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(outbox: &mut Outbox, keys: &[&str]) {
        let ticket = Ticket::open();
        for key in keys {
            outbox.push((0, None), (key.as_bytes(), b"value"), None, &ticket);
        }
    }

    #[test]
    fn what_is_refused_stays_before_all_that_came_later() {
        let mut outbox = Outbox::default();
        fill(&mut outbox, &["a", "bb", "", "cc"]);
        let mut seen = Vec::new();
        let mut burst = outbox.pop().unwrap();
        assert!(outbox.is_empty());
        burst.hand_over(|_, (key, value), headers, ticket| {
            assert_eq!(value, b"value");
            if key == b"" {
                return Err((headers, ticket));
            }
            seen.push(key.to_vec());
            Ok(())
        });
        assert_eq!(burst.len(), 2);
        fill(&mut outbox, &["d"]);
        outbox.put_back(burst);
        assert_eq!(outbox.len(), 3);
        while let Some(mut burst) = outbox.pop() {
            burst.hand_over(|_, (key, _), _, _| {
                seen.push(key.to_vec());
                Ok(())
            });
            assert!(burst.is_empty());
        }
        assert_eq!(seen, [&b"a"[..], b"bb", b"", b"cc", b"d"]);
    }

    #[test]
    fn bounded_few_large_records_fill_it_as_many_small_ones_do() {
        let mut outbox = Outbox::default();
        let (ticket, large) = (Ticket::open(), vec![b'x'; ROOM_BYTES / 4]);
        for count in 0..4 {
            assert!(!outbox.is_full(), "{count} records");
            outbox.push((0, None), (b"", &large), None, &ticket);
        }
        assert!(outbox.is_full());
        let mut burst = outbox.pop().unwrap();
        assert!(!outbox.is_full());
        burst.hand_over(|_, _, headers, ticket| Err((headers, ticket)));
        outbox.put_back(burst);
        assert!(outbox.is_full(), "what came back counts again");
    }

    #[test]
    fn a_burst_is_no_larger_than_its_bound() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            fill(&mut outbox, &["key"; BURST / 2]);
        }
        assert_eq!(outbox.pop().map(|burst| burst.len()), Some(BURST));
        assert_eq!(outbox.pop().map(|burst| burst.len()), Some(BURST / 2));
        assert!(outbox.pop().is_none());
    }
}
