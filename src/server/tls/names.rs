//! Which certificate a client is shown: by the name it asks for (RFC 6066 §3), exact before wildcard, else the first.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// One name can have several, of different kinds of keys.
type Candidates = Vec<Arc<CertifiedKey>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Names {
    exact: HashMap<Box<str>, Candidates>,
    /// By what follows `*.`: a wildcard stands for one label (RFC 9525 §6.3).
    wildcard: HashMap<Box<str>, Candidates>,
    all: Candidates,
}

impl Names {
    pub(super) fn new(certificates: &[Certificate]) -> Self {
        let mut names = Self::default();
        for certificate in certificates {
            names.all.push(Arc::clone(&certificate.key));
            for name in &certificate.names {
                let (table, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut names.wildcard, parent),
                    None => (&mut names.exact, &**name),
                };
                table.entry(name.into()).or_default().push(Arc::clone(&certificate.key));
            }
        }
        names
    }

    fn candidates(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let Some(name) = name.map(str::to_ascii_lowercase) else { return &self.all };
        let parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        self.exact.get(&*name).or_else(parent).unwrap_or(&self.all)
    }

    /// The first whose key the client can judge.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let candidates = self.candidates(name);
        let fits = |candidate: &&Arc<CertifiedKey>| candidate.key.choose_scheme(schemes).is_some();
        candidates.iter().find(fits).or(candidates.first()).cloned()
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}
