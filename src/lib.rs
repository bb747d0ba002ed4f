//! Varsel: a real-time fraud monitor for card payments.

pub mod clock;
pub mod domain;
pub mod geo;
