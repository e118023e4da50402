//! Loading the configuration anew: what takes it over, and what is said of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::running::{Core, terms, too_few_descriptors};
use super::watch::{self, Found};
use super::{signing, tls, upstreams};
use crate::authenticator::Rules;
use crate::config::{self, Config, Listener};
use crate::control::{AskReload, ReloadOutcome};
use crate::proxy::plan::Plan;
use crate::server::descriptors;
use crate::server::tls::Connector;
use crate::telemetry::metrics::Reload;

impl Core {
    /// Puts `config` in force. Under the lock [`reloading`](Self::reloading), so that one is whole before the next.
    pub(super) async fn take_over(&self, config: Config, files: tls::Files) -> Vec<String> {
        let mut warnings = waiting_for_restart(&self.started_with, &config);
        warnings.extend(too_few_descriptors(&config));
        descriptors::make_room(config.max.connections);
        warnings.extend(lost_keys(&self.config.load(), &config));
        warnings.extend(files.notices(self.clock.now()));
        let connectors = self.adopt_certificates(files);
        // Each worker's part of the cache is as large as it was made.
        let capacity = self.started_with.cache.capacity;
        self.authenticator.reload(&config::Cache { capacity, ..config.cache.clone() }, Rules::of(&config));
        self.adopt_plan(&config, connectors).await;
        self.show_certificates();
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

    pub(super) async fn reload_file(&self) -> ReloadOutcome {
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
}

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
