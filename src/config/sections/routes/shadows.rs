//! Routes that no request reaches: a prefix of the same host is preferred to every pattern under it.

use super::ties::Candidate;
use crate::config::problem::Problem;
use crate::config::read::shown;
use crate::config::section::Section;
use crate::config::{PathPattern, Route};

/// Warns of every pattern that a prefix takes everything from, whoever may pass there.
pub(super) fn check(s: &Section<'_>, candidates: &[Candidate]) {
    for pattern in candidates {
        if let Some(prefix) = candidates.iter().find(|prefix| covers(&prefix.route, &pattern.route)) {
            let (name, other) = (shown(&pattern.name), shown(&prefix.name));
            let message =
                format!("route `{name}` is never reached where route `{other}` serves the same host");
            s.tell(
                Problem::warning(pattern.path_at, message)
                    .and(prefix.path_at, format!("the prefix of route `{other}`"))
                    .help("a prefix is preferred to every pattern under it: write a narrower prefix, or a prefix instead of the pattern"),
            );
        }
    }
}

fn covers(prefix: &Route, pattern: &Route) -> bool {
    // What stands in any case takes everything from what stands in one, and not the other way round.
    if pattern.ignore_case && !prefix.ignore_case && prefix.path != PathPattern::Prefix("/".into()) {
        return false;
    }
    let spelled = |route: &Route| match prefix.ignore_case {
        true => route.path.in_lower_case(),
        false => route.path.clone(),
    };
    let (PathPattern::Prefix(start), PathPattern::Pattern(text)) = (spelled(prefix), spelled(pattern)) else {
        return false;
    };
    let fixed = text.split('{').next().unwrap_or_default().trim_end_matches('/');
    let rest = if &*start == "/" { Some("/") } else { fixed.strip_prefix(&*start) };
    let is_under = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let same_host = match (&*prefix.hosts, &*pattern.hosts) {
        ([], []) => true,
        (ours, theirs) => ours.iter().any(|host| theirs.contains(host)),
    };
    is_under && same_host
}
