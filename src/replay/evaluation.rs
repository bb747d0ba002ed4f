//! How well the monitor did, where the record carries labels: confusion, lead times, money.
//!
//! Positive is an authorization that we would not have allowed, or one with an alert of its
//! cardholder at or before it (EVENTS.md, report). Labels are dispositions; the last one counts,
//! `undetermined` is none.

use crate::domain::codes::Verdict;
use crate::domain::ids::Fingerprint;
use crate::domain::outcome::Effect;
use crate::replay::worker::Note;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most authorizations kept for evaluation, 56 bytes each; further ones are counted and left
/// out, and the report says so.
pub const MAX_KEPT: usize = 50_000_000;

/// An authorization, as the evaluation keeps it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Kept {
    seq: u64,
    id: u64,
    cardholder: u64,
    at_ms: i64,
    amount_minor: i64,
    currency: u32,
    approved: bool,
    allowed: bool,
}

/// Hits and misses of a yes-or-no judgement against labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// Fraud, and we said so.
    pub true_positive: u64,
    /// Good, and we spoke.
    pub false_positive: u64,
    /// Fraud, and we were silent.
    pub false_negative: u64,
    /// Good, and we were silent.
    pub true_negative: u64,
}

impl Confusion {
    fn count(&mut self, fraud: bool, positive: bool) {
        match (fraud, positive) {
            (true, true) => self.true_positive += 1,
            (false, true) => self.false_positive += 1,
            (true, false) => self.false_negative += 1,
            (false, false) => self.true_negative += 1,
        }
    }
}

/// One fraud case in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Case {
    /// The cardholder's key; its fingerprint in hex where no alert or hold named it.
    pub cardholder: String,
    /// ISO 4217.
    pub currency: String,
    /// Seconds from the first alert or hold to the first later approved fraud; null where there
    /// was no warning, or no approved fraud after it.
    pub lead_time_s: Option<i64>,
    /// Fraud approved in the record that we would not have allowed, in minor units.
    pub prevented_minor: i64,
    /// Fraud approved in the record that we would have allowed too.
    pub lost_minor: i64,
}

/// What the labels say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    /// By authorization.
    pub authorization: Confusion,
    /// By cardholder.
    pub cardholder: Confusion,
    /// Authorizations that did not fit the evaluation's bound.
    pub left_out: u64,
    /// Fraud cases, in order of cardholder and currency.
    #[serde(skip)]
    pub cases: Vec<Case>,
}

/// A warning: when the first alert, and the first alert or hold, of a cardholder came.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Warned {
    name: String,
    alert_seq: Option<u64>,
    first_seq: u64,
    first_ms: i64,
}

/// What is gathered during a replay; it is written into its checkpoint.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    kept: Vec<Kept>,
    left_out: u64,
    labels: BTreeMap<u64, String>,
    alert_labels: BTreeMap<u64, String>,
    warned: BTreeMap<u64, Warned>,
    alert_events: BTreeMap<u64, Vec<u64>>,
}

impl Ledger {
    /// Takes in what a worker noted.
    pub fn note(&mut self, seq: u64, note: &Note) {
        match *note {
            Note::Authorization {
                id,
                cardholder,
                at_ms,
                amount_minor,
                currency,
                approved,
                allowed,
            } => {
                if self.kept.len() >= MAX_KEPT {
                    self.left_out += 1;
                    return;
                }
                let (id, cardholder) = (id.0, cardholder.0);
                self.kept.push(Kept {
                    seq,
                    id,
                    cardholder,
                    at_ms,
                    amount_minor,
                    currency,
                    approved,
                    allowed,
                });
            }
            Note::Label {
                subject,
                of_alert,
                verdict,
            } => {
                let labels = if of_alert {
                    &mut self.alert_labels
                } else {
                    &mut self.labels
                };
                labels.insert(subject.0, verdict.word().to_owned());
            }
        }
    }

