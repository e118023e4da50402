//! What HTTP/2 forbids (RFC 9113 §8) and what HTTP/1.1 behind it could read differently: refused, and never forwarded.

use super::open;
use crate::proxy::PUBLIC;
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Outcome, PROTOCOL_ERROR, field, fields,
    frame, get, head, open as begin, whole,
};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Answer, Gate, Upstream};

/// What is expected of one request.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// An answer with this status, and this code in its body.
    Refused(u16, &'static str),
    /// The stream is reset.
    Reset,
    /// The connection ends.
    Goaway,
    /// It is forwarded.
    Forwarded,
}

/// Sends a request on a connection of its own; a second one on the same connection shows that only the stream was lost.
async fn check(gateway: &Gateway, upstream: &Upstream, name: &str, request: Vec<u8>, want: Want) {
    let before = upstream.requests().len();
    let mut client = Frames::connect(gateway.public()).await;
    let outcome = client.ask(1, request).await;
    let forwarded = upstream.requests().len() - before;
    match (want, &outcome) {
        (Want::Refused(status, code), Outcome::Answer(seen, body)) => {
            let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
            assert_eq!((*seen, body["code"].as_str()), (status, Some(code)), "{name}");
        }
        (Want::Reset, Outcome::Reset(PROTOCOL_ERROR))
        | (Want::Goaway, Outcome::Goaway(PROTOCOL_ERROR))
        | (Want::Forwarded, Outcome::Answer(200, _)) => {}
        _ => panic!("{name}: {outcome:?} instead of {want:?}"),
    }
    assert_eq!(forwarded, usize::from(matches!(want, Want::Forwarded)), "{name}");
    if !matches!(want, Want::Goaway) {
        assert_eq!(client.ask(3, get(3)).await.status(), 200, "{name}: the connection");
    }
}

const PSEUDO: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")];

fn without(name: &str, more: &[(&str, &str)]) -> Vec<(&'static str, &'static str)> {
    let mut list: Vec<_> = PSEUDO.into_iter().filter(|(other, _)| *other != name).collect();
    list.extend(more.iter().map(|(name, value)| (&*name.to_string().leak(), &*value.to_string().leak())));
    list
}

#[tokio::test]
async fn pseudo_fields_are_there_once_and_first() {
    use Want::{Forwarded, Goaway, Refused, Reset};
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for (name, list, want) in [
        ("all of them", without("", &[]), Forwarded),
        ("no method", without(":method", &[]), Reset),
        ("no scheme", without(":scheme", &[]), Reset),
        ("no path", without(":path", &[]), Reset),
        ("no path but a host", without(":path", &[("host", "a.test")]), Reset),
        (
            "no path, no authority, but a host",
            vec![PSEUDO[0], PSEUDO[1], ("host", "a.test")],
            Refused(400, "bad_request"),
        ),
        ("an empty path", without(":path", &[(":path", "")]), Reset),
        ("no authority", without(":authority", &[]), Refused(400, "invalid_host")),
        ("no authority but a host", without(":authority", &[("host", "a.test")]), Forwarded),
        ("an empty authority", without(":authority", &[(":authority", "")]), Reset),
        ("two methods", without("", &[(":method", "GET")]), Reset),
        ("two schemes", without("", &[(":scheme", "http")]), Reset),
        ("two authorities", without("", &[(":authority", "a.test")]), Reset),
        ("two paths", without("", &[(":path", "/admin")]), Reset),
        ("a status", without("", &[(":status", "200")]), Reset),
        ("an unknown one", without("", &[(":other", "x")]), Goaway),
        ("one without a name", without("", &[(":", "x")]), Goaway),
        ("a protocol", without("", &[(":protocol", "websocket")]), Reset),
        ("one after a field", without(":path", &[("x", "y"), (":path", "/")]), Reset),
        ("no fields at all", vec![], Reset),
        ("fields alone", vec![("host", "a.test")], Reset),
        ("another scheme", without(":scheme", &[(":scheme", "https")]), Forwarded),
        ("an odd scheme", without(":scheme", &[(":scheme", "ftp")]), Refused(400, "bad_request")),
        ("no scheme's", without(":scheme", &[(":scheme", "a b")]), Reset),
    ] {
        check(&gateway, &upstream, name, whole(1, fields(&list)), want).await;
    }
}

