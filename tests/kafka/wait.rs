//! Waiting for what other processes do: look, and look again, up to a limit.
//!
//! A limit that passes fails the test with what was awaited. Nothing here decides whether what was seen is right; the
//! pauses of faults (how long a broker stays away) are `pause`, which stands for nothing else.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use varsel::clock::Stopwatch;

const EVERY: Duration = Duration::from_millis(20);

/// What `look` finds, as soon as it finds something.
pub fn until<T>(what: &str, limit: Duration, look: impl FnMut() -> Option<T>) -> T {
    within(limit, look).unwrap_or_else(|| panic!("not within {limit:?}: {what}"))
}

/// The same, nothing where the limit passes.
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let watch = Stopwatch::start();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if watch.elapsed() >= limit {
            return None;
        }
        thread::park_timeout(EVERY);
    }
}

/// How long a fault lasts, or how long a process is left alone before it is hit.
pub fn pause(time: Duration) {
    let watch = Stopwatch::start();
    while let Some(rest) = time.checked_sub(watch.elapsed()) {
        if rest.is_zero() {
            break;
        }
        thread::park_timeout(rest);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs the admin client's futures, which a thread of librdkafka's completes.
pub fn done<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park_timeout(EVERY),
        }
    }
}
