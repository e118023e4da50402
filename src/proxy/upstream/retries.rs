//! How many requests are sent again: a share of all, so that a server that is overloaded is not given still more.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::Tick;
use crate::config::Retries;

/// Retries that are always allowed, of each worker in this time.
const ALWAYS: u32 = 10;
const PERIOD: Duration = Duration::from_secs(1);
/// The most retries that are saved up: as many as a server that dies may leave at once.
const SAVED: u32 = 1000;
/// What one retry costs, where a request brings its percentage.
const PRICE: u32 = 100;

/// What one worker may still spend on retries.
#[derive(Debug)]
pub(super) struct Budget {
    retries: Retries,
    saved: Cell<u32>,
    /// What is left of those that are always allowed.
    left: Cell<u32>,
    /// The end of the period that runs.
    until: Cell<Tick>,
}

impl Budget {
    pub(super) const fn new(retries: Retries) -> Self {
        Self { retries, saved: Cell::new(0), left: Cell::new(0), until: Cell::new(Tick(0)) }
    }

    /// Whether it is for requests that are sent again so.
    pub(super) fn is_of(&self, retries: Retries) -> bool {
        self.retries == retries
    }

    /// A request more.
    pub(super) fn earn(&self) {
        self.saved.set((self.saved.get() + self.retries.budget).min(SAVED * PRICE));
    }

    /// Whether a request that was `retried` so often already may be sent to another endpoint; if so, it is paid for.
    pub(super) fn spend(&self, retried: u32, now: Tick) -> bool {
        if retried >= self.retries.attempts {
            return false;
        }
        if now >= self.until.get() {
            self.until.set(now.after(PERIOD));
            self.left.set(ALWAYS);
        }
        let purse = if self.saved.get() >= PRICE { (&self.saved, PRICE) } else { (&self.left, 1) };
        let (purse, price) = purse;
        let left = purse.get().checked_sub(price);
        purse.set(left.unwrap_or_default());
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_all_requests_and_a_few_a_second_always() {
        let budget = Budget::new(Retries { attempts: 1, budget: 20 });
        let spent = |now| (0..10_000).filter(|_| budget.spend(0, now)).count();
        let start = Tick(1);
        assert_eq!((spent(start), spent(start)), (10, 0));
        (0..1000).for_each(|_| budget.earn());
        assert_eq!(spent(start), 200);
        assert_eq!(spent(start.after(PERIOD)), 10);
        (0..1_000_000).for_each(|_| budget.earn());
        assert_eq!(spent(start.after(PERIOD)), 1000);
    }

    #[test]
    fn no_request_is_sent_again_more_often_than_it_may() {
        let budget = Budget::new(Retries { attempts: 2, budget: 100 });
        assert_eq!([0, 1, 2].map(|retried| budget.spend(retried, Tick(1))), [true, true, false]);
    }
}
