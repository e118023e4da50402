//! Starting: what can fail for the operator's reasons first (ports, store), then what serves, the admin listener last.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::running::{Core, Running, terms, too_few_descriptors};
use super::watch::InForce;
use super::workers::{Handle, Socket};
use super::{Options, checking, cleaning, logins, signing, tls, upstreams};
use crate::auth::random::{self, RandomFailed};
use crate::authenticator::{Authenticator, Counting, Health, Rules};
use crate::config::{self, Config, Reach};
use crate::control::Control;
use crate::control::identity::{self, Identity};
use crate::control::router;
use crate::control::serve;
use crate::control::socket::ControlSocket;
use crate::issuer::Issuer;
use crate::proxy::plan::Plan;
use crate::proxy::worker::{Shared, Worker};
use crate::server::descriptors;
use crate::server::listener::{self, BindError};
use crate::store::sqlite::{Open, OpenError, Opened, SqliteStore};
use crate::store::{ChangeSink, SharedStore};
use crate::telemetry::log_sink::{AccessLog, CannotOpen};
use crate::telemetry::metrics::{self, Metrics};
use crate::web::client_address::TrustedProxies;
use crate::web::errand::{self, Desk};
use crate::web::request_id::RequestIds;

/// How long the start waits for the store's first answer before it serves without.
const FIRST_CONTACT: Duration = Duration::from_secs(5);

