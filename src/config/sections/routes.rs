//! `routes`: what is matched, who may pass and where it goes.

mod conditions;
mod cors;
pub(super) mod errors;
mod fields;
mod reserved;
mod rewrite;
mod served;
mod shadows;
mod ties;

pub(super) use fields::Meaning;

use std::sync::Arc;

use super::upstreams::retries;
use super::{limits, rates};

use crate::auth::refusal::Ambiguity;
use crate::auth::scope::{Scope, ScopeSet};
use crate::config::describe::Turn;
use crate::config::kind::Kind;
use crate::config::kind::host::{HostChoice, Pattern};
use crate::config::kind::http::{MethodName, Protocol};
use crate::config::kind::number::Count;
use crate::config::kind::path::{Form, RawPath, compile};
use crate::config::kind::text::{Name, ScopeName};
use crate::config::kind::words::{Switch, Words};
use crate::config::problem::Problem;
use crate::config::read::{Placed, complaint_of, shown};
use crate::config::section::{Least, Section};
use crate::config::source::Span;
use crate::config::suggest::nearest;
use crate::config::yaml::Scalar;
use crate::config::{
    Auth, CatalogueScope, Condition, Extras, HostField, HostPattern, Identity, PathPattern, Route, Served,
    Times, Upstream, UpstreamProtocol, WebsocketCredential,
};
use crate::limits::Rates;

/// What routes refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'k> {
    pub scopes: &'k [Placed<CatalogueScope>],
    pub upstreams: &'k [Placed<Upstream>],
    /// Whether there is an `identity`, however wrong.
    pub issues: bool,
    /// Whether certificates stand for accounts on any listener.
    pub certificates: bool,
    /// The `identity`, where it is right.
    pub identity: Option<&'k Identity>,
    /// Fields that have a meaning of their own.
    pub meaning: Meaning<'k>,
    /// What holds on a route that says nothing of its own.
    pub times: &'k Times,
    pub max_body: Option<u64>,
}

/// The routes, in file order.
pub(super) fn routes(s: &mut Section<'_>, known: &Known<'_>) -> Vec<Route> {
    let comment = "Which requests go where, and who may pass.";
    let read = s.sections("routes", Least::None, comment, |s| route(s, known));
    if read.as_ref().is_none_or(Vec::is_empty) {
        s.tell(
            Problem::warning(s.at(), "there are no routes: every request is answered 404")
                .expected("at least one item under `routes`"),
        );
    }
    let read = read.unwrap_or_default();
    let names: Vec<&Placed<_>> = read.iter().filter_map(|route| route.name.as_ref()).collect();
    super::distinct(s, "routes", &names);
    let whole: Vec<ties::Candidate> = read.into_iter().filter_map(whole).collect();
    ties::check(s, &whole);
    shadows::check(s, &whole);
    known.identity.iter().for_each(|identity| reserved::check(s, &whole, identity));
    whole.iter().for_each(|candidate| open_to_all(s, candidate));
    whole.into_iter().map(|candidate| candidate.route).collect()
}

/// A route as far as it could be read.
struct Partial {
    name: Option<Placed<Arc<str>>>,
    matched: Option<Matched>,
    auth: Auth,
    certificate: bool,
    served: Option<Served>,
    max_body: Option<u64>,
    host: HostField,
    allow: Vec<Ambiguity>,
    forward_credential: bool,
    assertion: bool,
    upgrades: Vec<Box<str>>,
    websocket_credential: WebsocketCredential,
    limits: Arc<Rates>,
    cost: u32,
    extras: Extras,
}

struct Matched {
    hosts: Vec<HostPattern>,
    path: Option<Placed<PathPattern>>,
    ignore_case: bool,
    methods: Vec<http::Method>,
}

