//! What is said of how much accounts may: of those without a plan, and by plans.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Overrides, Rates};

/// How much accounts may, by their plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans {
    account: Arc<Rates>,
    named: BTreeMap<Arc<str>, Plan>,
}

/// What a plan says, and how much it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it says itself.
    pub said: Overrides,
    rates: Arc<Rates>,
}

impl Plans {
    /// What accounts without a plan may, and plans, each over that.
    pub fn new(account: Rates, named: impl IntoIterator<Item = (Arc<str>, Overrides)>) -> Self {
        let plan = |said: Overrides| Plan { rates: Arc::new(said.over(&account)), said };
        let named = named.into_iter().map(|(name, said)| (name, plan(said))).collect();
        Self { named, account: Arc::new(account) }
    }

    /// How much an account with this plan may. One whose plan there is not counts as one without: a plan that is gone
    /// takes nobody's access, and lifts nobody's limits.
    #[must_use]
    pub fn of(&self, plan: Option<&str>) -> &Arc<Rates> {
        plan.and_then(|name| self.get(name)).map_or(&self.account, |plan| &plan.rates)
    }

    /// The plan of this name, if there is one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Plan> {
        self.named.get(name)
    }

    /// The plans that there are.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.named.keys()
    }
}
