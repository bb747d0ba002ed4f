//! Varsel: a real-time fraud monitor for card payments.

pub mod clock;
pub mod decode;
pub mod domain;
pub mod expr;
pub mod geo;
pub mod problem;
