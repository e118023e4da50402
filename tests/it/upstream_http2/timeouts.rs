//! Each phase of a request to an upstream of HTTP/2 has its limit of time, and what is over it is taken back.

use h2::Reason;
use keyward::auth::refusal::Code;

use super::with;
use crate::support::h2_upstream::{H2Upstream, Stream, send_all};
use crate::support::raw::Broken;

#[tokio::test]
async fn an_endpoint_that_does_not_answer_in_time_is_a_504() {
    let upstream = H2Upstream::serving(Stream::never).await;
    let gateway = with(&upstream.url(), "timeouts: { response_head: 300ms }").await;
    for number in 0..2 {
        gateway.anonymous().get("/").await.refused(Code::UpstreamTimeout);
        assert_eq!(upstream.taken_back(number).await, Reason::CANCEL);
        assert_eq!(upstream.requests().len(), number + 1, "it is not asked again");
    }
}

#[tokio::test]
async fn interim_answers_give_no_more_time() {
    let upstream = H2Upstream::serving(async |mut stream| {
        loop {
            stream.interim(102);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let gateway = with(&upstream.url(), "timeouts: { response_head: 300ms }").await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamTimeout);
}

#[tokio::test]
async fn a_client_that_does_not_go_on_with_its_body_is_a_408() {
    let upstream = H2Upstream::serving(async |mut stream| stream.read().await).await;
    let gateway = with(&upstream.url(), "timeouts: { request_body_idle: 300ms }").await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf").await;
    raw.response().await.refused(Code::RequestTimeout);
    assert_eq!(upstream.taken_back(0).await, Reason::CANCEL);
}

#[tokio::test]
async fn an_answer_that_stands_still_is_cut_off_and_taken_back() {
    let upstream = H2Upstream::serving(async |mut stream| {
        let mut out = stream.head(200, &[("content-length", "9")], false);
        send_all(&mut out, "half".into(), false).await;
        stream.until_reset(&mut out).await;
    })
    .await;
    let gateway = with(&upstream.url(), "timeouts: { response_body_idle: 300ms }").await;
    let outcome = gateway.anonymous().request("GET", "/").try_send().await;
    assert!(matches!(outcome, Err(Broken::Body(..))), "{outcome:?}");
    assert_eq!(upstream.taken_back(0).await, Reason::CANCEL);
}

#[tokio::test]
async fn a_whole_request_can_have_an_end() {
    let upstream = H2Upstream::serving(async |mut stream| match stream.path().as_str() {
        "/endless" => {
            let mut out = stream.head(200, &[], false);
            while send_all(&mut out, vec![b'x'; 1000].into(), false).await {}
            stream.until_reset(&mut out).await;
        }
        _ => stream.never().await,
    })
    .await;
    let gateway = with(&upstream.url(), "timeouts: { total: 300ms }").await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamTimeout);
    let outcome = gateway.anonymous().request("GET", "/endless").try_send().await;
    assert!(matches!(outcome, Err(Broken::Body(..))), "{outcome:?}");
    assert_eq!(upstream.taken_back(1).await, Reason::CANCEL);
}
