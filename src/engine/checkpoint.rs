//! Checkpoints: a shard's records as bytes and back.
