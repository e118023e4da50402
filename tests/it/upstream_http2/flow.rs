//! Flow control from end to end: nobody is sent more than they take, and nobody waits for somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use keyward::auth::refusal::Code;

use super::{before, with};
use crate::support::h2_upstream::frames::{
    END_STREAM, FrameUpstream, INITIAL_WINDOW, MAX_CONCURRENT_STREAMS, PING, SETTINGS, Wire, frame,
};
use crate::support::h2_upstream::{Ended, H2Upstream, Stream, send_all};
use crate::support::http::chunks;
use crate::support::raw::Raw;
use crate::support::{noise, sha256, within};

/// Sends without end, and counts.
async fn flood(mut stream: Stream, sent: Arc<AtomicU64>) {
    let mut out = stream.head(200, &[], false);
    let piece = Bytes::from(vec![b'x'; 16_384]);
    while send_all(&mut out, piece.clone(), false).await {
        sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
    }
    stream.until_reset(&mut out).await;
}

#[tokio::test]
async fn a_slow_client_holds_its_own_answer_back_and_no_other() {
    let sent = Arc::<AtomicU64>::default();
    let counted = sent.clone();
    let upstream = H2Upstream::serving(move |stream| {
        let sent = counted.clone();
        async move {
            match stream.path().as_str() {
                "/flood" => flood(stream, sent).await,
                _ => stream.echo().await,
            }
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let mut slow = Vec::new();
    for _ in 0..60 {
        let mut raw = Raw::connect_narrow(gateway.public()).await;
        raw.send("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n").await;
        raw.head().await.unwrap();
        slow.push(raw);
    }
    // Nothing moves any more.
    within("a stand-still", async {
        let mut before = 0;
        while before != sent.load(Ordering::SeqCst) || before < 60 * 64 * 1024 {
            before = sent.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    // Whatever they leave lying does not use up what the others need: they go on, on the same connection.
    for _ in 0..20 {
        let body = noise(300_000);
        let response = gateway.anonymous().post("/", body.clone()).await;
        assert_eq!(response.json()["body_sha256"], sha256(&body));
    }
    assert_eq!(upstream.connections(), 1);
    // The sockets' buffers and ours, but not the flood.
    let each = sent.load(Ordering::SeqCst) / 60;
    assert!(each < 4 << 20, "{each} bytes were taken that nobody reads");
    drop(slow);
    for number in 0..60 {
        assert_eq!(upstream.taken_back(number).await, Reason::CANCEL);
    }
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
}

#[tokio::test]
async fn a_slow_upstream_holds_the_client_back() {
    let upstream = H2Upstream::serving(|_stream| std::future::pending()).await;
    let gateway = with(&upstream.url(), "max: { body: 1GiB }").await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 268435456\r\n\r\n").await;
    let sent = raw.send_until_held_back(256 << 20, Duration::from_millis(500)).await;
    assert!(sent < 64 << 20, "{sent} bytes were taken that nobody reads");
    // Nor does it hold up others.
    let mut other = gateway.raw().await;
    other.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
    upstream.until_requests(2).await;
}

#[tokio::test]
async fn large_bodies_pass_both_ways_whole() {
    let upstream = H2Upstream::serving(async |mut stream| {
        stream.read().await;
        let mut out = stream.head(200, &[], false);
        send_all(&mut out, noise(8 << 20).into(), true).await;
    })
    .await;
    let gateway = with(&upstream.url(), "max: { body: 1GiB }").await;
    let body = noise(8 << 20);
    let mut client = gateway.anonymous();
    for _ in 0..2 {
        assert!(client.post("/", body.clone()).await.body == body);
    }
    assert!(upstream.requests().iter().all(|request| request.body == body));
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn an_answer_begins_before_its_request_is_whole_and_both_go_on() {
    let upstream = H2Upstream::serving(async |mut stream| {
        let mut out = stream.head(200, &[], false);
        while let Some(piece) = stream.piece().await {
            let answer = [&b"<"[..], &piece, b">"].concat();
            assert!(send_all(&mut out, answer.into(), false).await);
        }
        out.send_data(Bytes::from_static(b"end"), true).unwrap();
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    raw.head().await.unwrap();
    for number in 0..50 {
        let said = format!("piece {number}");
        raw.send(format!("{:x}\r\n{said}\r\n", said.len())).await;
        raw.until(format!("<{said}>").as_bytes()).await;
    }
    raw.send("0\r\n\r\n").await;
    raw.until(b"end\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_can_go_on_with_its_request() {
    let sent = Arc::<AtomicU64>::default();
    let upstream = H2Upstream::serving(move |mut stream| {
        let sent = sent.clone();
        async move {
            let mut out = stream.head(200, &[], false);
            let flooding = tokio::spawn(async move {
                let piece = Bytes::from(vec![b'x'; 16_384]);
                while send_all(&mut out, piece.clone(), false).await {
                    sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
                }
            });
            stream.read().await;
            flooding.abort();
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let mut raw = Raw::connect_narrow(gateway.public()).await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    raw.head().await.unwrap();
    // The answer stands still by now, or soon.
    let body = noise(3 << 20);
    let pieces: Vec<&[u8]> = body.chunks(10_000).collect();
    raw.send(chunks(&pieces)).await;
    assert_eq!(upstream.ending(0).await, Ended::Whole);
    assert_eq!(sha256(&upstream.only_request().body), sha256(&body));
}

#[tokio::test]
async fn a_client_that_goes_takes_its_request_back_and_nothing_else() {
    let upstream = H2Upstream::serving(async |mut stream| match stream.path().as_str() {
        "/never" => {
            let mut nothing = stream.head(200, &[], false);
            stream.until_reset(&mut nothing).await;
        }
        "/no-head" => stream.never().await,
        _ => stream.echo().await,
    })
    .await;
    let gateway = before(&upstream.url()).await;
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
    for (number, request) in [
        "GET /never HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /never HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
        "POST /no-head HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
    ]
    .into_iter()
    .enumerate()
    {
        let mut raw = gateway.raw().await;
        raw.send(request).await;
        upstream.until_requests(number + 2).await;
        if request.contains("/never") {
            raw.head().await.unwrap();
        }
        raw.reset();
        assert_eq!(upstream.taken_back(number + 1).await, Reason::CANCEL, "{request}");
    }
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn an_endpoint_without_a_window_gets_its_body_when_it_opens_one() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[(INITIAL_WINDOW, 0)]).await;
        while let Some(id) = wire.request().await {
            // In each of three ways by turns: for the stream, for all streams, and both and back.
            match id % 3 {
                0 => wire.window(id, 4).await,
                1 => wire.settings(&[(INITIAL_WINDOW, 4)]).await,
                _ => {
                    wire.window(id, 8).await;
                    wire.settings(&[(INITIAL_WINDOW, 0)]).await;
                }
            }
            let mut body = Vec::new();
            loop {
                let frame = wire.next(0).await.unwrap();
                body.extend(&frame.payload);
                if frame.ends() {
                    break;
                }
            }
            wire.answer(id, std::str::from_utf8(&body).unwrap()).await;
            wire.settings(&[(INITIAL_WINDOW, 0)]).await;
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    for _ in 0..6 {
        assert_eq!(gateway.anonymous().post("/", "body").await.text(), "body");
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn an_endpoint_that_never_opens_a_window_is_too_slow() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[(INITIAL_WINDOW, 3)]).await;
        while let Some(id) = wire.request().await {
            // Signs of life, but no answer, to those with a body.
            wire.send(PING, 0, 0, &[0; 8]).await;
            if wire.frames_end(id) {
                wire.answer(id, "well").await;
            }
        }
    })
    .await;
    let gateway = with(&upstream.url(), "timeouts: { response_head: 300ms }").await;
    gateway.anonymous().post("/", "body").await.refused(Code::UpstreamTimeout);
    assert_eq!(upstream.until_reset(1).await, 8);
    let body: usize =
        upstream.frames().iter().filter(|(_, f)| f.kind == 0).map(|(_, f)| f.payload.len()).sum();
    assert_eq!(body, 3, "no more than there was a window for");
    assert_eq!(gateway.anonymous().get("/").await.text(), "well");
}

#[tokio::test]
async fn settings_that_change_are_kept() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        let mut count = 0_u16;
        while let Some(id) = wire.whole().await {
            count += 1;
            // The size of the table, of frames, of the list, streams, unknown ones.
            let change =
                [(1, 4096 * u32::from(count % 3)), (5, 16_384 + u32::from(count)), (6, 100_000), (0xfe, 7)];
            wire.settings(&change).await;
            wire.settings(&[(MAX_CONCURRENT_STREAMS, u32::from(count % 4))]).await;
            wire.answer(id, "well").await;
            if count.is_multiple_of(4) {
                wire.settings(&[(MAX_CONCURRENT_STREAMS, 100)]).await;
            }
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    for _ in 0..12 {
        assert_eq!(gateway.anonymous().get("/").await.text(), "well");
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn floods_of_an_endpoint_end_when_it_ends_and_hold_nobody_up() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        while let Some(id) = wire.whole().await {
            match id % 10 {
                1 => wire.raw(&frame(PING, 0, 0, [0; 8]).repeat(20_000)).await,
                3 => wire.raw(&frame(SETTINGS, 0, 0, b"").repeat(20_000)).await,
                5 => wire.raw(&frame(8, 0, 0, [0, 0, 0, 1]).repeat(20_000)).await,
                7 => wire.raw(&frame(0xfa, 0, 0, [0; 100]).repeat(20_000)).await,
                _ => wire.raw(&frame(2, 0, id, [0; 5]).repeat(20_000)).await,
            }
            wire.answer(id, "well").await;
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    for _ in 0..10 {
        assert_eq!(gateway.anonymous().get("/").await.text(), "well");
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn an_answer_in_the_smallest_pieces_passes_whole() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        while let Some(id) = wire.whole().await {
            wire.headers(id, 0, &[(":status", "200")]).await;
            // As many as the window has bytes, at once.
            wire.raw(&frame(0, 0, id, b"x").repeat(60_000)).await;
            wire.data(id, END_STREAM, b"end").await;
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    for _ in 0..2 {
        let response = gateway.anonymous().get("/").await;
        assert_eq!((response.body.len(), response.body.ends_with(b"xend")), (60_003, true));
    }
    assert_eq!(upstream.connections(), 1);
}
