//! What runs of the sections `tls`: which files, and which versions. The files are read by who serves.

use std::path::{Path, PathBuf};

/// How a listener serves TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// At least one; the first is for clients that name no host, or none that there is.
    pub certificates: Vec<CertificateFiles>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// A certificate with its chain, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate first, then its chain.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
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
        for files in &mut self.certificates {
            files.cert_file = folder.join(&files.cert_file);
            files.key_file = folder.join(&files.key_file);
        }
    }
}
