//! Shapes: records like earlier ones are read by comparing what stands between their values.
//!
//! From a record that `walk.rs` has read, the pieces between its values are kept, and which may
//! follow which. A later record of the same pieces has the same outline, so that only its values
//! are left to be found. What is not so, down to the last byte, is left to `walk.rs`, which has
//! the last word: no answer depends on what is remembered here.

use super::field::{Field, Opening, Scope, is_amount};
use super::look::Look;
use super::pan::{SHORTEST, contains_card_number, has_stretch};
use super::string::quote_after;
use super::token::{Kind, Token};
use super::walk::{ROWS, SETS_ROW, Stranger, TOKENS, Table, nested, row_of};

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
/// A record with more keys of no field is not learned.
const MAX_STRANGERS: usize = 24;
/// Places of values: every field, then every remembered key of no field.
const SLOTS: usize = Field::COUNT + MAX_NAMES;
/// Where the values of no field go: a token that nobody reads.
const NOBODY: usize = TOKENS - 1;
const _: () = assert!(Field::COUNT <= NOBODY && SLOTS <= u8::MAX as usize);
/// Where each text has another length.
const VARIES: usize = 1 << 32;
/// Marks among the keys of no field: the merchant or the subject begins within the piece.
const OPENS: [(u64, Field); 2] = [
    (1 << MAX_NAMES, Field::Merchant),
    (1 << (MAX_NAMES + 1), Field::Subject),
];
const OPENED: u64 = OPENS[0].0 | OPENS[1].0;
/// A value, in [`Step::counts`]; quotes are the lower half.
const VALUE: u64 = 1 << 32;

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
    /// How many quotes the piece has, and how many values are in `seen` and `met`.
    counts: u64,
    /// How long the text was the last time, or [`VARIES`]; the length of a word.
    length: usize,
    /// The place of its value in the table.
    token: usize,
    /// Its place among [`SLOTS`].
    slot: usize,
    /// The row of what comes after it.
    row: usize,
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

/// A value of a record that is being learned.
#[derive(Debug, Clone, Copy)]
struct Value {
    slot: usize,
    scope: Scope,
    token: Token,
    /// What its piece says of it; nothing where it is an object that is read key by key.
    next: Option<Next>,
    is_amount: bool,
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
    /// where something has to be looked at more closely.
    ///
    /// INVARIANT (one-meaning): the pieces are those of a record that was read, byte for byte, and
    /// no text has a quote: the pieces have them all, which is checked by their number.
    #[inline(never)]
    pub(super) fn follow(&mut self, text: &str, look: Look, table: &mut Table) -> Option<()> {
        let bytes = text.as_bytes();
        let (mut at, mut seen, mut met, mut counts) = (0, 0, 0, 0);
        let (mut before, mut then) = (0, self.steps.first()?.then);
        loop {
            let rest = bytes.get(at..)?;
            let mut step = self.steps.get_mut(then)?;
            if !step.piece.begins(rest) {
                then = self.way(before, rest)?;
                step = self.steps.get_mut(then)?;
            }
            before = then;
            seen |= step.seen;
            met |= step.met;
            counts += step.counts;
            let start = at + step.piece.length();
            then = step.then;
            if step.next == Next::Text {
                at = step.end_of_text(bytes, start)?;
                if at - start >= SHORTEST && step.holds_card_number(text, start, at) {
                    return None;
                }
                table.tokens[step.token % TOKENS] = Token::new(start, at, Kind::Text);
                continue;
            }
            if step.next == Next::End {
                // Pieces of different records may follow each other so that a key comes twice.
                let values = seen.count_ones() + (met & !OPENED).count_ones();
                let expected = u64::from(values) * VALUE + u64::from(look.quotes);
                table.close(seen, met, start);
                return (start == bytes.len() && counts == expected).then_some(());
            }
            let (token, inner) = step.value(text, start, table)?;
            counts += u64::from(inner);
            table.tokens[step.token % TOKENS] = token;
            at = token.end();
        }
    }

    /// The step after another whose piece comes there; it is expected there from now on.
    #[inline(never)]
    fn way(&mut self, before: usize, rest: &[u8]) -> Option<usize> {
        let last = self.steps.get(before)?;
        let after = (before > 0).then_some((last.slot, last.next));
        let ways = self.ways.get(node(last.row, after))?.iter().copied();
        let found = ways.take_while(|way| *way != 0).find(|way| {
            let step = self.steps.get(usize::from(*way));
            step.is_some_and(|step| step.piece.begins(rest))
        })?;
        self.steps.get_mut(before)?.then = usize::from(found);
        Some(usize::from(found))
    }

