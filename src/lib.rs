//! Varsel: a real-time fraud monitor for card payments.
//!
//! The way of one event: a line is read and decoded ([`decode`]) into an [`domain::event::Event`];
//! its card is resolved to a cardholder and its address to a country (`intake`, [`geo`]); the
//! [`engine`] decides and absorbs it against that cardholder's record under a rule book
//! (`rulebook`); `encode` writes what came out. `replay` runs that way over files.

pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod decode;
pub mod demo;
pub mod domain;
pub mod encode;
pub mod engine;
pub mod expr;
pub mod geo;
pub mod http;
pub mod intake;
pub mod live;
pub mod mail;
pub mod notify;
pub mod problem;
pub mod replay;
pub mod rulebook;
pub mod simulate;
pub mod store;
pub mod stream;
pub mod telemetry;
pub mod trust;

/// Records are one small allocation each and change size often: a tenth of the engine's time went
/// to the C library's allocator before.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
