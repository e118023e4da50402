//! How streams and connections end: one without the other, and nothing without its reason.

use std::time::Duration;

use h2::Reason;
use tokio::time::Instant;

use super::{open, open_with};
use crate::support::frames::{self, CANCEL, DATA, Frames, NO_ERROR, PROTOCOL_ERROR, frame, head, reset};
use crate::support::upstream::{Answer, Seen, Upstream};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_client_that_takes_its_request_back_ends_it_upstream() {
    let upstream = Upstream::always(Answer::hang()).await;
    let (_gateway, mut client) = open(&upstream).await;
    let request = client.request("GET", "/");
    let exchange = client.ask(request).await;
    upstream.until_requests(1).await;
    drop(exchange);
    upstream.until_all_closed().await;
}

/// Its answer has begun and pauses, as an event stream does.
#[tokio::test]
async fn a_client_that_takes_a_pausing_answer_back_ends_it_upstream() {
    let events = Answer::new(200).header("transfer-encoding", "chunked").only_head();
    let upstream = Upstream::always(events.then_send("4\r\nnews\r\n").then_hang()).await;
    let (gateway, _) = open(&upstream).await;
    let mut client = Frames::connect(gateway.public()).await;
    client.send(frames::get(1)).await;
    let news = client.until(|frame| frame.kind == DATA).await.unwrap();
    assert_eq!(news.payload, b"news");
    client.send(reset(1, CANCEL)).await;
    upstream.until_all_closed().await;
    client.ping().await;
}

/// Without an error too: what came of its body is not all there was to be, and must not look so to the upstream.
#[tokio::test]
async fn a_body_that_is_taken_back_is_never_taken_for_whole() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open(&upstream).await;
    let mut client = Frames::connect(gateway.public()).await;
    for (number, code) in [NO_ERROR, CANCEL, PROTOCOL_ERROR].into_iter().enumerate() {
        let stream = 2 * u32::try_from(number).unwrap() + 1;
        client
            .send([frames::open(stream, head("POST", "/", &[])), frame(DATA, 0, stream, b"half")].concat())
            .await;
        let half = |seen: &Seen| (seen.requests.get(number)?.body_len == 4).then_some(());
        upstream.until("half a body", half).await;
        client.send(reset(stream, code)).await;
        upstream.until_all_closed().await;
        assert!(!upstream.requests()[number].is_whole(), "{code}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_resets_its_stream_alone() {
    let broken = Answer::new(200).header("content-length", "9").only_head().then_send("half").then_close();
    let upstream = Upstream::answering(move |request| match request.target.as_str() {
        "/broken" => broken.clone(),
        _ => Answer::echo(),
    })
    .await;
    let (_gateway, mut client) = open(&upstream).await;
    for _ in 0..3 {
        let request = client.request("GET", "/broken");
        assert_eq!(client.ask(request).await.reset().await, Some(Reason::INTERNAL_ERROR));
    }
    assert_eq!(client.get("/whole").await.status, 200);
}

#[tokio::test]
async fn a_connection_without_a_request_is_let_go() {
    let upstream = Upstream::echo().await;
    let (_gateway, mut client) = open_with(&upstream, "timeouts: { idle: 300ms }").await;
    assert_eq!(client.get("/").await.status, 200);
    let began = Instant::now();
    client.is_ended().await.unwrap();
    assert!(began.elapsed() >= SHORT / 2);
}
