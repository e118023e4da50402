//! What an upstream can do wrong, and what the client is told. No fault spoils the next request.

use keyward::auth::refusal::Code;

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::raw::{Broken, Ending};
use crate::support::upstream::{Answer, Greeting, Upstream, refusing};

/// Answers the first path with the fault and everything else well.
async fn faulty(fault: Answer) -> Upstream {
    Upstream::answering(move |request| match request.target.as_str() {
        "/fault" => fault.clone(),
        _ => Answer::ok("well"),
    })
    .await
}

/// Asks for the fault, then twice for what is well, on both sides of any pooled connection.
async fn refused_and_recovered(name: &str, fault: Answer, code: Code) {
    let upstream = faulty(fault).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    assert_eq!(client.get("/").await.text(), "well", "{name}");
    let response = client.get("/fault").await;
    assert_eq!(response.status, code.status(), "{name}: {response:?}");
    response.refused(code);
    for _ in 0..2 {
        assert_eq!(client.get("/").await.text(), "well", "after {name}");
    }
    assert_eq!(gateway.stop().await.0, 0, "nothing is cut");
}

#[tokio::test]
async fn an_answer_that_breaks_the_protocol_is_a_502() {
    let huge = "v".repeat(2 << 20);
    for (name, bytes) in [
        ("garbage", "\u{1}\u{2}garbage\r\n\r\n"),
        ("HTTP/0.9", "<html>no head</html>\r\n\r\n"),
        ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        ("no status", "HTTP/1.1 \r\n\r\n"),
        ("a status of letters", "HTTP/1.1 abc OK\r\n\r\n"),
        ("a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"),
        ("an unknown version", "HTTP/3.7 200 OK\r\n\r\n"),
        ("a field without colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
        ("a space in a name", "HTTP/1.1 200 OK\r\na b: c\r\ncontent-length: 0\r\n\r\n"),
        ("a space before the colon", "HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n"),
        ("a NUL in a value", "HTTP/1.1 200 OK\r\na: \0\r\ncontent-length: 0\r\n\r\n"),
        ("a bare CR in a value", "HTTP/1.1 200 OK\r\na: b\rc: d\r\ncontent-length: 0\r\n\r\n"),
        ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        ("a list of lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\nab"),
        ("a negative length", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\na"),
        ("a length with a sign", "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\na"),
        ("a hexadecimal length", "HTTP/1.1 200 OK\r\ncontent-length: 0x1\r\n\r\na"),
        ("a length beyond numbers", "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\na"),
        ("an unknown coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, x\r\n\r\nab"),
        (
            "a switch that nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: foo\r\nconnection: upgrade\r\n\r\n",
        ),
        ("a huge field", &format!("HTTP/1.1 200 OK\r\na: {huge}\r\ncontent-length: 0\r\n\r\n")),
    ] {
        refused_and_recovered(name, Answer::bytes(bytes).then_linger(), Code::UpstreamProtocolError).await;
    }
}

#[tokio::test]
async fn an_upstream_that_breaks_off_before_its_head_ends_is_a_502() {
    let half = "HTTP/1.1 200 OK\r\ncontent-le";
    for (name, fault) in [
        ("closing", Answer::close()),
        ("reset", Answer::reset()),
        ("closing in the head", Answer::bytes(half).then_close()),
        ("reset in the head", Answer::bytes(half).then_reset()),
        ("closing after a 1xx", Answer::bytes("HTTP/1.1 103 Early Hints\r\n\r\n").then_close()),
        ("a head of 2 MB", Answer::oversized_head(2 << 20)),
        ("endless 1xx", Answer::bytes("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100_000)).then_close()),
    ] {
        refused_and_recovered(name, fault, Code::UpstreamProtocolError).await;
    }
}

#[tokio::test]
async fn an_upstream_that_nobody_serves_is_a_502() {
    let nobody = format!("http://{}", refusing().await);
    let gateway = Gateway::builder().upstream("api", &nobody).yaml(PUBLIC).start().await;
    let response = gateway.anonymous().get("/").await;
    let detail = response.refused(Code::UpstreamUnreachable);
    assert!(!detail.contains("127.0.0.1"), "{detail}");
}

#[tokio::test]
async fn a_connection_that_is_slammed_is_a_502() {
    for greeting in [Greeting::Close, Greeting::Reset] {
        let upstream = Upstream::greeting(move |_| greeting, |_| Answer::ok("never")).await;
        let gateway = Gateway::with(&upstream, PUBLIC).await;
        let response = gateway.anonymous().get("/").await;
        assert_eq!(response.status, 502, "{greeting:?}");
        assert!(
            upstream.connections().len() <= 3,
            "{} connections for one request",
            upstream.connections().len()
        );
    }
}

#[tokio::test]
async fn length_beside_chunks_is_refused_or_read_in_one_way() {
    let both =
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let upstream = faulty(Answer::bytes(both)).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    let response = client.get("/fault").await;
    match response.status {
        200 => assert_eq!(response.text(), "abc"),
        _ => drop(response.refused(Code::UpstreamProtocolError)),
    }
    assert_eq!(client.get("/").await.text(), "well");
    assert_eq!(upstream.requests()[1].on_connection, 0, "the connection was used again");
}

/// The head goes out: all that can be done is not to end the answer well.
async fn breaks_off(name: &str, fault: Answer, expected: &str) {
    let upstream = faulty(fault).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    match client.request("GET", "/fault").try_send().await {
        Err(Broken::Body(_, response)) => {
            assert!(expected.as_bytes().starts_with(&response.body), "{name}: {response:?}");
            assert_eq!(response.status, 200, "{name}");
        }
        other => panic!("{name}: {other:?}"),
    }
    assert_eq!(client.get("/").await.text(), "well", "after {name}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_its_body_never_looks_whole() {
    let length = || Answer::new(200).header("content-length", "9").only_head().then_send("short");
    let chunked = |piece: &str| {
        Answer::new(200)
            .header("transfer-encoding", "chunked")
            .only_head()
            .then_send("5\r\nshort\r\n")
            .then_send(piece)
    };
    breaks_off("a short body", length().then_close(), "short").await;
    breaks_off("a short body and a reset", length().then_reset(), "short").await;
    breaks_off("no last chunk", chunked("").then_close(), "short").await;
    breaks_off("half a chunk", chunked("5\r\nab").then_close(), "shortab").await;
    breaks_off("half a chunk and a reset", chunked("5\r\nab").then_reset(), "shortab").await;
    breaks_off("nothing at all", Answer::new(200).header("content-length", "9").only_head().then_close(), "")
        .await;
    let at_once = |size: &str| {
        Answer::bytes(format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{size}\r\nab\r\n0\r\n\r\n"
        ))
    };
    breaks_off("no chunk at all", at_once("xyz").then_linger(), "").await;
    breaks_off("no end of trailers", chunked("0\r\n").then_close(), "short").await;
    for size in ["xyz", "-1", "+1", "0x1", "1 1", "fffffffffffffffff", ""] {
        breaks_off(
            &format!("the chunk size {size:?}"),
            chunked(&format!("{size}\r\nab\r\n0\r\n\r\n")).then_linger(),
            "short",
        )
        .await;
    }
    breaks_off("a chunk longer than its size", chunked("1\r\nabc\r\n0\r\n\r\n").then_linger(), "shorta")
        .await;
}

/// A connection that closes without an answer is one on which clients ask again.
#[tokio::test]
async fn an_answer_that_comes_and_breaks_off_at_once_goes_out_as_far_as_it_came() {
    for fault in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        breaks_off(fault, Answer::bytes(fault).then_close(), "short").await;
    }
}

#[tokio::test]
async fn more_than_was_promised_is_not_the_next_answer() {
    let hidden = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhidden";
    for (name, answer) in [
        ("a length", Answer::ok("four").then_send(hidden)),
        ("chunks", Answer::new(200).chunked(&[b"four"]).then_send(hidden)),
        ("no content", Answer::new(204).only_head().then_send(hidden)),
        ("unchanged", Answer::new(304).only_head().then_send(hidden)),
    ] {
        let upstream = faulty(answer).await;
        let gateway = Gateway::with(&upstream, PUBLIC).await;
        let mut client = gateway.anonymous();
        let response = client.get("/fault").await;
        assert!(["four", ""].contains(&response.text()), "{name}: {response:?}");
        assert_eq!(client.get("/").await.text(), "well", "after {name}");
        assert_eq!(client.get("/").await.text(), "well", "after {name}");
    }
}

#[tokio::test]
async fn a_body_in_the_answer_to_head_is_not_the_next_answer() {
    let upstream = faulty(Answer::bytes(
        "HTTP/1.1 200 OK\r\ncontent-length: 39\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
    ))
    .await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    assert_eq!(client.request("HEAD", "/fault").send().await.status, 200);
    assert_eq!(client.get("/").await.text(), "well");
}

#[tokio::test]
async fn fields_between_neighbours_end_at_the_gateway() {
    let head = "HTTP/1.1 200 OK\r\nconnection: x-secret, keep-alive\r\nx-secret: 1\r\nkeep-alive: timeout=5\r\n\
                upgrade: h2c\r\nproxy-connection: x\r\nx-kept: 1\r\ncontent-length: 0\r\n\r\n";
    let upstream = Upstream::always(Answer::bytes(head)).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let response = gateway.anonymous().get("/").await;
    assert_eq!((response.status, response.header("x-kept")), (200, Some("1")));
    for name in ["x-secret", "keep-alive", "upgrade", "proxy-connection"] {
        assert_eq!(response.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_refused_upgrade_stays_http() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let mut raw = gateway.raw().await;
    let upgrade = gateway.head("GET /first").await + "Connection: upgrade\r\nUpgrade: foo\r\n\r\n";
    raw.send(upgrade + "GET /second HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(raw.response().await.json()["target"], "/first");
    match raw.answer("GET").await {
        Ok(second) => drop(second.refused(Code::MissingCredentials)),
        Err(Broken::Nothing(Ending::Closed | Ending::Reset)) => {}
        Err(other) => panic!("{other:?}"),
    }
    assert_eq!(upstream.only_request().target, "/first");
}
