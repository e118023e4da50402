//! The route table: compiled once from the configuration, asked once per request.
//!
//! Host first (exact, then longest wildcard, then none; a host that matches has the last word), then path (exact, then
//! longest prefix by whole segments, then patterns in file order), then method among the routes of that path alone. No
//! step ever falls back. The cost of a look-up depends on the request, not on the number of routes.

use std::sync::Arc;

use http::Method;

use crate::config::{HostPattern, Route};
use crate::message::target::Quirks;
use group::{Group, GroupBuilder};
use hash::Map;
use rule::Rule;

mod group;
mod hash;
mod literals;
mod patterns;
mod rewrite;
mod rule;
mod trace;

#[cfg(test)]
mod tests;

pub use rewrite::rewritten;
pub use trace::Trace;

/// What the table says about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Found {
    /// This route, by its index in the configuration.
    Route(usize),
    /// No route serves the host and path.
    NoRoute,
    /// Routes serve the path, none the method.
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: Arc<str>,
    },
}

/// All routes, ready to be asked.
#[derive(Clone, Debug)]
pub struct Table {
    exact: Map<Box<str>, usize>,
    wildcards: Map<Box<str>, usize>,
    any: Option<usize>,
    groups: Box<[Group]>,
    names: Box<[Arc<str>]>,
    quirks: Box<[Quirks]>,
}

impl Table {
    /// Compiles routes in file order. Of two that tie, which `check` refuses, the first one wins.
    #[must_use]
    pub fn compile(routes: &[Route]) -> Self {
        let mut builder = Builder::default();
        for (index, route) in routes.iter().enumerate() {
            if route.hosts.is_empty() {
                builder.group(None).add(index, route);
            }
            for host in &route.hosts {
                builder.group(Some(host)).add(index, route);
            }
        }
        Self {
            exact: builder.exact,
            wildcards: builder.wildcards,
            any: builder.any,
            groups: builder.groups.into_iter().map(GroupBuilder::build).collect(),
            names: routes.iter().map(|route| Arc::clone(&route.name)).collect(),
            quirks: routes.iter().map(|route| Quirks::from(route.allow.as_slice())).collect(),
        }
    }

    /// The route for a host (lower case, without port), a method, and a canonical path.
    pub fn find(&self, host: &str, method: &Method, path: &str) -> Found {
        let Some(group) = self.group(host) else { return Found::NoRoute };
        let Some(rule) = group.best(path) else { return Found::NoRoute };
        match rule.choose(method) {
            Some(route) => Found::Route(route),
            None => Found::MethodNotAllowed { allow: rule.allow() },
        }
    }

    /// Every route that serves a path of a host, whatever its methods.
    pub fn serving(&self, host: &str, path: &str) -> impl Iterator<Item = usize> {
        let rule = self.group(host).and_then(|group| group.best(path));
        rule.into_iter().flat_map(Rule::routes)
    }

    /// What of a path's quirks the route at `index` allows.
    #[must_use]
    pub fn quirks(&self, index: usize) -> Quirks {
        self.quirks.get(index).copied().unwrap_or_default()
    }

    /// The routes that have the last word on a host.
    fn group(&self, host: &str) -> Option<&Group> {
        let index = self.exact.get(host).or_else(|| self.wildcard(host)).or(self.any.as_ref())?;
        self.groups.get(*index)
    }

    /// The longest wildcard that a host falls under: it ends so, and has at least one more label.
    fn wildcard(&self, host: &str) -> Option<&usize> {
        if self.wildcards.is_empty() {
            return None;
        }
        let dots = host.bytes().enumerate().skip(1).filter(|(_, byte)| *byte == b'.');
        dots.filter_map(|(dot, _)| host.get(dot..)).find_map(|suffix| self.wildcards.get(suffix))
    }
}

#[derive(Default)]
struct Builder {
    exact: Map<Box<str>, usize>,
    wildcards: Map<Box<str>, usize>,
    any: Option<usize>,
    groups: Vec<GroupBuilder>,
}

impl Builder {
    /// The group of a host; a new one when it is named for the first time.
    fn group(&mut self, host: Option<&HostPattern>) -> &mut GroupBuilder {
        let new = self.groups.len();
        let index = match host {
            None => *self.any.get_or_insert(new),
            Some(HostPattern::Exact(name)) => *self.exact.entry(name.clone()).or_insert(new),
            Some(HostPattern::Wildcard(suffix)) => *self.wildcards.entry(suffix.clone()).or_insert(new),
        };
        if index == new {
            self.groups.push(GroupBuilder::default());
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "every index in the maps was the length when its group was pushed"
        )]
        &mut self.groups[index]
    }
}
