//! How many connections there are, which requests share them, and how they end.

use std::sync::Arc;
use std::time::Duration;

use h2::Reason;
use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};
use tokio::task::JoinSet;

use super::{before, with};
use crate::proxy::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::h2_upstream::frames::{
    CANCEL, DATA, END_STREAM, FrameUpstream, GOAWAY, HEADERS, MAX_CONCURRENT_STREAMS, RST_STREAM, Wire,
};
use crate::support::h2_upstream::{H2Upstream, Stream};
use crate::support::upstream::Gate;

/// Answers when the gate opens, so many at once on a connection.
pub async fn gated(streams: u32, gate: &Gate) -> H2Upstream {
    let gate = gate.clone();
    H2Upstream::allowing(streams, move |stream| {
        let gate = gate.clone();
        async move {
            gate.passed().await;
            stream.echo().await;
        }
    })
    .await
}

fn ask(gateway: &Gateway, count: usize) -> JoinSet<u16> {
    let mut asking = JoinSet::new();
    for _ in 0..count {
        let mut client = gateway.anonymous();
        asking.spawn(async move { client.get("/").await.status });
    }
    asking
}

#[tokio::test]
async fn there_is_one_more_connection_when_the_others_are_full() {
    let gate = Gate::new();
    let upstream = gated(2, &gate).await;
    let gateway = before(&upstream.url()).await;
    let asking = ask(&gateway, 5);
    upstream.until_requests(5).await;
    assert_eq!(upstream.connections(), 3);
    gate.open();
    assert_eq!(asking.join_all().await, [200; 5]);
    // They are used again.
    assert_eq!(ask(&gateway, 5).join_all().await, [200; 5]);
    assert_eq!(upstream.connections(), 3);
}

#[tokio::test]
async fn a_connection_has_a_hundred_requests_at_once_however_many_are_allowed() {
    let gate = Gate::new();
    let upstream = gated(1000, &gate).await;
    let gateway = before(&upstream.url()).await;
    let asking = ask(&gateway, 101);
    upstream.until_requests(101).await;
    let on = |number| upstream.requests().iter().filter(|request| request.connection == number).count();
    assert_eq!((on(0), on(1)), (100, 1));
    gate.open();
    assert_eq!(asking.join_all().await, [200; 101]);
}

#[tokio::test]
async fn connections_are_bounded_and_requests_wait_for_room_for_a_while() {
    let gate = Gate::new();
    let upstream = gated(1, &gate).await;
    let gateway = with(&upstream.url(), "timeouts: { connect: 5s }").await;
    let asking = ask(&gateway, 100);
    upstream.until_requests(64).await;
    gate.open();
    assert_eq!(asking.join_all().await, [200; 100]);
    assert_eq!(upstream.connections(), 64);
}

#[tokio::test]
async fn a_request_that_waits_in_vain_for_room_is_told_so() {
    let gate = Gate::new();
    let upstream = gated(1, &gate).await;
    let mut gateway = before(&upstream.url()).await;
    let asking = ask(&gateway, 64);
    upstream.until_requests(64).await;
    // Only who comes now has little time.
    gateway.reload(|builder| builder.yaml(PUBLIC).yaml("timeouts: { connect: 300ms }")).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnavailable);
    gate.open();
    assert_eq!(asking.join_all().await, [200; 64]);
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
}

/// Each waits for the next connection, and gets a place on none of them.
#[tokio::test]
async fn connections_that_come_slowly_do_not_make_the_wait_longer() {
    const SLOW: Duration = Duration::from_millis(200);
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        tokio::time::sleep(SLOW).await;
        wire.hello(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
        wire.drain().await;
    })
    .await;
    let limits = "timeouts: { connect: 300ms, response_head: 500ms }";
    let gateway = with(&upstream.url(), limits).await;
    let statuses = ask(&gateway, 24).join_all().await;
    assert!(statuses.iter().all(|status| (502..505).contains(status)), "{statuses:?}");
    assert!(upstream.connections() <= 6, "{} connections", upstream.connections());
}

#[tokio::test]
async fn an_endpoint_that_allows_nothing_is_not_connected_to_again_and_again() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[(MAX_CONCURRENT_STREAMS, 0)]).await;
        wire.drain().await;
    })
    .await;
    let gateway = with(&upstream.url(), "timeouts: { connect: 300ms }").await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnavailable);
    gateway.anonymous().post("/", "body").await.refused(Code::UpstreamUnavailable);
    assert_eq!((upstream.connections(), upstream.requests()), (1, 0));
}

