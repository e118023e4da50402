//! Sockets → requests: listening, connections in both protocols and their limits of time, ending without a cut.
//!
//! Knows nothing of authentication or proxying.

mod ahead;
pub mod carrier;
mod closing;
pub mod conn;
pub mod connection;
pub mod date;
pub mod deadline;
pub mod descriptors;
pub mod follow;
mod http1;
pub mod http2;
pub mod incoming;
pub mod listener;
pub mod proxy_protocol;
mod sniff;
pub mod takeover;
mod watched;

pub use closing::{reset, turn_away};
pub use watched::Watch;
