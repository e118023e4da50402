//! What a client's certificate says of its holder, and which account its names stand for. Whoever reads certificates
//! fills it in: nothing here knows of their encoding.

use std::collections::HashMap;
use std::sync::Arc;

use super::token::HashedToken;
use super::unicode::folded;
use crate::clock::Timestamp;

/// A name in a certificate, in the one form in which it is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// A URI in subjectAltName, as it is.
    Uri(Box<str>),
    /// A DNS name there, in lower case.
    Dns(Box<str>),
    /// An e-mail address there, its host in lower case.
    Email(Box<str>),
    /// The subject's commonName, as it is.
    CommonName(Box<str>),
    /// SHA-256 of the certificate.
    Sha256(HashedToken),
}

impl Name {
    /// A DNS name.
    #[must_use]
    pub fn dns(name: &str) -> Self {
        Self::Dns(name.to_ascii_lowercase().into())
    }

    /// An e-mail address; what stands before its last `@` is its host's own matter (RFC 5280 §7.5).
    #[must_use]
    pub fn email(address: &str) -> Self {
        Self::Email(match address.rsplit_once('@') {
            Some((local, host)) => format!("{local}@{}", host.to_ascii_lowercase()).into(),
            None => address.into(),
        })
    }
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The listener it was shown to, by name: each says itself whom names stand for.
    pub listener: Arc<str>,
    /// Its names, the fingerprint among them.
    pub names: Box<[Name]>,
    /// SHA-256 of it.
    pub fingerprint: HashedToken,
    /// When it begins.
    pub begins: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
}

impl Certificate {
    /// What it is called in logs: its fingerprint, which is no secret.
    #[must_use]
    pub fn id(&self) -> String {
        self.fingerprint.hex()
    }

    /// That it stands for `account`.
    #[must_use]
    pub fn claim(&self, account: &Arc<str>) -> Claim {
        let account = Arc::clone(account);
        Claim { account, fingerprint: self.fingerprint, begins: self.begins, ends: self.ends }
    }
}

/// That a certificate stands for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The account as the configuration names it: an e-mail address or an id.
    pub account: Arc<str>,
    /// SHA-256 of the certificate.
    pub fingerprint: HashedToken,
    /// When the certificate begins.
    pub begins: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
}

/// No credential has a byte like its first, so nothing that a request can carry has the digest of a claim.
const LABEL: &[u8] = b"\0keyward: a client certificate, and its account\0";

impl Claim {
    /// By what it is cached: another certificate, or another account, has another.
    #[must_use]
    pub fn digest(&self) -> HashedToken {
        HashedToken::of(&[LABEL, self.fingerprint.as_bytes(), self.account.as_bytes()].concat())
    }
}

/// A certificate that a connection's client showed, as it stands now.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// What it says.
    pub certificate: &'a Certificate,
    /// Whether it is still believed.
    pub standing: Standing,
}

/// Whether a certificate is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// By the authorities and lists in force.
    Good,
    /// It was when its connection began; by those in force now it is not.
    Lost,
}

/// Whom a certificate stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandsFor<'a> {
    /// No name in it is known.
    Nobody,
    /// Its names are of different accounts.
    Several,
    /// This account, as the configuration names it.
    Account(&'a Arc<str>),
}

/// Which accounts the names in certificates stand for, on each listener.
#[derive(Clone, Debug, Default)]
pub struct Accounts(HashMap<Arc<str>, HashMap<Name, Arc<str>>>);

impl Accounts {
    /// On `listener`, `name` stands for `account`.
    pub fn add(&mut self, listener: &Arc<str>, name: Name, account: &Arc<str>) {
        self.0.entry(Arc::clone(listener)).or_default().insert(name, Arc::clone(account));
    }

    /// Whom `certificate` stands for.
    #[must_use]
    pub fn of(&self, certificate: &Certificate) -> StandsFor<'_> {
        let Some(known) = self.0.get(&certificate.listener) else { return StandsFor::Nobody };
        let mut found = certificate.names.iter().filter_map(|name| known.get(name));
        let Some(first) = found.next() else { return StandsFor::Nobody };
        match found.all(|other| is_same(first, other)) {
            true => StandsFor::Account(first),
            false => StandsFor::Several,
        }
    }
}

fn is_same(account: &str, other: &str) -> bool {
    account == other || folded(account) == folded(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(listener: &str, names: &[Name]) -> Certificate {
        Certificate {
            listener: listener.into(),
            names: names.into(),
            fingerprint: HashedToken::of(b"certificate"),
            begins: Timestamp(0),
            ends: Timestamp(1),
        }
    }

    fn uri(name: &str) -> Name {
        Name::Uri(name.into())
    }

    #[test]
    fn names_match_whole_on_their_own_listener() {
        let mut accounts = Accounts::default();
        let (public, ann, ben) = (Arc::from("public"), Arc::from("ann@a.test"), Arc::from("ben@a.test"));
        for (name, account) in [
            (uri("spiffe://a/ann"), &ann),
            (Name::dns("Ann.Example"), &ann),
            (Name::email("Ann@A.test"), &Arc::from("ANN@a.test")),
            (Name::CommonName("ben".into()), &ben),
        ] {
            accounts.add(&public, name, account);
        }
        let of = |names: &[Name]| accounts.of(&certificate("public", names));
        for names in [
            &[uri("spiffe://a/ann")][..],
            &[Name::dns("ANN.example")],
            &[uri("x"), Name::dns("ann.example"), uri("spiffe://a/ann"), Name::email("Ann@a.TEST")],
        ] {
            assert!(matches!(of(names), StandsFor::Account(account) if **account == *ann), "{names:?}");
        }
        for names in [
            &[uri("spiffe://a/ANN")][..],
            &[uri("spiffe://a/ann/x")],
            &[Name::email("ann@a.test")],
            &[Name::dns("a.ann.example")],
            &[uri("ann.example")],
            &[Name::dns("ben")],
            &[],
        ] {
            assert_eq!(of(names), StandsFor::Nobody, "{names:?}");
        }
        let both = [Name::CommonName("ben".into()), uri("spiffe://a/ann")];
        assert_eq!(of(&both), StandsFor::Several);
        assert_eq!(accounts.of(&certificate("other", &both[1..])), StandsFor::Nobody);
    }

    #[test]
    fn every_certificate_and_account_has_a_digest_of_its_own() {
        let claim = |certificate: &[u8], account: &str| Claim {
            account: account.into(),
            fingerprint: HashedToken::of(certificate),
            begins: Timestamp(0),
            ends: Timestamp(1),
        };
        let digest = claim(b"a", "ann").digest();
        assert_eq!(digest, claim(b"a", "ann").digest());
        assert_ne!(digest, claim(b"a", "ben").digest());
        assert_ne!(digest, claim(b"b", "ann").digest());
        assert_ne!(digest, claim(b"a", "").digest());
        assert_ne!(digest, HashedToken::of(b"a"));
    }
}
