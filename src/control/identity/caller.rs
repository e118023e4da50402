//! Who may use which endpoint.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Asked;
use crate::auth::jwt::access_token::FIRST_PARTY;
use crate::auth::principal::{Method, Principal};
use crate::auth::refusal::{BodyFault, MemberFault, Refusal};
use crate::auth::scope::Scope;
use crate::store::Origin;

/// The scope that lets an API key or an application's token act for its account; consent cannot give it.
const ACCOUNT: &str = "keyward:account";

/// Who acts: an account, through a credential that may act for it.
pub(super) struct Owner<'a> {
    pub(super) account: &'a str,
    pub(super) principal: &'a Principal,
}

/// What a key is to have; `None` = what it has already.
#[derive(Clone, Copy)]
pub(super) struct Gift<'a> {
    pub(super) scopes: Option<&'a [String]>,
    /// None in the list is anywhere.
    pub(super) networks: Option<&'a [String]>,
}

impl<'a> Owner<'a> {
    /// The caller, when the credential is a login's own or holds the scope for it: no credential can make a stronger one.
    pub(super) fn of(asked: Asked<'a>) -> Result<Self, Refusal> {
        let owner = Self::whoever(asked)?;
        let mut scopes = owner.principal.identity.scopes().split(' ');
        if owner.is_logged_in() || scopes.any(|scope| scope == ACCOUNT) { Ok(owner) } else { Err(refused()) }
    }

    /// The caller, when the credential is a login's own.
    pub(super) fn logged_in(asked: Asked<'a>) -> Result<Self, Refusal> {
        let owner = Self::whoever(asked)?;
        if owner.is_logged_in() { Ok(owner) } else { Err(refused()) }
    }

    /// Whether it may give this to a key: who logged in may give all that the account has, any other credential nothing
    /// that it has not itself. What nobody knows is told later.
    pub(super) fn may_give(&self, asked: Asked<'_>, gift: Gift<'_>) -> Result<(), Refusal> {
        if self.is_logged_in() {
            return Ok(());
        }
        let scopes = gift.scopes.unwrap_or_default().iter();
        let known = scopes.filter(|scope| asked.terms.knows(scope));
        let beyond = known
            .filter(|scope| Scope::parse(scope).is_some_and(|scope| !self.principal.scopes.contains(&scope)));
        let beyond: Vec<&str> = beyond.map(String::as_str).collect();
        if !beyond.is_empty() {
            return Err(Refusal::InsufficientScope { required: beyond.join(" ").into() });
        }
        if gift.networks.is_some_and(|networks| !self.is_within(networks)) { Err(too_far()) } else { Ok(()) }
    }

    fn is_within(&self, networks: &[String]) -> bool {
        let own = &self.principal.allowed_addresses;
        let inside = |network: IpNet| own.iter().any(|own| own.contains(&network));
        own.is_empty() || !networks.is_empty() && networks.iter().filter_map(|text| network(text)).all(inside)
    }

    fn whoever(asked: Asked<'a>) -> Result<Self, Refusal> {
        let caller = asked.call.caller.as_ref().map_err(Clone::clone)?;
        let principal = caller.as_ref().ok_or(Refusal::MissingCredentials { scheme: None })?;
        if !principal.allows(asked.call.client) {
            return Err(Refusal::AddressNotAllowed);
        }
        Ok(Self { account: principal.identity.account(), principal })
    }

    fn is_logged_in(&self) -> bool {
        let identity = &self.principal.identity;
        self.principal.method == Method::AccessToken && identity.client() == Some(FIRST_PARTY)
    }

    /// For the audit log. A credential that acts for its account is named: it can be ended alone.
    pub(super) fn origin(&self, asked: Asked<'_>) -> Origin {
        let client = asked.call.client;
        let via = match self.is_logged_in() {
            true => format!("api {client}"),
            false => format!("api {client}, credential {}", self.principal.identity.credential()),
        };
        Origin { actor: self.account.to_owned(), via }
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn too_far() -> Refusal {
    let detail =
        "A key made with an API key may be used only from where that key may be used. List such networks.";
    let fault = MemberFault { pointer: "/allowed_addresses".to_owned(), detail: detail.to_owned() };
    Refusal::Body(Arc::new(BodyFault::Members(vec![fault])))
}

fn refused() -> Refusal {
    Refusal::InsufficientScope { required: Arc::from(ACCOUNT) }
}
