//! What a route is: what it matches, who may pass, and what becomes of a request that does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::upstream::Retries;
use crate::auth::refusal::{Ambiguity, Code};
use crate::auth::scope::ScopeSet;
use crate::limits::Rates;
use crate::message::fields;
use crate::web::cors::Cors;
use crate::web::own_body::OwnBody;

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name in metrics and logs.
    pub name: Arc<str>,
    /// The hosts it serves; empty = any.
    pub hosts: Vec<HostPattern>,
    /// The path it serves, in canonical form.
    pub path: PathPattern,
    /// Whether its path is the same in upper and lower case.
    pub ignore_case: bool,
    /// The methods it serves; empty = any. `GET` brings `HEAD` with it.
    pub methods: Vec<Method>,
    /// Who may pass.
    pub auth: Auth,
    /// Whether the client's certificate is its credential where a request carries none.
    pub certificate: bool,
    /// What becomes of a request that has passed.
    pub served: Served,
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
    /// What few routes have; `None` = nothing of it.
    pub extras: Option<Box<Extras>>,
}

/// What a route does besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Fields of requests that are changed on their way up.
    pub request_fields: FieldChanges,
    /// Fields of answers that are changed on their way down.
    pub response_fields: FieldChanges,
    /// Which pages of other origins may use it.
    pub cors: Option<Box<Cors>>,
    /// Bodies of its refusals.
    pub errors: Vec<OwnBody>,
    /// Where some requests go instead; the first that holds.
    pub conditions: Vec<Condition>,
}

/// Another way for requests with certain fields. Who may pass, and how often, is no matter of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What their fields must be like, all of it.
    pub when: Box<[FieldTest]>,
    /// Where they go.
    pub way: Way,
}

/// What one field must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTest {
    /// Its name.
    pub field: HeaderName,
    /// What is asked of it.
    pub test: Test,
}

/// What is asked of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Its one value is this.
    Equals(HeaderValue),
    /// Its one value begins so.
    Prefix(HeaderValue),
    /// Whether it is there.
    Present(bool),
}

impl Condition {
    fn holds(&self, asked: &HeaderMap) -> bool {
        self.when.iter().all(|test| test.holds(asked))
    }
}

impl FieldTest {
    /// A field that is there several times has no value of which everybody thinks the same.
    fn holds(&self, asked: &HeaderMap) -> bool {
        let mut values = asked.get_all(&self.field).iter();
        let only = values.next().filter(|_| values.next().is_none());
        match &self.test {
            Test::Equals(value) => only == Some(value),
            Test::Prefix(start) => only.is_some_and(|value| value.as_bytes().starts_with(start.as_bytes())),
            Test::Present(present) => asked.contains_key(&self.field) == *present,
        }
    }
}

/// Fields that are set or taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldChanges {
    /// Names and values; whatever else has such a name is taken away.
    pub set: Box<[(HeaderName, HeaderValue)]>,
    /// Names that are taken away.
    pub remove: Box<[HeaderName]>,
}

impl FieldChanges {
    /// Whether a field with this name, in whatever spelling, is not what its sender made it.
    #[must_use]
    pub fn concern(&self, name: &HeaderName) -> bool {
        let set = self.set.iter().map(|(name, _)| name);
        set.chain(&self.remove).any(|other| fields::is_same(other.as_str(), name.as_str()))
    }
}

impl Route {
    /// The first condition that holds for a request with these fields.
    #[must_use]
    pub fn condition(&self, asked: &HeaderMap) -> Option<usize> {
        let extras = self.extras.as_ref()?;
        extras.conditions.iter().position(|condition| condition.holds(asked))
    }

    /// The way to its upstream, where `condition` holds if one does; `None` where Keyward answers itself.
    #[must_use]
    pub fn way(&self, condition: Option<usize>) -> Option<&Way> {
        let Served::Upstream(way) = &self.served else { return None };
        let extras = condition.and_then(|index| Some((index, self.extras.as_ref()?)));
        let other = extras.and_then(|(index, extras)| extras.conditions.get(index));
        Some(other.map_or(way, |condition| &condition.way))
    }

    /// What its path becomes, where `condition` holds if one does.
    #[must_use]
    pub fn rewrite(&self, condition: Option<usize>) -> Option<&Rewrite> {
        match &self.served {
            Served::Upstream(_) => self.way(condition)?.rewrite.as_deref(),
            Served::Redirect(redirect) => redirect.rewrite.as_ref(),
            Served::Answer(_) => None,
        }
    }

    /// The body of its refusals with this code, if it has one of its own.
    #[must_use]
    pub fn own_body(&self, code: Code) -> Option<&OwnBody> {
        OwnBody::of(&self.extras.as_ref()?.errors, code)
    }

    /// Which pages of other origins may use it.
    #[must_use]
    pub fn cors(&self) -> Option<&Cors> {
        self.extras.as_ref()?.cors.as_deref()
    }

    /// Whether any of its requests goes to the upstream with this index.
    #[must_use]
    pub fn leads_to(&self, upstream: usize) -> bool {
        self.ways().any(|way| way.upstream == upstream)
    }

    /// Every way that some of its requests go.
    pub fn ways(&self) -> impl Iterator<Item = &Way> {
        let others = self.extras.iter().flat_map(|extras| &extras.conditions);
        self.way(None).into_iter().chain(others.map(|condition| &condition.way))
    }
}

/// By whom a request is answered that has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// By an upstream.
    Upstream(Way),
    /// By Keyward, which sends it elsewhere.
    Redirect(Box<Redirect>),
    /// By Keyward, with what is always the same.
    Answer(Box<FixedAnswer>),
}

/// The way to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Index into [`Config::upstreams`](super::Config::upstreams).
    pub upstream: usize,
    /// What the path becomes; `None` = it stays as it is.
    pub rewrite: Option<Box<Rewrite>>,
    /// How long it may take.
    pub times: Times,
    /// How requests are sent again; `None` = as the upstream says.
    pub retries: Option<Retries>,
}

/// The path that is asked for in place of the one that was matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// The beginning is another.
    Prefix {
        /// So many bytes of it, whole segments.
        strip: usize,
        /// What stands there instead; no slash at its end.
        instead: Box<str>,
    },
    /// All of it is made of these.
    Path(Box<[Piece]>),
}

/// A part of a path that is made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This text; begins with `/`.
    Text(Box<str>),
    /// The segment of the matched path at this place, from 0.
    Segment(usize),
    /// All segments of the matched path from this place on.
    Rest(usize),
}

/// Where a client is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// An absolute URL, or a path on the same host.
    pub to: Box<str>,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// Whether the path of the request follows.
    pub keep_path: bool,
    /// Whether its query does.
    pub keep_query: bool,
    /// What becomes of that path first.
    pub rewrite: Option<Rewrite>,
}

/// What is always the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedAnswer {
    /// Its status.
    pub status: StatusCode,
    /// What its body is.
    pub content_type: HeaderValue,
    /// Its body.
    pub body: Bytes,
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

impl PathPattern {
    /// The same in lower case (of ASCII), the names of placeholders included.
    #[must_use]
    pub fn in_lower_case(&self) -> Self {
        let lower = |text: &str| text.to_ascii_lowercase().into();
        match self {
            Self::Exact(text) => Self::Exact(lower(text)),
            Self::Prefix(text) => Self::Prefix(lower(text)),
            Self::Pattern(text) => Self::Pattern(lower(text)),
        }
    }
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
