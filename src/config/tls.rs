//! What runs of the sections `tls`: which files, and which versions. The files are read by who serves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::auth::certificate::Name;

/// How a listener serves TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// At least one; the first is for clients that name no host, or none that there is.
    pub certificates: Vec<CertificateFiles>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// The authorities that clients have to be certified by; `None` = they are not asked.
    pub client_ca_file: Option<PathBuf>,
    /// Whether a client may come without a certificate.
    pub client_auth: ClientAuth,
    /// What those authorities revoked.
    pub crl_files: Vec<PathBuf>,
    /// Whom names in clients' certificates stand for, each name once.
    pub client_accounts: Vec<ClientAccount>,
}

/// Whether a client may come without a certificate. One that is shown has to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// It may not.
    Required,
    /// It may.
    Optional,
}

/// That a name in a client's certificate stands for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAccount {
    /// The name.
    pub name: Name,
    /// An e-mail address or an id.
    pub account: Arc<str>,
}

/// A certificate with its chain, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate first, then its chain.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// How the servers of an upstream are connected to by TLS. They are always verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The authorities that are trusted; `None` = those of the system.
    pub ca_file: Option<PathBuf>,
    /// What is shown to a server that asks who this is.
    pub certificate: Option<CertificateFiles>,
    /// The name that servers have to prove; `None` = the host of their URL.
    pub server_name: Option<Box<str>>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

impl Tls {
    /// Paths start from `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.certificates.iter_mut().for_each(|files| files.resolve(folder));
        for file in self.client_ca_file.iter_mut().chain(&mut self.crl_files) {
            *file = folder.join(&file);
        }
    }
}

impl UpstreamTls {
    /// Paths start from `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.ca_file = self.ca_file.as_ref().map(|file| folder.join(file));
        self.certificate.iter_mut().for_each(|files| files.resolve(folder));
    }
}

impl CertificateFiles {
    fn resolve(&mut self, folder: &Path) {
        self.cert_file = folder.join(&self.cert_file);
        self.key_file = folder.join(&self.key_file);
    }
}
