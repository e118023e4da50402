//! Behind a load balancer that says who its client is: of whom it is taken, of whom not, and where the client then counts.

use std::time::Duration;

use keyward::auth::random::System;
use keyward::auth::refusal::Code;
use keyward::auth::token::{Kind, PlainToken, Prefix};
use keyward::clock::{Clock, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::PUBLIC;
use crate::support::gateway::{Builder, Gateway};
use crate::support::raw::{Ending, Raw};
use crate::support::tls::Authority;
use crate::support::upstream::Upstream;

const LOOPBACK: &str = "[127.0.0.0/8]";
const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4660 443\r\n";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";

fn builder(upstream: &Upstream) -> Builder {
    Gateway::builder().upstream("api", &upstream.url()).behind(LOOPBACK)
}

/// Version 2, of 192.0.2.7, with something added.
fn binary() -> Vec<u8> {
    let rest = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x34, 1, 187, 1, 0, 2, b'h', b'2'];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"[..], &[17], &rest].concat()
}

/// Version 2 of the balancer's own.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

async fn behind(gateway: &Gateway) -> Raw {
    Raw::connect(gateway.behind()).await
}

/// For whom the upstream took the last request.
fn forwarded_for(upstream: &Upstream) -> String {
    upstream.requests().pop().unwrap().header("x-forwarded-for").unwrap().to_owned()
}

#[tokio::test]
async fn the_client_is_whom_the_balancer_names() {
    let upstream = Upstream::echo().await;
    let gateway = builder(&upstream).yaml(PUBLIC).start().await;
    let line6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n";
    let mapped = b"PROXY TCP6 ::ffff:192.0.2.8 ::1 1 2\r\n";
    for (announced, client) in [
        (LINE, "192.0.2.7"),
        (&binary()[..], "192.0.2.7"),
        (line6, "2001:db8::7"),
        (mapped, "192.0.2.8"),
        (LOCAL, "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    ] {
        let mut raw = behind(&gateway).await;
        // What follows may come with it.
        assert_eq!(raw.ask([announced, GET].concat()).await.status, 200);
        assert_eq!(forwarded_for(&upstream), client);
        assert_eq!(raw.ask(GET).await.status, 200);
        assert_eq!(forwarded_for(&upstream), client, "of every request on the connection");
        let mut raw = behind(&gateway).await;
        raw.send_slowly(announced).await;
        assert_eq!(raw.ask(GET).await.status, 200);
        assert_eq!(forwarded_for(&upstream), client);
    }
}

#[tokio::test]
async fn the_rules_of_a_key_and_the_trust_in_proxies_hold_for_the_client() {
    let upstream = Upstream::echo().await;
    let gateway = builder(&upstream).yaml("trusted_proxies: [192.0.2.8]").start().await;
    let allowed =
        crate::support::keys::key_from(&gateway.issuer(), gateway.account().await, "192.0.2.0/24").await;
    let get = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n", allowed.secret);
    let ask = async |announced: &[u8], more: &str| {
        let mut raw = behind(&gateway).await;
        raw.ask([announced, get.as_bytes(), more.as_bytes(), b"\r\n"].concat()).await
    };
    let spoofed = "X-Forwarded-For: 192.0.2.9\r\n";
    assert_eq!(ask(LINE, "").await.status, 200);
    ask(LOCAL, spoofed).await.refused(Code::AddressNotAllowed);
    ask(b"PROXY TCP4 198.51.100.9 198.51.100.1 1 2\r\n", spoofed).await.refused(Code::AddressNotAllowed);
    let trusted = b"PROXY TCP4 192.0.2.8 198.51.100.1 1 2\r\n";
    assert_eq!(ask(trusted, spoofed).await.status, 200);
    assert_eq!(forwarded_for(&upstream), "192.0.2.9, 192.0.2.8");
    ask(trusted, "X-Forwarded-For: 192.0.2.9, 203.0.113.1\r\n").await.refused(Code::AddressNotAllowed);
}

/// A key that nobody made; only a look-up can tell.
fn unknown() -> String {
    let key = PlainToken::generate(&Prefix::default(), Kind::ApiKey, &System::default()).unwrap();
    key.expose().to_owned()
}

#[tokio::test]
async fn what_fails_counts_for_the_client_and_for_no_other_of_its_balancer() {
    let upstream = Upstream::echo().await;
    let gateway = builder(&upstream).yaml("limits: { failures: { per_minute: 2 } }").start().await;
    let mapped = b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n";
    let other = b"PROXY TCP4 192.0.2.8 198.51.100.1 1 2\r\n";
    for (announced, code) in [
        (LINE, Code::InvalidCredentials),
        (&binary()[..], Code::InvalidCredentials),
        (LINE, Code::TooManyFailures),
        (mapped, Code::TooManyFailures),
        (other, Code::InvalidCredentials),
        (LOCAL, Code::InvalidCredentials),
    ] {
        let get = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", unknown());
        behind(&gateway).await.ask([announced, get.as_bytes()].concat()).await.refused(code);
    }
}

#[tokio::test]
async fn the_log_names_the_client_also_of_what_is_no_request() {
    let upstream = Upstream::echo().await;
    let folder = tempfile::TempDir::new().unwrap();
    let log = folder.path().join("access.log");
    let yaml = format!("log: {{ access: {}, format: json }}\n{PUBLIC}", log.display());
    let gateway = builder(&upstream).yaml(&yaml).start().await;
    for (announced, status) in [(LINE, 200), (LOCAL, 200), (b"PROXY TCP6 ::ffff:192.0.2.8 ::1 1 2\r\n", 200)]
    {
        assert_eq!(behind(&gateway).await.ask([announced, GET].concat()).await.status, status);
    }
    assert_eq!(behind(&gateway).await.ask([LINE, b"no request\r\n\r\n"].concat()).await.status, 400);
    assert_eq!(behind(&gateway).await.ask(GET).await.status, 400);
    let _ = gateway.stop().await;
    let lines = std::fs::read_to_string(&log).unwrap();
    let clients: Vec<String> = lines
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            format!("{} {}", line["client"].as_str().unwrap(), line["status"])
        })
        .collect();
    let want = ["192.0.2.7 200", "127.0.0.1 200", "192.0.2.8 200", "192.0.2.7 400", "127.0.0.1 400"];
    assert_eq!(clients, want);
}

