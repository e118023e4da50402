//! `scopes`: the catalogue.

use crate::auth::scope::Scope;
use crate::config::CatalogueScope;
use crate::config::kind::text::{ScopeName, Words};
use crate::config::kind::words::Switch;
use crate::config::read::Placed;
use crate::config::section::Section;

/// The catalogue, in file order.
pub(super) fn scopes(s: &mut Section<'_>) -> Vec<Placed<CatalogueScope>> {
    let comment = "Every scope there is; routes, accounts and keys can have no other.";
    let read = s.map("scopes", &ScopeName, "orders:read", comment, |s| {
        let description = s.value(
            "description",
            &Words::Description,
            String::new(),
            "What it permits, in words for people.",
        );
        let default = s.value("default", &Switch, false, "Whether accounts have it without being given it.");
        (description.value, default.value)
    });
    let entry = |(scope, (description, default)): (Placed<Scope>, _)| Placed {
        value: CatalogueScope { scope: scope.value, description, default },
        at: scope.at,
        written: scope.written,
        given: true,
    };
    read.into_iter().map(entry).collect()
}
