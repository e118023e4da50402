//! What accounts may have that were given nothing else.

use crate::auth::scope::ScopeSet;
use crate::config::CatalogueScope;
use crate::store::{Account, Key};

/// The scopes of the configuration, as far as validation needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    defaults: ScopeSet,
    known: ScopeSet,
}

impl Catalogue {
    /// The catalogue of a configuration.
    #[must_use]
    pub fn of(scopes: &[CatalogueScope]) -> Self {
        Self {
            defaults: scopes.iter().filter(|entry| entry.default).map(|entry| entry.scope.clone()).collect(),
            known: scopes.iter().map(|entry| entry.scope.clone()).collect(),
        }
    }

    /// What `key` may do: what it was made with, within what `account` may have now.
    pub(super) fn granted(&self, account: &Account, key: &Key) -> ScopeSet {
        let grantable = account.scopes.as_ref().unwrap_or(&self.defaults);
        let granted = grantable.intersection(&key.scopes);
        // Text is shared with the catalogue, so that checking a scope finds it in the processor's cache.
        let shared = self.known.intersection(&granted);
        shared.iter().chain(granted.without(&shared).iter()).cloned().collect()
    }
}
