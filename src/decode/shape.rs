//! Shapes: records like earlier ones are read by comparing what stands between their values.
//!
//! From a record that `walk.rs` has read, the pieces between its values are kept, and which may
//! follow which. A later record of the same pieces has the same outline, so that only its values
//! are left to be found. What is not so, down to the last byte, is left to `walk.rs`, which has
//! the last word: no answer depends on what is remembered here.

use super::field::{Field, Opening};
use super::pan::{SHORTEST, contains_card_number, has_stretch};
use super::string::quote_after;
use super::token::{Kind, Token};
use super::walk::{ROWS, SETS_ROW, row_of};

/// Bytes that are looked at together: no more than one byte can count.
const BLOCK: usize = 192;
const _: () = assert!(BLOCK <= u8::MAX as usize);
/// The longest piece between two values: the longest key with its brace and quotes.
const MAX_PIECE: usize = Opening::MAX;
/// Pieces that may follow one value; a fifth takes the place of another.
const WAYS: usize = 4;
/// All pieces: eight types of events in a few forms each. More of them means a stream of no
/// shape, and all is forgotten.
const MAX_STEPS: usize = 1_024;
/// Where each text has another length.
const VARIES: usize = usize::MAX;

/// The step that was learned first: a record's begin.
const FIRST: u16 = 1;

/// What one look over a record tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Neither a backslash nor a control character is in it: a string ends at the next quote.
    pub(super) is_plain: bool,
    /// How many quotes it has.
    quotes: usize,
}

impl Look {
    /// Looks at every byte.
    pub(super) fn of(record: &[u8]) -> Self {
        let (blocks, rest) = record.as_chunks::<BLOCK>();
        blocks
            .iter()
            .map(|block| Self::of_few(block))
            .fold(Self::of_few(rest), |all, block| Self {
                is_plain: all.is_plain & block.is_plain,
                quotes: all.quotes + block.quotes,
            })
    }

    /// Without an early return and with sums of one byte, so that the compiler looks at sixteen
    /// bytes at once.
    #[inline(always)]
    fn of_few(bytes: &[u8]) -> Self {
        let (mut quotes, mut backslashes, mut lowest) = (0_u8, 0_u8, u8::MAX);
        for byte in bytes {
            quotes = quotes.wrapping_add(u8::from(*byte == b'"'));
            backslashes = backslashes.wrapping_add(u8::from(*byte == b'\\'));
            lowest = lowest.min(*byte);
        }
        Self {
            is_plain: backslashes == 0 && lowest >= b' ',
            quotes: usize::from(quotes),
        }
    }
}

/// What follows a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Text up to the next quote.
    Text,
    /// Text that says which keys come: a type or a message.
    Word,
    /// A whole number.
    Number,
    /// `null`, which is part of the piece.
    Null,
    /// The end of the record.
    End,
}

/// A piece between values, and the value behind it.
#[derive(Debug)]
struct Step {
    piece: Opening,
    quotes: usize,
    field: Field,
    next: Next,
    /// The object that begins within the piece.
    opens: Option<Field>,
    /// The set of that and of the field.
    seen: u64,
    /// How long the text was the last time, or [`VARIES`].
    length: usize,
    /// The step that came next the last time; 0 where another word would say otherwise.
    then: u16,
}

/// The pieces of earlier records, and which may follow which value.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// Step 0 is no step: nothing that is plain begins with its piece.
    steps: Vec<Step>,
    /// By row and field: the steps that may follow its value.
    ways: Vec<[u16; WAYS]>,
    order: Vec<Field>,
}

/// The place of a value in [`Shapes::ways`]; the record's begin comes last of a row.
///
/// Text and what is no text have places of their own, since what follows a text begins with its
/// quote: `1","id":"` must not be taken for `"1","id":"`.
const fn node(row: usize, after: Option<(Field, Next)>) -> usize {
    let place = match after {
        Some((field, Next::Text | Next::Word)) => 2 * field.index(),
        Some((field, Next::Number | Next::Null | Next::End)) => 2 * field.index() + 1,
        None => 2 * Field::COUNT,
    };
    row * (2 * Field::COUNT + 1) + place
}

