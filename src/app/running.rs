//! A running Keyward: what can be asked of it, ending.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::watch::InForce;
use super::workers::Handle;
use super::{Options, tls, upstreams};
use crate::auth::jwt::Ring;
use crate::auth::random;
use crate::authenticator::{self, Authenticator, Layer, Outcome, Tasks};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::control::identity::Terms;
use crate::control::{AskHealth, Checks, Health, Status};
use crate::issuer::Issuer;
use crate::issuer::signing::Mint;
use crate::proxy::upstream::fleet::Fleet;
use crate::server::descriptors;
use crate::store::SharedStore;
use crate::telemetry::log_sink::AccessLog;
use crate::telemetry::metrics::{Cached, LoginOutcome, Lookup, Metrics};
use crate::web::problem::Problems;

/// What every part of the composition needs of the others.
pub struct Core {
    pub(super) workers: Vec<Handle>,
    pub(super) config: ArcSwap<Config>,
    /// What is known of the upstreams' servers.
    pub(super) fleet: Arc<ArcSwap<Fleet>>,
    pub(super) fleet_changed: tokio::sync::Notify,
    /// What listeners, store and access log were opened by.
    pub(super) started_with: Config,
    /// What stands before the code in the control plane's refusals.
    pub(super) type_base: Arc<ArcSwap<String>>,
    pub(super) issuer: ArcSwap<Issuer>,
    /// What the identity endpoints answer by.
    pub(super) identity: Arc<ArcSwap<Terms>>,
    pub(super) options: Options,
    pub(super) clock: Clock,
    pub(super) store: SharedStore,
    pub(super) metrics: Arc<Metrics>,
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) log: AccessLog,
    /// What listeners serve TLS by.
    pub(super) tls: tls::Listeners,
    pub(super) draining: CancellationToken,
    pub(super) loaded_at: ArcSwap<Timestamp>,
    pub(super) reloading: tokio::sync::Mutex<()>,
    /// The content of the configuration's file that is in force.
    pub(super) in_force: InForce,
    /// Whether what that file holds was refused last.
    pub(super) file_is_refused: AtomicBool,
    /// Whether that file was not there last.
    pub(super) file_is_gone: AtomicBool,
}

/// A running Keyward.
pub struct Running {
    core: Arc<Core>,
    listeners: Vec<(Arc<str>, SocketAddr)>,
    admin: SocketAddr,
    stop_control: CancellationToken,
    control: Mutex<JoinSet<()>>,
    validation: Tasks,
}

/// How ending went: the connections that were cut because they did not finish in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Cut(pub usize);

impl Running {
    pub(super) fn new(
        core: Arc<Core>,
        listeners: Vec<(Arc<str>, SocketAddr)>,
        admin: SocketAddr,
        validation: Tasks,
    ) -> Self {
        Self {
            core,
            listeners,
            admin,
            stop_control: CancellationToken::new(),
            control: Mutex::default(),
            validation,
        }
    }

    pub(super) fn core(&self) -> Arc<Core> {
        Arc::clone(&self.core)
    }

    pub(super) fn stop_control(&self) -> CancellationToken {
        self.stop_control.clone()
    }

    /// Runs `task` on the control runtime for as long as this is running.
    pub(super) fn keep(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        while control.try_join_next().is_some() {}
        control.spawn(task);
    }

