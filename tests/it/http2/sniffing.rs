//! Both protocols on one listener, told apart by the first bytes, within the time of the first byte and of the head.

use std::time::Duration;

use tokio::time::Instant;

use super::open_with;
use crate::proxy::PUBLIC;
use crate::support::frames::{
    self, ACK, END_STREAM, Frames, GOAWAY, HEADERS, NO_TABLE, PING, PREFACE, PROTOCOL_ERROR, SETTINGS, frame,
    get,
};
use crate::support::gateway::Gateway;
use crate::support::raw::Ending;
use crate::support::upstream::Upstream;

fn hello_and_request() -> Vec<u8> {
    [PREFACE, &frames::settings(&[NO_TABLE]), &frame(SETTINGS, ACK, 0, b""), &get(1)].concat()
}

/// Reads frames until the answer to the only request is whole.
async fn answered(gateway: &Gateway, pieces: &[&[u8]]) {
    let mut raw = gateway.raw().await;
    for piece in pieces {
        raw.send(piece).await;
        raw.until_read().await;
    }
    let mut status = None;
    loop {
        let header = raw.exactly(9).await;
        let length = usize::from(header[1]) * 256 + usize::from(header[2]);
        let payload = raw.exactly(length).await;
        if header[3] == HEADERS {
            status = payload.iter().find(|byte| **byte & 0xe0 != 0x20).copied();
        }
        if header[8] == 1 && header[4] & END_STREAM != 0 {
            // `:status: 200` is an entry of the static table.
            assert_eq!(status, Some(0x88));
            return;
        }
    }
}

#[tokio::test]
async fn a_preface_is_known_however_its_bytes_arrive() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let bytes = hello_and_request();
    for at in 0..=PREFACE.len() + 20 {
        let (first, second) = bytes.split_at(at);
        answered(&gateway, &[first, second]).await;
    }
    let (preface, rest) = bytes.split_at(PREFACE.len() + 3);
    let mut pieces: Vec<_> = preface.chunks(1).collect();
    pieces.push(rest);
    answered(&gateway, &pieces).await;
}

/// The client's settings are part of its preface (RFC 9113 §3.4).
#[tokio::test]
async fn what_comes_before_the_settings_ends_the_connection() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let settled = frames::settings(&[NO_TABLE]);
    for (name, first) in [
        ("a request", get(1)),
        ("an answer to settings", frame(SETTINGS, ACK, 0, b"")),
        ("a ping", frame(PING, 0, 0, [0; 8])),
        ("an unknown frame", frame(0xfe, 0, 0, b"")),
    ] {
        let mut raw = gateway.raw().await;
        raw.send([PREFACE, &first, &settled, &get(3)].concat()).await;
        let (bytes, _) = raw.rest().await;
        let code = [&[0, 0, 8, GOAWAY, 0, 0, 0, 0, 0][..], &[0, 0, 0]].concat();
        let told = bytes.windows(code.len()).any(|seen| seen == code);
        assert!(told && bytes.ends_with(&PROTOCOL_ERROR.to_be_bytes()), "{name}: {bytes:?}");
        assert_eq!(upstream.requests(), [], "{name}");
    }
}

#[tokio::test]
async fn http_1_is_known_however_its_bytes_arrive() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for line in ["GET / HTTP/1.1", "POST / HTTP/1.1", "P / HTTP/1.1", "PRI / HTTP/1.1", "PRI /* HTTP/1.1"] {
        let request = format!("{line}\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        for at in 0..line.len() {
            let mut raw = gateway.raw().await;
            raw.send(&request[..at]).await;
            raw.until_read().await;
            raw.send(&request[at..]).await;
            let echo = raw.response().await;
            assert_eq!((echo.status, &echo.json()["body_len"]), (200, &3.into()), "{line} at {at}");
        }
    }
}

/// The first byte that differs makes it HTTP/1, which it is not either.
#[tokio::test]
async fn what_is_almost_a_preface_is_a_400() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for at in 0..PREFACE.len() {
        let mut junk = hello_and_request();
        junk[at] ^= 1;
        for bytes in [vec![&junk[..]], junk.chunks(1).take(at + 30).collect()] {
            let mut raw = gateway.raw().await;
            for piece in bytes {
                let _ = raw.try_send(piece).await;
            }
            let response = raw.response().await;
            assert_eq!((response.status, response.header("connection")), (400, Some("close")), "{at}");
            assert_eq!(raw.ends().await, Ending::Closed, "{at}");
        }
    }
    assert_eq!(upstream.requests(), []);
}

#[tokio::test]
async fn a_preface_that_does_not_go_on_has_the_time_of_a_head() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, &format!("timeouts: {{ request_head: 300ms }}\n{PUBLIC}")).await;
    for length in [1, 3, 4, 14, 18, 23] {
        let mut raw = gateway.raw().await;
        let began = Instant::now();
        raw.send(&PREFACE[..length]).await;
        let response = raw.response().await;
        assert_eq!((response.status, response.header("connection")), (408, Some("close")), "{length}");
        raw.ends().await;
        assert!(began.elapsed() >= Duration::from_millis(300));
    }
}

#[tokio::test]
async fn a_preface_in_drops_does_not_outlive_its_time() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, &format!("timeouts: {{ request_head: 300ms }}\n{PUBLIC}")).await;
    let mut raw = gateway.raw().await;
    for byte in PREFACE {
        if raw.try_send([*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(raw.response().await.status, 408);
}

#[tokio::test]
async fn a_preface_that_is_cut_off_is_a_400() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for length in 1..PREFACE.len() {
        let mut raw = gateway.raw().await;
        raw.send(&PREFACE[..length]).await;
        raw.half_close();
        assert_eq!(raw.response().await.status, 400, "{length}");
        assert_eq!(raw.ends().await, Ending::Closed);
    }
}

#[tokio::test]
async fn who_says_hello_and_goes_is_let_go() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for bytes in [PREFACE.to_vec(), [PREFACE, &frames::settings(&[])].concat(), [PREFACE, &[0; 5]].concat()] {
        let mut raw = gateway.raw().await;
        raw.send(bytes).await;
        raw.half_close();
        raw.until_end().await;
    }
}

/// The settings are part of the preface (RFC 9113 §3.4).
#[tokio::test]
async fn a_preface_without_settings_has_the_time_of_a_head() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open_with(&upstream, "timeouts: { request_head: 300ms }").await;
    let mut raw = gateway.raw().await;
    let began = Instant::now();
    raw.send(PREFACE).await;
    raw.until_end().await;
    assert!(began.elapsed() >= Duration::from_millis(300));
    // With them, it waits for the first request.
    let mut client = Frames::connect(gateway.public()).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(client.ask(1, get(1)).await.status(), 200);
}
