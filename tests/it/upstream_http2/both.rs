//! HTTP/2 on both sides, and each with HTTP/1.1 on the other: trailers, resets, refusals.

use bytes::Bytes;
use h2::Reason;
use http::HeaderMap;
use keyward::auth::refusal::Code;

use super::{before, with};
use crate::proxy::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::h2::{H2, Whole};
use crate::support::h2_upstream::frames::{
    CANCEL, END_STREAM, ENHANCE_YOUR_CALM, FrameUpstream, HEADERS, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR,
    REFUSED_STREAM, Wire, frame,
};
use crate::support::h2_upstream::{H2Upstream, Stream};
use crate::support::keys::origin;
use crate::support::upstream::{Answer, Upstream, refusing};
use crate::support::{noise, sha256};

fn pairs(fields: &HeaderMap) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
}

fn trailers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

/// Posts a body with trailers.
async fn post(client: &mut H2, fields: &[(&'static str, &'static str)]) -> Whole {
    let request = client.request("POST", "/").header("te", "trailers").header("trailer", "x-sum");
    let mut exchange = client.begin(request).await;
    exchange.body.send_data(Bytes::from_static(b"abc"), false).unwrap();
    exchange.body.send_trailers(trailers(fields)).unwrap();
    exchange.whole().await
}

const SENT: [(&str, &str); 4] =
    [("x-sum", "1"), ("x-auth-subject", "admin"), ("x-request-id", "theirs"), ("content-type", "a/b")];

