//! What our own tokens are signed with.

/// What a signature is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA on P-256 (RFC 7518 §3.4).
    Es256,
}

impl SigningAlgorithm {
    /// Every algorithm there is.
    pub const ALL: [Self; 2] = [Self::EdDsa, Self::Es256];

    /// The name in `alg` and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }
}
