//! One signing key: made, kept as text, signs and verifies.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use zeroize::Zeroizing;

use super::Flaw;
use super::compact::{decode, encode};
use crate::auth::algorithm::SigningAlgorithm;
use crate::auth::random::RandomFailed;
use crate::auth::token::HashedToken;

const fn of_library(algorithm: SigningAlgorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        SigningAlgorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        SigningAlgorithm::Es256 => jsonwebtoken::Algorithm::ES256,
    }
}

/// What a key signs. No key signs two kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Access tokens.
    AccessToken,
    /// Assertions for upstreams.
    Assertion,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 2] = [Self::AccessToken, Self::Assertion];

    /// The name in the store and in lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::Assertion => "assertion",
        }
    }
}

/// The text is no private key of that algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no private key of the algorithm")]
pub struct Unusable;

/// A private key with its public half. `Debug` shows neither.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: SigningAlgorithm,
    pkcs8: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
    kid: Box<str>,
    verifies: DecodingKey,
}

impl SigningKey {
    /// Makes a key. The cryptographic library takes its randomness from the operating system itself.
    ///
    /// # Errors
    /// When that fails.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, RandomFailed> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let made = match algorithm {
            SigningAlgorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random),
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            }
        };
        let pkcs8 = made.map_err(|_| RandomFailed)?;
        Self::open(algorithm, Zeroizing::new(pkcs8.as_ref().to_vec())).map_err(|Unusable| RandomFailed)
    }

    /// Reads what [`text`](Self::text) wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_text(algorithm: SigningAlgorithm, text: &str) -> Result<Self, Unusable> {
        let pkcs8 = STANDARD.decode(text).map_err(|_| Unusable)?;
        Self::open(algorithm, Zeroizing::new(pkcs8))
    }

    fn open(algorithm: SigningAlgorithm, pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, Unusable> {
        let public = match algorithm {
            SigningAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| Unusable)?;
                pair.public_key().as_ref().to_vec()
            }
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8);
                pair.map_err(|_| Unusable)?.public_key().as_ref().to_vec()
            }
        };
        let verifies = match algorithm {
            SigningAlgorithm::EdDsa => DecodingKey::from_ed_der(&public),
            SigningAlgorithm::Es256 => DecodingKey::from_ec_der(&public),
        };
        let mut key = Self { algorithm, pkcs8, public, kid: Box::default(), verifies };
        // RFC 7638: the name of a key follows from the key, so that no two can share one.
        key.kid = encode(HashedToken::of(key.required_members().as_bytes()).as_bytes()).into();
        Ok(key)
    }

    /// PKCS#8 in base64, as the store keeps it.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(&*self.pkcs8))
    }

    /// What it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Its name: the thumbprint of its public half (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half as a JWK (RFC 7517), to be published.
    #[must_use]
    pub fn jwk(&self) -> serde_json::Value {
        let mut jwk = serde_json::from_str(&self.required_members()).unwrap_or(serde_json::Value::Null);
        if let Some(members) = jwk.as_object_mut() {
            for (name, value) in [("use", "sig"), ("alg", self.algorithm.as_str()), ("kid", self.kid())] {
                members.insert(name.to_owned(), value.into());
            }
        }
        jwk
    }

    /// The members that a thumbprint is made of, in its order (RFC 7638 §3.2, RFC 8037 §2).
    fn required_members(&self) -> String {
        match self.algorithm {
            SigningAlgorithm::EdDsa => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(&self.public))
            }
            SigningAlgorithm::Es256 => {
                // An uncompressed point: 4, x, y.
                let point = self.public.get(1..).unwrap_or_default();
                let (x, y) = point.split_at_checked(32).unwrap_or_default();
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, encode(x), encode(y))
            }
        }
    }

    /// The signature of `message` in base64url.
    ///
    /// # Errors
    /// When the library fails, for want of randomness.
    pub(super) fn sign(&self, message: &str) -> Result<String, RandomFailed> {
        let key = match self.algorithm {
            SigningAlgorithm::EdDsa => EncodingKey::from_ed_der(&self.pkcs8),
            SigningAlgorithm::Es256 => EncodingKey::from_ec_der(&self.pkcs8),
        };
        // Every other signature of ES256 is in the form that is verified here.
        for _ in 0..128 {
            let signed = jsonwebtoken::crypto::sign(message.as_bytes(), &key, of_library(self.algorithm));
            let signature = signed.map_err(|_| RandomFailed)?;
            if self.is_in_form(&signature) {
                return Ok(signature);
            }
        }
        Err(RandomFailed)
    }

    /// Whether `signature` could be one at all; costs nothing.
    pub(super) fn is_in_form(&self, signature: &str) -> bool {
        let Ok(bytes) = decode(signature) else { return false };
        let Some((r, s)) = bytes.split_at_checked(32).filter(|(_, s)| s.len() == 32) else { return false };
        match self.algorithm {
            // RFC 8032 §5.1.7: the library refuses an s that is not reduced.
            SigningAlgorithm::EdDsa => true,
            SigningAlgorithm::Es256 => {
                r.iter().any(|byte| *byte != 0) && s.iter().any(|byte| *byte != 0) && *s <= HALF_ORDER[..]
            }
        }
    }

    /// Verifies the signature of `message`.
    pub(super) fn verify(&self, message: &str, signature: &str) -> Result<(), Flaw> {
        let algorithm = of_library(self.algorithm);
        let good = self.is_in_form(signature)
            && jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.verifies, algorithm)
                .unwrap_or(false);
        if good { Ok(()) } else { Err(Flaw::Signature) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {})", self.algorithm.as_str(), self.kid)
    }
}

/// Half the order of P-256. To each signature (r, s) there is the twin (r, -s), so only the smaller s is ours; else
/// whoever has one token could make a second text of it.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde,
    0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];
