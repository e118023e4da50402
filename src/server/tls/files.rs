//! Certificates and keys in files of the form PEM (RFC 7468).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// A larger file is no certificate and no key.
const MAX: u64 = 4 << 20;

/// What is wrong with a file that TLS needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", file.display())]
pub struct Flaw {
    /// Where it is.
    pub file: PathBuf,
    /// In words.
    pub what: String,
}

impl Flaw {
    pub(super) fn new(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), what: what.into() }
    }
}

/// The certificates in a file, at least one, in their order.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let text = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| Flaw::new(file, torn(&error)))?;
    if found.is_empty() {
        let what = match text.first() {
            Some(0x30) => "holds a certificate in the form DER; convert it by: openssl x509 -inform der",
            _ => "holds no certificate: there is no line -----BEGIN CERTIFICATE-----",
        };
        return Err(Flaw::new(file, what));
    }
    Ok(found)
}

/// The authorities in a file; each is shown to `seen`.
pub(super) fn roots(file: &Path, mut seen: impl FnMut(&[u8])) -> Result<RootCertStore, Flaw> {
    let mut store = RootCertStore::empty();
    for root in certificates(file)? {
        seen(&root);
        let flaw = |error| Flaw::new(file, format!("holds a certificate that cannot be trusted: {error}"));
        store.add(root).map_err(flaw)?;
    }
    Ok(store)
}

/// The lists of revoked certificates in a file, at least one.
pub(super) fn revocations(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Flaw> {
    let text = read(file)?;
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| Flaw::new(file, torn(&error)))?;
    if found.is_empty() {
        let what = "holds no list of revocations: there is no line -----BEGIN X509 CRL-----";
        return Err(Flaw::new(file, what));
    }
    Ok(found)
}

/// The private key in a file.
pub(super) fn key(file: &Path) -> Result<PrivateKeyDer<'static>, Flaw> {
    let text = read(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let has = |words: &[u8]| text.windows(words.len()).any(|bytes| bytes == words);
        let what = match error {
            pem::Error::NoItemsFound if has(b"ENCRYPTED PRIVATE KEY") => {
                "the key is encrypted; write it without a passphrase by: openssl pkey".to_owned()
            }
            pem::Error::NoItemsFound if has(b"BEGIN CERTIFICATE") => {
                "holds a certificate and no private key".to_owned()
            }
            pem::Error::NoItemsFound => {
                "holds no private key: there is no line -----BEGIN PRIVATE KEY-----".to_owned()
            }
            error => torn(&error),
        };
        Flaw::new(file, what)
    })
}

fn torn(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "is cut off: a line -----END …----- is missing".to_owned(),
        error => format!("is damaged: {error}"),
    }
}

/// What a file holds; it may be a secret.
fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let bytes = content(file).map_err(|error| {
        Flaw::new(
            file,
            match error.kind() {
                io::ErrorKind::NotFound => "there is no such file".to_owned(),
                io::ErrorKind::PermissionDenied => {
                    "cannot be read by the user that runs this: permission denied".to_owned()
                }
                io::ErrorKind::IsADirectory => "is a folder".to_owned(),
                io::ErrorKind::InvalidInput => "is no regular file".to_owned(),
                _ => format!("cannot be read: {error}"),
            },
        )
    })?;
    match bytes.len() {
        0 => Err(Flaw::new(file, "is empty")),
        length if length as u64 > MAX => Err(Flaw::new(file, "is larger than 4 MiB")),
        _ => Ok(bytes),
    }
}

fn content(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let metadata = std::fs::metadata(file)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // Whoever opened a pipe would wait for its writer.
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(file)?.take(MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
