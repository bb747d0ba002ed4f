//! The JSON reader: one pass over a record that leaves a table of where each field's value stands.
//!
//! Strict (RFC 8259), bounded in depth, and quick enough: after each field it expects the key that
//! followed it the last time, compares it in one step, and searches by name only where that fails.
//! Most records never come here: `shape.rs` knows them. What the values mean is not judged here, save that every string and
//! number goes past the card-number guard.

use super::Code;
use super::field::{Field, OPENINGS, Scope, is_amount, set};
use super::pan::{contains_card_number, number_contains_card_number};
use super::token::{Kind, Place, Token};
use crate::domain::codes::{EventType, Message};

/// Objects and arrays within each other, the record itself included: the contract needs two, the
/// free `acct_info` a few more, and the reader's own recursion is bounded by it.
const MAX_DEPTH: u32 = 32;
/// How deep a value of no field stands at most: in the merchant.
const NESTED_DEPTH: u32 = 2;
/// Up to so many keys of one object are compared pair by pair; more are sorted.
const FEW_KEYS: usize = 8;
/// Rows of the table of expected keys: type not yet known, 8 types, 5 messages.
pub(super) const ROWS: usize = 1 + EventType::ALL.len() + Message::ALL.len();
/// Places after which a key is expected: every field, and the openings of the three objects.
const PLACES: usize = Field::COUNT + 3;

/// The fields that say which keys to expect.
pub(super) const SETS_ROW: u64 = set(&[Field::Type, Field::Message]);

/// Values that the table has room for: a power of two, so that a place can be cut to it.
pub(super) const TOKENS: usize = 64;
const _: () = assert!(Field::COUNT < TOKENS);

/// A key of no field with its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stranger {
    pub(super) scope: Scope,
    pub(super) key: Token,
    pub(super) value: Token,
}

/// What was found in a record, and the keys that the next one is expected to have.
#[derive(Debug)]
pub(super) struct Table {
    /// The fields that the record has, as a set.
    pub(super) seen: u64,
    /// Where their values stand, by field; stale where not in `seen`.
    pub(super) places: [Place; TOKENS],
    /// What they are, by field; stale where in `texts` or not in `seen`.
    pub(super) kinds: [Kind; TOKENS],
    /// Texts that had escapes, resolved, one after another.
    pub(super) unescaped: String,
    /// The fields whose value is text without escapes, as a set.
    pub(super) texts: u64,
    /// Whether the record has neither escapes nor control characters.
    pub(super) is_plain: bool,
    /// How many keys of the record, its merchant or its subject belong to no field.
    pub(super) unknown: u64,
    /// These keys, where `walk` read the record.
    pub(super) strangers: Vec<Stranger>,
    card_number: bool,
    duplicate: bool,
    /// Keys of no field, of the objects that are being read.
    keys: Vec<Token>,
    expected: [[Field; PLACES]; ROWS],
}

impl Default for Table {
    fn default() -> Self {
        let mut expected = [[Field::Type; PLACES]; ROWS];
        // INVARIANT (expected-in-scope): a key expected within an object is one of that object's.
        for row in &mut expected {
            for (scope, first) in [
                (Scope::Merchant, Field::MerchantId),
                (Scope::Subject, Field::SubjectEvent),
            ] {
                row[opening_of(scope)] = first;
            }
            for field in [
                Field::MerchantId,
                Field::MerchantName,
                Field::MerchantCountry,
            ] {
                row[field.index()] = Field::MerchantName;
            }
            for field in [Field::SubjectEvent, Field::SubjectAlert] {
                row[field.index()] = Field::SubjectAlert;
            }
        }
        Self {
            seen: 0,
            places: [Place::default(); TOKENS],
            kinds: [Kind::default(); TOKENS],
            unescaped: String::new(),
            texts: 0,
            is_plain: false,
            unknown: 0,
            strangers: Vec::new(),
            card_number: false,
            duplicate: false,
            keys: Vec::new(),
            expected,
        }
    }
}

const fn opening_of(scope: Scope) -> usize {
    match scope {
        Scope::Record => Field::COUNT,
        Scope::Merchant => Field::COUNT + 1,
        Scope::Subject => Field::COUNT + 2,
    }
}

