//! The overview: alerts, what was prevented and lost, and how early the warnings came, over time.

use super::look::{ConsoleError, Look};
use crate::store::Tx;

/// The page.
///
/// # Errors
/// Where the store does not answer.
pub fn page(look: &Look, tx: &mut Tx<'_>) -> Result<String, ConsoleError> {
    let _ = (look, tx);
    Err(ConsoleError::NotFound)
}
