//! Sockets → hyper: listening, connections and their limits of time, ending without a cut.
//!
//! Knows nothing of authentication or proxying.

pub mod conn;
pub mod connection;
pub mod deadline;
pub mod descriptors;
pub mod follow;
pub mod listener;
pub mod takeover;
