//! Upstreams as the control runtime sees them: what is told of their servers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::running::Core;
use crate::clock::Tick;
use crate::proxy::upstream::fleet::{Fault, Fleet};
use crate::telemetry::metrics::{Metrics, Upstreams};

/// Puts how the servers are into every scrape.
pub(super) fn show(core: &Arc<Core>) {
    let fleet = Arc::clone(&core.fleet);
    let clock = core.clock.clone();
    core.metrics.on_scrape(move |metrics| scrape(&fleet.load(), clock.tick(), metrics.upstreams()));
}

fn scrape(fleet: &Fleet, now: Tick, told: &Upstreams) {
    for group in fleet.groups() {
        told.retried(&group.name, group.retries.swap(0, Ordering::Relaxed));
        for member in &group.members {
            told.show(&group.name, &member.authority, !member.is_resting(now), member.in_flight());
            for (fault, count) in Fault::ALL.into_iter().zip(&member.ejections) {
                let times = count.swap(0, Ordering::Relaxed);
                told.ejected(&group.name, &member.authority, fault.as_str(), times);
            }
        }
    }
}

/// Puts `new` in the place of the servers that were, and forgets those that are in it no more.
pub(super) fn replace(core: &Core, new: &Arc<Fleet>, metrics: &Metrics) {
    let old = core.fleet.swap(Arc::clone(new));
    scrape(&old, core.clock.tick(), metrics.upstreams());
    for group in old.groups() {
        let stays = new.groups().iter().find(|other| other.name == group.name);
        for member in &group.members {
            let known = |other: &&Arc<_>| Arc::ptr_eq(other, member);
            if !stays.is_some_and(|stays| stays.members.iter().any(|other| known(&other))) {
                metrics.upstreams().forget(&group.name, &member.authority);
            }
        }
    }
}
