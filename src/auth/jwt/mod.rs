//! JSON Web Tokens that are made here: access tokens (RFC 9068) and assertions for upstreams.
//!
//! A token is judged by what Keyward would have written and by nothing that it says itself: the key that `kid` names says
//! which algorithm it takes, and a header with any member beside `alg`, `typ` and `kid` is not ours. All that costs little
//! is judged first ([`access_token::read`]), the signature last ([`access_token::Unverified::verify`]).

pub mod access_token;
pub mod assertion;
mod claims;
mod compact;
mod flaw;
mod header;
pub mod key;
pub mod keyring;
mod object;
#[cfg(test)]
mod tests;

pub use flaw::Flaw;
pub use key::{Purpose, SigningKey, Unusable};
pub use keyring::{Keyring, Ring, RingKey};
