//! WebSockets over HTTP/2 (RFC 8441): a stream is a tunnel, beside others that are requests.

use std::time::Duration;

use bytes::Bytes;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};

use super::PUBLIC;
use crate::support::frames::{Frames, INITIAL_WINDOW, RST_STREAM, fields, open as begin};
use crate::support::gateway::Gateway;
use crate::support::h2::{Exchange, H2, read};
use crate::support::keys::origin;
use crate::support::upstream::{Answer, Gate, Received, Upstream};
use crate::support::websocket::{GOING_AWAY, KEY, accept, close, frame, masked, naming};
use crate::support::{find, noise, within};

const ROUTES: &str = "routes:
  - { name: all, match: { path_prefix: / }, auth: public, upstream: api, upgrades: [websocket, tcp-ish/1] }
  - { name: none, match: { path_prefix: /none }, auth: public, upstream: api, upgrades: [] }
  - { name: key, match: { path_prefix: /key, methods: [GET] }, upstream: api }
  - { name: page, match: { path_prefix: /page }, upstream: api, websocket_credential: subprotocol }
";

/// The 101 that answers this handshake.
fn opening(request: &Received) -> Answer {
    match request.header("upgrade") {
        Some("websocket") => {
            let key = request.header("sec-websocket-key").unwrap();
            naming("websocket").header("Sec-WebSocket-Accept", &accept(key)).only_head()
        }
        Some(protocol) => naming(protocol).only_head(),
        None => Answer::echo(),
    }
}

async fn mirror() -> Upstream {
    Upstream::answering(|request| match request.header("upgrade") {
        Some(_) => opening(request).then_mirror().then_close(),
        None => Answer::echo(),
    })
    .await
}

/// An open tunnel.
struct Tunnel {
    out: SendStream<Bytes>,
    from: RecvStream,
    came: Vec<u8>,
}

impl Tunnel {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.out.send_data(Bytes::copy_from_slice(bytes.as_ref()), false).expect("the stream is open");
    }

    fn end(&mut self) {
        self.out.send_data(Bytes::new(), true).expect("the stream is open");
    }

    async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.came.len() < count {
            let piece = within("a piece", self.from.data()).await.expect("more").expect("no reset");
            self.from.flow_control().release_capacity(piece.len()).unwrap();
            self.came.extend(piece);
        }
        self.came.drain(..count).collect()
    }

    /// Fails unless it ends in good order, with nothing more to read.
    async fn ends(mut self) {
        assert!(self.came.is_empty());
        while let Some(piece) = within("the end", self.from.data()).await {
            assert_eq!(piece.expect("no reset"), Bytes::new());
        }
    }

    /// Fails unless it is broken off; tells how.
    async fn breaks(mut self) -> Option<Reason> {
        loop {
            match within("the reset", self.from.data()).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error.reason(),
                None => panic!("an end in good order"),
            }
        }
    }
}

fn connect(client: &H2, target: &str, protocol: &'static str) -> http::request::Builder {
    let request = client.request("CONNECT", target).extension(Protocol::from_static(protocol));
    if protocol == "websocket" { request.header("sec-websocket-version", "13") } else { request }
}

/// A client that leaves the connection room for other streams while one waits to be read.
async fn roomy(gateway: &Gateway) -> H2 {
    let mut settings = h2::client::Builder::new();
    settings.initial_window_size(64 << 10).initial_connection_window_size(1 << 20);
    H2::with(gateway.public(), &settings).await
}

async fn open(client: &mut H2, request: http::request::Builder) -> Tunnel {
    let Exchange { response, body } = client.begin(request).await;
    let response = within("the answer", response).await.expect("an answer");
    assert_eq!(response.status(), 200, "{response:?}");
    Tunnel { out: body, from: response.into_body(), came: Vec::new() }
}

async fn echoes(tunnel: &mut Tunnel) {
    let message = masked(1, b"still there?");
    tunnel.send(&message).await;
    assert_eq!(tunnel.exactly(message.len()).await, message);
}

