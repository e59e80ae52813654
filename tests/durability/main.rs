//! What the gateway promises, tried by force: killed, starved of disk, left alone by its callers, made to forget,
//! and searched for numbers afterwards.
//!
//! Every test draws from a seed that it prints. `DURABILITY_SEED=N` runs them all from another one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops where it fails, and says what it measured"
)]

mod canaries;
mod failing_store;
mod kill;
mod leaving;
mod model;
mod model_run;
#[path = "../it/support/postgres_server.rs"]
#[allow(dead_code, reason = "shared with the tests that break it")]
mod postgres_server;
mod rebuild;
#[path = "../it/support/redis_process.rs"]
#[allow(dead_code, reason = "shared with the tests that break it")]
mod redis_process;
#[path = "../it/support/redis_server.rs"]
#[allow(dead_code, reason = "shared with the tests that break it")]
mod redis_server;
mod search;
mod stop;
mod support;
