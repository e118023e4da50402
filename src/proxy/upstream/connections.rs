//! How many connections there may be to one endpoint, of all workers together, and who waits for one.
//!
//! Each worker has connections of its own. One that others wait for is not kept for the next request of its worker: it is
//! ended, and whoever waits longest makes his.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;
use crate::config::UpstreamMax;

/// What a connection has for as long as it is there.
pub(super) type Place = OwnedSemaphorePermit;

/// The places of one endpoint.
#[derive(Debug)]
pub struct Connections {
    max: UpstreamMax,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Somebody who waits, until he is given up.
pub(super) struct Waiting<'a>(pub(super) &'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connections {
    /// What `max` allows; the places of `old` where it allows the same. Others are new ones, so that for a moment the
    /// connections from before a reload come on top.
    pub(super) fn of(max: UpstreamMax, old: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        let most = max.connections?.min(Semaphore::MAX_PERMITS);
        let new = || {
            Arc::new(Self { max, places: Arc::new(Semaphore::new(most)), waiting: AtomicUsize::default() })
        };
        Some(old.filter(|old| old.max == max).map_or_else(new, Arc::clone))
    }

    /// A place, if one is free and nobody waits for it.
    pub(super) fn try_place(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// A place, in its turn. Only for who [waits](Self::wait).
    pub(super) async fn place(&self) -> Result<Place, Failure> {
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| Failure::Saturated)
    }

    /// Whether one more connection can be made now.
    pub(super) fn has_room(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// Waits, if there are not as many already as may.
    pub(super) fn wait(&self) -> Result<Waiting<'_>, Failure> {
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        if ahead >= self.max.pending { Err(Failure::Saturated) } else { Ok(waiting) }
    }

    /// How many wait, of all workers.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}
