//! Whether all that was used is written down, and if not, how old the oldest of it may be: for operators, and for whoever
//! waits until a `kill -9` would lose nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Tick;

/// Touched by workers when a list of uses begins, and else by the writer. Every access is ordered with every other: who
/// reads in the order opposite to the writer's never takes for written what is not.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// Lists of uses that workers have begun.
    begun: AtomicU64,
    /// Those of them that are written down.
    written: AtomicU64,
    /// Whether the writer has taken something that is not.
    taken: AtomicBool,
    /// What was used before this moment is written down.
    since: AtomicU64,
}

impl Unwritten {
    /// A worker has noted the first use of a list.
    pub(super) fn list_begun(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    /// The writer takes something. Call it before anything is taken.
    pub(super) fn taking(&self) {
        self.taken.store(true, Ordering::SeqCst);
    }

    /// All that was used before `since` is written down, and so many of the lists of uses.
    pub(super) fn all_written(&self, since: Tick, lists: u64) {
        self.since.store(since.0, Ordering::SeqCst);
        self.written.store(lists, Ordering::SeqCst);
        self.taken.store(false, Ordering::SeqCst);
    }

    /// How old the oldest is that is not written down; zero when all is. `counted` tells whether accounts have counted
    /// what nobody has taken yet; it is asked first.
    pub(super) fn age(&self, counted: impl FnOnce() -> bool, now: Tick) -> Duration {
        let waits = counted()
            || self.begun.load(Ordering::SeqCst) > self.written.load(Ordering::SeqCst)
            || self.taken.load(Ordering::SeqCst);
        match waits {
            false => Duration::ZERO,
            // It was used just now, in the tick of the last writing.
            true => now.since(Tick(self.since.load(Ordering::SeqCst))).max(Duration::from_micros(1)),
        }
    }
}
