//! Credential digest → validation, cached.
//!
//! ```text
//! request → Front (a worker's own table) → shared caches → Loader (single flight: signature, store)
//!              ↑ every hit is held against marks             ↑ what it brings must stand on the newest marks
//! issuer, Feed → Marks (touched by what changed)
//! Front → Notes → Writer (when keys were last used, and what accounts have used of the day)
//! ```
//!
//! A validation stands on marks that a change touches before its writer is answered, so a revocation holds for every
//! request that starts after that, whatever the caches evicted, whichever worker still holds the entry, and whatever
//! a look-up that began earlier brings. Contact to the store is kept by reading its change feed; without it, what was
//! good serves until `stale_while_unavailable` is over. Nothing here knows of HTTP, SQL or routes.

mod allowances;
mod cache;
mod contact;
mod days;
mod entry;
mod evidence;
mod feed;
mod forms;
mod front;
mod lately;
mod loader;
mod lookup;
mod marks;
mod meter;
mod question;
mod roll;
mod shared;
mod stats;
mod table;
#[cfg(test)]
mod tests;
mod unwritten;
mod uses;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use contact::Health;
pub use entry::{Denied, Entry, Refused, Valid, Verdict};
pub use front::Front;
pub use meter::{Meter, OfKey};
pub use question::Question;
pub use stats::{Layer, Lookups, Outcome, Stats};

use crate::auth::catalogue::Catalogue;
use crate::auth::jwt::Ring;
use crate::auth::jwt::access_token::Parties;
use crate::auth::token::HashedToken;
use crate::clock::Clock;
use crate::config;
use crate::limits::{Plans, Report};
use crate::store::{Account, Change, ChangeSink, Key, KeyForm, SharedStore};
use feed::Feed;
use loader::{Ask, Loader};
use shared::Shared;
use uses::{Notes, Used};
use writer::Writer;

/// How long a token that is given out may be kept back for it.
const LEARNING: Duration = Duration::from_secs(1);

/// The shared side of validation: makes fronts, takes changes, tells how it stands.
#[derive(Debug)]
pub struct Authenticator {
    shared: Arc<Shared>,
    asks: mpsc::Sender<Ask>,
    uses: mpsc::Sender<Vec<Used>>,
}

/// What credentials are held against beside the store.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Which scopes there are.
    pub catalogue: Catalogue,
    /// Who issues access tokens and for whom; `None` = there are none.
    pub parties: Option<Parties>,
    /// How much accounts may.
    pub plans: Plans,
}

impl Rules {
    /// What a configuration says of them.
    #[must_use]
    pub fn of(config: &config::Config) -> Self {
        Self { catalogue: config.catalogue(), parties: config.parties(), plans: config.limits.plans.clone() }
    }
}

/// Whether what is used is known beyond this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// It begins with what the store knows, and is written down.
    Kept,
    /// It is nobody's concern: nothing is served.
    Ignored,
}

/// What runs on the control runtime; ends when dropped.
#[derive(Debug)]
#[must_use = "validation ends when this is dropped"]
pub struct Tasks {
    validating: JoinSet<()>,
    writing: JoinSet<()>,
    stop_writing: CancellationToken,
}

impl Tasks {
    /// Waits until one of them ends, which none does by itself: a defect, and reason to restart.
    pub async fn ended(&mut self) {
        tokio::select! {
            _ = self.validating.join_next() => {}
            Some(_) = self.writing.join_next() => {}
        }
    }

    /// Ends them, once what workers have counted and handed over is written down. Where a store hangs that takes long; what
    /// is cut short loses no more than what was not written before.
    pub async fn finish(mut self) {
        self.stop_writing.cancel();
        while self.writing.join_next().await.is_some() {}
    }
}

impl Authenticator {
    /// Starts looking up and following the change feed on the current runtime.
    pub fn start(
        store: SharedStore,
        clock: Clock,
        terms: &config::Cache,
        rules: Rules,
        counting: Counting,
    ) -> (Self, Tasks) {
        let (authenticator, loader, feed, writer) = Self::assemble(store, clock, terms, rules, counting);
        let (mut validating, mut writing) = (JoinSet::new(), JoinSet::new());
        validating.spawn(loader.run());
        validating.spawn(feed.run(feed::PERIOD));
        let stop_writing = CancellationToken::new();
        if counting == Counting::Kept {
            writing.spawn(writer.run(stop_writing.clone()));
        }
        (authenticator, Tasks { validating, writing, stop_writing })
    }

    fn assemble(
        store: SharedStore,
        clock: Clock,
        terms: &config::Cache,
        rules: Rules,
        counting: Counting,
    ) -> (Self, Loader, Feed, Writer) {
        let shared = Arc::new(Shared::new(clock, terms, rules));
        let (asks, asked) = mpsc::channel(loader::ASKS);
        let loader = Loader::new(asked, Arc::clone(&store), Arc::clone(&shared));
        let feed = Feed::new(Arc::clone(&store), Arc::clone(&shared), counting);
        let (uses, used) = mpsc::channel(uses::LISTS_MOST);
        let writer = Writer::new(used, store, Arc::clone(&shared));
        (Self { shared, asks, uses }, loader, feed, writer)
    }

    /// A front for one worker, to be made on its thread.
    #[must_use]
    pub fn front(&self) -> Front {
        Front::new(
            Arc::clone(&self.shared),
            self.asks.clone(),
            Notes::new(self.uses.clone(), Arc::clone(&self.shared)),
        )
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

    /// Looks an access token up that is about to be given out: who gets it is known from the first request on, whatever
    /// comes from where he is. Where that takes long it is given out all the same.
    pub async fn learn(&self, token: &str) {
        let digest = HashedToken::of(token.as_bytes());
        let Ok(question) = self.shared.question(digest, token, self.shared.clock.now()) else { return };
        let (reply, answer) = oneshot::channel();
        if self.asks.try_send(Ask::Load { question, reply }).is_ok() {
            let _ = tokio::time::timeout(LEARNING, answer).await;
        }
    }

    /// How an account stands to its limits now, and a key of its own where it has some; `None` where nothing is limited.
    #[must_use]
    pub fn standing(&self, account: &Account, key: Option<&Key>) -> Option<Report> {
        self.shared.look(account, key).standing(self.shared.moment())
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
        self.shared.changed(change);
    }

    fn imported(&self, forms: &[KeyForm]) {
        self.shared.forms.add(forms);
    }
}
