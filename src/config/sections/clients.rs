//! Under `tls` of a listener: whether clients show certificates, and whom those stand for.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::auth::certificate::Name;
use crate::config::describe::Turn;
use crate::config::kind::certificate::{AccountName, CertificateName};
use crate::config::kind::text::File;
use crate::config::kind::words::Words;
use crate::config::problem::Problem;
use crate::config::read::{Placed, shown};
use crate::config::section::Section;
use crate::config::source::Span;
use crate::config::{ClientAccount, ClientAuth, Listener};

const AUTH: Words<ClientAuth> =
    Words(&[("required", ClientAuth::Required), ("optional", ClientAuth::Optional)]);

/// What a listener says of its clients' certificates.
pub(super) struct Clients {
    pub ca_file: Option<PathBuf>,
    pub auth: ClientAuth,
    pub crl_files: Vec<PathBuf>,
    pub accounts: Vec<ClientAccount>,
}

/// Reads it.
pub(super) fn read(s: &mut Section<'_>) -> Clients {
    let comment = "Clients show a certificate of these authorities, as PEM; absent = none is asked.";
    let ca_file = s.optional("client_ca_file", &File, "tls/clients-ca.pem", comment);
    let comment = "required, or optional: a client may come without one. One that is shown has to be good.";
    let auth = s.value("client_auth", &AUTH, ClientAuth::Required, comment);
    let comment = "What these authorities revoked, as PEM: one list of each, or no file at all.";
    let crl_files = s.scalars("crl_files", &File, comment);
    let comment = "Which accounts these certificates stand for, on routes with `certificate: true`.";
    let accounts: Vec<_> = s.absent_sections("client_accounts", comment, account).into_iter().collect();
    if ca_file.is_none() {
        let auth = auth.given.then_some((auth.at, "client_auth"));
        let crl_files = crl_files.first().map(|list| (list.at, "crl_files"));
        let accounts = accounts.first().map(|(at, _)| (*at, "client_accounts"));
        auth.into_iter().chain(crl_files).chain(accounts).for_each(|of_no_use| without_ca(s, of_no_use));
    }
    let accounts: Vec<_> = accounts.into_iter().filter_map(|(_, account)| account).collect();
    distinct(s, &accounts);
    Clients {
        ca_file: ca_file.map(|file| file.value),
        auth: auth.value,
        crl_files: crl_files.into_iter().map(|file| file.value).collect(),
        accounts: accounts.into_iter().map(|(_, account)| account).collect(),
    }
}

/// Whether names in certificates stand for accounts on this listener.
pub(super) fn stand_for_accounts(listener: &Placed<Listener>) -> bool {
    listener.value.tls.as_ref().is_some_and(|tls| !tls.client_accounts.is_empty())
}

fn without_ca(s: &Section<'_>, (at, key): (Span, &str)) {
    let message = match key {
        "crl_files" => "there is no client whose certificate could be revoked".to_owned(),
        key => format!("`{key}` is of no use where no client is asked for a certificate"),
    };
    let expected = format!("`client_ca_file` beside it, or no `{key}`");
    s.tell(Problem::error(at, message).expected(expected));
}

/// Where a name is written, and how.
type Written = (Span, String);

fn account(s: &mut Section<'_>) -> (Span, Option<(Written, ClientAccount)>) {
    let mut name = |turn, kind, key, example, comment| s.alternative(turn, key, &kind, example, comment);
    let comment = "This URI is in its subjectAltName, as it is.";
    let uri = name(Turn::First, CertificateName::Uri, "uri", "spiffe://example.com/billing", comment);
    let comment = "This DNS name is there; no wildcard.";
    let dns = name(Turn::Later, CertificateName::Dns, "dns", "billing.example.com", comment);
    let comment = "This e-mail address is there.";
    let email = name(Turn::Later, CertificateName::Email, "email", "billing@example.com", comment);
    let comment = "This is its subject's commonName, where it has no subjectAltName.";
    let common = name(Turn::Later, CertificateName::CommonName, "common_name", "billing", comment);
    let comment = "This is its SHA-256, in hexadecimal.";
    let sha256 = name(Turn::Later, CertificateName::Sha256, "sha256", EXAMPLE_DIGEST, comment);
    let keys = ["uri", "dns", "email", "common_name", "sha256"];
    s.exactly_one(&keys, "one of uri, dns, email, common_name or sha256: the name that is looked for");
    let comment = "The account that it stands for: its e-mail address or its id.";
    let account = s.required("account", &AccountName, "billing@example.com", comment);
    let name = uri.or(dns).or(email).or(common).or(sha256);
    let whole = name.zip(account).map(|(name, account)| {
        ((name.at, name.written), ClientAccount { name: name.value, account: account.value })
    });
    (s.at(), whole)
}

const EXAMPLE_DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Tells which names are there twice: nobody could tell whom they stand for.
fn distinct(s: &Section<'_>, accounts: &[(Written, ClientAccount)]) {
    let mut seen: HashMap<&Name, Span> = HashMap::new();
    for ((at, written), account) in accounts {
        if let Some(first) = seen.get(&account.name) {
            let message = format!("two of `client_accounts` have the name `{}`", shown(written));
            let problem = Problem::error(*at, message).label("again here").and(*first, "first here");
            s.tell(problem.expected("one account for each name"));
        } else {
            seen.insert(&account.name, *at);
        }
    }
}
