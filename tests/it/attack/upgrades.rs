//! What stands behind a request that asks to leave HTTP: it is a request of its own, or the tunnel's, and never anybody
//! else's. Named for the incidents of other gateways.

use keyward::auth::refusal::Code;

use super::Stand;
use crate::support::find;
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::raw::Raw;
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::websocket::{asking, naming, opening};

const HIDDEN: &str = "GET /admin/hidden HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn asks(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")
}

/// CVE-2026-2833 and CVE-2025-64763: what followed an upgrade request was passed on before, and without, the 101.
#[tokio::test]
async fn a_request_behind_one_that_asks_to_leave_http_is_judged_on_its_own() {
    let stand = Stand::start().await;
    let websocket = asking();
    for fields in [
        websocket.as_str(),
        "Connection: upgrade\r\nUpgrade: foo\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, foo\r\n",
        "Upgrade: foo\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade, keep-alive\r\nUpgrade: TLS/1.0\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\n",
    ] {
        let outcome = stand.attack(asks("/asks", fields) + HIDDEN).await;
        assert_eq!(outcome.answered(), ["200", "401 missing_credentials", "200"], "{fields}");
        assert_eq!(outcome.received(), ["GET /asks"], "{fields}");
    }
    assert!(stand.upstream.connections().iter().all(|seen| find(&seen.raw, b"hidden").is_none()));
}

#[tokio::test]
async fn what_is_no_request_behind_one_that_asks_to_leave_http_goes_nowhere() {
    let stand = Stand::start().await;
    for early in [
        &b"\x81\x85mask\x05\x04\x1f\x07\x02"[..],
        b"\0\0\0\x04\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n:",
    ] {
        let outcome = stand.attack([asks("/asks", &asking()).as_bytes(), early].concat()).await;
        assert_eq!(outcome.received(), ["GET /asks"], "{early:?}");
        assert_eq!(outcome.answered()[0], "200", "{early:?}");
        assert!(outcome.answered().iter().skip(1).all(|answer| answer.starts_with("400")), "{early:?}");
    }
}

