//! A flat table from IPv4 address to a small number: two array reads and a short binary search per look-up.
//! The first level has one entry per /16; inside it, the places where the value changes, as 16-bit offsets.
//! It deliberately does not know what the numbers mean, and cannot be changed once it is built.

/// The number of /16 networks.
const BLOCKS: usize = 1 << 16;

/// Values by IPv4 address; 0 is the value of every address that no range covers.
pub(super) struct Ranges {
    /// Where each /16's changes begin in the two lists below, and one more for the end.
    first: Vec<u32>,
    /// The low 16 bits of the address at which a value begins; each /16 begins with an entry for its offset 0.
    lows: Vec<u16>,
    /// The value from there on.
    values: Vec<u32>,
}

impl Ranges {
    /// Builds the table from ranges (first address, last address, value), sorted and not overlapping.
    ///
    /// `None` if they are not, or if there are more changes than 32 bits count.
    pub(super) fn build(ranges: &[(u32, u32, u32)]) -> Option<Self> {
        let changes = changes(ranges)?;
        let mut table = Self {
            first: Vec::with_capacity(BLOCKS + 1),
            lows: Vec::new(),
            values: Vec::new(),
        };
        let mut rest = changes.iter().peekable();
        let mut carried = 0;
        for block in 0..=u16::MAX {
            table.first.push(u32::try_from(table.lows.len()).ok()?);
            let begins_here = rest
                .peek()
                .is_some_and(|&&(start, _)| split(start) == (block, 0));
            if !begins_here {
                table.push(0, carried);
            }
            while let Some(&(start, value)) = rest.next_if(|&&(start, _)| split(start).0 == block) {
                table.push(split(start).1, value);
                carried = value;
            }
        }
        table.first.push(u32::try_from(table.lows.len()).ok()?);
        table.lows.shrink_to_fit();
        table.values.shrink_to_fit();
        Some(table)
    }

    fn push(&mut self, low: u16, value: u32) {
        self.lows.push(low);
        self.values.push(value);
    }

    /// The value at an address, 0 where no range covers it.
    pub(super) fn value(&self, address: u32) -> u32 {
        let (block, low) = split(address);
        let place = |block: usize| usize::try_from(self.first[block]).unwrap_or(usize::MAX);
        let (from, to) = (place(usize::from(block)), place(usize::from(block) + 1));
        // INVARIANT (block-begins-at-zero): the first entry of a block has offset 0, so at least one entry is not above.
        let after = self.lows[from..to].partition_point(|&start| start <= low);
        self.values[from + after - 1]
    }
}

/// The /16 and the offset in it.
fn split(address: u32) -> (u16, u16) {
    let [a, b, c, d] = address.to_be_bytes();
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// The addresses at which the value changes, equal neighbours joined and gaps filled with 0.
fn changes(ranges: &[(u32, u32, u32)]) -> Option<Vec<(u32, u32)>> {
    let mut changes: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    let mut push = |start: u32, value: u32| {
        if changes.last().map_or(0, |&(_, last)| last) != value {
            changes.push((start, value));
        }
    };
    // The first address not yet covered; `None` once the last address there is has been.
    let mut free = Some(0_u32);
    for &(start, end, value) in ranges {
        let from = free?;
        if start < from || end < start {
            return None;
        }
        if start > from {
            push(from, 0);
        }
        push(start, value);
        free = end.checked_add(1);
    }
    if let Some(from) = free {
        push(from, 0);
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_table_knows_nothing() {
        let table = Ranges::build(&[]).unwrap();
        assert_eq!(
            [
                table.value(0),
                table.value(u32::MAX),
                table.value(0x0a00_0001)
            ],
            [0, 0, 0]
        );
    }

    #[test]
    fn a_range_ends_where_it_says_even_across_blocks() {
        let table = Ranges::build(&[
            (0x0001_ff00, 0x0003_0004, 7),
            (0x0003_0005, 0x0003_0005, 8),
            (u32::MAX, u32::MAX, 9),
        ])
        .unwrap();
        let expected = [
            (0x0001_feff, 0),
            (0x0001_ff00, 7),
            (0x0002_8000, 7),
            (0x0003_0004, 7),
            (0x0003_0005, 8),
            (0x0003_0006, 0),
        ];
        for (address, value) in expected {
            assert_eq!(table.value(address), value, "{address:#x}");
        }
        assert_eq!((table.value(u32::MAX), table.value(u32::MAX - 1)), (9, 0));
    }

    #[test]
    fn ranges_out_of_order_are_refused() {
        assert!(Ranges::build(&[(10, 20, 1), (20, 30, 2)]).is_none());
        assert!(Ranges::build(&[(10, 9, 1)]).is_none());
        assert!(Ranges::build(&[(0, u32::MAX, 1), (5, 6, 2)]).is_none());
    }

    proptest! {
        #[test]
        fn the_table_answers_as_a_walk_over_the_ranges_does(
            edges in proptest::collection::btree_set(any::<u32>(), 2..40),
            values in proptest::collection::vec(0_u32..3, 40),
            probes in proptest::collection::vec(any::<u32>(), 50),
        ) {
            let edges: Vec<u32> = edges.into_iter().collect();
            let ranges: Vec<_> = edges.chunks_exact(2).zip(&values).map(|(pair, &value)| (pair[0], pair[1], value)).collect();
            let table = Ranges::build(&ranges).unwrap();
            for probe in probes.into_iter().chain(edges) {
                let walked = ranges.iter().find(|&&(start, end, _)| (start..=end).contains(&probe)).map_or(0, |range| range.2);
                prop_assert_eq!(table.value(probe), walked);
            }
        }
    }
}
