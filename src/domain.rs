//! The words of the trade: events, money, places, decisions, alerts, holds.
//!
//! Plain data with the standards' names and codes. Nothing here reads a file, a clock or a
//! network, and nothing judges: what a code *means* for fraud is the rule book's business.

pub mod codes;
pub mod country;
pub mod currency;
pub mod event;
pub mod ids;
pub mod outcome;
pub mod time;