#[tokio::test]
async fn a_balancer_that_does_not_say_it_gets_nowhere() {
    let upstream = Upstream::echo().await;
    let gateway = builder(&upstream).yaml(PUBLIC).start().await;
    let wrong = b"PROXY TCP4 192.0.2.7 198.51.100.1 4660\r\n";
    for announced in [GET, &[wrong, GET].concat(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut raw = behind(&gateway).await;
        let response = raw.ask(announced).await;
        assert_eq!((response.status, response.text().contains("PROXY protocol")), (400, true));
        raw.until_end().await;
    }
    // One that was read is the only one.
    let mut raw = behind(&gateway).await;
    assert_eq!(raw.ask([LINE, LINE, GET].concat()).await.status, 400);
    let mut cut = behind(&gateway).await;
    cut.send(&LINE[..20]).await;
    cut.half_close();
    assert_eq!(cut.rest().await, (Vec::new(), Ending::Closed));
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn of_anybody_else_it_is_not_taken() {
    for named in [true, false] {
        let upstream = Upstream::echo().await;
        let gateway =
            Gateway::builder().upstream("api", &upstream.url()).behind("[192.0.2.0/24]").yaml(PUBLIC);
        let gateway = gateway.start().await;
        let to = if named { gateway.behind() } else { gateway.public() };
        for announced in [LINE, &binary()] {
            let mut raw = Raw::connect(to).await;
            raw.send([announced, GET].concat()).await;
            let (answer, _) = raw.rest().await;
            assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", answer.escape_ascii());
        }
        assert_eq!(upstream.requests().len(), 0);
        assert_eq!(Raw::connect(to).await.ask(GET).await.status, 200);
        assert_eq!(forwarded_for(&upstream), "127.0.0.1");
    }
}

#[tokio::test]
async fn it_has_the_time_of_the_first_byte() {
    let upstream = Upstream::echo().await;
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let yaml = format!("timeouts: {{ first_byte: 5s }}\n{PUBLIC}");
    let gateway = builder(&upstream).clock(&clock).yaml(&yaml).start().await;
    let (mut silent, mut slow, mut good) =
        (behind(&gateway).await, behind(&gateway).await, behind(&gateway).await);
    slow.send(&LINE[..30]).await;
    assert_eq!(good.ask([LINE, GET].concat()).await.status, 200);
    gateway.pass(Duration::from_secs(4)).await;
    slow.send(&LINE[30..31]).await;
    gateway.pass(Duration::from_secs(2)).await;
    assert_eq!((silent.ends().await, slow.ends().await), (Ending::Closed, Ending::Closed));
    assert_eq!(good.ask(GET).await.status, 200);
}

#[tokio::test]
async fn tls_begins_behind_it() {
    let upstream = Upstream::echo().await;
    let (authority, folder) = (Authority::new(), tempfile::TempDir::new().unwrap());
    let certificate = authority.issue(&["a.test"]).write(folder.path(), "a");
    let builder = builder(&upstream).yaml(PUBLIC).tls(&format!("{{ certificates: [{certificate}] }}"));
    let gateway = builder.start().await;
    for announced in [LINE, &binary()] {
        let mut stream = TcpStream::connect(gateway.behind()).await.unwrap();
        stream.write_all(announced).await.unwrap();
        let mut stream = authority.client().secure(stream, "a.test").await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
        assert_eq!(forwarded_for(&upstream), "192.0.2.7");
    }
}