fn whole(partial: Partial) -> Option<ties::Candidate> {
    let (name, matched) = (partial.name?, partial.matched?);
    let path = matched.path?;
    let route = Route {
        name: name.value,
        hosts: matched.hosts,
        path: path.value,
        ignore_case: matched.ignore_case,
        methods: matched.methods,
        auth: partial.auth,
        certificate: partial.certificate,
        served: partial.served?,
        max_body: partial.max_body,
        host: partial.host,
        allow: partial.allow,
        forward_credential: partial.forward_credential,
        assertion: partial.assertion,
        upgrades: partial.upgrades,
        websocket_credential: partial.websocket_credential,
        limits: partial.limits,
        cost: partial.cost,
        extras: Some(partial.extras).filter(|extras| *extras != Extras::default()).map(Box::new),
    };
    Some(ties::Candidate { route, name: name.written, path_at: path.at })
}

fn route(s: &mut Section<'_>, known: &Known<'_>) -> Partial {
    let name = s.required("name", &Name, "everything", "Its name in metrics and logs.");
    let matched = s.required_section("match", "What it serves.", "{ path_prefix: / }", requests);
    let (auth, certificate) = auth(s, known);
    let served = served::read(s);
    let comment =
        "What the upstream receives as Host: client (as sent), upstream (the endpoint's own) or a name.";
    let host = s.value("host", &HostChoice, HostField::Client, comment);
    let allow = s.section("path", "How its paths are read.", |s| {
        let comment = "Of encoded_slash, double_slash, semicolon, encoded_percent, backslash, non_utf8: what is not refused.";
        s.scalars("allow", &AMBIGUITIES, comment)
    });
    let allow: Vec<Ambiguity> = allow.into_iter().map(|word| word.value).collect();
    let comment = "Whether the upstream receives Authorization as well.";
    let forward_credential = s.value("forward_credential", &Switch, false, comment);
    let assertion = assertion(s, &auth, known.issues);
    let matched = matched.map(|matched| matched.with_path(s, &allow));
    let comment = "How long its requests may take; what is left out is as under `timeouts` at the top.";
    let times = s.absent_section("timeouts", comment, |s| (s.at(), limits::times(s, known.times)));
    let (times_at, times) =
        times.map_or_else(|| (None, known.times.clone()), |(at, times)| (Some(at), times));
    let unsaid = served.as_ref().and_then(|written| written.retries(known)).unwrap_or_default();
    let comment = "How its requests are sent again; what is left out is as its upstream has it.";
    let retries = s.absent_section("retries", comment, |s| (s.at(), retries::keys(s, unsaid)));
    let (retries_at, retries) = retries.unzip();
    let mut upward = vec![
        ("host", host.given.then_some(host.at)),
        ("forward_credential", forward_credential.given.then_some(forward_credential.at)),
        ("assertion", assertion.given.then_some(assertion.at)),
        ("timeouts", times_at),
        ("retries", retries_at),
    ];
    let served = served::judged(s, served, (matched.as_ref(), &allow), known, (times, retries));
    let path = matched.as_ref().and_then(|matched| Some(&matched.path.as_ref()?.value));
    let conditions = conditions::read(s, served.as_ref(), (path, &allow), known);
    let none_can_be = cannot_upgrade(served.as_ref(), &conditions, known);
    let (upgrades, websocket_credential) = upgrades(s, none_can_be);
    let (limits, cost) = limited(s, &auth);
    let (mut extras, request_fields) = extras(s, known, matched.as_ref());
    extras.conditions = conditions;
    upward.push(("request_fields", request_fields));
    served::without_upstream(s, served.as_ref(), &upward);
    let comment = "How much its requests may bring, instead of what `max` at the top says.";
    let max_body = s.absent_section("max", comment, |s| limits::max_body(s, known.max_body));
    Partial {
        name,
        matched,
        auth,
        certificate,
        served,
        max_body: max_body.unwrap_or(known.max_body),
        host: host.value,
        allow,
        forward_credential: forward_credential.value,
        assertion: assertion.value,
        upgrades,
        websocket_credential,
        limits,
        cost,
        extras,
    }
}

