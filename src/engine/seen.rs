//! Ids seen of a cardholder: a repeat within 72 hours of event time is a duplicate.
//!
//! Eight bytes an id: 45 bits of its fingerprint and the cardholder's clock when it came, in
//! seconds modulo 2^19 (145 hours, more than twice the horizon, so that ages are unambiguous as
//! long as a cardholder's list is pruned at each of their events). With forty ids at hand, two
//! different ids pass for one another once in 10^12 events.

use crate::engine::record::{Record, SEEN_WORDS, Section, seconds};

/// The horizon, in seconds (EVENTS.md: 72 h; the border is good to a second).
pub const HORIZON_S: u32 = 72 * 3_600;
/// The most ids kept of one cardholder; beyond it the oldest gives way and is counted.
pub const MAX_SEEN: usize = 4_096;
const CYCLE_S: u32 = 1 << 19;

/// Whether this id was seen of this cardholder within the horizon before `clock_ms`.
pub fn contains(record: &Record, id: u64, clock_ms: i64) -> bool {
    if idle(record, clock_ms) {
        return false;
    }
    let now = seconds(clock_ms);
    let [low, high] = entry(id, 0);
    let words = record.section(Section::Seen);
    // A look at every word without a branch; nearly always none has these bits.
    if !words.iter().fold(false, |hit, word| hit | (*word == low)) {
        return false;
    }
    let (entries, _) = words.as_chunks::<SEEN_WORDS>();
    entries
        .iter()
        .any(|[l, h]| *l == low && h >> 19 == high >> 19 && age(*h, now) <= HORIZON_S)
}

/// Notes an id; prunes what is beyond the horizon. Returns whether one had to give way.
pub fn note(record: &mut Record, id: u64, clock_ms: i64) -> bool {
    let old = beyond(record, clock_ms);
    let count = usize::from(record.counts().seen);
    let full = old == 0 && count >= MAX_SEEN;
    let fresh = entry(id, seconds(clock_ms));
    let gone = if full { 1 } else { old };
    if gone == 0 {
        record.insert(Section::Seen, count, fresh);
        return false;
    }
    // The section keeps its length where one goes and one comes: nothing behind it moves.
    let (entries, _) = record.section_mut(Section::Seen).as_chunks_mut();
    entries.copy_within(gone.., 0);
    if let Some(place) = entries.get_mut(count - gone) {
        *place = fresh;
    }
    record.remove::<SEEN_WORDS>(Section::Seen, count + 1 - gone, gone - 1);
    full
}

/// How an id is noted where nothing must give way: how many of the oldest go, and the entry that
/// comes; nothing where the list is full.
#[inline]
pub fn renewal(record: &Record, id: u64, clock_ms: i64) -> Option<(usize, [u32; SEEN_WORDS])> {
    let old = beyond(record, clock_ms);
    let full = old == 0 && usize::from(record.counts().seen) >= MAX_SEEN;
    (!full).then(|| (old, entry(id, seconds(clock_ms))))
}

/// Forgets ids beyond the horizon at `clock_ms`. Must be called before the record's clock moves.
pub fn prune(record: &mut Record, clock_ms: i64) {
    let old = beyond(record, clock_ms);
    record.remove::<SEEN_WORDS>(Section::Seen, 0, old);
}

/// How many ids are beyond the horizon at `clock_ms`: they lie in order of arrival, so the clock of
/// the entries never falls.
fn beyond(record: &Record, clock_ms: i64) -> usize {
    if idle(record, clock_ms) {
        return usize::from(record.counts().seen);
    }
    let now = seconds(clock_ms);
    let (entries, _) = record.section(Section::Seen).as_chunks::<SEEN_WORDS>();
    entries
        .iter()
        .take_while(|[_, high]| age(*high, now) > HORIZON_S)
        .count()
}

/// Whether all that the record remembers is beyond the horizon (and ages could be ambiguous).
fn idle(record: &Record, clock_ms: i64) -> bool {
    clock_ms - record.clock_ms > i64::from(HORIZON_S) * 1_000
}

fn entry(id: u64, clock_s: u32) -> [u32; SEEN_WORDS] {
    let [low, high] = crate::engine::record::split(id);
    [low, (high << 19) | (clock_s % CYCLE_S)]
}

fn age(high: u32, now_s: u32) -> u32 {
    now_s.wrapping_sub(high) % CYCLE_S
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: i64 = 3_600_000;

    #[test]
    fn a_repeat_within_72_hours_is_seen_and_after_it_is_not() {
        let mut record = Record::new(1, 0);
        note(&mut record, 77, 0);
        assert!(contains(&record, 77, 72 * H));
        assert!(!contains(&record, 77, 72 * H + 1_000));
        assert!(!contains(&record, 78, 0));
    }

    #[test]
    fn ages_are_unambiguous_however_long_the_cardholder_was_idle() {
        let mut record = Record::new(1, 0);
        note(&mut record, 77, 0);
        for cycles in 1..5 {
            assert!(!contains(
                &record,
                77,
                cycles * i64::from(CYCLE_S) * 1_000 + 5_000
            ));
        }
        // Kept alive by other events, the entry goes when its time has come.
        for step in 1..30 {
            let at = step * 6 * H;
            assert_eq!(contains(&record, 77, at), at <= 72 * H, "{at}");
            note(&mut record, 1_000 + u64::try_from(step).unwrap(), at);
            record.clock_ms = at;
        }
    }
}
