//! The exact history: a cardholder's newest events, compact, for spans up to a day.
//!
//! At most [`MAX_PAST`] entries, none older than a day before the cardholder's clock. Where a
//! further one would not fit, the oldest of the most numerous kind gives way (types, with declined
//! payments apart), so that a busy shopper's groceries do not push out the declines.

use crate::domain::codes::{EventType, ResponseGroup};
use crate::engine::book::EXACT_SPAN_MS;
use crate::engine::class::{Class, ClassField};
use crate::engine::record::{PAST_WORDS, Record, Section, join, split};

/// The most events kept exactly (DESIGN.md allows 32; 24 keep a busy cardholder near a kilobyte).
pub const MAX_PAST: usize = 24;
/// The span kept, in seconds.
const KEPT_S: u32 = 86_400;
const _: () = assert!(EXACT_SPAN_MS == 86_400_000);

/// One event of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Event time in whole seconds.
    pub at_s: u32,
    /// Amount in minor units of the base currency, at most `u32::MAX` (42.9 million); 0 without one.
    pub amount: u32,
    /// Its categorical facts, the outcome included.
    pub class: Class,
    /// Fingerprint of the merchant, or of the network of an eID step; 0 without one.
    pub key: u32,
    /// Low 32 bits of the fingerprint of its id.
    pub id: u32,
}

impl Past {
    fn read(words: &[u32; PAST_WORDS]) -> Self {
        let [at_s, amount, low, high, key, id] = *words;
        Self {
            at_s,
            amount,
            class: Class(join(low, high)),
            key,
            id,
        }
    }

    fn words(self) -> [u32; PAST_WORDS] {
        let [low, high] = split(self.class.0);
        [self.at_s, self.amount, low, high, self.key, self.id]
    }
}

/// The events of history, oldest first.
pub fn entries(record: &Record) -> impl DoubleEndedIterator<Item = Past> + '_ {
    record
        .section(Section::Past)
        .as_chunks::<PAST_WORDS>()
        .0
        .iter()
        .map(Past::read)
}

/// The events within a span before `clock_s`: those less than `span_s` seconds old, newest first.
pub fn within(record: &Record, clock_s: u32, span_s: u32) -> impl Iterator<Item = Past> + '_ {
    entries(record)
        .rev()
        .take_while(move |past| clock_s.saturating_sub(past.at_s) < span_s)
}

/// Forgets what is a day old or older at `clock_s`.
pub fn prune(record: &mut Record, clock_s: u32) {
    let old = entries(record)
        .take_while(|past| clock_s.saturating_sub(past.at_s) >= KEPT_S)
        .count();
    record.remove::<PAST_WORDS>(Section::Past, 0, old);
}

/// Adds an event at its own time, after those of the same second; one older than a day at
/// `clock_s` is not kept. Returns whether an entry had to give way.
pub fn insert(record: &mut Record, past: Past, clock_s: u32) -> bool {
    prune(record, clock_s);
    if clock_s.saturating_sub(past.at_s) >= KEPT_S {
        return false;
    }
    let full = usize::from(record.counts().past) >= MAX_PAST;
    if full {
        drop_one(record);
    }
    let later = entries(record)
        .rev()
        .take_while(|known| known.at_s > past.at_s)
        .count();
    let index = usize::from(record.counts().past) - later;
    record.insert(Section::Past, index, past.words());
    full
}

/// How an event is added where it is the newest and nothing must give way: how many of the oldest
/// go, and the entry that comes; nothing where [`insert`] has more to do.
#[inline]
pub fn renewal(record: &Record, past: Past, clock_s: u32) -> Option<(usize, [u32; PAST_WORDS])> {
    let (entries, _) = record.section(Section::Past).as_chunks::<PAST_WORDS>();
    let is_old = |at_s: u32| clock_s.saturating_sub(at_s) >= KEPT_S;
    let old = entries
        .iter()
        .take_while(|[at_s, ..]| is_old(*at_s))
        .count();
    let is_newest = entries.last().is_none_or(|[at_s, ..]| *at_s <= past.at_s);
    (is_newest && !is_old(past.at_s) && entries.len() - old < MAX_PAST).then(|| (old, past.words()))
}

