//! The one place that reads a clock: wall time, elapsed time, and the processor time that this process has used.
//! For progress, logs, arrival stamps at the edge, and benchmarks. It deliberately knows nothing of event time:
//! what an event says about *when* comes from the event, and no decision ever depends on what is read here.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, FixedOffset, Local, TimeZone, Timelike};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The wall clock in milliseconds since 1970-01-01 UTC; negative only on a machine whose clock stands before that.
#[expect(
    clippy::disallowed_methods,
    reason = "this file is where the wall clock is read"
)]
pub fn now_ms() -> i64 {
    let now = SystemTime::now();
    match now.duration_since(UNIX_EPOCH) {
        Ok(after) => whole_ms(after),
        Err(before) => -whole_ms(before.duration()),
    }
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A wall time as this machine's people write it, by its time zone; UTC for a time that has no date.
pub fn local(ms: i64) -> DateTime<FixedOffset> {
    let local = Local.timestamp_millis_opt(ms).single();
    local.map_or_else(DateTime::default, |local| local.fixed_offset())
}

/// The day of the local week, 0 for Monday, and the minute of the local day.
pub fn day_and_minute(ms: i64) -> (u32, u32) {
    let local = local(ms);
    let minute = local.hour() * 60 + local.minute();
    (local.weekday().num_days_from_monday(), minute)
}

/// A stretch of real time, unmoved by changes of the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    start: Instant,
}

impl Stopwatch {
    /// Starts now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is where the monotonic clock is read"
    )]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// How often work that has an end looks whether it is to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// Work within a span, and within a shorter one after it is told to stop; nothing where it did not end.
pub async fn within<T>(
    span: Duration,
    (stop, grace): (&AtomicBool, Duration),
    work: impl Future<Output = T>,
) -> Option<T> {
    let stopped = async {
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(GLANCE).await;
        }
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = tokio::time::sleep(span) => None,
        () = stopped => None,
    }
}

/// The processor time, user and system, of every thread of this process so far.
///
/// What "per CPU-second" in the measurements means: two of these, subtracted.
pub fn cpu_time() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

/// The processor time, user and system, of the calling thread so far.
pub fn thread_cpu_time() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

fn duration(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn the_wall_clock_stands_after_this_was_written() {
        assert!(now_ms() > 1_700_000_000_000);
    }

    #[test]
    fn work_that_does_not_end_is_given_up_after_its_span_and_sooner_where_it_is_told_to_stop() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (hour, moment) = (Duration::from_secs(3_600), Duration::from_millis(1));
        let (go, stop) = (AtomicBool::new(false), AtomicBool::new(true));
        let never = std::future::pending::<()>;
        let run = |span, ends| runtime.block_on(async { within(span, ends, never()).await });
        assert_eq!(run(moment, (&go, hour)), None);
        assert_eq!(run(hour, (&stop, moment)), None);
        let done = runtime.block_on(async { within(hour, (&stop, hour), async { 7 }).await });
        assert_eq!(done, Some(7));
    }

    #[test]
    fn work_moves_the_stopwatch_and_the_processor_time() {
        let (watch, process, thread) = (Stopwatch::start(), cpu_time(), thread_cpu_time());
        let mut sum = 0_u64;
        while thread_cpu_time() == thread {
            sum = black_box(sum.wrapping_mul(31).wrapping_add(1));
        }
        assert!(watch.elapsed() > Duration::ZERO);
        assert!(cpu_time() > process);
    }
}
