//! What a client showed of itself: read once, and verified again whenever the authorities or their lists are loaded anew.

use std::cell::RefCell;
use std::ops::Range;
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
    /// When the first of these ends that lead there.
    chain_ends: Option<Timestamp>,
    tls: Arc<Tls>,
    judged: RefCell<Judged>,
}

/// What came of it when it was verified last.
#[derive(Clone, Debug)]
struct Judged {
    /// By what.
    generation: u64,
    standing: Standing,
    /// From when to when that goes, if nothing is loaded anew before.
    goes: Range<Timestamp>,
}

const NEVER: Timestamp = Timestamp(i64::MAX);
/// No certificate has as many names for a good reason. One that has stands for nobody by them.
const MOST_NAMES: usize = 64;

impl Shown {
    /// Reads what was shown under `current` of `tls`; `None` where it cannot be read.
    pub(in crate::server) fn read(
        tls: &Arc<Tls>,
        current: &Current,
        chain: &[CertificateDer<'static>],
    ) -> Option<Self> {
        let (own, others) = chain.split_first()?;
        let ends = others.iter().map(|other| X509Certificate::from_der(other).map(|(_, other)| ends(&other)));
        let chain_ends = ends.collect::<Result<Vec<_>, _>>().ok()?.into_iter().min();
        let lists_end = current.clients.as_ref().and_then(|clients| clients.until);
        let until = lists_end.into_iter().chain(chain_ends).min().unwrap_or(NEVER);
        let goes = Timestamp(i64::MIN)..until;
        let judged = Judged { generation: current.generation, standing: Standing::Good, goes };
        Some(Self {
            certificate: read(&tls.listener, own)?,
            chain: chain.into(),
            chain_ends,
            tls: Arc::clone(tls),
            judged: RefCell::new(judged),
        })
    }

    /// How it stands by the authorities and lists in force. Costs a signature check or two after they were loaded anew
    /// and once something of it is out of date, and two comparisons else.
    #[must_use]
    pub fn now(&self, now: Timestamp) -> certificate::Shown<'_> {
        let current = self.tls.current.load();
        let mut judged = self.judged.borrow_mut();
        if judged.generation != current.generation || !judged.goes.contains(&now) {
            let lists_end = current.clients.as_ref().and_then(|clients| clients.until);
            let next = lists_end.into_iter().chain(self.chain_ends).filter(|end| *end > now).min();
            *judged = Judged {
                generation: current.generation,
                standing: self.verify(&current, now),
                goes: now..next.unwrap_or(NEVER),
            };
        }
        certificate::Shown { certificate: &self.certificate, standing: judged.standing }
    }

    fn verify(&self, current: &Current, now: Timestamp) -> Standing {
        // Its own end is told otherwise: as that, and not as a loss of belief.
        let last = Timestamp(self.certificate.ends.0.saturating_sub(1));
        let time = Duration::from_millis(u64::try_from(now.min(last).millis()).unwrap_or_default());
        let verified = match (&current.clients, self.chain.split_first()) {
            (Some(clients), Some((own, others))) => {
                clients.verifier.verify_client_cert(own, others, UnixTime::since_unix_epoch(time)).is_ok()
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
    let mut names = Some(names(&parsed)).filter(|names| names.len() <= MOST_NAMES).unwrap_or_default();
    names.push(Name::Sha256(fingerprint));
    Some(Certificate {
        listener: Arc::clone(listener),
        names: names.into(),
        fingerprint,
        begins: seconds(parsed.validity().not_before.timestamp()),
        ends: ends(&parsed),
    })
}

fn ends(parsed: &X509Certificate<'_>) -> Timestamp {
    Timestamp(parsed.validity().not_after.timestamp().saturating_mul(1000))
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