    /// Takes in an effect.
    pub fn effect(&mut self, seq: u64, effect: &Effect) {
        let (cardholder, at_ms) = match effect {
            Effect::Alert(alert) => (&alert.cardholder, alert.at_ms),
            Effect::Hold(hold) => (&hold.cardholder, hold.at_ms),
        };
        let key = Fingerprint::of(cardholder).0;
        let warned = self.warned.entry(key).or_insert_with(|| Warned {
            name: cardholder.clone(),
            alert_seq: None,
            first_seq: seq,
            first_ms: at_ms,
        });
        if let Effect::Alert(alert) = effect {
            warned.alert_seq = warned.alert_seq.or(Some(seq));
            let events = alert
                .events
                .iter()
                .map(|id| Fingerprint::of(id).0)
                .collect();
            self.alert_events
                .insert(Fingerprint::of(&alert.id.to_string()).0, events);
        }
    }

    /// What the labels say; nothing where there are none.
    pub fn evaluate(&self) -> Option<Evaluation> {
        let labels = self.all_labels();
        if labels.is_empty() {
            return None;
        }
        let mut kept: Vec<&Kept> = self.kept.iter().collect();
        kept.sort_unstable_by_key(|k| k.seq);
        let mut by_authorization = Confusion::default();
        // For each cardholder: labelled fraud, labelled at all, positive.
        let mut holders: BTreeMap<u64, (bool, bool, bool)> = BTreeMap::new();
        let mut cases: BTreeMap<(u64, u32), Case> = BTreeMap::new();
        for k in kept {
            let positive = !k.allowed || self.alerted(k);
            let holder = holders.entry(k.cardholder).or_default();
            holder.2 |= positive;
            let Some(fraud) = labels.get(&k.id).copied() else {
                continue;
            };
            by_authorization.count(fraud, positive);
            holder.0 |= fraud;
            holder.1 = true;
            if fraud {
                self.count_case(k, &mut cases);
            }
        }
        let mut by_cardholder = Confusion::default();
        for (fraud, labelled, positive) in holders.into_values() {
            if labelled {
                by_cardholder.count(fraud, positive);
            }
        }
        Some(Evaluation {
            authorization: by_authorization,
            cardholder: by_cardholder,
            left_out: self.left_out,
            cases: cases.into_values().collect(),
        })
    }

    fn alerted(&self, k: &Kept) -> bool {
        self.warned
            .get(&k.cardholder)
            .and_then(|w| w.alert_seq)
            .is_some_and(|seq| seq <= k.seq)
    }

    fn count_case(&self, k: &Kept, cases: &mut BTreeMap<(u64, u32), Case>) {
        let warned = self.warned.get(&k.cardholder);
        let case = cases
            .entry((k.cardholder, k.currency))
            .or_insert_with(|| Case {
                cardholder: warned
                    .map_or_else(|| format!("#{:016x}", k.cardholder), |w| w.name.clone()),
                currency: letters(k.currency),
                lead_time_s: None,
                prevented_minor: 0,
                lost_minor: 0,
            });
        if !k.approved {
            return;
        }
        if k.allowed {
            case.lost_minor += k.amount_minor;
        } else {
            case.prevented_minor += k.amount_minor;
        }
        if case.lead_time_s.is_none() {
            case.lead_time_s = warned
                .filter(|w| w.first_seq < k.seq)
                .map(|w| (k.at_ms - w.first_ms) / 1_000);
        }
    }

    /// Event fingerprint → fraud or not. What is said of an alert is said of its events, unless
    /// they have a label of their own.
    fn all_labels(&self) -> HashMap<u64, bool> {
        let verdict = |word: &str| match Verdict::parse(word) {
            Some(Verdict::Fraud) => Some(true),
            Some(Verdict::Good) => Some(false),
            Some(Verdict::Undetermined) | None => None,
        };
        let mut labels = HashMap::new();
        for (alert, word) in &self.alert_labels {
            let Some(fraud) = verdict(word) else { continue };
            for event in self.alert_events.get(alert).into_iter().flatten() {
                labels.insert(*event, fraud);
            }
        }
        for (event, word) in &self.labels {
            match verdict(word) {
                Some(fraud) => labels.insert(*event, fraud),
                None => labels.remove(event),
            };
        }
        labels
    }
}

fn letters(currency: u32) -> String {
    if currency == 0 {
        return "XXX".to_owned();
    }
    let [_, a, b, c] = currency.to_be_bytes();
    String::from_utf8_lossy(&[a, b, c]).into_owned()
}
