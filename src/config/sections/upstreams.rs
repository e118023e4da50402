//! `upstreams`: named groups of servers.

mod sharing;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::config::kind::host::EndpointUrl;
use crate::config::kind::text::Name;
use crate::config::kind::words::Words;
use crate::config::problem::Problem;
use crate::config::read::{Placed, shown};
use crate::config::section::{Least, Section};
use crate::config::{Endpoint, Listener, Route, Upstream, UpstreamProtocol};

/// The upstreams, each placed at its name. One whose endpoints are wrong is there too, so that routes find it.
pub(super) fn upstreams(s: &mut Section<'_>) -> Vec<Placed<Upstream>> {
    let comment = "Named groups of servers that requests are forwarded to.";
    let read = s.sections("upstreams", Least::None, comment, upstream).unwrap_or_default();
    let names: Vec<&Placed<_>> = read.iter().filter_map(|(name, ..)| name.as_ref()).collect();
    super::distinct(s, "upstreams", &names);
    let named = |(name, read): (Option<Placed<Arc<str>>>, Unnamed)| {
        let name = name?;
        let value = read(name.value);
        Some(Placed { value, at: name.at, written: name.written, given: true })
    };
    read.into_iter().filter_map(named).collect()
}

const PROTOCOLS: Words<UpstreamProtocol> =
    Words(&[("http1", UpstreamProtocol::Http1), ("http2", UpstreamProtocol::Http2)]);

/// An upstream but for its name.
type Unnamed = Box<dyn FnOnce(Arc<str>) -> Upstream>;

fn upstream(s: &mut Section<'_>) -> (Option<Placed<Arc<str>>>, Unnamed) {
    s.not_yet(&["tls"]);
    let name = s.required("name", &Name, "api", "Its name in routes and metrics.");
    let comment = "What its servers speak: http1, or http2 in clear by prior knowledge, as gRPC needs it.";
    let protocol = s.value("protocol", &PROTOCOLS, UpstreamProtocol::Http1, comment).value;
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
    let endpoints = endpoints.into_iter().map(|endpoint| endpoint.value).collect();
    let (balance, health, ejection) = (sharing::balance(s), sharing::health(s), sharing::ejection(s));
    let (retries, max) = (sharing::retries(s), sharing::max(s));
    (
        name,
        Box::new(move |name| Upstream { name, protocol, endpoints, balance, health, max, ejection, retries }),
    )
}

/// Warns of endpoints that are a listener of this process: requests would go round for ever.
pub(super) fn looping(s: &Section<'_>, upstreams: &[Placed<Upstream>], listeners: &[Placed<Listener>]) {
    for upstream in upstreams {
        let to = |endpoint: &Endpoint, listener: &Listener| {
            let local = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
            let host: Option<IpAddr> = match endpoint.host.as_ref() {
                "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
                host => host.parse().ok(),
            };
            let ip = listener.address.ip();
            endpoint.port == listener.address.port()
                && host.is_some_and(|host| host == ip || ip.is_unspecified() && local(host))
        };
        let own = |listener: &&Placed<Listener>| {
            upstream.value.endpoints.iter().any(|endpoint| to(endpoint, &listener.value))
        };
        if let Some(listener) = listeners.iter().find(own) {
            let message =
                format!("upstream `{}` leads back to a listener of Keyward", shown(&upstream.written));
            let problem = Problem::warning(upstream.at, message)
                .help("requests would go round in circles; write the port of the backend");
            s.tell(match listener.given {
                true => problem.and(listener.at, "this one"),
                false => problem.label("the one that is there by default, 0.0.0.0:8080"),
            });
        }
    }
}

/// Warns of upstreams that no route names.
pub(super) fn unused(s: &Section<'_>, upstreams: &[Placed<Upstream>], routes: &[Route]) {
    if routes.is_empty() {
        return;
    }
    for (index, upstream) in upstreams.iter().enumerate() {
        if !routes.iter().any(|route| route.upstream == index) {
            s.tell(
                Problem::warning(
                    upstream.at,
                    format!("no route leads to upstream `{}`", shown(&upstream.written)),
                )
                .help("add a route with this upstream, or remove it"),
            );
        }
    }
}
