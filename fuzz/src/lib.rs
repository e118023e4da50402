//! What the fuzz targets do with their bytes. Each compares a part of Keyward that strangers reach with a simple reading
//! of its own, and panics where they part.
//!
//! `tests/it/fuzz.rs` includes this file and runs every target on its seeds, so that they hold without a fuzzer too.

pub mod answer;
pub mod config;
pub mod credential;
pub mod fields;
pub mod follow;
pub mod host;
pub mod message;
pub mod peer;
mod pieces;
pub mod proxy_protocol;
mod strict;
pub mod target;

/// One target by its name and what it does with its bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target by its name, which is that of its folder under `seeds/` and of its program under `fuzz_targets/`.
pub const TARGETS: [Target; 10] = [
    ("answer", answer::run),
    ("config", config::run),
    ("credential", credential::run),
    ("fields", fields::run),
    ("follow", follow::run),
    ("host", host::run),
    ("message", message::run),
    ("peer", peer::run),
    ("proxy_protocol", proxy_protocol::run),
    ("target", target::run),
];
