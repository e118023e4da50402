//! A request is sent again only where the upstream cannot have acted on it, or acting twice is harmless.

use keyward::auth::refusal::Code;

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Answer, Upstream, refusing};

#[tokio::test]
async fn an_endpoint_that_refuses_is_passed_over_even_for_post() {
    let upstream = Upstream::echo().await;
    let nobody = format!("http://{}", refusing().await);
    let gateway = Gateway::builder().endpoints("api", &[&nobody, &upstream.url()]).yaml(PUBLIC).start().await;
    let mut client = gateway.anonymous();
    for _ in 0..4 {
        assert_eq!(client.get("/").await.status, 200);
        assert_eq!(client.post("/", "body").await.json()["body_len"], 4);
    }
    assert_eq!(upstream.requests().len(), 8);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_nothing() {
    for method in ["GET", "POST"] {
        let upstream = Upstream::always(Answer::ok("x").then_close()).await;
        let gateway = Gateway::with(&upstream, PUBLIC).await;
        let mut client = gateway.anonymous();
        for count in 1..=5 {
            assert_eq!(client.request(method, "/").body("").send().await.text(), "x", "{method}");
            upstream.until_all_closed().await;
            assert_eq!(upstream.requests().len(), count);
        }
    }
}

/// The second request on the first connection is cut off unanswered.
async fn cut_off_when_used_again() -> Upstream {
    Upstream::answering(|request| match (request.connection, request.on_connection) {
        (0, 1) => Answer::reset(),
        _ => Answer::ok("x"),
    })
    .await
}

#[tokio::test]
async fn a_get_that_a_kept_connection_lost_is_sent_again() {
    for method in ["GET", "HEAD", "OPTIONS"] {
        let upstream = cut_off_when_used_again().await;
        let gateway = Gateway::with(&upstream, PUBLIC).await;
        let mut client = gateway.anonymous();
        assert_eq!(client.get("/").await.status, 200);
        assert_eq!(client.request(method, "/again").send().await.status, 200, "{method}");
        let targets: Vec<_> = upstream.requests().into_iter().map(|request| request.target).collect();
        assert_eq!(targets, ["/", "/again", "/again"], "{method}");
    }
}

#[tokio::test]
async fn a_post_that_may_have_been_acted_on_is_not_sent_again() {
    for method in ["POST", "PATCH", "X-CUSTOM"] {
        for body in ["", "body"] {
            let upstream = cut_off_when_used_again().await;
            let gateway = Gateway::with(&upstream, PUBLIC).await;
            let mut client = gateway.anonymous();
            assert_eq!(client.get("/").await.status, 200);
            client.request(method, "/once").body(body).send().await.refused(Code::UpstreamProtocolError);
            assert_eq!(upstream.requests().len(), 2, "{method} {body:?}");
        }
    }
}

#[tokio::test]
async fn a_body_that_was_taken_from_the_client_is_not_sent_again() {
    let upstream = cut_off_when_used_again().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    assert_eq!(client.get("/").await.status, 200);
    client
        .request("PUT", "/once")
        .body(vec![b'x'; 100_000])
        .send()
        .await
        .refused(Code::UpstreamProtocolError);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_that_has_begun_is_never_asked_for_again() {
    let half = Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").then_reset();
    let upstream = Upstream::always(half).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    assert!(gateway.anonymous().request("GET", "/").try_send().await.is_err());
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_always_cuts_off_is_not_asked_for_ever() {
    let upstream = Upstream::always(Answer::reset()).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamProtocolError);
    assert!(upstream.requests().len() <= 3, "{} times", upstream.requests().len());
}

#[tokio::test]
async fn a_time_out_is_never_tried_again() {
    let upstream = Upstream::always(Answer::hang()).await;
    let gateway = Gateway::with(&upstream, &format!("timeouts: {{ response_head: 200ms }}\n{PUBLIC}")).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamTimeout);
    assert_eq!(upstream.requests().len(), 1);
}
