//! Aggregates over a cardholder's history: read for the event in hand, fed when it is absorbed.
//!
//! Spans up to a day are read off the exact history; longer ones off bucketed counters. Which, and
//! with what slack, is said at [`Aggregate::is_exact`] and [`Aggregate::bucket_s`]. The event in
//! hand is never part of its own history.

use crate::domain::codes::EventType;
use crate::engine::book::{Aggregate, Filter, Of, Op};
use crate::engine::cells::{self, Cell};
use crate::engine::class::{Class, ClassField};
use crate::engine::features::View;
use crate::engine::past::{self, Past};
use crate::engine::prepared::Prepared;
use crate::engine::record::{Record, seconds};

/// The most distinct values that are told apart over the exact history.
const MAX_TOLD_APART: usize = past::MAX_PAST;

/// The counter of an aggregate's lane: 0 its value, 1 the count of a mean or the base of a rate.
fn counter(index: usize, lane: u32) -> u32 {
    u32::try_from(index).unwrap_or(0) * 2 + lane
}

/// An aggregate's value for the event in hand; nothing where it is unknown. A rate is the bits of
/// a double.
pub fn value(view: &View<'_>, index: usize, aggregate: &Aggregate) -> Option<i64> {
    if aggregate.is_exact() {
        exact(view, aggregate)
    } else {
        bucketed(view, index, aggregate)
    }
}

fn exact(view: &View<'_>, aggregate: &Aggregate) -> Option<i64> {
    let merchant = if aggregate.same_merchant {
        Some(view.purchase?.merchant)
    } else {
        None
    };
    let clock_s = seconds(view.clock_ms);
    let span_s = seconds(aggregate.span_ms);
    let in_span = || {
        past::within(view.record, clock_s, span_s)
            .filter(move |p| merchant.is_none_or(|m| p.key == m))
    };
    let passing = || in_span().filter(|p| aggregate.filter.passes(p.class));
    let amounts = || passing().map(|p| i64::from(p.amount));
    match aggregate.op {
        Op::Count => Some(length(passing().count())),
        Op::Sum => Some(amounts().sum()),
        Op::Max => Some(amounts().max().unwrap_or(0)),
        Op::Min => amounts().min(),
        Op::Avg => mean(amounts().sum(), length(passing().count())),
        Op::Last => passing().next().map(|p| age_ms(view.clock_ms, p.at_s)),
        Op::Distinct => Some(distinct(passing().map(|p| facet(aggregate.of, &p)))),
        Op::Rate => {
            let base = aggregate.base.as_ref()?;
            let of = in_span().filter(|p| base.passes(p.class)).count();
            let hits = passing().filter(|p| base.passes(p.class)).count();
            rate(length(hits), length(of))
        }
    }
}

fn bucketed(view: &View<'_>, index: usize, aggregate: &Aggregate) -> Option<i64> {
    let now = bucket(aggregate, seconds(view.clock_ms));
    let lane = |lane| cells::live(view.record, counter(index, lane), now).map(|cell| cell.value);
    match aggregate.op {
        Op::Count | Op::Sum => Some(lane(0).sum()),
        Op::Max => Some(lane(0).max().unwrap_or(0)),
        Op::Min => lane(0).min(),
        Op::Avg => mean(lane(0).sum(), lane(1).sum()),
        Op::Distinct => Some(length(lane(0).count())),
        Op::Rate => rate(lane(0).sum(), lane(1).sum()),
        Op::Last => cells::single(view.record, counter(index, 0))
            .map(|at_s| (view.clock_ms - at_s * 1_000).max(0))
            .filter(|age| *age < aggregate.span_ms),
    }
}

/// What an aggregate is of, as a number to tell apart; 0 where the event has none. An eID step's
/// key is its network, every other event's its merchant.
fn facet(of: Of, past: &Past) -> u32 {
    let is_eid = past.class.type_code() == EventType::Eid.code();
    match of {
        Of::Event | Of::Amount => past.amount,
        Of::Merchant => {
            if is_eid {
                0
            } else {
                past.key
            }
        }
        Of::Network => {
            if is_eid {
                past.key
            } else {
                0
            }
        }
        Of::MccGroup => u32::from(past.class.get(ClassField::MccGroup)),
        Of::MerchantCountry => u32::from(past.class.country()),
    }
}

