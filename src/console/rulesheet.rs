//! The rules: each one's text, what it found, and how often it was right.

use super::look::{ConsoleError, Look};
use crate::rulebook::Loaded;
use crate::store::Tx;
use crate::telemetry::Metrics;

/// The rule book as people read it.
#[derive(Debug, Clone, Default)]
pub struct Sheet {}

impl Sheet {
    /// Of a rule book.
    pub fn of(loaded: &Loaded) -> Self {
        let _ = loaded;
        Self {}
    }

    /// Whether it has a rule.
    pub fn has(&self, rule: &str) -> bool {
        let _ = rule;
        false
    }
}

/// The page.
///
/// # Errors
/// Where the store does not answer.
pub fn page(
    look: &Look,
    tx: &mut Tx<'_>,
    sheet: &Sheet,
    metrics: &Metrics,
) -> Result<String, ConsoleError> {
    let _ = (look, tx, sheet, metrics);
    Err(ConsoleError::NotFound)
}
