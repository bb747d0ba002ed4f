//! The plain parts of a checkpoint: numbers, texts and words, written and read back.
//!
//! All numbers are little-endian. Reading never trusts a length: it is held against what is left
//! before anything is allocated. What the parts mean is in the files beside this one.

use crate::engine::checkpoint::CheckpointError;

/// Appends a length; every list and text of a shard is far below four billion.
pub fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
}

/// Appends a text with its length.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Appends a text that may be absent.
pub fn put_optional_text(out: &mut Vec<u8>, text: Option<&str>) {
    out.push(u8::from(text.is_some()));
    if let Some(text) = text {
        put_text(out, text);
    }
}

/// Appends words without their number.
pub fn put_words(out: &mut Vec<u8>, words: &[u32]) {
    let start = out.len();
    out.resize(start + words.len() * 4, 0);
    let (places, _) = out
        .get_mut(start..)
        .unwrap_or_default()
        .as_chunks_mut::<4>();
    for (place, word) in places.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
}

/// Reads a checkpoint from its beginning to its end.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    left: &'a [u8],
    start: usize,
    total: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, the first of which is byte `start` of the checkpoint.
    pub fn new(bytes: &'a [u8], start: usize) -> Self {
        Self {
            left: bytes,
            start,
            total: bytes.len(),
        }
    }

    /// Where it stands, in bytes from the checkpoint's beginning.
    pub fn at(&self) -> usize {
        self.start + self.total - self.left.len()
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.left.len()
    }

    /// True at the end.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The error that names this place.
    pub fn damaged(&self, what: &'static str) -> CheckpointError {
        CheckpointError::Damaged {
            at: self.at(),
            what,
        }
    }

    /// The next bytes.
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], CheckpointError> {
        let (taken, left) = self
            .left
            .split_at_checked(len)
            .ok_or_else(|| self.damaged(what))?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CheckpointError> {
        let (taken, left) = self
            .left
            .split_first_chunk::<N>()
            .ok_or_else(|| self.damaged(what))?;
        self.left = left;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, CheckpointError> {
        self.array(what).map(u8::from_le_bytes)
    }

    /// Two bytes as a number.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, CheckpointError> {
        self.array(what).map(u16::from_le_bytes)
    }

    /// Four bytes as a number.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, CheckpointError> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Eight bytes as a number.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, CheckpointError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Eight bytes as a number with a sign.
    pub fn i64(&mut self, what: &'static str) -> Result<i64, CheckpointError> {
        self.array(what).map(i64::from_le_bytes)
    }

    /// Sixteen bytes as a number.
    pub fn u128(&mut self, what: &'static str) -> Result<u128, CheckpointError> {
        self.array(what).map(u128::from_le_bytes)
    }

    /// A byte that says no (0) or yes (1).
    pub fn flag(&mut self, what: &'static str) -> Result<bool, CheckpointError> {
        let here = *self;
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(here.damaged(what)),
        }
    }

    /// How many entries follow, each at least `least` bytes long: never more than can be left.
    pub fn count(&mut self, least: usize, what: &'static str) -> Result<usize, CheckpointError> {
        let here = *self;
        let count = usize::try_from(self.u32(what)?).unwrap_or(usize::MAX);
        if count.saturating_mul(least) > self.left.len() {
            return Err(here.damaged(what));
        }
        Ok(count)
    }

    /// A list: its number of entries, then each as `read` reads it.
    pub fn list<T>(
        &mut self,
        least: usize,
        what: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T, CheckpointError>,
    ) -> Result<Vec<T>, CheckpointError> {
        let count = self.count(least, what)?;
        (0..count).map(|_| read(self)).collect()
    }

    /// A text.
    pub fn text(&mut self, what: &'static str) -> Result<&'a str, CheckpointError> {
        let len = self.count(1, what)?;
        let here = *self;
        let bytes = self.take(len, what)?;
        std::str::from_utf8(bytes).map_err(|_| here.damaged(what))
    }

    /// A text that may be absent.
    pub fn optional_text(
        &mut self,
        what: &'static str,
    ) -> Result<Option<&'a str>, CheckpointError> {
        Ok(if self.flag(what)? {
            Some(self.text(what)?)
        } else {
            None
        })
    }

    /// A fixed number of words.
    pub fn head<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u32; N], CheckpointError> {
        let mut words = [0; N];
        let bytes = self.take(N * 4, what)?;
        for (word, place) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*place);
        }
        Ok(words)
    }

    /// So many words, in an allocation of just their size.
    pub fn words(&mut self, count: usize, what: &'static str) -> Result<Vec<u32>, CheckpointError> {
        let bytes = self.take(count.saturating_mul(4), what)?;
        let (places, _) = bytes.as_chunks::<4>();
        Ok(places.iter().map(|p| u32::from_le_bytes(*p)).collect())
    }
}