/// Changes the entry of an authorization by its id, where it is still kept; returns it as it was.
pub fn change(
    record: &mut Record,
    id: u32,
    type_code: u8,
    change: impl Fn(&mut Past),
) -> Option<Past> {
    let (entries, _) = record
        .section_mut(Section::Past)
        .as_chunks_mut::<PAST_WORDS>();
    let words = entries.iter_mut().rev().find(|words| {
        let past = Past::read(words);
        past.id == id && past.class.type_code() == type_code
    })?;
    let before = Past::read(words);
    let mut after = before;
    change(&mut after);
    *words = after.words();
    Some(before)
}

/// Gives every event of history another class; for restored records whose rule book has changed.
pub fn reclass(record: &mut Record, reclass: impl Fn(Class) -> Class) {
    record.retain::<PAST_WORDS>(Section::Past, |words| {
        let past = Past::read(words);
        let class = reclass(past.class);
        *words = Past { class, ..past }.words();
        true
    });
}

/// The group of an event when room is made: its type, payments that were not approved apart, so
/// that a busy shopper's groceries do not push out the declines.
fn group(class: Class) -> usize {
    let code = class.type_code();
    let declined = code == EventType::Authorization.code()
        && class.get(ClassField::Response) != ResponseGroup::Approved.code();
    if declined {
        DECLINED
    } else {
        usize::from(code)
    }
}

/// The group of payments that were not approved: behind all types.
const DECLINED: usize = 15;

/// Drops the oldest of the most numerous group; ties go to the lower type code, declines last.
fn drop_one(record: &mut Record) {
    let mut counts = [0_u8; 16];
    for past in entries(record) {
        if let Some(count) = counts.get_mut(group(past.class)) {
            *count += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    let most_of = counts.iter().position(|count| *count == most).unwrap_or(0);
    let oldest = entries(record)
        .position(|past| group(past.class) == most_of)
        .unwrap_or(0);
    record.remove::<PAST_WORDS>(Section::Past, oldest, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(at_s: u32, kind: u8, id: u32) -> Past {
        Past {
            at_s,
            amount: 1,
            class: Class::default().with(ClassField::Type, kind),
            key: 0,
            id,
        }
    }

    #[test]
    fn groceries_do_not_push_out_the_declines() {
        let payment = |at_s, response: ResponseGroup, id| {
            let mut past = past(at_s, EventType::Authorization.code(), id);
            past.class = past.class.with(ClassField::Response, response.code());
            past
        };
        let mut record = Record::new(1, 0);
        for id in [1, 2] {
            let declined = payment(1_000_000, ResponseGroup::Insufficient, id);
            insert(&mut record, declined, 1_000_000);
        }
        for i in 0..100 {
            let grocery = payment(1_000_001 + i, ResponseGroup::Approved, 100 + i);
            insert(&mut record, grocery, 1_000_001 + i);
        }
        let ids: Vec<u32> = entries(&record).map(|p| p.id).collect();
        assert_eq!(ids.len(), MAX_PAST);
        assert_eq!(ids[..2], [1, 2]);
        assert_eq!(ids.last(), Some(&199));
    }

    #[test]
    fn a_late_event_stands_at_its_own_time() {
        let mut record = Record::new(1, 0);
        for (at, id) in [(1_000, 1), (3_000, 2), (2_000, 3), (2_000, 4)] {
            insert(&mut record, past(at, 1, id), 3_000);
        }
        assert_eq!(
            entries(&record).map(|p| p.id).collect::<Vec<_>>(),
            [1, 3, 4, 2]
        );
        assert_eq!(
            within(&record, 3_000, 1_001)
                .map(|p| p.id)
                .collect::<Vec<_>>(),
            [2, 4, 3]
        );
        insert(&mut record, past(2_000 + 86_400, 1, 5), 2_000 + 86_400);
        assert_eq!(entries(&record).map(|p| p.id).collect::<Vec<_>>(), [2, 5]);
    }
}
