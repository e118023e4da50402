//! Assertions: short tokens in which an upstream learns who is asking, signed, so that it need not trust its network.

use std::time::Duration;

use super::SigningKey;
use super::claims::{Value, seconds, write};
use crate::auth::principal::Principal;
use crate::auth::random::RandomFailed;
use crate::clock::Timestamp;

/// Their `typ`.
pub const TYPE: &str = "keyward-assertion+jwt";

/// The longest life of one.
pub const LIFE: Duration = Duration::from_secs(60);

/// What an assertion says besides the principal.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// `iss`: the public URL.
    pub issuer: &'a str,
    /// `aud`: the name of the upstream.
    pub upstream: &'a str,
}

/// When an assertion ends that is written at `now`: after [`LIFE`], or with the credential, whichever is first.
#[must_use]
pub fn ends(principal: &Principal, now: Timestamp) -> Timestamp {
    now.after(LIFE).min(principal.expires_at)
}

/// Writes and signs an assertion of `principal`. It has no `jti`: one serves many requests.
///
/// # Errors
/// When there is no randomness to sign with.
pub fn mint(
    key: &SigningKey,
    envelope: &Envelope<'_>,
    principal: &Principal,
    now: Timestamp,
) -> Result<String, RandomFailed> {
    let identity = &principal.identity;
    let mut claims = vec![
        ("iss", Value::Text(envelope.issuer)),
        ("aud", Value::Text(envelope.upstream)),
        ("sub", Value::Text(identity.account())),
        ("credential", Value::Text(identity.credential())),
        ("scope", Value::Text(identity.scopes())),
        ("method", Value::Text(principal.method.as_str())),
        ("iat", Value::Seconds(seconds(now))),
        ("exp", Value::Seconds(seconds(ends(principal, now)))),
    ];
    if let Some(client) = identity.client() {
        claims.push(("client_id", Value::Text(client)));
    }
    write(key, TYPE, &claims)
}
