//! One look-up of a credential in the store, from question to cached entry.

use std::sync::Arc;
use std::time::Duration;

use super::entry::{Entry, Known, Loaded, Refused};
use super::marks::{About, Overtaken};
use super::shared::Shared;
use crate::auth::principal::{Identity, Method, Principal};
use crate::auth::scope::ScopeSet;
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;
use crate::store::{AccountStatus, Found, SharedStore, StoreError};

/// How long the store may take, all tries together.
pub(super) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(4);

/// Looks, when changes keep overtaking them.
const TRIES: usize = 4;

/// Nothing could be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unanswered;

/// What a look-up gives.
pub(super) type Landed = Result<Loaded, Unanswered>;

/// Asks the store and fills the caches.
#[derive(Clone)]
pub(super) struct Lookup {
    store: SharedStore,
    shared: Arc<Shared>,
}

impl Lookup {
    pub(super) fn new(store: SharedStore, shared: Arc<Shared>) -> Self {
        Self { store, shared }
    }

    /// Finds out what `digest` stands for, and caches it.
    pub(super) async fn run(&self, digest: HashedToken) -> Landed {
        match tokio::time::timeout(LOOKUP_TIMEOUT, self.until_not_overtaken(digest)).await {
            Ok(Ok(Some(loaded))) => Ok(loaded),
            Ok(Ok(None)) => {
                tracing::warn!(tries = TRIES, "a credential changed faster than it could be looked up");
                Err(Unanswered)
            }
            Ok(Err(error)) => {
                self.failed(&error);
                Err(Unanswered)
            }
            Err(_elapsed) => {
                self.store_lost("a look-up took too long");
                Err(Unanswered)
            }
        }
    }

    async fn until_not_overtaken(&self, digest: HashedToken) -> Result<Option<Loaded>, StoreError> {
        for _ in 0..TRIES {
            if let Ok(loaded) = self.once(digest).await? {
                self.shared.caches.load().insert(&loaded);
                return Ok(Some(loaded));
            }
        }
        Ok(None)
    }

    async fn once(&self, digest: HashedToken) -> Result<Result<Loaded, Overtaken>, StoreError> {
        let shared = &*self.shared;
        // Before anything is read, the epoch first: what is read must not be older than they say.
        let epoch = shared.marks.epoch();
        let read_at = shared.clock.tick();
        let found = self.store.find_key(digest).await?;
        let attached = shared.marks.attach(epoch, found.as_of, about(&found));
        Ok(attached.map(|footing| {
            let terms = &shared.caches.load().terms;
            match self.judge(&found, shared.clock.now()) {
                Ok(principal) => {
                    let ends = principal.expires_at;
                    let entry = Entry::new(digest, footing, read_at, terms.ttl, (principal, ends));
                    Loaded::Valid(Arc::new(entry))
                }
                Err(refused) => {
                    shared.marks.end_older(&footing);
                    let fact = (Known { refused, whose: whose(&found) }, Timestamp(i64::MAX));
                    Loaded::Refused(Arc::new(Entry::new(digest, footing, read_at, terms.negative_ttl, fact)))
                }
            }
        }))
    }

    fn judge(&self, found: &Found, now: Timestamp) -> Result<Principal, Refused> {
        let (key, account) = found.key.as_ref().ok_or(Refused::Unknown)?;
        if key.revoked_at.is_some() {
            return Err(Refused::Revoked);
        }
        if account.status == AccountStatus::Disabled {
            return Err(Refused::AccountDisabled);
        }
        if now >= key.expires_at {
            return Err(Refused::Expired { at: key.expires_at });
        }
        let scopes = self.shared.catalogue.load().granted(account.scopes.as_ref(), &key.scopes);
        Ok(Principal {
            identity: Identity::new(&account.id, &key.id, None, &scopes),
            scopes,
            expires_at: key.expires_at,
            method: Method::ApiKey,
            allowed_addresses: key.allowed_addresses.clone().into(),
        })
    }

    fn failed(&self, error: &StoreError) {
        match error {
            StoreError::Unavailable(cause) => self.store_lost(&cause.to_string()),
            StoreError::NotFound(_) | StoreError::Conflict(_) | StoreError::Corrupt(_) => {
                tracing::error!(%error, "a credential cannot be looked up");
            }
        }
    }

    /// From here on what is held serves without asking again, until the feed has contact.
    fn store_lost(&self, cause: &str) {
        if self.shared.contact.lost() {
            tracing::warn!(cause, "the store does not answer; what is cached serves on");
        }
    }
}

/// Who held the secret. What they may do is nobody's concern any more.
fn whose(found: &Found) -> Option<Identity> {
    let (key, account) = found.key.as_ref()?;
    Some(Identity::new(&account.id, &key.id, None, &ScopeSet::default()))
}

fn about(found: &Found) -> About<'_> {
    match &found.key {
        None => About::Nothing,
        Some((key, account)) => About::ApiKey { key: &key.id, account: &account.id },
    }
}
