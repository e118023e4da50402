//! Everything around validation, held by the test's hand: the clock, the store, each read of the feed.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::store::{Mode, Script};
use crate::auth::catalogue::Catalogue;
use crate::auth::jwt::access_token::Parties;
use crate::auth::scope::ScopeSet;
use crate::auth::token::HashedToken;
use crate::authenticator::feed::Feed;
use crate::authenticator::writer::Writer;
use crate::authenticator::{
    Authenticator, Counting, Denied, Front, Layer, Outcome, Question, Refused, Rules, Verdict,
};
use crate::clock::{Clock, Timestamp};
use crate::config::Cache;
use crate::store::{Change, ChangeSink};

pub const START: Timestamp = Timestamp(1_000_000);
/// An expiry that does not come.
pub const NEVER: Timestamp = Timestamp(1_000_000_000_000);
pub const TTL: Duration = Duration::from_secs(60);
pub const STALE: Duration = Duration::from_secs(300);

pub fn terms() -> Cache {
    Cache {
        capacity: 1000,
        ttl: TTL,
        negative_capacity: 1000,
        negative_ttl: Duration::from_secs(5),
        stale_while_unavailable: STALE,
    }
}

fn catalogue(default: &str) -> Catalogue {
    let set = |scopes| ScopeSet::parse(scopes).unwrap();
    Catalogue::new(set("orders:read orders:write"), set(default))
}

pub fn parties() -> Parties {
    Parties { issuer: "https://auth.test".into(), audience: "https://api.test".into() }
}

/// With `default` scopes for accounts that were given none.
pub fn rules(default: &str) -> Rules {
    Rules { catalogue: catalogue(default), parties: Some(parties()), ..Rules::default() }
}

pub fn digest(token: &str) -> HashedToken {
    HashedToken::of(token.as_bytes())
}

pub struct Bed {
    pub store: Arc<Script>,
    pub clock: Clock,
    pub authenticator: Arc<Authenticator>,
    pub feed: Feed,
    pub writer: Writer,
    pub front: Rc<Front>,
    _loader: JoinHandle<()>,
}

impl Deref for Bed {
    type Target = Rc<Front>;
    fn deref(&self) -> &Rc<Front> {
        &self.front
    }
}

impl Bed {
    /// Contact is made; account `a` has the key `k`.
    pub async fn new() -> Self {
        Self::with(&terms()).await
    }

    pub async fn with(terms: &Cache) -> Self {
        let mut bed = Self::silent(terms);
        bed.store.put_account("a", None);
        bed.store.put_key(digest("k"), "k", "a", NEVER);
        bed.feed.poll().await;
        bed
    }

    /// Before the first contact.
    pub fn silent(terms: &Cache) -> Self {
        let store = Arc::new(Script::default());
        let clock = Clock::manual(START);
        let shared: Arc<Script> = Arc::clone(&store);
        let (authenticator, loader, feed, writer) =
            Authenticator::assemble(shared, clock.clone(), terms, rules("orders:read"), Counting::Kept);
        let front = Rc::new(authenticator.front());
        let authenticator = Arc::new(authenticator);
        Self { store, clock, authenticator, feed, writer, front, _loader: tokio::spawn(loader.run()) }
    }

    pub fn cached(&self, token: &str) -> Option<Verdict> {
        self.cached_by(&self.front, token)
    }

    pub fn cached_by(&self, front: &Front, token: &str) -> Option<Verdict> {
        front.cached(&digest(token), self.clock.tick(), self.clock.now())
    }

    pub fn joined(&self) -> u64 {
        self.authenticator.stats().lookups.get(Layer::Positive, Outcome::Joined)
    }

    /// What a request gets.
    pub async fn judge(&self, token: &str) -> Verdict {
        judge(&self.front, &self.clock, token).await
    }

    pub fn changed(&self, change: &Change) {
        self.authenticator.changed(change);
    }

    /// Revokes as the issuer does: written, announced, answered.
    pub fn revoke(&self, id: &str) {
        self.changed(&self.store.revoke(id));
    }

    /// The store stops answering, and the feed has noticed.
    pub async fn cut(&mut self) {
        self.store.set(Mode::Fails);
        self.feed.poll().await;
    }

    /// The store answers again, and the feed has noticed.
    pub async fn mend(&mut self) {
        self.store.set(Mode::Answers);
        self.feed.poll().await;
    }

    /// Time passes with the feed being read.
    pub async fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.feed.poll().await;
    }
}

pub async fn judge(front: &Front, clock: &Clock, token: &str) -> Verdict {
    match front.cached(&digest(token), clock.tick(), clock.now()) {
        Some(verdict) => verdict,
        None => front.load(Question::key(digest(token))).await,
    }
}

/// Lets the loader run until `so`, which must come without time passing.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came to be: {what}");
}

#[track_caller]
pub fn good(verdict: &Verdict) {
    assert!(verdict.is_ok(), "{:?}", verdict.as_ref().err());
}

#[track_caller]
pub fn refused(verdict: Verdict, why: Refused) {
    denied(verdict, Denied::Refused(why));
}

#[track_caller]
pub fn denied(verdict: Verdict, why: Denied) {
    assert_eq!(verdict.map(|entry| entry.principal().identity.clone()), Err(why));
}
