//! How much each account may: what is said of it alone, what its plan says, or what is said of those without one.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::config;
use crate::limits::Rates;
use crate::store::Account;

/// What a configuration says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans {
    account: Arc<Rates>,
    named: BTreeMap<Arc<str>, Arc<Rates>>,
}

impl From<&config::Limits> for Plans {
    fn from(limits: &config::Limits) -> Self {
        Self { account: Arc::clone(&limits.account), named: limits.plans.clone() }
    }
}

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

    /// How much an account with this plan may. A plan that is gone takes nobody's access, and lifts nobody's limits: the
    /// account counts as one without, and the log says so.
    fn of_plan(&self, plan: Option<&str>) -> Arc<Rates> {
        let plans = self.plans.load();
        let Some(name) = plan else { return Arc::clone(&plans.account) };
        Arc::clone(plans.named.get(name).unwrap_or_else(|| {
            self.tell_missing(name);
            &plans.account
        }))
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
