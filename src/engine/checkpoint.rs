//! Checkpoints: a shard's state as bytes and back.
//!
//! (being written)

use crate::engine::Engine;
use crate::engine::prepared::Prepared;
use std::sync::Arc;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Not one.
    #[error("not a checkpoint")]
    NotACheckpoint,
}

impl Engine {
    /// Saves.
    pub fn save(&self, _out: &mut Vec<u8>) {}
    /// Restores.
    ///
    /// # Errors
    /// Always.
    pub fn restore(
        _: Arc<Prepared>,
        _: &[&[u8]],
        _: impl Fn(u64) -> bool,
    ) -> Result<Engine, CheckpointError> {
        Err(CheckpointError::NotACheckpoint)
    }
}
