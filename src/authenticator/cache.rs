//! The caches that all workers share: what is good, and refusals apart, so that junk cannot push out what is good. What
//! was forged is apart from refusals too: anybody can make any number of tokens, each of which costs a signature check.

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::entry::{Denial, Loaded, Valid};
use crate::auth::token::HashedToken;
use crate::config;

/// The caches and the terms they were made for.
#[derive(Debug)]
pub(super) struct Caches {
    pub(super) terms: config::Cache,
    positive: Cache<HashedToken, Arc<Valid>>,
    negative: Cache<HashedToken, Arc<Denial>>,
    forged: Cache<HashedToken, Arc<Denial>>,
}

impl Caches {
    /// Empty caches. Lifetimes are judged by the entries; moka's only free memory, so what may serve stale is kept on.
    pub(super) fn new(terms: &config::Cache) -> Self {
        Self {
            positive: cache(terms.capacity, terms.ttl.saturating_add(terms.stale_while_unavailable)),
            negative: cache(terms.negative_capacity, terms.negative_ttl),
            forged: cache(terms.negative_capacity, terms.negative_ttl),
            terms: terms.clone(),
        }
    }

    pub(super) fn valid(&self, digest: &HashedToken) -> Option<Arc<Valid>> {
        self.positive.get(digest)
    }

    pub(super) fn refused(&self, digest: &HashedToken) -> Option<Arc<Denial>> {
        self.negative.get(digest).or_else(|| self.forged.get(digest))
    }

    pub(super) fn insert(&self, loaded: &Loaded) {
        match loaded {
            Loaded::Valid(entry) => self.positive.insert(*entry.digest(), Arc::clone(entry)),
            Loaded::Refused(entry) if entry.is_forged() => {
                self.forged.insert(*entry.digest(), Arc::clone(entry));
            }
            Loaded::Refused(entry) => {
                self.positive.invalidate(entry.digest());
                self.negative.insert(*entry.digest(), Arc::clone(entry));
            }
        }
    }

    /// Entries of what is good and of refusals, as of moka's last housekeeping.
    pub(super) fn entries(&self) -> (u64, u64) {
        (self.positive.entry_count(), self.negative.entry_count() + self.forged.entry_count())
    }

    #[cfg(test)]
    pub(super) fn evict_all(&self) {
        self.positive.invalidate_all();
        self.negative.invalidate_all();
        self.forged.invalidate_all();
        self.settle();
    }

    #[cfg(test)]
    pub(super) fn settle(&self) {
        self.positive.run_pending_tasks();
        self.negative.run_pending_tasks();
        self.forged.run_pending_tasks();
    }
}

/// LRU, for what is inserted must be found: workers answer hits from their own tables, so to moka a busy key looks
/// idle, and an admission policy that counts uses would turn its refreshed entry away.
fn cache<T: Send + Sync + 'static>(capacity: u64, kept: Duration) -> Cache<HashedToken, Arc<T>> {
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
    Cache::builder()
        .max_capacity(capacity)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_live(kept.min(LONGEST))
        .build()
}
