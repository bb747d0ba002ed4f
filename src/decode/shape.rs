//! Shapes: records like earlier ones are read by comparing what stands between their values.
//!
//! From a record that `walk.rs` has read, the pieces between its values are kept, and which may
//! follow which. A later record of the same pieces has the same outline, so that only its values
//! are left to be found. What is not so, down to the last byte, is left to `walk.rs`, which has
//! the last word: no answer depends on what is remembered here.

use super::field::{Field, Opening, Scope, set};
use super::look::BLOCK;
use super::pan::{SHORTEST, contains_card_number, has_stretch};
use super::string::quote_after;
use super::token::{Kind, Place, Token};
use super::walk::{TOKENS, Table, nested};
use learn::Value;
use run::Run;

mod learn;
mod run;

/// The longest piece that is compared at once.
const MAX_PIECE: usize = Opening::MAX;
/// Pieces that may follow one value, or begin a record: eight types of events, and as many orders
/// of keys; a ninth takes the place of another.
const WAYS: usize = 8;
/// All pieces: eight types of events in a few forms each. More of them means a stream of no
/// shape, and all is forgotten.
const MAX_STEPS: usize = 1_024;
/// Keys of no field that are remembered, by object; more of them, and all is forgotten.
const MAX_NAMES: usize = 62;
/// Places of values: every field, then every remembered key of no field.
const SLOTS: usize = Field::COUNT + MAX_NAMES;
/// Spaces behind a record, so that a piece can be compared at its very end, and the record looked at
/// in whole blocks.
pub(super) const PADDING: usize = 64;
const _: () = assert!(MAX_PIECE <= PADDING && BLOCK <= PADDING);
/// Where the values of no field go: a token that nobody reads.
const NOBODY: usize = TOKENS - 1;
const _: () = assert!(Field::COUNT <= NOBODY && SLOTS <= u8::MAX as usize);
/// A text that had one length so often in a row is expected to have it again.
const STEADY: u8 = 16;
/// After so many records that asked a step alone its run is made anew.
const GROWS_AFTER: u8 = 64;
/// A run ends where another step came next so often in the meantime.
const MANY_TURNS: u8 = 16;
/// The fields of objects that are read key by key.
const NO_TEXTS: u64 = set(&[Field::Merchant, Field::Subject]);
/// Marks among the keys of no field: the merchant or the subject begins within the piece.
const OPENS: [(u64, Field); 2] = [
    (1 << MAX_NAMES, Field::Merchant),
    (1 << (MAX_NAMES + 1), Field::Subject),
];
const OPENED: u64 = OPENS[0].0 | OPENS[1].0;

/// The longest time as it is mostly written, `2018-03-05T16:44:56.000+01:00`.
const LONGEST_TIME: usize = 29;

/// The step that was learned first: a record's begin.
const FIRST: usize = 1;

/// What follows a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Text up to the next quote.
    Text,
    /// Nothing: a type or a message, which says which keys come, is the piece's end.
    Word,
    /// A number.
    Number,
    /// Nothing: `null`, or a truth value of no field, is the piece's end.
    Literal,
    /// An object or array that is read by `walk.rs`; its first byte is the piece's last.
    Nested,
    /// The rest of a long piece.
    Part,
    /// The end of the record.
    End,
}

/// A piece between values, and the value behind it.
#[derive(Debug)]
struct Step {
    piece: Opening,
    /// The set of the field and of the object that begins within the piece.
    seen: u64,
    /// The set of the key of no field, and of what is in [`OPENS`].
    met: u64,
    /// How many quotes the piece has.
    quotes: u32,
    /// How long the text was the last time; the length of a word.
    length: usize,
    /// How often in a row the text had that length.
    same: u8,
    /// How often it was asked alone, since its run was made.
    visits: u8,
    /// How often another step came next than the time before, since a run with it was made.
    turns: u8,
    /// The step alone, as a run.
    alone: Run,
    /// The run that begins with it; at first one that fits nowhere.
    run: Run,
    /// The place of its value in the table.
    token: usize,
    /// Its place among [`SLOTS`].
    slot: usize,
    /// The place in [`Shapes::ways`] of what comes after it.
    node: usize,
    /// The step that came next the last time.
    then: usize,
    next: Next,
    /// The object that begins within the piece.
    opens: Option<Field>,
    /// A time, which no card number looks like.
    is_time: bool,
    /// An amount, which may have as many digits as a card number.
    is_amount: bool,
}

/// The pieces of earlier records, and which may follow which value.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// Step 0 is no step: nothing that is plain begins with its piece.
    steps: Vec<Step>,
    /// By row and slot: the steps that may follow its value.
    ways: Vec<[u16; WAYS]>,
    /// The keys of no field, each with its object.
    names: Vec<(Scope, Box<str>)>,
    order: Vec<Value>,
}

