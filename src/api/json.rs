//! JSON written by hand into a buffer: answers are written for every request, and most are alike.
//!
//! It knows commas and escapes. What an answer has in it is for those who write it.

use crate::domain::time::write_rfc3339;
use crate::encode;

/// Writes values into a buffer, with commas where they belong.
#[derive(Debug)]
pub struct Writer<'o> {
    /// What was written so far.
    pub out: &'o mut Vec<u8>,
}

impl Writer<'_> {
    fn comma(&mut self) {
        let first = matches!(self.out.last(), None | Some(b'{' | b'[' | b':'));
        if !first {
            self.out.push(b',');
        }
    }

    /// Begins an object as the next value.
    pub fn open(&mut self) {
        self.comma();
        self.out.push(b'{');
    }

    /// Ends an object.
    pub fn close(&mut self) {
        self.out.push(b'}');
    }

    /// Names the next member; its value follows.
    pub fn key(&mut self, name: &str) {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A text as the next value.
    pub fn text(&mut self, text: &str) {
        self.comma();
        encode::string(self.out, text);
    }

    /// What is JSON already, as the next value.
    pub fn raw(&mut self, json: &[u8]) {
        self.comma();
        self.out.extend_from_slice(json);
    }

    /// A member with a text.
    pub fn field(&mut self, name: &str, text: &str) {
        self.key(name);
        encode::string(self.out, text);
    }

    /// A member with a text, or null.
    pub fn optional(&mut self, name: &str, text: Option<&str>) {
        self.key(name);
        match text {
            Some(text) => encode::string(self.out, text),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// A member with a whole number.
    pub fn number(&mut self, name: &str, value: impl itoa::Integer) {
        self.key(name);
        let mut digits = itoa::Buffer::new();
        self.out.extend_from_slice(digits.format(value).as_bytes());
    }

    /// A member with a truth.
    pub fn flag(&mut self, name: &str, value: bool) {
        self.key(name);
        let word: &[u8] = if value { b"true" } else { b"false" };
        self.out.extend_from_slice(word);
    }

    /// A member with a time (RFC 3339, UTC).
    pub fn time(&mut self, name: &str, at_ms: i64) {
        self.key(name);
        self.out.push(b'"');
        write_rfc3339(self.out, at_ms);
        self.out.push(b'"');
    }

    /// A member with a list.
    pub fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Self, T),
    ) {
        self.key(name);
        self.out.push(b'[');
        for item in items {
            write(self, item);
        }
        self.out.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut out = Vec::new();
        let mut json = Writer { out: &mut out };
        json.open();
        json.field("a", "x\"y");
        json.optional("b", None);
        json.number("c", -3);
        json.list("d", [1, 2], |json, number| {
            json.open();
            json.number("n", number);
            json.flag("odd", number == 1);
            json.close();
        });
        json.list("e", ["p", "q"], |json, text| json.text(text));
        json.time("f", 0);
        json.close();
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!({"a": "x\"y", "b": null, "c": -3,
            "d": [{"n": 1, "odd": true}, {"n": 2, "odd": false}], "e": ["p", "q"],
            "f": "1970-01-01T00:00:00.000Z"});
        assert_eq!(read, expected);
    }
}
