//! The analysts' console: pages rendered here and served below `/console`.

pub mod assets;
pub mod case;
pub mod health;
pub mod login;
pub mod look;
pub mod overview;
pub mod queue;
pub mod rulesheet;
pub mod words;