#[tokio::test]
async fn the_authority_and_the_host_are_one() {
    use Want::{Forwarded, Refused, Reset};
    let bad = Refused(400, "invalid_host");
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for (authority, hosts, want) in [
        ("a.test", &["a.test"][..], Forwarded),
        ("a.test", &["A.TEST:80"], Forwarded),
        ("a.test", &["b.test"], bad),
        ("a.test", &[""], bad),
        ("a.test", &["a.test", "a.test"], bad),
        ("a.test", &["a.test", "b.test"], bad),
        ("a.test", &["a.test, b.test"], bad),
        ("user@a.test", &[], bad),
        ("user:pass@a.test", &[], bad),
        ("user@a.test", &["a.test"], bad),
        ("a.test/", &[], Reset),
        ("a.test:", &[], bad),
        ("a.test:0", &[], bad),
        ("a.test:99999", &[], bad),
        ("a b", &[], Reset),
        ("a,b", &[], bad),
        ("a..b", &[], bad),
        ("[::1", &[], Reset),
        ("[::1]", &[], Forwarded),
        ("a.test#x", &[], Reset),
        ("%61.test", &[], Reset),
    ] {
        let mut list = vec![PSEUDO[0], PSEUDO[1], (":authority", authority), PSEUDO[3]];
        list.extend(hosts.iter().map(|host| ("host", *host)));
        check(&gateway, &upstream, &format!("{authority} {hosts:?}"), whole(1, fields(&list)), want).await;
    }
}

#[tokio::test]
async fn a_path_has_one_reading() {
    use Want::{Forwarded, Refused, Reset};
    let ambiguous = Refused(400, "ambiguous_path");
    let bad = Refused(400, "bad_request");
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for (path, want) in [
        ("/a/b?c=d", Forwarded),
        ("/a%7e", Forwarded),
        ("/#", ambiguous),
        ("/a#b", ambiguous),
        ("/a?b#c", ambiguous),
        ("#", ambiguous),
        ("/a/../b", ambiguous),
        ("/%2e%2e/b", ambiguous),
        ("/a/..;/b", ambiguous),
        ("/a%00", ambiguous),
        ("/a%2fb", ambiguous),
        ("/a//b", ambiguous),
        ("/a%zz", ambiguous),
        ("/a\\b", ambiguous),
        ("*", bad),
        ("a", Reset),
        ("http://b.test/", Reset),
        ("/a b", Reset),
        ("/a\tb", Reset),
        ("/a\u{7f}b", Reset),
        ("/a HTTP/1.1\r\nx: y", Reset),
    ] {
        check(&gateway, &upstream, path, whole(1, head("GET", path, &[])), want).await;
    }
}

