//! Contact to the store: when the change feed was last known to be read to its end, and how long that is enough.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Tick;

/// How old contact may be where serving without the store is turned off. Twice what two polls of the feed take.
const GRACE: Duration = Duration::from_secs(1);

/// What is known of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// There was no contact yet.
    Starting,
    /// There is contact.
    Ready,
    /// There is none, and what was good serves on.
    Degraded,
    /// There was none for too long; nothing is served.
    Lost,
}

/// What may be served at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nothing: revocations may have been missed for longer than the bound.
    Nothing,
    /// Everything, and the store can be asked.
    All,
    /// What is held; the store cannot be asked.
    Held {
        /// Also what should have been read again by now.
        stale: bool,
    },
}

impl Reach {
    /// Whether asking the store is worth the try.
    pub(super) const fn store_answers(self) -> bool {
        matches!(self, Self::All)
    }
}

/// Written by the feed, read by every request: on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Contact {
    /// The tick after the last contact; 0 = never.
    last: AtomicU64,
    /// `stale_while_unavailable`, microseconds.
    stale: AtomicU64,
    up: AtomicBool,
}

impl Contact {
    pub(super) fn new(stale: Duration) -> Self {
        Self { last: AtomicU64::new(0), stale: AtomicU64::new(micros(stale)), up: AtomicBool::new(false) }
    }

    /// How long what was good serves without contact.
    pub(super) fn allow(&self, stale: Duration) {
        self.stale.store(micros(stale), Ordering::Release);
    }

    /// Everything that changed before `at` has been applied. Call it after applying, with the time before reading.
    pub(super) fn confirmed(&self, at: Tick) {
        self.last.fetch_max(at.0.saturating_add(1), Ordering::AcqRel);
        self.up.store(true, Ordering::Release);
    }

    /// The store did not answer. Returns whether it did before.
    pub(super) fn lost(&self) -> bool {
        self.up.swap(false, Ordering::AcqRel)
    }

    /// What may be served at `now`. Read this before the marks of an entry: contact that returns in between must not
    /// vouch for marks that were read before it.
    #[inline]
    pub(super) fn reach(&self, now: Tick) -> Reach {
        let last = self.last.load(Ordering::Acquire);
        let stale = self.stale.load(Ordering::Relaxed);
        if last == 0 || now.0 >= last.saturating_add(stale.max(micros(GRACE))) {
            return Reach::Nothing;
        }
        if self.up.load(Ordering::Relaxed) {
            return Reach::All;
        }
        Reach::Held { stale: now.0 < last.saturating_add(stale) }
    }

    /// Whether the store answered last time it was asked.
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Time since the last contact; `None` before the first.
    pub(super) fn age(&self, now: Tick) -> Option<Duration> {
        let last = self.last.load(Ordering::Acquire).checked_sub(1)?;
        Some(now.since(Tick(last)))
    }

    pub(super) fn health(&self, now: Tick) -> Health {
        match (self.age(now), self.reach(now)) {
            (None, _) => Health::Starting,
            (_, Reach::Nothing) => Health::Lost,
            (Some(age), Reach::All) if age <= GRACE => Health::Ready,
            (_, Reach::All | Reach::Held { .. }) => Health::Degraded,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
