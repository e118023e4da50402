//! Telling clients in time that their API key ends: answers to it say so in `X-Credential-Expires`.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::ticket::Ticket;
use crate::auth::principal::{Method, Principal};
use crate::authenticator::Valid;
use crate::clock::Timestamp;

static FIELD: HeaderName = HeaderName::from_static("x-credential-expires");

/// How long before its end a key's answers begin to tell it, in milliseconds.
const SOON: i64 = 7 * 24 * 60 * 60 * 1000;

/// Whether answers to a credential tell when it ends. An access token lives for minutes and says itself how long.
#[must_use]
pub fn is_told(principal: &Principal, now: Timestamp) -> bool {
    principal.expires_at.millis().saturating_sub(now.millis()) <= SOON && principal.method == Method::ApiKey
}

/// Puts into an answer when the credential of its request ends, where that is soon. What an upstream sent under this name
/// has been dropped.
pub(super) fn tell(headers: &mut HeaderMap, ticket: &Ticket) {
    let (_, now) = ticket.arrived();
    let principal = ticket.entry.as_deref().map(Valid::principal);
    let Some(principal) = principal.filter(|principal| is_told(principal, now)) else { return };
    if let Ok(value) = HeaderValue::try_from(principal.expires_at.rfc3339()) {
        headers.insert(&FIELD, value);
    }
}
