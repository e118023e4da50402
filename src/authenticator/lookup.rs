//! One look-up of a credential in the store, from question to cached entry.

use std::sync::Arc;
use std::time::Duration;

use super::entry::{Entry, Known, Loaded};
use super::evidence::{Evidence, FoundAccount};
use super::marks::Overtaken;
use super::question::{Finds, Question};
use super::shared::Shared;
use crate::auth::certificate::Claim;
use crate::auth::jwt::access_token::Verified;
use crate::auth::jwt::{Purpose, RingKey};
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;
use crate::store::{SharedStore, StoreError};

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

    /// Finds out what a credential stands for, and caches it.
    pub(super) async fn run(&self, question: Question) -> Landed {
        match tokio::time::timeout(LOOKUP_TIMEOUT, self.until_not_overtaken(question)).await {
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

    async fn until_not_overtaken(&self, question: Question) -> Result<Option<Loaded>, StoreError> {
        let Question { digest, finds, .. } = question;
        let on_roll = matches!(finds, Finds::Key);
        let proved = Proved::of(finds);
        for _ in 0..TRIES {
            if let Ok(loaded) = self.once(digest, &proved).await? {
                self.shared.caches.load().insert(&loaded);
                if !on_roll && matches!(loaded, Loaded::Valid(_)) {
                    self.shared.lately.add(&digest);
                }
                return Ok(Some(loaded));
            }
        }
        Ok(None)
    }

    async fn once(
        &self,
        digest: HashedToken,
        proved: &Proved,
    ) -> Result<Result<Loaded, Overtaken>, StoreError> {
        let shared = &*self.shared;
        // Before anything is read, the epoch first: what is read must not be older than they say.
        let epoch = shared.marks.epoch();
        let read_at = shared.clock.tick();
        let found = self.find(digest, proved).await?;
        let attached = shared.marks.attach(epoch, found.as_of(), found.about());
        Ok(attached.map(|footing| {
            let terms = &shared.caches.load().terms;
            match found.judge(shared, shared.clock.now()) {
                Ok((vouched, ends)) => {
                    Loaded::Valid(Arc::new(Entry::new(digest, footing, read_at, terms.ttl, (vouched, ends))))
                }
                Err(refused) => {
                    if found.is_no_longer_good(refused) {
                        shared.marks.end_older(&footing);
                    }
                    let fact = (Known { refused, whose: found.whose() }, Timestamp(i64::MAX));
                    Loaded::Refused(Arc::new(Entry::new(digest, footing, read_at, terms.negative_ttl, fact)))
                }
            }
        }))
    }

    async fn find(&self, digest: HashedToken, proved: &Proved) -> Result<Evidence, StoreError> {
        Ok(match proved {
            Proved::Key => Evidence::Key(self.store.find_key(digest).await?),
            Proved::Nothing => Evidence::Forged,
            Proved::Certificate(claim) => {
                let found = self.find_account(&claim.account).await?;
                Evidence::Certificate { claim: Arc::clone(claim), found }
            }
            Proved::Token(token) => match self.key_of(token) {
                None => Evidence::Forged,
                Some(key) => {
                    let found = self.store.find_session(&token.claims.session).await?;
                    Evidence::Session { token: Arc::clone(token), retires_at: key.retires_at, found }
                }
            },
        })
    }

    /// The position is read first: what is found knows of at least as much.
    async fn find_account(&self, id_or_email: &str) -> Result<FoundAccount, StoreError> {
        let as_of = self.store.latest().await?;
        match self.store.account(id_or_email).await {
            Ok(account) => Ok(FoundAccount { as_of, account: Some(account) }),
            Err(StoreError::NotFound(_)) => Ok(FoundAccount { as_of, account: None }),
            Err(error) => Err(error),
        }
    }

    /// The key that vouched for a token once, if it does so now.
    fn key_of(&self, token: &Verified) -> Option<Arc<RingKey>> {
        self.shared.ring.keys()?.named(Purpose::AccessToken, &token.kid).cloned()
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

/// What is known of a credential before the store is asked.
enum Proved {
    /// It has the form of an API key.
    Key,
    /// It is an access token of ours.
    Token(Arc<Verified>),
    /// It is a client certificate, verified by its connection.
    Certificate(Arc<Claim>),
    /// It is a token, and not one of ours.
    Nothing,
}

impl Proved {
    /// Verifies a signature, if there is one that was not verified before.
    fn of(finds: Finds) -> Self {
        match finds {
            Finds::Key | Finds::GuessableKey => Self::Key,
            Finds::Session(token) => Self::Token(token),
            Finds::Certificate(claim) => Self::Certificate(claim),
            Finds::Token(token) => token.verify().map_or(Self::Nothing, |token| Self::Token(Arc::new(token))),
        }
    }
}
