//! One look over a record's bytes: whether a string in it ends at the next quote, and how many quotes it has.
//!
//! It comes before all reading, and finds no fault: what is odd is left to `walk.rs`.

/// Bytes that are looked at together.
const BLOCK: usize = 32;
/// Blocks whose quotes are counted in bytes.
const FEW_BLOCKS: usize = 62;
const _: () = assert!(4 * (FEW_BLOCKS + 1) <= u8::MAX as usize);

/// What one look over a record tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Neither a backslash nor a control character is in it: a string ends at the next quote.
    pub(super) is_plain: bool,
    /// How many quotes it has.
    pub(super) quotes: u32,
}

/// What a look has found so far, apart for each of the bytes that are looked at together: so the
/// compiler has one instruction for many.
struct Lanes {
    quotes: [u8; BLOCK],
    backslashes: [u8; BLOCK],
    lowest: [u8; BLOCK],
}

impl Lanes {
    #[inline(always)]
    fn look(&mut self, block: &[u8; BLOCK]) {
        for (lane, byte) in block.iter().enumerate() {
            self.quotes[lane] = self.quotes[lane].wrapping_add(u8::from(*byte == b'"'));
            self.backslashes[lane] |= u8::from(*byte == b'\\');
            self.lowest[lane] = self.lowest[lane].min(*byte);
        }
    }
}

impl Look {
    /// Looks at every byte.
    #[inline]
    pub(super) fn of(record: &[u8]) -> Self {
        let (blocks, rest) = record.as_chunks::<BLOCK>();
        // The last bytes, where they fill no block, filled up with what says nothing.
        let mut last = [b' '; BLOCK];
        if let Some(place) = last.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        let (few, more) = blocks.split_at(blocks.len().min(FEW_BLOCKS));
        let mut all = Self::of_few(few, &last);
        for few in more.chunks(FEW_BLOCKS) {
            let more = Self::of_few(few, &[b' '; BLOCK]);
            all.is_plain &= more.is_plain;
            all.quotes += more.quotes;
        }
        all
    }

    #[inline(always)]
    fn of_few(blocks: &[[u8; BLOCK]], last: &[u8; BLOCK]) -> Self {
        const ONES: u64 = u64::MAX / 0xff;
        const PAIRS: u64 = u64::MAX / 0xffff;
        let mut lanes = Lanes {
            quotes: [0; BLOCK],
            backslashes: [0; BLOCK],
            lowest: [u8::MAX; BLOCK],
        };
        lanes.look(last);
        for block in blocks {
            lanes.look(block);
        }
        let controls = eights(&lanes.lowest).fold(0, |all, word| {
            all | (word.wrapping_sub(ONES * 0x20) & !word & (ONES * 0x80))
        });
        let odd = eights(&lanes.backslashes).fold(controls, |all, word| all | word);
        // Each byte is at most 4 times FEW_BLOCKS + 1; pairs of bytes are summed by a product.
        let quotes: u64 = eights(&lanes.quotes).sum();
        let pairs = (quotes & (PAIRS * 0xff)) + (quotes >> 8 & (PAIRS * 0xff));
        Self {
            is_plain: odd == 0,
            quotes: u32::try_from(pairs.wrapping_mul(PAIRS) >> 48).unwrap_or(u32::MAX),
        }
    }
}

#[inline(always)]
fn eights(lanes: &[u8; BLOCK]) -> impl Iterator<Item = u64> {
    let (eights, _) = lanes.as_chunks::<8>();
    eights.iter().copied().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_counts_every_quote_and_finds_every_odd_byte() {
        for length in [
            0, 1, 15, 16, 31, 32, 33, 191, 192, 193, 384, 1_000, 1_984, 1_985, 2_016,
        ] {
            let quotes = vec![b'"'; length];
            let counted = usize::try_from(Look::of(&quotes).quotes).unwrap();
            assert_eq!(counted, length);
            assert!(Look::of(&quotes).is_plain);
            for odd in [0, 0x1f, b'\\', b'\n'] {
                for place in (0..length).step_by(1 + length / 200) {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = odd;
                    assert!(!Look::of(&bytes).is_plain, "{odd} at {place} of {length}");
                }
            }
        }
    }
}
