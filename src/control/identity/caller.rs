//! Who may use which endpoint.

use std::sync::Arc;

use super::Asked;
use crate::auth::jwt::access_token::FIRST_PARTY;
use crate::auth::principal::{Method, Principal};
use crate::auth::refusal::Refusal;
use crate::store::Origin;

/// The scope that lets an API key or an application's token act for its account; consent cannot give it.
const ACCOUNT: &str = "keyward:account";

/// Who acts: an account, through a credential that may act for it.
pub(super) struct Owner<'a> {
    pub(super) account: &'a str,
    pub(super) principal: &'a Principal,
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

    /// For the audit log.
    pub(super) fn origin(&self, asked: Asked<'_>) -> Origin {
        Origin { actor: self.account.to_owned(), via: format!("api {}", asked.call.client) }
    }
}

fn refused() -> Refusal {
    Refusal::InsufficientScope { required: Arc::from(ACCOUNT) }
}
