//! Who may use which endpoint.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Asked;
use crate::auth::principal::{ACCOUNT, Principal, Wanted};
use crate::auth::refusal::{BodyFault, MemberFault, Refusal};
use crate::auth::scope::Scope;
use crate::clock::Timestamp;
use crate::store::{Key, Origin};

/// Who acts: an account, through a credential that may act for it.
pub(super) struct Owner<'a> {
    pub(super) account: &'a str,
    pub(super) principal: &'a Principal,
}

/// A key as it will be, all of it: what it has already gives what is added its reach.
pub(super) struct Gift {
    pub(super) scopes: Vec<String>,
    /// The key that has the scopes already; `None` = they are asked for now.
    pub(super) holder: Option<String>,
    /// None of them is anywhere.
    pub(super) networks: Vec<String>,
    /// When it ends; `None` = when its maker ends, at the latest.
    pub(super) expires_at: Option<Timestamp>,
}

impl Gift {
    /// A key as it is, but that it ends with its maker.
    pub(super) fn like(key: &Key) -> Self {
        Self {
            scopes: key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            holder: Some(key.id.clone()),
            networks: key.allowed_addresses.iter().map(ToString::to_string).collect(),
            expires_at: None,
        }
    }
}

impl<'a> Owner<'a> {
    /// The caller, when the credential is a login's own or holds the scope for it: no credential can make a stronger one.
    pub(super) fn of(asked: Asked<'a>) -> Result<Self, Refusal> {
        let owner = Self::whoever(asked, Wanted::Account)?;
        if owner.principal.acts_for_its_account() { Ok(owner) } else { Err(refused()) }
    }

    /// The caller, when the credential is a login's own.
    pub(super) fn logged_in(asked: Asked<'a>) -> Result<Self, Refusal> {
        let owner = Self::whoever(asked, Wanted::Login)?;
        let of = owner.principal.method;
        if owner.principal.is_logged_in() { Ok(owner) } else { Err(Refusal::NoSession { of }) }
    }

    /// Whether it may make a key like this: who logged in may give all that the account has, any other credential nothing
    /// that it has not itself, nor for longer. What is asked for and nobody knows is told later; what another key has and
    /// nobody knows may be known again.
    pub(super) fn may_give(&self, asked: Asked<'_>, gift: &Gift) -> Result<(), Refusal> {
        let Some(latest) = self.latest() else { return Ok(()) };
        let is_of_another =
            gift.holder.as_ref().is_some_and(|holder| *holder != self.principal.identity.credential());
        let counts = |scope: &&String| is_of_another || asked.terms.knows(scope);
        let beyond =
            gift.scopes.iter().filter(counts).filter(|scope| {
                Scope::parse(scope).is_some_and(|scope| !self.principal.scopes.contains(&scope))
            });
        let beyond: Vec<&str> = beyond.map(String::as_str).collect();
        if !beyond.is_empty() {
            return Err(Refusal::InsufficientScope { required: beyond.join(" ").into() });
        }
        if !self.is_within(&gift.networks) {
            return Err(too_far());
        }
        if gift.expires_at.is_some_and(|at| at > latest) { Err(too_long(latest)) } else { Ok(()) }
    }

    /// When what it makes ends at the latest; `None` where a login's own credential sets no end.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        (!self.principal.is_logged_in()).then_some(self.principal.expires_at)
    }

    fn is_within(&self, networks: &[String]) -> bool {
        let own = &self.principal.allowed_addresses;
        let inside = |network: IpNet| own.iter().any(|own| own.contains(&network));
        own.is_empty() || !networks.is_empty() && networks.iter().filter_map(|text| network(text)).all(inside)
    }

    fn whoever(asked: Asked<'a>, wanted: Wanted) -> Result<Self, Refusal> {
        let caller = asked.call.caller.as_ref().map_err(Clone::clone)?;
        let principal = caller.as_ref().ok_or(Refusal::NobodyAsks(wanted))?;
        if !principal.allows(asked.call.client) {
            return Err(Refusal::AddressNotAllowed { client: asked.call.client });
        }
        Ok(Self { account: principal.identity.account(), principal })
    }

    /// For the audit log. A credential that acts for its account is named: it can be ended alone.
    pub(super) fn origin(&self, asked: Asked<'_>) -> Origin {
        let client = asked.call.client;
        let via = match self.principal.is_logged_in() {
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
    wrong("/allowed_addresses", detail.to_owned())
}

fn too_long(latest: Timestamp) -> Refusal {
    let detail = format!("A key made with an API key ends with that key at the latest: at {latest}.");
    wrong("/expires_at", detail)
}

fn wrong(pointer: &str, detail: String) -> Refusal {
    let fault = MemberFault { pointer: pointer.to_owned(), detail };
    Refusal::Body(Arc::new(BodyFault::Members(vec![fault])))
}

fn refused() -> Refusal {
    Refusal::InsufficientScope { required: Arc::from(ACCOUNT) }
}
