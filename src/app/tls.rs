//! TLS of listeners and upstreams: its files are read at the start, by a reload, and whenever they change. What is wrong
//! in them keeps what was right before in force.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::running::Core;
use super::watch::Signature;
use crate::clock::Timestamp;
use crate::config::{self, ClientAuth, Config, TlsVersion, UpstreamProtocol};
use crate::control::{CertificateEnd, Shown};
use crate::proxy::upstream::fleet::Group;
use crate::server::tls::{
    self, ClientSettings, Clients, Connector, Loaded, Pair, Presence, Protocol, Settings, SystemRoots, Tls,
    Version,
};
use crate::web::forwarded::Scheme;

/// Between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(1);

/// The files of all listeners and upstreams of a configuration, all of them good.
pub struct Files {
    listeners: Vec<(Arc<str>, Settings, Loaded)>,
    /// Of the upstreams, in the order of the configuration; `None` in clear.
    pub(super) connectors: Vec<Option<Connector>>,
    /// Their names, likewise.
    upstreams: Vec<Arc<str>>,
}

/// What is wrong with them, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaws(pub Vec<String>);

impl std::fmt::Display for Flaws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Flaws {}

impl Files {
    /// Reads what `config` names.
    ///
    /// # Errors
    /// All that is wrong with the files.
    pub fn load(config: &Config) -> Result<Self, Flaws> {
        let (mut listeners, mut flaws) = (Vec::new(), Vec::new());
        for listener in &config.listeners {
            let Some(settings) = listener.tls.as_ref().map(settings) else { continue };
            match tls::load(&settings) {
                Ok(loaded) => listeners.push((Arc::clone(&listener.name), settings, loaded)),
                Err(found) => {
                    flaws.extend(found.iter().map(|flaw| format!("listener {}: {flaw}", listener.name)));
                }
            }
        }
        let (mut connectors, mut system) = (Vec::new(), SystemRoots::default());
        for upstream in &config.upstreams {
            let Some(settings) = client_settings(upstream) else {
                connectors.push(None);
                continue;
            };
            match Connector::load(&settings, &mut system) {
                Ok(connector) => connectors.push(Some(connector)),
                Err(flaw) => flaws.push(format!("upstream {}: {flaw}", upstream.name)),
            }
        }
        let upstreams = config.upstreams.iter().map(|upstream| Arc::clone(&upstream.name)).collect();
        if flaws.is_empty() { Ok(Self { listeners, connectors, upstreams }) } else { Err(Flaws(flaws)) }
    }

    /// What is probably not meant so, at `now`.
    #[must_use]
    pub fn notices(&self, now: Timestamp) -> Vec<String> {
        let listeners = self.listeners.iter().flat_map(|(name, _, loaded)| {
            loaded.notices(now).into_iter().map(move |notice| format!("listener {name}: {notice}"))
        });
        let upstreams = self.upstreams.iter().zip(&self.connectors).flat_map(|(name, connector)| {
            let shown = connector.as_ref().and_then(Connector::certificate);
            let notices = shown.map_or_else(Vec::new, |shown| shown.notices_to_servers(now));
            notices.into_iter().map(move |notice| format!("upstream {name}: {notice}"))
        });
        listeners.chain(upstreams).collect()
    }
}

fn pair(files: &config::CertificateFiles) -> Pair {
    Pair { cert_file: files.cert_file.clone(), key_file: files.key_file.clone() }
}

fn settings(tls: &config::Tls) -> Settings {
    Settings {
        certificates: tls.certificates.iter().map(pair).collect(),
        oldest: match tls.min_version {
            TlsVersion::Tls12 => Version::Tls12,
            TlsVersion::Tls13 => Version::Tls13,
        },
        clients: tls.client_ca_file.clone().map(|ca_file| Clients {
            ca_file,
            crl_files: tls.crl_files.clone(),
            presence: match tls.client_auth {
                ClientAuth::Required => Presence::Required,
                ClientAuth::Optional => Presence::Optional,
            },
        }),
    }
}

/// How an upstream is connected to by TLS; `None` in clear.
fn client_settings(upstream: &config::Upstream) -> Option<ClientSettings> {
    upstream.endpoints.iter().find(|endpoint| endpoint.scheme == Scheme::Https)?;
    Some(ClientSettings {
        ca_file: upstream.tls.ca_file.clone(),
        certificate: upstream.tls.certificate.as_ref().map(pair),
        server_name: upstream.tls.server_name.clone(),
        protocol: match upstream.protocol {
            UpstreamProtocol::Http1 => Protocol::Http1,
            UpstreamProtocol::Http2 => Protocol::Http2,
        },
    })
}

/// What one listener serves TLS by.
struct Served {
    listener: Arc<str>,
    settings: Settings,
    tls: Arc<Tls>,
    ends: Vec<CertificateEnd>,
}

/// What all of them do.
#[derive(Default)]
pub(super) struct Listeners(Mutex<Vec<Served>>);