/// What few routes have, and where `request_fields` is.
fn extras(s: &mut Section<'_>, known: &Known<'_>, matched: Option<&Matched>) -> (Extras, Option<Span>) {
    let (request, response_fields) = fields::read(s, known.meaning);
    let cors = cors::read(s, matched.map_or(&[], |matched| &matched.methods));
    let (at, request_fields) = request.map_or_else(Default::default, |(at, fields)| (Some(at), fields));
    (Extras { request_fields, response_fields, cors, errors: errors::read(s), conditions: Vec::new() }, at)
}

/// How much each account may on it, and how many requests one of its requests counts as.
fn limited(s: &mut Section<'_>, auth: &Auth) -> (Arc<Rates>, u32) {
    let comment = "How much each account may on this route, besides what it may at all.";
    let (own, cost) = s.section("limits", comment, |s| {
        let own = rates::overrides(s);
        rates::tell_if_unpaced(s, s.at(), &own, &own.over(&Rates::default()));
        let comment = "How many requests one of this route's counts as.";
        (own, s.value("cost", &Count { least: 1, most: 1_000_000 }, 1, comment))
    });
    if *auth == Auth::Public && (!own.is_empty() || cost.given) {
        let problem =
            Problem::warning(cost.at, "nobody is counted on a public route, so its limits hold for nobody");
        s.tell(problem.help("let the route be `optional` or `required`, or take its `limits` out"));
    }
    let rates = own.over(&Rates::default());
    let (at, cost) = (cost.at, u32::try_from(cost.value).unwrap_or(u32::MAX));
    rates::tell_if_never(s, at, (&rates, cost), "this route");
    (Arc::new(rates), cost)
}

fn assertion(s: &mut Section<'_>, auth: &Auth, issues: bool) -> Placed<bool> {
    let comment =
        "Whether the upstream receives a signed X-Auth-Assertion that names the principal; wants `identity`.";
    let assertion = s.value("assertion", &Switch, false, comment);
    if assertion.value && *auth == Auth::Public {
        let message = "`assertion` is of no use on a public route: nobody is judged who could be named";
        s.tell(
            Problem::error(assertion.at, message).expected("auth: optional or required, or no `assertion`"),
        );
    }
    if assertion.value && !issues {
        let problem = Problem::error(assertion.at, "there is no `identity`, so nothing can be signed");
        s.tell(problem.expected("`identity` with its public_url at the top, or no `assertion`"));
    }
    assertion
}

const WEBSOCKET_CREDENTIALS: Words<WebsocketCredential> =
    Words(&[("none", WebsocketCredential::None), ("subprotocol", WebsocketCredential::Subprotocol)]);

/// Why no request of a route can leave HTTP, if none can.
fn cannot_upgrade(
    served: Option<&Served>,
    conditions: &[Condition],
    known: &Known<'_>,
) -> Option<&'static str> {
    let way = match served? {
        Served::Upstream(way) => way,
        Served::Redirect(_) | Served::Answer(_) => {
            return Some("`upgrades` names a protocol, and this route has no upstream");
        }
    };
    let others = conditions.iter().map(|condition| &condition.way);
    let mut upstreams = others.chain([way]).filter_map(|way| known.upstreams.get(way.upstream));
    // A connection of HTTP/2 carries other requests, too: its upstream is not asked to leave it.
    let by_http2 = upstreams.any(|upstream| upstream.value.protocol == UpstreamProtocol::Http2);
    by_http2.then_some("`upgrades` names a protocol, and the upstream of this route speaks HTTP/2")
}