/// The place of a value in [`Shapes::ways`]; the record's begin comes last of a row.
///
/// Text and what is no text have places of their own, since what follows a text begins with its
/// quote: `1","id":"` must not be taken for `"1","id":"`.
const fn node(row: usize, after: Option<(usize, Next)>) -> usize {
    let place = match after {
        Some((slot, Next::Text | Next::Word)) => 2 * slot,
        Some((slot, Next::Number | Next::Literal | Next::Nested | Next::Part | Next::End)) => {
            2 * slot + 1
        }
        None => 2 * SLOTS,
    };
    row * (2 * SLOTS + 1) + place
}

impl Shapes {
    /// Reads a plain record, if its shape is known, into the table. Nothing where it is not, or
    /// where something has to be looked at more closely. Behind the record's length `text` goes on
    /// with [`PADDING`] spaces.
    ///
    /// INVARIANT (one-meaning): the pieces are those of a record that was read, byte for byte, and
    /// no text has a quote: the pieces have them all, which is checked by their number.
    #[inline(never)]
    pub(super) fn follow(
        &mut self,
        text: &[u8],
        length: usize,
        quotes: u32,
        table: &mut Table,
    ) -> Option<()> {
        let (mut at, mut seen, mut met, mut twice, mut others) = (0, 0, 0, 0, NO_TEXTS);
        let (mut before, mut then, mut counted) = (0, self.steps.first()?.then, 0);
        loop {
            let rest = text.get(at..)?;
            let mut run = &self.steps.get(then)?.run;
            if !run.fits(rest) {
                run = self.other(before, then, rest)?;
            }
            run.keep(rest, at, table)?;
            twice |= (seen & run.seen) | (met & run.met);
            seen |= run.seen;
            met |= run.met;
            counted += run.quotes;
            let start = at + run.length;
            before = run.last;
            let step = self.steps.get_mut(before)?;
            let mut from = start;
            match step.next {
                Next::Text => {
                    at = step.end_of_text(text, start);
                    if at - start >= SHORTEST && step.holds_card_number(text, start, at) {
                        return None;
                    }
                }
                Next::Number => {
                    at = step.end_of_number(text, start)?;
                    others |= step.seen;
                    table.kinds[step.token % TOKENS] = Kind::Integer;
                }
                Next::Word => (from, at) = (start - step.length, start),
                Next::Part | Next::Literal | Next::Nested => {
                    let (token, inner) = step.value(text.get(..length)?, start, table)?;
                    counted += inner;
                    others |= step.seen;
                    (from, at) = (token.start(), token.end());
                    table.kinds[step.token % TOKENS] = token.kind;
                }
                Next::End => {
                    // Pieces of different records may follow each other so that a key comes twice.
                    let is_whole = start == length && counted == quotes && twice == 0;
                    table.close(seen, seen & !others, met);
                    return is_whole.then_some(());
                }
            }
            table.places[step.token % TOKENS] = Place::new(from, at);
            then = step.then;
        }
    }

    /// The run that comes there in place of the one that was expected after a step: another step's,
    /// or a step alone.
    #[inline(never)]
    fn other(&mut self, before: usize, mut then: usize, rest: &[u8]) -> Option<&Run> {
        let chunk = rest.first_chunk()?;
        if !self.steps.get(then)?.piece.begins(chunk) {
            then = self.way(before, chunk)?;
            if self.steps.get(then)?.run.fits(rest) {
                return self.steps.get(then).map(|step| &step.run);
            }
        }
        let step = self.steps.get_mut(then)?;
        step.visits += 1;
        if step.visits == GROWS_AFTER {
            step.visits = 0;
            self.grow(then);
        }
        self.steps.get(then).map(|step| &step.alone)
    }

    /// Makes anew the run that begins with a step.
    #[cold]
    fn grow(&mut self, first: usize) {
        let Some(run) = Run::from(first, &self.steps) else {
            return;
        };
        let mut at = first;
        while let Some(step) = self.steps.get_mut(at) {
            step.turns = 0;
            if at == run.last {
                break;
            }
            at = step.then;
        }
        if let Some(step) = self.steps.get_mut(first) {
            step.run = run;
        }
    }

    /// The step after another whose piece comes there; it is expected there from now on.
    fn way(&mut self, before: usize, chunk: &[u8; Opening::MAX]) -> Option<usize> {
        let ways = self.ways.get(self.steps.get(before)?.node)?;
        for way in ways {
            let way = usize::from(*way);
            // A place that is free leads to step 0, with whose piece nothing begins.
            if self.steps.get(way)?.piece.begins(chunk) {
                let step = self.steps.get_mut(before)?;
                (step.then, step.turns) = (way, step.turns.saturating_add(1));
                return Some(way);
            }
        }
        None
    }
}

impl Table {
    /// Takes down what was read to the end.
    #[inline(always)]
    fn close(&mut self, seen: u64, texts: u64, met: u64) {
        self.seen = seen;
        self.texts = texts;
        self.unknown = u64::from(few_ones(met & !OPENED));
        for (mark, object) in OPENS {
            if met & mark != 0 {
                self.kinds[object.index()] = Kind::Object;
            }
        }
    }
}

