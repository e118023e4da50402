//! The commands: words → what they do → text and an exit code.

pub mod failure;
pub mod reload;
