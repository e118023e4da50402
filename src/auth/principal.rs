//! Whom a credential speaks for: facts only, never a verdict on a request.

use std::net::IpAddr;

use ipnet::IpNet;

use super::scope::ScopeSet;
use crate::clock::Timestamp;

/// How a principal proved itself; `X-Auth-Method` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A key issued here.
    ApiKey,
}

impl Method {
    /// The wire name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
        }
    }
}

/// What a valid credential says about its holder.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The account; requests count against it as a whole.
    pub account: Box<str>,
    /// The credential itself, by id.
    pub credential: Box<str>,
    /// The application that holds the credential, if one does.
    pub client: Option<Box<str>>,
    /// What it may do, already cut down to what its account may have.
    pub scopes: ScopeSet,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How it was proved.
    pub method: Method,
    /// Networks it may be used from; empty means from anywhere.
    pub allowed_addresses: Box<[IpNet]>,
}

impl Principal {
    /// Whether the credential may be used from `address`. An IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed_addresses.is_empty() || self.allowed_addresses.iter().any(|net| net.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(nets: &[&str]) -> Principal {
        Principal {
            account: "a".into(),
            credential: "c".into(),
            client: None,
            scopes: ScopeSet::default(),
            expires_at: Timestamp(0),
            method: Method::ApiKey,
            allowed_addresses: nets.iter().map(|net| net.parse().unwrap()).collect(),
        }
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