impl Listeners {
    /// Begins with `files`.
    ///
    /// # Errors
    /// When nothing unpredictable can be made.
    pub(super) fn start(files: Files) -> Result<Self, crate::auth::random::RandomFailed> {
        let mut served = Vec::new();
        for (listener, settings, loaded) in files.listeners {
            let ends = ends(&listener, &loaded);
            let tls =
                Tls::new(Arc::clone(&listener), loaded).map_err(|_| crate::auth::random::RandomFailed)?;
            served.push(Served { listener, settings, tls: Arc::new(tls), ends });
        }
        Ok(Self(Mutex::new(served)))
    }

    /// Of the listener with this name; `None` in clear.
    pub(super) fn of(&self, listener: &str) -> Option<Arc<Tls>> {
        let served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        served.iter().find(|served| &*served.listener == listener).map(|served| Arc::clone(&served.tls))
    }

    /// When the certificates end, in the order of the configuration.
    pub(super) fn ends(&self) -> Vec<CertificateEnd> {
        let served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        served.iter().flat_map(|served| served.ends.clone()).collect()
    }

    /// Takes over what was loaded for the listeners that there are.
    pub(super) fn adopt(&self, files: Files) {
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, settings, loaded) in files.listeners {
            if let Some(served) = served.iter_mut().find(|served| served.listener == name) {
                served.ends = ends(&name, &loaded);
                served.settings = settings;
                served.tls.adopt(loaded);
            }
        }
    }

    fn settings(&self) -> Vec<(Arc<str>, Settings)> {
        let served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        served.iter().map(|served| (Arc::clone(&served.listener), served.settings.clone())).collect()
    }
}

fn ends(listener: &Arc<str>, loaded: &Loaded) -> Vec<CertificateEnd> {
    loaded.certificates.iter().map(|shown| end(Shown::Listener(Arc::clone(listener)), shown)).collect()
}

fn end(shown: Shown, certificate: &tls::Certificate) -> CertificateEnd {
    CertificateEnd { shown, file: certificate.file.display().to_string(), expires: certificate.expires }
}

/// What is known of every file, without reading it.
pub(super) type Seen = BTreeMap<PathBuf, Option<Signature>>;

/// What was seen of one listener's files. Pure: it is told what each look found.
#[derive(Debug, Default)]
struct Watch {
    judged: Option<Seen>,
    moving: Option<Seen>,
}

impl Watch {
    /// Of files that were read when they were as `seen` says; unless it does not say so of all of them.
    fn since(seen: &Seen, files: &[PathBuf]) -> Self {
        let of = |path: &PathBuf| Some((path.clone(), seen.get(path)?.clone()));
        Self { judged: files.iter().map(of).collect(), moving: None }
    }

    /// Whether the files changed and stand still: who replaces a certificate and its key does it one after the other.
    fn look(&mut self, found: Seen) -> bool {
        if self.judged.as_ref() == Some(&found) {
            self.moving = None;
            return false;
        }
        if self.judged.is_none() {
            self.judged = Some(found);
            return false;
        }
        if self.moving.as_ref() != Some(&found) {
            self.moving = Some(found);
            return false;
        }
        self.judged = self.moving.take();
        true
    }
}

/// What the files of `config` are like now: to be asked before they are read, so that no change goes unnoticed after that.
pub(super) fn seen(config: &Config) -> Seen {
    let listeners = config.listeners.iter().filter_map(|listener| listener.tls.as_ref().map(settings));
    let listeners = listeners.flat_map(|settings| settings.files().cloned().collect::<Vec<_>>());
    let upstreams = config.upstreams.iter().filter_map(client_settings);
    let upstreams = upstreams.flat_map(|settings| settings.files().cloned().collect::<Vec<_>>());
    look(&listeners.chain(upstreams).collect::<Vec<_>>())
}

fn look(files: &[PathBuf]) -> Seen {
    files.iter().map(|path| (path.clone(), Signature::of(path))).collect()
}

/// Whose files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Listener(Arc<str>),
    Upstream(Arc<str>),
}

/// All files by the settings in force.
fn watched(core: &Core) -> Vec<(Whose, Vec<PathBuf>)> {
    let listeners = core.tls.settings().into_iter();
    let listeners =
        listeners.map(|(name, settings)| (Whose::Listener(name), settings.files().cloned().collect()));
    let config = core.config.load();
    let upstreams = config.upstreams.iter().filter_map(|upstream| {
        let files: Vec<PathBuf> = client_settings(upstream)?.files().cloned().collect();
        (!files.is_empty()).then(|| (Whose::Upstream(Arc::clone(&upstream.name)), files))
    });
    listeners.chain(upstreams).collect()
}

/// Reads the files of each listener and upstream anew whenever they change, until the process ends. They were first read
/// when they were as `seen` says.
pub(super) async fn run(core: Arc<Core>, seen: Seen) {
    let seen = Arc::new(seen);
    let mut watches: BTreeMap<Whose, Watch> = BTreeMap::new();
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while core.draining.run_until_cancelled(interval.tick()).await.is_some() {
        let all = watched(&core);
        if all.is_empty() {
            continue;
        }
        // File systems can be slow; the runtime's own threads must not wait for them.
        let seen = Arc::clone(&seen);
        let looked = tokio::task::spawn_blocking(move || {
            let changed = all.into_iter().filter(|(whose, files)| {
                let watch = watches.entry(whose.clone()).or_insert_with(|| Watch::since(&seen, files));
                watch.look(look(files))
            });
            let changed: Vec<_> = changed.map(|(whose, _)| whose).collect();
            (watches, changed)
        });
        let Ok((back, changed)) = looked.await else {
            tracing::error!("watching the certificates ended; SIGHUP still reloads them");
            return;
        };
        watches = back;
        for whose in changed {
            match whose {
                Whose::Listener(listener) => renew(&core, &listener).await,
                Whose::Upstream(upstream) => renew_connector(&core, &upstream).await,
            }
        }
    }
}

