//! Identities: fingerprints of the banks' keys, and the ids that we derive for our effects.
//!
//! Both are functions of what caused them and nothing else, stable across versions, machines and
//! restarts (promise `harmless-repeat`): they are written into checkpoints and topics.

use sha2::{Digest, Sha256};
use std::fmt;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A 64-bit fingerprint of a key: a cardholder, a card, an event id, a challenge. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The fingerprint of a key's text (XXH3-64).
    pub fn of(text: &str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    /// The same of a text's bytes.
    pub fn of_bytes(text: &[u8]) -> Self {
        Self(xxh3_64(text).max(1))
    }

    /// The fingerprint of a card that stands for its holder: apart from every cardholder key, so
    /// that card `x` and cardholder `x` are two keys.
    pub fn of_card_as_holder(text: &str) -> Self {
        Self(xxh3_64_with_seed(text.as_bytes(), 1).max(1))
    }

    /// The low 32 bits, for compact history entries.
    #[expect(clippy::cast_possible_truncation, reason = "the cut is the purpose")]
    pub const fn short(self) -> u32 {
        self.0 as u32
    }
}

/// A 128-bit id of an effect of ours, 32 hex digits when written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EffectId(pub u128);

impl EffectId {
    /// The id of an effect: SHA-256 over cardholder, kind (`alert`, `hold`), pattern, causing
    /// event id and ordinal, each preceded by its length, cut to 128 bits (EVENTS.md, Outputs).
    ///
    /// An id with a run of 13 decimal digits could pass for a card number, and the step of a hold
    /// that names it would be refused: such a digest is hashed again until it has none.
    pub fn derive(cardholder: &str, kind: &str, pattern: &str, cause: &str, ordinal: u32) -> Self {
        let mut hash = Sha256::new();
        for part in [cardholder, kind, pattern, cause] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(ordinal.to_be_bytes());
        let mut digest = hash.finalize();
        loop {
            let id = digest
                .iter()
                .take(16)
                .fold(0_u128, |id, byte| (id << 8) | u128::from(*byte));
            if !Self(id).could_pass_for_a_card_number() {
                return Self(id);
            }
            digest = Sha256::digest(digest);
        }
    }

    /// Whether 13 decimal digits stand together in it.
    fn could_pass_for_a_card_number(self) -> bool {
        let mut run = 0;
        (0..32).any(|place| {
            let digit = self.0 >> (4 * place) & 0xF;
            run = if digit < 10 { run + 1 } else { 0 };
            run >= 13
        })
    }

    /// Reads 32 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EffectId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_of_ours_could_pass_for_a_card_number() {
        for ordinal in 0..20_000 {
            let id = EffectId::derive("p", "hold", "pattern", "event", ordinal).to_string();
            let longest = id.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
            assert!(longest < Some(13), "{id}");
        }
    }
}
