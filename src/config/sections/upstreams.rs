//! `upstreams`: named groups of servers.

pub(super) mod retries;
mod sharing;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::config::kind::host::{EndpointUrl, HostName};
use crate::config::kind::text::{File, Name};
use crate::config::kind::words::Words;
use crate::config::problem::Problem;
use crate::config::read::{Placed, shown};
use crate::config::section::{Least, Section};
use crate::config::source::Span;
use crate::config::{
    CertificateFiles, Endpoint, Listener, Retries, Route, Upstream, UpstreamProtocol, UpstreamTls,
};
use crate::web::forwarded::Scheme;

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
    let name = s.required("name", &Name, "api", "Its name in routes and metrics.");
    let comment = "What its servers speak: http1, or http2, as gRPC needs it (in clear: by prior knowledge).";
    let protocol = s.value("protocol", &PROTOCOLS, UpstreamProtocol::Http1, comment).value;
    let read = s
        .sections("endpoints", Least::One, "Its servers; at least one.", |s| {
            s.required("url", &EndpointUrl, "https://127.0.0.1:9443", "http:// or https://, host and port.")
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
    let comment = "How servers with https:// are connected to. They are always verified.";
    let tls = s.optional_section("tls", comment, |s| (s.at(), tls(s)));
    alike(s, &endpoints, tls.as_ref().map(|(at, _)| *at));
    let endpoints = endpoints.into_iter().map(|endpoint| endpoint.value).collect();
    let tls = tls.unwrap_or_default().1;
    let (balance, health, ejection) = (sharing::balance(s), sharing::health(s), sharing::ejection(s));
    let comment = "Sending requests again where that is safe.";
    let retries = s.section("retries", comment, |s| retries::keys(s, Retries::default()));
    let max = sharing::max(s);
    (
        name,
        Box::new(move |name| Upstream {
            name,
            protocol,
            endpoints,
            tls,
            balance,
            health,
            max,
            ejection,
            retries,
        }),
    )
}

fn tls(s: &mut Section<'_>) -> UpstreamTls {
    let trusted = "The authorities that are trusted, as PEM; absent = those of the system.";
    let ca_file = s.optional("ca_file", &File, "tls/backend-ca.pem", trusted);
    let shown = "The certificate that Keyward shows, with its chain, as PEM; absent = none.";
    let cert_file = s.optional("cert_file", &File, "tls/keyward.pem", shown);
    let key_file = s.optional("key_file", &File, "tls/keyward.key", "Its private key, as PEM.");
    let proved = "The name that servers have to prove; absent = the host of their URL.";
    let server_name = s.optional("server_name", &HostName, "backend.internal", proved);
    let certificate = match (cert_file, key_file) {
        (Some(cert), Some(key)) => Some(CertificateFiles { cert_file: cert.value, key_file: key.value }),
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => {
            let problem =
                Problem::error(one.at, "a certificate and its key are of no use without each other");
            s.tell(problem.expected("both `cert_file` and `key_file`, or neither"));
            None
        }
    };
    UpstreamTls {
        ca_file: ca_file.map(|file| file.value),
        certificate,
        server_name: server_name.map(|name| name.value),
    }
}

/// Tells when some servers are reached in clear and others not, or none of them by the TLS that is set up.
fn alike(s: &Section<'_>, endpoints: &[Placed<Endpoint>], tls: Option<Span>) {
    let by = |scheme| endpoints.iter().find(|endpoint| endpoint.value.scheme == scheme);
    match (by(Scheme::Http), by(Scheme::Https), tls) {
        (Some(clear), Some(secure), _) => s.tell(
            Problem::error(clear.at, "some servers of this upstream are reached in clear, others by TLS")
                .and(secure.at, "by TLS")
                .expected("https:// for all of them, or an upstream of its own for each kind"),
        ),
        (Some(clear), None, Some(tls)) => s.tell(
            Problem::error(tls, "`tls` is set up, and the servers are reached in clear")
                .and(clear.at, "in clear")
                .expected("https:// in the URL of each server, or no `tls`"),
        ),
        _ => {}
    }
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
        if !routes.iter().any(|route| route.leads_to(index)) {
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
