//! Every refusal that a client can be given, in every format.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};
use keyward::issuer::{Expiry, NewKey};

use crate::support::gateway::Gateway;
use crate::support::keys::{account, origin};
use crate::support::raw::{Ending, Raw, Response};
use crate::support::upstream::{Answer, Blackhole, Upstream, refusing};

const JSON: &str = "application/problem+json";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// A request and what is to be said of it.
struct Case {
    code: Code,
    /// Line and fields after `Host`, without the empty line.
    target: String,
    fields: String,
    /// Beside `Bearer realm="keyward"`; `None` for no challenge at all.
    challenge: Option<String>,
    retry_after: Option<&'static str>,
    allow: Option<&'static str>,
}

fn case(code: Code, target: &str, fields: &str) -> Case {
    let (target, fields) = (target.to_owned(), fields.to_owned());
    Case { code, target, fields, challenge: None, retry_after: None, allow: None }
}

impl Case {
    fn challenge(self, more: &str) -> Self {
        Self { challenge: Some(format!("Bearer realm=\"keyward\"{more}")), ..self }
    }

    fn invalid_token(self, description: &str) -> Self {
        self.challenge(&format!(", error=\"invalid_token\"{description}"))
    }

    fn allow(self, allow: &'static str) -> Self {
        Self { allow: Some(allow), ..self }
    }

    async fn ask(&self, gateway: &Gateway, method: &str, more: &str) -> Response {
        let mut raw = gateway.raw().await;
        let (target, fields) = (&self.target, &self.fields);
        raw.send(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}{more}\r\n")).await;
        raw.answer(method).await.expect("a whole answer")
    }

    /// What every answer has, whatever its format and method.
    fn hold(&self, response: &Response, format: &str) -> String {
        let code = self.code.as_str();
        assert_eq!(response.status, self.code.status(), "{code}: {response:?}");
        assert_eq!(response.header("content-type"), Some(format), "{code}");
        assert_eq!(response.header("cache-control"), Some("no-store"), "{code}");
        assert_eq!(response.header("www-authenticate"), self.challenge.as_deref(), "{code}");
        assert_eq!(response.header("retry-after"), self.retry_after, "{code}");
        assert_eq!(response.header("allow"), self.allow, "{code}");
        response.header("x-request-id").expect("a request id").to_owned()
    }

    async fn in_every_format(&self, gateway: &Gateway) {
        let code = self.code.as_str();
        let json = self.ask(gateway, "GET", "").await;
        self.hold(&json, JSON);
        let detail = json.refused(self.code);
        let html = self.ask(gateway, "GET", "Accept: text/html,*/*;q=0.5\r\n").await;
        let id = self.hold(&html, HTML);
        let text = html.text();
        assert!(text.contains(code) && text.contains(&id) && text.starts_with("<!doctype html>"), "{text}");
        let plain = self.ask(gateway, "GET", "Accept: text/plain\r\n").await;
        let id = self.hold(&plain, TEXT);
        let status = self.code.status();
        assert_eq!(plain.text(), format!("{status} {code}: {detail} (request {id})\n"));
        let head = self.ask(gateway, "HEAD", "").await;
        self.hold(&head, JSON);
        assert_eq!((head.body.len(), head.header("content-length")), (0, json.header("content-length")));
    }
}

fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

/// A key of this account that ends so and is good from here.
async fn key(gateway: &Gateway, account: &str, expiry: Expiry, allowed: &[&str]) -> (String, String) {
    let new = NewKey {
        account: account.to_owned(),
        name: "test".to_owned(),
        scopes: vec!["orders:read".to_owned()],
        expiry,
        allowed_addresses: allowed.iter().map(ToString::to_string).collect(),
    };
    let made = gateway.issuer().create_key(&new, &origin()).await.unwrap();
    (made.key.id, bearer(made.token.expose()))
}

