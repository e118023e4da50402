//! Requests over TLS are requests like others; the connection's limits of time and its end hold below and above TLS.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};
use rustls::ProtocolVersion;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Bed;
use crate::support::h2::H2;
use crate::support::http::Client;
use crate::support::raw::{Ending, Raw};
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::websocket::{asking, masked, opening};
use crate::support::within;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const MEBI: usize = 1 << 20;

#[tokio::test]
async fn a_request_is_judged_and_forwarded_as_one_that_came_by_https() {
    let upstream = Upstream::echo().await;
    let bed = Bed::before(&upstream).await;
    let address = bed.client.bridge(bed.gateway.secure(), "a.test").await;
    let mut client = Client::new(address).with_host("a.test");
    assert_eq!(client.get("/a").await.status, 200);
    assert_eq!(client.post("/b", "body").await.status, 200);
    assert_eq!(client.connections, 1);
    let request = &upstream.requests()[0];
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
    assert_eq!(request.header("x-forwarded-port"), Some(&*bed.gateway.secure().port().to_string()));
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn the_protocol_is_the_one_that_was_agreed_upon() {
    let upstream = Upstream::echo().await;
    let bed = Bed::before(&upstream).await;
    let to = bed.gateway.secure();
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let stream = bed.client.clone().offering(offered).connect(to, "a.test").await;
        let told = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        assert_eq!(told.as_deref(), agreed, "{offered:?}");
        if agreed == Some("h2") {
            let mut h2 = H2::over(stream, to, &h2::client::Builder::new()).await;
            assert_eq!(h2.get("/").await.status, 200);
        } else {
            let mut stream = stream;
            stream.write_all(GET).await.unwrap();
            let mut start = [0; 12];
            within("an answer", stream.read_exact(&mut start)).await.unwrap();
            assert_eq!(&start, b"HTTP/1.1 200");
        }
    }
    let protocols: Vec<_> =
        upstream.requests().iter().map(|one| one.header("x-forwarded-proto") == Some("https")).collect();
    assert_eq!(protocols, [true; 4]);
    let other = bed.client.clone().offering(&["spdy/3"]).try_connect(to, "a.test").await;
    assert!(other.unwrap_err().to_string().contains("NoApplicationProtocol"));
}

/// Without ALPN it was not agreed upon, whatever the first bytes look like (RFC 9113 §3.2).
#[tokio::test]
async fn the_preface_of_http2_is_no_agreement() {
    let upstream = Upstream::echo().await;
    let bed = Bed::before(&upstream).await;
    let mut stream = bed.connect().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut answer = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut answer)).await;
    assert!(answer.starts_with(b"HTTP/1.1 4") || answer.is_empty(), "{answer:?}");
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn versions_are_1_2_and_1_3_or_1_3_alone() {
    let upstream = Upstream::echo().await;
    let both = Bed::before(&upstream).await;
    let new = Bed::with(&upstream, "min_version: TLSv1.3", |builder| builder).await;
    for (bed, version, expected) in [
        (&both, &rustls::version::TLS12, Some(ProtocolVersion::TLSv1_2)),
        (&both, &rustls::version::TLS13, Some(ProtocolVersion::TLSv1_3)),
        (&new, &rustls::version::TLS12, None),
        (&new, &rustls::version::TLS13, Some(ProtocolVersion::TLSv1_3)),
    ] {
        let client = bed.authority.client_of(&[version]);
        let stream = client.try_connect(bed.gateway.secure(), "a.test").await;
        let spoken = stream.ok().and_then(|stream| stream.get_ref().1.protocol_version());
        assert_eq!(spoken, expected, "{version:?}");
    }
}

