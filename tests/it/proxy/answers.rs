//! The bytes an upstream sends, what the client gets of them, and whether the connection they came on is used again. After
//! each answer a victim asks for something else: whatever the answer was, it is told only what it asked for.

use keyward::auth::refusal::Code;

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::raw::{Broken, Ending};
use crate::support::upstream::{Answer, Upstream};

/// What the client gets.
#[derive(Clone, Copy, Debug)]
enum Gets {
    /// This status and this body, whole.
    Whole(u16, &'static str),
    /// A 502 of the gateway.
    Refusal,
    /// A head, and a body that breaks off visibly after part of this.
    Part(&'static str),
}

/// What becomes of the upstream's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Kept,
    Dropped,
}

use Gets::{Part, Refusal, Whole};
use Wire::{Dropped, Kept};

struct Case {
    name: &'static str,
    method: &'static str,
    answer: Answer,
    gets: Gets,
    wire: Wire,
}

fn get(name: &'static str, bytes: impl AsRef<[u8]>, gets: Gets, wire: Wire) -> Case {
    Case { name, method: "GET", answer: Answer::bytes(bytes), gets, wire }
}

fn head(name: &'static str, bytes: &str, wire: Wire) -> Case {
    Case { method: "HEAD", ..get(name, bytes, Whole(200, ""), wire) }
}

fn closing(case: Case) -> Case {
    Case { answer: case.answer.then_close(), ..case }
}

fn resetting(case: Case) -> Case {
    Case { answer: case.answer.then_reset(), ..case }
}

/// Each case on the connection that the case before left, if it left one.
async fn all(cases: Vec<Case>) {
    let answers: Vec<Answer> = cases.iter().map(|case| case.answer.clone()).collect();
    let upstream = Upstream::answering(move |request| match request.target.strip_prefix("/case/") {
        Some(number) => answers[number.parse::<usize>().unwrap()].clone(),
        None => Answer::ok(format!("for {}", request.target)),
    })
    .await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for (number, case) in cases.iter().enumerate() {
        let mut client = gateway.anonymous();
        let outcome = client.request(case.method, &format!("/case/{number}")).try_send().await;
        judge(case, outcome);
        let used = upstream.requests().last().unwrap().connection;
        for round in 0..2 {
            let target = format!("/victim/{number}/{round}");
            assert_eq!(client.get(&target).await.text(), format!("for {target}"), "after {}", case.name);
        }
        let victims = upstream
            .requests()
            .into_iter()
            .filter(|request| request.target == format!("/victim/{number}/0") && request.connection == used);
        let wire = if victims.count() == 0 { Dropped } else { Kept };
        assert_eq!(wire, case.wire, "the connection after {}", case.name);
    }
}

#[track_caller]
fn judge(case: &Case, outcome: Result<crate::support::raw::Response, Broken>) {
    let name = case.name;
    match (case.gets, outcome) {
        (Whole(status, body), Ok(response)) => {
            assert_eq!((response.status, response.text()), (status, body), "{name}");
            assert_eq!(response.interim, [0_u16; 0], "{name}");
        }
        (Refusal, Ok(response)) => drop(response.refused(Code::UpstreamProtocolError)),
        (Part(most), Err(Broken::Body(_, response))) => {
            assert!(most.as_bytes().starts_with(&response.body), "{name}: {response:?}");
        }
        // The break can overtake the head on its way out.
        (Part(_), Err(Broken::Nothing(_) | Broken::Head(..))) => {}
        (expected, outcome) => panic!("{name}: {outcome:?} instead of {expected:?}"),
    }
}

#[tokio::test]
async fn an_answer_with_one_meaning_passes_and_leaves_its_connection() {
    let many = |count: usize| {
        let fields: String = (1..count).map(|n| format!("x-{n}: y\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n{fields}\r\na")
    };
    let mut cases = vec![
        get("a length", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", Whole(200, "abc"), Kept),
        get("no body", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Whole(200, ""), Kept),
        get(
            "a length with zeros",
            "HTTP/1.1 200 OK\r\ncontent-length: 003\r\n\r\nabc",
            Whole(200, "abc"),
            Kept,
        ),
        get(
            "a length in space",
            "HTTP/1.1 200 OK\r\ncontent-length: \t3 \r\n\r\nabc",
            Whole(200, "abc"),
            Kept,
        ),
        get(
            "equal lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nContent-Length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Kept,
        ),
        get(
            "a chunk",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            Whole(200, "abc"),
            Kept,
        ),
        get(
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0A\r\n0123456789\r\n000\r\n\r\n",
            Whole(200, "a0123456789"),
            Kept,
        ),
        get(
            "no chunk",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            Whole(200, ""),
            Kept,
        ),
        get(
            "extensions",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n",
            Whole(200, "abc"),
            Kept,
        ),
        get(
            "trailers",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\ncontent-length: 9\r\n\r\n",
            Whole(200, "abc"),
            Kept,
        ),
        get("204", "HTTP/1.1 204 No Content\r\n\r\n", Whole(204, ""), Kept),
        get("204 of length 0", "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", Whole(204, ""), Kept),
        get("304", "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n", Whole(304, ""), Kept),
        get(
            "304 with a length",
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n",
            Whole(304, ""),
            Kept,
        ),
        get(
            "304 with chunks",
            "HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n",
            Whole(304, ""),
            Kept,
        ),
        get("205", "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n", Whole(205, ""), Kept),
        get("no reason", "HTTP/1.1 200\r\ncontent-length: 3\r\n\r\nabc", Whole(200, "abc"), Kept),
        get("an empty reason", "HTTP/1.1 200 \r\ncontent-length: 3\r\n\r\nabc", Whole(200, "abc"), Kept),
        get("an unknown status", "HTTP/1.1 799 Odd\r\ncontent-length: 3\r\n\r\nabc", Whole(799, "abc"), Kept),
        get(
            "interim answers",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Kept,
        ),
        get(
            "an unknown interim answer",
            "HTTP/1.1 199 Odd\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Kept,
        ),
        get(
            "HTTP/1.0 that stays",
            "HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Kept,
        ),
        get(
            "HTTP/1.1 that says so",
            "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Kept,
        ),
        get(
            "bytes beyond ASCII in a value",
            b"HTTP/1.1 200 OK\r\nx: gr\xfcn\r\ncontent-length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Kept,
        ),
        get(
            "an empty value",
            "HTTP/1.1 200 OK\r\nx:\r\ncontent-length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Kept,
        ),
        get(
            "a Connection that names the length",
            "HTTP/1.1 200 OK\r\nconnection: content-length\r\ncontent-length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Kept,
        ),
        get("128 fields", many(128), Whole(200, "a"), Kept),
        head("a length to HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", Kept),
        head("chunks to HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", Kept),
        head("nothing to HEAD", "HTTP/1.1 200 OK\r\n\r\n", Kept),
    ];
    cases.push(Case {
        method: "POST",
        ..get("a length to POST", "HTTP/1.1 201 Created\r\ncontent-length: 1\r\n\r\na", Whole(201, "a"), Kept)
    });
    all(cases).await;
}

#[tokio::test]
async fn an_answer_that_ends_its_connection_passes_and_takes_it_along() {
    all(vec![
        get(
            "close",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Dropped,
        ),
        get(
            "close and keep",
            "HTTP/1.1 200 OK\r\nconnection: keep-alive, Close\r\ncontent-length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Dropped,
        ),
        get(
            "close, then keep",
            "HTTP/1.1 200 OK\r\nconnection: close\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Dropped,
        ),
        get(
            "close after chunks",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            Whole(200, "a"),
            Dropped,
        ),
        get("HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", Whole(200, "abc"), Dropped),
        get(
            "close with 204",
            "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
            Whole(204, ""),
            Dropped,
        ),
        closing(get("no length", "HTTP/1.1 200 OK\r\n\r\nabc", Whole(200, "abc"), Dropped)),
        closing(get("no length and no body", "HTTP/1.1 200 OK\r\n\r\n", Whole(200, ""), Dropped)),
        closing(get("HTTP/1.0 without length", "HTTP/1.0 200 OK\r\n\r\nabc", Whole(200, "abc"), Dropped)),
        closing(get(
            "no length, but to be kept",
            "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n\r\nabc",
            Whole(200, "abc"),
            Dropped,
        )),
        closing(get("an error without length", "HTTP/1.1 500 Oh\r\n\r\nabc", Whole(500, "abc"), Dropped)),
        closing(get(
            "a length, then the end unsaid",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
            Whole(200, "abc"),
            Dropped,
        )),
    ])
    .await;
}

#[tokio::test]
async fn what_stands_behind_an_answer_is_never_the_next() {
    const HIDDEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhidden";
    let behind = |head: &str| format!("{head}{HIDDEN}");
    all(vec![
        get(
            "a length",
            behind("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"),
            Whole(200, "abc"),
            Dropped,
        ),
        get("a length of 0", behind("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), Whole(200, ""), Dropped),
        get(
            "chunks",
            behind("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            Whole(200, "abc"),
            Dropped,
        ),
        get("204", behind("HTTP/1.1 204 No Content\r\n\r\n"), Whole(204, ""), Dropped),
        get(
            "304",
            behind("HTTP/1.1 304 Not Modified\r\ncontent-length: 61\r\n\r\n"),
            Whole(304, ""),
            Dropped,
        ),
        get("one byte", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcd", Whole(200, "abc"), Dropped),
        get(
            "an empty line",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc\r\n",
            Whole(200, "abc"),
            Dropped,
        ),
        Case {
            method: "HEAD",
            ..get(
                "a body to HEAD",
                behind("HTTP/1.1 200 OK\r\ncontent-length: 61\r\n\r\n"),
                Whole(200, ""),
                Dropped,
            )
        },
        Case {
            method: "HEAD",
            ..get(
                "chunks to HEAD",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                Whole(200, ""),
                Dropped,
            )
        },
    ])
    .await;
}

#[tokio::test]
async fn an_answer_with_two_meanings_or_none_is_refused() {
    let refused = |name, bytes: &str| get(name, bytes, Refusal, Dropped);
    let fields: String = (0..129).map(|n| format!("x-{n}: y\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    let interim = format!(
        "{}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(101)
    );
    let options =
        format!("HTTP/1.1 200 OK\r\nconnection: {}\r\ncontent-length: 0\r\n\r\n", ["a"; 1000].join(","));
    let chunked = "transfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let announced = format!("HTTP/1.1 200 OK\r\ntrailer: {}\r\n{chunked}", ["a"; 1000].join(","));
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "v".repeat(66_000));
    all(vec![
        refused("an unknown protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        refused("HTTP/2", "HTTP/2.0 200 OK\r\n\r\n"),
        refused("lower case", "http/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        refused("a status of four digits", "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n"),
        refused("a status below 100", "HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n"),
        refused("an empty line before", "\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        refused("a bare LF before", "\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        refused("a bare LF in the status line", "HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n"),
        refused("a bare LF after a field", "HTTP/1.1 200 OK\r\ncontent-length: 0\n\r\n"),
        refused("a bare LF at the end", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\n"),
        refused("a folded field", "HTTP/1.1 200 OK\r\nx: y\r\n z\r\ncontent-length: 0\r\n\r\n"),
        refused("a field without name", "HTTP/1.1 200 OK\r\n: y\r\ncontent-length: 0\r\n\r\n"),
        refused("a length and chunks", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        refused("chunks and a length", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n"),
        refused("chunks twice", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        refused("chunks in chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        refused("gzip in chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        refused("another coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
        refused("an empty coding", "HTTP/1.1 200 OK\r\ntransfer-encoding:\r\n\r\n0\r\n\r\n"),
        refused("chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        refused("an empty length", "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n"),
        refused("an equal list of lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\na"),
        refused("a length of words", "HTTP/1.1 200 OK\r\ncontent-length: 1 2\r\n\r\na"),
        refused("a length of 2^63", "HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775808\r\n\r\na"),
        refused("204 with a length", "HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\nabc"),
        refused("204 with chunks", "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        refused("an interim answer with a length", "HTTP/1.1 100 Continue\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        refused("a length to HEAD that is none", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"),
        refused("an interim answer after another", &interim),
        refused("a thousand options of a connection", &options),
        refused("a thousand trailers announced", &announced),
        refused("129 fields", &many),
        refused("66 KB of fields", &large),
        closing(refused("an empty head", "\r\n\r\n")),
        closing(refused("half a status line", "HTTP/1.")),
        closing(refused("half a head", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n")),
        resetting(refused("half a head and a reset", "HTTP/1.1 200 OK\r\nconte")),
        closing(refused("an interim answer alone", "HTTP/1.1 103 Early Hints\r\n\r\n")),
    ])
    .await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client_too() {
    let chunked = |name, rest: &str, most| {
        get(name, format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{rest}"), Part(most), Dropped)
    };
    let trailers = format!("0\r\nx: {}\r\n\r\n", "v".repeat(17_000));
    all(vec![
        closing(get("a short body", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", Part("abc"), Dropped)),
        closing(get("no body", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", Part(""), Dropped)),
        resetting(get(
            "a short body and a reset",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
            Part("abc"),
            Dropped,
        )),
        resetting(get("a reset for an end", "HTTP/1.1 200 OK\r\n\r\nabc", Part("abc"), Dropped)),
        closing(chunked("no chunk", "", "")),
        closing(chunked("half a size", "3", "")),
        closing(chunked("half a chunk", "5\r\nabc", "abc")),
        closing(chunked("no last chunk", "3\r\nabc\r\n", "abc")),
        closing(chunked("half a last chunk", "3\r\nabc\r\n0\r\n", "abc")),
        closing(chunked("trailers without end", "3\r\nabc\r\n0\r\nx: y\r\n", "abc")),
        chunked("a size that is none", "3\r\nabc\r\nzz\r\n", "abc"),
        chunked("a size beyond numbers", "3\r\nabc\r\nffffffffffffffff\r\nabc", "abc"),
        chunked("a chunk longer than its size", "3\r\nabcd\r\n0\r\n\r\n", "abc"),
        chunked("a chunk that ends with LF", "3\r\nabc\n0\r\n\r\n", "abc"),
        chunked("a size that ends with LF", "3\nabc\r\n0\r\n\r\n", ""),
        chunked("an endless extension", &format!("3;{}", "x".repeat(600)), ""),
        chunked("endless trailers", &trailers, ""),
    ])
    .await;
}

/// Nothing but the connection's end ends such an answer, so an orderly end would make half of it look whole.
#[tokio::test]
async fn an_answer_that_breaks_off_is_a_reset_to_a_client_that_knows_no_other_sign() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    for answer in [
        Answer::bytes(chunked).then_close(),
        Answer::bytes("HTTP/1.1 200 OK\r\n\r\nabc").then_reset(),
        Answer::bytes(format!("{chunked}zz\r\n")),
    ] {
        let upstream = Upstream::always(answer).await;
        let gateway = Gateway::with(&upstream, PUBLIC).await;
        let mut raw = gateway.raw().await;
        raw.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
        let (_, ending) = raw.rest().await;
        assert_eq!(ending, Ending::Reset);
    }
}

#[tokio::test]
async fn an_answer_before_the_body_ends_the_connection_that_the_body_was_for() {
    let early = Answer::new(422).body("no need").before_the_body();
    let upstream = Upstream::answering(move |request| match request.method.as_str() {
        "POST" => early.clone(),
        _ => Answer::ok("well"),
    })
    .await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    let response = raw.response().await;
    assert_eq!((response.status, response.text()), (422, "no need"));
    assert_eq!(
        response.header("connection"),
        Some("close"),
        "the rest of the body would be taken for a request"
    );
    upstream.until_all_closed().await;
    assert_eq!(Client::new(gateway.public()).get("/").await.text(), "well");
    assert_eq!(upstream.requests()[1].on_connection, 0);
}
