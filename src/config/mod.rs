//! The configuration: text → checked values, with every problem told at once and at its place.
//!
//! The structures here are what runs; everything in them has been checked, every name resolved, every default set.
//!
//! ```text
//! source ← yaml ← expand          text → a tree that knows its places, variables put in
//! kind                            what a scalar can be
//! section ← sections/*            one declaration per key: read a file, or describe the keys
//! read, reader                    how a section is read
//! describe → schema, example      what is made of the description
//! problem, suggest                what is said when something is wrong
//! load                            the way through all of these
//! ```

mod describe;
mod example;
mod expand;
mod identity;
mod kind;
mod load;
mod problem;
mod read;
mod reader;
mod route;
mod schema;
mod section;
mod sections;
mod source;
mod suggest;
mod tls;
mod upstream;
mod yaml;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

use crate::auth::catalogue::Catalogue;
use crate::auth::certificate::Accounts;
use crate::auth::credential::Basic;
use crate::auth::jwt::access_token::Parties;
use crate::auth::scope::Scope;
use crate::auth::token::Prefix;
use crate::limits::{FailureLimit, Plans};
use crate::web::forwarded::Scheme;
use crate::web::own_body::OwnBody;

pub use example::full_example;
pub use identity::{Identity, Passwords, PublicUrl, Reach, Refresh};
pub use kind::time::parse_duration;
pub use load::{Loaded, load, parse};
pub use problem::{Entry, Problems, Severity, Style};
pub use route::{
    Auth, Condition, Extras, FieldChanges, FieldTest, FixedAnswer, HostField, HostPattern, PathPattern,
    Piece, Redirect, Rewrite, Route, Served, Test, Times, Way, WebsocketCredential,
};
pub use schema::schema;
pub use tls::{CertificateFiles, ClientAccount, ClientAuth, Tls, TlsVersion, UpstreamTls};
pub use upstream::{Balance, Ejection, HealthCheck, Retries, UpstreamMax};

/// A whole, valid configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Public listeners. Fixed until a restart, but for what TLS is served by.
    pub listeners: Vec<Listener>,
    /// Peers whose forwarding fields count.
    pub trusted_proxies: Vec<IpNet>,
    /// The admin listener. Fixed until a restart.
    pub admin: Admin,
    /// Where accounts and keys live. Fixed until a restart.
    pub store: Store,
    /// What is issued to whom; `None` = no identity endpoints.
    pub identity: Option<Identity>,
    /// The catalogue of scopes.
    pub scopes: Vec<CatalogueScope>,
    /// How keys are made.
    pub keys: Keys,
    /// Where credentials are read from besides `Authorization: Bearer`.
    pub credentials: Credentials,
    /// Names of the identity fields that upstreams receive.
    pub identity_headers: IdentityHeaders,
    /// Named groups of servers.
    pub upstreams: Vec<Upstream>,
    /// What is matched, in file order.
    pub routes: Vec<Route>,
    /// How many requests whom.
    pub limits: Limits,
    /// The validation cache.
    pub cache: Cache,
    /// Every phase's limit of time.
    pub timeouts: Timeouts,
    /// Every limit of size and number.
    pub max: Max,
    /// Logging.
    pub log: Log,
    /// Ending.
    pub shutdown: Shutdown,
    /// Bodies of refusals.
    pub errors: Errors,
}

impl Config {
    /// The catalogue of scopes as sets.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        let default = self.scopes.iter().filter(|entry| entry.default);
        Catalogue::new(
            self.scopes.iter().map(|entry| entry.scope.clone()).collect(),
            default.map(|entry| entry.scope.clone()).collect(),
        )
    }

    /// Whom the names in clients' certificates stand for.
    #[must_use]
    pub fn client_accounts(&self) -> Accounts {
        let mut accounts = Accounts::default();
        for listener in &self.listeners {
            for known in listener.tls.iter().flat_map(|tls| &tls.client_accounts) {
                accounts.add(&listener.name, known.name.clone(), &known.account);
            }
        }
        accounts
    }

    /// What routes to the upstream with this index say of sending requests again, each once, where they do not go by what
    /// the upstream says.
    #[must_use]
    pub fn retries_to(&self, upstream: usize) -> Vec<Retries> {
        let ways = self.routes.iter().flat_map(Route::ways).filter(|way| way.upstream == upstream);
        let mut found = Vec::new();
        for retries in ways.filter_map(|way| way.retries) {
            if !found.contains(&retries) {
                found.push(retries);
            }
        }
        found
    }

    /// Who issues access tokens and for whom, if anybody does.
    #[must_use]
    pub fn parties(&self) -> Option<Parties> {
        let identity = self.identity.as_ref()?;
        Some(Parties { issuer: identity.public_url.as_str().into(), audience: identity.audience.clone() })
    }
}

/// One public listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name in metrics.
    pub name: Arc<str>,
    /// Where it listens; port 0 takes any free one.
    pub address: SocketAddr,
    /// TLS, which alone is spoken then; `None` = in clear.
    pub tls: Option<Tls>,
    /// Peers that say by the PROXY protocol who the client is.
    pub balancers: Vec<IpNet>,
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
}

/// The embedded store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The database file, absolute or relative to the working directory.
    pub path: PathBuf,
    /// What a commit waits for.
    pub synchronous: Synchronous,
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// The disk: an acknowledged write survives a power cut.
    Full,
    /// The operating system: an acknowledged write survives the process, not a power cut.
    Normal,
}

