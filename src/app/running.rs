//! A running Keyward: what can be asked of it, reloading, ending.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::watch::{self, Found, InForce};
use super::workers::Handle;
use super::{Options, signing, tls, upstreams};
use crate::auth::jwt::Ring;
use crate::auth::random;
use crate::authenticator::{self, Authenticator, Layer, Outcome, Rules, Tasks};
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Config, Listener};
use crate::control::identity::Terms;
use crate::control::{AskHealth, AskReload, Checks, Health, ReloadOutcome, Status};
use crate::issuer::Issuer;
use crate::issuer::signing::Mint;
use crate::proxy::plan::Plan;
use crate::proxy::upstream::fleet::Fleet;
use crate::server::descriptors;
use crate::server::tls::Connector;
use crate::store::SharedStore;
use crate::telemetry::log_sink::AccessLog;
use crate::telemetry::metrics::{Cached, LoginOutcome, Lookup, Metrics, Reload};
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
    /// Puts `config` in force. Under the lock [`reloading`](Self::reloading), so that one is whole before the next.
    async fn take_over(&self, config: Config, files: tls::Files) -> Vec<String> {
        let mut warnings = waiting_for_restart(&self.started_with, &config);
        warnings.extend(too_few_descriptors(&config));
        warnings.extend(lost_keys(&self.config.load(), &config));
        warnings.extend(files.notices(self.clock.now()));
        let connectors = self.adopt_certificates(files);
        // Each worker's part of the cache is as large as it was made.
        let capacity = self.started_with.cache.capacity;
        self.authenticator.reload(&config::Cache { capacity, ..config.cache.clone() }, Rules::of(&config));
        self.adopt_plan(&config, connectors).await;
        if let Some(log) = &self.options.log {
            log.set_level(config.log.level);
            log.set_format(config.log.format);
        }
        self.log.set_format(config.log.format);
        self.type_base.store(Arc::new(config.errors.type_base.clone()));
        // What is remembered of failed logins is kept.
        let issuer = self.issuer.load().under(&config);
        self.identity.store(Arc::new(terms(issuer.clone(), self.authenticator.ring(), &config)));
        self.issuer.store(Arc::new(issuer));
        self.config.store(Arc::new(config));
        self.loaded_at.store(Arc::new(self.clock.now()));
        self.keep_signing_keys().await;
        self.metrics.config_loaded(self.clock.now());
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!("the configuration was loaded anew");
        warnings
    }

    /// Has requests that begin handled by `config`, and connections to its upstreams made by `connectors`. Under the lock
    /// [`reloading`](Self::reloading).
    pub(super) async fn adopt_plan(&self, config: &Config, connectors: Vec<Option<Connector>>) {
        let plan = Arc::new(Plan::compile_after(config.clone(), connectors, &self.fleet.load()));
        upstreams::replace(self, &plan.fleet, &self.metrics);
        let adopting = self.workers.iter().map(|worker| worker.adopt(Arc::clone(&plan)));
        futures_util::future::join_all(adopting).await;
    }

    /// Makes and replaces signing keys where that is due.
    pub(super) async fn keep_signing_keys(&self) {
        signing::keep_up(&self.store, &self.clock, &self.config.load_full()).await;
    }

    async fn reload_file(&self) -> ReloadOutcome {
        let Some(file) = self.options.config_file.clone() else {
            let problems = "this process runs on built-in defaults; there is no file to load".to_owned();
            return ReloadOutcome::Refused { problems };
        };
        let _one_at_a_time = self.reloading.lock().await;
        if self.draining.is_cancelled() {
            return ReloadOutcome::Refused { problems: "this server is ending".to_owned() };
        }
        let absolute = std::path::absolute(&file).unwrap_or_else(|_| file.clone());
        match read(file).await {
            Ok((content, config, files)) => {
                let warnings = self.take_over(config, files).await;
                self.in_force.record(&content);
                self.metrics.reloaded(Reload::Loaded(self.clock.now()));
                self.file_is_refused.store(false, Ordering::Relaxed);
                self.file_is_gone.store(false, Ordering::Relaxed);
                ReloadOutcome::Loaded { file: absolute, warnings }
            }
            Err(problems) => {
                tracing::error!("the new configuration is refused, the old one stays in force:\n{problems}");
                self.metrics.reloaded(Reload::Refused);
                self.file_is_refused.store(true, Ordering::Relaxed);
                ReloadOutcome::Refused { problems }
            }
        }
    }

    pub(super) fn ask_reload(self: &Arc<Self>) -> AskReload {
        let core = Arc::clone(self);
        Arc::new(move || {
            let core = Arc::clone(&core);
            Box::pin(async move { core.reload_file().await })
        })
    }

    /// Loads the configuration's file whenever it changes.
    pub(super) async fn watch(self: Arc<Self>) {
        let Some(file) = self.options.config_file.clone() else { return };
        let core = Arc::clone(&self);
        let changed = move |found| {
            let core = Arc::clone(&core);
            async move {
                match found {
                    Found::New => drop(core.reload_file().await),
                    Found::InForce => core.file_is_what_runs(),
                    Found::Nothing => core.file_is_gone(),
                }
            }
        };
        watch::watch(file, self.in_force.clone(), self.draining.clone(), changed).await;
    }

    /// Who repaired the file, or put it back, is told that all is well.
    fn file_is_what_runs(&self) {
        let refused = self.file_is_refused.swap(false, Ordering::Relaxed);
        if self.file_is_gone.swap(false, Ordering::Relaxed) || refused {
            tracing::info!("the configuration file holds what runs again");
        }
        if refused {
            self.metrics.reloaded(Reload::Loaded(self.clock.now()));
        }
    }

    fn file_is_gone(&self) {
        self.file_is_gone.store(true, Ordering::Relaxed);
        let file = self.options.config_file.as_deref().unwrap_or(Path::new(""));
        tracing::warn!(
            file = %file.display(),
            "the configuration file is gone; what was loaded stays in force, and the next start would miss it"
        );
    }

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
            certificates: self.tls.ends(),
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

