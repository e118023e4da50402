//! Who may do what, as pure values: credentials, tokens, principals, scopes and every reason for a refusal.
//!
//! Nothing here knows of sockets, stores or configuration files.

pub mod algorithm;
mod ambiguity;
mod bytes;
pub mod catalogue;
pub mod certificate;
mod code;
pub mod credential;
pub mod exceeded;
pub mod jwt;
pub mod principal;
pub mod random;
pub mod refresh_token;
pub mod refusal;
pub mod scope;
mod subscriber;
pub mod token;
pub mod unicode;

pub use subscriber::subscriber;
