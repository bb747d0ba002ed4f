//! The tests of Varsel from outside, in one binary.
//!
//! Each module says in its header what it holds the crate to. Nothing here reaches into private parts.
#![allow(
    missing_docs,
    reason = "tests are named as facts, and are nobody's interface"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should stop there"
)]

mod benches_run;
mod console;
mod decode_corpus;
mod decode_oracle;
mod determinism;
mod expr_oracle;
mod generate;
mod golden;
mod golden_config;
mod golden_errors;
mod live;
mod notify;
mod papers;
mod reference;
mod simulate;
mod tls;