    /// Remembers the shape of a record that has been read, if it is one of everyday.
    #[cold]
    pub(super) fn learn(&mut self, text: &str, table: &Table) {
        if table.strangers.len() > MAX_STRANGERS {
            return;
        }
        let is_full = self.steps.len() >= MAX_STEPS || self.names.len() >= MAX_NAMES;
        if self.steps.is_empty() || is_full {
            self.forget();
        }
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        // A value that no step can stand for would be met, and learned in vain, each time.
        if self.values(text, table, &mut order).is_some() {
            order.sort_unstable_by_key(|value| value.token.start());
            self.learn_in_order(text, &order);
        }
        self.order = order;
    }

    /// The values of a record; nothing where one of them cannot be learned.
    fn values(&mut self, text: &str, table: &Table, order: &mut Vec<Value>) -> Option<()> {
        for field in Field::ALL {
            if table.seen & field.bit() != 0 {
                order.push(Value::of_field(*field, table.tokens[field.index()])?);
            }
        }
        for stranger in &table.strangers {
            let name = stranger.key.of(text);
            let slot = self.slot_of(stranger.scope, name)?;
            order.push(Value::of_stranger(stranger, slot, name)?);
        }
        Some(())
    }

    /// The place of a name; nothing where there is no more room.
    fn slot_of(&mut self, scope: Scope, name: &str) -> Option<usize> {
        let known = self.names.iter();
        let mut known = known.map(|(of, known)| *of == scope && **known == *name);
        let place = known.position(|is_it| is_it).or_else(|| {
            let is_free = self.names.len() < MAX_NAMES;
            is_free.then(|| {
                self.names.push((scope, Box::from(name)));
                self.names.len() - 1
            })
        });
        place.map(|place| Field::COUNT + place)
    }

    fn forget(&mut self) {
        self.steps.clear();
        self.ways.clear();
        self.names.clear();
        self.ways.resize(node(ROWS, None), [0; WAYS]);
        self.steps.push(Step {
            piece: Opening::new(b"\0"),
            seen: 0,
            met: 0,
            counts: 0,
            length: VARIES,
            token: NOBODY,
            slot: 0,
            row: 0,
            then: FIRST,
            next: Next::End,
            opens: None,
            is_time: false,
            is_amount: false,
        });
    }

    fn learn_in_order(&mut self, text: &str, order: &[Value]) -> Option<()> {
        let (mut at, mut row, mut opens) = (0, 0, None);
        let (mut after, mut scope) = (node(0, None), Scope::Record);
        for value in order {
            let field = Field::ALL.get(value.slot).copied();
            let Some(next) = value.next else {
                if std::mem::replace(&mut opens, field).is_some() {
                    return None;
                }
                continue;
            };
            let token = value.token;
            let end = match next {
                Next::Text | Next::Number => token.start(),
                Next::Nested => token.start() + 1,
                Next::Word | Next::Literal | Next::Part | Next::End => token.end(),
            };
            let (after_parts, rest) = self.add_parts(after, row, scope, text.get(at..end)?)?;
            if let (Next::Word, Some(field)) = (next, field) {
                row = row_of(field, token.of(text));
            }
            self.add(after_parts, rest, value, row, opens.take())?;
            after = node(row, Some((value.slot, next)));
            (at, scope) = (token.end(), value.scope);
        }
        let (after, rest) = self.add_parts(after, row, scope, text.get(at..)?)?;
        let end = Value::none(0, Scope::Record, Next::End);
        self.add(after, rest, &end, row, opens)
    }

    /// Cuts a long piece: all but its last part become steps of their own.
    fn add_parts<'a>(
        &mut self,
        mut after: usize,
        row: usize,
        scope: Scope,
        mut piece: &'a str,
    ) -> Option<(usize, &'a str)> {
        while piece.len() > MAX_PIECE {
            let (part, rest) = piece.split_at_checked(MAX_PIECE)?;
            let slot = self.slot_of(scope, part)?;
            let value = Value::none(slot, scope, Next::Part);
            self.add(after, part, &value, row, None)?;
            after = node(row, Some((slot, Next::Part)));
            piece = rest;
        }
        Some((after, piece))
    }

    fn add(
        &mut self,
        after: usize,
        piece: &str,
        value: &Value,
        row: usize,
        opens: Option<Field>,
    ) -> Option<()> {
        if piece.is_empty() {
            return None;
        }
        let piece = Opening::new(piece.as_bytes());
        let step = Step::new(piece, value, value.next?, row, opens);
        let ways = self.ways.get_mut(after)?;
        for way in *ways {
            let known = self.steps.get_mut(usize::from(way))?;
            if known.is_as(&step) {
                if known.length != step.length {
                    known.length = VARIES;
                }
                return Some(());
            }
        }
        let free = ways.iter().position(|way| *way == 0);
        let slot = ways.get_mut(free.unwrap_or(self.steps.len() % WAYS))?;
        *slot = u16::try_from(self.steps.len()).ok()?;
        self.steps.push(step);
        Some(())
    }
}

