//! Keyward, an authenticating reverse-proxy gateway.
//!
//! The folders are the boxes of the architecture, lower layers first; a module imports lower layers only.
//!
//! ```text
//! L4  main → cli → app                         composition; the one place that sees everything
//! L3  proxy      control                       siblings: none imports another
//! L2  decision   routes   authenticator   issuer   store::sqlite
//! L1  message   config   web   server   telemetry   store (the port)
//! L0  auth   limits   clock                    pure: no tokio, no hyper, no SQL, no files
//! ```

pub mod app;
pub mod auth;
pub mod authenticator;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod decision;
pub mod issuer;
pub mod limits;
pub mod message;
pub mod proxy;
pub mod routes;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod web;
