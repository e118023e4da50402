//! Signing keys: made on first start, replaced by schedule and by command, published before they sign; and what they sign.
//!
//! A key signs from its time on in every process that knows it, and all know it before: it is in the change feed, and in
//! the published key set, for [`PUBLISHED_BEFORE`]. Its predecessor verifies until the last token it signed has ended.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::algorithm::SigningAlgorithm;
use crate::auth::jwt::access_token::{self, Claims, FIRST_PARTY, Parties};
use crate::auth::jwt::{self, Purpose, Ring, RingKey, assertion};
use crate::auth::random::{Random, RandomFailed};
use crate::auth::scope::ScopeSet;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::store::{
    self, Handover, Origin, PrivateKey, Retiring, Session, SharedStore, SigningKey, StoreError,
};

use super::login::Pair;
use super::{IssueError, fresh_id};

/// How long a key is published before it signs: longer than whoever verifies keeps the key set.
pub const PUBLISHED_BEFORE: Duration = Duration::from_secs(10 * 60);

/// How far the clocks of processes on one store may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// How long a retired key is kept, so that what it signed is told to have expired and not to be unknown.
const KEPT_RETIRED: Duration = Duration::from_secs(7 * 24 * 3600);

/// The keeping of a store's signing keys, under one configuration.
#[derive(Clone)]
pub struct Signing {
    store: SharedStore,
    clock: Clock,
    algorithm: SigningAlgorithm,
    lifetime: Duration,
    access_token_ttl: Duration,
}

impl Signing {
    /// What `config` says of them; `None` when nothing is issued.
    #[must_use]
    pub fn new(store: SharedStore, clock: Clock, config: &Config) -> Option<Self> {
        let identity = config.identity.as_ref()?;
        Some(Self {
            store,
            clock,
            algorithm: identity.algorithm,
            lifetime: identity.signing_key_lifetime,
            access_token_ttl: identity.access_token_ttl,
        })
    }

