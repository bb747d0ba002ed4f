//! Card numbers to tokens: a keyed hash over the whole number (PCI DSS 4.0.1, 3.5.1.1), made at the edge
//! so that the number itself goes no further.
//!
//! A token names its key. With two keys both tokens are tried, the first key's first, so that a key can
//! be changed while cards are bound under the old one. It keeps no number and shows no key.

use crate::config::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// The fewest bytes of a key: 128 bits.
const MIN_KEY: usize = 16;
/// The most bytes of a key.
const MAX_KEY: usize = 64;
/// The most keys: the one in use and the one before.
const MAX_KEYS: usize = 2;
/// The longest id of a key.
const MAX_ID: usize = 16;
/// Bytes of the hash that a token keeps: 128 bits.
const KEPT: usize = 16;

/// One key.
struct Key {
    id: String,
    bytes: Zeroizing<Vec<u8>>,
}

/// The keys, the one in use first.
pub struct Keys(Vec<Key>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| &key.id))
            .finish()
    }
}

impl Keys {
    /// Reads one or two of `ID:HEX`, white space between them: the key in use, then the one before.
    ///
    /// # Errors
    /// What is wrong with them; shows nothing of a key.
    pub fn read(secret: &Secret) -> Result<Self, String> {
        let mut keys: Vec<Key> = Vec::new();
        for word in secret.reveal().split_whitespace() {
            let number = keys.len() + 1;
            let (id, hex) = word
                .split_once(':')
                .ok_or_else(|| format!("key {number} is not written as `ID:HEX`"))?;
            let is_id = (1..=MAX_ID).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            if !is_id || keys.iter().any(|key| key.id == id) {
                return Err(format!(
                    "key {number} needs an id of its own, 1 to {MAX_ID} letters a to z and digits"
                ));
            }
            let bytes = unhexed(hex).filter(|b| (MIN_KEY..=MAX_KEY).contains(&b.len()));
            let bytes = bytes.ok_or_else(|| {
                format!("key {number} is not {MIN_KEY} to {MAX_KEY} bytes as hex digits")
            })?;
            keys.push(Key {
                id: id.to_owned(),
                bytes,
            });
        }
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(format!(
                "there are {} keys, 1 or {MAX_KEYS} are wanted",
                keys.len()
            ));
        }
        Ok(Self(keys))
    }

    /// The tokens of a card number, the key in use first: `hmac-ID-` and 32 letters, each a nibble of
    /// the hash's first 128 bits, `a` = 0 to `p` = 15 (no digits: a run of them could pass for a card
    /// number).
    pub fn tokens(&self, number: &str) -> Vec<String> {
        self.0.iter().filter_map(|key| key.token(number)).collect()
    }
}

impl Key {
    fn token(&self, number: &str) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.bytes).ok()?;
        mac.update(number.as_bytes());
        let hash = mac.finalize().into_bytes();
        let mut token = format!("hmac-{}-", self.id);
        for byte in hash.iter().take(KEPT) {
            token.extend([byte >> 4, byte & 0xF].map(|nibble| char::from(b'a' + nibble)));
        }
        Some(token)
    }
}

fn unhexed(hex: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for [high, low] in pairs {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
    }
    rest.is_empty().then_some(bytes)
}

/// Whether a text can be nothing but a card number as AReqs write it: 13 to 19 digits.
pub fn is_number(text: &str) -> bool {
    (13..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::contains_card_number;

    /// The key of test case 2 of RFC 4231, "Jefe", is too short for us; this is test case 4's.
    const RFC: &str = "0102030405060708090a0b0c0d0e0f10111213141516171819";

    fn keys(text: &str) -> Result<Keys, String> {
        Keys::read(&Secret::of(text))
    }

    #[test]
    fn a_token_is_hmac_sha_256_as_rfc_4231_has_it() {
        let key = Key {
            id: "k".to_owned(),
            bytes: unhexed(RFC).unwrap(),
        };
        // Test case 4: data is 50 times 0xcd, the hash begins 82558a389a443c0e a4cc819899f2083a.
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.bytes).unwrap();
        mac.update(&[0xcd; 50]);
        let hash = mac.finalize().into_bytes();
        assert_eq!(
            hash[..16],
            0x8255_8a38_9a44_3c0e_a4cc_8198_99f2_083a_u128.to_be_bytes()
        );
        let token = key.token("4").unwrap();
        assert!(
            token.starts_with("hmac-k-") && token.len() == 7 + 32,
            "{token}"
        );
        assert!(!contains_card_number(&token));
    }

    #[test]
    fn two_keys_give_two_tokens_and_the_one_in_use_comes_first() {
        let both = keys(&format!("new:{RFC}\nold:{}", "ab".repeat(16))).unwrap();
        let tokens = both.tokens("5");
        assert!(tokens[0].starts_with("hmac-new-") && tokens[1].starts_with("hmac-old-"));
        assert_ne!(tokens[0][9..], tokens[1][9..]);
        assert_eq!(format!("{both:?}"), r#"["new", "old"]"#);
    }

    #[test]
    fn faulty_keys_are_refused_without_being_shown() {
        let three = format!("a:{RFC} b:{RFC} c:{RFC}");
        let twice = format!("a:{RFC} a:{RFC}");
        let faulty = [
            "",
            "abcd",
            "k:abcd",
            "K:00",
            "k:zz00",
            three.as_str(),
            &twice,
        ];
        for text in faulty {
            let told = keys(text).unwrap_err();
            assert!(!told.contains("abcd") && !told.contains(RFC), "{told}");
        }
    }
}
