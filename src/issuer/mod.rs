//! Every use case that makes, changes or revokes an account or a credential.
//!
//! No HTTP and no printing: the command line and the APIs call the same functions. A change is committed first, then
//! told to the [`ChangeSink`], then answered, so that it holds for every request that starts after the answer.

pub mod accounts;
pub mod address;
mod delays;
mod door;
pub mod error;
pub mod import;
pub mod keys;
mod limits;
pub mod login;
mod logins;
pub mod pages;
pub mod passwords;
pub mod reset;
pub mod rotation;
pub mod sessions;
pub mod signing;
mod text;
pub mod view;

use std::sync::Arc;

use uuid::Builder;

pub use accounts::{NewAccount, ScopesChoice, check_email};
pub use error::{IssueError, LineProblem, Problem};
pub use keys::{Expiry, KEYS_MAX, KeyStatus, MadeKey, NewKey};
pub use login::{Browser, Pair, Visitor};
pub use logins::{Failures, Logins};
pub use reset::{MadeLink, check_password};
pub use rotation::{Changes, MadeOnce, OVERLAP, Request, Rotation};
pub use text::NAME_MAX;
pub use view::{AccountView, KeyView, LinkView, List, MadeKeyView, SessionView};

use crate::auth::catalogue::Catalogue;
use crate::auth::random::{Random, RandomFailed};
use crate::auth::scope::ScopeSet;
use crate::clock::{Clock, Timestamp};
use crate::config;
use door::Door;

use crate::store::{ApiKey, Change, ChangeSink, KeyForm, Seq, SharedStore, Subject};

/// For processes that judge no requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NobodyToTell;

impl ChangeSink for NobodyToTell {
    fn changed(&self, _: &Change) {}

    fn imported(&self, _: &[KeyForm]) {}
}

/// The use cases, with all that they need. Clones are cheap; a new configuration makes a new one.
#[derive(Clone)]
pub struct Issuer {
    store: SharedStore,
    clock: Clock,
    random: Arc<dyn Random>,
    catalogue: Arc<Catalogue>,
    keys: Arc<config::Keys>,
    /// How much accounts may, and the plans that there are.
    limits: Arc<config::Limits>,
    identity: Option<Arc<config::Identity>>,
    door: Arc<Door>,
    changes: Arc<dyn ChangeSink>,
}

impl Issuer {
    /// The use cases on `store`, under the rules of a configuration.
    #[must_use]
    pub fn new(
        store: SharedStore,
        clock: Clock,
        random: Arc<dyn Random>,
        config: &config::Config,
        changes: Arc<dyn ChangeSink>,
    ) -> Self {
        let catalogue = Arc::new(config.catalogue());
        let identity = config.identity.clone().map(Arc::new);
        let door = Arc::new(Door::new(identity.as_deref(), &clock));
        let keys = Arc::new(config.keys.clone());
        let limits = Arc::new(config.limits.clone());
        Self { store, clock, random, catalogue, keys, limits, identity, door, changes }
    }

    /// The same under the rules of another configuration. What is remembered of failed logins is kept; so is the bound
    /// on passwords that are checked at once, until a restart.
    #[must_use]
    pub fn under(&self, config: &config::Config) -> Self {
        Self {
            catalogue: Arc::new(config.catalogue()),
            keys: Arc::new(config.keys.clone()),
            limits: Arc::new(config.limits.clone()),
            identity: config.identity.clone().map(Arc::new),
            ..self.clone()
        }
    }

    /// How logins end, under whatever configuration.
    #[must_use]
    pub fn logins(&self) -> Logins {
        self.door.logins.clone()
    }

    /// The section `identity`, without which nobody logs in.
    fn identity(&self) -> Result<&config::Identity, IssueError> {
        self.identity.as_deref().ok_or(IssueError::NoIdentity)
    }

    /// A fresh UUIDv7 of the moment `now`.
    fn id(&self, now: Timestamp) -> Result<String, RandomFailed> {
        fresh_id(&*self.random, now)
    }

    /// Reads scopes that must all be in the catalogue.
    fn known(&self, asked: &[String]) -> Result<ScopeSet, Problem> {
        let known = self.catalogue.known();
        self.catalogue.read(asked).map_err(|unknown| Problem::UnknownScopes { unknown, known: known.clone() })
    }

    fn tell(&self, seq: Seq, subject: Subject, id: &str, created: bool) {
        self.changes.changed(&Change { seq, subject, id: id.to_owned(), created, new_key: None });
    }

    fn tell_of_key(&self, seq: Seq, ApiKey { key, digest }: &ApiKey) {
        let (subject, id) = (Subject::ApiKey, key.id.clone());
        self.changes.changed(&Change { seq, subject, id, created: true, new_key: Some(*digest) });
    }
}

/// A fresh UUIDv7 of the moment `now`.
fn fresh_id(random: &dyn Random, now: Timestamp) -> Result<String, RandomFailed> {
    let mut bytes = [0; 10];
    random.fill(&mut bytes)?;
    let millis = u64::try_from(now.millis()).unwrap_or_default();
    Ok(Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid().to_string())
}

#[cfg(test)]
mod tests;
