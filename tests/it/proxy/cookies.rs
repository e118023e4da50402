//! The cookies of Keyward's own console: no upstream sees one, and none sets one, whatever stands beside them.

use http::HeaderValue;

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::h2_upstream::{H2Upstream, Stream};
use crate::support::upstream::{Answer, Upstream};
use crate::support::websocket::{ACCEPT, asking, naming};

const OWN: [&str; 4] = ["__Host-keyward", "__Host-keyward-known", "keyward_dev", "keyward_dev_known"];

/// `Cookie` fields, and what of them goes up: as text whose characters are bytes.
const SENT: [(&str, &str); 6] = [
    ("a=b; OWN=x; c=d", "a=b; c=d"),
    ("OWN=x", ""),
    ("OWN = x;e=\u{e9}", "e=\u{e9}"),
    ("f;; g=h=i ; OWN=", "f;; g=h=i"),
    ("; OWN=1;; OWN=2", ""),
    ("XOWN=1; OWNX=2; owner=OWN=3", "XOWN=1; OWNX=2; owner=OWN=3"),
];

fn all_left() -> String {
    let left = SENT.iter().map(|(_, left)| *left).filter(|left| !left.is_empty());
    left.collect::<Vec<_>>().join("|")
}

/// What an upstream got, with whatever of our names was put in.
fn named(own: &str) -> impl Fn(&str) -> String {
    let own = own.to_owned();
    move |text| text.replace("OWN", &own)
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn request(own: &str, first: &str, more: &str) -> Vec<u8> {
    let fields: String = SENT.iter().map(|(sent, _)| format!("Cookie: {sent}\r\n")).collect();
    bytes(&named(own)(&format!("{first}\r\nHost: a\r\nX-Mine: OWN=1\r\n{fields}{more}\r\n")))
}

#[tokio::test]
async fn an_upstream_sees_all_cookies_but_ours() {
    let upstream = Upstream::echo().await;
    let both = "routes:
  - { name: open, match: { path_prefix: / }, auth: public, forward_credential: true, upstream: api }
  - { name: key, match: { path_prefix: /key }, upstream: api }
";
    let gateway = Gateway::with(&upstream, both).await;
    let key = format!("Authorization: Bearer {}\r\n", gateway.key().await.secret);
    for own in OWN {
        for target in ["/", "/key"] {
            let mut raw = gateway.raw().await;
            assert_eq!(raw.ask(request(own, &format!("GET {target} HTTP/1.1"), &key)).await.status, 200);
            let got = upstream.requests().pop().unwrap();
            assert_eq!(got.all("cookie").join("|"), named(own)(&all_left()));
            assert_eq!(got.header("x-mine"), Some(&*named(own)("OWN=1")), "it is no cookie");
        }
    }
}

#[tokio::test]
async fn nor_does_an_upstream_of_http2() {
    let upstream = H2Upstream::echo().await;
    let gateway = Gateway::builder().http2("api", &[&upstream.url()]).yaml(PUBLIC).start().await;
    for own in OWN {
        let mut raw = gateway.raw().await;
        assert_eq!(raw.ask(request(own, "GET / HTTP/1.1", "")).await.status, 200);
        let mut client = H2::connect(gateway.public()).await;
        let crumbs = SENT.iter().fold(client.request("GET", "/"), |request, (sent, _)| {
            request.header("cookie", HeaderValue::from_bytes(&bytes(&named(own)(sent))).unwrap())
        });
        assert_eq!(client.ask(crumbs).await.whole().await.status, 200);
        for got in upstream.requests().iter().rev().take(2) {
            let left = got.headers.get_all("cookie").iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
            assert_eq!(left.join(&b'|'), bytes(&named(own)(&all_left())));
        }
    }
}

#[tokio::test]
async fn crumbs_of_http2_are_joined_without_ours() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = H2::connect(gateway.public()).await;
    for (crumbs, left) in [
        (&["keyward_dev=x", "a=b", "keyward_dev_known=y", "c=d; __Host-keyward=z"][..], Some("a=b; c=d")),
        (&["keyward_dev=x", "__Host-keyward-known=y"], None),
        (&["a=b"], Some("a=b")),
    ] {
        let request =
            crumbs.iter().fold(client.request("GET", "/"), |request, crumb| request.header("cookie", *crumb));
        assert_eq!(client.ask(request).await.whole().await.status, 200);
        assert_eq!(upstream.requests().pop().unwrap().header("cookie"), left);
    }
}

/// What an upstream sets, of which the client is to see the first and the last.
const SET: [&str; 6] = [
    "a=b; Path=/; Comment=keyward_dev=x",
    "__Host-keyward=x; Path=/; Secure",
    "__Host-keyward-known=x",
    " keyward_dev = x; HttpOnly",
    "=keyward_dev_known=x",
    "keyward_device=x",
];

#[tokio::test]
async fn no_upstream_sets_one_of_ours() {
    let answer = SET.iter().fold(Answer::new(404), |answer, cookie| answer.header("SET-Cookie", cookie));
    let upstream = Upstream::always(answer.body("gone")).await;
    let of_http2 = H2Upstream::serving(async |mut stream: Stream| {
        stream.read().await;
        let set = SET.map(|cookie| ("set-cookie", cookie.trim()));
        drop(stream.head(404, &set, true));
    })
    .await;
    let gateways = [
        Gateway::with(&upstream, PUBLIC).await,
        Gateway::builder().http2("api", &[&of_http2.url()]).yaml(PUBLIC).start().await,
    ];
    for gateway in gateways {
        let response = gateway.anonymous().get("/").await;
        assert_eq!((response.status, response.all("set-cookie")), (404, vec![SET[0], SET[5]]));
        let mut client = H2::connect(gateway.public()).await;
        let response = client.get("/").await;
        let set: Vec<_> =
            response.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
        assert_eq!((response.status, set), (404, vec![SET[0], SET[5]]));
    }
}

#[tokio::test]
async fn the_same_holds_for_the_handshake_of_a_websocket() {
    let upstream = Upstream::answering(|_| {
        let opening = naming("websocket").header("Sec-WebSocket-Accept", ACCEPT);
        let set = opening.header("Set-Cookie", "keyward_dev=x").header("Set-Cookie", "a=b");
        set.only_head().then_close()
    })
    .await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut raw = gateway.raw().await;
    let cookies = "Cookie: keyward_dev=x; c=d\r\n";
    raw.send(format!("GET /chat HTTP/1.1\r\nHost: a\r\n{cookies}{}\r\n", asking())).await;
    let head = raw.head().await.unwrap();
    assert_eq!((head.status, head.all("set-cookie")), (101, vec!["a=b"]));
    assert_eq!(upstream.only_request().header("cookie"), Some("c=d"));
}