/// Reads the files of one listener by the settings in force.
async fn renew(core: &Arc<Core>, listener: &Arc<str>) {
    let _one_at_a_time = core.reloading.lock().await;
    let Some((name, settings)) = core.tls.settings().into_iter().find(|(name, _)| name == listener) else {
        return;
    };
    let loading = tokio::task::spawn_blocking(move || {
        let loaded = tls::load(&settings);
        loaded.map(|loaded| Files {
            listeners: vec![(name, settings, loaded)],
            connectors: Vec::new(),
            upstreams: Vec::new(),
        })
    });
    match loading.await {
        Ok(Ok(files)) => {
            for notice in files.notices(core.clock.now()) {
                tracing::warn!("{notice}");
            }
            let _ = core.adopt_certificates(files);
            tracing::info!(%listener, "the certificates were loaded anew");
        }
        Ok(Err(flaws)) => {
            for flaw in flaws {
                tracing::warn!(%listener, "the new certificates cannot be used, the old ones stay: {flaw}");
            }
        }
        Err(error) => tracing::warn!(%listener, %error, "reading the certificates broke off"),
    }
}

/// Reads the files of one upstream by the settings in force. What was made by the old ones serves no further request.
async fn renew_connector(core: &Arc<Core>, upstream: &Arc<str>) {
    let _one_at_a_time = core.reloading.lock().await;
    let config = core.config.load_full();
    let found = config.upstreams.iter().find(|other| other.name == *upstream);
    let Some(settings) = found.and_then(client_settings) else { return };
    let loading =
        tokio::task::spawn_blocking(move || Connector::load(&settings, &mut SystemRoots::default()));
    let connector = match loading.await {
        Ok(Ok(connector)) => connector,
        Ok(Err(flaw)) => {
            tracing::warn!(%upstream, "the new certificates cannot be used, the old ones stay: {flaw}");
            return;
        }
        Err(error) => {
            tracing::warn!(%upstream, %error, "reading the certificates broke off");
            return;
        }
    };
    let fleet = core.fleet.load_full();
    let of = |group: &Arc<Group>| match group.name == *upstream {
        true => Some(connector.clone()),
        false => group.connector.clone(),
    };
    let connectors: Vec<_> = fleet.groups().iter().map(of).collect();
    if fleet.groups().iter().map(|group| &group.connector).eq(&connectors) {
        return;
    }
    core.adopt_plan(&config, connectors).await;
    core.show_certificates();
    tracing::info!(%upstream, "the certificates were loaded anew");
}

impl Core {
    /// Has connections that begin served by `files`; gives what connections to upstreams are made by.
    pub(super) fn adopt_certificates(&self, mut files: Files) -> Vec<Option<Connector>> {
        let connectors = std::mem::take(&mut files.connectors);
        self.tls.adopt(files);
        self.show_certificates();
        connectors
    }

    /// When all certificates end that are shown.
    pub(super) fn certificate_ends(&self) -> Vec<CertificateEnd> {
        let fleet = self.fleet.load();
        let upstreams = fleet.groups().iter().filter_map(|group| {
            let shown = group.connector.as_ref()?.certificate()?;
            Some(end(Shown::Upstream(Arc::clone(&group.name)), shown))
        });
        self.tls.ends().into_iter().chain(upstreams).collect()
    }

    pub(super) fn show_certificates(&self) {
        let ends = self.certificate_ends();
        let listeners = ends.iter().filter_map(|end| match &end.shown {
            Shown::Listener(name) => Some((&**name, &*end.file, end.expires)),
            Shown::Upstream(_) => None,
        });
        self.metrics.set_certificates(listeners);
        let upstreams = ends.iter().filter_map(|end| match &end.shown {
            Shown::Upstream(name) => Some((&**name, &*end.file, end.expires)),
            Shown::Listener(_) => None,
        });
        self.metrics.set_upstream_certificates(upstreams);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(inode: &str) -> Seen {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, inode).unwrap();
        [(PathBuf::from("a"), Signature::of(&file))].into()
    }

    #[test]
    fn a_change_counts_once_it_stands_still() {
        let (old, half, new) = (seen("1"), seen("22"), seen("333"));
        let mut watch = Watch::default();
        let looks = [&old, &old, &half, &new, &new, &new, &old, &new, &old, &old];
        let changed: Vec<bool> = looks.into_iter().map(|found| watch.look(found.clone())).collect();
        assert_eq!(changed, [false, false, false, false, true, false, false, false, false, true]);
    }
}
