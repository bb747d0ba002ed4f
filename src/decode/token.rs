//! Where a value stands in a record, and what it is.
//!
//! Made by `walk.rs` and `shape.rs`, read by `fields.rs`; it holds no text and no meaning.

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub(super) enum Kind {
    /// `null`, which means the same as an absent field.
    #[default]
    Null,
    /// Text as it stands in the record, without quotes.
    Text,
    /// Text that had escapes: it stands in [`Table::unescaped`](super::walk::Table::unescaped).
    Unescaped,
    /// A number without fraction and exponent.
    Integer,
    /// Any other number.
    Float,
    /// `true` or `false`.
    Bool,
    /// An array, brackets included.
    Array,
    /// An object, braces included.
    Object,
}

/// Bytes from and to; both in one word, the end in its upper half, since many are kept and moved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place(u64);

impl Place {
    /// From and to, both at most [`MAX_RECORD_BYTES`](super::MAX_RECORD_BYTES).
    #[inline(always)]
    pub(super) const fn new(start: usize, end: usize) -> Self {
        Self(start as u64 | (end as u64) << 32)
    }

    /// The same so many bytes further on.
    #[inline(always)]
    pub(super) const fn behind(self, at: usize) -> Self {
        Self(self.0 + at as u64 * ((1 << 32) | 1))
    }

    /// Where it begins.
    #[inline(always)]
    pub(super) const fn start(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    /// The place behind it.
    #[inline(always)]
    pub(super) const fn end(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// The piece of a record that it is.
    #[inline(always)]
    pub(super) fn of(self, record: &[u8]) -> &[u8] {
        record.get(self.start()..self.end()).unwrap_or_default()
    }
}

/// Where a value stands, and what it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Token {
    pub(super) place: Place,
    pub(super) kind: Kind,
}

impl Token {
    #[inline]
    pub(super) const fn new(start: usize, end: usize, kind: Kind) -> Self {
        Self {
            place: Place::new(start, end),
            kind,
        }
    }

    /// Where it begins.
    #[inline]
    pub(super) const fn start(self) -> usize {
        self.place.start()
    }

    /// The place behind it.
    #[inline]
    pub(super) const fn end(self) -> usize {
        self.place.end()
    }

    /// The piece of a text that it stands in.
    #[inline]
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start()..self.end()).unwrap_or("")
    }
}