#[tokio::test]
async fn who_speaks_http_in_clear_is_told_to_speak_https() {
    let upstream = Upstream::echo().await;
    let bed = Bed::before(&upstream).await;
    let mut raw = Raw::connect(bed.gateway.secure()).await;
    let answer = raw.ask("GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer secret\r\n\r\n").await;
    assert_eq!((answer.status, answer.header("connection")), (400, Some("close")));
    assert!(answer.text().contains("https://"), "{}", answer.text());
    assert_eq!(raw.ends().await, Ending::Closed);
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn what_is_neither_is_sent_away() {
    let upstream = Upstream::echo().await;
    let bed = Bed::before(&upstream).await;
    for bytes in [
        &b"\x16\x03\x01\xff\xff"[..],
        b"\x80\x2e\x01\x00\x02",
        b"\0\0\0\0\0\0\0\0",
        b"\x15\x03\x03\0\x02\x02\x28",
    ] {
        let mut raw = Raw::connect(bed.gateway.secure()).await;
        raw.send([bytes, &[0; 64]].concat()).await;
        raw.half_close();
        raw.until_end().await;
    }
    assert!(!bed.connect().await.get_ref().1.is_handshaking());
}

/// At the first byte, within the handshake, and between it and the first request.
#[tokio::test]
async fn whoever_is_too_slow_to_begin_is_let_go() {
    let upstream = Upstream::echo().await;
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let slow = "timeouts: { first_byte: 10s, idle: 1h }\n";
    let bed = Bed::with(&upstream, "", |builder| builder.clock(&clock).yaml(slow)).await;
    let to = bed.gateway.secure();
    let mut silent = Raw::connect(to).await;
    let mut begun = Raw::connect(to).await;
    begun.send(b"\x16\x03\x01\x02\x00\x01").await;
    let mut one = bed.connect().await;
    let mut two = bed.client.clone().offering(&["h2"]).connect(to, "a.test").await;
    bed.gateway.pass(Duration::from_secs(9)).await;
    let mut served = bed.connect().await;
    served.write_all(GET).await.unwrap();
    within("an answer", served.read_exact(&mut [0; 12])).await.unwrap();
    bed.gateway.pass(Duration::from_secs(2)).await;
    silent.ends().await;
    begun.ends().await;
    for stream in [&mut one, &mut two] {
        let _ = within("the end", stream.read_to_end(&mut Vec::new())).await;
    }
    served.write_all(GET).await.unwrap();
    within("another answer", served.read_exact(&mut [0; 12])).await.unwrap();
}

/// The handshake has that time, and what comes behind it has it again.
#[tokio::test]
async fn a_handshake_takes_no_time_from_the_first_request() {
    let upstream = Upstream::echo().await;
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let slow = "timeouts: { first_byte: 10s, idle: 1h }\n";
    let bed = Bed::with(&upstream, "", |builder| builder.clock(&clock).yaml(slow)).await;
    let stream = TcpStream::connect(bed.gateway.secure()).await.unwrap();
    // It is accepted before time passes.
    bed.gateway.pass(Duration::ZERO).await;
    bed.gateway.pass(Duration::from_secs(9)).await;
    let mut stream = bed.client.secure(stream, "a.test").await.unwrap();
    bed.gateway.pass(Duration::from_secs(9)).await;
    stream.write_all(GET).await.unwrap();
    within("an answer", stream.read_exact(&mut [0; 12])).await.unwrap();
}

/// Its settings are there, so it has the time between requests.
#[tokio::test]
async fn a_connection_of_http2_that_has_begun_may_be_idle() {
    const ACKNOWLEDGED: &[u8] = &[0, 0, 0, 4, 1, 0, 0, 0, 0];
    let upstream = Upstream::echo().await;
    let clock = Clock::manual(Timestamp(1_800_000_000_000));
    let slow = "timeouts: { first_byte: 10s, idle: 1h }\n";
    let bed = Bed::with(&upstream, "", |builder| builder.clock(&clock).yaml(slow)).await;
    let mut stream = bed.client.clone().offering(&["h2"]).connect(bed.gateway.secure(), "a.test").await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut came = Vec::new();
    while !came.ends_with(ACKNOWLEDGED) {
        came.push(within("the acknowledgement", stream.read_u8()).await.unwrap());
    }
    bed.gateway.pass(Duration::from_mins(5)).await;
    stream.write_all(b"\0\0\x08\x06\0\0\0\0\0 a ping ").await.unwrap();
    while !came.ends_with(b" a ping ") {
        came.push(within("the pong", stream.read_u8()).await.unwrap());
    }
}

#[tokio::test]
async fn much_goes_both_ways() {
    let upstream = Upstream::always(Answer::new(200).filled(8 * MEBI as u64)).await;
    let bed = Bed::before(&upstream).await;
    let address = bed.client.bridge(bed.gateway.secure(), "a.test").await;
    let answer = Client::new(address).post("/", vec![b'x'; 8 * MEBI]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 8 * MEBI));
    assert_eq!(upstream.only_request().body_len, 8 * MEBI as u64);
    let to = bed.gateway.secure();
    let stream = bed.client.clone().offering(&["h2"]).connect(to, "a.test").await;
    let mut client = H2::over(stream, to, &h2::client::Builder::new()).await;
    assert_eq!(client.get("/").await.body.len(), 8 * MEBI);
}

