//! What pages and endpoints need beside the use cases: who a session is, what can be chosen, words that nobody guesses.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use zeroize::Zeroizing;

use super::{IssueError, Issuer};
use crate::auth::scope::ScopeSet;
use crate::auth::token::HashedToken;
use crate::store::{Account, AccountStatus, Origin, PrivateKey, Session};

/// The name of the secret in the store that pages are sealed with.
const SECRET: &str = "console";
/// Random bytes of a word that nobody can guess.
const NONCE: usize = 16;

impl Issuer {
    /// A session that is alive, with its account; `None` when there is none, or the account is disabled.
    ///
    /// # Errors
    /// The store's.
    pub async fn living_session(&self, id: &str) -> Result<Option<(Session, Account)>, IssueError> {
        let found = self.store.find_session(id).await?.session;
        let now = self.clock.now();
        Ok(found
            .filter(|(session, account)| session.is_alive(now) && account.status == AccountStatus::Active))
    }

    /// What an account's keys may have.
    #[must_use]
    pub fn grantable<'a>(&'a self, account: &'a Account) -> &'a ScopeSet {
        self.catalogue.grantable(account.scopes.as_ref())
    }

    /// The longest life of a key, and the one that it has unless another is asked for.
    #[must_use]
    pub fn lives(&self) -> (Duration, Duration) {
        (self.keys.max_lifetime, self.keys.default_lifetime)
    }

    /// A word that nobody can guess, for a form that is to be taken once.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn nonce(&self) -> Result<String, IssueError> {
        let mut random = [0; NONCE];
        self.random.fill(&mut random)?;
        Ok(BASE64.encode(random))
    }

    /// Whether `text` has the form of a [`nonce`](Self::nonce).
    #[must_use]
    pub fn is_nonce(text: &str) -> bool {
        BASE64.decode(text).is_ok_and(|random| random.len() == NONCE)
    }

    /// What pages are sealed with, the same in every server of the store.
    ///
    /// # Errors
    /// When there is no randomness, or the store's.
    pub async fn console_secret(&self) -> Result<Zeroizing<Vec<u8>>, IssueError> {
        let mut bytes = Zeroizing::new([0; 32]);
        self.random.fill(&mut *bytes)?;
        // Read as text alone; what it is the digest of is gone.
        let fresh = PrivateKey::new(Zeroizing::new(HashedToken::of(&*bytes).hex()));
        let origin = Origin { actor: "keyward".to_owned(), via: "start".to_owned() };
        let secret = self.store.secret(SECRET, &fresh, self.clock.now(), &origin).await?;
        Ok(Zeroizing::new(secret.expose().as_bytes().to_vec()))
    }
}
