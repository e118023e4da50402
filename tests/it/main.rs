//! The integration tests: one binary, so that the gateway is linked once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod architecture;
mod harness;
mod licences;
mod support;
//! Keyward from outside, in one binary.

mod config;
