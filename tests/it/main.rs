//! The integration tests: one binary, so that the gateway is linked once.
//! The integration tests, one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod architecture;
mod config;
mod harness;
mod licences;
mod support;
    clippy::print_stdout,
    reason = "this is test code throughout"
)]

mod store;
