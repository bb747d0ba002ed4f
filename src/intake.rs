//! Intake: what must be known of an event before it goes to its cardholder's shard.
//!
//! It resolves a card to its cardholder (the last `card` or `enrolment` event that bound them, in
//! the order of the log; failing that the card stands for its holder) and looks up where the
//! event's address lies. It also says when the minute's tick is due. It judges nothing.

use crate::domain::event::{Body, Event};
use crate::domain::ids::Fingerprint;
use crate::domain::time::MINUTE_MS;
use crate::geo::Geo;
use hashbrown::HashMap;

/// Card → cardholder, and merged event time.
#[derive(Debug)]
pub struct Intake {
    geo: Geo,
    bindings: HashMap<Fingerprint, Box<str>>,
    minute: Option<i64>,
    /// Bindings made and not yet taken by whoever keeps them; nothing where nobody does.
    journal: Option<Vec<(Fingerprint, Box<str>)>>,
}

impl Intake {
    /// An intake that has seen nothing yet.
    pub fn new(geo: Geo) -> Self {
        Self {
            geo,
            bindings: HashMap::new(),
            minute: None,
            journal: None,
        }
    }

    /// From now on bindings are noted until they are taken by [`Intake::take_journal`].
    pub fn keep_journal(&mut self) {
        self.journal.get_or_insert_default();
    }

    /// The bindings made since the last time, in order.
    pub fn take_journal(&mut self) -> Vec<(Fingerprint, Box<str>)> {
        self.journal
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Takes up a binding made elsewhere.
    pub fn adopt(&mut self, card: Fingerprint, cardholder: &str) {
        self.bindings.insert(card, Box::from(cardholder));
    }

    /// A tick of an earlier life: merged event time has reached this moment.
    pub fn ticked(&mut self, at_ms: i64) {
        self.minute = self.minute.max(Some(at_ms.div_euclid(MINUTE_MS)));
    }

    /// Whether a card is bound to a cardholder.
    pub fn is_bound(&self, card: Fingerprint) -> bool {
        self.bindings.contains_key(&card)
    }

    /// How many cards are bound to a cardholder.
    pub fn bound(&self) -> usize {
        self.bindings.len()
    }

    /// The moment of the tick that is due before an event at `at_ms`: its whole minute, where
    /// merged event time enters it for the first time (a gap gives one tick, at its end).
    pub fn tick_before(&mut self, at_ms: i64) -> Option<i64> {
        let minute = at_ms.div_euclid(MINUTE_MS);
        let first = self.minute.is_none();
        if self.minute.is_some_and(|known| minute <= known) {
            return None;
        }
        self.minute = Some(minute);
        (!first).then_some(minute * MINUTE_MS)
    }

    /// Completes an event: its cardholder and the place of its address. Binds first, where the
    /// event is one that binds.
    pub fn complete(&mut self, event: &mut Event) {
        self.bind(event);
        self.resolve(event);
    }

    /// Completes an event that binds nothing, a question for example.
    pub fn resolve(&self, event: &mut Event) {
        if event.cardholder.is_empty() {
            match self.bindings.get(&event.card_fp) {
                Some(cardholder) => {
                    if let Some(span) = event.push_text(cardholder) {
                        event.cardholder = span;
                        event.cardholder_fp = Fingerprint::of(cardholder);
                    }
                }
                None => {
                    event.cardholder = event.card;
                    event.cardholder_fp = Fingerprint::of_card_as_holder(event.card());
                }
            }
        }
        if let Some(ip) = event.ip {
            event.place = self.geo.lookup(ip);
        }
    }

    fn bind(&mut self, event: &Event) {
        let binds = matches!(event.body, Body::Card(_) | Body::Enrolment(_));
        if !binds || event.card.is_empty() || event.cardholder.is_empty() {
            return;
        }
        let cardholder = event.cardholder();
        self.put(event.card_fp, cardholder);
        if let Body::Card(change) = &event.body {
            for alias in &change.aliases {
                self.put(Fingerprint::of(event.str(*alias)), cardholder);
            }
        }
    }

    fn put(&mut self, card: Fingerprint, cardholder: &str) {
        if self
            .bindings
            .get(&card)
            .is_none_or(|known| **known != *cardholder)
        {
            self.bindings.insert(card, Box::from(cardholder));
            if let Some(journal) = &mut self.journal {
                journal.push((card, Box::from(cardholder)));
            }
        }
    }

    /// What a checkpoint keeps: the minute in hand, and the bindings in order of card.
    pub fn state(&self) -> (Option<i64>, Vec<(u64, &str)>) {
        let mut bindings: Vec<(u64, &str)> = self
            .bindings
            .iter()
            .map(|(card, cardholder)| (card.0, &**cardholder))
            .collect();
        bindings.sort_unstable();
        (self.minute, bindings)
    }

    /// Takes up a checkpoint's state.
    pub fn resume(&mut self, minute: Option<i64>, bindings: impl Iterator<Item = (u64, Box<str>)>) {
        self.minute = minute;
        self.bindings = bindings
            .map(|(card, cardholder)| (Fingerprint(card), cardholder))
            .collect();
    }

    /// Bytes of the table of bindings, texts included.
    pub fn bytes(&self) -> usize {
        let texts: usize = self
            .bindings
            .values()
            .map(|name| name.len().next_multiple_of(16) + 16)
            .sum();
        self.bindings.allocation_size() + texts
    }
}
