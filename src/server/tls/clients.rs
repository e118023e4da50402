//! Clients that prove who they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::CertificateRevocationListDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::files::{self, Flaw};
use super::provider;
use crate::clock::Timestamp;

/// Whom clients have to be certified by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// The authorities.
    pub ca_file: PathBuf,
    /// What they revoked. With any, each authority of a chain needs one.
    pub crl_files: Vec<PathBuf>,
    /// Whether they may come without a certificate.
    pub presence: Presence,
}

/// Whether a client may come without a certificate. One that is shown has to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It may not.
    Required,
    /// It may.
    Optional,
}

/// A list of what an authority revoked.
#[derive(Clone, Debug)]
pub struct Revocations {
    file: PathBuf,
    /// When the next is due; after that it counts as unknown what is revoked, and nobody is let in.
    next: Option<Timestamp>,
}

impl Revocations {
    /// What is probably not meant so, at `now`.
    pub(super) fn notice(&self, now: Timestamp) -> Option<String> {
        let next = self.next.filter(|next| *next <= now)?;
        let file = self.file.display();
        Some(format!("{file}: the list of revocations was good until {next}; every client is refused"))
    }
}

/// What clients are verified by.
#[derive(Clone, Debug)]
pub(super) struct Belief {
    pub verifier: Arc<dyn ClientCertVerifier>,
    /// Of the authorities and their lists.
    made_of: [u8; 32],
    /// When the first of the lists is out of date.
    pub until: Option<Timestamp>,
}

impl PartialEq for Belief {
    /// Whether both were made of the same.
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

/// Reads the files.
pub(super) fn verifier(clients: &Clients) -> Result<(Belief, Vec<Revocations>), Flaw> {
    let mut made_of = Context::new(&SHA256);
    let roots = files::roots(&clients.ca_file, |root| made_of.update(root))?;
    let (mut lists, mut known) = (Vec::new(), Vec::new());
    for file in &clients.crl_files {
        for list in files::revocations(file)? {
            made_of.update(&list);
            known.push(Revocations { file: file.clone(), next: next(file, &list)? });
            lists.push(list);
        }
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .with_crls(lists)
        .enforce_revocation_expiration();
    let verifier = match clients.presence {
        Presence::Required => verifier,
        Presence::Optional => verifier.allow_unauthenticated(),
    };
    let verifier = verifier
        .build()
        .map_err(|error| Flaw::new(&clients.ca_file, format!("clients cannot be verified by it: {error}")))?;
    let mut digest = [0; 32];
    digest.copy_from_slice(made_of.finish().as_ref());
    let until = known.iter().filter_map(|list| list.next).min();
    Ok((Belief { verifier, made_of: digest, until }, known))
}

fn next(file: &Path, list: &CertificateRevocationListDer<'_>) -> Result<Option<Timestamp>, Flaw> {
    let (_, list) = CertificateRevocationList::from_der(list)
        .map_err(|_| Flaw::new(file, "holds a list of revocations that cannot be read"))?;
    Ok(list.next_update().map(|next| Timestamp(next.timestamp().saturating_mul(1000))))
}
