//! What is asked about a credential: its digest, and what finds it in the store.

use std::sync::Arc;

use crate::auth::certificate::Claim;
use crate::auth::jwt::access_token::{Unverified, Verified};
use crate::auth::token::HashedToken;

/// One question. Whoever asks has judged the credential's form.
#[derive(Clone, Debug)]
pub struct Question {
    pub(super) digest: HashedToken,
    pub(super) finds: Finds,
}

/// By what the store is asked.
#[derive(Clone, Debug)]
pub(super) enum Finds {
    /// An API key, by its digest.
    Key,
    /// The same, of one that somebody might guess.
    GuessableKey,
    /// An access token, by its session, once its signature holds.
    Token(Arc<Unverified>),
    /// An access token whose signature held before.
    Session(Arc<Verified>),
    /// A client certificate, by the account that it stands for.
    Certificate(Arc<Claim>),
}

impl Question {
    /// About an API key.
    #[must_use]
    pub const fn key(digest: HashedToken) -> Self {
        Self { digest, finds: Finds::Key }
    }

    /// About an API key so short that it might be guessed.
    pub(super) const fn guessable_key(digest: HashedToken) -> Self {
        Self { digest, finds: Finds::GuessableKey }
    }

    /// About a client certificate that was verified when its connection began.
    #[must_use]
    pub fn certificate(digest: HashedToken, claim: Claim) -> Self {
        Self { digest, finds: Finds::Certificate(Arc::new(claim)) }
    }

    pub(super) fn token(digest: HashedToken, token: Unverified) -> Self {
        Self { digest, finds: Finds::Token(Arc::new(token)) }
    }
}
