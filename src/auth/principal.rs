//! Whom a credential speaks for: facts only, never a verdict on a request.

use std::net::IpAddr;

use ipnet::IpNet;

use super::jwt::access_token::FIRST_PARTY;
use super::scope::ScopeSet;
use crate::clock::Timestamp;

/// The scope that lets an API key or an application's token act for its account; consent cannot give it.
pub const ACCOUNT: &str = "keyward:account";

/// How a principal proved itself; `X-Auth-Method` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A key issued here.
    ApiKey,
    /// An access token issued here.
    AccessToken,
    /// The certificate of a connection's client.
    Certificate,
}

impl Method {
    /// The wire name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::AccessToken => "access_token",
            Self::Certificate => "certificate",
        }
    }

    /// What people call the credential.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::ApiKey => "API key",
            Self::AccessToken => "access token",
            Self::Certificate => "client certificate",
        }
    }

    /// How to get another one.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::ApiKey => "Generate a new one.",
            Self::AccessToken => "Refresh it, or log in again.",
            Self::Certificate => "Connect with a new one.",
        }
    }
}

/// Which credentials act for their account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The access token of a login alone.
    Login,
    /// That, or a credential with the scope for it.
    Account,
}

impl Wanted {
    /// What to do where there is none, for the client.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Login => {
                "Send the access token of the login that is to end: Authorization: Bearer ACCESS_TOKEN"
            }
            Self::Account => {
                "Log in by POST /user/login and send the access token, or send an API key with the scope keyward:account: \
                 Authorization: Bearer ACCESS_TOKEN"
            }
        }
    }
}

/// Who a principal is, in words. One allocation, because every request reads all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    text: Box<str>,
    account_end: u16,
    credential_end: u16,
    client_end: u16,
}

impl Identity {
    /// Keeps the ids of the account, the credential and the application that holds it, and the scopes it has.
    #[must_use]
    pub fn new(account: &str, credential: &str, client: Option<&str>, scopes: &ScopeSet) -> Self {
        let parts = [account, credential, client.unwrap_or_default(), scopes.as_str()];
        let text = parts.concat().into_boxed_str();
        let end = |count: usize| {
            let length: usize = parts.iter().take(count).map(|part| part.len()).sum();
            u16::try_from(length).unwrap_or(u16::MAX)
        };
        Self { text, account_end: end(1), credential_end: end(2), client_end: end(3) }
    }

    /// The account; requests count against it as a whole.
    #[must_use]
    pub fn account(&self) -> &str {
        self.part(0, self.account_end)
    }

    /// The credential itself, by id.
    #[must_use]
    pub fn credential(&self) -> &str {
        self.part(self.account_end, self.credential_end)
    }

    /// The application that holds the credential, if one does.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        Some(self.part(self.credential_end, self.client_end)).filter(|client| !client.is_empty())
    }

    /// The scopes, parted by spaces.
    #[must_use]
    pub fn scopes(&self) -> &str {
        self.text.get(usize::from(self.client_end)..).unwrap_or_default()
    }

    fn part(&self, start: u16, end: u16) -> &str {
        self.text.get(usize::from(start)..usize::from(end)).unwrap_or_default()
    }
}

/// Networks that a credential may be used from.
#[derive(Clone, Debug, Default)]
pub struct Networks(Option<Box<[IpNet]>>);

impl FromIterator<IpNet> for Networks {
    /// None of them means from anywhere.
    fn from_iter<I: IntoIterator<Item = IpNet>>(nets: I) -> Self {
        let nets: Box<[IpNet]> = nets.into_iter().collect();
        Self((!nets.is_empty()).then_some(nets))
    }
}

impl Networks {
    /// Whether it may be used from anywhere.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter().flatten()
    }

    /// Whether `address` is in one of them. An IPv4-mapped IPv6 address counts as IPv4.
    fn have(&self, address: IpAddr) -> bool {
        let Some(nets) = &self.0 else { return true };
        let address = address.to_canonical();
        nets.iter().any(|net| net.contains(&address))
    }
}

/// What a valid credential says about its holder. What every request reads comes first, so that it lies on few cache
/// lines.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Principal {
    /// Who it is, in the words that upstreams and logs are told.
    pub identity: Identity,
    /// Networks it may be used from.
    pub allowed_addresses: Networks,
    /// What it may do, already cut down to what its account may have.
    pub scopes: ScopeSet,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How it was proved.
    pub method: Method,
}

impl Principal {
    /// Whether it has every scope of `required`. Most often it has exactly these, which one look tells.
    #[must_use]
    pub fn has(&self, required: &ScopeSet) -> bool {
        required.is_empty() || self.identity.scopes() == required.as_str() || self.scopes.covers(required)
    }

    /// Whether the credential is a login's own.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        self.method == Method::AccessToken && self.identity.client() == Some(FIRST_PARTY)
    }

    /// Whether it may see and change what is its account's: it is a login's own, or has the scope for it. A certificate has
    /// all scopes of its account, and was made for none of them.
    #[must_use]
    pub fn acts_for_its_account(&self) -> bool {
        let has_scope = || self.identity.scopes().split(' ').any(|scope| scope == ACCOUNT);
        self.is_logged_in() || self.method != Method::Certificate && has_scope()
    }

    /// Whether the credential may be used from `address`.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allowed_addresses.have(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(nets: &[&str]) -> Principal {
        Principal {
            identity: Identity::new("a", "c", None, &ScopeSet::default()),
            scopes: ScopeSet::default(),
            issued_at: Timestamp(0),
            expires_at: Timestamp(0),
            method: Method::ApiKey,
            allowed_addresses: nets.iter().map(|net| net.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn an_identity_gives_back_what_it_was_made_of() {
        let scopes = ScopeSet::parse("b a").unwrap();
        for client in [None, Some("app")] {
            let identity = Identity::new("acc", "key", client, &scopes);
            let told = (identity.account(), identity.credential(), identity.client(), identity.scopes());
            assert_eq!(told, ("acc", "key", client, "a b"));
        }
    }

    #[test]
    fn a_certificate_never_acts_for_its_account() {
        let scopes = ScopeSet::parse(ACCOUNT).unwrap();
        let with = |method| Principal {
            identity: Identity::new("a", "c", None, &scopes),
            scopes: scopes.clone(),
            method,
            ..principal(&[])
        };
        assert!(with(Method::ApiKey).acts_for_its_account());
        assert!(!with(Method::Certificate).acts_for_its_account());
    }

    #[test]
    fn address_rules_hold_for_mapped_addresses_too() {
        let office = principal(&["10.1.0.0/16", "2001:db8::/32"]);
        for (address, allowed) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(office.allows(address.parse().unwrap()), allowed, "{address}");
        }
        assert!(principal(&[]).allows("192.0.2.1".parse().unwrap()));
    }
}
