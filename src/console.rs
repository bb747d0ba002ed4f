//! The analysts' console: pages rendered here and served below `/console`.

pub mod assets;
pub mod case;
mod chart;
mod countries;
mod habit;
pub mod health;
pub mod login;
pub mod look;
pub mod overview;
mod plot;
pub mod queue;
pub mod rulesheet;
mod story;
pub mod words;