#[tokio::test]
async fn every_refusal_of_a_credential_is_told_in_every_format() {
    let upstream = Upstream::echo().await;
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let routes = "routes:
  - { name: all, match: { path_prefix: / }, upstream: api }
  - { name: write, match: { path_prefix: /write }, auth: { required: { scopes: [\"orders:write\", \"orders:read\"] } }, upstream: api }
";
    let gateway =
        Gateway::builder().upstream("api", &upstream.url()).yaml(routes).clock(&clock).start().await;
    let issuer = gateway.issuer();
    let (a, b) = (account(&issuer, "a@example.com").await, account(&issuer, "b@example.com").await);
    let (_, good) = key(&gateway, &a, Expiry::Default, &[]).await;
    let (revoked, revoked_key) = key(&gateway, &a, Expiry::Default, &[]).await;
    let (_, elsewhere) = key(&gateway, &a, Expiry::Default, &["192.0.2.0/24"]).await;
    let (_, disabled) = key(&gateway, &b, Expiry::Default, &[]).await;
    let (_, expired) = key(&gateway, &a, Expiry::In(Duration::from_secs(1)), &[]).await;
    issuer.revoke_key(&revoked, &origin()).await.unwrap();
    issuer.set_account_status(&b, keyward::store::AccountStatus::Disabled, &origin()).await.unwrap();
    clock.set_wall(clock.now().after(Duration::from_secs(1)));
    let described = |text: &str| format!(", error_description=\"{text}\"");
    let cases = [
        case(Code::MissingCredentials, "/", "").challenge(""),
        case(Code::InvalidRequest, "/", &format!("{good}{good}")).challenge(", error=\"invalid_request\""),
        case(Code::InvalidCredentials, "/", &bearer("junk")).invalid_token(""),
        case(Code::RevokedCredentials, "/", &revoked_key)
            .invalid_token(&described("The credential was revoked")),
        case(Code::RevokedCredentials, "/", &disabled).invalid_token(&described("The account is disabled")),
        case(Code::ExpiredCredentials, "/", &expired).invalid_token(&described("The credential expired")),
        case(Code::InsufficientScope, "/write", &good)
            .challenge(", error=\"insufficient_scope\", scope=\"orders:read orders:write\""),
        case(Code::AddressNotAllowed, "/", &elsewhere),
    ];
    for case in cases {
        case.in_every_format(&gateway).await;
    }
    assert_eq!(upstream.requests(), []);
    assert_eq!(
        gateway
            .anonymous()
            .request("GET", "/")
            .header("Authorization", good[15..].trim())
            .send()
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn every_refusal_of_a_request_is_told_in_every_format() {
    let upstream = Upstream::echo().await;
    let routes = "max: { target: 256, body: 1KiB }
routes:
  - { name: a, match: { path_prefix: /a, methods: [POST, PUT] }, auth: public, upstream: api }
  - { name: b, match: { path: /b, methods: [GET] }, auth: public, upstream: api }
";
    let gateway = Gateway::with(&upstream, routes).await;
    let cases = [
        case(Code::NoRoute, "/nothing", ""),
        case(Code::MethodNotAllowed, "/a", "").allow("POST, PUT"),
        case(Code::AmbiguousPath, "/a/../b", ""),
        case(Code::InvalidHost, "/b", "Host: b\r\n"),
        case(Code::BadRequest, "/b", "Content_Length: 3\r\n"),
        case(Code::TargetTooLong, &format!("/{}", "a".repeat(300)), ""),
        case(Code::BodyTooLarge, "/b", "Content-Length: 1025\r\n"),
    ];
    for case in cases {
        case.in_every_format(&gateway).await;
    }
    assert_eq!(upstream.requests(), []);
}

#[tokio::test]
async fn every_failure_of_an_upstream_is_told_in_every_format() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/hang" => Answer::hang(),
        _ => Answer::bytes("nonsense\r\n\r\n").then_close(),
    })
    .await;
    let (refusing, blackhole) = (refusing().await, Blackhole::start().await);
    let routes = "timeouts: { response_head: 50ms, connect: 50ms }
routes:
  - { name: all, match: { path_prefix: / }, auth: public, upstream: api }
  - { name: refusing, match: { path: /refusing }, auth: public, upstream: refusing }
  - { name: blackhole, match: { path: /blackhole }, auth: public, upstream: blackhole }
";
    let builder = Gateway::builder().upstream("api", &upstream.url()).yaml(routes);
    let builder = builder.upstream("refusing", &format!("http://{refusing}"));
    let gateway = builder.upstream("blackhole", &blackhole.url()).start().await;
    for case in [
        case(Code::UpstreamUnreachable, "/refusing", ""),
        case(Code::UpstreamUnreachable, "/blackhole", ""),
        case(Code::UpstreamProtocolError, "/nonsense", ""),
        case(Code::UpstreamTimeout, "/hang", ""),
    ] {
        case.in_every_format(&gateway).await;
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_a_408_and_the_end() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, "timeouts: { request_head: 50ms }\n").await;
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    let response = raw.response().await;
    response.refused(Code::RequestTimeout);
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(raw.ends().await, Ending::Closed);
}

#[tokio::test]
async fn what_cannot_be_read_gets_its_bare_status_and_the_end() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, "max: { headers: 8KiB }\n").await;
    for (bytes, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(9 << 10)), 431),
    ] {
        let mut raw = gateway.raw().await;
        let _ = raw.try_send(&bytes).await;
        let response = raw.response().await;
        assert_eq!((response.status, response.header("connection")), (status, Some("close")), "{bytes:?}");
        let _ = raw.rest().await;
    }
}

#[tokio::test]
async fn the_format_follows_the_best_q() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    for (accept, format) in [
        ("", JSON),
        ("*/*", JSON),
        ("nonsense", JSON),
        ("image/png", JSON),
        ("application/json", JSON),
        ("application/problem+json", JSON),
        ("text/html", HTML),
        ("text/plain", TEXT),
        ("text/html, application/json", JSON),
        ("text/html;q=0.9, text/plain;q=0.8, */*;q=0.1", HTML),
        ("text/html;q=0.1, text/plain;q=0.2", TEXT),
        ("text/html;q=0, text/plain;q=0.001", TEXT),
        ("text/*, application/json;q=0.5", JSON),
        ("text/*;q=0.5, text/html;q=0.7, application/json;q=0.6", HTML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("TEXT/HTML; Q=1.0", HTML),
    ] {
        let mut client = gateway.anonymous();
        let response = client.request("GET", "/").header("Accept", accept).send().await;
        assert_eq!((response.status, response.header("content-type")), (401, Some(format)), "{accept}");
    }
}

/// A refusal does not wait for a body that may never come, and what follows on the connection is never part of it.
#[tokio::test]
async fn a_refusal_never_waits_for_the_body() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let mut raw: Raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").await;
    raw.response().await.refused(Code::MissingCredentials);
    let _ = raw.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (rest, _) = raw.rest().await;
    assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
}
