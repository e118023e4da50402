//! Access tokens (RFC 9068): what they claim, how they are written, how they are judged.

use super::claims::{Value, seconds, write};
use super::compact::{Compact, decode};
use super::header::Header;
use super::object::Object;
use super::{Flaw, Keyring, Purpose, RingKey, SigningKey};
use crate::auth::random::RandomFailed;
use crate::auth::scope::ScopeSet;
use crate::clock::Timestamp;
use std::sync::Arc;

/// The `typ` of RFC 9068 §2.1.
pub const TYPE: &str = "at+jwt";

/// The `client_id` of tokens that no application holds: those of `/user/login`.
pub const FIRST_PARTY: &str = "keyward";

/// Who issues tokens and for whom: the claims that are the same in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// `iss`.
    pub issuer: Box<str>,
    /// `aud`.
    pub audience: Box<str>,
}

/// What an access token claims beside its [`Parties`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the account.
    pub account: Box<str>,
    /// `sid`: the session, which ends it.
    pub session: Box<str>,
    /// `client_id`: the application, or [`FIRST_PARTY`].
    pub client: Box<str>,
    /// `jti`: the token itself.
    pub id: Box<str>,
    /// `scope`.
    pub scopes: ScopeSet,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp`.
    pub expires_at: Timestamp,
}

/// Writes and signs a token. Times are cut to whole seconds, so it never outlives what was asked for.
///
/// # Errors
/// When there is no randomness to sign with.
pub fn mint(key: &SigningKey, parties: &Parties, claims: &Claims) -> Result<String, RandomFailed> {
    let claims = [
        ("iss", Value::Text(&parties.issuer)),
        ("aud", Value::Text(&parties.audience)),
        ("sub", Value::Text(&claims.account)),
        ("client_id", Value::Text(&claims.client)),
        ("scope", Value::Text(claims.scopes.as_str())),
        ("iat", Value::Seconds(seconds(claims.issued_at))),
        ("exp", Value::Seconds(seconds(claims.expires_at))),
        ("jti", Value::Text(&claims.id)),
        ("sid", Value::Text(&claims.session)),
    ];
    write(key, TYPE, &claims)
}

/// A token that claims to be ours and may be. Nothing it says holds before [`verify`](Self::verify).
#[derive(Clone, Debug)]
pub struct Unverified {
    key: Arc<RingKey>,
    signed: Box<str>,
    signature: Box<str>,
    claims: Claims,
}

/// What was verified once: the claims, and the key that vouches for them.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What it claims.
    pub claims: Claims,
    /// The name of the key that signed it.
    pub kid: Box<str>,
}

/// Judges all of `token` but its signature and its end.
///
/// # Errors
/// What is wrong with it.
pub fn read(token: &str, keys: &Keyring, parties: &Parties, now: Timestamp) -> Result<Unverified, Flaw> {
    let parts = Compact::cut(token)?;
    let header = Header::read(parts.header, TYPE)?;
    let key = keys.named(Purpose::AccessToken, header.kid()?).ok_or(Flaw::Key)?;
    header.is_for(key.key.algorithm())?;
    if !key.key.is_in_form(parts.signature) {
        return Err(Flaw::Signature);
    }
    let claims = claims(&Object::parse(&decode(parts.claims)?)?, parties, now)?;
    let (signed, signature) = (parts.signed.into(), parts.signature.into());
    Ok(Unverified { key: Arc::clone(key), signed, signature, claims })
}

fn claims(object: &Object, parties: &Parties, now: Timestamp) -> Result<Claims, Flaw> {
    if object.get("iss").and_then(|issuer| issuer.as_str()) != Some(&parties.issuer) {
        return Err(Flaw::Issuer);
    }
    if object.get("aud").and_then(|audience| audience.as_str()) != Some(&parties.audience) {
        return Err(Flaw::Audience);
    }
    let scope = object.get("scope").and_then(|scope| scope.as_str()).and_then(ScopeSet::parse);
    let claims = Claims {
        account: object.word("sub")?.into(),
        session: object.word("sid")?.into(),
        client: object.word("client_id")?.into(),
        id: object.word("jti")?.into(),
        scopes: scope.ok_or(Flaw::Claim("scope"))?,
        issued_at: Timestamp(object.seconds("iat")? * 1000),
        expires_at: Timestamp(object.seconds("exp")? * 1000),
    };
    if claims.expires_at <= claims.issued_at {
        return Err(Flaw::Claim("exp"));
    }
    // Ours have none; RFC 7519 §4.1.5 is kept all the same.
    if object.get("nbf").is_some() && object.seconds("nbf")? > seconds(now) {
        return Err(Flaw::Claim("nbf"));
    }
    Ok(claims)
}

impl Unverified {
    /// Verifies the signature: some tens of microseconds of a processor.
    ///
    /// # Errors
    /// [`Flaw::Signature`].
    pub fn verify(&self) -> Result<Verified, Flaw> {
        self.key.key.verify(&self.signed, &self.signature)?;
        Ok(Verified { claims: self.claims.clone(), kid: self.key.key.kid().into() })
    }
}
