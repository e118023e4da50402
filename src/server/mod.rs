//! Sockets → requests: listening, TLS, connections in both protocols and their limits of time, ending without a cut.
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
mod handshake;
mod http1;
pub mod http2;
pub mod incoming;
pub mod listener;
pub mod proxy_protocol;
mod sniff;
pub mod takeover;
pub mod tls;
pub mod transport;
mod watched;

pub use closing::{reset, turn_away};
pub use watched::Watch;