#[tokio::test]
async fn what_belongs_to_a_connection_of_http_1_is_refused() {
    use Want::{Forwarded, Refused, Reset};
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for (name, value, want) in [
        ("connection", "close", Reset),
        ("connection", "x", Reset),
        ("keep-alive", "timeout=5", Reset),
        ("proxy-connection", "keep-alive", Reset),
        ("transfer-encoding", "chunked", Reset),
        ("transfer-encoding", "identity", Reset),
        ("upgrade", "websocket", Reset),
        ("te", "gzip", Reset),
        ("te", "trailers, gzip", Reset),
        ("te", "", Reset),
        ("te", "trailers", Forwarded),
        ("transfer_encoding", "chunked", Refused(400, "bad_request")),
        ("content_length", "5", Refused(400, "bad_request")),
        ("http2-settings", "AAMAAABk", Forwarded),
        ("expect", "200-ok", Refused(400, "bad_request")),
    ] {
        let request = whole(1, head("GET", "/", &[(name, value)]));
        check(&gateway, &upstream, &format!("{name}: {value}"), request, want).await;
    }
    let mut takers = 0;
    for request in upstream.requests() {
        for name in ["http2-settings", "transfer-encoding"] {
            assert_eq!(request.header(name), None);
        }
        // What goes on is that the client takes trailers, in our own words.
        let said = (request.header("te"), request.header("connection"));
        assert!([(None, None), (Some("trailers"), Some("te"))].contains(&said), "{said:?}");
        takers += usize::from(said.0.is_some());
    }
    assert_eq!(takers, 1);
}

#[tokio::test]
async fn a_body_is_as_long_as_it_was_said_to_be() {
    use Want::{Forwarded, Refused, Reset};
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for (lengths, pieces, want) in [
        (&["3"][..], &["abc"][..], Forwarded),
        (&["3"], &["a", "", "bc", ""], Forwarded),
        (&["0"], &[""], Forwarded),
        (&["003"], &["abc"], Forwarded),
        (&["3"], &["abcd"], Reset),
        (&["3"], &["ab"], Reset),
        (&["3"], &["ab", "cd"], Reset),
        (&["3"], &[""], Reset),
        (&["0"], &["a"], Reset),
        (&["3", "3"], &["abc"], Refused(400, "bad_request")),
        (&["3", "4"], &["abc"], Reset),
        (&["3,3"], &["abc"], Reset),
        (&["+3"], &["abc"], Reset),
        (&["-3"], &["abc"], Reset),
        (&["3 "], &["abc"], Reset),
        (&["0x3"], &["abc"], Reset),
        (&[""], &["abc"], Reset),
        (&["99999999999999999999999"], &["abc"], Reset),
    ] {
        let fields: Vec<_> = lengths.iter().map(|length| ("content-length", *length)).collect();
        let mut request = begin(1, head("POST", "/", &fields));
        for (at, piece) in pieces.iter().enumerate() {
            let last = if at + 1 == pieces.len() { END_STREAM } else { 0 };
            request.extend(frame(DATA, last, 1, piece));
        }
        let before = upstream.requests().len();
        let mut client = Frames::connect(gateway.public()).await;
        let outcome = client.ask(1, request).await;
        match (want, &outcome) {
            (Forwarded, Outcome::Answer(200, _)) | (Reset, Outcome::Reset(PROTOCOL_ERROR)) => {}
            (Refused(status, _), Outcome::Answer(seen, _)) => assert_eq!(*seen, status),
            _ => panic!("{lengths:?} {pieces:?}: {outcome:?}"),
        }
        // A request whose body breaks off may have been begun; it was never whole.
        assert_eq!(client.ask(3, get(3)).await.status(), 200);
        for request in &upstream.requests()[before..] {
            let whole = request.method == "GET" || matches!(want, Forwarded);
            assert_eq!(request.is_whole(), whole, "{lengths:?} {pieces:?}");
        }
    }
    // The fields end the stream, and say that something follows.
    let request = whole(1, head("POST", "/", &[("content-length", "3")]));
    check(&gateway, &upstream, "no body at all", request, Reset).await;
}

