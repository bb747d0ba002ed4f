//! The population as the replay worker gets it: decoded events and minute ticks, in batches.
//!
//! The product's own decoder and GeoIP table make the events, outside of what is measured; [`apply`] is the worker's
//! loop without its output lines. Nothing here keeps time.
#![allow(
    dead_code,
    missing_docs,
    reason = "each benchmark is built apart and uses a part of this"
)]

use super::population::Population;
use std::sync::Arc;
use varsel::decode::Decoder;
use varsel::domain::ids::Fingerprint;
use varsel::domain::outcome::Effect;
use varsel::domain::time::MINUTE_MS;
use varsel::engine::prepared::Prepared;
use varsel::engine::{Engine, Outcome};
use varsel::geo::Geo;
use varsel::replay::worker::{Item, Position, Work};
use varsel::rulebook;

/// Events of a batch, as replay deals them out.
pub const DEAL: usize = 4_096;
/// Events that are looked up together, as replay does by default.
pub const WARM: usize = 64;

/// The starter rule book, ready.
pub fn starter() -> Arc<Prepared> {
    let loaded = rulebook::embedded().unwrap_or_else(|problems| panic!("{problems}"));
    Arc::new(Prepared::new(loaded.book))
}

/// The GeoIP table built in.
pub fn geo() -> Geo {
    Geo::embedded().unwrap_or_else(|error| panic!("{error}"))
}

/// A stream of batches.
pub struct Feed {
    population: Population,
    decoder: Decoder,
    geo: Geo,
    minute: Option<i64>,
    line: Vec<u8>,
    /// Records refused so far (a UUID now and then looks like a card number).
    pub rejects: u64,
    /// Event time so far.
    pub at_ms: i64,
}

impl Feed {
    pub fn new(cards: u32, seed: u64) -> Self {
        Self {
            population: Population::new(cards, seed, true),
            decoder: Decoder::default(),
            geo: geo(),
            minute: None,
            line: Vec::new(),
            rejects: 0,
            at_ms: 0,
        }
    }

    /// Fills a batch with the next `events` events and the ticks between them; items are used again.
    pub fn fill(&mut self, batch: &mut Vec<Item>, events: usize) {
        let mut spare: Vec<Item> = std::mem::take(batch);
        let mut left = events;
        while left > 0 {
            self.line.clear();
            self.at_ms = self.population.line(&mut self.line);
            let mut item = loop {
                match spare.pop() {
                    Some(item) if matches!(item.work, Work::Tick(_)) => {}
                    Some(item) => break item,
                    None => {
                        let work = Work::Event(Default::default(), Position::default());
                        break Item { seq: 0, work };
                    }
                }
            };
            let Work::Event(event, _) = &mut item.work else {
                continue;
            };
            let record = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
            if self.decoder.decode(record, event).is_err() {
                self.rejects += 1;
                spare.push(item);
                continue;
            }
            debug_assert_ne!(event.cardholder_fp, Fingerprint::default());
            if let Some(ip) = event.ip {
                event.place = self.geo.lookup(ip);
            }
            let minute = self.at_ms.div_euclid(MINUTE_MS);
            if self.minute.is_some_and(|known| known < minute) {
                batch.push(Item {
                    seq: 0,
                    work: Work::Tick(minute * MINUTE_MS),
                });
            }
            self.minute = Some(minute);
            batch.push(item);
            left -= 1;
        }
    }
}

/// What came of batches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub events: u64,
    pub ticks: u64,
    pub decisions: u64,
    pub hits: u64,
    pub with_hit: u64,
    pub effects: u64,
    pub not_allowed: u64,
}

/// Applies a batch as the replay worker does, without writing lines.
pub fn apply(
    engine: &mut Engine,
    batch: &[Item],
    outcome: &mut Outcome,
    effects: &mut Vec<Effect>,
    tally: &mut Tally,
) {
    for chunk in batch.chunks(WARM) {
        let events = chunk.iter().filter_map(|item| match &item.work {
            Work::Event(event, _) => Some(&**event),
            Work::Tick(_) | Work::Control(_) => None,
        });
        std::hint::black_box(engine.warm(events));
        for item in chunk {
            match &item.work {
                // A bench has one rule book.
                Work::Control(_) => {}
                Work::Tick(at_ms) => {
                    engine.tick(*at_ms, effects);
                    tally.ticks += 1;
                    tally.effects += counted(effects);
                    effects.clear();
                }
                Work::Event(event, _) => {
                    engine.apply(event, outcome);
                    tally.events += 1;
                    tally.effects += counted(&outcome.effects);
                    tally.hits += counted(&outcome.hits);
                    tally.with_hit += u64::from(!outcome.hits.is_empty());
                    if let Some(decision) = &outcome.decision {
                        tally.decisions += 1;
                        tally.not_allowed +=
                            u64::from(decision.action != varsel::domain::codes::Advice::Allow);
                    }
                }
            }
        }
    }
}

fn counted<T>(things: &[T]) -> u64 {
    u64::try_from(things.len()).unwrap_or(0)
}
