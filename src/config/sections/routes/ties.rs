//! Routes between which no rule decides.

use std::collections::HashMap;

use http::Method;

use crate::config::problem::Problem;
use crate::config::read::shown;
use crate::config::section::Section;
use crate::config::source::Span;
use crate::config::{HostPattern, PathPattern, Route};

/// A route that was read whole.
#[derive(Debug)]
pub(super) struct Candidate {
    pub route: Route,
    /// As written.
    pub name: String,
    pub path_at: Span,
}

/// Tells of every route that ties with an earlier one.
pub(super) fn check(s: &Section<'_>, candidates: &[Candidate]) {
    let mut seen: HashMap<(Option<&HostPattern>, String), Vec<&Candidate>> = HashMap::new();
    for candidate in candidates {
        let hosts = candidate.route.hosts.iter().map(Some);
        let any = candidate.route.hosts.is_empty().then_some(None);
        // One message for a pair, however many hosts they share.
        let mut told: Option<&Candidate> = None;
        for host in hosts.chain(any) {
            let shape = shape(&candidate.route.path).to_ascii_lowercase();
            let earlier = seen.entry((host, shape)).or_default();
            if told.is_none()
                && let Some(first) = earlier.iter().find(|first| clash(&first.route, &candidate.route))
            {
                told = Some(first);
                s.tell(tie(candidate, first));
            }
            earlier.push(candidate);
        }
    }
}

/// The path as far as matching goes: names of placeholders play no part.
fn shape(path: &PathPattern) -> String {
    match path {
        PathPattern::Exact(path) => format!("= {path}"),
        PathPattern::Prefix(path) => format!("^ {path}"),
        PathPattern::Pattern(path) => {
            let segment = |segment: &str| match segment {
                rest if rest.starts_with("{*") => "{*}".to_owned(),
                one if one.starts_with('{') => "{}".to_owned(),
                literal => literal.to_owned(),
            };
            format!("~ {}", path.split('/').map(segment).collect::<Vec<_>>().join("/"))
        }
    }
}

/// Whether two routes whose shapes differ in case at most cannot stand beside each other: a method of both, or other
/// names in the pattern, or another word on whether case counts, of which one request could have only one.
fn clash(first: &Route, second: &Route) -> bool {
    let is_one_path = first.ignore_case || second.ignore_case || shape(&first.path) == shape(&second.path);
    is_one_path
        && (first.ignore_case != second.ignore_case
            || !names(&first.path).eq(names(&second.path))
            || overlap(&first.methods, &second.methods))
}

/// Its placeholders.
fn names(path: &PathPattern) -> impl Iterator<Item = &str> {
    let text = if let PathPattern::Pattern(text) = path { text } else { "" };
    text.split('/').filter(|segment| segment.starts_with('{'))
}

fn overlap(a: &[Method], b: &[Method]) -> bool {
    let serves = |methods: &[Method], method: &Method| {
        methods.is_empty()
            || methods.contains(method)
            || method == Method::HEAD && methods.contains(&Method::GET)
    };
    match (a, b) {
        ([], _) | (_, []) => true,
        _ => a.iter().any(|method| serves(b, method)) || b.iter().any(|method| serves(a, method)),
    }
}

fn tie(second: &Candidate, first: &Candidate) -> Problem {
    let (second_name, first_name) = (shown(&second.name), shown(&first.name));
    if second.route.ignore_case != first.route.ignore_case {
        let message = format!(
            "routes `{first_name}` and `{second_name}` serve one path, and its case counts for one of them alone"
        );
        return Problem::error(second.path_at, message)
            .and(first.path_at, format!("of route `{first_name}`"))
            .expected("`ignore_case` alike in both, or another path");
    }
    if !names(&second.route.path).eq(names(&first.route.path)) {
        let message = format!(
            "routes `{first_name}` and `{second_name}` name the placeholders of one pattern differently"
        );
        return Problem::error(second.path_at, message)
            .and(first.path_at, format!("of route `{first_name}`"))
            .expected("the same names in both");
    }
    let message = format!(
        "routes `{first_name}` and `{second_name}` tie: host, path and methods do not decide between them"
    );
    Problem::error(second.path_at, message)
        .label(format!("of route `{second_name}`"))
        .and(first.path_at, format!("of route `{first_name}`"))
        .expected("another host, another path, or methods of which no request fits both")
}
