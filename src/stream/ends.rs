//! Where topics begin and end, asked on a thread of its own: a slow broker must not stall a poll.
//! What is answered is a second old, which is enough for lag and for whom a merge must wait.

use crate::clock::Stopwatch;
use crate::config::Config;
use crate::stream::client::{self, Ear};
use crate::stream::pulse::Pulse;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often each partition is asked for.
const EVERY: Duration = Duration::from_secs(1);
/// How long the broker has for one answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How often the thread looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// A topic and a partition.
type Place = (String, i32);

/// First offsets and offsets after the last, as they were a second ago.
#[derive(Debug, Default)]
pub struct Ends {
    wanted: Mutex<BTreeSet<Place>>,
    known: Mutex<BTreeMap<Place, (i64, i64)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ends {
    /// These partitions are to be watched from now on, and no others.
    pub fn want(&self, places: impl Iterator<Item = Place>) {
        let places: BTreeSet<Place> = places.collect();
        locked(&self.known).retain(|place, _| places.contains(place));
        *locked(&self.wanted) = places;
    }

    /// Where a partition begins and ends, once the broker has said so.
    pub fn of(&self, topic: &str, partition: i32) -> Option<(i64, i64)> {
        locked(&self.known)
            .get(&(topic.to_owned(), partition))
            .copied()
    }

    /// Asks until `over`; with a new client where the old one is lost.
    pub fn watch(&self, config: &Config, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            self.ask(config, over);
        }
    }

    fn ask(&self, config: &Config, over: &AtomicBool) {
        let made = client::reader(config)
            .map(|options| options.create_with_context::<_, BaseConsumer<Ear>>(Ear::default()));
        let consumer = match made {
            Ok(Ok(consumer)) => consumer,
            Ok(Err(error)) => {
                tracing::error!(%error, "the ends of topics cannot be watched");
                return std::thread::sleep(EVERY);
            }
            Err(error) => {
                tracing::error!(%error, "the ends of topics cannot be watched");
                return std::thread::sleep(EVERY);
            }
        };
        let mut pulse = Pulse::of_one_that_is_mended();
        while !over.load(Ordering::Relaxed) {
            let round = Stopwatch::start();
            let wanted: Vec<Place> = locked(&self.wanted).iter().cloned().collect();
            for place in wanted {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let ends = consumer.fetch_watermarks(&place.0, place.1, ANSWER);
                if let Ok(ends) = ends
                    && locked(&self.wanted).contains(&place)
                {
                    locked(&self.known).insert(place, ends);
                }
            }
            // Its events are heard, though it reads nothing.
            let _ = consumer.poll(Duration::ZERO);
            let (client, troubles) = (consumer.client(), &consumer.context().troubles);
            if pulse.feel(config, client, troubles).is_err() {
                return tracing::warn!("the client that asks for the ends of topics is lost");
            }
            while round.elapsed() < EVERY && !over.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
            }
        }
    }
}