#[tokio::test]
async fn a_body_behind_a_request_that_asks_to_leave_http_is_its_body() {
    let stand = Stand::start().await;
    let length = HIDDEN.len();
    for (fields, body) in [
        (format!("Content-Length: {length}\r\n"), HIDDEN.to_owned()),
        ("Transfer-Encoding: chunked\r\n".to_owned(), format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n")),
    ] {
        let outcome = stand.attack(asks("/asks", &(asking() + &fields)) + &body).await;
        assert_eq!(outcome.answered(), ["200", "200"], "{fields}");
        assert_eq!(outcome.received(), [format!("GET /asks [{HIDDEN}]")], "{fields}");
        assert_eq!(outcome.forwarded[0].header("upgrade"), None);
    }
}

#[tokio::test]
async fn http_2_is_not_to_be_had_by_an_upgrade() {
    let stand = Stand::start().await;
    for protocol in ["h2c", "H2C", "h2", "websocket, h2c", "h2c/1"] {
        let fields = format!(
            "Connection: upgrade, http2-settings\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABk\r\n"
        );
        let outcome = stand.attack(asks("/asks", &fields) + HIDDEN).await;
        assert_eq!(outcome.answered(), ["400 bad_request"], "{protocol}");
        assert_eq!(outcome.received(), [""; 0], "{protocol}");
    }
}

/// An upstream that holds its answer until the gate opens, and mirrors behind a 101.
async fn held(gate: &Gate, answer: Answer) -> Upstream {
    let answer = answer.after(gate);
    Upstream::answering(move |request| match request.header("upgrade") {
        Some(_) => answer.clone(),
        None => Answer::echo(),
    })
    .await
}

const ROUTES: &str = "routes:
  - { name: admin, match: { path_prefix: /admin }, upstream: api }
  - { name: sea, match: { path_prefix: / }, auth: public, upstream: api, upgrades: [websocket, foo] }
";

/// Sends what asks for `protocol` with more behind it, and waits until another request has gone the whole way.
async fn early(gateway: &Gateway, upstream: &Upstream, fields: &str) -> Raw {
    let mut raw = gateway.raw().await;
    raw.send(asks("/asks", fields) + HIDDEN).await;
    upstream.until_requests(1).await;
    for piece in [HIDDEN, HIDDEN] {
        raw.send(piece).await;
        assert_eq!(Client::new(gateway.public()).get("/beside").await.status, 200);
    }
    let seen = &upstream.connections()[0].raw;
    assert!(seen.ends_with(b"\r\n\r\n") && find(seen, b"hidden").is_none(), "early bytes went up");
    raw
}

#[tokio::test]
async fn not_one_byte_behind_the_request_goes_up_before_the_101() {
    for fields in [asking(), "Connection: upgrade\r\nUpgrade: foo\r\n".to_owned()] {
        // Granted, they are the tunnel's, all of them and in order.
        let gate = Gate::new();
        let answer = if fields.contains("foo") { naming("foo").only_head() } else { opening() };
        let upstream = held(&gate, answer.then_mirror().then_close()).await;
        let gateway = Gateway::with(&upstream, ROUTES).await;
        let mut raw = early(&gateway, &upstream, &fields).await;
        gate.open();
        assert_eq!(raw.head().await.unwrap().status, 101);
        let all = HIDDEN.repeat(3);
        assert_eq!(raw.exactly(all.len()).await, all.as_bytes());
        // Not granted, each is a request.
        let gate = Gate::new();
        let upstream = held(&gate, Answer::ok("no")).await;
        let gateway = Gateway::with(&upstream, ROUTES).await;
        let mut raw = early(&gateway, &upstream, &fields).await;
        gate.open();
        assert_eq!(raw.response().await.text(), "no");
        for _ in 0..3 {
            raw.response().await.refused(Code::MissingCredentials);
        }
        assert!(upstream.connections().iter().all(|seen| find(&seen.raw, b"hidden").is_none()));
    }
}

/// CVE-2024-23326: an answer that was no 101 was taken for one.
#[tokio::test]
async fn an_answer_that_only_looks_like_a_switch_is_none() {
    for status in [200, 204, 299, 400, 426] {
        let gate = Gate::new();
        let answer = Answer::new(status).header("Upgrade", "websocket").header("Connection", "Upgrade");
        let answer = if status == 204 { answer.only_head() } else { answer.body("no") };
        let upstream = held(&gate, answer).await;
        let gateway = Gateway::with(&upstream, ROUTES).await;
        let mut raw = early(&gateway, &upstream, &asking()).await;
        gate.open();
        let answer = raw.response().await;
        assert_eq!((answer.status, answer.header("upgrade")), (status, None));
        raw.response().await.refused(Code::MissingCredentials);
        assert!(upstream.connections().iter().all(|seen| find(&seen.raw, b"hidden").is_none()));
    }
}

/// A connection that became a tunnel is nobody's to send a request on.
#[tokio::test]
async fn a_tunnels_connection_never_carries_a_victims_request() {
    let upstream = Upstream::answering(|request| match request.header("upgrade") {
        Some(_) => opening().then_mirror().then_close(),
        None => Answer::echo(),
    })
    .await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut victim = gateway.client().await;
    assert_eq!(victim.get("/admin/1").await.status, 200);
    let mut raw = gateway.raw().await;
    // On the very connection that the victim's went over.
    raw.send(asks("/asks", &asking())).await;
    assert_eq!(raw.head().await.unwrap().status, 101);
    raw.send(HIDDEN).await;
    assert_eq!(raw.exactly(HIDDEN.len()).await, HIDDEN.as_bytes());
    assert_eq!(upstream.requests()[1].connection, 0);
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for number in 2..5 {
        raw.send(poison).await;
        let target = format!("/admin/{number}");
        assert_eq!(victim.get(&target).await.json()["target"], target);
        assert_ne!(upstream.requests().last().unwrap().connection, 0);
    }
    // Nor when it has ended.
    raw.half_close();
    let (rest, _) = raw.rest().await;
    assert_eq!(rest, poison.repeat(3).as_bytes());
    assert_eq!(victim.get("/admin/last").await.json()["target"], "/admin/last");
    assert!(find(&upstream.connections()[0].raw, b"/admin/last").is_none());
}
