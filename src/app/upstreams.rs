//! Upstreams as the control runtime sees them: what is told of their servers, who asks them whether they are well, and
//! who looks their names up.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::running::Core;
use crate::clock::Tick;
use crate::proxy::upstream::fleet::{Fault, Fleet, Group};
use crate::proxy::upstream::{checks, resolve};
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
            told.show(&group.name, &member.authority, member.is_up(now), member.in_flight());
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
    core.fleet_changed.notify_one();
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

/// Has the servers of every upstream looked after, until `stop`: asked whether they are well, where `health` says so,
/// and looked up, where they have names.
pub(super) async fn look_after(core: Arc<Core>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    let mut asked: Vec<(Arc<Group>, AbortHandle)> = Vec::new();
    loop {
        let fleet = core.fleet.load_full();
        // Who asks what has not changed goes on, so that a reload makes nobody ask sooner or forget what he heard.
        let stays = |group: &Group| {
            fleet.groups().iter().any(|new| new.name == group.name && checks::are_same(new, group))
        };
        for (_, task) in asked.extract_if(.., |(group, _)| !stays(group)) {
            task.abort();
        }
        for group in fleet.groups() {
            if !asked.iter().any(|(known, _)| known.name == group.name) {
                let checking = checks::run(Arc::clone(group), core.clock.clone());
                let resolving = resolve::run(Arc::clone(group), core.options.resolver.clone());
                let task = tasks.spawn(async {
                    tokio::join!(checking, resolving);
                });
                asked.push((Arc::clone(group), task));
            }
        }
        while tasks.try_join_next().is_some() {}
        if stop.run_until_cancelled(core.fleet_changed.notified()).await.is_none() {
            return;
        }
    }
}

/// The upstreams of which no server is to get requests.
pub(super) fn down(core: &Core) -> Vec<Arc<str>> {
    let (fleet, now) = (core.fleet.load(), core.clock.tick());
    fleet.groups().iter().filter(|group| group.is_down(now)).map(|group| Arc::clone(&group.name)).collect()
}
