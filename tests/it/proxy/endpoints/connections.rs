//! How many connections there may be to each server, of all workers together.

use std::time::Duration;

use keyward::auth::refusal::Code;

use super::PUBLIC;
use crate::support::gateway::{Builder, Gateway};
use crate::support::h2_upstream::H2Upstream;
use crate::support::raw::{Raw, Response};
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::websocket::{handshake, open, opening};
use crate::upstream_http2::connections::gated;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn before(builder: Builder, max: &str) -> Builder {
    builder.sharing(&format!("max: {{ {max} }}")).yaml(&format!("timeouts: {{ connect: 1h }}\n{PUBLIC}"))
}

async fn bounded(upstream: &Upstream, max: &str) -> Gateway {
    before(Gateway::builder().upstream("api", &upstream.url()), max).start().await
}

async fn asking(gateway: &Gateway) -> Raw {
    let mut raw = gateway.raw().await;
    raw.send(GET).await;
    raw
}

/// Of these the first that is answered, and the others.
async fn first_answered(mut asking: Vec<Raw>) -> (Response, Vec<Raw>) {
    let (index, response) = {
        let answers = asking.iter_mut().map(|raw| Box::pin(raw.response()));
        let (response, index, _) = futures_util::future::select_all(answers).await;
        (index, response)
    };
    asking.remove(index);
    (response, asking)
}

#[tokio::test]
async fn what_comes_over_the_connections_that_may_be_waits_for_one_and_more_is_refused() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("x").after(&gate)).await;
    let gateway = bounded(&upstream, "connections: 1, pending: 1").await;
    let mut first = asking(&gateway).await;
    upstream.until_requests(1).await;
    let (refused, waiting) = first_answered(vec![asking(&gateway).await, asking(&gateway).await]).await;
    refused.refused(Code::UpstreamUnavailable);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!((upstream.requests().len(), upstream.connections().len()), (1, 1));
    gate.open();
    assert_eq!(first.response().await.text(), "x");
    for mut raw in waiting {
        assert_eq!(raw.response().await.text(), "x");
    }
    assert_eq!(upstream.requests().len(), 2);
    assert_eq!(upstream.connections().len(), 1, "who waited got the connection that was there");
}

#[tokio::test]
async fn a_request_that_waits_in_vain_is_told_so() {
    let upstream = Upstream::always(Answer::hang()).await;
    let yaml = format!("timeouts: {{ connect: 50ms }}\n{PUBLIC}");
    let builder = Gateway::builder().upstream("api", &upstream.url()).sharing("max: { connections: 1 }");
    let gateway = builder.yaml(&yaml).start().await;
    let _first = asking(&gateway).await;
    upstream.until_requests(1).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnavailable);
    assert_eq!(upstream.connections().len(), 1);
}

#[tokio::test]
async fn a_client_that_goes_leaves_its_connection_to_another() {
    let gate = Gate::new();
    let never = gate.clone();
    let upstream = Upstream::answering(move |request| match request.number {
        0 => Answer::ok("never").after(&never),
        _ => Answer::ok("x"),
    })
    .await;
    let gateway = bounded(&upstream, "connections: 1").await;
    let first = asking(&gateway).await;
    upstream.until_requests(1).await;
    let mut waiting = asking(&gateway).await;
    first.reset();
    assert_eq!(waiting.response().await.text(), "x");
}

#[tokio::test]
async fn a_tunnel_is_one_of_them_to_its_end() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/ws" => opening().then_mirror().then_close(),
        _ => Answer::ok("x"),
    })
    .await;
    let gateway = bounded(&upstream, "connections: 1, pending: 0").await;
    let tunnel = open(gateway.raw().await, &handshake("/ws")).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnavailable);
    tunnel.reset();
    upstream.until_all_closed().await;
    assert_eq!(gateway.anonymous().get("/").await.text(), "x");
}

#[tokio::test]
async fn a_server_with_no_connection_left_is_passed_over_for_one_that_has() {
    let gate = Gate::new();
    let full = Upstream::always(Answer::ok("full").after(&gate)).await;
    let free = Upstream::echo().await;
    let builder = Gateway::builder().endpoints("api", &[&full.url(), &free.url()]);
    let builder = builder.sharing("balance: round_robin, max: { connections: 1 }");
    let gateway = builder.yaml(&format!("timeouts: {{ connect: 1h }}\n{PUBLIC}")).start().await;
    let mut first = asking(&gateway).await;
    full.until_requests(1).await;
    let mut client = gateway.anonymous();
    for _ in 0..5 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!((full.requests().len(), free.requests().len()), (1, 5));
    gate.open();
    assert_eq!(first.response().await.text(), "full");
}

/// A request that is to be sent again on a new connection needs none more than there may be.
#[tokio::test]
async fn a_kept_connection_that_ended_makes_room_for_a_new_one() {
    let upstream = Upstream::answering(|request| match (request.connection, request.on_connection) {
        (0, 1) => Answer::reset(),
        _ => Answer::ok("x"),
    })
    .await;
    let gateway = bounded(&upstream, "connections: 1, pending: 0").await;
    let mut client = gateway.anonymous();
    for _ in 0..3 {
        assert_eq!(client.get("/").await.text(), "x");
    }
    assert_eq!(upstream.connections().len(), 2);
}

/// It wants a new connection there, so that it is not lost with one that was closed meanwhile.
#[tokio::test]
async fn a_request_that_is_sent_elsewhere_takes_the_place_of_a_connection_that_nobody_uses() {
    let (bad, good) = (Upstream::always(Answer::reset()).await, Upstream::echo().await);
    let builder = Gateway::builder().endpoints("api", &[&bad.url(), &good.url()]);
    let sharing = "balance: round_robin, ejection: { failures: 0 }, max: { connections: 1, pending: 0 }";
    let gateway = builder.sharing(sharing).yaml(PUBLIC).start().await;
    let mut client = gateway.anonymous();
    for _ in 0..4 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!((bad.requests().len(), good.requests().len(), good.connections().len()), (2, 4, 2));
}