/// What a connection may be upgraded to, unless none can be.
fn upgrades(s: &mut Section<'_>, none_can_be: Option<&'static str>) -> (Vec<Box<str>>, WebsocketCredential) {
    let comment = "Protocols that a connection may be upgraded to; none where the upstream speaks HTTP/2.";
    let default = if none_can_be.is_some() { Vec::new() } else { vec![WEBSOCKET.into()] };
    let upgrades = s.scalars_or("upgrades", &Protocol, default, comment);
    if let Some((first, message)) = upgrades.first().zip(none_can_be) {
        s.tell(
            Problem::error(first.at, message)
                .expected("an upstream with `protocol: http1`, or no `upgrades`"),
        );
    }
    let upgrades: Vec<Box<str>> = upgrades.into_iter().map(|protocol| protocol.value).collect();
    let comment = "Where a browser's WebSocket may carry its key: none, or subprotocol (keyward.bearer.KEY).";
    let credential =
        s.value("websocket_credential", &WEBSOCKET_CREDENTIALS, WebsocketCredential::None, comment);
    let websocket = upgrades.iter().any(|protocol| **protocol == *WEBSOCKET);
    if credential.value == WebsocketCredential::Subprotocol && !websocket {
        let message = "`websocket_credential` is of no use where `upgrades` has no websocket";
        s.tell(
            Problem::error(credential.at, message)
                .expected("websocket among `upgrades`, or no `websocket_credential`"),
        );
    }
    (upgrades, credential.value)
}

const WEBSOCKET: &str = "websocket";

const AMBIGUITIES: Words<Ambiguity> = Words(&[
    ("encoded_slash", Ambiguity::EncodedSlash),
    ("double_slash", Ambiguity::DoubleSlash),
    ("semicolon", Ambiguity::Semicolon),
    ("encoded_percent", Ambiguity::EncodedPercent),
    ("backslash", Ambiguity::Backslash),
    ("non_utf8", Ambiguity::NonUtf8),
]);

/// `match`, its path not yet judged: that takes the route's `allow`.
struct Requests {
    hosts: Vec<HostPattern>,
    path: Option<(Form, Placed<String>)>,
    ignore_case: bool,
    methods: Vec<http::Method>,
}

fn requests(s: &mut Section<'_>) -> Requests {
    let comment = "Hosts it serves, such as [api.example.com, \"*.example.com\"]; none listed = every host.";
    let hosts = s.scalars("hosts", &Pattern, comment);
    let mut path = |turn, form, key, example, comment| {
        s.alternative(turn, key, &RawPath(form), example, comment).map(|path| (form, path))
    };
    let prefix = path(
        Turn::First,
        Form::Prefix,
        "path_prefix",
        "/",
        "This path and everything under it, by whole segments.",
    );
    let exact = path(Turn::Later, Form::Exact, "path", "/health", "This path alone.");
    let comment = "{name} is any one segment, {*name} at the end any rest.";
    let pattern = path(Turn::Later, Form::Pattern, "path_pattern", "/users/{id}", comment);
    s.exactly_one(
        &["path_prefix", "path", "path_pattern"],
        "one of path_prefix: /v1/orders, path: /health or path_pattern: \"/users/{id}\"",
    );
    let comment =
        "Whether its path is the same in upper and lower case (of ASCII), for backends to which it is.";
    let ignore_case = s.value("ignore_case", &Switch, false, comment);
    let comment = "Methods it serves, such as [GET, POST]; none listed = all. GET brings HEAD with it.";
    let methods = s.scalars("methods", &MethodName, comment);
    Requests {
        hosts: hosts.into_iter().map(|host| host.value).collect(),
        path: prefix.or(exact).or(pattern),
        ignore_case: ignore_case.value,
        methods: methods.into_iter().map(|method| method.value).collect(),
    }
}

impl Requests {
    fn with_path(self, s: &Section<'_>, allow: &[Ambiguity]) -> Matched {
        let path = self.path.and_then(|(form, path)| match compile(form, &path.value, allow) {
            Ok(value) => Some(Placed { value, at: path.at, written: path.written, given: true }),
            Err(complaint) => {
                let kind = RawPath(form);
                let expanded = (path.written != path.value).then_some(path.value);
                let scalar = Scalar { written: path.written, expanded };
                s.tell(complaint_of(&scalar, path.at, &complaint, &kind.what(), kind.expected()));
                None
            }
        });
        Matched { hosts: self.hosts, path, ignore_case: self.ignore_case, methods: self.methods }
    }
}