/// A scope of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueScope {
    /// The scope.
    pub scope: Scope,
    /// In words, for people.
    pub description: String,
    /// Whether an account may have it without being given it.
    pub default: bool,
}

/// How keys are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The first part of every secret made here.
    pub prefix: Prefix,
    /// The life of a key that asks for none.
    pub default_lifetime: Duration,
    /// The longest life a key can have.
    pub max_lifetime: Duration,
    /// How long expired and revoked keys are kept, so that their refusals stay distinct.
    pub keep_dead: Duration,
}

/// Where credentials are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Whether `Basic` is read.
    pub basic: Basic,
    /// Further header fields that may hold a bare credential.
    pub headers: Vec<HeaderName>,
}

/// The names under which upstreams receive who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named for what it carries")]
pub struct IdentityHeaders {
    pub subject: HeaderName,
    pub credential: HeaderName,
    pub client: HeaderName,
    pub scopes: HeaderName,
    pub method: HeaderName,
}

impl IdentityHeaders {
    /// All five names.
    #[must_use]
    pub const fn all(&self) -> [&HeaderName; 5] {
        [&self.subject, &self.credential, &self.client, &self.scopes, &self.method]
    }
}

/// A named group of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its name in routes and metrics.
    pub name: Arc<str>,
    /// What is spoken to its servers.
    pub protocol: UpstreamProtocol,
    /// At least one; all of them by TLS, or none.
    pub endpoints: Vec<Endpoint>,
    /// How those by TLS are connected to.
    pub tls: UpstreamTls,
    /// By what one of them is chosen.
    pub balance: Balance,
    /// How they are asked whether they are well; `None` = not at all.
    pub health: Option<HealthCheck>,
    /// How much may be under way to them.
    pub max: UpstreamMax,
    /// When one that fails gets no requests for a while.
    pub ejection: Ejection,
    /// How requests are sent again.
    pub retries: Retries,
}

/// What is spoken to the servers of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, known beforehand (RFC 9113 §3.3).
    Http2,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// An IP address or a DNS name, without brackets.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
    /// How it is reached.
    pub scheme: Scheme,
}

/// How many requests whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether what is over a limit is refused.
    pub mode: LimitMode,
    /// Of each account.
    pub plans: Plans,
    /// Of each address whose credentials are not valid; `None` = as many as it likes.
    pub failures: Option<FailureLimit>,
    /// Whether answers carry `X-RateLimit-*` as well.
    pub legacy_fields: bool,
}

/// What becomes of a request over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitMode {
    /// It is refused.
    Enforce,
    /// It is told of, and passes.
    Shadow,
}

/// The validation cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Most valid credentials held.
    pub capacity: u64,
    /// Longest life of one.
    pub ttl: Duration,
    /// Most refusals held, apart from the valid.
    pub negative_capacity: u64,
    /// Longest life of one.
    pub negative_ttl: Duration,
    /// How long what was good serves without contact to the store; zero = not at all.
    pub stale_while_unavailable: Duration,
}

/// Every phase's limit of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Accepted connection → first byte.
    pub first_byte: Duration,
    /// First byte of a request → end of its fields.
    pub request_head: Duration,
    /// Between requests on a connection.
    pub idle: Duration,
    /// Between pieces of a request's body.
    pub request_body_idle: Duration,
    /// Making a connection to an endpoint.
    pub connect: Duration,
    /// Request sent → end of the answer's fields.
    pub response_head: Duration,
    /// Between pieces of an answer's body, whichever side is slow.
    pub response_body_idle: Duration,
    /// The whole of a request; `None` = no limit.
    pub total: Option<Duration>,
    /// Keeping an unused connection to an endpoint.
    pub upstream_idle: Duration,
    /// Between bytes in a tunnel, in either direction.
    pub tunnel_idle: Duration,
}

impl Timeouts {
    /// Those of one request, which a route may have of its own.
    #[must_use]
    pub const fn of_requests(&self) -> Times {
        Times {
            request_body_idle: self.request_body_idle,
            connect: self.connect,
            response_head: self.response_head,
            response_body_idle: self.response_body_idle,
            total: self.total,
            tunnel_idle: self.tunnel_idle,
        }
    }
}

/// Every limit of size and number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Max {
    /// Bytes of a request's body; `None` = no limit.
    pub body: Option<u64>,
    /// Bytes of request line and fields together.
    pub headers: usize,
    /// Header fields of a request.
    pub header_count: usize,
    /// Bytes of the request target.
    pub target: usize,
    /// Client connections at once.
    pub connections: usize,
    /// Requests at once on one connection of HTTP/2.
    pub streams: u32,
    /// Requests at once.
    pub in_flight: usize,
    /// Tunnels at once.
    pub tunnels: usize,
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The lowest level that is written.
    pub level: Level,
    /// How lines look.
    pub format: LogFormat,
    /// Where the access log goes. Fixed until a restart.
    pub access: AccessLog,
}

/// The lowest level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the usual levels")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Human,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere.
    Off,
    /// Appended to this file.
    File(PathBuf),
}

/// Ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Still accepting after the signal, so that load balancers notice.
    pub delay: Duration,
    /// Letting requests finish after that.
    pub grace: Duration,
}

/// Bodies of refusals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    /// What stands before the code in `type`.
    pub type_base: String,
    /// The realm of challenges.
    pub realm: String,
    /// Bodies of refusals, where their route has none of its own.
    pub bodies: Vec<OwnBody>,
}
