//! Which of two routes demands more, for paths that can be read as either's.

use super::Rule;
use crate::auth::scope::ScopeSet;
use crate::config::Auth;

/// Whether a route wants what another does not. One that takes no certificates demands more than one that does: whoever has
/// one has to send a credential there.
pub(super) fn demands_more(guard: &Rule, rule: &Rule) -> bool {
    let by_certificate = rule.certificate && !guard.certificate;
    let (guard, rule) = (&guard.auth, &rule.auth);
    let rank = |auth: &Auth| match auth {
        Auth::Public => 0,
        Auth::Optional(_) => 1,
        Auth::Required(_) => 2,
    };
    let wanted = scopes(guard).filter(|wanted| !wanted.is_empty());
    rank(guard) > rank(rule)
        || by_certificate && *guard != Auth::Public
        || wanted.is_some_and(|wanted| !scopes(rule).is_some_and(|known| known.covers(wanted)))
}

/// Those that a credential needs.
pub(super) const fn scopes(auth: &Auth) -> Option<&ScopeSet> {
    match auth {
        Auth::Public => None,
        Auth::Optional(scopes) | Auth::Required(scopes) => Some(scopes),
    }
}