impl Shapes {
    /// Reads a plain record, if its shape is known, into the set of its fields and their values.
    /// Nothing where it is not, or where something has to be looked at more closely.
    ///
    /// INVARIANT (one-meaning): the pieces are those of a record that was read, byte for byte, and
    /// no text has a quote: the pieces have them all, which is checked by their number.
    #[inline(never)]
    pub(super) fn follow(
        &mut self,
        text: &str,
        look: Look,
        tokens: &mut [Token; Field::COUNT],
    ) -> Option<u64> {
        let bytes = text.as_bytes();
        let (mut at, mut seen, mut row, mut quotes) = (0, 0, 0, 0);
        let (mut before, mut then) = (0, FIRST);
        loop {
            let rest = bytes.get(at..)?;
            let mut step = self.steps.get_mut(usize::from(then))?;
            if !step.piece.begins(rest) {
                then = self.way(before, row, rest)?;
                self.steps.get_mut(before)?.then = then;
                step = self.steps.get_mut(usize::from(then))?;
            }
            before = usize::from(then);
            // Pieces of different records may follow each other so that a key comes twice.
            if seen & step.seen != 0 {
                return None;
            }
            let start = at + step.piece.length();
            let field = step.field;
            quotes += step.quotes;
            seen |= step.seen;
            if let Some(object) = step.opens {
                tokens[object.index()] = Token::new(start, start, Kind::Object);
            }
            let (end, kind) = match step.next {
                Next::Text | Next::Word => (step.end_of_text(bytes, start)?, Kind::Text),
                Next::Number => (end_of_number(bytes, start, field)?, Kind::Integer),
                Next::Null => (start, Kind::Null),
                Next::End => {
                    let is_whole = start == bytes.len() && quotes == look.quotes;
                    return is_whole.then_some(seen);
                }
            };
            if kind == Kind::Text
                && end - start >= SHORTEST
                && has_stretch(bytes.get(start..end)?)
                && contains_card_number(text.get(start..end)?)
            {
                return None;
            }
            then = step.then;
            if step.next == Next::Word {
                row = row_of(field, text.get(start..end)?);
                then = 0;
            }
            tokens[field.index()] = Token::new(start, end, kind);
            at = end;
        }
    }

    /// The step after another whose piece comes there.
    #[inline(never)]
    fn way(&self, before: usize, row: usize, rest: &[u8]) -> Option<u16> {
        let last = self.steps.get(before)?;
        let after = (before > 0).then_some((last.field, last.next));
        let ways = self.ways.get(node(row, after))?.iter().copied();
        ways.take_while(|way| *way != 0).find(|way| {
            let step = self.steps.get(usize::from(*way));
            step.is_some_and(|step| step.piece.begins(rest))
        })
    }

    /// Remembers the shape of a record that has been read, if it is one of everyday.
    #[cold]
    pub(super) fn learn(&mut self, text: &str, seen: u64, tokens: &[Token; Field::COUNT]) {
        if self.steps.is_empty() || self.steps.len() >= MAX_STEPS {
            self.forget();
        }
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(Field::ALL.iter().filter(|field| seen & field.bit() != 0));
        order.sort_unstable_by_key(|field| tokens[field.index()].start());
        self.learn_in_order(text, &order, tokens);
        self.order = order;
    }

    fn forget(&mut self) {
        self.steps.clear();
        self.ways.clear();
        self.ways.resize(node(ROWS, None), [0; WAYS]);
        self.steps.push(Step {
            piece: Opening::new(b"\0"),
            quotes: 0,
            field: Field::Type,
            next: Next::End,
            opens: None,
            seen: 0,
            length: VARIES,
            then: 0,
        });
    }

