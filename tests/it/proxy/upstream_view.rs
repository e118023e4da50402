//! What the upstream receives: the request as sent, less what is not its business, plus what only the gateway can say.

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Received, Upstream};

const REQUIRED: &str = "routes: [{ name: all, match: { path_prefix: / }, upstream: api }]";

/// What a client might send to be taken for somebody else.
const SPOOFED: &str = "X-Auth-Subject: admin\r\nx-auth-credential: admin\r\nX-AUTH-CLIENT: admin\r\nX-Auth-Scopes: all\r\n\
    X-Auth-Method: api_key\r\nX-Auth-Assertion: a.b.c\r\nX_Auth_Subject: admin\r\nX.Auth.Subject: admin\r\n\
    X_Auth-Subject: admin\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\
    X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /evil\r\nX-Forwarded-Server: evil\r\n\
    X-Forwarded-Anything: evil\r\nX_Forwarded_For: 1.2.3.4\r\nX_Forwarded_Proto: https\r\nX-Real-IP: 1.2.3.4\r\nX_Real_IP: 1.2.3.4\r\n\
    X-Original-URL: /evil\r\nX-Original-Method: GET\r\nX-Rewrite-URL: /evil\r\nX-Client-IP: 1.2.3.4\r\n\
    True-Client-IP: 1.2.3.4\r\n";

/// Names without `traceparent`, which may or may not be there.
fn names(request: &Received) -> Vec<String> {
    request.names().into_iter().filter(|name| name != "traceparent").collect()
}

#[tokio::test]
async fn an_admitted_request_carries_exactly_its_principal() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, REQUIRED).await;
    let key = gateway.key_with(&["orders:read"]).await;
    let mut raw = gateway.raw().await;
    let request = format!(
        "GET /a HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer {}\r\nX-Mine: 1\r\nX-Mine: 2\r\n{SPOOFED}\r\n",
        key.secret
    );
    let response = raw.ask(request).await;
    assert_eq!(response.status, 200);
    let request = upstream.only_request();
    assert_eq!(
        names(&request),
        [
            "host",
            "x-auth-credential",
            "x-auth-method",
            "x-auth-scopes",
            "x-auth-subject",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-forwarded-proto",
            "x-mine",
            "x-mine",
            "x-request-id",
        ]
    );
    for (name, value) in [
        ("host", "api.example.com"),
        ("x-auth-credential", key.id.as_str()),
        ("x-auth-method", "api_key"),
        ("x-auth-scopes", "orders:read"),
        ("x-auth-subject", gateway.account().await),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "api.example.com"),
        ("x-forwarded-port", &gateway.public().port().to_string()),
        ("x-forwarded-proto", "http"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(request.all("x-mine"), ["1", "2"]);
    assert_eq!(request.header("x-request-id"), response.header("x-request-id"));
    let raw = &upstream.connections()[0].raw;
    assert!(crate::support::find(raw, key.secret.as_bytes()).is_none(), "the key reached the upstream");
}

#[tokio::test]
async fn an_anonymous_request_carries_no_principal() {
    let upstream = Upstream::echo().await;
    let optional = "routes: [{ name: all, match: { path_prefix: / }, auth: optional, upstream: api }]";
    for routes in [PUBLIC, optional] {
        let gateway = Gateway::with(&upstream, routes).await;
        let mut raw = gateway.raw().await;
        assert_eq!(raw.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{SPOOFED}\r\n")).await.status, 200);
        let request = upstream.requests().pop().unwrap();
        assert_eq!(
            names(&request),
            [
                "host",
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-port",
                "x-forwarded-proto",
                "x-request-id"
            ],
            "{routes}"
        );
    }
}

#[tokio::test]
async fn a_public_route_passes_no_credential_on_unless_it_says_so() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    gateway.anonymous().request("GET", "/").header("Authorization", "Basic eDp5").send().await;
    assert_eq!(upstream.requests()[0].header("authorization"), None);
    let forwarding = "routes: [{ name: all, match: { path_prefix: / }, auth: public, forward_credential: true, upstream: api }]";
    let gateway = Gateway::with(&upstream, forwarding).await;
    gateway.anonymous().request("GET", "/").header("Authorization", "Basic eDp5").send().await;
    assert_eq!(upstream.requests()[1].header("authorization"), Some("Basic eDp5"));
}