fn distinct(values: impl Iterator<Item = u32>) -> i64 {
    let mut told_apart = [0_u32; MAX_TOLD_APART];
    let mut count = 0;
    for value in values.filter(|value| *value != 0) {
        if told_apart.iter().take(count).any(|known| *known == value) {
            continue;
        }
        if let Some(slot) = told_apart.get_mut(count) {
            *slot = value;
            count += 1;
        }
    }
    length(count)
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn mean(sum: i64, count: i64) -> Option<i64> {
    sum.checked_div(count)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one cardholder are far below 2^52"
)]
fn rate(hits: i64, of: i64) -> Option<i64> {
    (of > 0).then(|| (hits as f64 / of as f64).to_bits().cast_signed())
}

fn age_ms(clock_ms: i64, at_s: u32) -> i64 {
    (clock_ms - i64::from(at_s) * 1_000).max(0)
}

fn bucket(aggregate: &Aggregate, at_s: u32) -> u32 {
    u32::try_from(i64::from(at_s) / aggregate.bucket_s()).unwrap_or(0)
}

/// An aggregate with bucketed counters that events of a type can feed.
#[derive(Debug, Clone, Copy)]
pub struct Fed {
    /// Its number.
    index: usize,
    /// What an event's class must have for the filter to pass, and where: most events fail this
    /// one comparison.
    must: u64,
    mask: u64,
}

/// Which aggregates take bucketed counters that an event of a type can feed; for each type's code.
pub fn fed_by_type(aggregates: &[Aggregate]) -> [Vec<Fed>; 16] {
    std::array::from_fn(|code| {
        let can_feed = |filter: &Filter| filter.on >> code & 1 == 1;
        let fed = aggregates.iter().enumerate().filter(|(_, aggregate)| {
            !aggregate.is_exact()
                && (can_feed(&aggregate.filter) || aggregate.base.as_ref().is_some_and(can_feed))
        });
        fed.map(|(index, aggregate)| {
            let of_one = (aggregate.base.is_none()).then(|| aggregate.filter.musts());
            let (must, mask) = of_one.unwrap_or((0, 0));
            Fed { index, must, mask }
        })
        .collect()
    })
}

/// Feeds an event that is being absorbed to every bucketed counter that it passes. `clock_s` is
/// the cardholder's clock; what the event adds behind the span is not kept. Returns how many
/// counters had to give way to bounds.
pub fn feed(record: &mut Record, prepared: &Prepared, past: &Past, clock_s: u32) -> u32 {
    let mut gave_way = 0;
    let fed = prepared.fed.get(usize::from(past.class.type_code()));
    for Fed { index, must, mask } in fed.into_iter().flatten().copied() {
        if past.class.0 & mask != must {
            continue;
        }
        let Some(aggregate) = prepared.book.aggregates.get(index) else {
            continue;
        };
        let hit = aggregate.filter.passes(past.class);
        let in_base = aggregate
            .base
            .as_ref()
            .is_some_and(|base| base.passes(past.class));
        if !hit && !in_base {
            continue;
        }
        let now = bucket(aggregate, clock_s);
        let at = bucket(aggregate, past.at_s);
        if !cells::is_live(
            Cell {
                id: 0,
                bucket: at,
                value: 0,
            },
            now,
        ) {
            continue;
        }
        let low = counter(index, 0);
        cells::prune(record, |cell| {
            cell.id / 2 == low / 2 && !is_kept(aggregate, cell, now)
        });
        gave_way += feed_one(record, aggregate, low, at, past, (hit, in_base));
    }
    gave_way
}

