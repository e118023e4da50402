//! Tunnels: bytes both ways, held back by whoever is slow, and ended in every way there is.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::raw::{Ending, Raw};
use crate::support::upstream::{Answer, Gate, Seen, Upstream};
use crate::support::websocket::{
    GOING_AWAY, close, frame, handshake, is_closed, masked, naming, open, opening,
};
use crate::support::{find, noise, within};

const OPAQUE: &str = "routes:
  - { name: all, match: { path_prefix: / }, auth: public, upstream: api, upgrades: [tcp-ish/1] }
";
const ASKING: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: tcp-ish/1\r\n\r\n";

fn opaque() -> Answer {
    naming("tcp-ish/1").only_head()
}

#[tokio::test]
async fn many_bytes_pass_both_ways_at_once() {
    let upstream = Upstream::always(opening().then_mirror().then_close()).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = open(gateway.raw().await, &handshake("/")).await;
    let message = masked(2, &noise(3_000_000));
    // It is sent and read in pieces, for neither end keeps all of it.
    for piece in message.chunks(100_000) {
        raw.send(piece).await;
        assert_eq!(raw.exactly(piece.len()).await, piece);
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_the_upstream_back() {
    let upstream = Upstream::always(opening().then_send(noise(64 << 20)).then_hang()).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = Raw::connect_narrow(gateway.public()).await;
    raw.send(handshake("/")).await;
    raw.head().await.unwrap();
    assert!(raw.leftover.len() < 1 << 20);
    drop(raw);
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn an_upstream_that_reads_nothing_holds_the_client_back() {
    let upstream = Upstream::always(opening().never_reading().then_hang()).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = open(gateway.raw().await, &handshake("/")).await;
    let sent = raw.send_until_held_back(256 << 20, Duration::from_millis(500)).await;
    assert!(sent < 64 << 20, "{sent} bytes were taken that nobody reads");
}

#[tokio::test]
async fn each_side_may_end_before_the_other() {
    // The client first: what the upstream still has to say arrives.
    let gate = Gate::new();
    let upstream = Upstream::always(opaque().then_wait(&gate).then_send("late").then_close()).await;
    let gateway = Gateway::with(&upstream, OPAQUE).await;
    let mut raw = open(gateway.raw().await, ASKING).await;
    raw.send("all").await;
    raw.half_close();
    upstream.until("the client's end", |seen| seen.connections[0].ended.map(|_| ())).await;
    gate.open();
    assert_eq!(raw.exactly(4).await, b"late");
    assert_eq!(raw.ends().await, Ending::Closed);

    // The upstream first: what the client still has to say arrives.
    let upstream = Upstream::always(opaque().then_send("bye").then_linger()).await;
    let gateway = Gateway::with(&upstream, OPAQUE).await;
    let mut raw = open(gateway.raw().await, ASKING).await;
    assert_eq!(raw.rest().await, (b"bye".to_vec(), Ending::Closed));
    raw.send("still here").await;
    upstream.until("the rest", |seen| seen.connections[0].raw.ends_with(b"still here").then_some(())).await;
    drop(raw);
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn a_side_that_breaks_off_is_not_taken_for_one_that_ended() {
    let upstream = Upstream::always(opaque().then_send("half").then_reset()).await;
    let gateway = Gateway::with(&upstream, OPAQUE).await;
    let mut raw = gateway.raw().await;
    raw.send(ASKING).await;
    // What came before may be lost by a reset.
    let (_, ending) = raw.rest().await;
    assert_eq!(ending, Ending::Reset);

    let upstream = Upstream::always(opaque().then_hang()).await;
    let gateway = Gateway::with(&upstream, OPAQUE).await;
    open(gateway.raw().await, ASKING).await.reset();
    let ended = upstream.until("the end", |seen| seen.connections[0].ended).await;
    assert_eq!(ended, Ending::Reset);
}

/// What it said goes on to its end, though nothing can be said to it any more.
#[tokio::test]
async fn a_client_that_says_its_last_and_is_gone_is_heard_out() {
    let [told, read] = [Gate::new(), Gate::new()];
    let (first, second) = (told.clone(), read.clone());
    let upstream = Upstream::answering(move |request| match request.header("upgrade") {
        Some(_) => {
            let answer = opaque().then_wait(&first).then_send(noise(100_000)).then_wait(&second);
            answer.never_reading().then_mirror()
        }
        None => Answer::ok("plain"),
    })
    .await;
    let gateway = Gateway::with(&upstream, OPAQUE).await;
    let mut raw = open(gateway.raw().await, ASKING).await;
    let last = noise(400_000);
    raw.send(&last).await;
    let mut beside = gateway.anonymous();
    let mut rounds = async || {
        for _ in 0..100 {
            assert_eq!(beside.get("/").await.text(), "plain");
        }
    };
    // The worker, which does one thing after the other, has taken all of it.
    rounds().await;
    drop(raw);
    // It waits on its way up, and what is sent to the client from here on is refused by the client's system.
    told.open();
    rounds().await;
    read.open();
    let whole = |seen: &Seen| (seen.connections[0].raw.ends_with(&last)).then_some(());
    upstream.until("all that it said", whole).await;
}

/// The same the other way round.
#[tokio::test]
async fn an_upstream_that_says_its_last_and_is_gone_is_heard_out() {
    let last = noise(400_000);
    let answer = opaque().then_send(&last).then_close();
    let upstream = Upstream::answering(move |request| match request.header("upgrade") {
        Some(_) => answer.clone(),
        None => Answer::ok("plain"),
    })
    .await;
    let gateway = Gateway::with(&upstream, OPAQUE).await;
    let mut raw = open(Raw::connect_narrow(gateway.public()).await, ASKING).await;
    upstream.until_all_closed().await;
    // The first of these is refused by the upstream's system, the second by the gateway's.
    let mut beside = gateway.anonymous();
    for _ in 0..2 {
        raw.send("is anybody there?").await;
        for _ in 0..100 {
            assert_eq!(beside.get("/").await.text(), "plain");
        }
    }
    assert_eq!(raw.exactly(last.len()).await, last);
}

#[tokio::test]
async fn more_tunnels_than_may_be_are_refused_and_requests_are_not() {
    let upstream = Upstream::answering(|request| match request.header("upgrade") {
        Some(_) => opening().then_mirror().then_close(),
        None => Answer::ok("plain"),
    })
    .await;
    let limits = format!("max: {{ tunnels: 2, in_flight: 1 }}\n{PUBLIC}");
    let gateway = Gateway::builder().upstream("api", &upstream.url()).yaml(&limits).workers(2).start().await;
    let first = open(gateway.raw().await, &handshake("/")).await;
    let _second = open(gateway.raw().await, &handshake("/")).await;
    let mut third = gateway.raw().await;
    third.ask(handshake("/")).await.refused(Code::Overloaded);
    // A tunnel is no request in flight.
    assert_eq!(third.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.text(), "plain");
    assert_eq!(upstream.requests().len(), 3);
    drop(first);
    upstream.until("the first's end", |seen| seen.connections[0].ended.map(|_| ())).await;
    let mut raw = gateway.raw().await;
    loop {
        raw.send(handshake("/")).await;
        match raw.head().await.unwrap().status {
            101 => break,
            503 => raw = gateway.raw().await,
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_place_is_kept_only_by_what_became_a_tunnel() {
    let gate = Gate::new();
    let slow = Answer::new(200).header("content-length", "4").only_head().then_wait(&gate).then_send("done");
    let upstream = Upstream::answering(move |request| match request.target.as_str() {
        "/plain" => slow.clone(),
        _ => opening().then_mirror().then_close(),
    })
    .await;
    let gateway = Gateway::with(&upstream, &format!("max: {{ tunnels: 1 }}\n{PUBLIC}")).await;
    let mut plain = gateway.raw().await;
    plain.send(handshake("/plain")).await;
    assert_eq!(plain.head().await.unwrap().status, 200);
    let _tunnel = open(gateway.raw().await, &handshake("/")).await;
    gate.open();
    assert_eq!(plain.exactly(4).await, b"done");
}

/// A gateway whose clock stands until it is moved.
async fn standing_still(upstream: &Upstream, yaml: &str) -> (Gateway, Clock) {
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let builder = Gateway::builder().upstream("api", &upstream.url()).yaml(yaml);
    (builder.clock(&clock).start().await, clock)
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_is_ended() {
    let timeouts = "timeouts: { tunnel_idle: 10s, response_body_idle: 1h, idle: 1s, first_byte: 1s, response_head: 1s }\n";
    let upstream = Upstream::always(opening().then_mirror().then_close()).await;
    let (gateway, clock) = standing_still(&upstream, &format!("{timeouts}{PUBLIC}")).await;
    let mut raw = open(gateway.raw().await, &handshake("/")).await;
    // Whatever moves puts the end off; other limits of time are of no concern.
    for _ in 0..3 {
        clock.advance(Duration::from_secs(8));
        raw.send(masked(9, b"")).await;
        raw.exactly(6).await;
    }
    clock.advance(Duration::from_secs(11));
    is_closed(&mut raw, 1001, "nothing was sent for too long").await;
    upstream.until("a farewell", |seen| seen.connections[0].raw.ends_with(GOING_AWAY).then_some(())).await;

    let upstream = Upstream::always(opaque().then_hang()).await;
    let (gateway, clock) = standing_still(&upstream, &format!("{timeouts}{OPAQUE}")).await;
    let mut raw = open(gateway.raw().await, ASKING).await;
    clock.advance(Duration::from_secs(11));
    assert_eq!(raw.ends().await, Ending::Reset);
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn a_side_that_takes_nothing_or_is_left_alone_is_not_waited_for_as_long() {
    let timeouts = "timeouts: { tunnel_idle: 10h, response_body_idle: 10s }\n";
    let upstream = Upstream::always(opening().then_send(noise(64 << 20)).then_hang()).await;
    let (gateway, clock) = standing_still(&upstream, &format!("{timeouts}{PUBLIC}")).await;
    let mut raw = Raw::connect_narrow(gateway.public()).await;
    raw.send(handshake("/")).await;
    raw.head().await.unwrap();
    // How much fits on the way is the system's matter; when it moves no more, time passes.
    within("the end of a tunnel whose client reads nothing", async {
        while upstream.connections()[0].ended.is_none() {
            clock.advance(Duration::from_secs(5));
            tokio::task::yield_now().await;
        }
    })
    .await;

    let upstream = Upstream::always(opaque().then_linger()).await;
    let (gateway, clock) = standing_still(&upstream, &format!("{timeouts}{OPAQUE}")).await;
    let mut raw = open(gateway.raw().await, ASKING).await;
    assert_eq!(raw.ends().await, Ending::Closed);
    clock.advance(Duration::from_secs(11));
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn the_limit_for_a_whole_request_ends_with_its_101() {
    let upstream = Upstream::always(opening().then_mirror().then_close()).await;
    let (gateway, clock) = standing_still(&upstream, &format!("timeouts: {{ total: 5s }}\n{PUBLIC}")).await;
    let mut raw = open(gateway.raw().await, &handshake("/")).await;
    clock.advance(Duration::from_mins(1));
    raw.send("x").await;
    assert_eq!(raw.exactly(1).await, b"x");
}

#[tokio::test]
async fn a_reload_leaves_tunnels_as_they_are() {
    let upstream = Upstream::always(opening().then_mirror().then_close()).await;
    let other = Upstream::always(Answer::ok("other")).await;
    let mut gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = open(gateway.raw().await, &handshake("/")).await;
    let none = "routes: [{ name: other, match: { path_prefix: / }, upstream: api, upgrades: [] }]";
    gateway.reload(|_| Gateway::builder().upstream("api", &other.url()).yaml(none)).await;
    raw.send("x").await;
    assert_eq!(raw.exactly(1).await, b"x");
}

/// A Close of one side is the other side's matter.
#[tokio::test]
async fn closes_pass_like_any_frame() {
    let upstream =
        Upstream::always(opening().then_send(close(1000, "done")).then_mirror().then_close()).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = open(gateway.raw().await, &handshake("/")).await;
    assert_eq!(raw.exactly(8).await, close(1000, "done"));
    let reply = masked(8, &[0x03, 0xe8]);
    raw.send(&reply).await;
    assert_eq!(raw.exactly(reply.len()).await, reply);
    assert!(find(&upstream.connections()[0].raw, &reply).is_some());
}

#[tokio::test]
async fn two_hundred_tunnels_at_once_are_two_hundred() {
    let upstream = Upstream::always(opening().then_mirror().then_close()).await;
    let builder = Gateway::builder().upstream("api", &upstream.url()).yaml(PUBLIC);
    let gateway = builder.workers(2).start().await;
    let mut tunnels = Vec::new();
    for _ in 0..200 {
        tunnels.push(open(gateway.raw().await, &handshake("/")).await);
    }
    for round in 0..3 {
        for (number, raw) in tunnels.iter_mut().enumerate() {
            raw.send(frame(1, format!("{round} {number}").as_bytes())).await;
        }
        for (number, raw) in tunnels.iter_mut().enumerate() {
            let sent = frame(1, format!("{round} {number}").as_bytes());
            assert_eq!(raw.exactly(sent.len()).await, sent);
        }
    }
    assert_eq!(upstream.connections().len(), 200);
}