#[tokio::test]
async fn a_stream_is_a_websocket_and_others_are_requests() {
    let upstream = mirror().await;
    let gateway = Gateway::before(&upstream).await;
    let mut client = H2::connect(gateway.public()).await.with_key(&gateway.key().await.secret);
    let request = connect(&client, "/chat?room=1", "websocket");
    let request = request.header("x-mine", "1").header("sec-websocket-key", KEY);
    let Exchange { response, body } = client.begin(request).await;
    let response = within("the answer", response).await.unwrap();
    assert_eq!(response.status(), 200);
    for absent in ["sec-websocket-accept", "upgrade", "connection", "content-length"] {
        assert!(!response.headers().contains_key(absent), "{absent}");
    }
    let mut tunnel = Tunnel { out: body, from: response.into_body(), came: Vec::new() };
    for _ in 0..3 {
        echoes(&mut tunnel).await;
        assert_eq!(client.get("/beside").await.json()["target"], "/beside");
    }
    tunnel.end();
    tunnel.ends().await;

    let asked = &upstream.requests()[0];
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/chat?room=1"));
    assert_eq!((asked.header("connection"), asked.header("upgrade")), (Some("Upgrade"), Some("websocket")));
    assert_ne!(asked.header("sec-websocket-key"), Some(KEY), "the key is ours to make");
    assert_eq!((asked.header("sec-websocket-version"), asked.header("x-mine")), (Some("13"), Some("1")));
    assert_eq!(asked.header("x-auth-subject"), Some(gateway.account().await));
    assert_eq!((asked.header("content-length"), asked.header("transfer-encoding")), (None, None));
    assert!(asked.header("host").is_some());

    // What comes behind it is no body of no bytes either.
    let request = connect(&client, "/", "websocket").header("content-length", "0");
    let Exchange { response, body: _body } = client.begin(request).await;
    assert_eq!(within("the answer", response).await.unwrap().status(), 200);
    let asked = upstream.requests().pop().unwrap();
    assert_eq!((asked.header("upgrade"), asked.header("content-length")), (Some("websocket"), None));
}

#[tokio::test]
async fn every_tunnel_asks_with_a_key_of_its_own() {
    let upstream = mirror().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = H2::connect(gateway.public()).await;
    let mut tunnels = Vec::new();
    for _ in 0..20 {
        let request = connect(&client, "/", "websocket");
        tunnels.push(open(&mut client, request).await);
    }
    for tunnel in &mut tunnels {
        echoes(tunnel).await;
    }
    let mut keys: Vec<String> =
        upstream.requests().iter().map(|it| it.header("sec-websocket-key").unwrap().to_owned()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 20);
}

#[tokio::test]
async fn a_connect_that_is_not_granted_is_refused_and_never_taken_for_a_tunnel() {
    let upstream = mirror().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = H2::connect(gateway.public()).await;
    for (request, code) in [
        (connect(&client, "/none", "websocket"), Code::BadRequest),
        (connect(&client, "/", "foo"), Code::BadRequest),
        (connect(&client, "/", "h2c"), Code::BadRequest),
        (connect(&client, "/key", "websocket"), Code::MissingCredentials),
        (
            connect(&client, "/key", "websocket").header("authorization", "Bearer junk"),
            Code::InvalidCredentials,
        ),
        (client.request("CONNECT", "/").extension(Protocol::from_static("websocket")), Code::BadRequest),
        (connect(&client, "/a/../b", "websocket"), Code::AmbiguousPath),
    ] {
        client.begin(request).await.whole().await.refused(code);
    }
    assert_eq!(upstream.connections().len(), 0);
    let request = connect(&client, "/", "tcp-ish/1");
    echoes(&mut open(&mut client, request).await).await;
}

/// A success would open it (RFC 9110 §9.3.6); anything else is told as it is.
#[tokio::test]
async fn an_upstream_that_does_not_switch_opens_nothing() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/200" => Answer::ok("welcome"),
        "/204" => Answer::new(204).only_head(),
        "/426" => Answer::new(426).header("upgrade", "websocket").body("no"),
        "/302" => Answer::new(302).header("location", "/elsewhere").body(""),
        "/wrong" => {
            naming("websocket").header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").only_head()
        }
        "/unnamed" => Answer::new(101).only_head(),
        _ => Answer::echo(),
    })
    .await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = H2::connect(gateway.public()).await;
    for target in ["/200", "/204", "/wrong", "/unnamed"] {
        let request = connect(&client, target, "websocket");
        client.begin(request).await.whole().await.refused(Code::UpstreamProtocolError);
    }
    let request = connect(&client, "/426", "websocket");
    let answer = client.begin(request).await.whole().await;
    assert_eq!((answer.status, answer.text(), answer.header("upgrade")), (426, "no", None));
    let request = connect(&client, "/302", "websocket");
    assert_eq!(client.begin(request).await.whole().await.header("location"), Some("/elsewhere"));
    assert_eq!(client.get("/beside").await.json()["target"], "/beside");
}

#[tokio::test]
async fn not_one_byte_goes_up_before_the_101() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| match request.header("upgrade") {
        Some(_) => opening(request).after(&held).then_mirror().then_close(),
        None => Answer::echo(),
    })
    .await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = H2::connect(gateway.public()).await;
    let request = connect(&client, "/", "websocket");
    let Exchange { response, mut body } = client.begin(request).await;
    let hidden = b"GET /admin/hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    body.send_data(Bytes::from_static(hidden), false).unwrap();
    upstream.until_requests(1).await;
    assert_eq!(client.get("/beside").await.status, 200);
    let seen = &upstream.connections()[0].raw;
    assert!(seen.ends_with(b"\r\n\r\n") && find(seen, b"hidden").is_none());
    gate.open();
    let response = within("the answer", response).await.unwrap();
    let mut tunnel = Tunnel { out: body, from: response.into_body(), came: Vec::new() };
    assert_eq!(tunnel.exactly(hidden.len()).await, hidden);
}

