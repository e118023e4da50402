//! The keys of the file, one declaration each. The order here is the order of the full example.

mod clients;
mod credentials;
mod identity;
mod limits;
mod listeners;
mod operation;
mod rates;
mod routes;
mod scopes;
mod upstreams;

use std::collections::HashMap;
use std::sync::Arc;

use super::Config;
use super::kind::net::Network;
use super::problem::Problem;
use super::read::{Placed, shown};
use super::section::Section;

/// The whole file.
pub(super) fn file(s: &mut Section<'_>) -> Config {
    s.not_yet(&["doors"]);
    let listeners = listeners::listeners(s);
    let trusted_proxies = s.scalars(
        "trusted_proxies",
        &Network,
        "Networks whose X-Forwarded-* fields count, such as [10.0.0.0/8]; nobody's by default.",
    );
    trusting_everybody(s, &trusted_proxies);
    let admin = listeners::admin(s, &listeners);
    let store =
        s.section("store", "Where accounts and keys live. A change needs a restart.", operation::store);
    let comment = "Issuing to people: absent = no login, no tokens, no console.";
    let identity = s.optional_section("identity", comment, identity::identity);
    let scopes = scopes::scopes(s);
    let keys = s.section("keys", "How API keys are made.", credentials::keys);
    let (credentials, identity_headers) = credentials::sources(s);
    let timeouts = s.section("timeouts", "How long each phase of a request may take.", limits::timeouts);
    let max = s.section("max", "How much of anything there may be.", limits::max);
    let upstreams = upstreams::upstreams(s);
    let (issues, identity) = (identity.is_some(), identity.flatten());
    let known = routes::Known {
        scopes: &scopes,
        upstreams: &upstreams,
        issues,
        certificates: listeners.iter().any(clients::stand_for_accounts),
        identity: identity.as_ref(),
        meaning: routes::Meaning { identity: &identity_headers, credentials: &credentials.headers },
        times: &timeouts.of_requests(),
        max_body: max.body,
    };
    let routes = routes::routes(s, &known);
    upstreams::looping(s, &upstreams, &listeners);
    upstreams::unused(s, &upstreams, &routes);
    let comment = "How many requests accounts may make.";
    let limits = s.section("limits", comment, |s| rates::limits(s, &routes));
    Config {
        listeners: listeners.into_iter().map(|listener| listener.value).collect(),
        trusted_proxies: trusted_proxies.into_iter().map(|network| network.value).collect(),
        admin,
        store,
        identity,
        scopes: scopes.into_iter().map(|scope| scope.value).collect(),
        keys,
        credentials,
        identity_headers,
        upstreams: upstreams.into_iter().map(|upstream| upstream.value).collect(),
        routes,
        limits,
        cache: s.section("cache", "The cache of validations.", limits::cache),
        timeouts,
        max,
        log: s.section("log", "What is written to the log.", operation::log),
        shutdown: s.section("shutdown", "How the process ends.", operation::shutdown),
        errors: s.section("errors", "What refusals say of themselves.", operation::errors),
    }
}

fn trusting_everybody(s: &Section<'_>, networks: &[Placed<ipnet::IpNet>]) {
    for network in networks.iter().filter(|network| network.value.prefix_len() == 0) {
        s.tell(
            Problem::warning(network.at, "every peer is trusted to say who the client is").help(
                "list only the networks of your own proxies; otherwise anybody can forge X-Forwarded-For",
            ),
        );
    }
}

/// Tells which of `names` are there twice.
fn distinct(s: &Section<'_>, what: &str, names: &[&Placed<Arc<str>>]) {
    let mut seen: HashMap<&str, &Placed<Arc<str>>> = HashMap::new();
    for name in names {
        match seen.get(name.value.as_ref()) {
            None => {
                seen.insert(&name.value, name);
            }
            Some(first) => s.tell(
                Problem::error(name.at, format!("two {what} have the name `{}`", shown(&name.written)))
                    .label("again here")
                    .and(first.at, "first here")
                    .expected("a name of its own for each; it tells them apart in metrics and logs"),
            ),
        }
    }
}