#[tokio::test]
async fn names_and_values_are_such_everywhere() {
    use Want::{Forwarded, Goaway};
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let names: [(&[u8], Want); 14] = [
        (b"x-a", Forwarded),
        (b"x_a", Forwarded),
        (b"x!#$%&'*+-.^_`|~1", Forwarded),
        (b"X-A", Goaway),
        (b"x a", Goaway),
        (b"x:a", Goaway),
        (b"x\0a", Goaway),
        (b"x\ra", Goaway),
        (b"x\na", Goaway),
        (b"x\x7fa", Goaway),
        (b"x\xe9a", Goaway),
        (b"", Goaway),
        (b" x", Goaway),
        (b"x(", Goaway),
    ];
    for (name, want) in names {
        let request = whole(1, [head("GET", "/", &[]), field(name, b"y")].concat());
        check(&gateway, &upstream, &name.escape_ascii().to_string(), request, want).await;
    }
    let values: [(&[u8], Want); 8] = [
        (b"", Forwarded),
        (b"a b\tc", Forwarded),
        (b"\xe9\xff", Forwarded),
        (b"a\0b", Goaway),
        (b"a\rb", Goaway),
        (b"a\nb", Goaway),
        (b"a\r\nx-auth-subject: root", Goaway),
        (b"a\x7fb", Goaway),
    ];
    for (value, want) in values {
        let request = whole(1, [head("GET", "/", &[]), field(b"x", value)].concat());
        check(&gateway, &upstream, &value.escape_ascii().to_string(), request, want).await;
    }
}

/// White space around a value is no part of it in HTTP/1.1 and must not be in HTTP/2 (RFC 9113 §8.2.1).
#[tokio::test]
async fn white_space_around_a_value_has_one_reading() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for value in [" a", "a ", "\ta", "a\t", " "] {
        let request = whole(1, head("GET", "/", &[("x-a", value)]));
        check(&gateway, &upstream, value, request, Want::Refused(400, "bad_request")).await;
    }
}

#[tokio::test]
async fn connect_is_refused_and_its_connection_lives() {
    use Want::{Refused, Reset};
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let authority = (":authority", "a.test:443");
    let connect = (":method", "CONNECT");
    for (name, list, want) in [
        ("plain", vec![connect, authority], Refused(400, "bad_request")),
        ("without an authority", vec![connect], Refused(400, "bad_request")),
        ("with a length", vec![connect, authority, ("content-length", "0")], Refused(400, "bad_request")),
        ("with a path", vec![connect, PSEUDO[1], authority, PSEUDO[3]], Reset),
        // Whatever opens a tunnel is told among the tests of WebSockets.
        (
            "extended, unknown",
            vec![connect, PSEUDO[1], authority, PSEUDO[3], (":protocol", "foo")],
            Refused(400, "bad_request"),
        ),
        ("extended, without a path", vec![connect, PSEUDO[1], authority, (":protocol", "websocket")], Reset),
        (
            "a protocol of no CONNECT",
            vec![PSEUDO[0], PSEUDO[1], authority, PSEUDO[3], (":protocol", "websocket")],
            Reset,
        ),
    ] {
        check(&gateway, &upstream, name, whole(1, fields(&list)), want).await;
    }
    // What comes behind it is no body: a server that waited for one would take the next request for it.
    for length in ["5", "500"] {
        let list = [
            connect,
            PSEUDO[1],
            authority,
            PSEUDO[3],
            (":protocol", "websocket"),
            ("sec-websocket-version", "13"),
            ("content-length", length),
        ];
        check(
            &gateway,
            &upstream,
            "with a length of 5",
            begin(1, fields(&list)),
            Refused(400, "bad_request"),
        )
        .await;
    }
    // One that says how long its body is, and sends it.
    let list = [connect, authority, ("content-length", "3")];
    let request = [begin(1, fields(&list)), frame(DATA, END_STREAM, 1, b"abc")].concat();
    check(&gateway, &upstream, "with a body", request, Refused(400, "bad_request")).await;
}

#[tokio::test]
async fn trace_has_no_body() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let request = [begin(1, head("TRACE", "/", &[])), frame(DATA, END_STREAM, 1, b"abc")].concat();
    check(&gateway, &upstream, "with", request, Want::Refused(400, "bad_request")).await;
    check(&gateway, &upstream, "without", whole(1, head("TRACE", "/", &[])), Want::Forwarded).await;
}