#[tokio::test]
async fn trailers_pass_both_ways() {
    let upstream = H2Upstream::serving(async |mut stream: Stream| {
        stream.read().await;
        let mut out = stream.head(200, &[("trailer", "x-sum, set-cookie")], false);
        out.send_data(Bytes::from_static(b"abc"), false).unwrap();
        let said = [("x-sum", "2"), ("set-cookie", "a=b"), ("x-request-id", "theirs"), ("grpc-status", "0")];
        out.send_trailers(trailers(&said)).unwrap();
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let mut client = H2::connect(gateway.public()).await;
    for number in 0..3 {
        let response = post(&mut client, &SENT).await;
        assert_eq!((response.text(), response.header("trailer")), ("abc", Some("x-sum")));
        assert_eq!(pairs(response.trailers.as_ref().unwrap()), [("x-sum", "2"), ("grpc-status", "0")]);
        let request = &upstream.requests()[number];
        assert_eq!(pairs(request.trailers.as_ref().unwrap()), [("x-sum", "1")]);
        assert_eq!((request.header("te"), request.header("trailer")), (Some("trailers"), Some("x-sum")));
    }
}

#[tokio::test]
async fn trailers_pass_between_the_protocols() {
    let upstream = Upstream::always(Answer::bytes(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 2\r\nSet-Cookie: a=b\r\n\r\n",
    ))
    .await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = H2::connect(gateway.public()).await;
    for number in 0..3 {
        let response = post(&mut client, &SENT).await;
        assert_eq!(
            (response.text(), pairs(response.trailers.as_ref().unwrap())),
            ("abc", vec![("x-sum", "2")])
        );
        let request = &upstream.requests()[number];
        assert_eq!(request.trailers, [("x-sum".to_owned(), "1".to_owned())]);
        assert_eq!((request.connection, request.header("transfer-encoding")), (0, Some("chunked")));
    }
}

#[tokio::test]
async fn an_answer_of_fields_alone_stays_one() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        while let Some(id) = wire.whole().await {
            wire.headers(id, END_STREAM, &[(":status", "200"), ("grpc-status", "5")]).await;
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let mut client = H2::connect(gateway.public()).await;
    let request = client.request("GET", "/");
    let exchange = client.ask(request).await;
    let response = exchange.response.await.unwrap();
    assert!(response.body().is_end_stream(), "its fields end it");
    assert_eq!(response.headers()["grpc-status"], "5");
    let ends = |(_, frame): &(usize, crate::support::h2_upstream::frames::Frame)| {
        frame.kind == HEADERS && frame.ends()
    };
    assert!(upstream.frames().iter().any(ends), "a request without a body too");
}

#[tokio::test]
async fn trailers_behind_a_length_pass_too() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        while let Some(id) = wire.whole().await {
            wire.headers(id, 0, &[(":status", "200"), ("content-length", "003"), ("content-length", "003")])
                .await;
            wire.data(id, 0, b"abc").await;
            wire.headers(id, END_STREAM, &[("x-sum", "1")]).await;
        }
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let response = H2::connect(gateway.public()).await.get("/").await;
    assert_eq!((response.text(), response.header("content-length")), ("abc", Some("3")));
    assert_eq!(pairs(response.trailers.as_ref().unwrap()), [("x-sum", "1")]);
    assert_eq!(gateway.anonymous().get("/").await.text(), "abc");
}

#[tokio::test]
async fn a_reset_reaches_the_client_as_far_as_it_speaks_to_it() {
    for (code, passed_on) in [
        (CANCEL, Reason::CANCEL),
        (ENHANCE_YOUR_CALM, Reason::ENHANCE_YOUR_CALM),
        (INTERNAL_ERROR, Reason::INTERNAL_ERROR),
        // An end that is none, a request that was acted upon, faults of the other connection.
        (NO_ERROR, Reason::INTERNAL_ERROR),
        (REFUSED_STREAM, Reason::INTERNAL_ERROR),
        (PROTOCOL_ERROR, Reason::INTERNAL_ERROR),
        (0xffff, Reason::INTERNAL_ERROR),
    ] {
        let upstream = FrameUpstream::scripted(move |mut wire: Wire| async move {
            wire.hello(&[]).await;
            while let Some(id) = wire.whole().await {
                if id == 1 {
                    wire.headers(id, 0, &[(":status", "200")]).await;
                    wire.data(id, 0, b"half").await;
                    wire.reset(id, code).await;
                } else {
                    wire.answer(id, "well").await;
                }
            }
        })
        .await;
        let gateway = before(&upstream.url()).await;
        let mut client = H2::connect(gateway.public()).await;
        let request = client.request("GET", "/");
        let outcome = client.ask(request).await.reset().await;
        assert_eq!(outcome, Some(passed_on), "{code}");
        assert_eq!(client.get("/").await.text(), "well", "the client's connection goes on");
    }
}

#[tokio::test]
async fn a_lost_connection_resets_the_streams_that_were_on_it() {
    let upstream = FrameUpstream::scripted(|mut wire: Wire| async move {
        wire.hello(&[]).await;
        let id = wire.whole().await.unwrap();
        wire.headers(id, 0, &[(":status", "200")]).await;
        wire.data(id, 0, b"half").await;
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let mut client = H2::connect(gateway.public()).await;
    for _ in 0..3 {
        let request = client.request("GET", "/");
        assert_eq!(client.ask(request).await.reset().await, Some(Reason::INTERNAL_ERROR));
    }
}

#[tokio::test]
async fn a_client_that_resets_one_stream_takes_one_request_back() {
    let upstream = H2Upstream::serving(async |stream| match stream.path().as_str() {
        "/never" => stream.never().await,
        _ => stream.echo().await,
    })
    .await;
    let gateway = before(&upstream.url()).await;
    let mut client = H2::connect(gateway.public()).await;
    for round in 0..5 {
        let never = client.request("GET", "/never");
        let mut exchange = client.ask(never).await;
        upstream.until_requests(round * 2 + 1).await;
        exchange.body.send_reset(Reason::CANCEL);
        assert_eq!(upstream.taken_back(round * 2).await, Reason::CANCEL);
        let body = noise(100_000);
        assert_eq!(client.post("/", body.clone()).await.json()["body_sha256"], sha256(&body));
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn an_answer_that_is_waited_for_is_refused_when_its_credential_ends() {
    let upstream = H2Upstream::serving(async |stream| match stream.path().as_str() {
        "/poll" => stream.never().await,
        _ => stream.echo().await,
    })
    .await;
    let gateway = Gateway::builder().http2("api", &[&upstream.url()]).start().await;
    let (key, other) = (gateway.key().await, gateway.key().await);
    let mut client = H2::connect(gateway.public()).await.with_key(&key.secret);
    let request = client.request("GET", "/poll");
    let poll = client.ask(request).await;
    upstream.until_requests(1).await;
    gateway.issuer().revoke_key(&key.id, &origin()).await.unwrap();
    poll.whole().await.refused(Code::RevokedCredentials);
    assert_eq!(upstream.taken_back(0).await, Reason::CANCEL);
    let mut client = client.with_key(&other.secret);
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_client_without_a_window_holds_its_own_stream_back() {
    let upstream = H2Upstream::serving(async |mut stream: Stream| match stream.path().as_str() {
        "/large" => {
            stream.read().await;
            let mut out = stream.head(200, &[], false);
            crate::support::h2_upstream::send_all(&mut out, noise(4 << 20).into(), true).await;
        }
        _ => stream.echo().await,
    })
    .await;
    let gateway = before(&upstream.url()).await;
    // Its window for all streams is larger than that for one.
    let mut settings = h2::client::Builder::new();
    settings.initial_connection_window_size(1 << 20);
    let mut client = H2::with(gateway.public(), &settings).await;
    let request = client.request("GET", "/large");
    let held = client.ask(request).await;
    let response = held.response.await.unwrap();
    let (_, mut held) = response.into_parts();
    for _ in 0..10 {
        // On both sides the connection is the same.
        let body = noise(10_000);
        assert_eq!(client.post("/", body.clone()).await.json()["body_sha256"], sha256(&body));
    }
    let mut got = Vec::new();
    while let Some(piece) = held.data().await {
        let piece = piece.unwrap();
        held.flow_control().release_capacity(piece.len()).unwrap();
        got.extend(piece);
    }
    assert!(got == noise(4 << 20));
    assert_eq!(upstream.connections(), 1);
}

/// The `grpc-status` of a call.
async fn call(gateway: &Gateway, body: usize) -> String {
    let mut client = H2::connect(gateway.public()).await;
    let request = client.request("POST", "/kw.Test/Echo").header("content-type", "application/grpc");
    let mut exchange = client.begin(request.header("te", "trailers")).await;
    exchange.body.send_data(vec![0; body].into(), false).unwrap();
    let response = exchange.whole().await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/grpc")));
    response.header("grpc-status").unwrap().to_owned()
}

#[tokio::test]
async fn what_goes_wrong_behind_the_gateway_has_a_status_of_grpc() {
    let nobody = format!("http://{}", refusing().await);
    assert_eq!(call(&before(&nobody).await, 10).await, "14");

    let silent = H2Upstream::serving(Stream::never).await;
    let gateway = with(&silent.url(), "timeouts: { response_head: 300ms, request_body_idle: 300ms }").await;
    // The client's own pause: it is too slow.
    assert_eq!(call(&gateway, 10).await, "4");
    let gateway = with(&silent.url(), "max: { body: 4KiB }").await;
    assert_eq!(call(&gateway, 8192).await, "8");

    for (bytes, status) in [
        (frame(3, 0, 1, INTERNAL_ERROR.to_be_bytes()), "13"),
        (frame(3, 0, 1, REFUSED_STREAM.to_be_bytes()), "14"),
        (frame(HEADERS, 5, 1, b""), "13"),
    ] {
        let upstream = FrameUpstream::scripted(move |mut wire: Wire| {
            let bytes = bytes.clone();
            async move {
                wire.hello(&[]).await;
                // The body has been taken, so that nothing is sent again.
                wire.next(0).await;
                wire.raw(&bytes).await;
                wire.drain().await;
            }
        })
        .await;
        assert_eq!(call(&before(&upstream.url()).await, 10).await, status);
    }
}

#[tokio::test]
async fn cookies_may_stay_in_crumbs_over_http_2_and_are_one_field_over_http_1() {
    let two = H2Upstream::echo().await;
    let one = Upstream::echo().await;
    for url in [true, false] {
        let builder = Gateway::builder();
        let builder =
            if url { builder.http2("api", &[&two.url()]) } else { builder.upstream("api", &one.url()) };
        let gateway = builder.yaml(PUBLIC).start().await;
        let mut client = H2::connect(gateway.public()).await;
        let request = client.request("GET", "/").header("cookie", "a=1").header("cookie", "b=2");
        assert_eq!(client.ask(request).await.whole().await.status, 200);
    }
    let crumbs: Vec<_> = two.only_request().headers.get_all("cookie").iter().cloned().collect();
    assert_eq!(crumbs, ["a=1", "b=2"]);
    assert_eq!(one.only_request().header("cookie"), Some("a=1; b=2"));
}
