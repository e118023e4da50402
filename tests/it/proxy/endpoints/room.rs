//! How much may be under way to an upstream.

use keyward::auth::refusal::Code;

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::raw::Raw;
use crate::support::upstream::{Answer, Gate, Upstream};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn before(upstream: &Upstream, max: &str) -> Gateway {
    let timeouts = "timeouts: { connect: 1h }\n";
    let builder = Gateway::builder().upstream("api", &upstream.url());
    builder.sharing(&format!("max: {{ {max} }}")).yaml(&format!("{timeouts}{PUBLIC}")).start().await
}

async fn asking(gateway: &Gateway) -> Raw {
    let mut raw = gateway.raw().await;
    raw.send(GET).await;
    raw
}

#[tokio::test]
async fn one_more_than_may_be_under_way_and_wait_is_refused_and_those_that_wait_have_their_turn() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("x").after(&gate)).await;
    let gateway = before(&upstream, "in_flight: 1, pending: 1").await;
    let mut first = asking(&gateway).await;
    upstream.until_requests(1).await;
    // Of two that come together one waits, whichever.
    let (mut one, mut other) = (asking(&gateway).await, asking(&gateway).await);
    let (refused, mut waiting) = tokio::select! {
        response = one.response() => (response, other),
        response = other.response() => (response, one),
    };
    refused.refused(Code::UpstreamUnavailable);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(upstream.requests().len(), 1);
    gate.open();
    assert_eq!(first.response().await.text(), "x");
    assert_eq!(waiting.response().await.text(), "x");
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_place_is_taken_until_the_answer_has_ended_and_no_longer() {
    let gate = Gate::new();
    let half = Answer::new(200).header("content-length", "2").only_head().then_send("a");
    let upstream = Upstream::always(half.then_wait(&gate).then_send("b")).await;
    let gateway = before(&upstream, "in_flight: 1, pending: 0").await;
    let mut first = asking(&gateway).await;
    upstream.until("the first half", |seen| (seen.connections.first()?.sent >= 39).then_some(())).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnavailable);
    gate.open();
    assert_eq!(first.response().await.text(), "ab");
    let mut client = gateway.anonymous();
    for _ in 0..3 {
        assert_eq!(client.get("/").await.text(), "ab");
    }
}

#[tokio::test]
async fn a_client_that_goes_leaves_its_place_to_another() {
    let gate = Gate::new();
    let upstream = Upstream::answering({
        let gate = gate.clone();
        move |request| match request.number {
            0 => Answer::ok("never").after(&gate),
            _ => Answer::ok("x"),
        }
    })
    .await;
    let gateway = before(&upstream, "in_flight: 1, pending: 1").await;
    let first = asking(&gateway).await;
    upstream.until_requests(1).await;
    let mut waiting = asking(&gateway).await;
    first.reset();
    assert_eq!(waiting.response().await.text(), "x");
}