#[tokio::test]
async fn an_endpoint_that_allows_more_later_gets_what_waited() {
    let gate = Gate::new();
    let opened = gate.clone();
    let upstream = FrameUpstream::scripted(move |mut wire: Wire| {
        let opened = opened.clone();
        async move {
            wire.hello(&[(MAX_CONCURRENT_STREAMS, 0)]).await;
            wire.frame().await;
            opened.passed().await;
            wire.settings(&[(MAX_CONCURRENT_STREAMS, 10)]).await;
            while let Some(id) = wire.whole().await {
                wire.answer(id, "well").await;
            }
        }
    })
    .await;
    let gateway = with(&upstream.url(), "timeouts: { connect: 10s }").await;
    let asking = ask(&gateway, 5);
    upstream.until("a connection", |frames| (!frames.is_empty()).then_some(())).await;
    gate.open();
    assert_eq!(asking.join_all().await, [200; 5]);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn streams_that_are_over_make_room() {
    let upstream = H2Upstream::allowing(1, Stream::echo).await;
    let gateway = before(&upstream.url()).await;
    for _ in 0..50 {
        assert_eq!(gateway.anonymous().post("/", "body").await.status, 200);
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn endpoints_take_turns() {
    let first = H2Upstream::echo().await;
    let second = H2Upstream::echo().await;
    let urls = [&*first.url(), &*second.url()];
    let gateway = Gateway::builder().http2("api", &urls).yaml(PUBLIC).start().await;
    for _ in 0..6 {
        gateway.anonymous().get("/").await;
    }
    assert_eq!((first.requests().len(), second.requests().len()), (3, 3));
    let gone = first.stop().await;
    for _ in 0..6 {
        assert_eq!(gateway.anonymous().post("/", "x").await.status, 200, "{gone} is gone");
    }
}

#[tokio::test]
async fn a_connection_that_nobody_needs_is_closed_in_good_order() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        while let Some(id) = wire.whole().await {
            wire.answer(id, "well").await;
        }
    })
    .await;
    let gateway = with(&upstream.url(), "timeouts: { upstream_idle: 200ms }").await;
    for count in 1..3 {
        assert_eq!(gateway.anonymous().get("/").await.text(), "well");
        let goodbyes = |frames: &[(usize, crate::support::h2_upstream::frames::Frame)]| {
            let count_of = frames.iter().filter(|(_, frame)| frame.kind == GOAWAY && frame.code() == Some(0));
            (count_of.count() == count).then_some(())
        };
        upstream.until("GOAWAY", goodbyes).await;
    }
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_connection_with_a_request_is_not_idle() {
    let gate = Gate::new();
    let busy = gated(10, &gate).await;
    let idle = H2Upstream::echo().await;
    let yaml = "timeouts: { upstream_idle: 200ms }\n\
                routes:\n\
                - { name: busy, match: { path: / }, auth: public, upstream: busy }\n\
                - { name: idle, match: { path: /idle }, auth: public, upstream: idle }\n";
    let builder = Gateway::builder().http2("busy", &[&busy.url()]).http2("idle", &[&idle.url()]);
    let gateway = builder.yaml(yaml).start().await;
    let asking = ask(&gateway, 1);
    busy.until_requests(1).await;
    assert_eq!(gateway.anonymous().get("/idle").await.status, 200);
    // When this one has been idle for too long, the other has been there for longer still.
    idle.until_all_closed().await;
    let more = ask(&gateway, 1);
    busy.until_requests(2).await;
    gate.open();
    assert_eq!((asking.join_all().await, more.join_all().await), (vec![200], vec![200]));
    assert_eq!(busy.connections(), 1);
    busy.until_all_closed().await;
}

#[tokio::test]
async fn a_reload_keeps_connections_and_what_is_on_them() {
    let gate = Gate::new();
    let upstream = gated(10, &gate).await;
    let mut gateway = before(&upstream.url()).await;
    let asking = ask(&gateway, 3);
    upstream.until_requests(3).await;
    gateway.reload(|builder| builder.yaml(PUBLIC).yaml("timeouts: { idle: 30s }")).await;
    let more = ask(&gateway, 3);
    upstream.until_requests(6).await;
    gate.open();
    assert_eq!(asking.join_all().await, [200; 3]);
    assert_eq!(more.join_all().await, [200; 3]);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_reload_that_takes_the_upstream_away_finishes_what_is_on_it() {
    let gate = Gate::new();
    let upstream = gated(10, &gate).await;
    let other = H2Upstream::echo().await;
    let mut gateway = before(&upstream.url()).await;
    let asking = ask(&gateway, 3);
    upstream.until_requests(3).await;
    let url = other.url();
    gateway.reload(|builder| builder.instead().http2("api", &[&url]).yaml(PUBLIC)).await;
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
    assert_eq!((upstream.requests().len(), other.requests().len()), (3, 1));
    gate.open();
    assert_eq!(asking.join_all().await, [200; 3]);
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn an_answer_whose_end_comes_late_is_not_taken_back() {
    let gate = Gate::new();
    let opened = gate.clone();
    let upstream = FrameUpstream::scripted(move |mut wire: Wire| {
        let opened = opened.clone();
        async move {
            wire.hello(&[]).await;
            for _ in 0..3 {
                let id = wire.whole().await.unwrap();
                wire.headers(id, 0, &[(":status", "200"), ("content-length", "4")]).await;
                wire.data(id, 0, b"well").await;
            }
            opened.passed().await;
            wire.data(1, END_STREAM, b"").await;
            wire.headers(3, END_STREAM, &[("x-sum", "1")]).await;
            wire.drain().await;
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    for _ in 0..3 {
        assert_eq!(gateway.anonymous().get("/").await.text(), "well");
    }
    gate.open();
    // The third, whose end never comes, is the only one that is.
    assert_eq!(upstream.until_reset(5).await, CANCEL);
    let resets = upstream.frames().into_iter().filter(|(_, frame)| frame.kind == RST_STREAM);
    assert_eq!(resets.count(), 1);
}

#[tokio::test]
async fn a_connection_that_stands_still_does_not_swallow_all_that_follows() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        while let Some(id) = wire.whole().await {
            if wire.number == 0 && id == 3 {
                // Neither reads nor says anything from here.
                return wire.stall().await;
            }
            wire.answer(id, "well").await;
        }
    })
    .await;
    let gateway = with(&upstream.url(), "timeouts: { response_head: 300ms }").await;
    assert_eq!(gateway.anonymous().get("/").await.text(), "well");
    gateway.anonymous().get("/").await.refused(Code::UpstreamTimeout);
    for _ in 0..3 {
        assert_eq!(gateway.anonymous().get("/").await.text(), "well");
    }
    assert_eq!(upstream.connections(), 2);
}

/// Whoever gave the request up, and however soon.
#[tokio::test]
async fn a_connection_that_is_silent_for_long_gets_no_more_when_its_client_goes() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        while let Some(id) = wire.whole().await {
            match (wire.number, id) {
                (0, 3) => return wire.drain().await,
                _ => wire.answer(id, "well").await,
            }
        }
    })
    .await;
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let builder = Gateway::builder().http2("api", &[&upstream.url()]).clock(&clock);
    let gateway = builder.yaml(PUBLIC).start().await;
    assert_eq!(gateway.anonymous().get("/").await.text(), "well");
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    upstream.until("its request", |_| (upstream.requests() == 2).then_some(())).await;
    gateway.pass(Duration::from_secs(6)).await;
    raw.reset();
    upstream.until_reset(3).await;
    assert_eq!(gateway.anonymous().get("/").await.text(), "well");
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_slow_request_does_not_cost_a_live_connection() {
    let upstream = H2Upstream::serving(async |stream| match stream.path().as_str() {
        "/slow" => stream.never().await,
        _ => stream.echo().await,
    })
    .await;
    let gateway = with(&upstream.url(), "timeouts: { response_head: 300ms }").await;
    let slow = tokio::spawn({
        let mut client = gateway.anonymous();
        async move { client.get("/slow").await.refused(Code::UpstreamTimeout) }
    });
    upstream.until_requests(1).await;
    // What comes meanwhile shows that the endpoint lives.
    while !slow.is_finished() {
        assert_eq!(gateway.anonymous().get("/").await.status, 200);
    }
    slow.await.unwrap();
    assert_eq!(upstream.taken_back(0).await, Reason::CANCEL);
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
    assert_eq!(upstream.connections(), 1);
}

/// More by far than h2 puts up with, and remembers, if it is not told otherwise.
const GIVEN_UP: usize = 700;

#[tokio::test]
async fn what_comes_of_streams_that_were_given_up_does_not_break_the_connection() {
    // Each with a late answer.
    let late = Arc::new(Gate::new());
    let opened = late.clone();
    let upstream = FrameUpstream::scripted(move |mut wire: Wire| {
        let opened = opened.clone();
        async move {
            wire.hello(&[]).await;
            let mut given_up = Vec::new();
            while let Some(frame) = wire.frame().await {
                match frame.kind {
                    RST_STREAM => given_up.push(frame.stream),
                    HEADERS if given_up.len() >= GIVEN_UP => {
                        opened.passed().await;
                        for id in given_up.drain(..) {
                            wire.headers(id, 0, &[(":status", "200")]).await;
                            wire.send(DATA, END_STREAM, id, b"late").await;
                        }
                        wire.answer(frame.stream, "well").await;
                    }
                    _ => {}
                }
            }
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    for number in 0..GIVEN_UP {
        let mut raw = gateway.raw().await;
        raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        upstream.until("its request", |_| (upstream.requests() > number).then_some(())).await;
        raw.reset();
        upstream.until_reset(number as u32 * 2 + 1).await;
    }
    late.open();
    assert_eq!(gateway.anonymous().get("/").await.text(), "well");
    assert_eq!(upstream.connections(), 1);
}
