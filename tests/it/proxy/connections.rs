//! Connections on both sides: kept, shared out in order, closed when they should be.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use keyward::clock::Clock;
use keyward::proxy::upstream::failure::Failure;
use keyward::server::conn::{Conn, Limits};
use keyward::server::connection::{self, Protocols};
use keyward::server::date::Dates;
use keyward::server::deadline::Deadlines;
use keyward::server::http2;
use keyward::web::forwarded::Scheme;
use tokio::net::{TcpListener, TcpStream};

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::raw::{Ending, Raw};
use crate::support::upstream::{Answer, Gate, Upstream};

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let mut client = gateway.client().await;
    for n in 0..20 {
        let response = if n % 2 == 0 { client.get("/").await } else { client.post("/", "body").await };
        assert_eq!(response.status, 200);
    }
    assert_eq!((client.connections, upstream.connections().len()), (1, 1));
}

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_order() {
    let gate = Gate::new();
    let first = gate.clone();
    let upstream = Upstream::answering(move |request| match request.target.as_str() {
        "/1" => Answer::ok("1").after(&first),
        target => Answer::ok(target.trim_start_matches('/')),
    })
    .await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    let post = "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    raw.send(format!("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n{post}GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    upstream.until_requests(1).await;
    gate.open();
    for expected in ["1", "2", "3"] {
        assert_eq!(raw.response().await.text(), expected);
    }
    assert_eq!(upstream.requests()[1].body, b"body");
}

#[tokio::test]
async fn a_request_byte_by_byte_is_a_request() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    raw.send_slowly("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!(raw.response().await.json()["body_len"], 3);
}

#[tokio::test]
async fn a_client_that_wants_the_end_gets_it() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for request in
        ["GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\nHost: a\r\n\r\n"]
    {
        let mut raw = gateway.raw().await;
        assert_eq!(raw.ask(request).await.status, 200);
        assert_eq!(raw.ends().await, Ending::Closed);
    }
    // What the client wants of its connection says nothing of the upstream's.
    assert_eq!(upstream.connections().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_closes_leaves_the_client_connected() {
    let upstream =
        Upstream::always(Answer::new(200).header("connection", "close").body("x").then_close()).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    for _ in 0..5 {
        assert_eq!(client.get("/").await.text(), "x");
    }
    assert_eq!((client.connections, upstream.connections().len()), (1, 5));
}

#[tokio::test]
async fn a_client_that_ends_its_side_while_it_waits_is_taken_for_gone() {
    let upstream = Upstream::always(Answer::hang()).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    upstream.until_requests(1).await;
    raw.half_close();
    upstream.until_all_closed().await;
    assert_eq!(raw.ends().await, Ending::Closed);
}

#[tokio::test]
async fn a_client_that_goes_before_the_answer_takes_the_upstream_request_along() {
    let upstream = Upstream::always(Answer::hang()).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    upstream.until_requests(1).await;
    raw.reset();
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_of_the_answer_takes_the_upstream_connection_along() {
    let upstream = Upstream::always(Answer::new(200).filled(1 << 30)).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.head().await.unwrap();
    raw.exactly(1000).await;
    raw.reset();
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_of_its_body_takes_the_upstream_connection_along() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf").await;
    upstream.until("half the body", |seen| (seen.requests.first()?.body_len == 4).then_some(())).await;
    raw.reset();
    upstream.until_all_closed().await;
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
}

#[tokio::test]
async fn one_clients_answer_is_never_anothers() {
    let upstream = Upstream::answering(|request| Answer::ok(&request.target)).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let public = gateway.public();
    let clients = (0..20).map(|n| {
        tokio::spawn(async move {
            for round in 0..20 {
                let mut raw = Raw::connect(public).await;
                raw.send(format!("GET /{n}-{round} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
                if (n + round) % 3 == 0 {
                    raw.reset();
                    continue;
                }
                assert_eq!(raw.response().await.text(), format!("/{n}-{round}"));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_silent_neighbour_delays_nobody() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut silent = Vec::new();
    for bytes in ["", "G", "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"] {
        let mut raw = gateway.raw().await;
        raw.send(bytes).await;
        silent.push(raw);
    }
    assert_eq!(gateway.anonymous().get("/").await.status, 200);
    for mut raw in silent {
        raw.stays_silent(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_kept_connection_survives_a_refusal() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let mut client = gateway.anonymous();
    assert_eq!(client.get("/").await.status, 401);
    assert_eq!(client.get("/").await.status, 401);
    let key = gateway.key().await.secret;
    let good = client.request("GET", "/").header("Authorization", &format!("Bearer {key}")).send().await;
    assert_eq!((good.status, client.connections), (200, 1));
}

/// Every idle connection has it for as long as it lives, beside hyper's own buffers.
#[tokio::test]
async fn the_future_of_a_connection_keeps_no_room_for_what_is_rare() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let second = Duration::from_secs(1);
    let limits = Limits { first_byte: second, request_head: second, idle: second, response_idle: second };
    let (peer, local) = (stream.peer_addr().unwrap(), stream.local_addr().unwrap());
    let conn = Conn::new(peer, local, Scheme::Http, limits, &Deadlines::new(Clock::system()), Rc::default());
    let clock = Clock::system();
    let protocols = Protocols {
        http1: http1::Builder::new(),
        http2: http2::Settings {
            streams: 1,
            headers: 1,
            dates: Rc::new(Dates::new(clock)),
            spare: Rc::default(),
        },
        tls: None,
    };
    let handle = |_, _| {
        let body = Full::<Bytes>::default().map_err(|never| -> Failure { match never {} });
        std::future::ready(Ok::<_, Infallible>(Response::new(body)))
    };
    let size = size_of_val(&connection::serve(stream, conn, &protocols, handle, |_| Vec::new()));
    assert!(size < 2048, "{size} bytes");
}