#[tokio::test]
async fn trailers_that_are_none_break_the_request() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    for (name, trailers, want) in [
        ("none", fields(&[("x-a", "b")]), Want::Forwarded),
        ("a path", fields(&[(":path", "/admin")]), Want::Refused(400, "bad_request")),
        ("a path by its index", b"\x84".to_vec(), Want::Refused(400, "bad_request")),
        ("a status", fields(&[(":status", "200"), ("x-a", "b")]), Want::Refused(400, "bad_request")),
        ("one after a field", fields(&[("x-a", "b"), (":path", "/")]), Want::Reset),
        ("an unknown one", fields(&[(":x", "b")]), Want::Goaway),
        ("a name with a quotation mark", fields(&[("x\"y", "b")]), Want::Refused(400, "bad_request")),
    ] {
        let before = upstream.requests().len();
        let mut client = Frames::connect(gateway.public()).await;
        let request = [begin(1, head("POST", "/", &[])), frame(DATA, 0, 1, b"abc")].concat();
        client.send(request).await;
        upstream.until_requests(before + 1).await;
        let outcome = client.ask(1, frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers)).await;
        match (want, &outcome) {
            (Want::Forwarded, Outcome::Answer(200, _))
            | (Want::Refused(400, _), Outcome::Answer(400, _))
            | (Want::Reset, Outcome::Reset(PROTOCOL_ERROR))
            | (Want::Goaway, Outcome::Goaway(PROTOCOL_ERROR)) => {}
            _ => panic!("{name}: {outcome:?}"),
        }
        if !matches!(want, Want::Forwarded) {
            upstream.until(name, |seen| seen.connections.last()?.ended.map(|_| ())).await;
        }
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.is_whole(), matches!(want, Want::Forwarded), "{name}");
    }
}

#[tokio::test]
async fn trailers_end_their_stream() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = Frames::connect(gateway.public()).await;
    let request =
        [begin(1, head("POST", "/", &[])), frame(HEADERS, END_HEADERS, 1, fields(&[("x", "y")]))].concat();
    assert_eq!(client.ask(1, request).await, Outcome::Reset(PROTOCOL_ERROR));
    gate.open();
    assert_eq!(client.ask(3, get(3)).await.status(), 200);
}

/// h2 reads past the fields of a stream that depends on itself, and would take later indices for other fields than their
/// client means.
#[tokio::test]
async fn after_a_head_that_was_not_read_nothing_is_forwarded() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, PUBLIC).await;
    let mut client = Frames::connect(gateway.public()).await;
    let itself = [&[0, 0, 0, 1, 0][..], &head("GET", "/", &[])].concat();
    let outcome = client.ask(1, frame(HEADERS, END_HEADERS | END_STREAM | 32, 1, itself)).await;
    assert_eq!(outcome, Outcome::Reset(PROTOCOL_ERROR));
    assert_eq!(client.ask(3, get(3)).await, Outcome::Goaway(PROTOCOL_ERROR));
    assert_eq!(upstream.requests(), []);
}

#[tokio::test]
async fn a_head_in_many_frames_is_one_head() {
    let upstream = Upstream::echo().await;
    let (gateway, _) = open(&upstream).await;
    let mut client = Frames::connect(gateway.public()).await;
    let list = head("GET", "/many", &[("x-a", "b")]);
    let pieces: Vec<_> = list.chunks(list.len().div_ceil(5)).collect();
    let mut request = frame(HEADERS, END_STREAM, 1, pieces[0]);
    for (at, piece) in pieces[1..].iter().enumerate() {
        let last = if at + 2 == pieces.len() { END_HEADERS } else { 0 };
        request.extend(frame(CONTINUATION, last, 1, piece));
    }
    assert_eq!(client.ask(1, request).await.status(), 200);
    assert_eq!(upstream.only_request().header("x-a"), Some("b"));
}
