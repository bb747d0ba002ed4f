//! The risk API: what the ACS and the authorization host ask over HTTP or gRPC, and the life of holds.
//!
//! A question is judged in place by the shard that holds the cardholder (`teller`, `answer`), or handed
//! once to the instance that has it. What a call changes goes through the log (`steps`). It judges
//! nothing itself: every score, action and refusal is the engine's.

pub mod answer;
pub mod areq;
pub mod audit;
pub mod call;
pub mod door;
pub mod emv;
pub mod enforcement;
pub mod failure;
pub mod forward;
pub mod grpc;
pub mod iso;
pub mod json;
pub mod ledger;
pub mod look;
pub mod loose;
pub mod openapi;
pub mod pages;
pub mod routes;
pub mod steps;
pub mod teller;
pub mod token;