    /// Where the first public listener listens.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.listeners.first().map_or(self.admin, |(_, address)| *address)
    }

    /// Every public listener by name.
    #[must_use]
    pub fn listeners(&self) -> &[(Arc<str>, SocketAddr)] {
        &self.listeners
    }

    /// Where the admin listener listens.
    #[must_use]
    pub const fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The use cases of this process: what they change holds for every request that starts after their answer.
    #[must_use]
    pub fn issuer(&self) -> Arc<Issuer> {
        self.core.issuer.load_full()
    }

    /// The making of access tokens by the configuration in force; `None` when nothing is issued.
    #[must_use]
    pub fn mint(&self) -> Option<Mint> {
        Mint::new(
            self.core.authenticator.ring(),
            Arc::new(random::System::default()),
            &self.core.config.load(),
        )
    }

    /// The store that this process judges by.
    #[must_use]
    pub fn store(&self) -> SharedStore {
        Arc::clone(&self.core.store)
    }

    /// Takes over a configuration; gives what waits for a restart, or what is wrong with its certificates: it is not
    /// taken over then.
    pub async fn reload(&self, config: Config) -> Vec<String> {
        let _one_at_a_time = self.core.reloading.lock().await;
        match tls::Files::load(&config) {
            Ok(files) => self.core.take_over(config, files).await,
            Err(flaws) => flaws.0,
        }
    }

    /// Has the configuration's file read again and returns at once. How it went is logged.
    pub fn reload_file(&self) {
        let core = self.core();
        self.keep(async move { drop(core.reload_file().await) });
    }

    /// Closes the access log's file and opens it by its name, as log rotation wants it.
    pub fn reopen_log(&self) {
        self.core.log.reopen();
    }

    /// Ends: first `/readyz` says so while listeners go on for `shutdown.delay`, then requests in flight finish within
    /// `shutdown.grace`, the admin listener closes last.
    pub async fn stop(self) -> Cut {
        let shutdown = self.core.config.load().shutdown.clone();
        self.core.draining.cancel();
        tokio::time::sleep(shutdown.delay).await;
        let draining = self.core.workers.iter().map(|worker| worker.drain(shutdown.grace));
        let cut = futures_util::future::join_all(draining).await.into_iter().sum();
        let core = self.core();
        let closed = tokio::task::spawn_blocking(move || core.log.close(LOG_CLOSING)).await;
        if !closed.unwrap_or(false) {
            tracing::warn!("the last lines of the access log could not be written in time");
        }
        self.stop_control.cancel();
        let mut control = std::mem::take(&mut *self.control.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async { while control.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(CONTROL_CLOSING, ended).await;
        // Before the store is closed: what was used last is to be written down, and the feed would complain.
        if tokio::time::timeout(USAGE_WRITING, self.validation.finish()).await.is_err() {
            tracing::warn!("what was used last could not be written down in time");
        }
        // A store that hangs is closed by the end of the process; what it acknowledged is safe.
        let _ = tokio::time::timeout(STORE_CLOSING, self.core.store.close()).await;
        Cut(cut)
    }
}

/// How long the last log lines may take.
const LOG_CLOSING: std::time::Duration = std::time::Duration::from_secs(2);
/// How long the last answers of the control plane may take.
const CONTROL_CLOSING: std::time::Duration = std::time::Duration::from_secs(2);
/// How long it may take to write down what was used last.
const USAGE_WRITING: std::time::Duration = std::time::Duration::from_secs(2);
/// How long the store may take to fold its journal in.
const STORE_CLOSING: std::time::Duration = std::time::Duration::from_secs(5);

/// What the identity endpoints answer by under `config`.
pub(super) fn terms(issuer: Issuer, ring: Arc<Ring>, config: &Config) -> Terms {
    let problems = Problems::new(&config.errors.type_base, &config.errors.realm);
    let mint = Mint::new(ring, Arc::new(random::System::default()), config);
    Terms { issuer, mint, problems, scopes: config.scopes.clone(), identity: config.identity.clone() }
}

impl Core {
    pub(super) fn ask_health(self: &Arc<Self>) -> AskHealth {
        let core = Arc::clone(self);
        Arc::new(move || core.health())
    }

    fn health(&self) -> Health {
        let stats = self.authenticator.stats();
        let running = self.workers.iter().filter(|worker| worker.is_running()).count();
        let status = match self.authenticator.health() {
            _ if self.draining.is_cancelled() => Status::Draining,
            _ if running < self.workers.len() => Status::Unavailable,
            authenticator::Health::Starting => Status::Starting,
            authenticator::Health::Ready => Status::Ready,
            authenticator::Health::Degraded => Status::Degraded,
            authenticator::Health::Lost => Status::Unavailable,
        };
        let checks = Checks {
            store_up: stats.store_up,
            feed_age: stats.feed_age,
            config_loaded: Some(**self.loaded_at.load()),
            workers_running: running,
            workers: self.workers.len(),
            certificates: self.certificate_ends(),
            upstreams_down: upstreams::down(self),
        };
        Health { status, checks }
    }

    /// Puts the validation cache's numbers into every scrape.
    pub(super) fn show_cache(self: &Arc<Self>) {
        let (authenticator, clock) = (Arc::clone(&self.authenticator), self.clock.clone());
        let (started, logins) = (clock.tick(), self.issuer.load().logins());
        self.metrics.on_scrape(move |metrics| {
            for outcome in LoginOutcome::ALL {
                metrics.set_logins(outcome, logins.total(outcome));
            }
            let stats = authenticator.stats();
            metrics.set_store_up(stats.store_up);
            metrics.set_failure_decisions(stats.failures);
            metrics.set_feed_age(stats.feed_age.unwrap_or_else(|| clock.tick().since(started)));
            metrics.set_usage_unwritten(stats.unwritten);
            metrics.set_cache_entries(Cached::Positive, stats.positive_entries);
            metrics.set_cache_entries(Cached::Negative, stats.negative_entries);
            for (layer, cached) in CACHES {
                for (outcome, lookup) in LOOKUPS {
                    metrics.set_cache_lookups(cached, lookup, stats.lookups.get(layer, outcome));
                }
            }
        });
    }
}

/// The validation cache's names for its parts, and the metrics'.
const CACHES: [(Layer, Cached); 3] =
    [(Layer::Front, Cached::Front), (Layer::Positive, Cached::Positive), (Layer::Negative, Cached::Negative)];
const LOOKUPS: [(Outcome, Lookup); 4] = [
    (Outcome::Hit, Lookup::Hit),
    (Outcome::Miss, Lookup::Miss),
    (Outcome::Stale, Lookup::Stale),
    (Outcome::Joined, Lookup::Joined),
];

/// Says that this process may have fewer files open than `config` has connections and tunnels.
pub(super) fn too_few_descriptors(config: &Config) -> Option<String> {
    let limit = descriptors::limit()?;
    let (clients, tunnels) = (descriptors::clients(limit), descriptors::tunnels(limit));
    let max = &config.max;
    (clients < max.connections || tunnels < max.tunnels).then(|| {
        format!(
            "this process may have {limit} files open, which leaves room for {} connections (max.connections is {}) and \
             {} tunnels (max.tunnels is {}); raise the limit: LimitNOFILE= in the systemd unit, or ulimit -n",
            clients.min(max.connections),
            max.connections,
            tunnels.min(max.tunnels),
            max.tunnels
        )
    })
}
