//! Leaving HTTP: who may, what the upstream is asked, and which answers open a tunnel.

use keyward::auth::refusal::Code;

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::raw::{Ending, Raw};
use crate::support::upstream::{Answer, Upstream};
use crate::support::websocket::{ACCEPT, KEY, asking, frame, handshake, masked, naming, open, opening};

const ROUTES: &str = "routes:
  - { name: all, match: { path_prefix: / }, auth: public, upstream: api }
  - { name: tcp, match: { path_prefix: /tcp }, auth: public, upstream: api, upgrades: [tcp-ish/1, websocket] }
  - { name: none, match: { path_prefix: /none }, auth: public, upstream: api, upgrades: [] }
  - { name: key, match: { path_prefix: /key }, upstream: api }
  - { name: page, match: { path_prefix: /page }, upstream: api, websocket_credential: subprotocol }
  - { name: open_page, match: { path_prefix: /open }, auth: public, upstream: api, websocket_credential: subprotocol }
";

/// Opens what is asked for and sends back what comes.
async fn mirror() -> Upstream {
    Upstream::answering(|request| {
        let named = request.header("upgrade").map(str::to_owned);
        match named.as_deref() {
            Some("websocket") => opening().then_mirror().then_close(),
            Some(protocol) => naming(protocol).only_head().then_mirror().then_close(),
            None => Answer::echo(),
        }
    })
    .await
}