#[tokio::test]
async fn each_side_may_end_or_break_off_before_the_other() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| match request.target.as_str() {
        "/ends" => opening(request).then_send("bye").then_linger(),
        "/breaks" => opening(request).then_wait(&held).then_reset(),
        _ => opening(request).then_hang(),
    })
    .await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = H2::connect(gateway.public()).await;
    // The upstream ends first.
    let request = connect(&client, "/ends", "tcp-ish/1");
    let mut tunnel = open(&mut client, request).await;
    assert_eq!(tunnel.exactly(3).await, b"bye");
    tunnel.send("still here").await;
    upstream.until("the rest", |seen| seen.connections[0].raw.ends_with(b"still here").then_some(())).await;
    tunnel.end();
    tunnel.ends().await;
    // The upstream breaks off.
    let request = connect(&client, "/breaks", "tcp-ish/1");
    let tunnel = open(&mut client, request).await;
    gate.open();
    assert_eq!(tunnel.breaks().await, Some(Reason::CANCEL));
    // The client breaks off.
    let request = connect(&client, "/stays", "websocket");
    let mut tunnel = open(&mut client, request).await;
    tunnel.out.send_reset(Reason::CANCEL);
    upstream.until_all_closed().await;
    assert_eq!(client.get("/none").await.status, 200, "the connection is of no more use");
}

#[tokio::test]
async fn windows_hold_back_whoever_is_fast_and_nobody_else() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/sends" => opening(request).then_send(noise(8 << 20)).then_hang(),
        "/takes-nothing" => opening(request).never_reading().then_hang(),
        _ => opening(request).then_mirror().then_close(),
    })
    .await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = roomy(&gateway).await;
    // Nothing of it is read until the others are done.
    let request = connect(&client, "/sends", "websocket");
    let mut sends = open(&mut client, request).await;
    // More than every window and buffer on the way has room for.
    let request = connect(&client, "/takes-nothing", "websocket");
    let mut fills = open(&mut client, request).await;
    fills.send(vec![0; 32 << 20]).await;
    let request = connect(&client, "/mirror", "websocket");
    let mut mirror = open(&mut client, request).await;
    for _ in 0..10 {
        echoes(&mut mirror).await;
    }
    assert_eq!(sends.exactly(8 << 20).await, noise(8 << 20));
    let large = masked(2, &noise(2_000_000));
    for piece in large.chunks(50_000) {
        mirror.send(piece).await;
        assert_eq!(mirror.exactly(piece.len()).await, piece);
    }
}

#[tokio::test]
async fn it_is_told_and_closed_when_its_credential_ends() {
    let upstream = mirror().await;
    let gateway = Gateway::with(&upstream, &ROUTES.replace("auth: public", "auth: required")).await;
    let key = gateway.key().await;
    let mut client = H2::connect(gateway.public()).await.with_key(&key.secret);
    let request = connect(&client, "/", "websocket");
    let mut websocket = open(&mut client, request).await;
    let request = connect(&client, "/", "tcp-ish/1");
    let mut opaque = open(&mut client, request).await;
    echoes(&mut websocket).await;
    echoes(&mut opaque).await;
    gateway.issuer().revoke_key(&key.id, &origin()).await.unwrap();
    let farewell = close(1008, "revoked_credentials");
    assert_eq!(websocket.exactly(farewell.len()).await, farewell);
    websocket.end();
    websocket.ends().await;
    upstream.until("a farewell", |seen| seen.connections[0].raw.ends_with(GOING_AWAY).then_some(())).await;
    assert_eq!(opaque.breaks().await, Some(Reason::CANCEL));
    client.get("/").await.refused(Code::RevokedCredentials);
}

/// An answer over HTTP/2 whose credential ends takes its stream with it, not the connection.
#[tokio::test]
async fn a_long_answer_is_reset_when_its_credential_ends() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/events" => {
            Answer::new(200).header("content-length", "100").only_head().then_send("some").then_hang()
        }
        "/large" => Answer::new(200).filled(1 << 30),
        _ => Answer::echo(),
    })
    .await;
    let gateway = Gateway::with(&upstream, "").await;
    let (key, other) = (gateway.key().await, gateway.key().await);
    let mut client = roomy(&gateway).await.with_key(&key.secret);
    let events = client.request("GET", "/events");
    let events = within("events", client.ask(events).await.response).await.unwrap();
    // Of this nothing is read: its window is closed.
    let large = client.request("GET", "/large");
    let large = within("a large one", client.ask(large).await.response).await.unwrap();
    let upload = client.request("POST", "/upload");
    let mut upload = client.begin(upload).await;
    upload.body.send_data(Bytes::from_static(b"part"), false).unwrap();
    upstream.until_requests(3).await;
    gateway.issuer().revoke_key(&key.id, &origin()).await.unwrap();
    assert_eq!(read(events).await.unwrap_err().reason(), Some(Reason::CANCEL));
    upload.whole().await.refused(Code::RevokedCredentials);
    upstream.until_all_closed().await;
    assert_eq!(read(large).await.unwrap_err().reason(), Some(Reason::CANCEL));
    let mut client = client.with_key(&other.secret);
    assert_eq!(client.get("/beside").await.status, 200);
}

