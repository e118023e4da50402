//! What goes through, and how it looks on either side.

use http::{HeaderMap, HeaderValue};
use keyward::auth::refusal::Code;

use super::open;
use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::upstream::{Answer, Upstream};
use crate::support::{noise, sha256};

#[tokio::test]
async fn a_request_with_a_key_is_forwarded_and_answered() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let mut client = H2::connect(gateway.public()).await.with_key(&gateway.key().await.secret);
    let response = client.get("/a/b?c=d").await;
    assert_eq!(response.status, 200);
    assert!(response.header("x-request-id").is_some() && response.header("date").is_some());
    assert_eq!(response.json()["target"], "/a/b?c=d");
    let request = upstream.only_request();
    assert_eq!((&*request.method, &*request.version), ("GET", "HTTP/1.1"));
    assert_eq!(request.header("host"), Some(&*gateway.public().to_string()));
    assert_eq!(request.header("x-auth-method"), Some("api_key"));
    assert_eq!(request.header("authorization"), None);
    for none in ["content-length", "transfer-encoding", "te", ":path"] {
        assert_eq!(request.header(none), None);
    }
}

#[tokio::test]
async fn a_request_without_a_key_is_refused_on_its_stream_only() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let key = gateway.key().await.secret;
    let mut client = H2::connect(gateway.public()).await;
    for _ in 0..3 {
        client.get("/").await.refused(Code::MissingCredentials);
        client.post("/", noise(100_000)).await.refused(Code::MissingCredentials);
    }
    let request = client.request("GET", "/").header("authorization", format!("Bearer {key}"));
    assert_eq!(client.ask(request).await.whole().await.status, 200);
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_body_goes_up_whole_with_or_without_its_length() {
    let upstream = Upstream::echo().await;
    let (_gateway, mut client) = open(&upstream).await;
    let body = noise(3 << 20);
    for told in [true, false] {
        let mut request = client.request("POST", "/");
        if told {
            request = request.header("content-length", body.len());
        }
        let mut exchange = client.begin(request).await;
        for piece in body.chunks(100_000) {
            exchange.body.send_data(piece.to_vec().into(), false).unwrap();
        }
        exchange.body.send_data(Default::default(), true).unwrap();
        assert_eq!(exchange.whole().await.status, 200);
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.sha256.as_deref(), Some(&*sha256(&body)));
        let length = body.len().to_string();
        assert_eq!(request.header("content-length"), told.then_some(&*length));
        assert_eq!(request.header("transfer-encoding"), (!told).then_some("chunked"));
    }
}

#[tokio::test]
async fn a_request_whose_fields_end_its_stream_has_no_body_upstream() {
    let upstream = Upstream::echo().await;
    let (_gateway, mut client) = open(&upstream).await;
    for (method, length) in [
        ("GET", None),
        ("DELETE", None),
        ("OPTIONS", None),
        ("POST", Some("0")),
        ("PUT", Some("0")),
        ("PATCH", Some("0")),
    ] {
        let request = client.request(method, "/");
        assert_eq!(client.ask(request).await.whole().await.status, 200);
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.header("content-length"), length, "{method}");
        assert_eq!(request.header("transfer-encoding"), None, "{method}");
    }
    assert_eq!(upstream.connections().len(), 1);
}

#[tokio::test]
async fn answers_come_as_they_are() {
    let body = noise(1 << 20);
    let whole = body.clone();
    let upstream = Upstream::answering(move |request| match request.target.as_str() {
        "/sized" => Answer::ok(&whole),
        "/chunked" => Answer::new(200).chunked(&[&whole[..10], &whole[10..]]),
        "/closed" => Answer::new(200).until_close(&whole),
        "/none" => Answer::new(204).header("x-none", "1").only_head(),
        "/same" => Answer::new(304).header("etag", "\"a\"").only_head(),
        _ => Answer::new(200).header("content-length", "17").only_head(),
    })
    .await;
    let (_gateway, mut client) = open(&upstream).await;
    for (target, length) in [("/sized", Some("1048576")), ("/chunked", None), ("/closed", None)] {
        let response = client.get(target).await;
        assert_eq!((response.status, response.header("content-length")), (200, length), "{target}");
        assert!(response.body == body, "{target}");
        for none in ["connection", "transfer-encoding", "keep-alive"] {
            assert_eq!(response.header(none), None, "{target}");
        }
    }
    let none = client.get("/none").await;
    assert_eq!((none.status, none.header("x-none"), none.body.len()), (204, Some("1"), 0));
    let same = client.get("/same").await;
    assert_eq!((same.status, same.header("etag"), same.body.len()), (304, Some("\"a\""), 0));
    let request = client.request("HEAD", "/head");
    let head = client.ask(request).await.whole().await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("17"), 0));
}

/// RFC 9113 §8.2.3.
#[tokio::test]
async fn the_crumbs_of_a_cookie_are_one_field_upstream() {
    let upstream = Upstream::echo().await;
    let (_gateway, mut client) = open(&upstream).await;
    let request = client.request("GET", "/").header("cookie", "a=1").header("x-a", "1");
    let request = request.header("cookie", "b=2; c=3").header("cookie", "d=4");
    assert_eq!(client.ask(request).await.whole().await.status, 200);
    let request = upstream.only_request();
    assert_eq!(request.header("cookie"), Some("a=1; b=2; c=3; d=4"));
    assert_eq!(request.header("x-a"), Some("1"));
}

#[tokio::test]
async fn the_authority_is_the_host() {
    let upstream = Upstream::echo().await;
    let (_gateway, mut client) = open(&upstream).await;
    for (uri, host, want) in [
        ("http://api.example.com/", None, Some("api.example.com")),
        ("http://API.example.com:81/", None, Some("API.example.com:81")),
        ("http://api.example.com/", Some("api.example.com"), Some("api.example.com")),
        ("http://api.example.com/", Some("API.example.com:80"), Some("API.example.com:80")),
        ("http://api.example.com/", Some("other.example.com"), None),
        ("http://api.example.com/", Some("api.example.com:81"), None),
        ("http://user@api.example.com/", None, None),
        ("http://user:pass@api.example.com/", None, None),
    ] {
        let mut request = http::Request::get(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let response = client.ask(request).await.whole().await;
        match want {
            Some(want) => {
                assert_eq!(response.status, 200, "{uri} {host:?}");
                assert_eq!(upstream.requests().pop().unwrap().header("host"), Some(want), "{uri} {host:?}");
            }
            None => _ = response.refused(Code::InvalidHost),
        }
    }
}

#[tokio::test]
async fn a_grpc_request_is_refused_as_grpc_knows_it() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let mut client = H2::connect(gateway.public()).await;
    let request =
        client.request("POST", "/pkg.Service/Method").header("content-type", "application/grpc+proto");
    let exchange = client.begin(request.header("te", "trailers")).await;
    let response = exchange.whole().await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/grpc")));
    assert_eq!(response.header("grpc-status"), Some("16"));
    let message = response.header("grpc-message").unwrap();
    assert!(message.starts_with("missing_credentials: Send an API key"), "{message}");
    assert!(response.header("x-request-id").is_some());
    assert_eq!(response.header("www-authenticate"), Some("Bearer realm=\"keyward\""));
    assert_eq!((response.body.len(), response.trailers), (0, None::<HeaderMap<HeaderValue>>));
    assert_eq!(response.headers.get("content-length"), None);
}
