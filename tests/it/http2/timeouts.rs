//! Every phase of a connection and of a stream has an end. Times here are short on purpose; none is asserted from above.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};
use tokio::time::Instant;

use super::{PUBLIC, open, open_with};
use crate::guarantees::{metric, until_metric};
use crate::proxy::timeouts::decided;
use crate::support::frames::{
    CANCEL, CONTINUATION, DATA, END_STREAM, Frames, HEADERS, INITIAL_WINDOW, NO_ERROR, Outcome, PING, frame,
    get, head, open as begin, status_of, window,
};
use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::raw::{Ending, Raw};
use crate::support::upstream::{Answer, Gate, Seen, Upstream};

const SHORT: Duration = Duration::from_millis(300);

/// For everybody, with these sections, by a clock that stands.
async fn standing(upstream: &Upstream, yaml: &str) -> Gateway {
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let builder = Gateway::builder().upstream("api", &upstream.url()).clock(&clock);
    builder.yaml(&format!("{yaml}\n{PUBLIC}")).start().await
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_let_go() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open_with(&upstream, "timeouts: { idle: 300ms }").await;
    let mut client = Frames::connect(gateway.public()).await;
    let began = Instant::now();
    assert_eq!(client.ends().await, (Some(NO_ERROR), Ending::Closed));
    assert!(began.elapsed() >= SHORT);
}

/// Pings are no requests.
#[tokio::test]
async fn a_connection_that_only_pings_is_let_go() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open_with(&upstream, "timeouts: { idle: 300ms }").await;
    let mut client = Frames::connect(gateway.public()).await;
    assert_eq!(client.ask(1, get(1)).await.status(), 200);
    let mut pings = 0;
    while client.raw.try_send(frame(PING, 0, 0, [0; 8])).await.is_ok() {
        pings += 1;
        assert!(pings < 300, "it lives on pings");
        tokio::time::sleep(SHORT / 10).await;
    }
    let (code, _) = client.ends().await;
    assert!(matches!(code, Some(NO_ERROR) | None), "{code:?}");
}

#[tokio::test]
async fn a_connection_with_a_request_is_not_idle() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let (gateway, _) = open_with(&upstream, "timeouts: { idle: 300ms, request_head: 300ms }").await;
    let mut client = Frames::connect(gateway.public()).await;
    client.send(get(1)).await;
    tokio::time::sleep(SHORT * 3).await;
    gate.open();
    assert_eq!(client.outcome(1).await.status(), 200);
}

#[tokio::test]
async fn a_head_that_never_ends_ends_its_connection() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open_with(&upstream, "timeouts: { request_head: 300ms }").await;
    let head = head("GET", "/", &[]);
    for start in [
        begin(1, &head)[..20].to_vec(),
        frame(HEADERS, 0, 1, &head),
        [frame(HEADERS, 0, 1, &head), frame(CONTINUATION, 0, 1, b"")].concat(),
    ] {
        let mut client = Frames::connect(gateway.public()).await;
        let began = Instant::now();
        client.send(start).await;
        assert_eq!(client.ends().await, (Some(NO_ERROR), Ending::Closed));
        assert!(began.elapsed() >= SHORT);
    }
    assert_eq!(upstream.requests(), []);
}

/// Nobody can tell yet that it is one.
#[tokio::test]
async fn a_head_of_which_less_than_a_frame_has_come_ends_as_who_is_idle() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open_with(&upstream, "timeouts: { first_byte: 300ms, idle: 300ms }").await;
    let mut client = Frames::connect(gateway.public()).await;
    client.send(&frame(HEADERS, 0, 1, head("GET", "/", &[]))[..5]).await;
    assert_eq!(client.ends().await, (Some(NO_ERROR), Ending::Closed));
    assert_eq!(upstream.requests(), []);
}

