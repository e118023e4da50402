//! The catalogue of scopes: which there are, and which an account may have without being given them.

use crate::auth::scope::{Scope, ScopeSet};
use crate::config::CatalogueScope;
use crate::store::Account;

use super::error::Problem;

/// The catalogue as sets.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    known: ScopeSet,
    defaults: ScopeSet,
}

impl Catalogue {
    /// The catalogue that a configuration lists.
    #[must_use]
    pub fn new(scopes: &[CatalogueScope]) -> Self {
        Self {
            known: scopes.iter().map(|entry| entry.scope.clone()).collect(),
            defaults: scopes.iter().filter(|entry| entry.default).map(|entry| entry.scope.clone()).collect(),
        }
    }

    /// What keys of `account` may have: its own set, or the defaults.
    #[must_use]
    pub fn grantable<'a>(&'a self, account: &'a Account) -> &'a ScopeSet {
        account.scopes.as_ref().unwrap_or(&self.defaults)
    }

    /// Reads scopes that must all be in the catalogue.
    pub(super) fn read(&self, asked: &[String]) -> Result<ScopeSet, Problem> {
        let mut unknown = Vec::new();
        let mut scopes = Vec::new();
        for text in asked {
            match Scope::parse(text).filter(|scope| self.known.contains(scope)) {
                Some(scope) => scopes.push(scope),
                None => unknown.push(text.clone()),
            }
        }
        if unknown.is_empty() {
            return Ok(scopes.into_iter().collect());
        }
        Err(Problem::UnknownScopes { unknown, known: self.known.clone() })
    }
}
