//! The header of a token of ours: `alg`, `typ` and `kid`, and nothing else.

use super::Flaw;
use super::compact::{decode, encode};
use super::object::Object;
use crate::auth::algorithm::SigningAlgorithm;

/// A header that was read; what it says of the algorithm is only ever compared with what the key says.
pub(super) struct Header(Object);

impl Header {
    /// Reads the header of a token of type `typ`. Media types know no letter case and may have `application/` before
    /// them (RFC 7515 §4.1.9); ours are always written in the one way, so no other is read.
    pub(super) fn read(part: &str, typ: &str) -> Result<Self, Flaw> {
        let object = Object::parse(&decode(part)?)?;
        if object.names().any(|name| !matches!(name, "alg" | "typ" | "kid")) {
            return Err(Flaw::Header);
        }
        if object.get("typ").and_then(|said| said.as_str()) == Some(typ) {
            Ok(Self(object))
        } else {
            Err(Flaw::Type)
        }
    }

    pub(super) fn kid(&self) -> Result<&str, Flaw> {
        self.0.get("kid").and_then(|kid| kid.as_str()).ok_or(Flaw::Key)
    }

    /// Whether it was written for a key that takes `algorithm`.
    pub(super) fn is_for(&self, algorithm: SigningAlgorithm) -> Result<(), Flaw> {
        let said = self.0.get("alg").and_then(|alg| alg.as_str());
        if said == Some(algorithm.as_str()) { Ok(()) } else { Err(Flaw::Algorithm) }
    }

    pub(super) fn write(algorithm: SigningAlgorithm, typ: &str, kid: &str) -> String {
        // None of the three has a character that JSON escapes.
        encode(format!(r#"{{"alg":"{}","typ":"{typ}","kid":"{kid}"}}"#, algorithm.as_str()))
    }
}
