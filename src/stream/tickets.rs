//! Tickets: which effects the broker has acknowledged, and so how far may be committed.
//!
//! One ticket stands for a micro-batch; each record sent for it holds a share. A trail is the row
//! of a partition's tickets in the order of offsets: what is settled at its head may be committed.
//! INVARIANT (no-loss): an offset is given out only after every effect before it is acknowledged.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The shares still out for one micro-batch.
#[derive(Debug)]
pub struct Ticket {
    left: AtomicUsize,
}

impl Ticket {
    /// A ticket with one share, that of whoever fills the batch.
    pub fn open() -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(1),
        })
    }

    /// One record more is on its way.
    pub fn share(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// A share is back: the batch is filled, or a record acknowledged.
    pub fn settle(&self) {
        self.left.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether nothing is out any more.
    pub fn is_settled(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }
}

/// A partition's tickets in the order of offsets.
#[derive(Debug)]
pub struct Trail {
    row: Mutex<VecDeque<(i64, Arc<Ticket>)>>,
    /// Where reading goes on if all before is acknowledged; -1 before the first.
    settled: AtomicI64,
}

impl Default for Trail {
    fn default() -> Self {
        Self {
            row: Mutex::new(VecDeque::new()),
            settled: AtomicI64::new(-1),
        }
    }
}

impl Trail {
    /// All before offset `next` is done once the ticket is settled.
    pub fn push(&self, next: i64, ticket: &Arc<Ticket>) {
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        match row.back_mut() {
            Some((offset, last)) if Arc::ptr_eq(last, ticket) => *offset = next,
            Some(_) | None => row.push_back((next, Arc::clone(ticket))),
        }
    }

    /// The offset up to which all is acknowledged; -1 before the first.
    pub fn settled(&self) -> i64 {
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        while row.front().is_some_and(|(_, ticket)| ticket.is_settled()) {
            if let Some((offset, _)) = row.pop_front() {
                self.settled.store(offset, Ordering::Release);
            }
        }
        self.settled.load(Ordering::Acquire)
    }

    /// Whether nothing is out any more.
    pub fn is_empty(&self) -> bool {
        self.settled();
        self.row
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_loss_an_offset_is_given_out_only_after_every_effect_before_it() {
        let trail = Trail::default();
        let (first, second) = (Ticket::open(), Ticket::open());
        first.share();
        trail.push(10, &first);
        trail.push(20, &second);
        second.settle();
        assert_eq!(trail.settled(), -1, "the first batch is still out");
        first.settle();
        assert_eq!(trail.settled(), -1, "its record is still out");
        first.settle();
        assert_eq!(trail.settled(), 20);
        assert!(trail.is_empty());
    }

    #[test]
    fn a_batch_over_one_partition_is_one_entry() {
        let trail = Trail::default();
        let ticket = Ticket::open();
        trail.push(1, &ticket);
        trail.push(2, &ticket);
        ticket.settle();
        assert_eq!(trail.settled(), 2);
    }
}