impl Table {
    /// Takes down what was read to the end.
    #[inline(always)]
    fn close(&mut self, seen: u64, met: u64, end: usize) {
        self.seen = seen;
        self.unknown = u64::from((met & !OPENED).count_ones());
        for (mark, object) in OPENS {
            if met & mark != 0 {
                self.tokens[object.index()] = Token::new(end, end, Kind::Object);
            }
        }
    }
}

impl Value {
    /// The value of a field; nothing where no step can stand for it.
    fn of_field(field: Field, token: Token) -> Option<Self> {
        let next = match token.kind {
            Kind::Text if SETS_ROW & field.bit() != 0 => Some(Next::Word),
            Kind::Text => Some(Next::Text),
            Kind::Integer => Some(Next::Number),
            Kind::Null => Some(Next::Literal),
            Kind::Object if matches!(field, Field::Merchant | Field::Subject) => None,
            Kind::Object | Kind::Array => Some(Next::Nested),
            Kind::Float | Kind::Bool | Kind::Unescaped => return None,
        };
        Some(Self {
            slot: field.index(),
            scope: field.scope(),
            token,
            next,
            is_amount: field.is_amount(),
        })
    }

    /// The value of no field.
    fn of_stranger(stranger: &Stranger, slot: usize, name: &str) -> Option<Self> {
        let next = match stranger.value.kind {
            Kind::Text => Next::Text,
            Kind::Integer | Kind::Float => Next::Number,
            Kind::Null | Kind::Bool => Next::Literal,
            Kind::Object | Kind::Array => Next::Nested,
            Kind::Unescaped => return None,
        };
        Some(Self {
            slot,
            scope: stranger.scope,
            token: stranger.value,
            next: Some(next),
            is_amount: is_amount(name),
        })
    }

    /// No value: the end, or where a long piece is cut.
    fn none(slot: usize, scope: Scope, next: Next) -> Self {
        Self {
            slot,
            scope,
            token: Token::default(),
            next: Some(next),
            is_amount: false,
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
        let values = u64::from(seen.count_ones() + name.count_ones());
        let opened = OPENS.iter().filter(|(_, object)| opens == Some(*object));
        Self {
            piece,
            seen,
            met: opened.fold(name, |met, (mark, _)| met | mark),
            counts: values * VALUE + piece.quotes(),
            length: value.token.end() - value.token.start(),
            token: if has_value && field.is_some() {
                value.slot
            } else {
                NOBODY
            },
            slot: value.slot,
            row,
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

    /// The value that begins at a place, where it is no text, and how many quotes it has.
    #[inline(never)]
    fn value(&self, text: &str, start: usize, table: &mut Table) -> Option<(Token, u32)> {
        let bytes = text.as_bytes();
        let token = match self.next {
            Next::Word => Token::new(start - self.length, start, Kind::Text),
            Next::Number => {
                let end = self.end_of_number(bytes, start)?;
                Token::new(start, end, Kind::Integer)
            }
            Next::Nested => {
                let token = nested(text, start - 1, self.token, self.is_amount, table)?;
                let inner = Look::of(bytes.get(start..token.end())?);
                return Some((token, inner.quotes));
            }
            Next::Literal | Next::Part | Next::Text | Next::End => {
                Token::new(start, start, Kind::Null)
            }
        };
        Some((token, 0))
    }

    /// The end of a text: where it was the last time if a quote is there, since whether one came
    /// before is settled by their number.
    #[inline(always)]
    fn end_of_text(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        let guess = start + self.length;
        if bytes.get(guess) == Some(&b'"') {
            return Some(guess);
        }
        self.length = VARIES;
        let end = quote_after(bytes, start);
        (end < bytes.len()).then_some(end)
    }

    /// Whether a text has a card number; a time as it is mostly written has no thirteen digits,
    /// spaces and dashes in a row.
    #[inline(always)]
    fn holds_card_number(&self, text: &str, start: usize, end: usize) -> bool {
        let Some(bytes) = text.as_bytes().get(start..end) else {
            return true;
        };
        let is_time = self.is_time
            && bytes.len() <= LONGEST_TIME
            && bytes
                .first_chunk::<17>()
                .is_some_and(|most| most[10] == b'T' && most[13] == b':' && most[16] == b':');
        !is_time && has_stretch(bytes) && text.get(start..end).is_none_or(contains_card_number)
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

#[inline(always)]
fn end_of_digits(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests;
