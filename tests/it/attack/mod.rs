//! Attacks as tables: each row says what a client sends, what it is answered, and exactly what, if anything, reaches the
//! upstream. After each row a victim's request goes over the same pooled connection and must be answered as its own.

mod bypass;
mod fields;
mod framing;
mod ground;
mod keys;
mod paths;
mod secrets;
mod spellings;
mod spoofing;
mod strict;
mod upgrades;

use std::cell::Cell;

use crate::support::gateway::{Builder, Gateway, Key};
use crate::support::http::Client;
use crate::support::raw::{Broken, Raw, Response};
use crate::support::upstream::{Received, Upstream};

/// Islands that want a credential in a sea that does not: whatever is not recognised as an island is served.
const ROUTES: &str = "
scopes:
  \"orders:read\": { description: Read, default: true }
  \"orders:write\": { description: Write, default: true }
credentials: { basic: true, headers: [X-Api-Key] }
routes:
  - { name: admin, match: { hosts: [a.test], path_prefix: /admin }, auth: { required: { scopes: [\"orders:read\"] } }, upstream: api }
  - { name: write, match: { hosts: [a.test], path_prefix: /write }, auth: { required: { scopes: [\"orders:write\"] } }, upstream: api }
  - { name: exact, match: { hosts: [a.test], path: /exact }, upstream: api }
  - { name: user, match: { hosts: [d.test], path_pattern: \"/users/{id}\" }, upstream: api }
  - { name: all_users, match: { hosts: [d.test], path: /users }, auth: public, upstream: api }
  - { name: only, match: { hosts: [a.test], path_prefix: /only, methods: [GET, POST] }, upstream: api }
  - { name: optional, match: { hosts: [a.test], path_prefix: /opt }, auth: optional, upstream: api }
  - { name: forwarded, match: { hosts: [a.test], path_prefix: /fwd }, auth: optional, forward_credential: true, upstream: api }
  - { name: own_host, match: { hosts: [a.test], path_prefix: /own }, auth: public, host: upstream, upstream: api }
  - { name: fixed_host, match: { hosts: [a.test], path_prefix: /fixed }, auth: public, host: inner.test, upstream: api }
  - { name: sea, match: { hosts: [a.test], path_prefix: / }, auth: public, upstream: api }
  - { name: loose_admin, match: { hosts: [b.test], path_prefix: /admin }, upstream: api }
  - { name: loose_vault, match: { hosts: [b.test], path: /vault }, upstream: api }
  - { name: loose_get, match: { hosts: [b.test], path_prefix: /get, methods: [GET] }, auth: public, upstream: api }
  - name: loose_file
    match: { hosts: [d.test], path_pattern: \"/files/{id}\" }
    path: { allow: [encoded_slash, encoded_percent] }
    upstream: api
  - name: loose
    match: { hosts: [b.test], path_prefix: / }
    auth: public
    path: { allow: [encoded_slash, double_slash, semicolon, encoded_percent, backslash, non_utf8] }
    upstream: api
";

/// A gateway with every kind of route, before an upstream that keeps everything it receives.
struct Stand {
    upstream: Upstream,
    gateway: Gateway,
    key: Key,
    victims: Cell<usize>,
}

/// What came of one attack.
struct Outcome {
    /// One for each request that was taken for one.
    answers: Vec<Response>,
    /// What reached the upstream.
    forwarded: Vec<Received>,
}

impl Outcome {
    /// Statuses with their codes: `200`, `401 missing_credentials`, `400` for a bare one.
    fn answered(&self) -> Vec<String> {
        self.answers.iter().map(verdict).collect()
    }

    /// Method, target and body of each request that reached the upstream.
    fn received(&self) -> Vec<String> {
        let shown = |request: &Received| {
            let body = String::from_utf8_lossy(&request.body);
            let body = if body.is_empty() { String::new() } else { format!(" [{body}]") };
            format!("{} {}{body}", request.method, request.target)
        };
        self.forwarded.iter().map(shown).collect()
    }
}

/// The routes by pattern are a host's of their own: a prefix, `/` too, is preferred to every pattern.
const PATTERNS: &str = "d.test";

fn verdict(answer: &Response) -> String {
    match answer.header("content-type") {
        Some("application/problem+json") => {
            format!("{} {}", answer.status, answer.json()["code"].as_str().unwrap())
        }
        _ => answer.status.to_string(),
    }
}

impl Stand {
    async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let upstream = Upstream::echo().await;
        let builder = Gateway::builder().upstream("api", &upstream.url()).yaml(ROUTES);
        let gateway = change(builder).start().await;
        let key = gateway.key_with(&["orders:read"]).await;
        Self { upstream, gateway, key, victims: Cell::new(0) }
    }

    /// Sends these bytes and, behind them on the same connection, a request that ends it; then a victim's request.
    async fn attack(&self, bytes: impl AsRef<[u8]>) -> Outcome {
        let before = self.upstream.requests().len();
        let method = if bytes.as_ref().starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        let mut raw = self.gateway.raw().await;
        let end = b"GET /the-end HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        // Refused, it may be closed before all of it is taken.
        let _ = raw.try_send([bytes.as_ref(), end].concat()).await;
        let answers = every_answer(&mut raw, method).await;
        let mut forwarded = self.upstream.requests().split_off(before);
        if forwarded.last().is_some_and(|last| last.target == "/the-end") {
            forwarded.pop();
        }
        forwarded.iter().for_each(strict::has_one_reading);
        self.victim_is_well().await;
        Outcome { answers, forwarded }
    }

    /// Sends one request without a body and gives its own answer alone.
    async fn ask(&self, head: &str) -> Outcome {
        let mut outcome = self.attack(format!("{head}\r\n\r\n")).await;
        if outcome.answers.len() == 2 {
            assert_eq!(outcome.answers.pop().unwrap().status, 200, "the end of {head:?}");
        }
        assert_eq!(outcome.answers.len(), 1, "{head:?}: {:?}", outcome.answers);
        outcome
    }

    async fn victim_is_well(&self) {
        let number = self.victims.get();
        self.victims.set(number + 1);
        let target = format!("/admin/victim/{number}");
        let mut client = Client::new(self.gateway.public()).with_host("a.test").with_key(&self.key.secret);
        let answer = client.get(&target).await;
        assert_eq!((answer.status, answer.json()["target"].as_str()), (200, Some(target.as_str())));
        let last = self.upstream.requests().pop().unwrap();
        assert_eq!(
            (last.target.as_str(), last.connection),
            (target.as_str(), 0),
            "not on the pooled connection"
        );
    }
}

async fn every_answer(raw: &mut Raw, method: &str) -> Vec<Response> {
    let mut answers = Vec::new();
    let mut method = method;
    loop {
        match raw.answer(method).await {
            Ok(answer) => answers.push(answer),
            Err(Broken::Nothing(_)) => return answers,
            Err(other) => panic!("{other:?} after {answers:?}"),
        }
        method = "GET";
    }
}
