//! Credential digest → validation, cached.
//!
//! ```text
//! request → Front (a worker's own table) → shared caches → Loader (single flight: signature, store)
//!              ↑ every hit is held against marks             ↑ what it brings must stand on the newest marks
//! issuer, Feed → Marks (touched by what changed)
//! ```
//!
//! A validation stands on marks that a change touches before its writer is answered, so a revocation holds for every
//! request that starts after that, whatever the caches evicted, whichever worker still holds the entry, and whatever
//! a look-up that began earlier brings. Contact to the store is kept by reading its change feed; without it, what was
//! good serves until `stale_while_unavailable` is over. Nothing here knows of HTTP, SQL or routes.

mod cache;
mod contact;
mod entry;
mod evidence;
mod feed;
mod forms;
mod front;
mod loader;
mod lookup;
mod marks;
mod question;
mod shared;
mod stats;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use contact::Health;
pub use entry::{Denied, Entry, Refused, Valid, Verdict};
pub use front::Front;
pub use question::Question;
pub use stats::{Layer, Lookups, Outcome, Stats};

use crate::auth::catalogue::Catalogue;
use crate::auth::jwt::Ring;
use crate::auth::jwt::access_token::Parties;
use crate::clock::Clock;
use crate::config;
use crate::store::{Change, ChangeSink, KeyForm, SharedStore};
use feed::Feed;
use loader::{Ask, Loader};
use shared::Shared;

/// The shared side of validation: makes fronts, takes changes, tells how it stands.
#[derive(Debug)]
pub struct Authenticator {
    shared: Arc<Shared>,
    asks: mpsc::Sender<Ask>,
}

/// What credentials are held against beside the store.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Which scopes there are.
    pub catalogue: Catalogue,
    /// Who issues access tokens and for whom; `None` = there are none.
    pub parties: Option<Parties>,
}

impl Rules {
    /// What a configuration says of them.
    #[must_use]
    pub fn of(config: &config::Config) -> Self {
        Self { catalogue: config.catalogue(), parties: config.parties() }
    }
}

/// What runs on the control runtime; ends when dropped.
#[derive(Debug)]
#[must_use = "validation ends when this is dropped"]
pub struct Tasks(JoinSet<()>);

impl Tasks {
    /// Waits until one of them ends, which none does by itself: a defect, and reason to restart.
    pub async fn ended(&mut self) {
        self.0.join_next().await;
    }
}

impl Authenticator {
    /// Starts looking up and following the change feed on the current runtime.
    pub fn start(store: SharedStore, clock: Clock, terms: &config::Cache, rules: Rules) -> (Self, Tasks) {
        let (authenticator, loader, feed) = Self::assemble(store, clock, terms, rules);
        let mut tasks = JoinSet::new();
        tasks.spawn(loader.run());
        tasks.spawn(feed.run(feed::PERIOD));
        (authenticator, Tasks(tasks))
    }

    fn assemble(
        store: SharedStore,
        clock: Clock,
        terms: &config::Cache,
        rules: Rules,
    ) -> (Self, Loader, Feed) {
        let shared = Arc::new(Shared::new(clock, terms, rules));
        let (asks, asked) = mpsc::channel(loader::ASKS);
        let loader = Loader::new(asked, Arc::clone(&store), Arc::clone(&shared));
        let feed = Feed::new(store, Arc::clone(&shared));
        (Self { shared, asks }, loader, feed)
    }

    /// A front for one worker, to be made on its thread.
    #[must_use]
    pub fn front(&self) -> Front {
        Front::new(Arc::clone(&self.shared), self.asks.clone())
    }

    /// Takes what a reload changed; validations made under other terms or scopes are made again.
    pub fn reload(&self, terms: &config::Cache, rules: Rules) {
        self.shared.reload(terms, rules);
    }

    /// The signing keys, kept as they are in the store by following its change feed.
    #[must_use]
    pub fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.shared.ring)
    }

    /// How contact to the store stands.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.contact.health(self.shared.clock.tick())
    }

    /// The numbers for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl ChangeSink for Authenticator {
    fn changed(&self, change: &Change) {
        self.shared.marks.changed(change);
    }

    fn imported(&self, forms: &[KeyForm]) {
        self.shared.forms.add(forms);
    }
}