#[tokio::test]
async fn a_websocket_is_opened_and_carries_bytes_both_ways() {
    let upstream = mirror().await;
    let gateway = Gateway::before(&upstream).await;
    let mut raw = gateway.raw().await;
    raw.send(gateway.head("GET /chat?room=1").await + &asking() + "X-Mine: 1\r\n\r\n").await;
    let head = raw.head().await.unwrap();
    assert_eq!((head.status, head.reason.as_str()), (101, "Switching Protocols"));
    assert_eq!((head.header("upgrade"), head.header("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!(head.header("sec-websocket-accept"), Some(ACCEPT));
    assert!(head.header("x-request-id").is_some());
    assert_eq!((head.header("content-length"), head.header("transfer-encoding")), (None, None));
    let message = masked(1, b"hello");
    raw.send(&message).await;
    assert_eq!(raw.exactly(message.len()).await, message);
    raw.half_close();
    assert_eq!(raw.ends().await, Ending::Closed);

    let request = upstream.only_request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/chat?room=1"));
    assert_eq!(
        (request.header("connection"), request.header("upgrade")),
        (Some("Upgrade"), Some("websocket"))
    );
    assert_eq!(request.header("sec-websocket-key"), Some(KEY));
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
    assert_eq!((request.header("x-mine"), request.header("authorization")), (Some("1"), None));
    assert_eq!(request.header("x-auth-subject"), Some(gateway.account().await));
    assert_eq!((request.header("content-length"), request.header("transfer-encoding")), (None, None));
}

#[tokio::test]
async fn nobody_is_let_past_who_would_not_be_for_a_request() {
    let upstream = mirror().await;
    let gateway = Gateway::with(&upstream, "").await;
    let scopeless = gateway.key_with(&[]).await;
    let wants = "routes: [{ name: all, match: { path_prefix: / }, auth: { required: { scopes: [\"orders:read\"] } }, upstream: api }]";
    let scoped = Gateway::with(&upstream, wants).await;
    let other = scoped.key_with(&["orders:write"]).await;
    for (gateway, key, code) in [
        (&gateway, None, Code::MissingCredentials),
        (&gateway, Some("kw_sk_junk"), Code::InvalidCredentials),
        (&scoped, Some(scopeless.secret.as_str()), Code::InvalidCredentials),
        (&scoped, Some(other.secret.as_str()), Code::InsufficientScope),
    ] {
        let credential = key.map_or(String::new(), |key| format!("Authorization: Bearer {key}\r\n"));
        let mut raw = gateway.raw().await;
        let answer = raw.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{credential}{}\r\n", asking())).await;
        answer.refused(code);
        // It is HTTP as before.
        raw.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.refused(Code::MissingCredentials);
    }
    assert_eq!(upstream.connections().len(), 0);
}

/// What a server may ignore is ignored: the request goes on as if it had not asked.
#[tokio::test]
async fn what_is_not_allowed_is_forwarded_as_a_plain_request() {
    let upstream = mirror().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let plain = |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let websocket = asking();
    let version = websocket.replace("13", "8");
    for (number, request) in [
        plain("/none", &websocket),
        plain("/", "Connection: upgrade\r\nUpgrade: tcp-ish/1\r\n"),
        plain("/tcp", "Connection: upgrade\r\nUpgrade: tcp-ish/2\r\n"),
        plain("/tcp", "Upgrade: tcp-ish/1\r\n"),
        plain("/tcp", "Connection: upgrade\r\nUpgrade: tcp-ish/1, websocket\r\n"),
        plain("/tcp", "Connection: upgrade\r\nUpgrade: tcp-ish/1\r\nUpgrade: tcp-ish/1\r\n"),
        plain("/tcp", "Connection: upgrade\r\n"),
        plain("/", &version),
        plain("/", &websocket).replace("GET", "HEAD"),
        plain("/", &websocket).replace("GET", "POST"),
        plain("/", &(websocket.clone() + "Content-Length: 1\r\n")) + "x",
        plain("/", &websocket).replace("HTTP/1.1", "HTTP/1.0"),
        plain("/", &(websocket.clone() + "Connection: close\r\n")),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = gateway.raw().await.ask(&request).await;
        assert_eq!(answer.status, 200, "{request}: {}", answer.text());
        let received = &upstream.requests()[number];
        let hop = (received.header("connection"), received.header("upgrade"));
        assert_eq!(hop, (None, None), "{request}");
    }
}

#[tokio::test]
async fn other_protocols_pass_where_the_route_lists_them() {
    let upstream = mirror().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    for method in ["GET", "POST"] {
        let asked = "Connection: upgrade\r\nUpgrade: TCP-ish/1\r\n\r\n";
        let raw = gateway.raw().await;
        let mut raw = open(raw, &format!("{method} /tcp HTTP/1.1\r\nHost: a\r\n{asked}")).await;
        raw.send(b"\x00any\xff").await;
        assert_eq!(raw.exactly(5).await, b"\x00any\xff");
    }
    assert_eq!(upstream.requests()[0].header("upgrade"), Some("TCP-ish/1"));
}

#[tokio::test]
async fn a_broken_handshake_is_refused_before_the_upstream_is_asked() {
    let upstream = mirror().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for fields in [
        asking().replace("Sec-WebSocket-Key", "X-Key"),
        asking().replace(KEY, "short"),
        asking() + &format!("Sec-WebSocket-Key: {KEY}\r\n"),
    ] {
        let answer = gateway.raw().await.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        answer.refused(Code::BadRequest);
    }
    assert_eq!(upstream.connections().len(), 0);
}

/// What an upstream says in place of the 101 that was asked for.
#[tokio::test]
async fn a_101_that_does_not_answer_what_was_asked_is_a_protocol_error() {
    let accept = ("Sec-WebSocket-Accept", ACCEPT);
    let websocket = ("Upgrade", "websocket");
    let means_it = ("Connection", "Upgrade");
    let cases: Vec<Vec<(&str, &str)>> = vec![
        vec![accept],
        vec![websocket, accept],
        vec![means_it, accept],
        vec![means_it, ("Upgrade", "h2c"), accept],
        vec![means_it, ("Upgrade", "websocket, h2c"), accept],
        vec![means_it, websocket, websocket, accept],
        vec![means_it, websocket],
        vec![means_it, websocket, ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=")],
        vec![means_it, websocket, accept, accept],
        vec![means_it, websocket, accept, ("Sec-WebSocket-Protocol", "chat")],
        vec![means_it, websocket, accept, ("Content-Length", "5")],
        vec![means_it, websocket, accept, ("Transfer-Encoding", "chunked")],
    ];
    for fields in cases {
        let switching =
            fields.iter().fold(Answer::new(101), |answer, (name, value)| answer.header(name, value));
        let upstream = Upstream::always(switching.only_head().then_send("early").then_hang()).await;
        let gateway = Gateway::with(&upstream, PUBLIC).await;
        let mut raw = gateway.raw().await;
        raw.ask(handshake("/")).await.refused(Code::UpstreamProtocolError);
        upstream.until_all_closed().await;
        assert_eq!(upstream.requests().len(), 1, "{fields:?} was asked again");
    }
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_is_a_protocol_error() {
    let upstream = Upstream::always(opening().then_hang()).await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_owned(),
        handshake("/none"),
        handshake("/").replace("websocket", "other"),
    ] {
        gateway.raw().await.ask(&request).await.refused(Code::UpstreamProtocolError);
    }
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn any_other_answer_is_an_answer_and_the_connection_stays_http() {
    let upstream = Upstream::in_order([
        Answer::new(426).header("Upgrade", "websocket").header("Connection", "upgrade").body("no"),
        Answer::new(200).chunked(&[b"one", b"two"]),
        Answer::new(200).header("Upgrade", "websocket").header("Sec-WebSocket-Accept", ACCEPT).body("sure"),
        Answer::new(204).only_head(),
        Answer::echo(),
    ])
    .await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    let answer = raw.ask(handshake("/1")).await;
    assert_eq!((answer.status, answer.text(), answer.header("upgrade")), (426, "no", None));
    assert_eq!(raw.ask(handshake("/2")).await.text(), "onetwo");
    assert_eq!(raw.ask(handshake("/3")).await.text(), "sure");
    assert_eq!(raw.ask(handshake("/4")).await.status, 204);
    assert_eq!(raw.ask("GET /5 HTTP/1.1\r\nHost: a\r\n\r\n").await.json()["target"], "/5");
    assert_eq!(upstream.connections().len(), 1, "its connection was of no more use");
}

#[tokio::test]
async fn what_stands_right_behind_the_101_reaches_the_client() {
    let greeting = frame(1, b"welcome");
    let upstream = Upstream::always(opening().then_send(&greeting).then_mirror().then_close()).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = open(gateway.raw().await, &handshake("/")).await;
    assert_eq!(raw.exactly(greeting.len()).await, greeting);
}

#[tokio::test]
async fn an_interim_answer_before_the_101_changes_nothing() {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let upstream = Upstream::always(opening().early(hints).then_mirror().then_close()).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = open(gateway.raw().await, &handshake("/")).await;
    raw.send("x").await;
    assert_eq!(raw.exactly(1).await, b"x");
}

async fn opened(gateway: &Gateway, target: &str, fields: &str) -> crate::support::raw::Response {
    let mut raw = gateway.raw().await;
    raw.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{}{fields}\r\n", asking())).await;
    raw.head().await.unwrap()
}

#[tokio::test]
async fn a_browser_carries_its_key_among_the_subprotocols() {
    let upstream = Upstream::answering(|request| {
        let offered = request.all("sec-websocket-protocol").join(",");
        let opening = naming("websocket").header("Sec-WebSocket-Accept", ACCEPT);
        match offered.contains("chat") {
            true => opening.header("Sec-WebSocket-Protocol", "chat").only_head().then_mirror().then_close(),
            false => opening.only_head().then_mirror().then_close(),
        }
    })
    .await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let key = gateway.key().await.secret;
    for (number, (offered, forwarded, selected)) in [
        (format!("keyward.bearer.{key}, chat"), Some("chat"), Some("chat")),
        (format!("soap, keyward.bearer.{key},chat"), Some("soap, chat"), Some("chat")),
        (format!("keyward.bearer.{key}"), None, None),
        (format!("keyward.bearer.{key}, keyward"), None, Some("keyward")),
        (format!("keyward,keyward.bearer.{key},soap"), Some("soap"), Some("keyward")),
        (format!("soap\r\nSec-WebSocket-Protocol: keyward.bearer.{key}"), Some("soap"), None),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = opened(&gateway, "/page", &format!("Sec-WebSocket-Protocol: {offered}\r\n")).await;
        assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, selected), "{offered}");
        let received = &upstream.requests()[number];
        assert_eq!(received.header("sec-websocket-protocol"), forwarded, "{offered}");
        assert_eq!(received.header("x-auth-subject"), Some(gateway.account().await));
    }
    let seen = upstream.connections();
    assert!(seen.iter().all(|connection| crate::support::find(&connection.raw, key.as_bytes()).is_none()));
}

#[tokio::test]
async fn a_key_among_the_subprotocols_is_one_source_among_all() {
    let upstream = mirror().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let key = gateway.key().await.secret;
    let item = format!("keyward.bearer.{key}");
    for (target, fields, code) in [
        (
            "/page",
            format!("Sec-WebSocket-Protocol: {item}\r\nAuthorization: Bearer {key}\r\n"),
            Code::InvalidRequest,
        ),
        ("/page", format!("Sec-WebSocket-Protocol: {item}, {item}\r\n"), Code::InvalidRequest),
        (
            "/page",
            format!("Sec-WebSocket-Protocol: {item}\r\nSec-WebSocket-Protocol: {item}\r\n"),
            Code::InvalidRequest,
        ),
        ("/page", "Sec-WebSocket-Protocol: keyward.bearer.\r\n".to_owned(), Code::InvalidRequest),
        ("/page", "Sec-WebSocket-Protocol: keyward.bearer.junk\r\n".to_owned(), Code::InvalidCredentials),
        ("/page", format!("Sec-WebSocket-Protocol: \"{item}\"\r\n"), Code::BadRequest),
        ("/page", "Sec-WebSocket-Protocol: chat\r\n".to_owned(), Code::MissingCredentials),
        ("/page", format!("Sec-WebSocket-Protocol: {}\r\n", item.to_uppercase()), Code::MissingCredentials),
        // Where the route does not say so it is a name like any other.
        ("/key", format!("Sec-WebSocket-Protocol: {item}\r\n"), Code::MissingCredentials),
    ] {
        let mut raw = gateway.raw().await;
        let answer = raw.ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{}{fields}\r\n", asking())).await;
        answer.refused(code);
    }
    // A request that opens no WebSocket has it in no place that is read.
    let mut raw = gateway.raw().await;
    let plain = format!("GET /page HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: {item}\r\n\r\n");
    raw.ask(plain).await.refused(Code::MissingCredentials);
    assert_eq!(upstream.connections().len(), 0);
}

#[tokio::test]
async fn the_key_is_taken_out_wherever_it_could_stand_and_is_not_looked_at_on_a_public_route() {
    let upstream = Upstream::answering(|request| match request.header("upgrade") {
        Some(_) => opening().then_mirror().then_close(),
        None => Answer::echo(),
    })
    .await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let offered = "Sec-WebSocket-Protocol: keyward.bearer.SECRET, keyward.bearer.SECRET, chat\r\n";
    assert_eq!(opened(&gateway, "/open", offered).await.status, 101);
    let plain = format!("GET /open HTTP/1.1\r\nHost: a\r\n{offered}\r\n");
    assert_eq!(gateway.raw().await.ask(plain).await.status, 200);
    let folded = format!(
        "GET /open HTTP/1.1\r\nHost: a\r\n{}\r\n",
        offered.replace("Sec-WebSocket-Protocol", "Sec_WebSocket_Protocol")
    );
    assert_eq!(gateway.raw().await.ask(folded).await.status, 200);
    let [websocket, plain, folded] = &upstream.requests()[..] else { panic!("three requests") };
    assert_eq!(websocket.header("sec-websocket-protocol"), Some("chat"));
    assert!([plain, folded].iter().all(|request| request.header("sec-websocket-protocol").is_none()));
    let shown = format!("{:?}", upstream.requests());
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[tokio::test]
async fn a_client_that_goes_before_the_101_leaves_nothing_behind() {
    let gate = crate::support::upstream::Gate::new();
    let upstream = Upstream::always(opening().after(&gate).then_hang()).await;
    let gateway = Gateway::with(&upstream, &format!("max: {{ tunnels: 1 }}\n{PUBLIC}")).await;
    let mut raw = gateway.raw().await;
    raw.send(handshake("/")).await;
    upstream.until_requests(1).await;
    raw.reset();
    upstream.until_all_closed().await;
    gate.open();
    // The one place is free again.
    drop(open(Raw::connect(gateway.public()).await, &handshake("/")).await);
}
