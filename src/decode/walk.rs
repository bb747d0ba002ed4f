//! The JSON reader: one pass over a record that leaves a table of where each field's value stands.
//!
//! Strict (RFC 8259), bounded in depth, and quick where records look alike: after each field it
//! expects the key that followed it the last time, compares it in one step, and searches by name
//! only where that fails. What the values mean is not judged here, save that every string and
//! number goes past the card-number guard.

use super::field::{Field, Scope, is_amount};
use super::pan::{contains_card_number, number_contains_card_number};
use super::{Code, Fault};
use crate::domain::codes::{EventType, Message};

/// Objects and arrays within each other, the record itself included: the contract needs two, the
/// free `acct_info` a few more, and the reader's own recursion is bounded by it.
const MAX_DEPTH: u32 = 32;
/// Up to so many keys of one object are compared pair by pair; more are sorted.
const FEW_KEYS: usize = 8;
/// Rows of the table of expected keys: type not yet known, 8 types, 5 messages.
const ROWS: usize = 1 + EventType::ALL.len() + Message::ALL.len();
/// Places after which a key is expected: every field, and the openings of the three objects.
const PLACES: usize = Field::COUNT + 3;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// `null`, which means the same as an absent field.
    #[default]
    Null,
    /// Text as it stands in the record, without quotes.
    Text,
    /// Text that had escapes: it stands in [`Table::unescaped`].
    Unescaped,
    /// A number without fraction and exponent.
    Integer,
    /// Any other number.
    Float,
    /// `true` or `false`.
    Bool,
    /// An array, brackets included.
    Array,
    /// An object, braces included.
    Object,
}

/// Where a value stands, as bytes from and to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Token {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: Kind,
}

impl Token {
    pub(super) fn new(start: usize, end: usize, kind: Kind) -> Self {
        // INVARIANT (record-fits-32-bits): a record is at most MAX_RECORD_BYTES long.
        let place = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: place(start),
            end: place(end),
            kind,
        }
    }

    /// The piece of a text that it stands in.
    pub(super) fn of(self, text: &str) -> &str {
        let place = |at| usize::try_from(at).unwrap_or(usize::MAX);
        text.get(place(self.start)..place(self.end)).unwrap_or("")
    }
}

/// What was found in a record, and the keys that the next one is expected to have.
#[derive(Debug)]
pub(super) struct Table {
    /// The fields that the record has, as a set.
    pub(super) seen: u64,
    /// Their values, by field; stale where not in `seen`.
    pub(super) tokens: [Token; Field::COUNT],
    /// Texts that had escapes, resolved, one after another.
    pub(super) unescaped: String,
    /// How many keys of the record, its merchant or its subject belong to no field.
    pub(super) unknown: u64,
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
            tokens: [Token::default(); Field::COUNT],
            unescaped: String::new(),
            unknown: 0,
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
    /// Reads a record. Of several faults the first in this order is told: what is no JSON or too
    /// deep, a card number, a key twice, a value that is no object.
    pub(super) fn read(&mut self, text: &str) -> Result<(), Fault> {
        self.seen = 0;
        self.unknown = 0;
        self.card_number = false;
        self.duplicate = false;
        self.unescaped.clear();
        self.keys.clear();
        let mut walk = Walk {
            text,
            bytes: text.as_bytes(),
            at: 0,
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
            return Err(Fault::record(
                Code::CardNumber,
                "a value holds a card number",
            ));
        }
        if self.duplicate {
            return Err(Fault::record(
                Code::DuplicateKey,
                "an object has the same key twice",
            ));
        }
        if !is_object {
            return Err(Fault::record(
                Code::NotAnObject,
                "the record is not a JSON object",
            ));
        }
        Ok(())
    }
}

pub(super) const MALFORMED: Fault =
    Fault::record(Code::MalformedJson, "the record is not valid JSON");
const TOO_DEEP: Fault = Fault::record(Code::TooDeep, "the record is more than 32 levels deep");

