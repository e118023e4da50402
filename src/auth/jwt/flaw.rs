//! What is wrong with a token.

/// Why a token is not good. For tests and logs: whoever presents one is told no more than that it is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It has not three parts of a bearable length.
    Parts,
    /// A part is not base64url as RFC 7515 §2 writes it: padded, with stray bits, or with another character.
    Base64,
    /// A part is not one JSON object.
    Json,
    /// A member stands twice in an object.
    Duplicate,
    /// The header has a member that ours never have, such as `jwk` or `crit`.
    Header,
    /// `typ` is not that of the kind of token that is due.
    Type,
    /// `alg` is not that of the key.
    Algorithm,
    /// `kid` names no key of ours that still verifies.
    Key,
    /// `iss` is somebody else.
    Issuer,
    /// `aud` is somebody else.
    Audience,
    /// A claim is missing, of a wrong type, or out of bounds.
    Claim(&'static str),
    /// The signature is not that of the key, or not in the one form that it has.
    Signature,
}