/// Who may pass, and whether by a client certificate.
fn auth(s: &mut Section<'_>, known: &Known<'_>) -> (Auth, bool) {
    let comment = "required, optional or public; with scopes as below, all of them needed.";
    let read =
        s.tagged("auth", &["required", "optional", "public"], &["required", "optional"], comment, |s| {
            s.not_yet(&["issuers", "audiences"]);
            let scopes = s.scalars("scopes", &ScopeName, "Scopes of the catalogue.");
            scopes.iter().for_each(|scope| in_catalogue(s, scope, known.scopes));
            let comment = "Whether a client certificate is the credential of requests that carry none.";
            let certificate = s.value("certificate", &Switch, false, comment);
            if certificate.value && !known.certificates {
                stands_for_nobody(s, &certificate);
            }
            (scopes.into_iter().map(|scope| scope.value).collect::<ScopeSet>(), certificate.value)
        });
    let (word, section) = read.unwrap_or(("required", None));
    let (scopes, certificate) = section.unwrap_or_default();
    match word {
        "public" => (Auth::Public, false),
        "optional" => (Auth::Optional(scopes), certificate),
        _ => (Auth::Required(scopes), certificate),
    }
}

fn stands_for_nobody(s: &Section<'_>, certificate: &Placed<bool>) {
    let message = "no listener says which accounts client certificates stand for, so none will do";
    let help = "list them as `client_accounts` under the `tls` of a listener, or take `certificate` out";
    s.tell(Problem::warning(certificate.at, message).help(help));
}

fn in_catalogue(s: &Section<'_>, scope: &Placed<Scope>, catalogue: &[Placed<CatalogueScope>]) {
    if catalogue.iter().any(|known| known.value.scope == scope.value) {
        return;
    }
    let message = format!("the scope `{}` is not in the catalogue", shown(&scope.written));
    let problem = Problem::error(scope.at, message)
        .expected(format!("a scope that is listed under `scopes` at the top: {}", listed(catalogue)));
    s.tell(meant(problem, &scope.written, catalogue));
}

fn resolve(s: &Section<'_>, name: &Placed<Arc<str>>, upstreams: &[Placed<Upstream>]) -> Option<usize> {
    let found = upstreams.iter().position(|upstream| upstream.value.name == name.value);
    if found.is_none() {
        let problem = Problem::error(name.at, format!("there is no upstream `{}`", shown(&name.written)))
            .expected(format!("the name of an item under `upstreams`: {}", listed(upstreams)));
        s.tell(meant(problem, &name.written, upstreams));
    }
    found
}

fn listed<T>(known: &[Placed<T>]) -> String {
    if known.is_empty() {
        return "none is there yet".to_owned();
    }
    let names: Vec<String> = known.iter().take(10).map(|item| shown(&item.written)).collect();
    let rest = if known.len() > names.len() { ", ..." } else { "" };
    format!("{}{rest}", names.join(", "))
}

/// Compares texts as written, so that nothing of a variable's value gets out.
fn meant<T>(problem: Problem, written: &str, known: &[Placed<T>]) -> Problem {
    match nearest(written, known.iter().map(|item| item.written.as_str())) {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem,
    }
}

fn open_to_all(s: &Section<'_>, candidate: &ties::Candidate) {
    let route = &candidate.route;
    let everything = matches!(&route.path, PathPattern::Prefix(path) if path.as_ref() == "/");
    if route.auth == Auth::Public && everything && route.hosts.is_empty() {
        let message = format!(
            "route `{}` lets everybody through to every host and path that no other route has",
            shown(&candidate.name)
        );
        s.tell(
            Problem::warning(candidate.path_at, message)
                .help("if this is not meant, write auth: required, or a narrower path"),
        );
    }
}
