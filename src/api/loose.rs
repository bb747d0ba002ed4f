//! A value of a JSON object that is read as far as it can be: optional fields of EMV messages are never
//! strictly validated.
//!
//! Texts, numbers and truths become texts; lists keep their texts; what else there is counts as absent.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The most entries of a list or an object that are kept.
const MAX_KEPT: usize = 64;

/// A value, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Loose<'j> {
    /// Nothing that can be read.
    #[default]
    Absent,
    /// A text, a number or a truth.
    Text(Cow<'j, str>),
    /// A list.
    List(Vec<Loose<'j>>),
    /// An object.
    Object(Vec<(Cow<'j, str>, Loose<'j>)>),
}

impl Loose<'_> {
    /// The text; of a list (EMV 2.3.1 has lists where 2.2.0 has one code) the first.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&**text).filter(|text| !text.is_empty()),
            Self::List(list) => list.first().and_then(Self::text),
            Self::Absent | Self::Object(_) => None,
        }
    }

    /// Every text of a list, or the one.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let list = match self {
            Self::List(list) => list.as_slice(),
            Self::Absent | Self::Text(_) | Self::Object(_) => std::slice::from_ref(self),
        };
        list.iter().filter_map(Loose::text)
    }

    /// The members of an object.
    pub fn members(&self) -> &[(Cow<'_, str>, Loose<'_>)] {
        match self {
            Self::Object(members) => members,
            Self::Absent | Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// A member's text.
    pub fn member(&self, name: &str) -> Option<&str> {
        let found = self.members().iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.text())
    }
}

impl<'de: 'j, 'j> Deserialize<'de> for Loose<'j> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

struct Reading;

fn shown<'j, E>(value: impl fmt::Display) -> Result<Loose<'j>, E> {
    Ok(Loose::Text(Cow::Owned(value.to_string())))
}

impl<'de> Visitor<'de> for Reading {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        shown(text)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        shown(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        shown(value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        shown(value)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        shown(value)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Loose::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while list.len() < MAX_KEPT {
            match items.next_element()? {
                Some(item) => list.push(item),
                None => return Ok(Loose::List(list)),
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while members.len() < MAX_KEPT {
            match entries.next_key::<Cow<'de, str>>()? {
                Some(key) => members.push((key, entries.next_value()?)),
                None => return Ok(Loose::Object(members)),
            }
        }
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_there_is_read_as_far_as_it_can_be() {
        let read = |json: &'static str| serde_json::from_str::<Loose<'_>>(json).unwrap();
        assert_eq!(read(r#""01""#).text(), Some("01"));
        assert_eq!(read("1").text(), Some("1"));
        assert_eq!(read("true").text(), Some("true"));
        assert_eq!(read("null").text(), None);
        assert_eq!(read(r#"["04","01"]"#).text(), Some("04"));
        assert_eq!(read(r#"["04","01"]"#).texts().count(), 2);
        assert_eq!(read(r#"{"a":{"b":1},"c":"2"}"#).member("c"), Some("2"));
        assert_eq!(read(r#"{"a":1}"#).text(), None);
        assert_eq!(read(r#""å\n""#).text(), Some("å\n"));
    }
}
