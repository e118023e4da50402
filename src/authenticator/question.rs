//! What is asked about a credential: its digest, and what finds it in the store.

use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::certificate::Claim;
use crate::auth::jwt::access_token::{Unverified, Verified};
use crate::auth::token::HashedToken;
use crate::limits::FailureLimit;

/// One question. Whoever asks has judged the credential's form.
#[derive(Clone, Debug)]
pub struct Question {
    pub(super) digest: HashedToken,
    pub(super) finds: Finds,
    pub(super) blame: Option<Blame>,
}

/// Whom it counts against when nobody knows the credential. It goes with the question, for who asked may be gone by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blame {
    pub(super) client: IpAddr,
    pub(super) limit: FailureLimit,
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
    pub(super) const fn new(digest: HashedToken, finds: Finds) -> Self {
        Self { digest, finds, blame: None }
    }

    /// The same, asked for a client: it counts as one of its failures if nobody knows the credential.
    #[must_use]
    pub const fn asked_for(mut self, client: IpAddr, limit: FailureLimit) -> Self {
        self.blame = Some(Blame { client, limit });
        self
    }

    /// About an API key.
    #[must_use]
    pub const fn key(digest: HashedToken) -> Self {
        Self::new(digest, Finds::Key)
    }

    /// About an API key so short that it might be guessed.
    pub(super) const fn guessable_key(digest: HashedToken) -> Self {
        Self::new(digest, Finds::GuessableKey)
    }

    /// About a client certificate that was verified when its connection began.
    #[must_use]
    pub fn certificate(digest: HashedToken, claim: Claim) -> Self {
        Self::new(digest, Finds::Certificate(Arc::new(claim)))
    }

    pub(super) fn token(digest: HashedToken, token: Unverified) -> Self {
        Self::new(digest, Finds::Token(Arc::new(token)))
    }
}
