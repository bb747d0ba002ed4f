//! The command line: one file for each command; stub while the commands are being written.
//!
pub mod rules;
