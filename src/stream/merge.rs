//! The merge of the bank's topics: the record with the least `at` first, as a replay merges files.
//!
//! While a partition has records that have not come yet, an empty lane is waited for, so that what
//! is read after a stop comes in the same order as if it had been a file. A lane that is read to
//! its end holds nobody up: live, records pass in the order of their arrival.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

/// A source partition: place of the topic in the configuration, partition. Ties of `at` go by it.
pub type Lane = (usize, i32);

/// One partition's records that wait.
#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<(i64, T)>,
    /// The offset after the newest record that has come.
    read: i64,
    /// The offset after the newest record that the broker has, as far as we know.
    end: i64,
}

impl<T> Queue<T> {
    /// Whether records are known to be there and none has come.
    fn is_awaited(&self) -> bool {
        self.waiting.is_empty() && self.read < self.end
    }
}

/// Records of several partitions, each in its own order.
#[derive(Debug)]
pub struct Merge<T> {
    lanes: BTreeMap<Lane, Queue<T>>,
    /// The first record of each lane that has one, the least on top.
    heads: BinaryHeap<Reverse<(i64, Lane)>>,
    /// How many lanes are awaited.
    awaited: usize,
}

impl<T> Default for Merge<T> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            heads: BinaryHeap::new(),
            awaited: 0,
        }
    }
}

impl<T> Merge<T> {
    /// Adds a lane that is read from `read` on and known to go on to `end`.
    pub fn open(&mut self, lane: Lane, read: i64, end: i64) {
        self.close(lane);
        let queue = Queue {
            waiting: VecDeque::new(),
            read,
            end,
        };
        self.awaited += usize::from(queue.is_awaited());
        self.lanes.insert(lane, queue);
    }

    /// Drops a lane with what waits in it.
    pub fn close(&mut self, lane: Lane) {
        if let Some(queue) = self.lanes.remove(&lane) {
            self.awaited -= usize::from(queue.is_awaited());
            self.heads.retain(|Reverse((_, other))| *other != lane);
        }
    }

    /// The lanes, with the offset after the newest record that has come.
    pub fn lanes(&self) -> impl Iterator<Item = (Lane, i64)> {
        self.lanes.iter().map(|(lane, queue)| (*lane, queue.read))
    }

    /// The broker is known to have records up to `end`.
    pub fn grown(&mut self, lane: Lane, end: i64) {
        if let Some(queue) = self.lanes.get_mut(&lane) {
            self.awaited -= usize::from(queue.is_awaited());
            queue.end = end;
            self.awaited += usize::from(queue.is_awaited());
        }
    }

    /// A record has come; `at` of a record without a time is the least there is.
    pub fn push(&mut self, lane: Lane, offset: i64, at: i64, record: T) {
        if let Some(queue) = self.lanes.get_mut(&lane) {
            if queue.waiting.is_empty() {
                self.awaited -= usize::from(queue.is_awaited());
                self.heads.push(Reverse((at, lane)));
            }
            queue.read = offset + 1;
            queue.waiting.push_back((at, record));
        }
    }

    /// How many records of a lane wait.
    pub fn waiting(&self, lane: Lane) -> usize {
        self.lanes.get(&lane).map_or(0, |queue| queue.waiting.len())
    }

    /// The lanes for which the others wait.
    pub fn awaited(&self) -> impl Iterator<Item = Lane> {
        self.lanes
            .iter()
            .filter(|(_, queue)| queue.is_awaited())
            .map(|(lane, _)| *lane)
    }

    /// The next record, unless a lane must be waited for.
    pub fn pop(&mut self) -> Option<(Lane, T)> {
        if self.awaited > 0 {
            return None;
        }
        let Reverse((_, lane)) = self.heads.pop()?;
        let queue = self.lanes.get_mut(&lane)?;
        let (_, record) = queue.waiting.pop_front()?;
        match queue.waiting.front() {
            Some((at, _)) => self.heads.push(Reverse((*at, lane))),
            None => self.awaited += usize::from(queue.is_awaited()),
        }
        Some((lane, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(merge: &mut Merge<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| merge.pop().map(|(_, record)| record)).collect()
    }

    #[test]
    fn the_least_time_comes_first_and_ties_go_by_lane() {
        let mut merge = Merge::default();
        merge.open((0, 0), 0, 2);
        merge.open((1, 0), 0, 2);
        merge.push((1, 0), 0, 5, "b5");
        merge.push((1, 0), 1, 9, "b9");
        assert_eq!(
            drained(&mut merge),
            Vec::<&str>::new(),
            "the first lane is awaited"
        );
        merge.push((0, 0), 0, 5, "a5");
        merge.push((0, 0), 1, 7, "a7");
        assert_eq!(drained(&mut merge), ["a5", "b5", "a7", "b9"]);
    }

    #[test]
    fn a_lane_keeps_its_own_order() {
        let mut merge = Merge::default();
        merge.open((0, 0), 0, 0);
        merge.push((0, 0), 0, 9, "late");
        merge.push((0, 0), 1, 3, "early");
        assert_eq!(drained(&mut merge), ["late", "early"]);
    }

    #[test]
    fn a_lane_at_its_end_holds_nobody_up() {
        let mut merge = Merge::default();
        merge.open((0, 0), 4, 4);
        merge.open((1, 0), 0, 0);
        merge.push((1, 0), 0, 1, "now");
        assert_eq!(drained(&mut merge), ["now"]);
    }
}
