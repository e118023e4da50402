//! How many requests may be under way to an upstream at once, and how many wait to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connections::Waiting;
use super::failure::Failure;
use crate::config::UpstreamMax;

/// The places of one upstream, for all workers.
#[derive(Debug)]
pub struct Room {
    max: UpstreamMax,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Room {
    /// What `max` allows; the places of `old` where it allows the same. Others are new ones, so that for a moment those
    /// that were under way before a reload come on top.
    pub(super) fn of(max: UpstreamMax, old: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        let places = max.in_flight?.min(Semaphore::MAX_PERMITS);
        let new = || {
            Arc::new(Self { max, places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::default() })
        };
        Some(old.filter(|old| old.max == max).map_or_else(new, Arc::clone))
    }

    /// A place, at once or in its turn within this time.
    pub(super) async fn place(&self, within: Duration) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _leaves = Waiting(&self.waiting);
        if ahead >= self.max.pending {
            return Err(Failure::Crowded);
        }
        let place = tokio::time::timeout(within, Arc::clone(&self.places).acquire_owned()).await;
        place.map_or(Err(Failure::Crowded), |place| place.map_err(|_| Failure::Crowded))
    }
}
