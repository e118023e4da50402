//! TLS by rustls: certificates and keys from files, which certificate a client is shown, and replacing all of it under
//! connections that go on.
//!
//! Versions, cipher suites and signature schemes are rustls' own choice, by aws-lc. Early data is never taken: it can
//! be replayed.

mod certificate;
mod clients;
mod connector;
mod files;
mod names;
mod shown;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::{ServerConfig, SupportedProtocolVersion, version};

use crate::clock::Timestamp;
pub use certificate::Certificate;
use clients::Belief;
pub use clients::{Clients, Presence, Revocations};
pub use connector::{ClientSettings, Connector, Protocol, SystemRoots};
pub use files::Flaw;
use names::Names;
pub use shown::Shown;

/// HTTP/2 as ALPN names it (RFC 9113 §3.1).
pub(super) const H2: &[u8] = b"h2";
/// HTTP/1.1 likewise (RFC 7301 §6).
const HTTP1: &[u8] = b"http/1.1";

/// By what a listener serves TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// At least one; the first is for clients that ask for no name, or for none that there is.
    pub certificates: Vec<Pair>,
    /// The oldest version that is spoken.
    pub oldest: Version,
    /// Whom clients have to be certified by; `None` = they are not asked.
    pub clients: Option<Clients>,
}

impl Settings {
    /// All files that are read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let clients =
            self.clients.iter().flat_map(|clients| clients.crl_files.iter().chain([&clients.ca_file]));
        self.certificates.iter().flat_map(|pair| [&pair.cert_file, &pair.key_file]).chain(clients)
    }
}

/// A certificate with its chain, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate first, then what leads to its root.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

const FROM_13: &[&SupportedProtocolVersion] = &[&version::TLS13];

impl Version {
    const fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls12 => rustls::ALL_VERSIONS,
            Self::Tls13 => FROM_13,
        }
    }
}

/// What the files of a listener hold, all of it good.
#[derive(Debug)]
pub struct Loaded {
    /// In the order of the settings.
    pub certificates: Vec<Certificate>,
    revocations: Vec<Revocations>,
    config: ServerConfig,
    clients: Option<Belief>,
    sessions: Sessions,
}

/// Whether a client can take up what it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sessions {
    Resume,
    /// It would not be verified again: what was revoked meanwhile, or is over, would go on.
    AlwaysAnew,
}

impl Loaded {
    /// What is probably not meant so, at `now`.
    #[must_use]
    pub fn notices(&self, now: Timestamp) -> Vec<String> {
        let certificates = self.certificates.iter().flat_map(|certificate| certificate.notices(now));
        certificates.chain(self.revocations.iter().filter_map(|list| list.notice(now))).collect()
    }
}

/// Reads the files that `settings` name.
///
/// # Errors
/// All that is wrong with them.
pub fn load(settings: &Settings) -> Result<Loaded, Vec<Flaw>> {
    let (mut certificates, mut flaws) = (Vec::new(), Vec::new());
    for pair in &settings.certificates {
        match Certificate::load(pair) {
            Ok(certificate) => certificates.push(certificate),
            Err(flaw) => flaws.push(flaw),
        }
    }
    let clients = settings.clients.as_ref().map(clients::verifier).transpose();
    let clients = clients.map_err(|flaw| flaws.push(flaw)).ok().flatten();
    if !flaws.is_empty() {
        return Err(flaws);
    }
    let (verifier, revocations) =
        clients.map_or((None, Vec::new()), |(verifier, lists)| (Some(verifier), lists));
    let sessions = if verifier.is_some() { Sessions::AlwaysAnew } else { Sessions::Resume };
    let clients = verifier.as_ref().map(|belief: &Belief| Arc::clone(&belief.verifier));
    let config = config(settings, Names::new(&certificates), clients).map_err(|error| {
        let file = settings.certificates.first().map(|pair| pair.cert_file.clone());
        vec![Flaw::new(&file.unwrap_or_default(), format!("TLS cannot be served by it: {error}"))]
    })?;
    Ok(Loaded { certificates, revocations, config, clients: verifier, sessions })
}

fn config(
    settings: &Settings,
    names: Names,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(settings.oldest.and_later())?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_cert_resolver(Arc::new(names));
    config.alpn_protocols = vec![H2.to_vec(), HTTP1.to_vec()];
    // Of what both sides speak, the strongest: clients that are misled choose nothing.
    config.ignore_client_order = true;
    // What a session was is kept by its client, in a ticket: workers share no table.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What a listener serves TLS by now. Shared by all workers.
#[derive(Debug)]
pub struct Tls {
    listener: Arc<str>,
    current: ArcSwap<Current>,
    /// Seals tickets by a key that it replaces every six hours. Certificates come and go, tickets stay good.
    tickets: Arc<dyn ProducesTickets>,
}

/// What was loaded last.
#[derive(Debug)]
pub(super) struct Current {
    pub config: Arc<ServerConfig>,
    /// By whom clients are verified.
    clients: Option<Belief>,
    /// How often that was another before.
    generation: u64,
}

impl Tls {
    /// Begins with what was loaded for the listener of this name.
    ///
    /// # Errors
    /// When nothing unpredictable can be made for the keys of tickets.
    pub fn new(listener: Arc<str>, loaded: Loaded) -> Result<Self, rustls::Error> {
        let tickets = aws_lc_rs::Ticketer::new()?;
        let current = ArcSwap::from_pointee(current(loaded, &tickets, 0));
        Ok(Self { listener, current, tickets })
    }

    /// Connections that begin from now on are served by this; those that are there go on, and what their clients showed is
    /// verified by it before it counts again. One at a time.
    pub fn adopt(&self, loaded: Loaded) {
        let old = self.current.load();
        let generation = old.generation.wrapping_add(u64::from(old.clients != loaded.clients));
        self.current.store(Arc::new(current(loaded, &self.tickets, generation)));
    }

    /// For the next connection.
    pub(super) fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }
}

fn current(loaded: Loaded, tickets: &Arc<dyn ProducesTickets>, generation: u64) -> Current {
    let mut config = loaded.config;
    match loaded.sessions {
        Sessions::Resume => config.ticketer = Arc::clone(tickets),
        Sessions::AlwaysAnew => config.send_tls13_tickets = 0,
    }
    Current { config: Arc::new(config), clients: loaded.clients, generation }
}
