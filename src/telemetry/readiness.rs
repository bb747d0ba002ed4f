//! Whether the monitor lives and whether it can be relied on: pulses of its threads, and named conditions.
//!
//! A condition that is not met says so in a sentence for the operator. What each condition means is deliberately up to
//! whoever sets it.

use super::cells::locked;
use crate::clock::Stopwatch;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A thread that was silent for longer is taken for stuck; every wait in the monitor is far shorter.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// The conditions and pulses of one process.
#[derive(Debug)]
pub struct Readiness {
    start: Stopwatch,
    /// Conditions by name: nothing where met, else why not.
    conditions: Mutex<BTreeMap<&'static str, Option<String>>>,
    /// What an operator should know that makes nobody less ready.
    notes: Mutex<BTreeMap<&'static str, String>>,
    /// When each thread was heard last, in milliseconds after `start`.
    pulses: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Readiness {
    /// With these conditions, none of them met yet.
    pub fn new(conditions: &[&'static str]) -> Self {
        let unmet = |name: &&'static str| (*name, Some("not known yet".to_owned()));
        Self {
            start: Stopwatch::start(),
            conditions: Mutex::new(conditions.iter().map(unmet).collect()),
            notes: Mutex::new(BTreeMap::new()),
            pulses: Mutex::new(BTreeMap::new()),
        }
    }

    /// A condition is met.
    pub fn met(&self, condition: &'static str) {
        locked(&self.conditions).insert(condition, None);
    }

    /// A condition is not met, and why.
    pub fn unmet(&self, condition: &'static str, why: impl Into<String>) {
        locked(&self.conditions).insert(condition, Some(why.into()));
    }

    /// A condition is nobody's any more, as when a role ends.
    pub fn forget(&self, condition: &'static str) {
        locked(&self.conditions).remove(condition);
    }

    /// Something that an operator should know and that makes nobody less ready; nothing takes it back.
    pub fn note(&self, name: &'static str, note: Option<String>) {
        let mut notes = locked(&self.notes);
        match note {
            Some(note) => notes.insert(name, note),
            None => notes.remove(name),
        };
    }

    /// The notes, `name: sentence`, by name.
    pub fn notes(&self) -> Vec<String> {
        let notes = locked(&self.notes);
        notes
            .iter()
            .map(|(name, note)| format!("{name}: {note}"))
            .collect()
    }

    /// Every condition that is not met, `name: sentence`, by name; empty where all are.
    pub fn reasons(&self) -> Vec<String> {
        let conditions = locked(&self.conditions);
        let unmet = conditions
            .iter()
            .filter_map(|(name, why)| Some((name, why.as_ref()?)));
        unmet.map(|(name, why)| format!("{name}: {why}")).collect()
    }

    /// The pulse of a thread, beating from now on; a name that was there is taken over.
    pub fn pulse(&self, thread: &str) -> Pulse {
        let heard = Arc::new(AtomicU64::new(self.now_ms()));
        locked(&self.pulses).insert(thread.to_owned(), Arc::clone(&heard));
        Pulse {
            start: self.start,
            heard,
        }
    }

    /// A thread ended as it should. One that ends without this is taken for stuck a minute later.
    pub fn ended(&self, thread: &str) {
        locked(&self.pulses).remove(thread);
    }

    /// The threads that were not heard for a minute, by name, with the seconds of their silence.
    pub fn stuck(&self) -> Vec<String> {
        self.stuck_at(self.now_ms())
    }

    fn stuck_at(&self, now_ms: u64) -> Vec<String> {
        let most = u64::try_from(STUCK_AFTER.as_millis()).unwrap_or(u64::MAX);
        let pulses = locked(&self.pulses);
        let silent = pulses
            .iter()
            .map(|(name, heard)| (name, now_ms.saturating_sub(heard.load(Relaxed))))
            .filter(|(_, silence)| *silence > most);
        silent
            .map(|(name, silence)| format!("{name}: not heard for {} s", silence / 1_000))
            .collect()
    }

    fn now_ms(&self) -> u64 {
        elapsed_ms(self.start)
    }
}

fn elapsed_ms(start: Stopwatch) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The pulse of one thread.
#[derive(Debug)]
pub struct Pulse {
    start: Stopwatch,
    heard: Arc<AtomicU64>,
}

impl Pulse {
    /// The thread turns: to be said at least every few seconds, also in long work and long waits.
    pub fn beat(&self) {
        self.heard.store(elapsed_ms(self.start), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_met_says_why_until_it_is() {
        let readiness = Readiness::new(&["restored", "assigned"]);
        assert_eq!(
            readiness.reasons(),
            ["assigned: not known yet", "restored: not known yet"]
        );
        readiness.met("assigned");
        readiness.unmet("restored", "partition 3 of 12");
        readiness.unmet("kafka", "no broker answers");
        assert_eq!(
            readiness.reasons(),
            ["kafka: no broker answers", "restored: partition 3 of 12"]
        );
        readiness.met("restored");
        readiness.forget("kafka");
        assert!(readiness.reasons().is_empty());
    }

    #[test]
    fn a_thread_is_stuck_after_a_minute_of_silence_unless_it_ended() {
        let readiness = Readiness::new(&[]);
        let pulse = readiness.pulse("score-0");
        drop(readiness.pulse("score-1"));
        let heard = pulse.heard.load(Relaxed);
        assert!(readiness.stuck().is_empty());
        assert!(readiness.stuck_at(heard + 60_000).is_empty());
        readiness.pulse("score-1");
        let later = readiness.now_ms() + 61_000;
        assert_eq!(
            readiness.stuck_at(later),
            ["score-0: not heard for 61 s", "score-1: not heard for 61 s"]
        );
        pulse.heard.store(later, Relaxed);
        readiness.ended("score-1");
        assert!(readiness.stuck_at(later).is_empty());
    }
}
