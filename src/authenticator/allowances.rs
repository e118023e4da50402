//! How much each account may: what is said of it alone, what its plan says, or what is said of those without one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::limits::{Plans, Rates};
use crate::store::Account;

/// The plans that there are now.
#[derive(Debug)]
pub(super) struct Allowances {
    plans: ArcSwap<Plans>,
    /// Plans that accounts have and the configuration has not, once they were told of.
    missing: Mutex<HashSet<Box<str>>>,
}

impl Allowances {
    pub(super) fn new(plans: Plans) -> Self {
        Self { plans: ArcSwap::from_pointee(plans), missing: Mutex::default() }
    }

    pub(super) fn are(&self, plans: &Plans) -> bool {
        **self.plans.load() == *plans
    }

    pub(super) fn set(&self, plans: Plans) {
        self.plans.store(plans.into());
        // What was told of the plans before says nothing of these.
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How much this account may. All that share a plan share what it says, unless something is said of one alone.
    pub(super) fn of(&self, account: &Account) -> Arc<Rates> {
        let plan = self.of_plan(account.plan.as_deref());
        if account.limits.is_empty() { plan } else { Arc::new(account.limits.over(&plan)) }
    }

    /// How much an account with this plan may; of a plan that is gone the log tells.
    fn of_plan(&self, plan: Option<&str>) -> Arc<Rates> {
        let plans = self.plans.load();
        if let Some(missing) = plan.filter(|name| plans.get(name).is_none()) {
            self.tell_missing(missing);
        }
        Arc::clone(plans.of(plan))
    }

    /// Once a plan: look-ups of its accounts come all the time.
    fn tell_missing(&self, plan: &str) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if missing.insert(plan.into()) {
            tracing::warn!(
                plan,
                "accounts have a plan that `limits.plans` does not; the limits of accounts without a plan hold for them"
            );
        }
    }
}
