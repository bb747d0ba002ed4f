//! One look over a record's bytes: whether they are all of every day, and how many quotes they have.
//!
//! It comes before all reading, and finds no fault: what is odd is left to `walk.rs`.

/// Bytes that are looked at together.
pub(super) const BLOCK: usize = 32;
/// The most bytes of one look: the quotes of a lane are counted in a byte.
const MAX_BYTES: usize = BLOCK * u8::MAX as usize;

/// What one look over a record tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Neither a backslash nor a control character is in it: a string ends at the next quote.
    pub(super) is_plain: bool,
    /// All of it is ASCII.
    pub(super) is_ascii: bool,
    /// How many quotes it has.
    pub(super) quotes: u32,
}

impl Look {
    /// Looks at every byte of at most [`MAX_BYTES`], in whole blocks: the last one is filled up with
    /// spaces.
    #[inline]
    pub(super) fn of(blocks: &[[u8; BLOCK]]) -> Self {
        debug_assert!(blocks.len() * BLOCK <= MAX_BYTES, "a lane would overflow");
        // Apart for each of the bytes that are looked at together: so the compiler has one
        // instruction for many.
        let (mut quotes, mut odd) = ([0_u8; BLOCK], [0_u8; BLOCK]);
        for block in blocks {
            for (lane, byte) in block.iter().enumerate() {
                quotes[lane] = quotes[lane].wrapping_add(u8::from(*byte == b'"'));
                // Below a space are, signed, the bytes beyond ASCII too.
                let is_odd = (byte.cast_signed() < 0x20) | (*byte == b'\\');
                odd[lane] |= if is_odd { u8::MAX } else { 0 };
            }
        }
        let is_usual = odd == [0; BLOCK];
        let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'\\';
        Self {
            is_plain: is_usual || blocks.as_flattened().iter().all(is_plain),
            is_ascii: is_usual || blocks.as_flattened().is_ascii(),
            quotes: sum(&quotes),
        }
    }
}

/// The sum of all lanes: pairs of bytes side by side in a word, which a product adds up.
#[inline(always)]
fn sum(lanes: &[u8; BLOCK]) -> u32 {
    const PAIRS: u64 = u64::MAX / 0xffff;
    let (words, _) = lanes.as_chunks::<8>();
    let words = words.iter().copied().map(u64::from_le_bytes);
    let pairs: u64 = words
        .map(|word| (word & (PAIRS * 0xff)) + (word >> 8 & (PAIRS * 0xff)))
        .sum();
    u32::try_from(pairs.wrapping_mul(PAIRS) >> 48).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(bytes: &[u8]) -> Look {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        Look::of(padded.as_chunks().0)
    }

    #[test]
    fn a_look_counts_every_quote_and_finds_every_odd_byte() {
        for length in [
            0, 1, 15, 16, 31, 32, 33, 191, 192, 193, 384, 1_000, 4_096, 8_160,
        ] {
            let quotes = vec![b'"'; length];
            let counted = usize::try_from(look(&quotes).quotes).unwrap();
            assert_eq!(counted, length);
            assert!(look(&quotes).is_plain && look(&quotes).is_ascii);
            for (odd, is_plain, is_ascii) in [
                (0, false, true),
                (0x1f, false, true),
                (b'\\', false, true),
                (b'\n', false, true),
                (0x7f, true, true),
                (0x80, true, false),
                (0xff, true, false),
            ] {
                for place in (0..length).step_by(1 + length / 200) {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = odd;
                    let said = look(&bytes);
                    let expected = (is_plain, is_ascii);
                    assert_eq!((said.is_plain, said.is_ascii), expected, "{odd} at {place}");
                }
            }
        }
    }
}