    /// Makes what is missing, replaces what is due, removes what retired long ago. To be called now and then; several
    /// processes may, and one of them does it.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn keep_up(&self, origin: &Origin) -> Result<(), IssueError> {
        let now = self.clock.now();
        let keys = self.store.signing_keys().await?;
        for purpose in Purpose::ALL {
            let newest = newest(&keys, purpose);
            if newest.is_none_or(|newest| self.is_due(newest, now)) {
                match self.make(purpose, newest, When::InTime, origin).await {
                    // Or another process was faster.
                    Ok(_) | Err(IssueError::Conflict(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let before = Timestamp(now.millis().saturating_sub(millis(KEPT_RETIRED)));
        self.store.remove_signing_keys(before, now, origin).await?;
        Ok(())
    }

    /// Replaces the key of `purpose`, `when` it is told.
    ///
    /// # Errors
    /// When the store does not take it, or somebody else replaced it just now.
    pub async fn rotate(
        &self,
        purpose: Purpose,
        when: When,
        origin: &Origin,
    ) -> Result<SigningKey, IssueError> {
        let keys = self.store.signing_keys().await?;
        self.make(purpose, newest(&keys, purpose), when, origin).await
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn list(&self) -> Result<Vec<SigningKey>, IssueError> {
        Ok(self.store.signing_keys().await?)
    }

    fn is_due(&self, newest: &SigningKey, now: Timestamp) -> bool {
        let ends = newest.signs_from.after(self.lifetime);
        newest.algorithm != self.algorithm || ends <= now.after(PUBLISHED_BEFORE)
    }

    async fn make(
        &self,
        purpose: Purpose,
        newest: Option<&SigningKey>,
        when: When,
        origin: &Origin,
    ) -> Result<SigningKey, IssueError> {
        let now = self.clock.now();
        let made = jwt::SigningKey::generate(self.algorithm)?;
        // The first signs at once: there is nothing that it could take by surprise.
        let signs_from = match when {
            When::InTime if newest.is_some() => now.after(PUBLISHED_BEFORE),
            When::InTime | When::Now => now,
        };
        let key = SigningKey {
            id: made.kid().to_owned(),
            purpose,
            algorithm: self.algorithm,
            private_key: PrivateKey::new(made.text()),
            created_at: now,
            signs_from,
            retires_at: None,
        };
        let (retires_at, with) = match when {
            When::InTime => {
                (signs_from.after(self.longest_life(purpose)).after(CLOCKS_DIFFER), Retiring::Newest)
            }
            // By every clock, however far it is set back.
            When::Now => (Retiring::AT_ONCE, Retiring::All),
        };
        let handover = newest.map(|newest| Handover { from: newest.id.clone(), retires_at, with });
        self.store.add_signing_key(&key, handover.as_ref(), origin).await?;
        Ok(key)
    }

    const fn longest_life(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::AccessToken => self.access_token_ttl,
            Purpose::Assertion => assertion::LIFE,
        }
    }
}

/// When a key takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Once whoever verifies knows it; what was signed before stays good to its end.
    InTime,
    /// At once, and nothing that any older key signed is good any more: somebody else has it.
    Now,
}

/// The one that no other takes over from yet.
fn newest(keys: &[SigningKey], purpose: Purpose) -> Option<&SigningKey> {
    keys.iter().find(|key| key.purpose == purpose && key.retires_at.is_none())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What a key does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is published and will sign.
    Next,
    /// It signs.
    Signing,
    /// It signs no more; what it signed is good.
    Verifying,
    /// What it signed has ended.
    Retired,
}

impl Stage {
    /// The name in lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signing => "signing",
            Self::Verifying => "verifying",
            Self::Retired => "retired",
        }
    }

    /// What `key` of `all` does at `now`.
    #[must_use]
    pub fn of(key: &SigningKey, all: &[SigningKey], now: Timestamp) -> Self {
        let retired = |key: &SigningKey| key.retires_at.is_some_and(|end| end <= now);
        let others = || all.iter().filter(|other| other.purpose == key.purpose);
        let later = |other: &SigningKey| other.signs_from <= now && other.signs_from > key.signs_from;
        let earlier = |other: &SigningKey| other.signs_from < key.signs_from && !retired(other);
        if retired(key) {
            Self::Retired
        } else if now < key.signs_from && others().any(earlier) {
            Self::Next
        } else if others().any(later) {
            Self::Verifying
        } else {
            // Or its time is to come, by a clock that was set back, and it is the first.
            Self::Signing
        }
    }
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum NotMinted {
    /// No key signs: they were not read yet, or there are none.
    #[error("there is no signing key yet")]
    NoKey,
    /// The session is over.
    #[error("the session has ended")]
    Over,
    /// Nothing unpredictable can be had.
    #[error(transparent)]
    Random(#[from] RandomFailed),
}

/// An access token just made. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Minted {
    /// The token.
    pub token: zeroize::Zeroizing<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minted").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The making of access tokens, under one configuration.
#[derive(Clone)]
pub struct Mint {
    ring: Arc<Ring>,
    random: Arc<dyn Random>,
    parties: Parties,
    ttl: Duration,
}

/// For whom a token is made.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// The session that it belongs to.
    pub session: &'a Session,
    /// The application that holds it; `None` = its owner's own program.
    pub client: Option<&'a str>,
    /// What it may do.
    pub scopes: &'a ScopeSet,
}

impl Mint {
    /// Makes tokens with the keys of `ring`; `None` when nothing is issued.
    #[must_use]
    pub fn new(ring: Arc<Ring>, random: Arc<dyn Random>, config: &Config) -> Option<Self> {
        let ttl = config.identity.as_ref()?.access_token_ttl;
        Some(Self { ring, random, parties: config.parties()?, ttl })
    }

    /// Whether a token can be signed at `now`. To be asked before a session begins or goes on: what is used up for a token
    /// that nobody can sign is lost.
    ///
    /// # Errors
    /// [`NotMinted::NoKey`].
    pub fn ready(&self, now: Timestamp) -> Result<(), NotMinted> {
        self.signer(now).map(|_| ())
    }

    fn signer(&self, now: Timestamp) -> Result<Arc<RingKey>, NotMinted> {
        let keys = self.ring.keys().ok_or(NotMinted::NoKey)?;
        keys.signer(Purpose::AccessToken, now).cloned().ok_or(NotMinted::NoKey)
    }

    /// The access token beside the refresh token that a login or a refresh gave.
    ///
    /// # Errors
    /// [`NotMinted`].
    pub fn beside(&self, pair: &Pair) -> Result<Minted, NotMinted> {
        let holder = Holder { session: &pair.session, client: None, scopes: &pair.scopes };
        self.access_token(holder, pair.issued_at)
    }

    /// An access token. It ends with its session at the latest, and never after the key that signs it.
    ///
    /// # Errors
    /// [`NotMinted`].
    pub fn access_token(&self, holder: Holder<'_>, now: Timestamp) -> Result<Minted, NotMinted> {
        let key = self.signer(now)?;
        let session = holder.session;
        let ends = now.after(self.ttl).min(session.expires_at).min(session.ends_at);
        let ends = key.retires_at.map_or(ends, |retires| ends.min(retires));
        // What is told is what the token says: whole seconds.
        let expires_at = Timestamp(ends.millis().div_euclid(1000) * 1000);
        if session.ended.is_some() || expires_at <= now {
            return Err(NotMinted::Over);
        }
        let claims = Claims {
            account: session.account_id.as_str().into(),
            session: session.id.as_str().into(),
            client: holder.client.unwrap_or(FIRST_PARTY).into(),
            id: fresh_id(&*self.random, now)?.into(),
            scopes: holder.scopes.clone(),
            issued_at: now,
            expires_at,
        };
        let token = access_token::mint(&key.key, &self.parties, &claims)?;
        Ok(Minted { token: token.into(), expires_at })
    }
}

/// The public halves of the keys that verify at `now`, as a JWK Set; what cannot be read is left out.
///
/// # Errors
/// When the store cannot be asked.
pub async fn jwks(store: &SharedStore, now: Timestamp) -> Result<serde_json::Value, StoreError> {
    Ok(store::signing::ring(&store.signing_keys().await?).jwks(now))
}

#[cfg(test)]
mod tests;