/// The configuration in `file`, and the bytes that were there when it was read. File systems can hang; the control
/// plane's own threads must not wait for them.
async fn read(file: PathBuf) -> Result<(Vec<u8>, Config, tls::Files), String> {
    let reading = tokio::task::spawn_blocking(move || {
        // Before it is loaded: what is written in between counts as a change.
        let content = std::fs::read(&file).unwrap_or_default();
        let loaded = config::load(&file, &|name| std::env::var(name).ok())
            .map_err(|problems| problems.render(config::Style::Plain))?;
        let files = tls::Files::load(&loaded.config).map_err(|flaws| flaws.to_string())?;
        Ok((content, loaded.config, files))
    });
    reading.await.unwrap_or_else(|error| Err(format!("reading it broke off: {error}")))
}

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

/// What of `new` differs from what runs since the start and holds only from the next start on.
fn waiting_for_restart(old: &Config, new: &Config) -> Vec<String> {
    [
        ("listeners", !listen_alike(&old.listeners, &new.listeners)),
        ("admin", old.admin != new.admin),
        ("store", old.store != new.store),
        ("log.access", old.log.access != new.log.access),
        ("cache.capacity", old.cache.capacity != new.cache.capacity),
    ]
    .into_iter()
    .filter(|(_, changed)| *changed)
    .map(|(name, _)| format!("{name} differs from what is running; that takes effect with the next start"))
    .collect()
}

/// Whether the sockets are the same, and whether TLS is spoken on them; what it is served by is no matter of the sockets.
fn listen_alike(old: &[Listener], new: &[Listener]) -> bool {
    let socket = |listener: &Listener| {
        let Listener { name, address, tls, balancers } = listener;
        (Arc::clone(name), *address, tls.is_some(), balancers.clone())
    };
    old.iter().map(socket).eq(new.iter().map(socket))
}

/// Says that `new` makes good keys of `old` worthless.
fn lost_keys(old: &Config, new: &Config) -> Option<String> {
    let (was, is) = (&old.keys.prefix, &new.keys.prefix);
    (was != is).then(|| {
        format!(
            "keys.prefix changed from {was} to {is}: keys made with {was}_ are no longer valid",
            was = was.as_str(),
            is = is.as_str()
        )
    })
}
