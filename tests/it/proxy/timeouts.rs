//! Every phase has an end. Times here are short on purpose; none is asserted from above.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};
use tokio::time::Instant;

use super::PUBLIC;
use crate::guarantees::until_metric;
use crate::support::gateway::Gateway;
use crate::support::raw::{Broken, Raw};
use crate::support::upstream::{Answer, Blackhole, Seen, Upstream};

const SHORT: Duration = Duration::from_millis(300);

async fn with(upstream: &Upstream, timeouts: &str) -> Gateway {
    Gateway::with(upstream, &format!("timeouts: {{ {timeouts} }}\n{PUBLIC}")).await
}

pub fn decided(outcome: &str) -> String {
    format!("keyward_decisions_total{{door=\"proxy\",outcome=\"{outcome}\",route=\"all\"}}")
}

/// The same, whose clock stands.
async fn standing(upstream: &Upstream, timeouts: &str) -> Gateway {
    let builder = Gateway::builder().upstream("api", &upstream.url());
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    builder.clock(&clock).yaml(&format!("timeouts: {{ {timeouts} }}\n{PUBLIC}")).start().await
}

/// Sends a body of so many bytes, one every nine seconds.
async fn drip(gateway: &Gateway, raw: &mut Raw, upstream: &Upstream, count: u64) {
    for number in 1..=count {
        gateway.pass(Duration::from_secs(9)).await;
        raw.send("x").await;
        let came = |seen: &Seen| (seen.requests.first()?.body_len == number).then_some(());
        upstream.until("one byte more", came).await;
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let upstream = Upstream::echo().await;
    let gateway = with(&upstream, "first_byte: 300ms").await;
    let mut raw = gateway.raw().await;
    let began = Instant::now();
    raw.ends().await;
    assert!(began.elapsed() >= SHORT);
}

#[tokio::test]
async fn a_head_that_never_ends_is_a_408() {
    let upstream = Upstream::echo().await;
    let gateway = with(&upstream, "request_head: 300ms").await;
    for head in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: "] {
        let mut raw = gateway.raw().await;
        raw.send(head).await;
        let response = raw.response().await;
        assert_eq!((response.status, response.header("connection")), (408, Some("close")), "{head:?}");
        raw.ends().await;
    }
}