    /// Whether every value is of a kind that a step can stand for: a record with another one, such
    /// as an `acct_info`, would be learned in vain each time.
    fn can_be_learned(order: &[Field], tokens: &[Token]) -> bool {
        order.iter().all(|field| {
            tokens
                .get(field.index())
                .is_some_and(|token| match token.kind {
                    Kind::Text | Kind::Integer | Kind::Null => true,
                    Kind::Object => matches!(field, Field::Merchant | Field::Subject),
                    Kind::Array | Kind::Float | Kind::Bool | Kind::Unescaped => false,
                })
        })
    }

    /// Pieces learned before one that cannot be are true all the same.
    fn learn_in_order(&mut self, text: &str, order: &[Field], tokens: &[Token]) -> Option<()> {
        if !Self::can_be_learned(order, tokens) {
            return None;
        }
        let (mut at, mut row, mut opens) = (0, 0, None);
        let mut after = node(0, None);
        for field in order {
            let token = tokens.get(field.index())?;
            let (next, end) = match token.kind {
                Kind::Text if SETS_ROW & field.bit() != 0 => (Next::Word, token.start()),
                Kind::Text => (Next::Text, token.start()),
                Kind::Integer => (Next::Number, token.start()),
                Kind::Null => (Next::Null, token.end()),
                Kind::Object if matches!(field, Field::Merchant | Field::Subject) => {
                    if opens.replace(*field).is_some() {
                        return None;
                    }
                    continue;
                }
                Kind::Object | Kind::Array | Kind::Float | Kind::Bool | Kind::Unescaped => {
                    return None;
                }
            };
            let length = token.end() - token.start();
            self.add(
                after,
                text.get(at..end)?,
                *field,
                next,
                opens.take(),
                length,
            )?;
            if next == Next::Word {
                row = row_of(*field, token.of(text));
            }
            after = node(row, Some((*field, next)));
            at = token.end();
        }
        self.add(after, text.get(at..)?, Field::Type, Next::End, opens, 0)
    }

    fn add(
        &mut self,
        after: usize,
        piece: &str,
        field: Field,
        next: Next,
        opens: Option<Field>,
        length: usize,
    ) -> Option<()> {
        if piece.is_empty() || piece.len() > MAX_PIECE {
            return None;
        }
        let piece = Opening::new(piece.as_bytes());
        let ways = self.ways.get_mut(after)?;
        for way in *ways {
            let step = self.steps.get_mut(usize::from(way))?;
            if step.piece == piece && (step.field, step.next, step.opens) == (field, next, opens) {
                if step.length != length {
                    step.length = VARIES;
                }
                return Some(());
            }
        }
        let free = ways.iter().position(|way| *way == 0);
        let slot = ways.get_mut(free.unwrap_or(self.steps.len() % WAYS))?;
        *slot = u16::try_from(self.steps.len()).ok()?;
        let quotes = piece.quotes();
        let object = opens.map_or(0, Field::bit);
        let seen = object | if next == Next::End { 0 } else { field.bit() };
        self.steps.push(Step {
            piece,
            quotes,
            field,
            next,
            opens,
            seen,
            length,
            then: 0,
        });
        Some(())
    }
}

impl Step {
    /// The end of a text: where it was the last time if a quote is there, since whether one came
    /// before is settled by their number.
    #[inline(always)]
    fn end_of_text(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        let guess = start.saturating_add(self.length);
        if bytes.get(guess) == Some(&b'"') {
            return Some(guess);
        }
        self.length = VARIES;
        let end = quote_after(bytes, start);
        (end < bytes.len()).then_some(end)
    }
}

/// The end of a whole number without an idle zero; one that is no amount must be too short for a
/// card's.
#[inline(always)]
fn end_of_number(bytes: &[u8], start: usize, field: Field) -> Option<usize> {
    let first = start + usize::from(bytes.get(start) == Some(&b'-'));
    let mut end = first;
    while bytes.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    let idle = bytes.get(first) == Some(&b'0') && end != start + 1;
    let fits = end > first && !idle && (field.is_amount() || end - first < SHORTEST);
    fits.then_some(end)
}