/// Why Keyward did not start. `Display` is one line; [`hint`](Self::hint) says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A certificate or key of a listener cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Flaws),
    /// The access log cannot be written.
    #[error(transparent)]
    AccessLog(#[from] CannotOpen),
    /// A metric cannot be made.
    #[error("the metrics cannot be set up")]
    Metrics(#[from] metrics::Broken),
    /// Nothing unpredictable can be made.
    #[error(transparent)]
    Random(#[from] RandomFailed),
    /// The system gives no thread or socket.
    #[error("the operating system refuses a thread or a socket")]
    System(#[from] std::io::Error),
}

impl StartError {
    /// What to do about it, in one line.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Bind(error) => error.hint().to_owned(),
            Self::Store(error) => error.hint(),
            Self::AccessLog(_) => "check log.access in the configuration, and who may write there".to_owned(),
            Self::Tls(_) => "`keyward check` looks at certificates and keys too".to_owned(),
            Self::Random(_) => "check that this process may read the system's random generator".to_owned(),
            Self::Metrics(_) => "this is a defect of Keyward; please report it".to_owned(),
            Self::System(_) => "check the limits of this process (ulimit -n, ulimit -u)".to_owned(),
        }
    }
}

/// Starts everything that `config` names. Listeners accept when this returns.
///
/// # Errors
/// [`StartError`]; whatever had been started has ended then.
pub async fn start(config: Config, options: Options) -> Result<Running, StartError> {
    let clock = options.clock.clone();
    descriptors::raise();
    descriptors::make_room(config.max.connections);
    let count =
        options.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get));
    let seen = tls::seen(&config);
    let files = tls::Files::load(&config)?;
    for notice in files.notices(clock.now()) {
        tracing::warn!("{notice}");
    }
    let connectors = files.connectors.clone();
    let tls = tls::Listeners::start(files)?;
    let bound = bind(&config, count)?;
    let admin = listener::bind_alone(config.admin.address)?;
    let store = SqliteStore::open(&config.store.path, config.store.synchronous, Open::Create).await?;
    let file = Arc::new(store);
    let store: SharedStore = Arc::<SqliteStore>::clone(&file);
    let metrics = Arc::new(Metrics::new()?);
    if let Some(log) = &options.log {
        log.count_dropped(metrics.log_dropped());
    }
    let log = AccessLog::start(&config.log, metrics.log_dropped(), clock.clone())?;
    report(&file, options.config_file.as_deref());
    tell_of_clear_cookies(&config);
    // Before the first contact, which reads them.
    signing::keep_up(&store, &clock, &config).await;
    let (authenticator, tasks) = Authenticator::start(
        Arc::clone(&store),
        clock.clone(),
        &config.cache,
        Rules::of(&config),
        Counting::Kept,
    );
    let authenticator = Arc::new(authenticator);
    first_contact(&authenticator).await;
    let plan = Arc::new(Plan::compile(config.clone(), connectors));
    let sink: Arc<dyn ChangeSink> = authenticator.clone();
    let issuer =
        Issuer::new(Arc::clone(&store), clock.clone(), Arc::new(random::System::default()), &config, sink);
    let addresses = bound.iter().map(|(name, sockets)| (Arc::clone(name), sockets.address)).collect();
    let loaded_at = clock.now();
    let (desk, errands) = errand::desk();
    let in_force = in_force(options.config_file.as_deref(), &config);
    let core = Arc::new(Core {
        workers: start_workers(bound, count, &plan, &clock, &authenticator, &log, (&metrics, &desk, &tls))?,
        tls,
        fleet: Arc::new(ArcSwap::new(Arc::clone(&plan.fleet))),
        fleet_changed: tokio::sync::Notify::default(),
        type_base: Arc::new(ArcSwap::from_pointee(config.errors.type_base.clone())),
        started_with: config.clone(),
        identity: Arc::new(ArcSwap::from_pointee(terms(issuer.clone(), authenticator.ring(), &config))),
        config: ArcSwap::from_pointee(config),
        issuer: ArcSwap::from_pointee(issuer),
        options,
        clock,
        store,
        metrics,
        authenticator,
        log,
        loaded_at: ArcSwap::from_pointee(loaded_at),
        in_force,
        file_is_refused: AtomicBool::default(),
        file_is_gone: AtomicBool::default(),
        reloading: tokio::sync::Mutex::default(),
        draining: CancellationToken::new(),
    });
    core.metrics.config_loaded(loaded_at);
    core.show_certificates();
    let running = Running::new(core, addresses, admin.local_addr()?, tasks);
    serve_control(&running, admin).await?;
    let (terms, clock) = (Arc::clone(&running.core().identity), running.core().clock.clone());
    let authenticator = Arc::clone(&running.core().authenticator);
    let ring = authenticator.ring();
    let identity = Arc::new(Identity { terms, clock, ring, authenticator, sealer: OnceCell::new() });
    running.keep(identity::serve(errands, identity, running.stop_control()));
    running.keep(cleaning::run(running.core()));
    running.keep(logins::run(running.core().issuer.load().logins(), running.stop_control()));
    running.keep(signing::run(running.core()));
    running.keep(checking::run(file, running.core().draining.clone()));
    running.keep(running.core().watch());
    running.keep(tls::run(running.core(), seen));
    running.keep(upstreams::look_after(running.core(), running.stop_control()));
    Ok(running)
}

/// What the file holds, if that is still what `config` was read from; else the watch is to load it.
fn in_force(file: Option<&Path>, config: &Config) -> InForce {
    let Some(file) = file else { return InForce::default() };
    let content = std::fs::read(file).unwrap_or_default();
    let in_force = InForce::default();
    if config::load(file, &|name| std::env::var(name).ok()).is_ok_and(|loaded| loaded.config == *config) {
        in_force.record(&content);
    }
    in_force
}

/// One listener's sockets, one for each worker.
struct Bound {
    address: std::net::SocketAddr,
    sockets: Vec<std::net::TcpListener>,
}

fn bind(config: &Config, workers: usize) -> Result<Vec<(Arc<str>, Bound)>, StartError> {
    let mut bound = Vec::new();
    for listener in &config.listeners {
        let sockets = listener::bind(listener.address, workers)?;
        let address = sockets.first().map_or(Ok(listener.address), std::net::TcpListener::local_addr)?;
        bound.push((Arc::clone(&listener.name), Bound { address, sockets }));
    }
    Ok(bound)
}

