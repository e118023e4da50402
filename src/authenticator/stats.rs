//! What metrics tell of validation: numbers only. Workers count in plain cells and add them up now and then.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::limits::FailureCounts;

/// Which cache was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The worker's own table.
    Front,
    /// What is good, shared.
    Positive,
    /// Refusals, shared.
    Negative,
}

impl Layer {
    /// Every layer.
    pub const ALL: [Self; 3] = [Self::Front, Self::Positive, Self::Negative];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Positive => "positive",
            Self::Negative => "negative",
        }
    }
}

/// What it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer.
    Hit,
    /// Nothing that holds.
    Miss,
    /// An answer that should have been read again, for want of the store.
    Stale,
    /// Nothing, and a look-up for the same credential was under way already.
    Joined,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Hit, Self::Miss, Self::Stale, Self::Joined];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Joined => "joined",
        }
    }
}

/// Look-ups in caches, by layer and outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookups([[u64; 4]; 3]);

impl Lookups {
    /// How many asked `layer` and got `outcome`.
    #[must_use]
    pub fn get(&self, layer: Layer, outcome: Outcome) -> u64 {
        self.0.get(layer as usize).and_then(|row| row.get(outcome as usize)).copied().unwrap_or(0)
    }
}

/// A moment's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Look-ups in caches so far.
    pub lookups: Lookups,
    /// What was decided on credentials that nothing was known of.
    pub failures: FailureCounts,
    /// Entries of what is good, about.
    pub positive_entries: u64,
    /// Entries of refusals, about.
    pub negative_entries: u64,
    /// Time since the change feed was last read to its end; `None` before the first time.
    pub feed_age: Option<Duration>,
    /// Whether the store answered last time.
    pub store_up: bool,
    /// How old the oldest count or use is that is not written down; zero when all are.
    pub unwritten: Duration,
}

/// The sum of all workers.
#[derive(Debug, Default)]
pub(super) struct Totals([[AtomicU64; 4]; 3]);

impl Totals {
    pub(super) fn add(&self, layer: Layer, outcome: Outcome, count: u64) {
        if let Some(total) = self.0.get(layer as usize).and_then(|row| row.get(outcome as usize)) {
            total.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(super) fn snapshot(&self) -> Lookups {
        Lookups(self.0.each_ref().map(|row| row.each_ref().map(|total| total.load(Ordering::Relaxed))))
    }
}

/// One worker's counts since they were last added up.
#[derive(Debug, Default)]
pub(super) struct Tally([[Cell<u64>; 4]; 3]);

impl Tally {
    #[inline]
    pub(super) fn count(&self, layer: Layer, outcome: Outcome) {
        if let Some(cell) = self.0.get(layer as usize).and_then(|row| row.get(outcome as usize)) {
            cell.set(cell.get() + 1);
        }
    }

    /// Adds everything to `totals` and starts again from zero.
    pub(super) fn flush(&self, totals: &Totals) {
        for (layer, row) in Layer::ALL.into_iter().zip(&self.0) {
            for (outcome, cell) in Outcome::ALL.into_iter().zip(row) {
                match cell.take() {
                    0 => {}
                    count => totals.add(layer, outcome, count),
                }
            }
        }
    }
}