/// Feeds one counter, in bucket `at`.
fn feed_one(
    record: &mut Record,
    aggregate: &Aggregate,
    low: u32,
    at: u32,
    past: &Past,
    (hit, in_base): (bool, bool),
) -> u32 {
    let amount = i64::from(past.amount);
    let at_s = i64::from(past.at_s);
    let mut add = |lane: u32, more: i64| {
        u32::from(cells::update(record, low + lane, at, |old| {
            old.unwrap_or(0) + more
        }))
    };
    match aggregate.op {
        Op::Count => add(0, 1),
        Op::Sum => add(0, amount),
        Op::Avg => add(0, amount) + add(1, 1),
        Op::Rate => {
            let hits = if hit && in_base { add(0, 1) } else { 0 };
            hits + if in_base { add(1, 1) } else { 0 }
        }
        Op::Max => u32::from(cells::update(record, low, at, |old| {
            old.unwrap_or(amount).max(amount)
        })),
        Op::Min => u32::from(cells::update(record, low, at, |old| {
            old.unwrap_or(amount).min(amount)
        })),
        Op::Last => u32::from(cells::update(record, low, 0, |old| {
            old.unwrap_or(0).max(at_s)
        })),
        Op::Distinct => {
            let facet = i64::from(facet(aggregate.of, past));
            u32::from(facet != 0 && cells::note_distinct(record, low, at, facet))
        }
    }
}

/// Takes back what an event fed: its count where it was reversed whole, and `amount` of its sum.
/// Extremes, distinct values and last times stay: what was tried was tried.
pub fn undo(
    record: &mut Record,
    aggregates: &[Aggregate],
    class: Class,
    at_s: u32,
    amount: u32,
    whole: bool,
) {
    for (index, aggregate) in aggregates.iter().enumerate().filter(|(_, a)| !a.is_exact()) {
        let hit = aggregate.filter.passes(class);
        let in_base = aggregate
            .base
            .as_ref()
            .is_some_and(|base| base.passes(class));
        let at = bucket(aggregate, at_s);
        let low = counter(index, 0);
        let mut take = |lane: u32, less: i64| {
            if cells::all(record).any(|cell| cell.id == low + lane && cell.bucket == at) {
                cells::update(record, low + lane, at, |old| {
                    (old.unwrap_or(0) - less).max(0)
                });
            }
        };
        let one = i64::from(whole);
        match aggregate.op {
            Op::Count if hit => take(0, one),
            Op::Sum if hit => take(0, i64::from(amount)),
            Op::Avg if hit => {
                take(0, i64::from(amount));
                take(1, one);
            }
            Op::Rate if in_base => {
                take(0, one * i64::from(hit));
                take(1, one);
            }
            Op::Count
            | Op::Sum
            | Op::Avg
            | Op::Rate
            | Op::Max
            | Op::Min
            | Op::Last
            | Op::Distinct => {}
        }
    }
}

/// Whether a counter's cell still counts when `now` is the bucket in hand.
fn is_kept(aggregate: &Aggregate, cell: Cell, now: u32) -> bool {
    match aggregate.op {
        Op::Last => true,
        Op::Count | Op::Sum | Op::Max | Op::Min | Op::Avg | Op::Distinct | Op::Rate => {
            cells::is_live(cell, now)
        }
    }
}

/// Whether a counter's cell no longer counts at `clock_s`; for the sweep of idle cardholders.
pub fn is_over(cell: Cell, aggregates: &[Aggregate], clock_s: u32) -> bool {
    let index = usize::try_from(cell.id / 2).ok();
    let aggregate = index.and_then(|index| aggregates.get(index));
    aggregate.is_none_or(|aggregate| match aggregate.op {
        Op::Last => {
            age_ms(
                i64::from(clock_s) * 1_000,
                u32::try_from(cell.value).unwrap_or(0),
            ) >= aggregate.span_ms
        }
        Op::Count | Op::Sum | Op::Max | Op::Min | Op::Avg | Op::Distinct | Op::Rate => {
            !cells::is_live(cell, bucket(aggregate, clock_s))
        }
    })
}