/// Every client comes to a worker by chance.
#[tokio::test]
async fn all_workers_together_have_no_more_and_none_is_left_without_one() {
    let upstream = Upstream::echo().await;
    let builder = Gateway::builder().upstream("api", &upstream.url()).workers(3);
    let gateway = before(builder, "connections: 1").start().await;
    for _ in 0..24 {
        assert_eq!(gateway.anonymous().get("/").await.status, 200);
        upstream.until("one connection", |seen| (seen.open() <= 1).then_some(())).await;
    }
    assert!(upstream.connections().len() > 1, "one worker alone had all clients");
}

#[tokio::test]
async fn requests_of_several_workers_share_them_and_those_that_wait_have_their_turn() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("x").after(&gate)).await;
    let builder = Gateway::builder().upstream("api", &upstream.url()).workers(2);
    let gateway = before(builder, "connections: 2, pending: 6").start().await;
    let mut all = Vec::new();
    for _ in 0..9 {
        all.push(asking(&gateway).await);
    }
    upstream.until_requests(2).await;
    let (refused, others) = first_answered(all).await;
    refused.refused(Code::UpstreamUnavailable);
    assert_eq!((upstream.requests().len(), upstream.connections().len()), (2, 2));
    gate.open();
    for mut raw in others {
        assert_eq!(raw.response().await.text(), "x");
    }
    upstream.until("two connections", |seen| (seen.open() <= 2).then_some(())).await;
}

#[tokio::test]
async fn a_reload_that_allows_more_lets_more_be_made() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("x").after(&gate)).await;
    let mut gateway = bounded(&upstream, "connections: 1, pending: 0").await;
    let mut first = asking(&gateway).await;
    upstream.until_requests(1).await;
    gateway.reload_same().await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnavailable);
    gateway.reload(|builder| before(builder, "connections: 2, pending: 0")).await;
    let mut second = asking(&gateway).await;
    upstream.until_requests(2).await;
    gate.open();
    assert_eq!((first.response().await.text(), second.response().await.text()), ("x", "x"));
}

#[tokio::test]
async fn over_http2_it_bounds_connections_not_requests() {
    let gate = Gate::new();
    let upstream = gated(1, &gate).await;
    let builder = Gateway::builder().http2("api", &[&upstream.url()]);
    let gateway = before(builder, "connections: 2, pending: 1").start().await;
    let mut all = vec![asking(&gateway).await, asking(&gateway).await];
    upstream.until_requests(2).await;
    all.extend([asking(&gateway).await, asking(&gateway).await]);
    let (refused, others) = first_answered(all).await;
    refused.refused(Code::UpstreamUnavailable);
    assert_eq!(upstream.connections(), 2);
    gate.open();
    for mut raw in others {
        assert_eq!(raw.response().await.status, 200);
    }
    assert_eq!(upstream.connections(), 2, "who waited got a stream on one that was there");
}

#[tokio::test]
async fn over_http2_no_worker_is_left_without_a_connection() {
    let upstream = H2Upstream::echo().await;
    let builder = Gateway::builder().http2("api", &[&upstream.url()]).workers(3);
    let gateway = before(builder, "connections: 1").start().await;
    for _ in 0..12 {
        assert_eq!(gateway.anonymous().get("/").await.status, 200);
    }
    assert!(upstream.connections() > 1, "one worker alone had all clients");
}

/// What began before the reload keeps the endpoint that it goes to, and that endpoint its connections.
#[tokio::test]
async fn what_a_reload_leaves_behind_keeps_no_connection_that_nobody_uses() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/ws" => opening().then_mirror().then_close(),
        _ => Answer::ok("x"),
    })
    .await;
    let mut gateway = bounded(&upstream, "connections: 2").await;
    let _tunnel = open(gateway.raw().await, &handshake("/ws")).await;
    assert_eq!(gateway.anonymous().get("/").await.text(), "x");
    assert_eq!(upstream.connections().len(), 2);
    gateway.reload(|builder| before(builder, "connections: 3")).await;
    upstream.until("the tunnel alone", |seen| (seen.open() == 1).then_some(())).await;
}

#[tokio::test]
async fn over_http2_a_request_that_lasts_leaves_those_of_its_worker_their_connection() {
    let upstream = H2Upstream::serving(|stream| async move {
        match stream.path().as_str() {
            "/long" => stream.never().await,
            _ => stream.echo().await,
        }
    })
    .await;
    let builder = Gateway::builder().http2("api", &[&upstream.url()]).workers(2);
    let gateway = before(builder, "connections: 1").start().await;
    let mut long = gateway.raw().await;
    long.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n").await;
    upstream.until_requests(1).await;
    // Those of the other worker wait, and the connection is to be theirs as soon as nobody uses it.
    let mut all = Vec::new();
    for _ in 0..16 {
        all.push(asking(&gateway).await);
    }
    let mut here = {
        let answers = all.iter_mut().map(|raw| Box::pin(raw.response()));
        let (response, index, _) = futures_util::future::select_all(answers).await;
        assert_eq!(response.status, 200);
        all.remove(index)
    };
    for _ in 0..3 {
        // A tick later it may be put aside.
        tokio::time::sleep(Duration::from_millis(200)).await;
        here.send(GET).await;
        assert_eq!(here.response().await.status, 200);
    }
    assert_eq!(upstream.connections(), 1);
}