#[tokio::test]
async fn a_websocket_is_opened_and_carries_bytes_both_ways() {
    let upstream = Upstream::answering(|_| opening().then_mirror().then_close()).await;
    let bed = Bed::before(&upstream).await;
    let mut stream = bed.connect().await;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", asking()).as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("the head", stream.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    for length in [5, 100_000] {
        let message = masked(2, &vec![b'm'; length]);
        stream.write_all(&message).await.unwrap();
        let mut back = vec![0; message.len()];
        within("the mirror", stream.read_exact(&mut back)).await.unwrap();
        assert_eq!(back, message);
    }
    stream.shutdown().await.unwrap();
    within("the end", stream.read_to_end(&mut Vec::new())).await.unwrap();
}

/// What TLS has taken may wait below it: its end has to come all the same, without anything more to push it.
#[tokio::test]
async fn the_last_of_what_a_tunnel_carries_comes_to_a_client_that_was_slow() {
    let upstream = Upstream::always(opening().then_send(vec![b'x'; 8 * MEBI]).then_hang()).await;
    let bed = Bed::before(&upstream).await;
    let mut stream = bed.client.connect_narrow(bed.gateway.secure(), "a.test").await;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", asking()).as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("the head", stream.read_u8()).await.unwrap());
    }
    within("all of it", stream.read_exact(&mut vec![0; 8 * MEBI])).await.unwrap();
}

/// It ends orderly, by a message of TLS: to look for an end of the socket alone would not see it.
#[tokio::test]
async fn a_client_that_goes_while_it_waits_takes_its_request_with_it() {
    let upstream = Upstream::always(Answer::hang()).await;
    let bed = Bed::before(&upstream).await;
    let mut stream = bed.connect().await;
    stream.write_all(GET).await.unwrap();
    upstream.until_requests(1).await;
    stream.get_mut().1.send_close_notify();
    stream.flush().await.unwrap();
    upstream.until_all_closed().await;
}

#[tokio::test]
async fn what_is_in_flight_when_the_server_ends_is_finished() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let bed = Bed::before(&upstream).await;
    let mut stream = bed.connect().await;
    stream.write_all(GET).await.unwrap();
    upstream.until_requests(1).await;
    let mut idle = bed.connect().await;
    let (gateway, ended) = (bed.gateway, gate.clone());
    let stopping = tokio::spawn(gateway.stop());
    // Whoever has no request is let go, by an orderly end.
    within("the end", idle.read_to_end(&mut Vec::new())).await.unwrap();
    ended.open();
    let mut answer = Vec::new();
    within("the answer", stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200")
            && answer.contains("connection: close")
            && answer.ends_with("late")
    );
    assert_eq!(stopping.await.unwrap(), keyward::app::Cut(0));
}

#[tokio::test]
async fn who_is_one_too_many_is_turned_away_without_a_handshake() {
    let upstream = Upstream::echo().await;
    let bed = Bed::with(&upstream, "", |builder| builder.yaml("max: { connections: 1 }\n")).await;
    let mut kept = bed.connect().await;
    let error = bed.client.try_connect(bed.gateway.secure(), "a.test").await.unwrap_err();
    assert!(error.to_string().contains("InternalError"), "{error}");
    kept.write_all(GET).await.unwrap();
    within("an answer", kept.read_exact(&mut [0; 12])).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_whole() {
    let upstream = Upstream::echo().await;
    let bed = Bed::before(&upstream).await;
    let address = bed.client.bridge(bed.gateway.secure(), "a.test").await;
    Client::new(address).get("/%2e%2e").await.refused(Code::AmbiguousPath);
}