#[tokio::test]
async fn a_head_in_drops_does_not_outlive_its_time() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open_with(&upstream, "timeouts: { request_head: 300ms }").await;
    let mut client = Frames::connect(gateway.public()).await;
    // Each drop comes well within the time, all of them do not.
    for byte in begin(1, head("GET", "/", &[("x", &"y".repeat(300))])) {
        if client.raw.try_send([byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (code, _) = client.ends().await;
    assert!(matches!(code, Some(NO_ERROR) | None), "{code:?}");
    assert_eq!(upstream.requests(), []);
}

/// The time of a head does not run against the requests before it.
#[tokio::test]
async fn a_head_that_never_ends_spares_the_requests_before_it() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let (gateway, _) = open_with(&upstream, "timeouts: { request_head: 300ms }").await;
    let mut client = Frames::connect(gateway.public()).await;
    client.send([get(1), frame(HEADERS, 0, 3, b"")].concat()).await;
    tokio::time::sleep(SHORT * 3).await;
    gate.open();
    assert_eq!(client.outcome(1).await.status(), 200);
    assert_eq!(client.ends().await, (Some(NO_ERROR), Ending::Closed));
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_408_on_its_stream() {
    let upstream = Upstream::echo().await;
    let (_gateway, mut client) = open_with(&upstream, "timeouts: { request_body_idle: 300ms }").await;
    let request = client.request("POST", "/").header("content-length", "10");
    let mut exchange = client.begin(request).await;
    exchange.body.send_data("abc".into(), false).unwrap();
    exchange.whole().await.refused(Code::RequestTimeout);
    upstream.until_all_closed().await;
    assert!(!upstream.only_request().is_whole());
    assert_eq!(client.get("/").await.status, 200);
}

#[tokio::test]
async fn a_body_that_keeps_coming_may_take_long() {
    let upstream = Upstream::echo().await;
    let gateway =
        standing(&upstream, "timeouts: { request_body_idle: 10s, idle: 10s, request_head: 10s }").await;
    let mut client = H2::connect(gateway.public()).await;
    let request = client.request("POST", "/");
    let mut exchange = client.begin(request).await;
    upstream.until_requests(1).await;
    for number in 1..=10 {
        gateway.pass(Duration::from_secs(9)).await;
        exchange.body.send_data("x".into(), false).unwrap();
        let came = |seen: &Seen| (seen.requests.first()?.body_len == number).then_some(());
        upstream.until("one byte more", came).await;
    }
    exchange.body.send_data(Default::default(), true).unwrap();
    assert_eq!(exchange.whole().await.json()["body_len"], 10);
}

/// Without room from its beginning; without room for its end; with a socket that nobody reads from: in each case the rest
/// of the answer is dropped, and the upstream's connection with it.
#[tokio::test]
async fn an_answer_that_its_client_does_not_take_is_taken_back() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/small" => Answer::ok("small"),
        _ => Answer::new(200).filled(64 << 20),
    })
    .await;
    let (gateway, _) = open_with(&upstream, "timeouts: { response_body_idle: 300ms }").await;
    for (window, target) in [(0, "/small"), (2, "/small"), (0, "/large"), (30_000, "/large")] {
        let mut client = Frames::with(gateway.public(), &[(INITIAL_WINDOW, window)]).await;
        client.send(crate::support::frames::whole(1, head("GET", target, &[]))).await;
        assert_eq!(client.outcome(1).await, Outcome::Reset(CANCEL), "{window} {target}");
        upstream.until(target, |seen| (target == "/small" || seen.open() == 0).then_some(())).await;
        // The rest of the connection goes on.
        client.send([get(3), crate::support::frames::window(3, 100)].concat()).await;
        client.until(|frame| frame.stream == 3 && frame.kind == HEADERS).await.unwrap();
    }
    until_metric(gateway.admin(), &decided("request_timeout"), 4).await;
    assert_eq!(metric(gateway.admin(), &decided("upstream_timeout")).await, 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_from_its_socket_is_let_go() {
    let upstream = Upstream::always(Answer::new(200).filled(256 << 20)).await;
    let (gateway, _) = open_with(&upstream, "timeouts: { response_body_idle: 300ms, idle: 300ms }").await;
    let wide = [(INITIAL_WINDOW, 0x7fff_ffff)];
    let mut client = Frames::over(Raw::connect_narrow(gateway.public()).await, &wide).await;
    client.send([window(0, 0x7000_0000), get(1), get(3)].concat()).await;
    upstream.until_requests(2).await;
    upstream.until_all_closed().await;
    let (rest, _) = client.raw.rest().await;
    assert!(rest.len() < 512 << 20);
}

/// As long as it takes something, it may take its time.
#[tokio::test]
async fn a_client_that_takes_its_answer_slowly_gets_it() {
    let upstream = Upstream::always(Answer::ok("0123456789")).await;
    let gateway = standing(&upstream, "timeouts: { response_body_idle: 10s, idle: 10s }").await;
    let mut client = Frames::with(gateway.public(), &[(INITIAL_WINDOW, 0)]).await;
    client.send(get(1)).await;
    client.until(|frame| frame.kind == HEADERS).await.unwrap();
    let mut taken = Vec::<u8>::new();
    for _ in 0..10 {
        gateway.pass(Duration::from_secs(9)).await;
        client.send(window(1, 1)).await;
        taken.extend(client.until(|frame| frame.kind == DATA).await.unwrap().payload);
    }
    assert_eq!(taken, b"0123456789");
}

#[tokio::test]
async fn an_answer_that_stops_coming_is_reset() {
    let stalled = Answer::new(200).header("content-length", "9").only_head().then_send("half").then_hang();
    let upstream = Upstream::always(stalled).await;
    let (gateway, _) = open_with(&upstream, "timeouts: { response_body_idle: 300ms }").await;
    let mut client = Frames::connect(gateway.public()).await;
    assert_eq!(client.ask(1, get(1)).await, Outcome::Reset(CANCEL));
    upstream.until_all_closed().await;
    until_metric(gateway.admin(), &decided("upstream_timeout"), 1).await;
}

#[tokio::test]
async fn a_whole_request_can_have_an_end() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/hang" => Answer::hang(),
        _ => Answer::new(200).filled(1 << 50),
    })
    .await;
    let (_gateway, mut client) = open_with(&upstream, "timeouts: { total: 300ms }").await;
    client.get("/hang").await.refused(Code::UpstreamTimeout);
    let request = client.request("GET", "/endless");
    assert_eq!(client.ask(request).await.reset().await, Some(h2::Reason::CANCEL));
    upstream.until_all_closed().await;
}

