//! Bodies pass both ways, whole and as they come.

use std::time::Duration;

use keyward::auth::refusal::Code;

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::http::chunks;
use crate::support::raw::Raw;
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::{noise, sha256};

#[tokio::test]
async fn a_request_and_its_answer_pass_unchanged() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let body = noise(200_000);
    let mut client = gateway.client().await;
    let response =
        client.request("PATCH", "/v1/a?b=%20&c").header("X-Mine", "1").body(body.clone()).send().await;
    assert_eq!(response.status, 200);
    let echo = response.json();
    assert_eq!((&echo["method"], &echo["target"]), (&"PATCH".into(), &"/v1/a?b=%20&c".into()));
    assert_eq!(echo["body_sha256"], sha256(&body));
    assert_eq!(upstream.only_request().header("content-length"), Some("200000"));
}

#[tokio::test]
async fn an_answer_keeps_its_status_reason_fields_and_body() {
    let answer = Answer::new(404)
        .header("X-One", "1")
        .header("Set-Cookie", "a")
        .header("Set-Cookie", "b")
        .body("gone");
    let upstream = Upstream::always(answer).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let response = gateway.anonymous().get("/").await;
    assert_eq!((response.status, response.text()), (404, "gone"));
    assert_eq!(response.all("set-cookie"), ["a", "b"]);
    assert_eq!((response.header("x-one"), response.header("content-length")), (Some("1"), Some("4")));
}

#[tokio::test]
async fn a_request_body_reaches_the_upstream_before_it_is_whole() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc").await;
    upstream.until("half the body", |seen| (seen.requests.first()?.body_len == 3).then_some(())).await;
    raw.send("def").await;
    assert_eq!(raw.response().await.json()["body_sha256"], sha256(b"abcdef"));
}

#[tokio::test]
async fn a_request_body_in_chunks_passes_with_its_end_unknown() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    upstream.until("the first chunk", |seen| (seen.requests.first()?.body_len == 3).then_some(())).await;
    raw.send(chunks(&[b"de", b"f"])).await;
    assert_eq!(raw.response().await.json()["body_sha256"], sha256(b"abcdef"));
    let request = upstream.only_request();
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    assert_eq!(request.header("content-length"), None);
}

#[tokio::test]
async fn an_answer_reaches_the_client_before_it_is_whole() {
    let gate = Gate::new();
    let held = Answer::new(200)
        .header("content-length", "4")
        .only_head()
        .then_send("ab")
        .then_wait(&gate)
        .then_send("cd");
    let upstream = Upstream::always(held).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(raw.head().await.unwrap().header("content-length"), Some("4"));
    assert_eq!(raw.exactly(2).await, b"ab");
    gate.open();
    assert_eq!(raw.exactly(2).await, b"cd");
}

#[tokio::test]
async fn an_answer_in_chunks_arrives_in_chunks() {
    let upstream = Upstream::always(Answer::new(200).chunked(&[b"one", b"two"])).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    for _ in 0..3 {
        let response = client.get("/").await;
        assert_eq!((response.text(), response.header("content-length")), ("onetwo", None));
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    }
    assert_eq!((client.connections, upstream.connections().len()), (1, 1));
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_arrives_whole() {
    let body = noise(100_000);
    let upstream = Upstream::always(Answer::new(200).until_close(&body)).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    assert_eq!(client.get("/").await.body, body);
    assert_eq!(client.get("/").await.body, body);
}

#[tokio::test]
async fn an_http_1_0_client_gets_no_chunks() {
    let upstream = Upstream::always(Answer::new(200).chunked(&[b"one", b"two"])).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    let response = raw.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert_eq!((response.text(), response.header("transfer-encoding")), ("onetwo", None));
    raw.ends().await;
    assert_eq!(upstream.only_request().version, "HTTP/1.1");
}

#[tokio::test]
async fn a_head_has_the_fields_of_get_and_no_body() {
    let upstream = Upstream::in_order([
        Answer::ok("body"),
        Answer::new(200).chunked(&[b"body"]),
        Answer::new(304).header("etag", "\"a\"").header("content-length", "4").only_head(),
        Answer::new(204).only_head(),
        Answer::ok("next"),
    ])
    .await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    let head = client.request("HEAD", "/").send().await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("4")));
    assert_eq!(client.request("HEAD", "/").send().await.status, 200);
    let unchanged = client.get("/").await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some("\"a\"")));
    assert_eq!(client.get("/").await.status, 204);
    assert_eq!(client.get("/").await.text(), "next");
    assert_eq!(upstream.connections().len(), 1);
}

