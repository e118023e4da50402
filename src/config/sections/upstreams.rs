//! `upstreams`: named groups of servers.

use std::sync::Arc;

use crate::config::kind::net::EndpointUrl;
use crate::config::kind::text::Name;
use crate::config::problem::Problem;
use crate::config::read::{Placed, shown};
use crate::config::section::{Least, Section};
use crate::config::{Endpoint, Route, Upstream};

/// The upstreams, each placed at its name. One whose endpoints are wrong is there too, so that routes find it.
pub(super) fn upstreams(s: &mut Section<'_>) -> Vec<Placed<Upstream>> {
    let comment = "Named groups of servers that requests are forwarded to.";
    let read = s.sections("upstreams", Least::None, comment, upstream).unwrap_or_default();
    let names: Vec<&Placed<_>> = read.iter().filter_map(|(name, _)| name.as_ref()).collect();
    super::distinct(s, "upstreams", &names);
    let named = |(name, endpoints): (Option<Placed<Arc<str>>>, _)| {
        let name = name?;
        let value = Upstream { name: name.value, endpoints };
        Some(Placed { value, at: name.at, written: name.written, given: true })
    };
    read.into_iter().filter_map(named).collect()
}

fn upstream(s: &mut Section<'_>) -> (Option<Placed<Arc<str>>>, Vec<Endpoint>) {
    s.not_yet(&["tls", "balance", "health", "retries"]);
    let name = s.required("name", &Name, "api", "Its name in routes and metrics.");
    let read = s
        .sections("endpoints", Least::One, "Its servers; at least one.", |s| {
            s.required("url", &EndpointUrl, "http://127.0.0.1:9000", "http://, host and port.")
        })
        .unwrap_or_default();
    let mut endpoints: Vec<Placed<Endpoint>> = Vec::new();
    for endpoint in read.into_iter().flatten() {
        match endpoints.iter().find(|known| known.value == endpoint.value) {
            None => endpoints.push(endpoint),
            Some(first) => s.tell(
                Problem::error(endpoint.at, "this server is in the upstream twice")
                    .and(first.at, "first here")
                    .expected("each server once"),
            ),
        }
    }
    (name, endpoints.into_iter().map(|endpoint| endpoint.value).collect())
}

/// Warns of upstreams that no route names.
pub(super) fn unused(s: &Section<'_>, upstreams: &[Placed<Upstream>], routes: &[Route]) {
    for (index, upstream) in upstreams.iter().enumerate() {
        if !routes.iter().any(|route| route.upstream == index) {
            s.tell(
                Problem::warning(
                    upstream.at,
                    format!("no route leads to upstream `{}`", shown(&upstream.written)),
                )
                .expected("a route with this upstream, or the upstream removed"),
            );
        }
    }
}