/// A record while it is read.
pub(super) struct Walk<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
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
    fn members(&mut self, scope: Scope, depth: u32) -> Result<(), Fault> {
        let first_key = self.table.keys.len();
        let mut place = opening_of(scope);
        self.at += 1;
        self.skip_space();
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let guess = self.table.expected[self.row][place];
            let length = guess.opening(self.rest());
            let (field, amount) = if length > 0 {
                self.at += length;
                (Some(guess), guess.is_amount())
            } else {
                self.key(scope, place)?
            };
            self.skip_space();
            if let Some(field) = field {
                self.field(field, amount, depth)?;
                place = field.index();
            } else {
                self.table.unknown += 1;
                self.value(amount, depth)?;
            }
            self.skip_space();
            match self.peek() {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err(MALFORMED),
            }
            self.skip_space();
        }
        self.at += 1;
        self.close_keys(first_key);
        Ok(())
    }

    /// Reads a key that was not expected, with its colon; a known one is expected here from now
    /// on. Tells also whether it names an amount.
    #[cold]
    fn key(&mut self, scope: Scope, place: usize) -> Result<(Option<Field>, bool), Fault> {
        let token = self.any_key()?;
        let key = self.text_of(token);
        let amount = is_amount(key);
        let field = Field::find(scope, key);
        match field {
            Some(field) => self.table.expected[self.row][place] = field,
            None => self.table.keys.push(token),
        }
        Ok((field, amount))
    }

    fn any_key(&mut self) -> Result<Token, Fault> {
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

    #[inline]
    fn field(&mut self, field: Field, amount: bool, depth: u32) -> Result<(), Fault> {
        self.table.duplicate |= self.table.seen & field.bit() != 0;
        self.table.seen |= field.bit();
        let inner = match self.peek() {
            b'{' if field == Field::Merchant => Some(Scope::Merchant),
            b'{' if field == Field::Subject => Some(Scope::Subject),
            _ => None,
        };
        let token = match inner {
            Some(scope) => self.inner(scope, depth)?,
            None => self.value(amount, depth)?,
        };
        self.table.tokens[field.index()] = token;
        if field == Field::Type {
            let known = EventType::parse(self.text_of(token));
            self.row = known.map_or(0, |kind| usize::from(kind.code()));
        } else if field == Field::Message {
            let known = Message::parse(self.text_of(token)).map(Message::code);
            self.row = known.map_or(0, |code| EventType::ALL.len() + usize::from(code));
        } else if field == Field::AcctInfo {
            // Kept as it stands in the record, with its keys and whatever its fields are called.
            self.table.card_number |= contains_card_number(token.of(self.text));
        }
        Ok(())
    }

    fn inner(&mut self, scope: Scope, depth: u32) -> Result<Token, Fault> {
        let start = self.at;
        self.members(scope, depth + 1)?;
        Ok(Token::new(start, self.at, Kind::Object))
    }

    /// Reads any value within containers of that depth.
    #[inline]
    fn value(&mut self, amount: bool, depth: u32) -> Result<Token, Fault> {
        match self.peek() {
            b'"' => {
                let token = self.string()?;
                self.table.card_number |= contains_card_number(self.text_of(token));
                Ok(token)
            }
            b'-' | b'0'..=b'9' => self.number(amount),
            b'{' | b'[' if depth == MAX_DEPTH => Err(TOO_DEEP),
            b'{' => self.object(depth + 1),
            b'[' => self.array(amount, depth + 1),
            b't' => self.literal(b"true", Kind::Bool),
            b'f' => self.literal(b"false", Kind::Bool),
            b'n' => self.literal(b"null", Kind::Null),
            _ => Err(MALFORMED),
        }
    }

    fn literal(&mut self, word: &[u8], kind: Kind) -> Result<Token, Fault> {
        if !self.rest().starts_with(word) {
            return Err(MALFORMED);
        }
        let start = self.at;
        self.at += word.len();
        Ok(Token::new(start, self.at, kind))
    }

    /// Reads an object that is no concern of ours, with the same strictness.
    fn object(&mut self, depth: u32) -> Result<Token, Fault> {
        let (start, first_key) = (self.at, self.table.keys.len());
        self.at += 1;
        self.skip_space();
        while self.peek() != b'}' {
            let key = self.any_key()?;
            self.table.keys.push(key);
            let amount = is_amount(self.text_of(key));
            self.skip_space();
            self.value(amount, depth)?;
            self.next_or(b'}')?;
        }
        self.at += 1;
        self.close_keys(first_key);
        Ok(Token::new(start, self.at, Kind::Object))
    }

    fn array(&mut self, amount: bool, depth: u32) -> Result<Token, Fault> {
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
    fn next_or(&mut self, closing: u8) -> Result<(), Fault> {
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

    fn number(&mut self, amount: bool) -> Result<Token, Fault> {
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
    fn digits(&mut self) -> Result<(), Fault> {
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
        let mut code = |text: &str| table.read(text).err().map(|fault| fault.code);
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
