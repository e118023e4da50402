//! One worker of the data plane: a thread's own caches, pools, buffers and counters, and what it shares with the others.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::plan::Plan;
use super::state::State;
use super::unheeded::{Unheeded, Warned};
use super::upstream::Endpoint;
use super::watch::Watches;
use crate::auth::jwt::Ring;
use crate::authenticator::Front;
use crate::clock::Clock;
use crate::server::conn::Drain;
use crate::server::deadline::Deadlines;
use crate::telemetry::log_sink::WorkerLog;
use crate::telemetry::metrics::Metrics;
use crate::web::errand::Desk;
use crate::web::request_id::RequestIds;

/// The largest piece that a tunnel moves at once.
const SCRATCH: usize = 64 * 1024;

/// How many of something there are now, over all workers.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Gauge(AtomicUsize);

impl Gauge {
    /// One more, if there are not `most` already. Each that entered has to [`leave`](Self::leave).
    #[must_use]
    pub fn try_enter(&self, most: usize) -> bool {
        let entered = self.0.fetch_add(1, Ordering::Relaxed) < most;
        if !entered {
            self.leave();
        }
        entered
    }

    /// One less.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// Requests.
    pub in_flight: Gauge,
    /// Client connections.
    pub connections: Gauge,
    /// Client connections that are being told that they are too many.
    pub turned_away: Gauge,
    /// Tunnels, and requests that may become one.
    pub tunnels: Gauge,
    /// The most tunnels that this process has descriptors for.
    pub tunnels_most: usize,
    /// When they warned of a proxy that is not trusted.
    pub warned: Warned,
    /// When they warned of a load balancer that does not say who its client is.
    pub unannounced: Warned,
    /// When they warned of a certificate that stands for several accounts.
    pub ambiguous: Warned,
}

impl Shared {
    /// Nothing yet, for a process that has descriptors for so many tunnels.
    #[must_use]
    pub fn new(tunnels_most: usize) -> Self {
        Self {
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            turned_away: Gauge::default(),
            tunnels: Gauge::default(),
            tunnels_most,
            warned: Warned::default(),
            unannounced: Warned::default(),
            ambiguous: Warned::default(),
        }
    }
}

/// One worker.
pub struct Worker {
    /// The time.
    pub clock: Clock,
    /// This worker's limits of time.
    pub deadlines: Rc<Deadlines>,
    /// Whether it is ending.
    pub drain: Rc<Drain>,
    /// Its side of the validation cache.
    pub front: Front,
    /// The keys that assertions are signed with.
    pub ring: Arc<Ring>,
    /// Its access log.
    pub log: WorkerLog,
    /// Its request ids.
    pub request_ids: RequestIds,
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Proxies that are not trusted.
    pub unheeded: Unheeded,
    /// Credentials of what lasts.
    pub watches: Watches,
    /// Where tunnels put what they read before it is written.
    pub scratch: RefCell<Box<[u8]>>,
    /// What all threads count in.
    pub metrics: Arc<Metrics>,
    /// Where what Keyward answers itself is handed over.
    pub desk: Desk,
    /// Endpoints that no request that begins now goes to.
    leaving: RefCell<Vec<Weak<Endpoint>>>,
    state: RefCell<Rc<State>>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker that handles requests by `plan`.
    #[must_use]
    pub fn new(
        plan: Arc<Plan>,
        clock: Clock,
        (front, ring): (Front, Arc<Ring>),
        log: WorkerLog,
        metrics: Arc<Metrics>,
        request_ids: RequestIds,
        (shared, desk): (Arc<Shared>, Desk),
    ) -> Rc<Self> {
        let deadlines = Deadlines::new(clock.clone());
        let state = RefCell::new(State::build(plan, &[], &metrics, &deadlines));
        Rc::new(Self {
            clock,
            deadlines,
            drain: Rc::default(),
            front,
            ring,
            log,
            request_ids,
            shared,
            unheeded: Unheeded::default(),
            watches: Watches::default(),
            scratch: RefCell::new(vec![0; SCRATCH].into()),
            metrics,
            desk,
            leaving: RefCell::default(),
            state,
        })
    }

    /// What a request that begins now is handled by.
    #[must_use]
    pub fn state(&self) -> Rc<State> {
        Rc::clone(&self.state.borrow())
    }

    /// Handles requests that begin from now on by `plan`.
    pub fn adopt(&self, plan: Arc<Plan>) {
        let old = self.state();
        let new = State::build(plan, &old.upstreams, &self.metrics, &self.deadlines);
        let left = old.upstreams.iter().flat_map(|upstream| upstream.left_by(&new.upstreams));
        self.leaving.borrow_mut().extend(left.map(|endpoint| Rc::downgrade(&endpoint)));
        *self.state.borrow_mut() = new;
        self.let_go();
    }

    /// Ends connections that no request will be given any more: what began before a reload keeps its endpoints for as long
    /// as it lasts, and gives back to them.
    fn let_go(&self) {
        let let_go =
            |endpoint: &Weak<Endpoint>| endpoint.upgrade().map(|endpoint| endpoint.let_go()).is_some();
        self.leaving.borrow_mut().retain(let_go);
    }

    /// What a worker does every [`PERIOD`](crate::server::deadline::PERIOD).
    pub fn tick(&self) {
        self.deadlines.tick();
        self.front.flush();
        self.watches.tick(self);
        self.unheeded.tick(&self.shared.warned, &self.metrics, self.clock.tick());
        self.log.flush();
        self.let_go();
        let state = self.state();
        state.metrics.flush();
        state.assertions.sweep(self.clock.now());
        for upstream in &state.upstreams {
            upstream.sweep(state.plan.config.timeouts.upstream_idle);
        }
    }
}
