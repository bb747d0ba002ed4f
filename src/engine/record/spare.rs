//! Blocks that records let go of, kept to be taken again.
//!
//! A record that grows takes the block of one that grew before it, which is still in the nearest
//! cache; the allocator would hand out one that no longer is. What is in a block means nothing.

/// The longest blocks kept, in words: a kilobyte.
const LONGEST: usize = 256;
/// Blocks are multiples of so many words.
const STEP: usize = 4;
/// The most blocks kept of one length: enough for the swings between growing and tidying.
const MOST: usize = 128;

/// Blocks by their length.
#[derive(Debug, Default)]
pub struct Spare {
    by_length: Vec<Vec<Box<[u32]>>>,
}

impl Spare {
    /// A block of just this length, where there is one.
    #[inline]
    pub(super) fn take(&mut self, words: usize) -> Option<Box<[u32]>> {
        self.by_length.get_mut(words / STEP)?.pop()
    }

    /// Keeps a block, or lets the allocator have it.
    #[inline]
    pub(super) fn give(&mut self, block: Box<[u32]>) {
        if self.by_length.is_empty() {
            self.by_length.resize_with(LONGEST / STEP + 1, Vec::new);
        }
        if let Some(blocks) = self.by_length.get_mut(block.len() / STEP)
            && blocks.len() < MOST
        {
            blocks.push(block);
        }
    }
}
