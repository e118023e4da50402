//! The compact serialization (RFC 7515 §7.1): three base64url parts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Flaw;
use crate::auth::credential::CREDENTIAL_MAX;

/// The longest header in base64url. Ours have about 120 characters.
const HEADER_MAX: usize = 512;

/// A token cut into its parts, none of them read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compact<'a> {
    /// The header and the claims with the dot between them: what is signed.
    pub(super) signed: &'a str,
    pub(super) header: &'a str,
    pub(super) claims: &'a str,
    pub(super) signature: &'a str,
}

impl<'a> Compact<'a> {
    /// Cuts `token` at its two dots.
    pub(super) fn cut(token: &'a str) -> Result<Self, Flaw> {
        if token.len() > CREDENTIAL_MAX {
            return Err(Flaw::Parts);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Flaw::Parts)?;
        let (header, claims) = signed.split_once('.').ok_or(Flaw::Parts)?;
        let bearable = header.len() <= HEADER_MAX && !claims.contains('.');
        if bearable { Ok(Self { signed, header, claims, signature }) } else { Err(Flaw::Parts) }
    }
}

/// Decodes one part; only the one way of writing it is read.
pub(super) fn decode(part: &str) -> Result<Vec<u8>, Flaw> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw::Base64)
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
