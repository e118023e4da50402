//! All signing keys of a store, and which of them does what at a moment.
//!
//! A key is published from when it is made, signs from [`signs_from`](RingKey::signs_from) until a later one does, and
//! verifies until it retires. Which one signs follows from the time alone, so processes agree without talking.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde_json::{Value, json};

use super::{Purpose, SigningKey};
use crate::clock::Timestamp;

/// One key and its times.
#[derive(Clone, Debug)]
pub struct RingKey {
    /// The key.
    pub key: SigningKey,
    /// What it signs.
    pub purpose: Purpose,
    /// When it begins to sign.
    pub signs_from: Timestamp,
    /// From when on nothing that it signed is good any more; `None` while no other is to take over.
    pub retires_at: Option<Timestamp>,
}

impl RingKey {
    /// Whether what it signed may still be good.
    #[must_use]
    pub fn verifies(&self, now: Timestamp) -> bool {
        self.retires_at.is_none_or(|end| now < end)
    }
}

/// The keys as a process knows them now, for all that sign and verify in it. Empty until they were first read.
#[derive(Debug, Default)]
pub struct Ring(ArcSwapOption<Keyring>);

impl Ring {
    /// The keys; `None` when they were never read.
    #[must_use]
    pub fn keys(&self) -> Option<Arc<Keyring>> {
        self.0.load_full()
    }

    /// Puts `keys` in the place of those before.
    pub fn set(&self, keys: Keyring) {
        self.0.store(Some(Arc::new(keys)));
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Keyring(Box<[Arc<RingKey>]>);

impl Keyring {
    /// These keys.
    pub fn new(keys: impl IntoIterator<Item = RingKey>) -> Self {
        Self(keys.into_iter().map(Arc::new).collect())
    }

    /// The key that signs now: of those that may, the one that began last. Where none may yet, as by a clock that was set
    /// back, the one that will be first.
    #[must_use]
    pub fn signer(&self, purpose: Purpose, now: Timestamp) -> Option<&Arc<RingKey>> {
        let good = || self.0.iter().filter(move |key| key.purpose == purpose && key.verifies(now));
        let order = |key: &&Arc<RingKey>| (key.signs_from, key.key.kid().to_owned());
        good().filter(|key| key.signs_from <= now).max_by_key(order).or_else(|| good().min_by_key(order))
    }

    /// The key of that name, retired or not: what a retired one signed is over, and that can be told of it.
    #[must_use]
    pub fn named(&self, purpose: Purpose, kid: &str) -> Option<&Arc<RingKey>> {
        self.0.iter().find(|key| key.purpose == purpose && key.key.kid() == kid)
    }

    /// Whether every key that verifies at `now` does so by `other`, too.
    #[must_use]
    pub fn is_within(&self, other: &Self, now: Timestamp) -> bool {
        let verifies = |key: &&RingKey| key.verifies(now);
        self.iter()
            .filter(verifies)
            .all(|key| other.named(key.purpose, key.key.kid()).is_some_and(|known| known.verifies(now)))
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &RingKey> {
        self.0.iter().map(|key| &**key)
    }

    /// The public halves of the keys that verify at `now`, as a JWK Set (RFC 7517 §5): those that will sign are in it
    /// before they do.
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> Value {
        let keys: Vec<Value> = self.iter().filter(|key| key.verifies(now)).map(|key| key.key.jwk()).collect();
        json!({ "keys": keys })
    }
}
