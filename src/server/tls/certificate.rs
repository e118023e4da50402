//! One certificate with its key: whether they are fit to be used, and what is to be known of them.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::Error;
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::files::{self, Flaw};
use super::{Pair, provider};
use crate::clock::Timestamp;

/// So long before a certificate's end it is told of.
const SOON: Duration = Duration::from_hours(14 * 24);

/// A certificate that can be shown to clients.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Where it came from.
    pub file: PathBuf,
    /// Its end.
    pub expires: Timestamp,
    begins: Timestamp,
    /// Names of hosts, in lower case; a wildcard begins with `*.`.
    pub(super) names: Vec<Box<str>>,
    pub(super) key: Arc<CertifiedKey>,
    /// The key's file, where everybody on the machine can read it.
    exposed: Option<PathBuf>,
}

impl Certificate {
    /// Reads a pair of files.
    ///
    /// # Errors
    /// What is wrong with one of them, or that they do not belong together.
    pub(super) fn load(pair: &Pair) -> Result<Self, Flaw> {
        let chain = files::certificates(&pair.cert_file)?;
        let known = chain.first().map(|leaf| Known::of(&pair.cert_file, leaf));
        let known = known.unwrap_or_else(|| Err(Flaw::new(&pair.cert_file, "holds no certificate")))?;
        let key = files::key(&pair.key_file)?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| misfit(pair, &error))?;
        Ok(Self {
            file: pair.cert_file.clone(),
            expires: known.expires,
            begins: known.begins,
            names: known.names,
            key: Arc::new(key),
            exposed: is_exposed(&pair.key_file).then(|| pair.key_file.clone()),
        })
    }

    /// What is probably not meant so, at `now`.
    #[must_use]
    pub fn notices(&self, now: Timestamp) -> Vec<String> {
        let file = self.file.display();
        let nameless = self.names.is_empty().then(|| {
            format!("{file}: the certificate names no host in subjectAltName; most clients refuse it")
        });
        self.time_notice(now, "clients").into_iter().chain(nameless).chain(self.exposed_notice()).collect()
    }

    /// The same of one that is shown to servers.
    #[must_use]
    pub fn notices_to_servers(&self, now: Timestamp) -> Vec<String> {
        self.time_notice(now, "servers").into_iter().chain(self.exposed_notice()).collect()
    }

    /// Of when it is valid, which `others` judge it by.
    fn time_notice(&self, now: Timestamp, others: &str) -> Option<String> {
        let file = self.file.display();
        if self.expires <= now {
            Some(format!("{file}: the certificate expired on {}; {others} refuse it", self.expires))
        } else if self.begins > now {
            Some(format!("{file}: the certificate is not valid before {}; {others} refuse it", self.begins))
        } else {
            let soon = self.expires <= now.after(SOON);
            soon.then(|| format!("{file}: the certificate expires on {}", self.expires))
        }
    }

    fn exposed_notice(&self) -> Option<String> {
        let key = self.exposed.as_ref()?.display();
        Some(format!("{key}: everybody on this machine can read the private key; run: chmod o= {key}"))
    }
}

/// What a certificate says.
struct Known {
    begins: Timestamp,
    expires: Timestamp,
    names: Vec<Box<str>>,
}

impl Known {
    fn of(file: &Path, certificate: &[u8]) -> Result<Self, Flaw> {
        let unreadable = |_| Flaw::new(file, "the first certificate in it cannot be read");
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(unreadable)?;
        let seconds = |time: i64| Timestamp(time.saturating_mul(1000));
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|names| &names.value.general_names);
        let dns = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
            _ => None,
        });
        Ok(Self {
            begins: seconds(certificate.validity().not_before.timestamp()),
            expires: seconds(certificate.validity().not_after.timestamp()),
            names: dns.collect(),
        })
    }
}

pub(super) fn misfit(pair: &Pair, error: &Error) -> Flaw {
    let file = pair.cert_file.display();
    let what = match error {
        Error::InconsistentKeys(_) => format!(
            "this private key is not that of the certificate in {file}; if that file holds a chain, the certificate of \
             the server itself comes first"
        ),
        Error::InvalidCertificate(_) => {
            return Flaw::new(
                &pair.cert_file,
                format!("the first certificate in it cannot be used: {error}"),
            );
        }
        error => format!(
            "the private key cannot be used: {error}; use RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519"
        ),
    };
    Flaw::new(&pair.key_file, what)
}

fn is_exposed(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}
