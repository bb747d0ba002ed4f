//! The queue: open cases, the most to lose first; filters, search, page by page.

use super::look::{ConsoleError, Look};
use crate::store::Tx;
use serde::Deserialize;

/// What is asked of the queue: the query of its address. An empty text asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// Only this severity.
    pub severity: String,
    /// Only this pattern.
    pub pattern: String,
    /// `open` (as when empty), `closed` or `all`.
    pub state: String,
    /// Claimed by this user; `-` for nobody.
    pub by: String,
    /// A cardholder, an alert's id or a merchant.
    pub q: String,
    /// Where the page before ended.
    pub after: String,
}

/// The page.
///
/// # Errors
/// Where the store does not answer.
pub fn page(look: &Look, tx: &mut Tx<'_>, asked: &Asked) -> Result<String, ConsoleError> {
    let _ = (look, tx, asked);
    Err(ConsoleError::NotFound)
}

/// Its rows alone, to be put in place of those shown when there is news.
///
/// # Errors
/// Where the store does not answer.
pub fn rows(look: &Look, tx: &mut Tx<'_>, asked: &Asked) -> Result<String, ConsoleError> {
    let _ = (look, tx, asked);
    Err(ConsoleError::NotFound)
}
