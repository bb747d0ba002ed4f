//! Where a value stands in a record, and what it is.
//!
//! Made by `walk.rs` and `shape.rs`, read by `fields.rs`; it holds no text and no meaning.

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u32)]
pub(super) enum Kind {
    /// `null`, which means the same as an absent field.
    #[default]
    Null,
    /// Text as it stands in the record, without quotes.
    Text,
    /// Text that had escapes: it stands in [`Table::unescaped`].
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

/// Where a value stands, as bytes from and to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Token {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: Kind,
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a record is at most MAX_RECORD_BYTES long"
)]
const fn place(at: usize) -> u32 {
    at as u32
}

impl Token {
    #[inline]
    pub(super) fn new(start: usize, end: usize, kind: Kind) -> Self {
        Self {
            start: place(start),
            end: place(end),
            kind,
        }
    }

    /// Where it begins.
    #[inline]
    pub(super) fn start(self) -> usize {
        usize::try_from(self.start).unwrap_or(usize::MAX)
    }

    /// The place behind it.
    #[inline]
    pub(super) fn end(self) -> usize {
        usize::try_from(self.end).unwrap_or(usize::MAX)
    }

    /// The piece of a text that it stands in.
    #[inline]
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start()..self.end()).unwrap_or("")
    }
}
