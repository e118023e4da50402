//! A worker's counts of what limits decided.

use std::cell::OnceCell;
use std::sync::Arc;

use prometheus::local::LocalIntCounter;

use super::metrics::Metrics;
use crate::limits::Policy;

/// The name of the limit of failures by address.
pub(super) const FAILURES: &str = "failures";

/// What a limit decided on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitOutcome {
    /// It let it pass.
    Allowed,
    /// It refused it.
    Refused,
    /// It would have, but limits are only tried.
    Shadowed,
}

impl LimitOutcome {
    const ALL: [Self; 3] = [Self::Allowed, Self::Refused, Self::Shadowed];

    /// The labels of every series there can be.
    pub(super) fn of_all_policies() -> impl Iterator<Item = (&'static str, &'static str)> {
        let outcomes = |policy: Policy| Self::ALL.map(|outcome| (policy.as_str(), outcome.as_str()));
        let failures = Self::ALL.map(|outcome| (FAILURES, outcome.as_str()));
        Policy::ALL.into_iter().flat_map(outcomes).chain(failures)
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Shadowed => "shadowed",
        }
    }
}

/// Made on first use: most gateways have few limits.
#[derive(Debug)]
pub(super) struct LimitCounts {
    metrics: Arc<Metrics>,
    counters: [[OnceCell<LocalIntCounter>; LimitOutcome::ALL.len()]; Policy::ALL.len()],
}

impl LimitCounts {
    pub(super) const fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            counters: [const { [const { OnceCell::new() }; LimitOutcome::ALL.len()] }; Policy::ALL.len()],
        }
    }

    pub(super) fn count(&self, policy: Policy, outcome: LimitOutcome) {
        let cell = self.counters.get(policy as usize).and_then(|of| of.get(outcome as usize));
        let made = || self.metrics.limit_decisions(policy.as_str(), outcome.as_str()).local();
        if let Some(cell) = cell {
            cell.get_or_init(made).inc();
        }
    }

    pub(super) fn flush(&self) {
        self.counters.iter().flatten().filter_map(OnceCell::get).for_each(LocalIntCounter::flush);
    }
}
