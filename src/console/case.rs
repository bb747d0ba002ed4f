//! One case: what happened, why it was raised, what was done, what is not known, and what is to be decided.

use super::look::{ConsoleError, Look};
use super::rulesheet::Sheet;
use crate::api::teller::Teller;
use crate::store::Tx;

/// The page.
///
/// # Errors
/// Where there is no case of that id, or the store does not answer.
pub fn page(
    look: &Look,
    tx: &mut Tx<'_>,
    teller: Option<&Teller>,
    sheet: &Sheet,
    id: &str,
) -> Result<String, ConsoleError> {
    let _ = (look, tx, teller, sheet, id);
    Err(ConsoleError::NotFound)
}
