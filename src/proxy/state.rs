//! What one worker makes of a [`Plan`]: its own upstreams and counters. A request keeps the state it began with.

use std::rc::Rc;
use std::sync::Arc;

use super::assertions::Assertions;
use super::plan::Plan;
use super::upstream::Upstream;
use crate::server::deadline::Deadlines;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::worker_metrics::WorkerMetrics;

/// One worker's side of a plan.
#[derive(Debug)]
pub struct State {
    /// The shared side.
    pub plan: Arc<Plan>,
    /// In the order of the configuration.
    pub upstreams: Vec<Rc<Upstream>>,
    /// What was signed for them.
    pub assertions: Assertions,
    /// This worker's counters.
    pub metrics: WorkerMetrics,
}

impl State {
    /// Takes over the connections that `old` holds to endpoints that stay.
    #[must_use]
    pub fn build(
        plan: Arc<Plan>,
        old: &[Rc<Upstream>],
        metrics: &Arc<Metrics>,
        deadlines: &Rc<Deadlines>,
    ) -> Rc<Self> {
        let config = &plan.config;
        let upstreams = config.upstreams.iter().zip(plan.fleet.groups()).enumerate();
        let upstream = |(index, (upstream, group))| {
            Upstream::build((upstream, &config.retries_to(index)), group, old, deadlines)
        };
        let upstreams = upstreams.map(upstream).collect();
        let routes: Vec<_> = config.routes.iter().map(|route| Arc::clone(&route.name)).collect();
        let names: Vec<_> = config.upstreams.iter().map(|upstream| Arc::clone(&upstream.name)).collect();
        let metrics = WorkerMetrics::new(metrics, &routes, &names);
        Rc::new(Self { upstreams, assertions: Assertions::default(), metrics, plan })
    }

    /// The name of a route.
    #[must_use]
    pub fn route_name(&self, route: usize) -> Option<&str> {
        self.plan.route(route).map(|route| &*route.name)
    }

    /// The name of an upstream.
    #[must_use]
    pub fn upstream_name(&self, upstream: usize) -> Option<&str> {
        self.upstreams.get(upstream).map(|upstream| &*upstream.name)
    }
}