impl Table {
    /// The value of a field that the record has.
    #[inline(always)]
    pub(super) fn token(&self, field: Field) -> Token {
        let is_text = self.texts & field.bit() != 0;
        Token {
            place: self.places[field.index()],
            kind: if is_text {
                Kind::Text
            } else {
                self.kinds[field.index()]
            },
        }
    }

    /// Reads a record. Of several faults the first in this order is told: what is no JSON or too
    /// deep, a card number, a key twice, a value that is no object.
    pub(super) fn walk(&mut self, text: &str) -> Result<(), Code> {
        self.seen = 0;
        self.texts = 0;
        self.unescaped.clear();
        self.unknown = 0;
        self.strangers.clear();
        self.card_number = false;
        self.duplicate = false;
        self.keys.clear();
        let mut walk = Walk {
            text,
            bytes: text.as_bytes(),
            at: 0,
            keeps: false,
            row: 0,
            table: self,
        };
        walk.skip_space();
        let is_object = walk.peek() == b'{';
        if is_object {
            walk.members(Scope::Record, 1)?;
        } else {
            walk.value(false, 0)?;
        }
        walk.skip_space();
        if walk.at != text.len() {
            return Err(MALFORMED);
        }
        if self.card_number {
            return Err(Code::CardNumber);
        }
        if self.duplicate {
            return Err(Code::DuplicateKey);
        }
        if !is_object {
            return Err(Code::NotAnObject);
        }
        Ok(())
    }
}

pub(super) const MALFORMED: Code = Code::MalformedJson;

/// The row of a type or a message: their records have their keys in different orders.
pub(super) fn row_of(field: Field, word: &str) -> usize {
    let row = if field == Field::Type {
        EventType::parse(word).map(|kind| usize::from(kind.code()))
    } else {
        Message::parse(word).map(|known| EventType::ALL.len() + usize::from(known.code()))
    };
    row.unwrap_or(0)
}

/// Reads an object or array within a plain record, from its first byte on. Nothing where it is
/// faulty, has a key twice or a card number: then the record must be read as a whole, to say so.
pub(super) fn nested(
    text: &str,
    at: usize,
    place: usize,
    amount: bool,
    table: &mut Table,
) -> Option<Token> {
    let keeps = place == Field::AcctInfo.index();
    (table.card_number, table.duplicate) = (false, false);
    table.keys.clear();
    let mut walk = Walk {
        text,
        bytes: text.as_bytes(),
        at,
        keeps,
        row: 0,
        table,
    };
    let token = walk.value(amount, NESTED_DEPTH).ok()?;
    let has_card_number = keeps && contains_card_number(token.of(text));
    let is_faulty = has_card_number || table.card_number || table.duplicate;
    (!is_faulty).then_some(token)
}

/// A record while it is read.
pub(super) struct Walk<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Within `acct_info`, which is kept as it stands: its keys and amounts are guarded too.
    keeps: bool,
    row: usize,
    pub(super) table: &'a mut Table,
}

