//! The harness itself: the raw client and the scripted upstream against each other, so that a failing test speaks of the
//! gateway.

use std::time::Duration;

use keyward::auth::refusal::Code;

use crate::support::http::{Client, chunks};
use crate::support::raw::{Broken, Ending, Raw};
use crate::support::upstream::{Answer, Blackhole, Gate, Greeting, Upstream, refusing};
use crate::support::{noise, sha256};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn an_echo_shows_the_request_byte_for_byte() {
    let upstream = Upstream::echo().await;
    let mut client = Client::new(upstream.address());
    let body = noise(100_000);
    let response =
        client.request("POST", "/a%2fb?x=%20&y").header("X-Odd", "a  b").body(body.clone()).send().await;
    assert_eq!(response.status, 200);
    let echo = response.json();
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["target"], "/a%2fb?x=%20&y");
    assert_eq!(echo["headers"][1], serde_json::json!(["X-Odd", "a  b"]));
    assert_eq!(echo["body_len"], 100_000);
    assert_eq!(echo["body_sha256"], sha256(&body));
    assert_eq!(upstream.only_request().body, body);
    assert!(upstream.connections()[0].raw.starts_with(b"POST /a%2fb?x=%20&y HTTP/1.1\r\nHost: "));
}

#[tokio::test]
async fn a_connection_is_kept_and_chunks_are_read() {
    let upstream = Upstream::in_order([Answer::new(200).chunked(&[b"one", b"two"]), Answer::echo()]).await;
    let mut client = Client::new(upstream.address()).with_host("h").with_key("k");
    let response = client.get("/").await;
    assert_eq!((response.text(), response.chunks.as_slice()), ("onetwo", [3, 3].as_slice()));
    let echo =
        client.request("PUT", "/").without("authorization").chunked(&[b"abc", b"de"]).send().await.json();
    assert_eq!((&echo["body_len"], &echo["body_sha256"]), (&5.into(), &sha256(b"abcde").into()));
    assert_eq!(client.post("/", "").await.status, 599);
    assert_eq!(upstream.requests()[0].header("Authorization"), Some("Bearer k"));
    assert_eq!(upstream.requests()[1].names(), ["host", "transfer-encoding"]);
    assert_eq!((client.connections, upstream.connections().len()), (1, 1));
    assert_eq!((upstream.requests()[1].connection, upstream.requests()[1].on_connection), (0, 1));
}

#[tokio::test]
async fn an_answer_waits_for_its_gate() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let mut raw = Raw::connect(upstream.address()).await;
    raw.send_slowly(GET).await;
    upstream.until_requests(1).await;
    raw.stays_silent(Duration::from_millis(30)).await;
    gate.open();
    assert_eq!(raw.response().await.text(), "late");
}

#[tokio::test]
async fn a_body_can_be_held_in_its_middle() {
    let gate = Gate::new();
    let held = Answer::new(200)
        .header("content-length", "2")
        .only_head()
        .then_send("a")
        .then_wait(&gate)
        .then_send("b");
    let upstream = Upstream::always(held).await;
    let mut raw = Raw::connect(upstream.address()).await;
    raw.send(GET).await;
    assert_eq!(raw.head().await.unwrap().header("content-length"), Some("2"));
    assert_eq!(raw.exactly(1).await, b"a");
    gate.open();
    assert_eq!(raw.exactly(1).await, b"b");
}

