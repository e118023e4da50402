//! Why a request goes where it goes, in words: the slow twin of [`Table::find`], for people.

use http::Method;

use super::group::Group;
use super::literals::first_segment;
use super::patterns::{Part, parts};
use super::rule::Rule;
use super::{Found, Table};
use crate::config::PathPattern;

/// A look-up with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What [`Table::find`] says.
    pub found: Found,
    /// Host, path and method in this order, each with what else could have been.
    pub lines: Vec<String>,
}

impl Table {
    /// Finds a route and tells why this one.
    #[must_use]
    pub fn trace(&self, host: &str, method: &Method, path: &str) -> Trace {
        let mut lines = self.trace_host(host);
        if let Some(group) = self.group(host) {
            lines.extend(trace_path(group, path));
            if let Some(rule) = group.best(path) {
                lines.push(self.trace_method(rule, method));
            }
        }
        Trace { found: self.find(host, method, path), lines }
    }

    fn trace_host(&self, host: &str) -> Vec<String> {
        let mut matching = Vec::new();
        if self.exact.contains_key(host) {
            matching.push(format!("the routes for {host}"));
        }
        let dots = host.match_indices('.').filter(|(dot, _)| *dot > 0);
        let suffixes = dots.filter_map(|(dot, _)| host.get(dot..));
        let wildcards = suffixes.filter(|suffix| self.wildcards.contains_key(*suffix));
        matching.extend(wildcards.map(|suffix| format!("the routes for *{suffix}")));
        matching.extend(self.any.map(|_| "the routes without hosts".to_owned()));
        match matching.split_first() {
            None => vec![format!("host {host}: no route names it, and none is without hosts")],
            Some((chosen, rest)) => {
                let mut lines = vec![format!("host {host}: {chosen} apply")];
                lines.extend(
                    rest.iter().map(|other| format!("host {host}: {other} do not, they are less specific")),
                );
                lines
            }
        }
    }

    fn trace_method(&self, rule: &Rule, method: &Method) -> String {
        match rule.choose(method).and_then(|index| self.names.get(index)) {
            Some(name) => format!("method {method}: route {name}"),
            None => format!("method {method}: no route of this path; it has {}", rule.allow()),
        }
    }
}

fn trace_path(group: &Group, path: &str) -> Vec<String> {
    let Some(best) = group.best(path) else {
        let count = group.rules().len();
        return vec![format!("path {path}: matches none of the {count} paths of this host")];
    };
    let mut lines = vec![format!("path {path}: {} applies", describe(best))];
    let others = group.rules().iter().filter(|rule| !std::ptr::eq(*rule, best) && matches(rule, path));
    lines.extend(others.map(|rule| {
        let why = match (best.path(), rule.path()) {
            (PathPattern::Exact(_), PathPattern::Exact(_)) => "its case does not count",
            (PathPattern::Exact(_), _) => "an exact path goes first",
            (PathPattern::Prefix(_), PathPattern::Pattern(_)) => "prefixes go before patterns",
            (PathPattern::Prefix(_), _) => "it is shorter",
            (PathPattern::Pattern(_), _) => "it stands later in the file",
        };
        format!("path {path}: {} does not, {why}", describe(rule))
    }));
    lines
}

fn describe(rule: &Rule) -> String {
    let case = if rule.ignores_case() { " in any case" } else { "" };
    match rule.path() {
        PathPattern::Exact(text) => format!("path {text}{case}"),
        PathPattern::Prefix(text) => format!("path_prefix {text}{case}"),
        PathPattern::Pattern(text) => format!("path_pattern {text}{case}"),
    }
}

fn matches(rule: &Rule, path: &str) -> bool {
    match rule.ignores_case() {
        false => fits(rule.path(), path),
        true => fits(&rule.path().in_lower_case(), &path.to_ascii_lowercase()),
    }
}

fn fits(pattern: &PathPattern, path: &str) -> bool {
    match pattern {
        PathPattern::Exact(text) => **text == *path,
        PathPattern::Prefix(text) => match path.strip_prefix(&**text) {
            Some(rest) => text.ends_with('/') || rest.is_empty() || rest.starts_with('/'),
            None => false,
        },
        PathPattern::Pattern(text) => pattern_matches(text, path),
    }
}

fn pattern_matches(pattern: &str, path: &str) -> bool {
    let mut rest = path.strip_prefix('/');
    for part in parts(pattern) {
        let Some(text) = rest else { return false };
        let (segment, after) = first_segment(text);
        match part {
            Part::Rest => return true,
            Part::Literal(want) if want != segment => return false,
            Part::One if segment.is_empty() => return false,
            Part::Literal(_) | Part::One => rest = after,
        }
    }
    rest.is_none()
}
