//! The catalogue of scopes: which there are, and which an account may have without being given them.

use super::scope::{Scope, ScopeSet};

/// The catalogue as sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    known: ScopeSet,
    defaults: ScopeSet,
}

impl Catalogue {
    /// A catalogue of `known` scopes, of which accounts have the `defaults` when they were given nothing else.
    #[must_use]
    pub const fn new(known: ScopeSet, defaults: ScopeSet) -> Self {
        Self { known, defaults }
    }

    /// Every scope there is.
    #[must_use]
    pub const fn known(&self) -> &ScopeSet {
        &self.known
    }

    /// Reads scopes that must all be in the catalogue.
    ///
    /// # Errors
    /// Those that are not.
    pub fn read(&self, asked: &[String]) -> Result<ScopeSet, Vec<String>> {
        let mut unknown = Vec::new();
        let mut scopes = Vec::new();
        for text in asked {
            match Scope::parse(text).filter(|scope| self.known.contains(scope)) {
                Some(scope) => scopes.push(scope),
                None => unknown.push(text.clone()),
            }
        }
        if unknown.is_empty() { Ok(scopes.into_iter().collect()) } else { Err(unknown) }
    }

    /// What credentials of an account may have: what it was given, or the defaults.
    #[must_use]
    pub fn grantable<'a>(&'a self, given: Option<&'a ScopeSet>) -> &'a ScopeSet {
        given.unwrap_or(&self.defaults)
    }

    /// What a credential may do now: what it was made with, within what its account may have and what there is.
    #[must_use]
    pub fn granted(&self, given: Option<&ScopeSet>, made_with: &ScopeSet) -> ScopeSet {
        // Text is shared with the catalogue, so that checking a scope finds it in the processor's cache.
        self.known.intersection(&self.grantable(given).intersection(made_with))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    #[test]
    fn an_account_has_what_it_was_given_or_the_defaults() {
        let catalogue = Catalogue::new(set("a b c"), set("a"));
        assert_eq!(catalogue.grantable(None), &set("a"));
        assert_eq!(catalogue.granted(None, &set("a b")), set("a"));
        assert_eq!(catalogue.granted(Some(&set("b gone")), &set("a b gone")), set("b"));
        assert_eq!(catalogue.granted(Some(&set("")), &set("a b")), set(""));
    }

    #[test]
    fn every_unknown_scope_is_named() {
        let catalogue = Catalogue::new(set("a b"), set(""));
        let asked = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(catalogue.read(&asked(&["b", "a", "b"])), Ok(set("a b")));
        assert_eq!(catalogue.read(&asked(&["a", "x", "", "A"])), Err(asked(&["x", "", "A"])));
    }
}
