//! Every kind of route, each on a host of its own where `/admin` wants a scope and all around it is open to everybody, and
//! every way to come to it.

use std::net::SocketAddr;

use super::strict;
use crate::support::frames::{Frames, Outcome, window};
use crate::support::gateway::{Builder, Gateway, Key};
use crate::support::raw::{Broken, Raw};
use crate::support::upstream::{Received, Upstream};

/// What a way to come in says first, where that is what makes it one.
pub const ANNOUNCED: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 4660 443\r\n";

/// How much of a host is behind `/admin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything under it, too.
    Prefix,
    /// That path alone.
    Exact,
    /// `admin` in whatever folder.
    Pattern,
}

/// Who answers who may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    Upstream,
    Here,
}

/// One kind of route.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    pub extent: Extent,
    pub served: Served,
    /// Keys of the protected route, its upstream included.
    admin: &'static str,
    /// Whether the protected path is the same in upper and lower case.
    any_case: bool,
    /// Whether a client certificate would do there.
    by_certificate: bool,
    /// `path` of what is all around.
    around: &'static str,
}

const fn kind(name: &'static str, admin: &'static str) -> Kind {
    Kind {
        name,
        extent: Extent::Prefix,
        served: Served::Upstream,
        admin,
        any_case: false,
        by_certificate: false,
        around: "",
    }
}

const fn here(name: &'static str, admin: &'static str) -> Kind {
    Kind { served: Served::Here, ..kind(name, admin) }
}

const fn loose(name: &'static str, around: &'static str) -> Kind {
    Kind { around, ..kind(name, "upstream: api") }
}

const ALL: &str = "[encoded_slash, double_slash, semicolon, encoded_percent, backslash, non_utf8]";

/// Every one.
pub const KINDS: &[Kind] = &[
    kind("prefix", "upstream: api"),
    Kind { extent: Extent::Exact, ..kind("exact", "upstream: api") },
    Kind { extent: Extent::Pattern, ..kind("pattern", "upstream: api") },
    here("answer", "answer: { status: 200, body: within }"),
    here("redirect", "redirect: { to: /elsewhere, status: 307, keep_path: true, keep_query: true }"),
    kind("strip", "upstream: api, rewrite: { strip_prefix: /admin }"),
    kind("rewrite", "upstream: api, rewrite: { prefix: /internal }"),
    kind(
        "conditions",
        "upstream: api, conditions: [{ when: [{ field: X-Canary, present: true }], upstream: canary }]",
    ),
    kind("forwarding", "upstream: api, forward_credential: true"),
    kind("own_host", "upstream: api, host: upstream"),
    kind("fixed_host", "upstream: api, host: inner.test"),
    kind("cors", "upstream: api, cors: { origins: [\"https://app.test\"] }"),
    kind("fields", "upstream: api, request_fields: { set: { X-Tenant: acme }, remove: [X-Debug] }"),
    kind("assertion", "upstream: api, assertion: true"),
    kind("tunnels", "upstream: api, upgrades: [], max: { body: 1KiB }, timeouts: { response_head: 20s }"),
    kind(
        "trusting",
        "upstream: api, path: { allow: [encoded_slash, double_slash, semicolon, encoded_percent, backslash, non_utf8] }",
    ),
    Kind { any_case: true, ..kind("any_case", "upstream: api") },
    Kind { by_certificate: true, ..kind("certificates", "upstream: api") },
    loose("encoded_slash", "[encoded_slash]"),
    loose("double_slash", "[double_slash]"),
    loose("semicolon", "[semicolon]"),
    loose("encoded_percent", "[encoded_percent]"),
    loose("backslash", "[backslash]"),
    loose("non_utf8", "[non_utf8]"),
    loose("loose", ALL),
];

impl Kind {
    pub fn host(&self) -> String {
        format!("{}.test", self.name.replace('_', "-"))
    }

