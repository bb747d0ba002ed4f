//! The sentinel: whether this process stood still (stopped, swapped out, a machine asleep) for longer
//! than its group waits. What it had in hand is then somebody else's, and must not be sent any more.
//!
//! The thread only marks that time goes on; whoever is about to do something asks.

use crate::clock::Stopwatch;
use crate::stream::StreamError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How often the mark is renewed.
const BEAT: Duration = Duration::from_millis(100);

/// Marks that time goes on.
#[derive(Debug)]
pub struct Sentinel {
    start: Stopwatch,
    marked_ms: AtomicU64,
    frozen: AtomicU64,
    bound_ms: u64,
}

impl Sentinel {
    /// One that calls a stand-still of `bound` frozen.
    pub fn new(bound: Duration) -> Self {
        Self {
            start: Stopwatch::start(),
            marked_ms: AtomicU64::new(0),
            frozen: AtomicU64::new(0),
            bound_ms: ms(bound),
        }
    }

    /// Marks until `over`.
    pub fn watch(&self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let _ = self.check();
            self.marked_ms
                .store(ms(self.start.elapsed()), Ordering::Relaxed);
            std::thread::sleep(BEAT);
        }
    }

    /// Whether the process never stood still for too long.
    ///
    /// # Errors
    /// That it did, from then on for ever: what was in hand stays suspect.
    pub fn check(&self) -> Result<(), StreamError> {
        let silent =
            ms(self.start.elapsed()).saturating_sub(self.marked_ms.load(Ordering::Relaxed));
        if silent > self.bound_ms {
            self.frozen.fetch_max(silent, Ordering::Relaxed);
        }
        match self.frozen.load(Ordering::Relaxed) {
            0 => Ok(()),
            frozen => Err(StreamError::Frozen(frozen / 1_000)),
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stood_still_for_too_long_is_told_so_for_ever() {
        let sentinel = Sentinel::new(Duration::ZERO);
        let watch = Stopwatch::start();
        while watch.elapsed() < Duration::from_millis(3) {
            std::hint::spin_loop();
        }
        assert!(sentinel.check().is_err());
        sentinel.watch(&AtomicBool::new(true));
        assert!(sentinel.check().is_err());
        assert!(Sentinel::new(Duration::from_secs(60)).check().is_ok());
    }
}