/// RFC 9110 §10.1.1.
#[tokio::test]
async fn a_client_that_waits_to_be_told_to_go_on_is_told_when_somebody_wants_its_body() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open(&upstream).await;
    let mut client = Frames::connect(gateway.public()).await;
    client.send(begin(1, head("POST", "/", &[("expect", "100-continue")]))).await;
    let interim = client.until(|frame| frame.kind == HEADERS).await.unwrap();
    assert_eq!((interim.flags & END_STREAM, status_of(&interim.payload)), (0, 100));
    client.send(frame(DATA, 1, 1, b"abc")).await;
    assert_eq!(client.outcome(1).await.status(), 200);
    let request = upstream.only_request();
    assert_eq!((request.header("expect"), &*request.body), (None, &b"abc"[..]));
}

#[tokio::test]
async fn a_client_that_is_refused_is_not_told_to_go_on() {
    let upstream = Upstream::echo().await;
    let gateway = crate::support::gateway::Gateway::before(&upstream).await;
    let mut client = Frames::connect(gateway.public()).await;
    client.send(begin(1, head("POST", "/", &[("expect", "100-continue")]))).await;
    let refusal = client.until(|frame| frame.kind == HEADERS).await.unwrap();
    assert_eq!(status_of(&refusal.payload), 401);
}