impl Walk<'_> {
    /// The next byte; 0, which is nowhere valid, at the end.
    #[inline]
    pub(super) fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// Reads an object whose keys we know, from its brace on.
    fn members(&mut self, scope: Scope, depth: u32) -> Result<(), Code> {
        let first_key = self.table.keys.len();
        let mut place = opening_of(scope);
        self.at += 1;
        self.skip_space();
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            place = self.member(scope, place, depth)?;
            self.skip_space();
            match self.peek() {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err(MALFORMED),
            }
        }
        self.at += 1;
        self.close_keys(first_key);
        Ok(())
    }

    /// Reads a key and its value, and tells after which field the next key is expected. A known
    /// key is expected here from now on.
    fn member(&mut self, scope: Scope, place: usize, depth: u32) -> Result<usize, Code> {
        self.skip_space();
        let guess = self.table.expected[self.row][place];
        let length = OPENINGS[guess.index()].length_in(self.rest());
        if length > 0 {
            self.at += length;
            self.field(guess, depth)?;
            return Ok(guess.index());
        }
        let token = self.any_key()?;
        let key = self.text_of(token);
        if let Some(field) = Field::find(scope, key) {
            self.table.expected[self.row][place] = field;
            self.field(field, depth)?;
            return Ok(field.index());
        }
        let amount = is_amount(key);
        self.table.keys.push(token);
        self.table.unknown += 1;
        let value = self.value(amount, depth)?;
        self.table.strangers.push(Stranger {
            scope,
            key: token,
            value,
        });
        Ok(place)
    }

    fn any_key(&mut self) -> Result<Token, Code> {
        if self.peek() != b'"' {
            return Err(MALFORMED);
        }
        let token = self.string()?;
        self.skip_space();
        if self.peek() != b':' {
            return Err(MALFORMED);
        }
        self.at += 1;
        Ok(token)
    }

    fn field(&mut self, field: Field, depth: u32) -> Result<(), Code> {
        self.table.duplicate |= self.table.seen & field.bit() != 0;
        self.table.seen |= field.bit();
        self.skip_space();
        self.keeps = field == Field::AcctInfo;
        let token = match self.peek() {
            b'{' if field == Field::Merchant => self.inner(Scope::Merchant, depth)?,
            b'{' if field == Field::Subject => self.inner(Scope::Subject, depth)?,
            _ => self.value(field.is_amount(), depth)?,
        };
        self.keeps = false;
        self.table.places[field.index()] = token.place;
        self.table.kinds[field.index()] = token.kind;
        if token.kind == Kind::Text {
            self.table.texts |= field.bit();
        }
        if SETS_ROW & field.bit() != 0 {
            self.set_row(field, token);
        }
        if field == Field::AcctInfo && token.kind != Kind::Unescaped {
            // As people see it, escapes and all.
            self.table.card_number |= contains_card_number(token.of(self.text));
        }
        Ok(())
    }

    fn set_row(&mut self, field: Field, token: Token) {
        self.row = row_of(field, self.text_of(token));
    }

    #[inline]
    fn checked_string(&mut self) -> Result<Token, Code> {
        let token = self.string()?;
        self.table.card_number |= contains_card_number(self.text_of(token));
        Ok(token)
    }

    fn inner(&mut self, scope: Scope, depth: u32) -> Result<Token, Code> {
        let start = self.at;
        self.members(scope, depth + 1)?;
        Ok(Token::new(start, self.at, Kind::Object))
    }

    /// Reads any value, and space before it, within containers of that depth.
    fn value(&mut self, amount: bool, depth: u32) -> Result<Token, Code> {
        self.skip_space();
        match self.peek() {
            b'"' => self.checked_string(),
            b'-' | b'0'..=b'9' => self.number(amount),
            b'{' | b'[' if depth == MAX_DEPTH => Err(Code::TooDeep),
            b'{' => self.object(depth + 1),
            b'[' => self.array(amount, depth + 1),
            b't' => self.literal(b"true", Kind::Bool),
            b'f' => self.literal(b"false", Kind::Bool),
            b'n' => self.literal(b"null", Kind::Null),
            _ => Err(MALFORMED),
        }
    }

    fn literal(&mut self, word: &[u8], kind: Kind) -> Result<Token, Code> {
        if !self.rest().starts_with(word) {
            return Err(MALFORMED);
        }
        let start = self.at;
        self.at += word.len();
        Ok(Token::new(start, self.at, kind))
    }

    /// Reads an object that is no concern of ours, with the same strictness.
    fn object(&mut self, depth: u32) -> Result<Token, Code> {
        let (start, first_key) = (self.at, self.table.keys.len());
        self.at += 1;
        self.skip_space();
        while self.peek() != b'}' {
            let key = self.any_key()?;
            self.table.keys.push(key);
            let amount = is_amount(self.text_of(key)) && !self.keeps;
            if self.keeps {
                self.table.card_number |= contains_card_number(self.text_of(key));
            }
            self.skip_space();
            self.value(amount, depth)?;
            self.next_or(b'}')?;
        }
        self.at += 1;
        self.close_keys(first_key);
        Ok(Token::new(start, self.at, Kind::Object))
    }

    fn array(&mut self, amount: bool, depth: u32) -> Result<Token, Code> {
        let start = self.at;
        self.at += 1;
        self.skip_space();
        while self.peek() != b']' {
            self.value(amount, depth)?;
            self.next_or(b']')?;
        }
        self.at += 1;
        Ok(Token::new(start, self.at, Kind::Array))
    }

    /// Passes a comma that something follows, or stops before the closing byte.
    fn next_or(&mut self, closing: u8) -> Result<(), Code> {
        self.skip_space();
        if self.peek() == b',' {
            self.at += 1;
            self.skip_space();
            if self.peek() != closing {
                return Ok(());
            }
        } else if self.peek() == closing {
            return Ok(());
        }
        Err(MALFORMED)
    }

    /// Forgets the keys of an object that has been read, having looked for one that stands twice.
    #[inline]
    fn close_keys(&mut self, first: usize) {
        if self.table.keys.len() > first {
            self.table.duplicate |= self.has_twice(first);
            self.table.keys.truncate(first);
        }
    }

    fn has_twice(&mut self, first: usize) -> bool {
        let (text, unescaped) = (self.text, self.table.unescaped.as_str());
        let key = |token: &Token| {
            let of = if token.kind == Kind::Unescaped {
                unescaped
            } else {
                text
            };
            token.of(of).as_bytes()
        };
        let keys = &mut self.table.keys[first..];
        if keys.len() <= FEW_KEYS {
            return (1..keys.len()).any(|i| keys[..i].iter().any(|k| key(k) == key(&keys[i])));
        }
        keys.sort_unstable_by(|a, b| key(a).cmp(key(b)));
        keys.windows(2).any(|pair| key(&pair[0]) == key(&pair[1]))
    }

    #[inline]
    fn text_of(&self, token: Token) -> &str {
        match token.kind {
            Kind::Unescaped => token.of(&self.table.unescaped),
            Kind::Text => token.of(self.text),
            Kind::Null | Kind::Integer | Kind::Float | Kind::Bool | Kind::Array | Kind::Object => {
                ""
            }
        }
    }

    fn number(&mut self, amount: bool) -> Result<Token, Code> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return Err(MALFORMED),
        }
        let mut kind = Kind::Integer;
        if self.peek() == b'.' {
            kind = Kind::Float;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            kind = Kind::Float;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        let token = Token::new(start, self.at, kind);
        if !amount {
            self.table.card_number |= number_contains_card_number(token.of(self.text));
        }
        Ok(token)
    }

    #[inline]
    fn digits(&mut self) -> Result<(), Code> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start {
            Err(MALFORMED)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_strict() {
        let mut table = Table::default();
        let mut code = |text: &str| table.walk(text).err();
        for good in [
            "{}",
            " { } ",
            r#"{"a":[1,-0,0.5,1e9,1E-2,true,false,null,{},[],"\u00e6\ud83d\ude00\/\b"]}"#,
            "{\"a\" :\t1 ,\r\n\"b\":2}",
        ] {
            assert_eq!(code(good), None, "{good}");
        }
        for bad in [
            "",
            " ",
            "{",
            "}",
            "{]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":+1}",
            "{\"a\":1e}",
            "{\"a\":-}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":tru}",
            "{\"a\":[1,]}",
            "{}x",
            "{} {}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\udc00\"}",
            "{\"a\":\"\\ud800\\u0041\"}",
            "{\"a\":\"",
            "{\"a\":\"\\",
            "\u{feff}{}",
        ] {
            assert_eq!(code(bad), Some(Code::MalformedJson), "{bad}");
        }
        assert_eq!(code("[]"), Some(Code::NotAnObject));
        assert_eq!(code("null"), Some(Code::NotAnObject));
        for twice in [
            r#"{"id":"a","id":"a"}"#,
            r#"{"id":"a","i\u0064":"a"}"#,
            r#"{"x":1,"y":2,"x":3}"#,
            r#"{"x":{"y":{"z":1,"z":2}}}"#,
            r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"j":1,"\u0061":1}"#,
            r#"{"merchant":{"id":"a","id":"b"}}"#,
        ] {
            assert_eq!(code(twice), Some(Code::DuplicateKey), "{twice}");
        }
        let deep =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(code(&deep(31)), None);
        assert_eq!(code(&deep(32)), Some(Code::TooDeep));
        assert_eq!(code(&deep(30_000)), Some(Code::TooDeep));
    }
}