#[tokio::test]
async fn when_the_worker_ends_it_is_told() {
    let upstream = mirror().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = H2::connect(gateway.public()).await;
    let request = connect(&client, "/", "websocket");
    let mut tunnel = open(&mut client, request).await;
    echoes(&mut tunnel).await;
    // What its client says last comes together with the connection's end.
    let stopping = tokio::spawn(gateway.stop());
    let farewell = close(1001, "the server is ending");
    assert_eq!(tunnel.exactly(farewell.len()).await, farewell);
    let reply = masked(8, &1001_u16.to_be_bytes());
    tunnel.send(&reply).await;
    tunnel.end();
    upstream.until("the reply", |seen| seen.connections[0].raw.ends_with(&reply).then_some(())).await;
    tunnel.ends().await;
    assert_eq!(stopping.await.unwrap(), keyward::app::Cut(0));
}

#[tokio::test]
async fn it_lasts_as_long_as_a_tunnel_may() {
    let upstream = mirror().await;
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let builder = Gateway::builder().upstream("api", &upstream.url()).clock(&clock);
    let timeouts = "timeouts: { tunnel_idle: 10m, response_body_idle: 5s, idle: 5s, total: 20s }\n";
    let gateway = builder.yaml(&format!("{timeouts}{ROUTES}")).start().await;
    let mut client = H2::connect(gateway.public()).await;
    let request = connect(&client, "/", "websocket");
    let mut tunnel = open(&mut client, request).await;
    for _ in 0..3 {
        gateway.pass(Duration::from_mins(9)).await;
        echoes(&mut tunnel).await;
    }
    clock.advance(Duration::from_mins(11));
    let farewell = close(1001, "nothing was sent for too long");
    assert_eq!(tunnel.exactly(farewell.len()).await, farewell);
    tunnel.end();
    tunnel.ends().await;
}

#[tokio::test]
async fn a_key_among_the_subprotocols_opens_it_too() {
    let upstream = Upstream::answering(|request| {
        assert!(request.all("sec-websocket-protocol").iter().all(|offered| *offered == "chat"));
        let key = request.header("sec-websocket-key").unwrap();
        let opening = naming("websocket").header("Sec-WebSocket-Accept", &accept(key));
        opening.header("Sec-WebSocket-Protocol", "chat").only_head().then_send(frame(1, b"hello")).then_hang()
    })
    .await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let key = gateway.key().await.secret;
    let mut client = H2::connect(gateway.public()).await;
    let request = connect(&client, "/page", "websocket");
    let request = request.header("sec-websocket-protocol", format!("keyward.bearer.{key}, chat"));
    let response = within("the answer", client.begin(request).await.response).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["sec-websocket-protocol"]),
        (200, &"chat".parse().unwrap())
    );
}

#[tokio::test]
async fn a_connect_without_a_protocol_is_refused() {
    let upstream = mirror().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = H2::connect(gateway.public()).await;
    let request = http::Request::builder().method("CONNECT").uri("a.test:443");
    client.begin(request).await.whole().await.refused(Code::BadRequest);
    assert_eq!(upstream.connections().len(), 0);
}

/// Not a byte of what its upstream says ever has a place: nothing moves, and that is no idling.
#[tokio::test]
async fn a_tunnel_whose_client_has_no_room_from_the_start_is_cut_as_one_that_stands_still() {
    let upstream =
        Upstream::answering(|request| opening(request).then_send(noise(100_000)).then_hang()).await;
    let limits = "timeouts: { response_body_idle: 300ms, tunnel_idle: 1h }";
    let gateway = Gateway::with(&upstream, &format!("{limits}\n{ROUTES}")).await;
    let mut client = Frames::with(gateway.public(), &[(INITIAL_WINDOW, 0)]).await;
    let asks = fields(&[
        (":method", "CONNECT"),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", "/"),
        (":protocol", "websocket"),
        ("sec-websocket-version", "13"),
    ]);
    client.send(begin(1, asks)).await;
    assert!(client.until(|frame| frame.kind == RST_STREAM).await.is_ok());
}