#[tokio::test]
async fn a_head_in_drops_does_not_outlive_its_time() {
    let upstream = Upstream::echo().await;
    let gateway = with(&upstream, "request_head: 300ms").await;
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    // Each drop comes well within the time, all of them do not.
    for _ in 0..1000 {
        if raw.try_send("X: y\r\n").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    match raw.answer("GET").await {
        Ok(response) => assert_eq!(response.status, 408),
        Err(Broken::Nothing(_)) => {}
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_idle_connection_is_let_go_between_requests() {
    let upstream = Upstream::echo().await;
    let gateway = with(&upstream, "idle: 300ms").await;
    let mut raw = gateway.raw().await;
    assert_eq!(raw.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.status, 200);
    let began = Instant::now();
    raw.ends().await;
    assert!(began.elapsed() >= SHORT / 2);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_408() {
    let upstream = Upstream::echo().await;
    let gateway = with(&upstream, "request_body_idle: 300ms").await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await;
    raw.response().await.refused(Code::RequestTimeout);
    raw.ends().await;
    upstream.until_all_closed().await;
    assert!(!upstream.only_request().is_whole());
}

#[tokio::test]
async fn a_body_that_keeps_coming_may_take_long() {
    let upstream = Upstream::echo().await;
    let gateway = standing(&upstream, "request_body_idle: 10s").await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n").await;
    upstream.until_requests(1).await;
    drip(&gateway, &mut raw, &upstream, 10).await;
    assert_eq!(raw.response().await.json()["body_len"], 10);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_in_time_is_a_502() {
    let hole = Blackhole::start().await;
    let yaml = format!("timeouts: {{ connect: 300ms }}\n{PUBLIC}");
    let gateway = Gateway::builder().upstream("api", &hole.url()).yaml(&yaml).start().await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnreachable);
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_is_a_504() {
    let head = Answer::bytes("HTTP/1.1 200 OK\r\nconten").then_hang();
    let trickle =
        Answer::bytes("HTTP/1.1 200 OK\r\nx: ").then_trickle("v".repeat(1000), Duration::from_millis(20));
    for answer in [Answer::hang(), head, trickle, Answer::hang().early("HTTP/1.1 103 Early Hints\r\n\r\n")] {
        let upstream = Upstream::always(answer).await;
        let gateway = with(&upstream, "response_head: 300ms").await;
        gateway.anonymous().post("/", "body").await.refused(Code::UpstreamTimeout);
        upstream.until_all_closed().await;
    }
}

#[tokio::test]
async fn the_time_for_the_head_runs_from_the_end_of_the_body() {
    let upstream = Upstream::echo().await;
    let gateway = standing(&upstream, "response_head: 10s, request_body_idle: 60s").await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n").await;
    upstream.until_requests(1).await;
    drip(&gateway, &mut raw, &upstream, 4).await;
    assert_eq!(raw.response().await.status, 200);
}

#[tokio::test]
async fn an_answer_that_stops_coming_is_broken_off() {
    let stalled = Answer::new(200).header("content-length", "9").only_head().then_send("half").then_hang();
    let upstream = Upstream::always(stalled).await;
    let gateway = with(&upstream, "response_body_idle: 300ms").await;
    let outcome = gateway.anonymous().request("GET", "/").try_send().await;
    assert!(matches!(outcome, Err(Broken::Body(..))), "{outcome:?}");
    upstream.until_all_closed().await;
    until_metric(gateway.admin(), &decided("upstream_timeout"), 1).await;
}

#[tokio::test]
async fn a_client_that_stops_reading_is_let_go() {
    let upstream = Upstream::always(Answer::new(200).filled(256 << 20)).await;
    let gateway = with(&upstream, "response_body_idle: 300ms").await;
    let mut raw = Raw::connect_narrow(gateway.public()).await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.head().await.unwrap();
    // The client stays; it only reads no more.
    upstream.until_all_closed().await;
    let (rest, _) = raw.rest().await;
    assert!(rest.len() < 256 << 20);
    until_metric(gateway.admin(), &decided("request_timeout"), 1).await;
}

#[tokio::test]
async fn an_answer_that_waits_for_the_end_of_the_body_has_time_while_the_body_comes() {
    let early = Answer::new(200).header("content-length", "4").only_head().early_head();
    let upstream = Upstream::always(early.then_send("done")).await;
    let gateway = standing(&upstream, "response_body_idle: 10s, request_body_idle: 60s").await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    drip(&gateway, &mut raw, &upstream, 10).await;
    assert_eq!(raw.exactly(4).await, b"done");
}

#[tokio::test]
async fn an_answer_that_never_pauses_has_an_end() {
    let upstream = Upstream::always(Answer::new(200).filled(1 << 50)).await;
    let gateway = with(&upstream, "total: 300ms").await;
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.head().await.unwrap();
    raw.until_end().await;
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn a_whole_request_can_have_an_end() {
    let upstream = Upstream::always(Answer::hang()).await;
    let gateway = with(&upstream, "total: 300ms").await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamTimeout);
    upstream.until_all_closed().await;

    let endless = Answer::new(200).header("content-length", "1000").only_head();
    let upstream = Upstream::always(endless.then_trickle("x".repeat(1000), Duration::from_millis(20))).await;
    let gateway = with(&upstream, "total: 300ms").await;
    let outcome = gateway.anonymous().request("GET", "/").try_send().await;
    assert!(matches!(outcome, Err(Broken::Body(..))), "{outcome:?}");
}
