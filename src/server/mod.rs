//! Sockets → hyper: listening, connections and their limits of time, ending without a cut.
//!
//! Knows nothing of authentication or proxying.

pub mod connection;
pub mod deadline;
pub mod head_scan;
pub mod listener;
pub mod reach;
mod watched;
