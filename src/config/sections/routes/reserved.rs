//! Routes on the hosts of `identity`: Keyward's own paths win there, and the console has one origin with all else.

use std::iter;

use super::ties::Candidate;
use crate::config::problem::Problem;
use crate::config::read::shown;
use crate::config::section::Section;
use crate::config::{HostPattern, Identity, PathPattern, Route};
use crate::web::endpoint::Endpoint;

/// A rest of several segments: no endpoint but the console has any below it.
const REST: &str = "x/x/x";

/// Tells of routes that only reserved paths could reach, and warns of each that has the console's host.
pub(super) fn check(s: &Section<'_>, candidates: &[Candidate], identity: &Identity) {
    for route in candidates.iter().filter(|candidate| is_unreachable(&candidate.route, identity)) {
        let message = format!("route `{}` is never reached: its paths are Keyward's own", shown(&route.name));
        s.tell(
            Problem::error(route.path_at, message)
                .expected("another path, or a host that `identity` does not have"),
        );
    }
    let hosts: Vec<_> = identity
        .hosts
        .iter()
        .filter(|_| identity.console)
        .map(|host| (host, best(host, candidates)))
        .collect();
    for route in candidates {
        let Some((host, _)) = hosts.iter().find(|(host, best)| is_best(&route.route, host, *best)) else {
            continue;
        };
        let name = shown(&route.name);
        let message = format!("route `{name}` has the host of the console, `{host}`");
        s.tell(Problem::warning(route.path_at, message).help(
            "a script of its pages could act in the console as whoever is logged in: give `identity` a host of its own, or \
             turn its console off",
        ));
    }
}

fn is_unreachable(route: &Route, identity: &Identity) -> bool {
    let is_ours = |host: &HostPattern| match host {
        HostPattern::Exact(name) => identity.hosts.contains(name) || identity.other_names.contains(name),
        HostPattern::Wildcard(_) => false,
    };
    !route.hosts.is_empty() && route.hosts.iter().all(is_ours) && is_reserved(&route.path, identity)
}

/// Whether all that a path matches is reserved, which a path that stands for the rest of it tells.
fn is_reserved(path: &PathPattern, identity: &Identity) -> bool {
    let sample = match path {
        PathPattern::Exact(path) => path.to_string(),
        PathPattern::Prefix(path) => format!("{}/{REST}", path.trim_end_matches('/')),
        PathPattern::Pattern(path) => path.split('/').map(segment).collect::<Vec<_>>().join("/"),
    };
    match Endpoint::of(&sample) {
        Some(Endpoint::Console(_)) => identity.console,
        endpoint => endpoint.is_some(),
    }
}

/// What fits one segment of a pattern.
fn segment(segment: &str) -> &str {
    match segment {
        rest if rest.starts_with("{*") => REST,
        one if one.starts_with('{') => "x",
        literal => literal,
    }
}

/// How closely those routes name a host that have the last word on it.
fn best(host: &str, candidates: &[Candidate]) -> Option<usize> {
    candidates.iter().filter_map(|candidate| rank(&candidate.route, host)).max()
}

fn is_best(route: &Route, host: &str, best: Option<usize>) -> bool {
    best.is_some() && rank(route, host) == best
}

/// How closely a route names a host; `None` when it is for others.
fn rank(route: &Route, host: &str) -> Option<usize> {
    let names = route.hosts.iter().filter_map(|pattern| match pattern {
        HostPattern::Exact(name) => (**name == *host).then_some(usize::MAX),
        HostPattern::Wildcard(end) => (host.len() > end.len() && host.ends_with(&**end)).then_some(end.len()),
    });
    names.chain(iter::once(0).filter(|_| route.hosts.is_empty())).max()
}
