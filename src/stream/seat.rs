//! Seats: where each partition's shard sits, so that a query can look at it without a hop to its thread.
//!
//! The hand that owns a shard works on it for one run at a time and lets who waits look in between. A
//! query looks within its deadline, or is told why it cannot. What is asked is no question here.

use crate::clock::Stopwatch;
use crate::stream::sentinel::Sentinel;
use crate::stream::shard::Shard;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::Duration;

/// How often a hand stands back for queries that wait before it goes on regardless.
const COURTESY: u32 = 64;
/// How often a query looks in vain before it lets other threads have the core.
const SPINS: u32 = 32;

/// Why a shard cannot be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// It is not scored here.
    Elsewhere,
    /// It is being restored.
    Restoring,
    /// The process stood still: the group may have given it to another instance.
    Frozen,
    /// Its hand was at work until the deadline.
    Busy,
}

/// A shard in its seat.
#[derive(Debug)]
struct Seated {
    shard: Shard,
    /// Where the log ended when it was taken: before that it has not seen all that was there.
    goal: i64,
    sentinel: Arc<Sentinel>,
}

/// What a query sees.
#[derive(Debug)]
pub struct Sight<'s> {
    /// The shard.
    pub shard: &'s Shard,
    /// Why its state may be old; nothing where it is as new as can be.
    pub stale: Option<&'static str>,
}

/// One partition's seat.
#[derive(Debug, Default)]
pub struct Seat {
    place: RwLock<Option<Seated>>,
    waiting: AtomicUsize,
    restoring: AtomicBool,
}

impl Seat {
    /// Its shard is being restored.
    pub fn restoring(&self) {
        self.restoring.store(true, Ordering::Release);
    }

    /// A restored shard sits down; the log ended at `goal` when it was taken.
    pub fn take(&self, shard: Shard, goal: i64, sentinel: &Arc<Sentinel>) {
        let seated = Seated {
            shard,
            goal,
            sentinel: Arc::clone(sentinel),
        };
        *self.place.write().unwrap_or_else(PoisonError::into_inner) = Some(seated);
        self.restoring.store(false, Ordering::Release);
    }

    /// Its shard leaves.
    pub fn leave(&self) -> Option<Shard> {
        self.restoring.store(false, Ordering::Release);
        let mut place = self.place.write().unwrap_or_else(PoisonError::into_inner);
        place.take().map(|seated| seated.shard)
    }

    /// Works on the shard, after whoever waits has looked; nothing where no shard sits here.
    pub fn work<T>(&self, work: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        // A lock that is given back and taken again at once is never had by anybody else.
        let mut stood_back = 0;
        while self.waiting.load(Ordering::Acquire) > 0 && stood_back < COURTESY {
            stood_back += 1;
            std::thread::yield_now();
        }
        let mut place = self.place.write().unwrap_or_else(PoisonError::into_inner);
        place.as_mut().map(|seated| work(&mut seated.shard))
    }

    /// Looks at the shard for as long as it takes; queries may look at the same time.
    pub fn look<T>(&self, look: impl FnOnce(&Shard) -> T) -> Option<T> {
        let place = self.place.read().unwrap_or_else(PoisonError::into_inner);
        place.as_ref().map(|seated| look(&seated.shard))
    }

    /// Looks at the shard within what is left of `bound` since `begun`.
    ///
    /// # Errors
    /// Why it cannot be looked at.
    pub fn ask<T>(
        &self,
        begun: &Stopwatch,
        bound: Duration,
        ask: impl FnOnce(Sight<'_>) -> T,
    ) -> Result<T, Shut> {
        let place = self.within(begun, bound)?;
        let Some(seated) = place.as_ref() else {
            return Err(if self.restoring.load(Ordering::Acquire) {
                Shut::Restoring
            } else {
                Shut::Elsewhere
            });
        };
        seated.sentinel.check().map_err(|_| Shut::Frozen)?;
        let behind = seated.shard.standing.next < seated.goal;
        Ok(ask(Sight {
            shard: &seated.shard,
            stale: behind.then_some("restoring"),
        }))
    }

    fn within(
        &self,
        begun: &Stopwatch,
        bound: Duration,
    ) -> Result<RwLockReadGuard<'_, Option<Seated>>, Shut> {
        if let Some(place) = self.at_once() {
            return Ok(place);
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let mut looked = 0_u32;
        let found = loop {
            if let Some(place) = self.at_once() {
                break Ok(place);
            }
            if begun.elapsed() >= bound {
                break Err(Shut::Busy);
            }
            looked += 1;
            if looked.is_multiple_of(SPINS) {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        };
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        found
    }

    fn at_once(&self) -> Option<RwLockReadGuard<'_, Option<Seated>>> {
        match self.place.try_read() {
            Ok(place) => Some(place),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The seats of all partitions of the log.
#[derive(Debug)]
pub struct Seats {
    seats: Box<[Arc<Seat>]>,
    behind: AtomicBool,
}

impl Seats {
    /// Empty seats for so many partitions.
    pub fn new(partitions: usize) -> Self {
        Self {
            seats: (0..partitions).map(|_| Arc::default()).collect(),
            behind: AtomicBool::new(false),
        }
    }

    /// How many there are: the partitions of the log.
    pub fn count(&self) -> usize {
        self.seats.len()
    }

    /// The seat of a partition; nothing for one that the log does not have.
    pub fn of(&self, partition: i32) -> Option<&Arc<Seat>> {
        self.seats.get(usize::try_from(partition).ok()?)
    }

    /// Says whether what is scored here lags behind the log, or the broker is away.
    pub fn lag(&self, behind: bool) {
        self.behind.store(behind, Ordering::Relaxed);
    }

    /// Whether it does.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    /// Every shard leaves: the scoring has ended.
    pub fn clear(&self) {
        for seat in &self.seats {
            drop(seat.leave());
        }
    }
}