impl Step {
    fn new(piece: Opening, value: &Value, next: Next, row: usize, opens: Option<Field>) -> Self {
        let field = Field::ALL.get(value.slot).copied();
        let has_value = !matches!(next, Next::End | Next::Part);
        let own = match field {
            Some(field) if has_value => field.bit(),
            Some(_) | None => 0,
        };
        let name: u64 = match value.slot.checked_sub(Field::COUNT) {
            Some(name) if has_value => 1 << name,
            Some(_) | None => 0,
        };
        let seen = own | opens.map_or(0, Field::bit);
        let opened = OPENS.iter().filter(|(_, object)| opens == Some(*object));
        Self {
            piece,
            seen,
            met: opened.fold(name, |met, (mark, _)| met | mark),
            quotes: piece.quotes(),
            length: value.token.end() - value.token.start(),
            same: 0,
            visits: 0,
            turns: 0,
            alone: Run::nowhere(),
            run: Run::nowhere(),
            token: if has_value && field.is_some() {
                value.slot
            } else {
                NOBODY
            },
            slot: value.slot,
            node: node(row, Some((value.slot, next))),
            then: FIRST,
            next,
            opens,
            is_time: matches!(field, Some(Field::At | Field::ReceivedAt | Field::Until)),
            is_amount: value.is_amount,
        }
    }

    /// Whether another says the same.
    fn is_as(&self, other: &Self) -> bool {
        self.piece == other.piece
            && (self.slot, self.next, self.opens) == (other.slot, other.next, other.opens)
    }

    /// A value that is no text and no number, and how many quotes it has.
    #[inline(never)]
    fn value(&self, record: &[u8], start: usize, table: &mut Table) -> Option<(Token, u32)> {
        if self.next != Next::Nested {
            return Some((Token::new(start, start, Kind::Null), 0));
        }
        let text = str::from_utf8(record).ok()?;
        let token = nested(text, start - 1, self.token, self.is_amount, table)?;
        let inner = record.get(start..token.end())?;
        let quotes = inner.iter().filter(|byte| **byte == b'"').count();
        Some((token, u32::try_from(quotes).ok()?))
    }

    /// The end of a text: where it mostly is if a quote is there, since whether one came before is
    /// settled by their number. The end of all where there is no quote.
    #[inline(always)]
    fn end_of_text(&mut self, bytes: &[u8], start: usize) -> usize {
        let guess = start + self.length;
        if self.same >= STEADY && bytes.get(guess) == Some(&b'"') {
            return guess;
        }
        let end = quote_after(bytes, start);
        self.same = if end == guess {
            self.same.saturating_add(1)
        } else {
            0
        };
        self.length = end - start;
        end
    }

    /// Whether a text has a card number; a time as it is mostly written has no thirteen digits,
    /// spaces and dashes in a row.
    #[inline(always)]
    fn holds_card_number(&self, text: &[u8], start: usize, end: usize) -> bool {
        let Some(bytes) = text.get(start..end) else {
            return true;
        };
        let is_time = self.is_time
            && bytes.len() <= LONGEST_TIME
            && bytes
                .first_chunk::<17>()
                .is_some_and(|most| most[10] == b'T' && most[13] == b':' && most[16] == b':');
        !is_time && has_stretch(bytes) && str::from_utf8(bytes).map_or(true, contains_card_number)
    }

    /// The end of a number without an idle zero; one that is no amount must be too short for a
    /// card's. Of no field it may have a fraction.
    #[inline(always)]
    fn end_of_number(&self, bytes: &[u8], start: usize) -> Option<usize> {
        let first = start + usize::from(bytes.get(start) == Some(&b'-'));
        let mut end = end_of_digits(bytes, first);
        let idle = bytes.get(first) == Some(&b'0') && end != first + 1;
        if end == first || idle {
            return None;
        }
        if self.token == NOBODY && bytes.get(end) == Some(&b'.') {
            let point = end;
            end = end_of_digits(bytes, point + 1);
            if end == point + 1 {
                return None;
            }
        }
        (self.is_amount || end - first < SHORTEST).then_some(end)
    }
}

/// The place of the first byte at or after a place that is no digit, eight at a time.
#[inline(always)]
fn end_of_digits(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight) ^ (ONES * 0x30);
        // A digit is now 0 to 9: adding 6 carries nothing out of it, and what another byte carries
        // comes behind it.
        let odd = (word | word.wrapping_add(ONES * 6)) & (ONES * 0xf0);
        if odd != 0 {
            return at + usize::try_from(odd.trailing_zeros() / 8).unwrap_or(0);
        }
        at += 8;
    }
    at
}

/// How many bits are set, where mostly none is.
#[inline(always)]
const fn few_ones(bits: u64) -> u32 {
    if bits == 0 { 0 } else { bits.count_ones() }
}

#[cfg(test)]
mod tests;
