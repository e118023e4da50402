//! What an upstream of HTTP/2 receives.

use h2::Reason;

use super::{before, with};
use crate::support::gateway::Gateway;
use crate::support::h2_upstream::{Ended, H2Upstream};
use crate::support::{noise, sha256};

#[tokio::test]
async fn a_request_arrives_as_http_2_has_it() {
    let upstream = H2Upstream::echo().await;
    let gateway = Gateway::builder().http2("api", &[&upstream.url()]).start().await;
    let body = noise(200_000);
    let mut client = gateway.client().await.with_host("Api.example.com:8443");
    let response =
        client.request("PATCH", "/v1/a%2db?c=%20&d").header("X-Mine", "1").body(body.clone()).send().await;
    assert_eq!(response.status, 200);
    let request = upstream.only_request();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PATCH", "/v1/a-b?c=%20&d"));
    assert_eq!(request.authority.as_deref(), Some("Api.example.com:8443"));
    assert_eq!(request.scheme.as_deref(), Some("http"));
    assert_eq!((request.ended, sha256(&request.body)), (Some(Ended::Whole), sha256(&body)));
    assert_eq!(request.header("content-length"), Some("200000"));
    assert_eq!((request.header("x-mine"), request.header("x-auth-method")), (Some("1"), Some("api_key")));
    assert_eq!(request.header("x-auth-subject"), Some(gateway.account().await));
    assert_eq!(request.header("x-request-id"), response.header("x-request-id"));
    assert_eq!(request.header("x-forwarded-host"), Some("Api.example.com:8443"));
    assert_eq!(
        request.names(),
        [
            "content-length",
            "x-auth-credential",
            "x-auth-method",
            "x-auth-scopes",
            "x-auth-subject",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-forwarded-proto",
            "x-mine",
            "x-request-id",
        ]
    );
}

#[tokio::test]
async fn who_it_is_for_is_as_the_route_says() {
    let upstream = H2Upstream::echo().await;
    let own = upstream.address().to_string();
    for (rule, expected) in
        [("client", "sent.example"), ("upstream", own.as_str()), ("fixed.example", "fixed.example")]
    {
        let routes = format!(
            "routes: [{{ name: all, match: {{ path_prefix: / }}, auth: public, host: {rule}, upstream: api }}]"
        );
        let gateway = Gateway::builder().http2("api", &[&upstream.url()]).yaml(&routes).start().await;
        gateway.anonymous().with_host("sent.example").get("/").await;
        let request = upstream.requests().pop().unwrap();
        assert_eq!((request.authority.as_deref(), request.header("host")), (Some(expected), None));
    }
}

#[tokio::test]
async fn nothing_speaks_of_a_connection() {
    let upstream = H2Upstream::echo().await;
    let gateway = before(&upstream.url()).await;
    let mut raw = gateway.raw().await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Private, TE\r\nX-Private: 1\r\n\
                   Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\n\
                   TE: trailers, gzip\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nExpect: 100-continue\r\n\
                   X-Auth-Subject: admin\r\nX_Forwarded_For: 1.1.1.1\r\nAuthorization: Bearer x\r\n\
                   Cookie: a=b; c=d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(raw.ask(request).await.status, 200);
    let request = upstream.only_request();
    assert_eq!(
        request.names(),
        [
            "cookie",
            "te",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-forwarded-proto",
            "x-request-id",
        ]
    );
    assert_eq!((request.header("te"), request.header("cookie")), (Some("trailers"), Some("a=b; c=d")));
}

#[tokio::test]
async fn a_requests_trailers_arrive_less_what_a_head_could_not_say() {
    let upstream = H2Upstream::echo().await;
    let gateway = before(&upstream.url()).await;
    let mut raw = gateway.raw().await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Far, X-Auth-Subject\r\n\
                   Connection: x-near\r\n\r\n3\r\nabc\r\n0\r\nX-Far: 1\r\nX-Near: 2\r\nX-Auth-Subject: admin\r\n\
                   Connection: close\r\nContent-Length: 9\r\n\r\n";
    for _ in 0..2 {
        assert_eq!(raw.ask(request).await.json()["body_len"], 3);
    }
    let request = upstream.requests().pop().unwrap();
    assert_eq!(request.header("trailer"), Some("x-far"));
    let trailers = request.trailers.expect("trailers");
    let trailers: Vec<_> = trailers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(trailers, [("x-far", &b"1"[..])]);
}

#[tokio::test]
async fn a_body_reaches_the_upstream_before_it_is_whole() {
    let upstream = H2Upstream::echo().await;
    let gateway = before(&upstream.url()).await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    upstream.until("the first piece", |seen| (seen.requests.first()?.body == b"abc").then_some(())).await;
    raw.send("2\r\nde\r\n0\r\n\r\n").await;
    assert_eq!(raw.response().await.json()["body_sha256"], sha256(b"abcde"));
    let request = upstream.only_request();
    assert_eq!((request.ended, request.header("content-length")), (Some(Ended::Whole), None));
}

#[tokio::test]
async fn every_method_passes_and_head_gets_no_body() {
    let upstream = H2Upstream::serving(|stream| stream.answer(200, &[("content-length", "4")], "body")).await;
    let gateway = before(&upstream.url()).await;
    let mut client = gateway.anonymous();
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "X-OWN"] {
        assert_eq!(client.request(method, "/").body("").send().await.text(), "body", "{method}");
        assert_eq!(upstream.requests().pop().unwrap().method, method);
    }
    let upstream = H2Upstream::serving(async |mut stream| {
        stream.head(200, &[("content-length", "4")], true);
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let head = gateway.anonymous().request("HEAD", "/").send().await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("4"), 0));
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let upstream = H2Upstream::echo().await;
    let gateway = before(&upstream.url()).await;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..50 {
        let mut client = gateway.anonymous();
        asking.spawn(async move {
            let target = format!("/{number}");
            assert_eq!(client.get(&target).await.json()["path"], target);
        });
    }
    asking.join_all().await;
    assert_eq!((upstream.requests().len(), upstream.connections()), (50, 1));
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_413_and_a_reset() {
    let upstream = H2Upstream::echo().await;
    let gateway = with(&upstream.url(), "max: { body: 4KiB }").await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    upstream.until_requests(1).await;
    raw.send(format!("{:x}\r\n{}\r\n", 8192, "x".repeat(8192))).await;
    assert_eq!(raw.response().await.status, 413);
    assert_eq!(upstream.taken_back(0).await, Reason::CANCEL);
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
    assert_eq!(upstream.connections(), 1);
}
