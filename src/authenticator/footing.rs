//! What a cached validation stands on, and how one atomic load tells that it no longer does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::store::Seq;

/// The newest change that touched one thing. Every cached validation of that thing points at the same mark.
#[derive(Debug)]
pub(super) struct Mark(AtomicI64);

impl Mark {
    pub(super) const fn at(seq: Seq) -> Self {
        Self(AtomicI64::new(seq.0))
    }

    /// Records a change. Older news than what is known changes nothing.
    pub(super) fn touch(&self, seq: Seq) {
        self.0.fetch_max(seq.0, Ordering::AcqRel);
    }

    #[inline]
    pub(super) fn newest(&self) -> Seq {
        Seq(self.0.load(Ordering::Acquire))
    }
}

/// Why a validation may be believed: it was read as of `as_of`, and no change since then touched what it is about.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Footing {
    as_of: Seq,
    epoch: u64,
    /// Of the credential and its account; of a credential that is not there, twice that of things made.
    marks: [Arc<Mark>; 2],
}

impl Footing {
    pub(super) const fn new(as_of: Seq, epoch: u64, marks: [Arc<Mark>; 2]) -> Self {
        Self { as_of, epoch, marks }
    }

    /// Whether it still stands. Takes no lock; costs one load a mark.
    #[inline]
    pub(super) fn holds(&self, epoch: u64) -> bool {
        let [credential, account] = &self.marks;
        self.epoch == epoch && credential.newest() <= self.as_of && account.newest() <= self.as_of
    }
}
