//! Scopes: what a credential may do, as RFC 6749 §3.3 writes them.

use std::fmt;
use std::sync::Arc;

/// One scope token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Visible ASCII without `"` and `\`, 1 to 128 characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let legal = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        ((1..=128).contains(&text.len()) && text.bytes().all(legal)).then(|| Self(text.into()))
    }

    /// The scope as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of scopes, sorted, with its wire form made once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet {
    sorted: Box<[Scope]>,
    joined: Box<str>,
}

impl ScopeSet {
    /// Reads scopes parted by spaces; `None` when one of them is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.split_ascii_whitespace().map(Scope::parse).collect()
    }

    /// Whether every scope of `required` is in this set.
    #[must_use]
    pub fn covers(&self, required: &Self) -> bool {
        let mut have = self.sorted.iter();
        required.sorted.iter().all(|want| have.any(|scope| scope == want))
    }

    /// The scopes that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.iter().filter(|scope| other.contains(scope)).cloned().collect()
    }

    /// The scopes of this set that `other` lacks.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.iter().filter(|scope| !other.contains(scope)).cloned().collect()
    }

    /// Whether `scope` is in the set.
    #[must_use]
    pub fn contains(&self, scope: &Scope) -> bool {
        self.sorted.binary_search(scope).is_ok()
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.sorted.iter()
    }

    /// Whether there is no scope at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The scopes parted by single spaces, in order: the form of headers, challenges and the store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.joined
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut sorted: Vec<Scope> = scopes.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let joined = sorted.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
        Self { sorted: sorted.into(), joined: joined.into() }
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    #[test]
    fn a_set_is_sorted_without_repeats() {
        assert_eq!(set("b a  b c").as_str(), "a b c");
        assert_eq!(set("").as_str(), "");
    }

    #[test]
    fn covering_needs_every_scope_whole() {
        let have = set("orders:read orders:write users:read");
        assert!(have.covers(&set("")));
        assert!(have.covers(&set("orders:read users:read")));
        assert!(!have.covers(&set("orders")));
        assert!(!have.covers(&set("orders:read zebra")));
        assert!(!set("").covers(&set("a")));
    }

    #[test]
    fn sets_intersect_and_differ() {
        assert_eq!(set("a b c").intersection(&set("b c d")).as_str(), "b c");
        assert_eq!(set("a b c").without(&set("b")).as_str(), "a c");
    }

    #[test]
    fn illegal_characters_are_no_scope() {
        for bad in ["", "a b", "a\"", "a\\", "é", "a\u{7f}", &"x".repeat(129)] {
            assert!(Scope::parse(bad).is_none(), "{bad:?}");
        }
    }
}