/// The first line: what runs here, by what, and on what.
fn report(store: &SqliteStore, file: Option<&Path>) {
    let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
    let config = file.as_deref().map_or("built-in defaults".into(), Path::to_string_lossy);
    let opened = match store.opened() {
        Opened::AsItWas => "existed",
        Opened::Made => "made new",
        Opened::Migrated { .. } => "migrated",
    };
    let path = store.path().display();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %config, store = %path, opened, "starting");
    if let Opened::Migrated { from, to } = store.opened() {
        tracing::info!(%path, from, to, "migrated the store");
    }
}

/// Who tries the console out over http is to know that its cookies are not those of a real one.
fn tell_of_clear_cookies(config: &Config) {
    let console = config.identity.as_ref().filter(|identity| identity.console);
    if let Some(identity) = console.filter(|identity| identity.public_url.reach() == Reach::Loopback) {
        let public_url = identity.public_url.as_str();
        tracing::info!(
            public_url,
            "the console's cookies are not marked Secure, because public_url is http on this machine alone"
        );
    }
}

async fn first_contact(authenticator: &Authenticator) {
    let contact = async {
        while authenticator.health() == Health::Starting {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(FIRST_CONTACT, contact).await.is_err() {
        tracing::warn!("the store does not answer; credentials are refused as not checkable until it does");
    }
}

fn start_workers(
    mut bound: Vec<(Arc<str>, Bound)>,
    count: usize,
    plan: &Arc<Plan>,
    clock: &crate::clock::Clock,
    authenticator: &Arc<Authenticator>,
    log: &AccessLog,
    (metrics, desk, tls): (&Arc<Metrics>, &Desk, &tls::Listeners),
) -> Result<Vec<Handle>, StartError> {
    let tunnels = descriptors::limit().map_or(usize::MAX, descriptors::tunnels);
    let shared = Arc::new(Shared::new(tunnels));
    let most = descriptors::limit().map_or(usize::MAX, descriptors::clients);
    if let Some(warning) = too_few_descriptors(&plan.config) {
        tracing::warn!("{warning}");
    }
    let mut workers = Vec::new();
    for number in 0..count {
        let sockets = bound.iter_mut().filter_map(|(name, bound)| {
            let (listener, tls) = (bound.sockets.pop()?, tls.of(name));
            let listeners = &plan.config.listeners;
            let balancers = listeners.iter().find(|known| known.name == *name).map(|known| &*known.balancers);
            let balancers = TrustedProxies::new(balancers.unwrap_or_default());
            Some(Socket { listener, connections: metrics.connections(name), most, tls, balancers })
        });
        let sockets: Vec<_> = sockets.collect();
        let (plan, clock, metrics, shared) = (plan.clone(), clock.clone(), metrics.clone(), shared.clone());
        let request_ids = RequestIds::new(&random::System::default())?;
        let (authenticator, log, desk) = (Arc::clone(authenticator), log.worker(), desk.clone());
        let make = move || {
            let validation = (authenticator.front(), authenticator.ring());
            Worker::new(plan, clock, validation, log, metrics, request_ids, (shared, desk))
        };
        workers.push(Handle::start(number, sockets, make)?);
    }
    Ok(workers)
}

/// The admin listener, and the control socket beside the store.
async fn serve_control(running: &Running, admin: std::net::TcpListener) -> Result<(), StartError> {
    let core = running.core();
    let control = Arc::new(Control {
        metrics: Arc::clone(&core.metrics),
        health: core.ask_health(),
        reload: core.ask_reload(),
        type_base: Arc::clone(&core.type_base),
    });
    core.show_cache();
    upstreams::show(&core);
    let (stop, limits) = (running.stop_control(), serve::Limits::default());
    let listener = serve::tcp(admin)?;
    running.keep(serve::serve(listener, router::admin(Arc::clone(&control)), stop.clone(), limits));
    match ControlSocket::bind(&core.config.load().store.path).await {
        Ok(socket) => running.keep(serve::serve(socket, router::socket(control), stop, limits)),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "`keyward reload` will not reach this process; SIGHUP does");
        }
    }
    Ok(())
}
