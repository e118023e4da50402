//! Trailers pass both ways where there is a place for them, less what a head could not say either.

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::raw::{Broken, Response};
use crate::support::upstream::{Answer, Upstream};

/// Asks as a client that takes trailers, for an answer in chunks with these more fields and these trailers.
async fn answered(fields: &str, trailers: &str) -> Result<Response, Broken> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\n{fields}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{trailers}\r\n"
    );
    let upstream = Upstream::always(Answer::bytes(answer)).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = gateway.anonymous();
    let mut ask = async || {
        let request = client.request("GET", "/").header("TE", "trailers").header("Connection", "TE");
        request.try_send().await
    };
    let first = ask().await?;
    assert_eq!(first.text(), "abc");
    // What stands behind a body is never the beginning of the next answer.
    let second = ask().await?;
    assert_eq!((&second.trailers, second.text()), (&first.trailers, "abc"));
    assert_eq!(upstream.connections().len(), 1);
    Ok(first)
}

fn pairs<'a>(expected: &[(&'a str, &'a str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn an_answers_trailers_reach_a_client_that_takes_them() {
    let response =
        answered("Trailer: X-Sum, x-more\r\n", "X-Sum: 1\r\nX-Sum:2 \r\nx-more:\r\n").await.unwrap();
    assert_eq!(response.header("trailer"), Some("x-sum, x-more"));
    assert_eq!(response.trailers, pairs(&[("x-sum", "1"), ("x-sum", "2"), ("x-more", "")]));
}

#[tokio::test]
async fn a_client_that_takes_none_gets_none() {
    let answer = Answer::bytes(
        "HTTP/1.1 200 OK\r\ntrailer: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: 1\r\n\r\n",
    );
    let upstream = Upstream::always(answer).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for version in ["1.1", "1.0"] {
        let mut raw = gateway.raw().await;
        let response = raw.ask(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).await;
        assert_eq!((response.text(), &*response.trailers), ("abc", &[][..]));
    }
    assert_eq!(
        upstream.requests()[0].names().iter().filter(|name| *name == "te" || *name == "connection").count(),
        0
    );
}

#[tokio::test]
async fn an_answers_trailers_cannot_say_what_its_head_could_not() {
    let named = "Trailer: content-length, connection, set-cookie, x-request-id, x-near, X-Far, ratelimit\r\n\
                 Connection: x-near\r\n";
    let sent = "Content-Length: 9\r\nConnection: close\r\nSet-Cookie: a=b\r\nX-Request-Id: theirs\r\nX-Near: 1\r\n\
                X-Far: 2\r\nRateLimit: \"a\";r=1\r\nTransfer-Encoding: gzip\r\n";
    let response = answered(named, sent).await.unwrap();
    assert_eq!(response.header("trailer"), Some("x-far"));
    assert_eq!(response.trailers, pairs(&[("x-far", "2")]));
}

#[tokio::test]
async fn trailers_that_can_be_read_in_two_ways_break_the_answer_off() {
    for trailers in [
        "X: 1\n",
        "X: 1\rY: 2\r\n",
        "X 1\r\n",
        "X : 1\r\n",
        " X: 1\r\n",
        "X: 1\r\n folded\r\n",
        ": 1\r\n",
        ":status: 200\r\n",
        "X: \0\r\n",
        "X: \u{1}\r\n",
    ] {
        let outcome = answered("trailer: x\r\n", trailers).await;
        assert!(outcome.is_err(), "{trailers:?}: {outcome:?}");
    }
}

/// Sends a request in chunks with these more fields and these trailers; as the upstream received it.
async fn received(fields: &str, trailers: &str) -> crate::support::upstream::Received {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{fields}\r\n3\r\nabc\r\n0\r\n{trailers}\r\n"
    );
    for _ in 0..2 {
        assert_eq!(raw.ask(&request).await.json()["body_len"], 3);
    }
    let requests = upstream.requests();
    assert_eq!(requests[0].trailers, requests[1].trailers);
    assert_eq!(requests[1].on_connection, 1, "nothing was left behind on the connection");
    requests[1].clone()
}

#[tokio::test]
async fn a_requests_trailers_reach_the_upstream() {
    let request =
        received("Trailer: X-Sum\r\nTrailer: x-more\r\n", "X-Sum: 1\r\nx-sum: 2\r\nX-More:\r\n").await;
    assert_eq!(request.header("trailer"), Some("x-sum, x-more"));
    assert_eq!(request.trailers, pairs(&[("x-sum", "1"), ("x-sum", "2"), ("x-more", "")]));
    assert_eq!(received("", "").await.trailers, []);
}

#[tokio::test]
async fn a_requests_trailers_cannot_say_what_its_head_could_not() {
    let fields = "Trailer: X-Auth-Subject, x-near, x-far, content-length\r\nConnection: X-Near\r\n";
    let sent = "X-Auth-Subject: admin\r\nX_Auth_Subject: admin\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 1.1.1.1\r\n\
                X_Forwarded_For: 1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\nX-Request-Id: a\r\nContent-Length: 5\r\n\
                Host: b\r\nTE: gzip\r\nConnection: close\r\nKeep-Alive: 1\r\nUpgrade: h2c\r\nExpect: 100-continue\r\n\
                Transfer_Encoding: chunked\r\ntraceparent: x\r\nCookie: a=b\r\nContent-Type: a/b\r\nX-Near: 1\r\nX-Far: 2\r\n";
    let request = received(fields, sent).await;
    assert_eq!(request.header("trailer"), Some("x-far"));
    assert_eq!(request.trailers, pairs(&[("x-far", "2")]));
}

#[tokio::test]
async fn what_is_said_of_trailers_is_said_only_where_they_can_be() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for (request, te, trailer) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: x\r\n\r\n", Some("trailers"), None),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: gzip;q=0.5, Trailers\r\n\r\n",
            Some("trailers"),
            None,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nTE: gzip\r\nTE: trailers\r\n\r\n", Some("trailers"), None),
        ("GET / HTTP/1.1\r\nHost: a\r\nTE: gzip\r\n\r\n", None, None),
        ("GET / HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n\r\n", None, None),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTrailer: x\r\n\r\na", None, None),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: trailer\r\nTrailer: x\r\n\r\n0\r\n\r\n",
            None,
            None,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n0\r\n\r\n",
            None,
            Some("x"),
        ),
    ] {
        assert_eq!(gateway.raw().await.ask(request).await.status, 200);
        let received = upstream.requests().pop().unwrap();
        assert_eq!((received.header("te"), received.header("trailer")), (te, trailer), "{request}");
        assert_eq!(received.header("connection"), te.map(|_| "te"), "{request}");
    }
}
