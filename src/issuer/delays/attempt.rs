//! One attempt to log in, from its begin to what came of it.

use tokio::sync::OwnedSemaphorePermit;

use super::{Delays, Place, Rule};
use crate::clock::Tick;
use crate::issuer::passwords::Whose;

/// An attempt under way, which has failed unless it is said not to have.
#[must_use]
pub(in crate::issuer) struct Attempt {
    pub(super) delays: Delays,
    pub(super) began: Tick,
    /// The cells that it may come to count in.
    pub(super) may_count: Vec<(u64, Rule, OwnedSemaphorePermit)>,
    /// What to remember when it succeeds.
    pub(super) address: u64,
    pub(super) place: Place,
}

impl Attempt {
    /// Whose it is, for those who let people wait.
    pub(in crate::issuer) const fn whose(&self) -> Whose {
        match self.place {
            Place::Browser | Place::Address => Whose::Known,
            Place::Unknown => Whose::Stranger,
        }
    }

    /// It was the owner: counts nowhere, and the address is remembered.
    pub(in crate::issuer) fn succeeded(mut self, now: Tick) {
        let mut state = self.delays.lock();
        state.forgive(&self);
        state.remember(self.address, now);
        drop(state);
        self.may_count.clear();
    }

    /// Nothing was learnt, because nothing was checked: counts nowhere.
    pub(in crate::issuer) fn cancelled(mut self) {
        self.may_count.clear();
    }

    /// It was not the owner.
    pub(in crate::issuer) fn failed(mut self, now: Tick) {
        self.count(now);
    }

    fn count(&mut self, now: Tick) {
        let may_count = std::mem::take(&mut self.may_count);
        let mut state = self.delays.lock();
        for (cell, rule, turn) in may_count {
            state.count(cell, rule, now);
            state.gates.failed(cell, turn);
        }
    }
}

impl Drop for Attempt {
    /// Nobody heard how it ended.
    fn drop(&mut self) {
        self.count(self.began);
    }
}
