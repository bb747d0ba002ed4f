//! What the running monitor says of itself: counts ([`Metrics`]), whether it can be relied on ([`Readiness`]), and its
//! log ([`logs`]).
//!
//! It deliberately reaches nobody by itself: `http.rs` serves what is kept here, and whoever counts is told nothing.

mod cells;
mod logs;
mod metrics;
mod readiness;

pub use cells::{Histogram, Labelled, Worded};
pub use logs::{LogsError, logs};
pub use metrics::Metrics;
pub use readiness::{Pulse, Readiness};