#[tokio::test]
async fn a_slow_client_holds_the_upstream_back() {
    let upstream = Upstream::always(Answer::new(200).filled(256 << 20)).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = Raw::connect_narrow(gateway.public()).await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.head().await.unwrap();
    // Nothing more is read; the rest of the pipe fills up and stands still, far below 256 MiB.
    let gone = raw.leftover.len();
    assert!(gone < 1 << 20, "{gone}");
    drop(raw);
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn a_slow_upstream_holds_the_client_back() {
    let upstream = Upstream::always(Answer::hang().never_reading()).await;
    let gateway = Gateway::with(&upstream, &format!("max: {{ body: 1GiB }}\n{PUBLIC}")).await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 268435456\r\n\r\n").await;
    let sent = raw.send_until_held_back(256 << 20, Duration::from_millis(500)).await;
    assert!(sent < 64 << 20, "{sent} bytes were taken that nobody reads");
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let upstream = Upstream::always(Answer::new(422).body("no need").before_the_body().then_linger()).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc").await;
    let response = raw.response().await;
    assert_eq!((response.status, response.text()), (422, "no need"));
    // What is still sent is never taken for a request.
    let _ = raw.try_send("GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n").await;
    drop(raw);
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn continue_is_said_by_the_gateway_after_admission() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let mut raw = gateway.raw().await;
    raw.send(gateway.head("POST /").await + "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(raw.until(b"\r\n\r\n").await, b"HTTP/1.1 100 Continue\r\n\r\n");
    raw.send("abc").await;
    let response = raw.response().await;
    assert_eq!((response.status, response.interim.len()), (200, 0));
    assert_eq!(response.json()["body_len"], 3);

    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n").await;
    let refused = raw.response().await;
    assert_eq!(refused.interim, [0_u16; 0]);
    refused.refused(Code::MissingCredentials);
}

#[tokio::test]
async fn interim_answers_of_the_upstream_are_dropped() {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    let upstream = Upstream::always(Answer::ok("last").early(hints)).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    for _ in 0..2 {
        let response = client.get("/").await;
        assert_eq!((response.text(), response.interim.len()), ("last", 0));
    }
}

/// Server-sent events: each is there when it was sent, however long nothing follows, and the client's end is the
/// upstream's.
#[tokio::test]
async fn events_flow_one_by_one() {
    let gates = [Gate::new(), Gate::new()];
    let event = |number: usize| format!("data: {number}\n\n");
    let chunk = |number: usize| format!("9\r\n{}\r\n", event(number));
    let events = Answer::new(200)
        .header("content-type", "text/event-stream")
        .header("transfer-encoding", "chunked")
        .only_head()
        .then_send(chunk(0))
        .then_wait(&gates[0])
        .then_send(chunk(1))
        .then_wait(&gates[1])
        .then_send(chunk(2))
        .then_hang();
    let upstream = Upstream::always(events).await;
    let gateway = Gateway::before(&upstream).await;
    let mut raw = gateway.raw().await;
    raw.send(gateway.head("GET /events").await + "Accept: text/event-stream\r\n\r\n").await;
    let head = raw.head().await.unwrap();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!((head.header("transfer-encoding"), head.header("content-length")), (Some("chunked"), None));
    for number in 0..3 {
        assert_eq!(raw.exactly(chunk(number).len()).await, chunk(number).as_bytes());
        if let Some(gate) = gates.get(number) {
            gate.open();
        }
    }
    drop(raw);
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn a_long_poll_is_answered_when_there_is_something_to_say_and_ends_with_its_client() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("news").after(&gate)).await;
    let gateway = Gateway::before(&upstream).await;
    let (mut stays, goes) = (gateway.raw().await, gateway.raw().await);
    let request = gateway.head("GET /poll").await + "\r\n";
    let mut goes = goes;
    for raw in [&mut stays, &mut goes] {
        raw.send(&request).await;
    }
    upstream.until_requests(2).await;
    drop(goes);
    upstream.until("the end of one", |seen| (seen.open() == 1).then_some(())).await;
    gate.open();
    assert_eq!(stays.response().await.text(), "news");
}
