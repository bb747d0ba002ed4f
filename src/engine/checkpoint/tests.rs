//! Checkpoints held to their promises: nothing is lost, nothing damaged is taken, and a shard that
//! was stopped goes on as if it had not been.

mod world;

use super::*;
use crate::domain::ids::Fingerprint;
use crate::domain::time::DAY_MS;
use crate::engine::class::ClassField;
use crate::engine::known::{self, Kind};
use crate::engine::{cells, past};
use world::{Dice, PLAN, Plan, Stride, book, lenient, stream, take};

fn saved(engine: &Engine) -> Vec<u8> {
    let mut out = Vec::new();
    engine.save(&mut out);
    out
}

/// The engine after a stream, under the plain plan.
fn after(many: usize, seed: u64) -> Engine {
    let mut engines = [Engine::new(book(&PLAN))];
    for step in stream(many, seed) {
        take(&mut engines, &step);
    }
    let [engine] = engines;
    engine
}

fn whole(prepared: &Arc<Prepared>, parts: &[&[u8]]) -> Result<Engine, CheckpointError> {
    let mut engine = Engine::restore(Arc::clone(prepared), parts, |_| true)?;
    let mut counters = Counters::default();
    for part in parts {
        counters = counters.plus(summary(part)?.counters);
    }
    engine.set_counters(counters);
    Ok(engine)
}

