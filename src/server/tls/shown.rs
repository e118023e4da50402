//! What a client showed of itself: read once, and verified again whenever the authorities or their lists are loaded anew.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME as SUBJECT_ALT_NAME;
use x509_parser::prelude::FromDer as _;

use super::{Current, Tls};
use crate::auth::certificate::{self, Certificate, Name, Standing};
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;

/// The certificate of a connection's client, found good by its handshake.
#[derive(Debug)]
pub struct Shown {
    certificate: Certificate,
    /// It, and what leads to its authority.
    chain: Box<[CertificateDer<'static>]>,
    tls: Arc<Tls>,
    /// What it was verified by last, and what came of it.
    judged: Cell<(u64, Standing)>,
}

impl Shown {
    /// Reads what was shown under `current` of `tls`; `None` where it cannot be read.
    pub(in crate::server) fn read(
        tls: &Arc<Tls>,
        current: &Current,
        chain: &[CertificateDer<'static>],
    ) -> Option<Self> {
        Some(Self {
            certificate: read(&tls.listener, chain.first()?)?,
            chain: chain.into(),
            tls: Arc::clone(tls),
            judged: Cell::new((current.generation, Standing::Good)),
        })
    }

    /// How it stands by the authorities and lists in force. Costs a signature check or two after they were loaded anew, and
    /// one comparison else.
    #[must_use]
    pub fn now(&self, now: Timestamp) -> certificate::Shown<'_> {
        let current = self.tls.current.load();
        if self.judged.get().0 != current.generation {
            self.judged.set((current.generation, self.verify(&current, now)));
        }
        certificate::Shown { certificate: &self.certificate, standing: self.judged.get().1 }
    }

    fn verify(&self, current: &Current, now: Timestamp) -> Standing {
        // Its own end is told otherwise: as that, and not as a loss of belief.
        let last = Timestamp(self.certificate.ends.0.saturating_sub(1));
        let time = Duration::from_millis(u64::try_from(now.min(last).millis()).unwrap_or_default());
        let verified = match (&current.clients, self.chain.split_first()) {
            (Some(clients), Some((own, others))) => {
                clients.verify_client_cert(own, others, UnixTime::since_unix_epoch(time)).is_ok()
            }
            _ => false,
        };
        if verified { Standing::Good } else { Standing::Lost }
    }
}

fn read(listener: &Arc<str>, der: &[u8]) -> Option<Certificate> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let fingerprint = HashedToken::of(der);
    let seconds = |time: i64| Timestamp(time.saturating_mul(1000));
    let mut names = names(&parsed);
    names.push(Name::Sha256(fingerprint));
    Some(Certificate {
        listener: Arc::clone(listener),
        names: names.into(),
        fingerprint,
        begins: seconds(parsed.validity().not_before.timestamp()),
        ends: seconds(parsed.validity().not_after.timestamp()),
    })
}

/// The names in subjectAltName; where there is none at all, what the subject is called (RFC 6125 §6.4.4).
fn names(parsed: &X509Certificate<'_>) -> Vec<Name> {
    let alternatives = parsed.extensions().iter().filter(|extension| extension.oid == SUBJECT_ALT_NAME);
    let mut alternatives = alternatives.peekable();
    if alternatives.peek().is_none() {
        let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        return common.map(|name| Name::CommonName(name.into())).collect();
    }
    let read = alternatives.filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    read.flatten().filter_map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<Name> {
    match name {
        GeneralName::URI(uri) => Some(Name::Uri((*uri).into())),
        GeneralName::DNSName(name) => Some(Name::dns(name)),
        GeneralName::RFC822Name(address) => Some(Name::email(address)),
        _ => None,
    }
}