#[cfg(test)]
mod tests {
    use super::super::Decoder;
    use super::*;
    use crate::domain::event::Event;

    /// What is said of a record after others have been read, each twice.
    fn said_after(others: &[&str], record: &str) -> Option<&'static str> {
        let mut decoder = Decoder::default();
        let mut event = Event::default();
        for other in others.iter().chain(others) {
            // Refused or not, its shape is known afterwards.
            decoder.decode(other.as_bytes(), &mut event).ok();
        }
        let said = decoder.decode(record.as_bytes(), &mut event);
        said.err().map(|reject| reject.code)
    }

    fn otp(rest: &str) -> String {
        format!(r#"{{"type":"otp","id":"a","at":"2018-03-05T16:44:56Z","card":"c",{rest}}}"#)
    }

    #[test]
    fn what_follows_a_text_is_not_taken_behind_a_number() {
        let text = otp(r#""mcc":"5411","action":"sent","acs_trans_id":"x""#);
        let number = otp(r#""mcc":5411,"action":"sent","acs_trans_id":"x""#);
        let mixed = otp(r#""mcc":5411","action":"sent","acs_trans_id":"x""#);
        assert_eq!(
            said_after(&[&text, &number], &mixed),
            Some("malformed_json")
        );
        assert_eq!(said_after(&[&text, &number], &text), None);
        assert_eq!(said_after(&[&text, &number], &number), None);
    }

    #[test]
    fn a_key_that_comes_twice_by_way_of_two_orders_is_found() {
        let one = otp(r#""phone":"p","action":"sent","acs_trans_id":"x""#);
        let other = otp(r#""action":"sent","phone":"p","acs_trans_id":"x""#);
        let twice = otp(r#""phone":"p","action":"sent","phone":"p","acs_trans_id":"x""#);
        assert_eq!(said_after(&[&one, &other], &twice), Some("duplicate_key"));
    }

    #[test]
    fn a_quote_where_a_text_ended_before_does_not_end_one_that_has_ended() {
        let known = otp(r#""action":"sent","acs_trans_id":"abcdefghijklmnop""#);
        let shorter = otp(r#""action":"sent","acs_trans_id":"abc","phone":"q""#);
        let hidden = otp(r#""action":"sent","acs_trans_id":"ab","zip":"fgh""#);
        assert_eq!(said_after(&[&known], &shorter), None);
        assert_eq!(said_after(&[&known], &hidden), None);
        let mut decoder = Decoder::default();
        let mut event = Event::default();
        for record in [&known, &known, &hidden] {
            decoder.decode(record.as_bytes(), &mut event).unwrap();
        }
        assert_eq!(event.str(event.acs), "ab");
        assert_eq!(decoder.unknown_fields(), 1);
    }

    #[test]
    fn a_look_counts_every_quote_and_finds_every_odd_byte() {
        for length in [0, 1, 15, 16, 31, 32, 33, 191, 192, 193, 384, 1_000] {
            let quotes = vec![b'"'; length];
            assert_eq!(Look::of(&quotes).quotes, length);
            assert!(Look::of(&quotes).is_plain);
            for odd in [0, 0x1f, b'\\', b'\n'] {
                for place in 0..length {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = odd;
                    assert!(!Look::of(&bytes).is_plain, "{odd} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn a_stream_of_ever_other_shapes_is_forgotten_in_time() {
        let mut decoder = Decoder::default();
        let mut event = Event::default();
        for count in 0..3_000 {
            let record = otp(&format!(
                r#""phone":"p",{}"action":"sent","acs_trans_id":"x""#,
                " ".repeat(count % 20)
            ))
            .replace(
                r#""card":"#,
                &format!("{}\"card\":", " ".repeat(count / 20 % 18)),
            );
            assert!(decoder.decode(record.as_bytes(), &mut event).is_ok());
            assert!(decoder.table.shapes.steps.len() <= MAX_STEPS + 64);
        }
    }
}
