//! TLS towards servers: who they have to be, and who this side is to them. They are always verified.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::files::{self, Flaw};
use super::{Certificate, H2, HTTP1, Pair, provider};
use crate::server::transport::{Counted, Transport};

/// How servers are connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// The authorities that are trusted; `None` = those of the system.
    pub ca_file: Option<PathBuf>,
    /// What this side shows where it is asked.
    pub certificate: Option<Pair>,
    /// The name that servers have to prove and are asked for; `None` = the host that is connected to.
    pub server_name: Option<Box<str>>,
    /// What is spoken.
    pub protocol: Protocol,
}

impl ClientSettings {
    /// All files that are read, but for those of the system.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let shown = self.certificate.iter().flat_map(|pair| [&pair.cert_file, &pair.key_file]);
        self.ca_file.iter().chain(shown)
    }
}

/// What is spoken above TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1; a server need not agree.
    Http1,
    /// HTTP/2; a server has to agree (RFC 9113 §3.2).
    Http2,
}

/// The authorities of the system, read once.
#[derive(Debug, Default)]
pub struct SystemRoots(Option<Vec<CertificateDer<'static>>>);

impl SystemRoots {
    fn get(&mut self) -> &[CertificateDer<'static>] {
        self.0.get_or_insert_with(|| {
            let found = rustls_native_certs::load_native_certs();
            for error in found.errors {
                tracing::debug!(%error, "a root certificate of the system cannot be read");
            }
            found.certs
        })
    }
}

/// Makes connections under TLS. Equal to another when both were made of the same, the content of files included.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
    name: Option<ServerName<'static>>,
    protocol: Protocol,
    /// What this side shows, where it is asked.
    certificate: Option<Arc<Certificate>>,
    made_of: [u8; 32],
}

impl PartialEq for Connector {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads the files that `settings` name.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn load(settings: &ClientSettings, system: &mut SystemRoots) -> Result<Self, Flaw> {
        let mut made_of = Context::new(&SHA256);
        made_of.update(format!("{settings:?}").as_bytes());
        let roots = roots(settings.ca_file.as_deref(), system, &mut made_of)?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Flaw::new(Path::new(""), error.to_string()))?
            .with_root_certificates(roots);
        let certificate = settings.certificate.as_ref().map(Certificate::load).transpose()?;
        let mut config = match &settings.certificate {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = files::certificates(&pair.cert_file)?;
                chain.iter().for_each(|certificate| made_of.update(certificate));
                let key = files::key(&pair.key_file)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| super::certificate::misfit(pair, &error))?
            }
        };
        config.alpn_protocols = vec![match settings.protocol {
            Protocol::Http1 => HTTP1.to_vec(),
            Protocol::Http2 => H2.to_vec(),
        }];
        let name = settings.server_name.as_ref().map(|name| ServerName::try_from(name.to_string()));
        let mut digest = [0; 32];
        digest.copy_from_slice(made_of.finish().as_ref());
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            name: name
                .transpose()
                .map_err(|_| Flaw::new(Path::new("server_name"), "is no name of a host"))?,
            protocol: settings.protocol,
            certificate: certificate.map(Arc::new),
            made_of: digest,
        })
    }

    /// The certificate that it shows, if it has one.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }

    /// Secures a connection that was made to `host`.
    ///
    /// # Errors
    /// When the server does not prove to be who it should be, does not speak what it should, or goes.
    pub async fn secure(&self, stream: TcpStream, host: &str) -> io::Result<Transport> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        // Boxed, lest every request has room for it.
        let tls = Box::pin(self.tls.connect(name, Counted::new(stream))).await?;
        let transport = Transport::Tls(Box::new(TlsStream::Client(tls)));
        if self.protocol == Protocol::Http2 && transport.agreed() != Some(H2) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the server does not agree to speak HTTP/2",
            ));
        }
        Ok(transport)
    }
}

fn roots(
    file: Option<&Path>,
    system: &mut SystemRoots,
    made_of: &mut Context,
) -> Result<RootCertStore, Flaw> {
    if let Some(file) = file {
        return files::roots(file, |root| made_of.update(root));
    }
    let mut store = RootCertStore::empty();
    let found = system.get();
    found.iter().for_each(|root| made_of.update(root));
    store.add_parsable_certificates(found.iter().cloned());
    if store.is_empty() {
        let what = "the system has no root certificates; install them (ca-certificates), or name a ca_file";
        return Err(Flaw::new(Path::new("https://"), what));
    }
    Ok(store)
}