#[tokio::test]
async fn a_refusal_is_looked_at_whole() {
    let refusal = |member: &str| {
        let body = format!(
            r#"{{"type":"urn:keyward:error:no_route","title":"Nothing is served here","status":404,"detail":"d",
                "instance":"urn:uuid:7","code":"no_route","request_id":"7"{member}}}"#
        );
        let fields = Answer::new(404).header("content-type", "application/problem+json");
        fields.header("cache-control", "no-store").header("x-request-id", "7").body(body)
    };
    let upstream = Upstream::in_order([refusal(""), refusal(r#","more":1"#)]).await;
    let mut client = Client::new(upstream.address());
    assert_eq!(client.get("/").await.refused(Code::NoRoute), "d");
    let more = client.get("/").await;
    assert!(std::panic::catch_unwind(|| more.refused(Code::NoRoute)).is_err());
}

#[tokio::test]
async fn a_head_has_no_body_and_interim_answers_are_counted() {
    let upstream =
        Upstream::always(Answer::ok("body").early("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")).await;
    let mut raw = Raw::connect(upstream.address()).await;
    let response = raw.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((response.interim, response.body.len()), (vec![103], 0));
    let response = raw.ask(GET).await;
    assert_eq!((response.reason.as_str(), response.body.as_slice()), ("OK", b"body".as_slice()));
    assert_eq!(raw.leftover, b"");
}

#[tokio::test]
async fn every_ending_is_told_apart() {
    let upstream = Upstream::in_order([
        Answer::close(),
        Answer::reset(),
        Answer::bytes("HTTP/1.1 200 O").then_close(),
        Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort").then_close(),
        Answer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort").then_reset(),
        Answer::new(200).until_close("all"),
        Answer::new(200)
            .header("transfer-encoding", "chunked")
            .only_head()
            .then_send("5\r\nab")
            .then_linger(),
    ])
    .await;
    let mut outcomes = Vec::new();
    for _ in 0..7 {
        let mut raw = Raw::connect(upstream.address()).await;
        raw.send(GET).await;
        outcomes.push(raw.answer("GET").await);
    }
    assert_eq!(outcomes[0], Err(Broken::Nothing(Ending::Closed)));
    assert_eq!(outcomes[1], Err(Broken::Nothing(Ending::Reset)));
    assert_eq!(outcomes[2], Err(Broken::Head(Ending::Closed, b"HTTP/1.1 200 O".to_vec())));
    let short = |outcome: &Result<_, Broken>| match outcome {
        Err(Broken::Body(ending, response)) => (*ending, response.text().to_owned()),
        other => panic!("{other:?}"),
    };
    assert_eq!(short(&outcomes[3]), (Ending::Closed, "short".to_owned()));
    assert_eq!(short(&outcomes[4]), (Ending::Reset, "short".to_owned()));
    assert_eq!(outcomes[5].as_ref().unwrap().text(), "all");
    assert_eq!(short(&outcomes[6]), (Ending::Closed, "ab".to_owned()));
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn what_breaks_the_rules_is_malformed_to_the_raw_client() {
    for broken in [
        "garbage\r\n\r\n",
        "<html>no head at all</html>\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
        "HTTP/1.1 200 OK\na: b\r\n\r\n",
    ] {
        let upstream = Upstream::always(Answer::bytes(broken)).await;
        let mut raw = Raw::connect(upstream.address()).await;
        raw.send(GET).await;
        assert!(matches!(raw.answer("GET").await, Err(Broken::Malformed(_))), "{broken:?}");
    }
}

#[tokio::test]
async fn the_upstream_tells_what_the_client_did() {
    let upstream = Upstream::always(Answer::hang()).await;
    let mut raw = Raw::connect(upstream.address()).await;
    raw.send("POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nab").await;
    upstream.until("two bytes", |seen| (seen.requests.first()?.body_len == 2).then_some(())).await;
    assert!(!upstream.only_request().is_whole());
    raw.half_close();
    upstream.until_all_closed().await;
    assert_eq!(upstream.connections()[0].ended, Some(Ending::Closed));

    let raw = Raw::connect(upstream.address()).await;
    let from = raw.local();
    assert!(from.ip().is_loopback());
    upstream.until("a connection", |seen| (seen.connections.len() == 2).then_some(())).await;
    raw.reset();
    upstream.until_all_closed().await;
    assert_eq!(upstream.connections()[1].ended, Some(Ending::Reset));
}

#[tokio::test]
async fn an_upstream_that_reads_nothing_holds_the_client_back() {
    let upstream = Upstream::always(Answer::hang().never_reading()).await;
    let mut raw = Raw::connect(upstream.address()).await;
    raw.send("POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n").await;
    upstream.until_requests(1).await;
    let sent = raw.send_until_held_back(64 << 20, Duration::from_millis(200)).await;
    assert!(sent < 32 << 20, "{sent}");

    let upstream = Upstream::always(Answer::ok("early").before_the_body()).await;
    let mut raw = Raw::connect(upstream.address()).await;
    raw.send("POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n").await;
    assert_eq!(raw.response().await.text(), "early");
    raw.send("ab").await;
    upstream.until("the body", |seen| seen.requests[0].is_whole().then_some(())).await;
    assert_eq!(raw.ask(GET).await.text(), "early");
}

#[tokio::test]
async fn connections_can_be_met_with_a_slammed_door() {
    let greet =
        |number: usize| [Greeting::Close, Greeting::Reset, Greeting::Ignore, Greeting::Serve][number.min(3)];
    let upstream = Upstream::greeting(greet, |_| Answer::ok("x")).await;
    let mut first = Raw::connect(upstream.address()).await;
    assert_eq!(first.ends().await, Ending::Closed);
    let mut second = Raw::connect(upstream.address()).await;
    assert_eq!(second.ends().await, Ending::Reset);
    let mut third = Raw::connect(upstream.address()).await;
    third.send(GET).await;
    third.stays_silent(Duration::from_millis(30)).await;
    assert_eq!(Client::new(upstream.address()).get("/").await.text(), "x");

    let nobody = refusing().await;
    assert!(tokio::net::TcpStream::connect(nobody).await.is_err());
    let hole = Blackhole::start().await;
    let hanging = tokio::net::TcpStream::connect(hole.url().strip_prefix("http://").unwrap().to_owned());
    assert!(tokio::time::timeout(Duration::from_millis(100), hanging).await.is_err());
}

#[tokio::test]
async fn large_and_slow_bodies_arrive_whole() {
    let upstream = Upstream::in_order([
        Answer::new(200).filled(3_000_000),
        Answer::new(200)
            .header("content-length", "5")
            .only_head()
            .then_trickle("slow!", Duration::from_millis(1)),
        Answer::oversized_head(50_000),
    ])
    .await;
    let mut raw = Raw::connect_narrow(upstream.address()).await;
    assert_eq!(raw.ask(GET).await.body.len(), 3_000_000);
    raw.send(GET).await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    assert_eq!(raw.exactly(2).await, b"sl");
    assert_eq!(raw.until(b"!").await, b"ow!");
    assert!(raw.ask(GET).await.headers.len() > 400);
    assert_eq!(chunks(&[]), b"0\r\n\r\n");
    assert!(upstream.url().starts_with("http://127.0.0.1:"));
}
