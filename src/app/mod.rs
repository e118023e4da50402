//! Composition: what a running server is made of, and what makes it load or end.

pub mod signals;
pub mod watch;
