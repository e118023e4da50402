//! What is too large, too long, too many.

use std::fmt::Write as _;

use keyward::auth::refusal::Code;

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::http::chunks;
use crate::support::raw::Broken;
use crate::support::upstream::{Answer, Gate, Upstream};

async fn with(upstream: &Upstream, max: &str) -> Gateway {
    Gateway::with(upstream, &format!("max: {{ {max} }}\n{PUBLIC}")).await
}

#[tokio::test]
async fn a_declared_body_over_the_limit_is_refused_before_the_upstream_is_asked() {
    let upstream = Upstream::echo().await;
    let gateway = with(&upstream, "body: 1KiB").await;
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut raw = gateway.raw().await;
        raw.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n{expect}\r\n")).await;
        let response = raw.response().await;
        assert_eq!(response.interim, [0_u16; 0]);
        let detail = response.refused(Code::BodyTooLarge);
        assert!(detail.contains("1024"), "{detail}");
    }
    assert_eq!(upstream.connections().len(), 0);
    assert_eq!(gateway.anonymous().post("/", vec![b'x'; 1024]).await.json()["body_len"], 1024);
}

#[tokio::test]
async fn chunks_over_the_limit_are_refused_and_never_look_whole() {
    let upstream = Upstream::echo().await;
    let gateway = with(&upstream, "body: 1KiB").await;
    let mut client = gateway.anonymous();
    let pieces = [b"x".repeat(600), b"y".repeat(600)];
    client.request("POST", "/").chunked(&[&pieces[0], &pieces[1]]).send().await.refused(Code::BodyTooLarge);
    upstream.until_all_closed().await;
    assert!(upstream.requests().iter().all(|request| !request.is_whole()));
    let asked = upstream.requests().len();
    let fine = gateway.anonymous().request("POST", "/").chunked(&[&pieces[0], b"z"]).send().await;
    assert_eq!(fine.json()["body_len"], 601);
    assert_eq!(upstream.requests()[asked].on_connection, 0, "the connection was used again");
}

#[tokio::test]
async fn chunks_over_the_limit_break_off_an_answer_that_has_begun() {
    let early =
        Answer::new(200).header("content-length", "100").only_head().then_send("half").before_the_body();
    let upstream = Upstream::always(early.then_hang()).await;
    let gateway = with(&upstream, "body: 1KiB").await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    raw.head().await.unwrap();
    let _ = raw.try_send(chunks(&[&b"x".repeat(2000)])).await;
    let (rest, _) = raw.rest().await;
    assert!(b"half".starts_with(rest.as_slice()), "{rest:?}");
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn a_target_over_the_limit_is_a_414() {
    let upstream = Upstream::echo().await;
    let gateway = with(&upstream, "target: 1KiB").await;
    for target in [format!("/{}", "a".repeat(1024)), format!("/?{}", "a".repeat(1023))] {
        assert_eq!(gateway.anonymous().get(&target).await.status, 414);
    }
    assert_eq!(upstream.requests(), []);
    assert_eq!(gateway.anonymous().get(&format!("/{}", "a".repeat(1023))).await.status, 200);
}

#[tokio::test]
async fn fields_over_the_limit_are_a_431() {
    let upstream = Upstream::echo().await;
    let gateway = with(&upstream, "headers: 8KiB, header_count: 50").await;
    let many = |count: usize| {
        (0..count).fold(String::new(), |mut fields, n| {
            write!(fields, "X-{n}: y\r\n").unwrap();
            fields
        })
    };
    for fields in [
        format!("X: {}\r\n", "v".repeat(8 << 10)),
        format!("{}: v\r\n", "x".repeat(8 << 10)),
        format!("X: {}\r\n", "v".repeat(1 << 20)),
        format!("Cookie: {}\r\n", "a=b; ".repeat(2000)),
        many(51),
        many(5000),
    ] {
        let mut raw = gateway.raw().await;
        let _ = raw.try_send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        let response = raw.response().await;
        assert_eq!(response.status, 431, "{response:?}");
    }
    assert_eq!(upstream.requests(), []);
    let mut raw = gateway.raw().await;
    let fine = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n{}\r\n", "v".repeat(4000), many(40));
    assert_eq!(raw.ask(fine).await.status, 200);
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let upstream = Upstream::echo().await;
    let gateway = with(&upstream, "headers: 8KiB").await;
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
    let piece = "v".repeat(64 << 10);
    let mut pieces = 0;
    while raw.try_send(&piece).await.is_ok() {
        pieces += 1;
        assert!(pieces < 1000, "64 MB of one field were taken");
    }
    match raw.answer("GET").await {
        Ok(response) => assert_eq!(response.status, 431),
        Err(Broken::Nothing(_)) => {}
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn requests_over_the_limit_at_once_are_shed() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let gateway = with(&upstream, "in_flight: 1").await;
    let mut first = gateway.raw().await;
    first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    upstream.until_requests(1).await;
    let shed = gateway.anonymous().get("/").await;
    shed.refused(Code::Overloaded);
    assert!(shed.header("retry-after").is_some());
    gate.open();
    assert_eq!(first.response().await.text(), "late");
    assert_eq!(gateway.anonymous().get("/").await.text(), "late");
}

/// Each is held against each, and kept for as long as the body lasts.
#[tokio::test]
async fn a_connection_field_names_a_few_things_at_most() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let many = ["a"; 100].join(",");
    let refused = [
        format!("Connection: {many}\r\n"),
        format!("Trailer: {many}\r\n"),
        format!("Connection: {}\r\nTrailer: {}\r\n", ["a"; 40].join(","), ["b"; 40].join(",")),
        "Connection: a\r\n".repeat(65),
    ];
    for fields in &refused {
        let mut raw = gateway.raw().await;
        raw.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        let detail = raw.response().await.refused(Code::BadRequest);
        assert!(detail.contains("too many elements"), "{detail}");
    }
    assert_eq!(upstream.requests().len(), 0);
    let mut raw = gateway.raw().await;
    raw.send(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}\r\n\r\n", ["a"; 64].join(","))).await;
    assert_eq!(raw.response().await.status, 200);
}