#[tokio::test]
async fn fields_between_neighbours_end_at_the_gateway() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Private, X-Forwarded-For, X-Auth-Subject\r\n\
                   X-Private: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\n\
                   TE: trailers\r\nTrailer: X-T\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nX-Public: 1\r\n\r\n";
    let response = raw.ask(request).await;
    if response.status == 400 {
        // `Upgrade: h2c` may be refused outright.
        raw = gateway.raw().await;
        let without = request.replace("Upgrade: h2c\r\n", "");
        assert_eq!(raw.ask(without).await.status, 200);
    }
    let received = upstream.only_request();
    for name in [
        "x-private",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "trailer",
        "upgrade",
        "http2-settings",
    ] {
        assert_eq!(received.header(name), None, "{name}");
    }
    assert_eq!(received.header("x-public"), Some("1"));
    assert_eq!(received.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_trusted_peer_is_believed_about_its_client() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, &format!("trusted_proxies: [127.0.0.0/8]\n{PUBLIC}")).await;
    let mut client = gateway.anonymous();
    let request = client
        .request("GET", "/")
        .header("X-Forwarded-For", "198.51.100.7")
        .header("X-Forwarded-Proto", "https");
    let response = request
        .header("X-Forwarded-Host", "shop.example.com")
        .header("X-Request-Id", "abc-1.2_3")
        .send()
        .await;
    assert_eq!(response.header("x-request-id"), Some("abc-1.2_3"));
    let received = upstream.only_request();
    assert_eq!(received.header("x-forwarded-for"), Some("198.51.100.7, 127.0.0.1"));
    assert_eq!(received.header("x-forwarded-proto"), Some("https"));
    assert_eq!(received.header("x-forwarded-host"), Some("shop.example.com"));
    assert_eq!(received.header("x-request-id"), Some("abc-1.2_3"));
}

#[tokio::test]
async fn a_strangers_request_id_is_replaced() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    let response = client.request("GET", "/").header("X-Request-Id", "mine").send().await;
    let id = response.header("x-request-id").unwrap();
    assert_ne!(id, "mine");
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{id} is no UUIDv7");
    assert_eq!(upstream.only_request().header("x-request-id"), Some(id));
}

#[tokio::test]
async fn the_path_that_is_matched_is_the_path_that_is_forwarded() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for (sent, received) in [
        ("/", "/"),
        ("/a/", "/a/"),
        ("/%61%7E%2D", "/a~-"),
        ("/%c3%bc", "/%C3%BC"),
        ("/a%20b", "/a%20b"),
        ("/a?%61=%2f&&b#".trim_end_matches('#'), "/a?%61=%2f&&b"),
        ("/a?", "/a?"),
        ("/a??/../x", "/a??/../x"),
        ("/!$&'()*+,=:@", "/!$&'()*+,=:@"),
    ] {
        assert_eq!(gateway.anonymous().get(sent).await.json()["target"], received, "{sent}");
    }
}

#[tokio::test]
async fn a_route_chooses_the_host_that_the_upstream_receives() {
    let upstream = Upstream::echo().await;
    let own = upstream.address().to_string();
    for (rule, expected) in
        [("client", "sent.example"), ("upstream", own.as_str()), ("fixed.example", "fixed.example")]
    {
        let routes = format!(
            "routes: [{{ name: all, match: {{ path_prefix: / }}, auth: public, host: {rule}, upstream: api }}]"
        );
        let gateway = Gateway::with(&upstream, &routes).await;
        gateway.anonymous().with_host("sent.example").get("/").await;
        let received = upstream.requests().pop().unwrap();
        assert_eq!(received.header("host"), Some(expected));
        assert_eq!(received.header("x-forwarded-host"), Some("sent.example"));
    }
}

#[tokio::test]
async fn trailers_cannot_name_a_principal() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Auth-Subject\r\n\r\n\
                   1\r\na\r\n0\r\nX-Auth-Subject: admin\r\nX_Forwarded_For: 1.2.3.4\r\nContent-Length: 5\r\n\r\n";
    assert!([200, 400].contains(&raw.ask(request).await.status));
    let trailers: Vec<_> = upstream.requests().into_iter().flat_map(|request| request.trailers).collect();
    assert_eq!(trailers, []);
}