    /// What is protected, without the slash before it.
    pub const fn place(&self) -> &'static str {
        match self.extent {
            Extent::Prefix | Extent::Exact => "admin",
            Extent::Pattern => "any/admin",
        }
    }

    /// Whether this path, in canonical form, is behind it.
    pub fn covers(&self, path: &str) -> bool {
        let path = if self.any_case { path.to_ascii_lowercase() } else { path.to_owned() };
        match self.extent {
            Extent::Exact => path == "/admin",
            Extent::Prefix => path == "/admin" || path.starts_with("/admin/"),
            Extent::Pattern => path
                .strip_suffix("/admin")
                .is_some_and(|area| area.len() > 1 && area.matches('/').count() == 1),
        }
    }

    /// Whether some of what is refused elsewhere passes around it.
    pub const fn is_loose(&self) -> bool {
        !self.around.is_empty()
    }

    /// Whether the protected route itself lets pass what is refused elsewhere.
    pub fn trusts(&self) -> bool {
        self.admin.contains("allow")
    }

    fn routes(&self) -> String {
        let (host, name, admin) = (self.host(), self.name, self.admin);
        let case = if self.any_case { ", ignore_case: true" } else { "" };
        let certificate = if self.by_certificate { ", certificate: true" } else { "" };
        let auth = format!("auth: {{ required: {{ scopes: [\"orders:read\"]{certificate} }} }}");
        let matched = match self.extent {
            Extent::Prefix => "path_prefix: /admin",
            Extent::Exact => "path: /admin",
            Extent::Pattern => "path_pattern: \"/{area}/admin\"",
        };
        let around = if self.around.is_empty() {
            String::new()
        } else {
            format!(", path: {{ allow: {} }}", self.around)
        };
        let open = |name: &str, matched: &str, auth: &str| {
            format!(
                "  - {{ name: {name}, match: {{ hosts: [{host}], {matched} }}, auth: {auth}, upstream: api{around} }}\n"
            )
        };
        // A prefix is preferred to every pattern, so that around a pattern are patterns.
        let sea = match self.extent {
            Extent::Pattern => {
                open("pattern_root", "path: /", "public")
                    + &open("pattern_sea", "path_pattern: \"/{*all}\"", "public")
            }
            _ => open(&format!("{name}_sea"), "path_prefix: /", "public"),
        };
        let optional = open(&format!("{name}_optional"), "path: /optional", "optional");
        format!(
            "  - {{ name: {name}, match: {{ hosts: [{host}], {matched}{case} }}, {auth}, {admin} }}\n{optional}{sea}"
        )
    }
}

/// By what way a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Http1,
    /// Behind a balancer that says who it is.
    Announced,
    Http2,
}

/// A gateway with every kind of route, before an upstream that keeps everything it receives.
pub struct Ground {
    pub upstream: Upstream,
    pub gateway: Gateway,
    /// With the scope.
    pub key: Key,
    /// Without it.
    pub poor: Key,
}

impl Ground {
    pub async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let upstream = Upstream::echo().await;
        let routes: String = KINDS.iter().map(Kind::routes).collect();
        let builder = Gateway::builder().upstream("api", &upstream.url()).upstream("canary", &upstream.url());
        // Not on the hosts of the routes: it is there for assertions to be signed.
        let identity = "identity: { public_url: http://auth.test, insecure_http: true, console: false }";
        let builder = builder.behind("[127.0.0.0/8]").yaml(&format!("{identity}\nroutes:\n{routes}"));
        let gateway = change(builder).start().await;
        let key = gateway.key_with(&["orders:read"]).await;
        let poor = gateway.key_with(&["orders:write"]).await;
        Self { upstream, gateway, key, poor }
    }

    fn address(&self, way: Way) -> SocketAddr {
        if way == Way::Announced { self.gateway.behind() } else { self.gateway.public() }
    }

    async fn count(&self) -> usize {
        self.upstream.until("a number", |seen| Some(seen.requests.len())).await
    }

    /// What has reached the upstream since.
    async fn since(&self, before: usize) -> Vec<Received> {
        self.upstream.until("requests", |seen| Some(seen.requests[before..].to_vec())).await
    }
}

/// What came of one request.
#[derive(Debug)]
pub struct Came {
    /// The status and, of a refusal, its code; `0` for a stream or connection that was broken off.
    pub verdict: String,
    /// Fields and body, as far as they were read.
    pub answer: String,
    pub request_id: Option<String>,
    pub received: Vec<Received>,
}

