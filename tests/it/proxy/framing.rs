//! Request lines, fields, `Host` and body framing that cannot be read in one way are refused, and nothing of them reaches
//! the upstream, now or as the next request.

use keyward::auth::refusal::Code;

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::raw::Ending;
use crate::support::upstream::Upstream;

/// Sends the bytes; fails unless the answer is a 400, bare with the end of the connection or a whole problem, and the
/// upstream received no request.
async fn refused_as_400(upstream: &Upstream, gateway: &Gateway, bytes: &[u8]) {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    let mut raw = gateway.raw().await;
    raw.send(bytes).await;
    let response = raw.answer("GET").await.unwrap_or_else(|broken| panic!("{broken:?} to {shown:?}"));
    assert_eq!(response.status, 400, "{shown:?}: {response:?}");
    if response.header("content-type") == Some("application/problem+json") {
        let code = response.json()["code"].as_str().unwrap().to_owned();
        assert!(
            ["bad_request", "invalid_host", "ambiguous_path"].contains(&code.as_str()),
            "{code} to {shown:?}"
        );
    } else {
        assert_eq!(response.text(), "", "{shown:?}");
        assert_eq!(response.header("connection"), Some("close"), "{shown:?}");
    }
    if response.header("connection") == Some("close") {
        assert_eq!(raw.ends().await, Ending::Closed, "{shown:?}");
    }
    assert_eq!(upstream.requests(), [], "{shown:?}");
}

#[tokio::test]
async fn a_malformed_request_line_is_refused() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for line in [
        "garbage",
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.1 x",
        "GET /a b HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        " GET / HTTP/1.1",
        "G@T / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.12",
        "GET / HTTP/0.9",
        "GET / HTTP/2.0",
        "PRI * HTTP/2.0",
        "GET / HTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "GET relative HTTP/1.1",
        "GET * HTTP/1.1",
        "GET http:///a HTTP/1.1",
        "GET http://a:b@c/ HTTP/1.1",
        "GET /#fragment HTTP/1.1",
        "GET /%zz HTTP/1.1",
        "GET /% HTTP/1.1",
        "GET /a/../b HTTP/1.1",
        "GET /%2e%2e/b HTTP/1.1",
        "GET /a/..;/b HTTP/1.1",
        "GET /%00 HTTP/1.1",
        "GET /a%2fb HTTP/1.1",
        "GET /a//b HTTP/1.1",
        "GET /a;b HTTP/1.1",
        "GET /a%5cb HTTP/1.1",
        "GET /a\\b HTTP/1.1",
        "GET /?a=\"b\" HTTP/1.1",
        "GET /?a=<b> HTTP/1.1",
        "GET /%ff HTTP/1.1",
        "GET /%252e HTTP/1.1",
    ] {
        refused_as_400(&upstream, &gateway, format!("{line}\r\nHost: a\r\n\r\n").as_bytes()).await;
    }
}

#[tokio::test]
async fn a_malformed_field_is_refused() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for field in [
        "nonsense",
        ": value",
        "a b: c",
        "a : b",
        "a\t: b",
        " a: b",
        "a: b\r\n folded",
        "a: b\0c",
        "a: b\rc: d",
        "a\u{7f}: b",
        "a(b): c",
        "gr\u{fc}n: a",
        "Transfer_Encoding: chunked",
        "Content_Length: 5",
        "content.length: 5",
    ] {
        refused_as_400(
            &upstream,
            &gateway,
            format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n").as_bytes(),
        )
        .await;
    }
}

#[tokio::test]
async fn a_host_that_is_not_one_name_is_refused() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for (target, fields) in [
        ("/", ""),
        ("/", "Host: a\r\nHost: a\r\n"),
        ("/", "Host: a\r\nHost: b\r\n"),
        ("/", "Host:\r\n"),
        ("/", "Host: a/b\r\n"),
        ("/", "Host: a b\r\n"),
        ("/", "Host: a@b\r\n"),
        ("/", "Host: a#b\r\n"),
        ("/", "Host: a?b\r\n"),
        ("/", "Host: a,b\r\n"),
        ("/", "Host: [::1\r\n"),
        ("/", "Host: a:port\r\n"),
        ("/", "Host: a:99999\r\n"),
        ("http://a/", "Host: b\r\n"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
        let mut raw = gateway.raw().await;
        let response = raw.ask(&request).await;
        assert_eq!(response.status, 400, "{request:?}");
        response.refused(Code::InvalidHost);
    }
    assert_eq!(upstream.requests(), []);
    let mut raw = gateway.raw().await;
    let response = raw.ask("GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((response.status, &response.json()["target"]), (200, &"/x?y".into()));
}

#[tokio::test]
async fn a_body_with_two_readings_is_refused() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4, 5",
        "Content-Length: +4",
        "Content-Length: -4",
        "Content-Length: 0x4",
        "Content-Length: 4 4",
        "Content-Length: 99999999999999999999",
        "Content-Length: four",
        "Content-Length:",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: x, chunked",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked;a=b",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding:",
        "Transfer-Encoding:\u{b}chunked",
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        refused_as_400(&upstream, &gateway, request.as_bytes()).await;
    }
    // HTTP/1.0 knows no chunks.
    let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refused_as_400(&upstream, &gateway, old.as_bytes()).await;
}

