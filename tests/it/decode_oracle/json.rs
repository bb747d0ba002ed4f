//! The oracle's JSON, over serde_json, and its own reading of the card-number rule.
//! Slow and plain on purpose; it shares no code with `varsel::decode`.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A JSON value with every key it came with, also where one comes twice.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool,
    Whole(i128),
    Float(f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Bool)
    }
    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Whole(number.into()))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Whole(number.into()))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Float(number))
    }
    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(json) = seq.next_element()? {
            all.push(json);
        }
        Ok(Json::Array(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = map.next_entry()? {
            all.push(entry);
        }
        Ok(Json::Object(all))
    }
}

impl Json {
    /// A member of an object.
    pub fn field(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else {
            return None;
        };
        fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, json)| json)
    }

    pub fn has_card_number(&self, key: &str) -> bool {
        match self {
            Self::Text(text) => has_card_number(text),
            Self::Whole(number) => !key.ends_with("_minor") && has_card_number(&number.to_string()),
            Self::Array(all) => all.iter().any(|json| json.has_card_number(key)),
            Self::Object(all) => all.iter().any(|(key, json)| json.has_card_number(key)),
            Self::Null | Self::Bool | Self::Float(_) => false,
        }
    }

    /// Numbers that serde_json has rounded, so that their digits are lost; smaller ones are too
    /// short for a card number.
    pub fn has_vague_number(&self) -> bool {
        match self {
            Self::Float(number) => number.abs() >= 1e12,
            Self::Array(all) => all.iter().any(Self::has_vague_number),
            Self::Object(all) => all.iter().any(|(_, json)| json.has_vague_number()),
            Self::Null | Self::Bool | Self::Whole(_) | Self::Text(_) => false,
        }
    }

    /// In keys too, and in what is called an amount: the whole piece is kept as it stands.
    pub fn has_card_number_anywhere(&self) -> bool {
        match self {
            Self::Array(all) => all.iter().any(Self::has_card_number_anywhere),
            Self::Object(all) => all
                .iter()
                .any(|(key, json)| has_card_number(key) || json.has_card_number_anywhere()),
            Self::Null | Self::Bool | Self::Whole(_) | Self::Float(_) | Self::Text(_) => {
                self.has_card_number("")
            }
        }
    }

    pub fn has_duplicate(&self) -> bool {
        match self {
            Self::Array(all) => all.iter().any(Self::has_duplicate),
            Self::Object(all) => {
                let mut keys: Vec<_> = all.iter().map(|(key, _)| key).collect();
                keys.sort();
                keys.windows(2).any(|pair| pair[0] == pair[1])
                    || all.iter().any(|(_, json)| json.has_duplicate())
            }
            Self::Null | Self::Bool | Self::Whole(_) | Self::Float(_) | Self::Text(_) => false,
        }
    }
}

/// The card-number rule read literally: every run of groups, every stretch of whole groups in it.
pub fn has_card_number(text: &str) -> bool {
    let plain: String = text
        .chars()
        .map(|c| match u32::from(c) {
            0xff10..=0xff19 => char::from_digit(u32::from(c) - 0xff10, 10).unwrap(),
            _ => c,
        })
        .collect();
    let joined = |c: char| c.is_ascii_digit() || c == ' ' || c == '-';
    plain
        .split(|c| !joined(c))
        .flat_map(|run| {
            let mut runs = vec![Vec::new()];
            for group in run.split([' ', '-']) {
                if group.is_empty() {
                    runs.push(Vec::new())
                } else {
                    runs.last_mut().unwrap().push(group)
                }
            }
            runs
        })
        .any(|groups| {
            (0..groups.len()).any(|from| {
                (from..groups.len()).any(|to| is_card_number(&groups[from..=to].concat()))
            })
        })
}

fn is_card_number(digits: &str) -> bool {
    let length = digits.len();
    let number = |n: usize| digits[..n].parse::<u32>().unwrap();
    if !(13..=19).contains(&length) {
        return false;
    }
    let (one, two, three, four) = (number(1), number(2), number(3), number(4));
    let known = match length {
        13 | 19 if one == 4 => true,
        15 => one == 1 || two == 34 || two == 37,
        16 => {
            one == 4
                || matches!(two, 51..=55 | 60)
                || three == 508
                || matches!(four, 2221..=2720 | 5019 | 9792)
        }
        _ => false,
    };
    let long = length >= 16
        && (matches!(two, 62 | 65 | 81)
            || matches!(three, 644..=649)
            || matches!(four, 2200..=2204 | 3528..=3589 | 6011));
    let diners =
        length >= 14 && (matches!(two, 36 | 38 | 39) || matches!(three, 300..=305) || four == 3095);
    let maestro = three == 676 || matches!(four, 5018 | 5020 | 5038 | 5893 | 6304 | 6390 | 6759);
    let luhn: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(
            |(place, digit)| match (place % 2, u32::from(digit - b'0')) {
                (0, digit) => digit,
                (_, digit) if digit > 4 => 2 * digit - 9,
                (_, digit) => 2 * digit,
            },
        )
        .sum();
    (known || long || diners || maestro) && luhn.is_multiple_of(10)
}