/// The same bytes with a checksum that fits them.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len().saturating_sub(CHECKSUM));
    let checksum = xxh3_64(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn holder(engine: &Engine, number: usize) -> &Record {
    engine
        .slab
        .find(Fingerprint::of(&format!("holder-{number}")).0)
        .unwrap()
}

#[test]
fn the_stream_exercises_all_that_can_be_open() {
    let engine = after(400, 5);
    let mut seen = [false; 8];
    let mut engines = [Engine::new(book(&PLAN))];
    for step in stream(400, 5) {
        take(&mut engines, &step);
        for record in engines[0].slab.iter() {
            let cold = record.cold.as_deref();
            seen[0] |= cold.is_some_and(|c| !c.challenges.is_empty());
            seen[1] |= cold.is_some_and(|c| !c.episodes.is_empty());
            seen[2] |= cold.is_some_and(|c| !c.holds.is_empty());
            seen[3] |= cold.is_some_and(|c| !c.absences.is_empty());
            seen[4] |= cold.is_some_and(|c| c.holds.iter().any(|h| h.awaited_by_ms.is_some()));
            seen[5] |= cells::all(record).any(|cell| cell.id >= cells::SEQUENCES);
            seen[6] |= cells::all(record).any(|cell| cell.id < cells::SEQUENCES);
            seen[7] |= cold.is_some_and(|c| c.challenges.iter().any(|c| c.purchase.is_some()));
        }
    }
    assert_eq!(seen, [true; 8]);
    assert!(engine.counters.late > 20);
}

#[test]
fn a_restored_shard_saves_to_the_same_bytes() {
    let engine = after(300, 7);
    let bytes = saved(&engine);
    let restored = whole(&engine.prepared, &[&bytes]).unwrap();
    assert_eq!(saved(&restored), bytes);
    for record in engine.slab.iter() {
        let mut expected = record.clone();
        if let Some(cold) = expected.cold.as_deref_mut() {
            cold.queued_ms = cold.next_deadline().unwrap_or(0);
        }
        assert_eq!(restored.slab.find(record.key), Some(&expected));
    }
    let summary = summary(&bytes).unwrap();
    assert_eq!(summary.counters, engine.counters);
    assert_eq!(summary.cardholders, 7);
    assert_eq!(summary.tick_ms, engine.tick_ms);
    assert_eq!(summary.book_version, "tiny+000000000000");
}

#[test]
fn an_empty_shard_is_a_checkpoint_too_and_no_parts_are_an_empty_shard() {
    let engine = Engine::new(book(&PLAN));
    let bytes = saved(&engine);
    assert!(whole(&engine.prepared, &[&bytes]).unwrap().slab.is_empty());
    let none = whole(&engine.prepared, &[]).unwrap();
    assert_eq!(saved(&none), bytes);
}

#[test]
fn every_bit_pattern_of_a_head_within_its_bounds_survives() {
    let mut dice = Dice(99);
    for _ in 0..200 {
        let mut words: [u32; HEAD_WORDS] =
            std::array::from_fn(|_| u32::try_from(dice.below(1 << 32)).unwrap());
        // Countries; cells, known and cards; ids: more than these a record cannot have.
        words[9] &= 0x0FFF_00FF;
        words[15] &= 0x0FFF_1F1F;
        words[16] &= 0x0FFF;
        let (record, counts, has_cold) = unpack(&words);
        assert!(!has_cold);
        // The counts belong to words that are not here; all else must come out as it went in.
        let bare = record.with_words(counts, vec![0; counts.words()]).unwrap();
        assert_eq!(head(&bare), words);
        let many = Counts {
            cards: 64,
            ..counts
        };
        let (record, ..) = unpack(&words);
        assert!(record.with_words(many, vec![0; many.words()]).is_none());
    }
}

#[test]
fn the_order_in_which_cardholders_came_does_not_show() {
    let steps: Vec<Stride> = stream(60, 11)
        .into_iter()
        .filter(|step| matches!(step, Stride::Event(_)))
        .collect();
    let of = |step: &Stride| match step {
        Stride::Event(event) => event.cardholder_fp.0,
        Stride::Tick(_) => 0,
    };
    let mut one = [Engine::new(book(&PLAN))];
    let mut other = [Engine::new(book(&PLAN))];
    let mut by_holder = steps.clone();
    by_holder.sort_by_key(|step| std::cmp::Reverse(of(step)));
    steps.iter().for_each(|step| drop(take(&mut one, step)));
    by_holder
        .iter()
        .for_each(|step| drop(take(&mut other, step)));
    assert_eq!(saved(&one[0]), saved(&other[0]));
}

#[test]
fn a_shard_stopped_anywhere_goes_on_as_if_it_had_not_been() {
    let steps = stream(260, 3);
    let prepared = book(&PLAN);
    let mut running = [Engine::new(Arc::clone(&prepared))];
    let mut states = vec![saved(&running[0])];
    let mut expected = Vec::new();
    for step in &steps {
        expected.push(take(&mut running, step));
        states.push(saved(&running[0]));
    }
    assert!(expected.iter().any(|(_, effects, _)| effects.len() > 1));
    for (position, state) in states.iter().enumerate() {
        let mut resumed = [whole(&prepared, &[state]).unwrap()];
        for (step, expected) in steps.iter().zip(&expected).skip(position) {
            assert_eq!(take(&mut resumed, step), *expected, "stopped at {position}");
        }
    }
}

#[test]
fn one_shard_becomes_three_and_three_become_one() {
    let steps = stream(200, 13);
    let prepared = book(&PLAN);
    let mut one = [Engine::new(Arc::clone(&prepared))];
    let (first, second) = steps.split_at(steps.len() / 2);
    for step in first {
        take(&mut one, step);
    }
    let bytes = saved(&one[0]);
    let mut three = [0, 1, 2].map(|shard| {
        Engine::restore(Arc::clone(&prepared), &[&bytes], |key| key % 3 == shard).unwrap()
    });
    assert!(three.iter().all(|shard| !shard.slab.is_empty()));
    let parts = three.each_ref().map(saved);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let mut back = whole(&prepared, &parts).unwrap();
    back.set_counters(one[0].counters);
    assert_eq!(saved(&back), bytes);
    for step in second {
        assert_eq!(take(&mut three, step), take(&mut one, step));
    }
}

#[test]
fn a_part_given_twice_is_refused() {
    let engine = after(30, 17);
    let bytes = saved(&engine);
    assert_eq!(
        whole(&engine.prepared, &[&bytes, &bytes]).unwrap_err(),
        CheckpointError::Twice { part: 2 }
    );
}

#[test]
fn every_flip_and_every_cut_is_refused() {
    let engine = after(40, 19);
    let bytes = saved(&engine);
    for at in 0..bytes.len() {
        for mask in [1, 0x80, 0xFF] {
            let mut flipped = bytes.clone();
            flipped[at] ^= mask;
            assert!(whole(&engine.prepared, &[&flipped]).is_err(), "byte {at}");
        }
        assert!(
            whole(&engine.prepared, &[&bytes[..at]]).is_err(),
            "cut at {at}"
        );
    }
    let error = |bytes: &[u8]| whole(&engine.prepared, &[bytes]).unwrap_err();
    assert_eq!(error(b""), CheckpointError::NotACheckpoint);
    assert_eq!(error(&[b'x'; 64]), CheckpointError::NotACheckpoint);
    let mut newer = bytes.clone();
    newer[8] = 4;
    assert_eq!(
        error(&newer),
        CheckpointError::Version { found: 4, known: 3 }
    );
    let mut longer = bytes[..bytes.len() - CHECKSUM].to_vec();
    longer.extend_from_slice(&[0; 9]);
    assert!(matches!(
        error(&sealed(longer)),
        CheckpointError::Damaged { .. }
    ));
}

#[test]
fn damage_under_a_fitting_checksum_never_panics_and_never_runs_away() {
    let engine = after(40, 19);
    let bytes = saved(&engine);
    let mut refused = 0;
    for at in FRONT..bytes.len() - CHECKSUM {
        for mask in [1, 0x80, 0xFF] {
            let mut flipped = bytes.clone();
            flipped[at] ^= mask;
            match whole(&engine.prepared, &[&sealed(flipped)]) {
                Ok(restored) => assert!(!saved(&restored).is_empty()),
                Err(_) => refused += 1,
            }
        }
        let cut = bytes[..at + CHECKSUM].to_vec();
        assert!(
            whole(&engine.prepared, &[&sealed(cut)]).is_err(),
            "cut at {at}"
        );
    }
    assert!(refused > 100);
}

#[test]
fn an_aggregate_that_is_new_warms_from_the_tick_on_and_one_that_is_gone_leaves_nothing() {
    let engine = after(200, 23);
    let plan = Plan {
        aggregates: &["largest_2d", "declined_30d", "transfers_10m"],
        sequences: false,
        ..PLAN
    };
    let prepared = book(&plan);
    let restored = whole(&prepared, &[&saved(&engine)]).unwrap();
    assert_eq!(
        restored.counted_from_ms,
        [engine.tick_ms, i64::MIN, i64::MIN]
    );
    for record in restored.slab.iter() {
        assert!(cells::all(record).all(|cell| cell.id == 2));
    }
    let again = whole(&prepared, &[&saved(&restored)]).unwrap();
    assert_eq!(again.counted_from_ms, restored.counted_from_ms);
    // Back under the book that had them, they warm again: what was dropped is not made up.
    let back = whole(&engine.prepared, &[&saved(&restored)]).unwrap();
    let tick_ms = engine.tick_ms;
    assert_eq!(
        back.counted_from_ms,
        [i64::MIN, tick_ms, tick_ms, i64::MIN, tick_ms]
    );
}

#[test]
fn without_any_tick_a_new_aggregate_counts_from_the_newest_event() {
    let mut engines = [Engine::new(book(&PLAN))];
    let steps = stream(20, 29);
    let events = steps.iter().filter(|step| matches!(step, Stride::Event(_)));
    events.for_each(|step| drop(take(&mut engines, step)));
    let newest_ms = engines[0].slab.iter().map(|r| r.clock_ms).max().unwrap();
    let plan = Plan {
        aggregates: &["largest_2d"],
        sequences: false,
        ..PLAN
    };
    let bytes = saved(&engines[0]);
    for shard in 0..4 {
        let mine = |key: u64| key % 4 == shard;
        let restored = Engine::restore(book(&plan), &[&bytes], mine).unwrap();
        assert_eq!(restored.counted_from_ms, [newest_ms]);
    }
}

#[test]
fn aggregates_in_another_order_keep_their_values() {
    let engine = after(200, 31);
    let plan = Plan {
        aggregates: &[
            "transfers_30d",
            "groups_30d",
            "spent_7d",
            "transfers_10m",
            "declined_30d",
        ],
        ..PLAN
    };
    let other = whole(&book(&plan), &[&saved(&engine)]).unwrap();
    assert_eq!(other.counted_from_ms, [i64::MIN; 5]);
    let place = [4, 2, 1, 3, 0];
    for record in engine.slab.iter() {
        let moved = other.slab.find(record.key).unwrap();
        let expected: Vec<_> = cells::all(record)
            .map(|mut cell| {
                if cell.id < cells::SEQUENCES {
                    cell.id = place[usize::try_from(cell.id / 2).unwrap()] * 2 + cell.id % 2;
                }
                cell
            })
            .collect();
        assert_eq!(cells::all(moved).collect::<Vec<_>>(), expected);
    }
    let back = whole(&engine.prepared, &[&saved(&other)]).unwrap();
    assert_eq!(saved(&back), saved(&engine));
}

#[test]
fn groups_in_another_order_are_known_again_by_name() {
    let engine = after(200, 37);
    let plan = Plan {
        groups: &["crypto", "gambling", "transfer", "other"],
        ..PLAN
    };
    let other = whole(&book(&plan), &[&saved(&engine)]).unwrap();
    let now = [0_u8, 3, 1, 4];
    let mut places = 0;
    for record in engine.slab.iter() {
        let moved = other.slab.find(record.key).unwrap();
        for (before, after) in past::entries(record).zip(past::entries(moved)) {
            let code = before.class.get(ClassField::MccGroup);
            let code = now[usize::from(code)];
            assert_eq!(after.class, before.class.with(ClassField::MccGroup, code));
        }
        for (code, now) in (1..4_u32).zip(&now[1..]) {
            let day = u32::try_from(record.clock_ms / DAY_MS).unwrap();
            let before = known::find(record, Kind::MccGroup, code, day);
            let after = known::find(moved, Kind::MccGroup, u32::from(*now), day);
            places += usize::from(before.is_some());
            assert_eq!(
                before.map(|k| (k.days, k.level)),
                after.map(|k| (k.days, k.level))
            );
        }
        // Values of the distinct groups are codes, those of the others are not.
        let value = |cell: cells::Cell| match cell.id {
            4 => i64::from(now[usize::try_from(cell.value).unwrap()]),
            _ => cell.value,
        };
        assert_eq!(
            cells::all(record)
                .map(|c| (c.id, value(c)))
                .collect::<Vec<_>>(),
            cells::all(moved)
                .map(|c| (c.id, c.value))
                .collect::<Vec<_>>()
        );
    }
    assert!(places > 3);
    assert_eq!(other.counted_from_ms, [i64::MIN; 5]);
    let purchases = other
        .slab
        .iter()
        .flat_map(|r| &r.cold)
        .flat_map(|c| &c.challenges);
    for purchase in purchases.filter_map(|c| c.purchase) {
        assert_eq!((purchase.mcc, purchase.mcc_group), (4829, 3));
    }
    let back = whole(&engine.prepared, &[&saved(&other)]).unwrap();
    assert_eq!(saved(&back), saved(&engine));
}

#[test]
fn a_group_that_is_gone_leaves_nothing_and_its_aggregates_warm() {
    let engine = after(200, 41);
    let plan = Plan {
        groups: &["transfers", "crypto", "other"],
        sequences: false,
        aggregates: &["declined_30d", "groups_30d", "transfers_30d"],
    };
    let other = Engine::restore(lenient(&plan), &[&saved(&engine)], |_| true).unwrap();
    assert_eq!(other.counted_from_ms, [i64::MIN, i64::MIN, engine.tick_ms]);
    for record in other.slab.iter() {
        assert!(cells::all(record).all(|cell| cell.id < 4));
        assert!(past::entries(record).all(|p| p.class.get(ClassField::MccGroup) != 1));
        let day = crate::engine::record::seconds(record.clock_ms) / 86_400;
        assert!(known::find(record, Kind::MccGroup, 1, day).is_none());
        assert!(cells::all(record).all(|cell| cell.id != 2 || cell.value != 1));
    }
    assert!(past::entries(holder(&engine, 1)).any(|p| p.class.get(ClassField::MccGroup) == 1));
}

#[test]
fn a_reversal_after_a_day_undoes_the_same_whether_or_not_the_record_was_swept() {
    let prepared = book(&PLAN);
    let (payment, reversal) = world::payment_and_its_reversal(30 * 3_600_000);
    let [unswept, swept] = [false, true].map(|is_swept| {
        let mut engines = [Engine::new(Arc::clone(&prepared))];
        take(&mut engines, &payment);
        if is_swept {
            take(
                &mut engines,
                &Stride::Tick(world::START_MS + 29 * 3_600_000),
            );
        }
        take(&mut engines, &reversal);
        let record = engines[0].slab.iter().next().unwrap();
        let counters = cells::all(record).filter(|cell| cell.id < cells::SEQUENCES);
        counters.map(|c| (c.id, c.value)).collect::<Vec<_>>()
    });
    assert!(!swept.is_empty());
    assert_eq!(unswept, swept);
}

/// Codes of these words stand in checkpoints. Where this test fails, raise [`FORMAT`] (unless words
/// were only added at the ends), then state the new fingerprint here.
#[test]
fn the_words_behind_the_codes_are_those_of_this_format() {
    use crate::domain::codes::{
        Action, Authenticator, Channel, EnrolmentChannel, EventType, HoldKind, HoldState, Message,
        Method, Purpose, Refusal, ResponseGroup, Security, Severity, TransStatus,
    };
    let words = [
        EventType::WORDS,
        Message::WORDS,
        Action::WORDS,
        Channel::WORDS,
        Security::WORDS,
        ResponseGroup::WORDS,
        TransStatus::WORDS,
        Authenticator::WORDS,
        Purpose::WORDS,
        EnrolmentChannel::WORDS,
        Method::WORDS,
        Severity::WORDS,
        HoldKind::WORDS,
        HoldState::WORDS,
        Refusal::WORDS,
    ];
    let countries: Vec<String> = crate::domain::country::Country::all()
        .map(|country| country.to_string())
        .collect();
    let fields: Vec<_> = ClassField::TABLE.iter().map(|(_, field)| field).collect();
    let told = Fingerprint::of(&format!("{words:?} {countries:?} {fields:?}"));
    assert_eq!(
        (FORMAT, format!("{:016x}", told.0).as_str()),
        (3, "33b841822cc122e8")
    );
}
