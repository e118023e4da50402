//! The integration tests: one binary, so that the gateway is linked once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod architecture;
mod attack;
mod cli;
mod config;
mod fuzz;
mod guarantees;
mod harness;
mod http2;
mod identity;
mod licences;
mod limits;
mod process;
mod proxy;
mod readme;
mod routes;
mod store;
mod support;
mod tls;
mod tokens;
mod upstream_http2;