#[tokio::test]
async fn chunks_that_cannot_be_read_are_the_clients_fault() {
    for body in [
        "xyz\r\n",
        "-1\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
    ] {
        let upstream = Upstream::echo().await;
        let gateway = Gateway::with(&upstream, PUBLIC).await;
        let mut raw = gateway.raw().await;
        raw.send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")).await;
        raw.response().await.refused(Code::BadRequest);
        assert_eq!(raw.ends().await, Ending::Closed, "{body:?}");
        upstream.until_all_closed().await;
        assert!(upstream.requests().iter().all(|request| !request.is_whole()), "{body:?}");
        assert_eq!(gateway.anonymous().get("/").await.status, 200);
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_never_looks_whole_to_the_upstream() {
    for head in [
        "Content-Length: 10\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "Transfer-Encoding: chunked\r\n\r\n9\r\nabc",
    ] {
        for reset in [false, true] {
            let upstream = Upstream::echo().await;
            let gateway = Gateway::with(&upstream, PUBLIC).await;
            let mut raw = gateway.raw().await;
            raw.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}")).await;
            upstream.until("three bytes", |seen| (seen.requests.first()?.body_len == 3).then_some(())).await;
            if reset {
                raw.reset();
            } else {
                raw.half_close();
                raw.response().await.refused(Code::BadRequest);
                assert_eq!(raw.ends().await, Ending::Closed);
            }
            upstream.until_all_closed().await;
            assert!(!upstream.only_request().is_whole());
            assert_eq!(gateway.anonymous().get("/").await.status, 200);
        }
    }
}

#[tokio::test]
async fn a_head_that_is_cut_off_is_nothing() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for bytes in ["", "\r\n", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let mut raw = gateway.raw().await;
        raw.send(bytes).await;
        raw.half_close();
        if !bytes.trim().is_empty() {
            let response = raw.response().await;
            assert_eq!((response.status, response.text()), (400, ""), "{bytes:?}");
        }
        assert_eq!(raw.ends().await, Ending::Closed, "{bytes:?}");
    }
    assert_eq!(upstream.requests(), []);
}

#[tokio::test]
async fn a_refusal_with_a_body_unread_hides_no_request_in_it() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let hidden = gateway.head("GET /hidden").await + "\r\n";
    for fields in ["", "Authorization: Bearer junk\r\n", "Authorization: Bearer a b\r\n"] {
        for padding in [0, 1_000_000] {
            let body = format!("{hidden}{}", "x".repeat(padding));
            let request =
                format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len());
            let mut raw = gateway.raw().await;
            let _ = raw.try_send(request).await;
            let refusal = raw.response().await;
            assert!([400, 401].contains(&refusal.status), "{refusal:?}");
            // Either the connection ends, or the body was taken for what it is.
            if raw.try_send(gateway.head("GET /next").await + "\r\n").await.is_ok()
                && let Ok(next) = raw.answer("GET").await
            {
                assert_eq!(next.json()["target"], "/next");
            }
        }
    }
    assert!(upstream.requests().iter().all(|request| request.target == "/next"));
}

/// What comes in one piece with the request before it is judged as if it came alone.
#[tokio::test]
async fn a_request_behind_another_is_judged_like_the_first() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let both =
        "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let chunked = "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let length = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n#\r\n\r\n";
    for first in ["GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", chunked, length] {
        for second in [both, "GET /2#x HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let mut raw = gateway.raw().await;
            raw.send(format!("{first}{second}")).await;
            assert_eq!(raw.response().await.json()["target"], "/1");
            assert_eq!(raw.response().await.status, 400, "{first:?}{second:?}");
        }
        let mut raw = gateway.raw().await;
        raw.send(format!("{first}GET /2 HTTP/1.1\r\nHost: a\r\nX: #\r\n\r\n")).await;
        assert_eq!(raw.response().await.json()["target"], "/1");
        assert_eq!(raw.response().await.json()["target"], "/2");
    }
    assert!(upstream.requests().iter().all(|request| request.target != "/2" || request.method == "GET"));
}

/// Whatever comes of the body and when: the client is told that the connection ends, or its next request is served.
#[tokio::test]
async fn a_connection_that_ends_after_a_refusal_says_so() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let good = gateway.head("GET /next").await + "X: #\r\n\r\n";
    let length = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (head, pieces, kept) in [
        (length, vec!["{\"#\":1"], Some(true)),
        (length, vec!["", "{\"#\":1"], None),
        (length, vec!["{\"#", "\":1"], None),
        (length, vec!["{"], Some(false)),
        (chunked, vec!["1\r\na\r\n0\r\n\r\n"], Some(false)),
    ] {
        let mut raw = gateway.raw().await;
        let mut first = head.to_owned();
        for piece in &pieces {
            first += piece;
            raw.send(std::mem::take(&mut first)).await;
            tokio::task::yield_now().await;
        }
        let refusal = raw.response().await;
        refusal.refused(Code::MissingCredentials);
        let closing = refusal.header("connection") == Some("close");
        assert!(kept.is_none_or(|kept| kept != closing), "{head:?} {pieces:?}");
        if !closing {
            assert_eq!(raw.ask(&good).await.json()["target"], "/next", "{head:?} {pieces:?}");
        }
    }
}

#[tokio::test]
async fn connect_opens_nothing() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    raw.send("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let response = raw.response().await;
    assert!([400, 405, 501].contains(&response.status), "{response:?}");
    assert!(
        upstream.requests().iter().all(|request| request.method != "CONNECT" && request.target != "/hidden")
    );
}
