//! The exact history and what long spans count, both by going through all events again.
//!
//! Bounds as documented in `engine/past.rs`: 24 newest, a day; a further one pushes out the oldest
//! of the most numerous type, declined payments apart, ties going to the lower type. In `engine/cells.rs`: sixty buckets a
//! span, 64 distinct values.

use super::{Lived, seconds};
use varsel::domain::codes::{AuthorizationKind, EventType, ResponseGroup};
use varsel::domain::event::Body;

const DAY_S: i64 = 86_400;

/// An entry of the exact history: which event, and what reversals left of it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub index: usize,
    pub at_s: i64,
    pub amount: i64,
    pub reversed: bool,
}

/// What a reversal or refund took from an event's long counts.
#[derive(Clone, Copy, Debug)]
pub struct Undone {
    pub index: usize,
    pub amount: i64,
    pub whole: bool,
}

/// The exact history (oldest first) and all undoings, after these events.
pub fn recall(lives: &[Lived]) -> (Vec<Entry>, Vec<Undone>) {
    let mut kept: Vec<Entry> = Vec::new();
    let mut undone = Vec::new();
    for (index, lived) in lives.iter().enumerate() {
        let clock_s = seconds(lived.clock_ms);
        kept.retain(|entry| clock_s - entry.at_s < DAY_S);
        if let Body::Authorization(payment) = &lived.event.body
            && payment.is_undoing()
        {
            undone.extend(undo(lives, &mut kept, lived));
            continue;
        }
        let at_s = seconds(lived.event.at.ms);
        if !lived.is_kept() || clock_s - at_s >= DAY_S {
            continue;
        }
        if kept.len() == 24 {
            // The types in their order, then payments that were not approved.
            let crowd_of = |entry: &Entry| {
                let lived = &lives[entry.index];
                let kind = lived.event.kind();
                let declined =
                    kind == EventType::Authorization && lived.response != ResponseGroup::Approved;
                if declined {
                    usize::MAX
                } else {
                    usize::from(kind.code())
                }
            };
            let size = |crowd: usize| kept.iter().filter(|e| crowd_of(e) == crowd).count();
            let most = kept.iter().map(|e| size(crowd_of(e))).max().unwrap();
            let crowds = kept.iter().map(crowd_of);
            let crowd = crowds.filter(|crowd| size(*crowd) == most).min().unwrap();
            let oldest = kept.iter().position(|e| crowd_of(e) == crowd).unwrap();
            kept.remove(oldest);
        }
        let place = kept.iter().filter(|entry| entry.at_s <= at_s).count();
        let entry = Entry {
            index,
            at_s,
            amount: lived.amount,
            reversed: false,
        };
        kept.insert(place, entry);
    }
    (kept, undone)
}

fn undo(lives: &[Lived], kept: &mut [Entry], lived: &Lived) -> Option<Undone> {
    let Body::Authorization(payment) = &lived.event.body else {
        return None;
    };
    let entry = kept.iter_mut().rev().find(|entry| {
        let event = &lives[entry.index].event;
        event.kind() == EventType::Authorization && event.id_fp == payment.original_fp
    })?;
    let taken = lived.amount;
    let whole =
        payment.kind == AuthorizationKind::Reversal && (taken >= entry.amount || taken == 0);
    let undone = Undone {
        index: entry.index,
        amount: if whole {
            entry.amount
        } else {
            taken.min(entry.amount)
        },
        whole,
    };
    let was_reversed = entry.reversed;
    if whole {
        entry.reversed = true;
    } else {
        entry.amount -= undone.amount;
    }
    (!was_reversed).then_some(undone)
}

/// What the long counts hold of one event.
#[derive(Clone, Copy)]
pub struct Fed {
    pub index: usize,
    pub bucket: i64,
    pub amount: i64,
    /// What is left of its count: 0 where it was reversed whole.
    pub one: i64,
    /// What is left of its amount.
    pub left: i64,
}

/// Everything that was fed to a long span, by bucket of `width_s`; what came behind the span was
/// not.
pub fn fed(lives: &[Lived], undone: &[Undone], width_s: i64) -> Vec<Fed> {
    lives
        .iter()
        .enumerate()
        .filter(|(_, lived)| lived.is_kept())
        .filter_map(|(index, lived)| {
            let bucket = seconds(lived.event.at.ms) / width_s;
            if seconds(lived.clock_ms) / width_s - bucket >= 60 {
                return None;
            }
            let taken = || undone.iter().filter(|u| u.index == index);
            Some(Fed {
                index,
                bucket,
                amount: lived.amount,
                one: i64::from(!taken().any(|u| u.whole)),
                left: lived.amount - taken().map(|u| u.amount).sum::<i64>(),
            })
        })
        .collect()
}

/// The different values that a long span holds when its newest bucket is `now`: at most 64, of
/// which the one seen longest ago gives way.
pub fn distinct(values: impl Iterator<Item = (i64, u32, i64)>, now: i64) -> usize {
    let mut known: Vec<(u32, i64)> = Vec::new();
    for (bucket, value, then) in values {
        known.retain(|(_, seen)| then - seen < 60);
        if let Some(entry) = known.iter_mut().find(|(known, _)| *known == value) {
            entry.1 = entry.1.max(bucket);
            continue;
        }
        if known.len() == 64 {
            let oldest = known.iter().map(|(_, seen)| *seen).min().unwrap();
            let place = known.iter().position(|(_, seen)| *seen == oldest).unwrap();
            known.remove(place);
        }
        known.push((value, bucket));
    }
    known.iter().filter(|(_, seen)| now - seen < 60).count()
}
