//! Sequences: ordered steps with counts and absences, followed without keeping the events.
//!
//! For each repeat of each step one number is kept: the latest start of any chain that has got
//! that far. A chain that starts later outlives one that started earlier, so the latest start
//! suffices to know whether some chain completes within the span: the result is that of trying
//! every combination of past events, in constant space.

use crate::engine::book::{Rule, Sequence, Step};
use crate::engine::cells::{self, Cell};
use crate::engine::record::Record;

/// The counter id of a sequence's state.
fn counter(sequence: &Sequence, state: u16) -> u32 {
    cells::SEQUENCES + u32::from(sequence.first_state) + u32::from(state)
}

/// Number of a step's first state within its sequence; absent steps have none.
fn first_state(sequence: &Sequence, step: usize) -> u16 {
    sequence
        .steps
        .iter()
        .take(step)
        .filter(|s| s.absent_ms.is_none())
        .map(|s| u16::from(s.count))
        .sum()
}

/// Whether chains that lack only the last repeat of the last step stand at `clock_ms`: whether an
/// event that passes it completes the sequence.
pub fn is_ripe(record: &Record, sequence: &Sequence, clock_ms: i64) -> bool {
    let Some(last) = sequence.steps.len().checked_sub(1) else {
        return false;
    };
    let states =
        first_state(sequence, last) + sequence.steps.get(last).map_or(0, |s| u16::from(s.count));
    match states.checked_sub(2) {
        None => true,
        Some(before) => start_of(record, sequence, before, clock_ms).is_some(),
    }
}

/// The latest start of the chains at a state, where they still count.
fn start_of(record: &Record, sequence: &Sequence, state: u16, clock_ms: i64) -> Option<i64> {
    cells::single(record, counter(sequence, state))
        .filter(|start| clock_ms - start < sequence.within_ms)
}

/// What an event did to a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// It completed the sequence's present steps.
    pub completed: bool,
    /// It is the event whose absence is waited for.
    pub broke_wait: bool,
    /// Counters had to give way to bounds.
    pub gave_way: u32,
}

/// Moves a sequence by an event at `at_ms` for which `passes` tells which steps it passes (bit n:
/// step n).
pub fn advance(
    record: &mut Record,
    sequence: &Sequence,
    passes: u32,
    at_ms: i64,
    clock_ms: i64,
) -> Moved {
    let mut moved = Moved::default();
    for (index, step) in sequence.steps.iter().enumerate() {
        if step.absent_ms.is_some() && passes >> index & 1 == 1 {
            if index + 1 == sequence.steps.len() {
                moved.broke_wait = true;
            } else if let Some(before) = first_state(sequence, index).checked_sub(1) {
                let dead = counter(sequence, before);
                cells::prune(record, |cell| cell.id == dead);
            }
        }
    }
    let last_present = sequence.steps.iter().rposition(|s| s.absent_ms.is_none());
    for (index, step) in sequence.steps.iter().enumerate().rev() {
        if step.absent_ms.is_some() || passes >> index & 1 == 0 {
            continue;
        }
        repeat(
            record,
            sequence,
            index,
            step,
            last_present == Some(index),
            (at_ms, clock_ms),
            &mut moved,
        );
    }
    moved
}

fn repeat(
    record: &mut Record,
    sequence: &Sequence,
    index: usize,
    step: &Step,
    is_last: bool,
    (at_ms, clock_ms): (i64, i64),
    moved: &mut Moved,
) {
    let first = first_state(sequence, index);
    for repeat in (0..u16::from(step.count)).rev() {
        let state = first + repeat;
        let start = match state.checked_sub(1) {
            None => Some(at_ms),
            Some(before) => start_of(record, sequence, before, clock_ms),
        };
        let Some(start) = start else { continue };
        if is_last && repeat + 1 == u16::from(step.count) {
            moved.completed = true;
        } else {
            let id = counter(sequence, state);
            moved.gave_way += u32::from(cells::update(record, id, 0, |old| {
                old.unwrap_or(start).max(start)
            }));
        }
    }
}

/// Whether a state's cell can no longer complete its sequence at `clock_ms`.
pub fn is_over(cell: Cell, rules: &[Rule], clock_ms: i64) -> bool {
    let mut sequences = rules.iter().filter_map(|rule| rule.sequence.as_ref());
    !sequences.any(|sequence| {
        let from = cells::SEQUENCES + u32::from(sequence.first_state);
        (from..from + u32::from(sequence.states())).contains(&cell.id)
            && clock_ms - cell.value < sequence.within_ms
    })
}