/// A client of one way.
pub struct Comer<'g> {
    ground: &'g Ground,
    pub way: Way,
    raw: Option<Raw>,
    frames: Option<(Frames, u32)>,
}

impl<'g> Comer<'g> {
    pub const fn new(ground: &'g Ground, way: Way) -> Self {
        Self { ground, way, raw: None, frames: None }
    }

    /// Whom upstreams are told of.
    pub fn client(&self) -> &'static str {
        if self.way == Way::Announced { "192.0.2.7" } else { "127.0.0.1" }
    }

    /// Sends these bytes, one request of HTTP/1.1.
    pub async fn send(&mut self, request: &str) -> Came {
        let before = self.ground.count().await;
        let mut raw = match self.raw.take() {
            Some(raw) => raw,
            None => {
                let mut raw = Raw::connect(self.ground.address(self.way)).await;
                if self.way == Way::Announced {
                    raw.send(ANNOUNCED).await;
                }
                raw
            }
        };
        // Refused, it may be closed before all of it is taken.
        let _ = raw.try_send(request).await;
        let method = if request.starts_with("HEAD ") { "HEAD" } else { "GET" };
        let answer = match raw.answer(method).await {
            Ok(answer) => answer,
            Err(Broken::Nothing(_)) => panic!("no answer to {request:?}"),
            Err(broken) => panic!("{broken:?} to {request:?}"),
        };
        let received = self.ground.since(before).await;
        let close = answer.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close"));
        if !close && !request.contains("chunked") {
            self.raw = Some(raw);
        }
        let answered = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
        let request_id = answer.header("x-request-id").map(str::to_owned);
        // A refusal of HEAD tells no code.
        let verdict = if method == "HEAD" { answer.status.to_string() } else { super::verdict(&answer) };
        Came { verdict, answer: answered, request_id, received }
    }

    /// Sends these frames, `bytes` made for the stream that they are told.
    pub async fn exchange(&mut self, bytes: impl FnOnce(u32) -> Vec<u8>) -> Came {
        let before = self.ground.count().await;
        let (mut frames, stream) = match self.frames.take() {
            Some(frames) => frames,
            None => (Frames::connect(self.ground.address(self.way)).await, 1),
        };
        let mut request = bytes(stream);
        request.extend(window(0, 32 * 1024));
        let outcome = frames.ask(stream, request).await;
        let received = self.ground.since(before).await;
        let (status, body) = match outcome {
            Outcome::Answer(status, body) => {
                self.frames = Some((frames, stream + 2));
                (status, body)
            }
            Outcome::Reset(_) => {
                self.frames = Some((frames, stream + 2));
                (0, Vec::new())
            }
            Outcome::Goaway(_) | Outcome::Ended(_) => (0, Vec::new()),
        };
        let answer = String::from_utf8_lossy(&body).into_owned();
        let json: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        let verdict = match json["code"].as_str() {
            Some(code) => format!("{status} {code}"),
            None => status.to_string(),
        };
        Came { verdict, answer, request_id: None, received }
    }
}

impl Came {
    /// The only request that reached the upstream, which has one reading.
    #[track_caller]
    pub fn forwarded(&self, case: &str) -> &Received {
        assert_eq!((self.verdict.as_str(), self.received.len()), ("200", 1), "{case}: {self:?}");
        let mut request = self.received[0].clone();
        // Where it is due is for the case to say.
        request.headers.retain(|(name, _)| name != "x-auth-assertion");
        strict::has_one_reading(&request);
        &self.received[0]
    }
}

/// Judges cases one after the other and tells of all that are wrong, not of the first alone.
#[derive(Default)]
pub struct Verdicts(Vec<String>);

impl Verdicts {
    /// Runs what panics where a case is not as it should be.
    pub fn judge(&mut self, judge: impl FnOnce()) {
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(judge)) {
            self.0.push(panic.downcast_ref::<String>().map_or("a panic", String::as_str).to_owned());
        }
    }
}

impl Drop for Verdicts {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0.is_empty(), "{} cases are wrong:\n{}", self.0.len(), self.0.join("\n"));
        }
    }
}
