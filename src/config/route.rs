//! What a route is: what it matches, who may pass, and what becomes of a request that does.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method};

use crate::auth::refusal::Ambiguity;
use crate::auth::scope::ScopeSet;
use crate::limits::Rates;

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name in metrics and logs.
    pub name: Arc<str>,
    /// The hosts it serves; empty = any.
    pub hosts: Vec<HostPattern>,
    /// The path it serves, in canonical form.
    pub path: PathPattern,
    /// The methods it serves; empty = any. `GET` brings `HEAD` with it.
    pub methods: Vec<Method>,
    /// Who may pass.
    pub auth: Auth,
    /// Where its requests go.
    pub way: Way,
    /// Bytes of a request's body; `None` = no limit.
    pub max_body: Option<u64>,
    /// What the upstream receives as `Host`.
    pub host: HostField,
    /// Ambiguities that this route's backend reads as Keyward does.
    pub allow: Vec<Ambiguity>,
    /// Whether the upstream receives the credential itself.
    pub forward_credential: bool,
    /// Whether the upstream receives a signed assertion of the principal.
    pub assertion: bool,
    /// Protocols that a connection may be upgraded to, in lower case, such as `websocket`.
    pub upgrades: Vec<Box<str>>,
    /// Where else the handshake of a WebSocket may carry its credential.
    pub websocket_credential: WebsocketCredential,
    /// How much each account may on it.
    pub limits: Arc<Rates>,
    /// How many requests one of its requests counts as.
    pub cost: u32,
}

/// How a request is served that has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Index into [`Config::upstreams`](super::Config::upstreams).
    pub upstream: usize,
    /// How long it may take.
    pub times: Times,
}

/// The limits of time that a request has once its route is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// Between pieces of its body.
    pub request_body_idle: Duration,
    /// Making a connection to an endpoint.
    pub connect: Duration,
    /// Request sent → end of the answer's fields.
    pub response_head: Duration,
    /// Between pieces of the answer's body, whichever side is slow.
    pub response_body_idle: Duration,
    /// All of it; `None` = no limit.
    pub total: Option<Duration>,
    /// Between bytes in a tunnel, in either direction.
    pub tunnel_idle: Duration,
}

/// Where the handshake of a WebSocket may carry its credential, besides the places that every request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebsocketCredential {
    /// Nowhere.
    None,
    /// As `keyward.bearer.KEY` among the subprotocols it offers: all that a browser's WebSocket can send.
    Subprotocol,
}

/// A host as a route names it: lower case, without port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `api.example.com`.
    Exact(Box<str>),
    /// `*.example.com`, kept as `.example.com`: any name that ends so and has at least one more label.
    Wildcard(Box<str>),
}

/// A path as a route names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// This path alone.
    Exact(Box<str>),
    /// This path and everything under it, by whole segments. `/` matches everything.
    Prefix(Box<str>),
    /// Segments, some of them `{name}` (any one segment), the last perhaps `{*name}` (any rest).
    Pattern(Box<str>),
}

/// Who may pass a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Everybody; credentials are not looked at.
    Public,
    /// Whoever sends none, and whoever sends one that holds.
    Optional(ScopeSet),
    /// Whoever sends one that holds and has all these scopes.
    Required(ScopeSet),
}

/// What the upstream receives as `Host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostField {
    /// What the client sent.
    Client,
    /// The endpoint's own authority.
    Upstream,
    /// A fixed name.
    Fixed(HeaderValue),
}
