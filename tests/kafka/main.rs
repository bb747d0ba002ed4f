//! The suite against a real Apache Kafka. `tests/kafka/run` brings the broker and runs this; by itself it says so.
//!
//! Each test has topics, a consumer group and a folder of its own under one broker, starts the `varsel` binary as users
//! do, and judges it from outside: by what stands in the topics, by its answers over HTTP, by how it ends. What must
//! come out is worked out in `truth.rs`.
#![allow(
    missing_docs,
    reason = "tests are named as facts, and are nobody's interface"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop there, and says what it counted"
)]

#[path = "../bench/population.rs"]
mod population;

mod broker;
mod drain;
mod feed;
mod lines;
mod monitor;
mod scene;
mod tell;
mod topics;
mod truth;
mod wait;

mod bad_input;
mod dead_letters;
mod end_to_end;
mod ground;
mod kills;
mod log_changed;
mod manners;
mod members;
mod outages;
mod pressure;
mod reload;
mod repeats;
