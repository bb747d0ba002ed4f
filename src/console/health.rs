//! How the monitor does: what it lags behind, what it refused, what was saved, who reads which rule book.

use super::look::{ConsoleError, Look};
use crate::store::Tx;
use crate::telemetry::{Metrics, Readiness};

/// The page.
///
/// # Errors
/// Where the store does not answer.
pub fn page(
    look: &Look,
    tx: &mut Tx<'_>,
    metrics: &Metrics,
    readiness: &Readiness,
) -> Result<String, ConsoleError> {
    let _ = (look, tx, metrics, readiness);
    Err(ConsoleError::NotFound)
}
