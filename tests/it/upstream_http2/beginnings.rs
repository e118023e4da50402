//! What an endpoint can say instead of beginning HTTP/2. No request is sent before it has begun, so that each can go to
//! the next endpoint, whatever its method.

use keyward::auth::refusal::Code;

use super::{before, with};
use crate::proxy::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::h2_upstream::H2Upstream;
use crate::support::h2_upstream::frames::{
    ACK, FrameUpstream, GOAWAY, HEADERS, NO_ERROR, PING, SETTINGS, Wire, frame,
};
use crate::support::upstream::{Answer, Blackhole, Greeting, Upstream, refusing};

/// Answers the preface with these bytes, and the connection's end if it is to end.
async fn answering_the_preface(bytes: Vec<u8>, ends: bool) -> FrameUpstream {
    FrameUpstream::scripted(move |mut wire: Wire| {
        let bytes = bytes.clone();
        async move {
            wire.preface().await;
            wire.raw(&bytes).await;
            if !ends {
                wire.drain().await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_does_not_begin_http_2_gets_no_request() {
    let large = frame(SETTINGS, 0, 0, [0; 20_000]);
    let wrong = [
        (
            "HTTP/1.1",
            b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec(),
            true,
        ),
        ("HTTP/1.1 that goes on", b"HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n".to_vec(), false),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), false),
        ("garbage", vec![0xa5; 1000], false),
        ("nothing and an end", Vec::new(), true),
        ("half a frame and an end", vec![0, 0, 6, 4], true),
        ("settings of a wrong length", frame(SETTINGS, 0, 0, [0; 5]), false),
        ("settings of a stream", frame(SETTINGS, 0, 1, b""), false),
        ("settings that are too large", large, false),
        ("a window that is too large", frame(SETTINGS, 0, 0, [0, 4, 0xff, 0xff, 0xff, 0xff]), false),
        ("a frame of no size", frame(SETTINGS, 0, 0, [0, 5, 0, 0, 0, 1]), false),
        ("fields at once", frame(HEADERS, 5, 1, [0x88]), false),
        ("an end at once", frame(GOAWAY, 0, 0, [0; 8]), true),
    ];
    for (name, bytes, ends) in wrong {
        let upstream = answering_the_preface(bytes, ends).await;
        let gateway = before(&upstream.url()).await;
        for _ in 0..2 {
            let response = gateway.anonymous().get("/").await;
            assert_eq!(response.status, 502, "{name}");
            response.refused(Code::UpstreamProtocolError);
        }
        assert_eq!(upstream.requests(), 0, "{name}");

        let other = H2Upstream::echo().await;
        let urls = [&*upstream.url(), &*other.url()];
        let gateway = Gateway::builder().http2("api", &urls).yaml(PUBLIC).start().await;
        for _ in 0..3 {
            let response = gateway.anonymous().post("/", "body").await;
            assert_eq!(response.json()["body_len"], 4, "{name}");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_begin_in_time_is_passed_over() {
    // Silence, and frames without settings.
    for bytes in [Vec::new(), frame(PING, ACK, 0, [0; 8])] {
        let upstream = answering_the_preface(bytes, false).await;
        let gateway = with(&upstream.url(), "timeouts: { connect: 200ms }").await;
        gateway.anonymous().get("/").await.refused(Code::UpstreamUnreachable);
        assert_eq!(upstream.requests(), 0);
    }
    let hole = Blackhole::start().await;
    let gateway = with(&hole.url(), "timeouts: { connect: 200ms }").await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnreachable);

    let nobody = format!("http://{}", refusing().await);
    let other = H2Upstream::echo().await;
    let urls = [&*hole.url(), &*nobody, &*other.url()];
    let yaml = format!("timeouts: {{ connect: 1s }}\n{PUBLIC}");
    let gateway = Gateway::builder().http2("api", &urls).yaml(&yaml).start().await;
    for _ in 0..3 {
        assert_eq!(gateway.anonymous().post("/", "body").await.json()["body_len"], 4);
    }
}

#[tokio::test]
async fn a_connection_that_is_slammed_is_a_502() {
    for greeting in [Greeting::Close, Greeting::Reset] {
        let upstream = Upstream::greeting(move |_| greeting, |_| Answer::ok("never")).await;
        let gateway = before(&upstream.url()).await;
        assert_eq!(gateway.anonymous().get("/").await.status, 502, "{greeting:?}");
        assert_eq!(upstream.connections().len(), 1);
    }
    let nobody = format!("http://{}", refusing().await);
    let gateway = before(&nobody).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamUnreachable);
}

#[tokio::test]
async fn an_end_right_after_the_beginning_leads_to_a_new_connection() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        if wire.number == 0 {
            wire.goaway(0, NO_ERROR).await;
            return wire.drain().await;
        }
        while let Some(id) = wire.whole().await {
            wire.answer(id, "well").await;
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    for _ in 0..3 {
        assert_eq!(gateway.anonymous().post("/", "").await.text(), "well");
    }
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn an_endpoint_that_begins_and_ends_in_one_is_not_asked_for_ever() {
    let both = [frame(SETTINGS, 0, 0, b""), frame(GOAWAY, 0, 0, [0; 8])].concat();
    let upstream = answering_the_preface(both, false).await;
    let gateway = before(&upstream.url()).await;
    gateway.anonymous().get("/").await.refused(Code::UpstreamProtocolError);
    assert_eq!((upstream.connections(), upstream.requests()), (3, 0));
}

#[tokio::test]
async fn one_that_waits_for_settings_is_not_given_up_with_the_client_that_asked_for_it() {
    let upstream = H2Upstream::echo().await;
    let gateway = before(&upstream.url()).await;
    for _ in 0..5 {
        let mut raw = gateway.raw().await;
        raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        raw.reset();
    }
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
}
