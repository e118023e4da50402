use http::Request;
use proptest::prelude::*;

use super::*;
use crate::auth::refusal::{Ambiguity, Code};

const LIMITS: Limits = Limits { headers: 1000, header_count: 10, target: 100 };

struct Row {
    what: &'static str,
    version: Version,
    method: &'static str,
    target: String,
    fields: Vec<(&'static str, String)>,
}

fn row(what: &'static str, line: &str, fields: &[(&'static str, &str)]) -> Row {
    let mut words = line.split(' ');
    let method = match words.next().unwrap() {
        "GET" => "GET",
        "POST" => "POST",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        "OPTIONS" => "OPTIONS",
        "PRI" => "PRI",
        other => panic!("{other}"),
    };
    let target = words.next().unwrap().to_owned();
    let version = match words.next() {
        Some("1.0") => Version::HTTP_10,
        Some("2") => Version::HTTP_2,
        Some("3") => Version::HTTP_3,
        Some("0.9") => Version::HTTP_09,
        _ => Version::HTTP_11,
    };
    let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Row { what, version, method, target, fields }
}

fn parts(row: &Row) -> Parts {
    let mut request = Request::builder().method(row.method).uri(row.target.as_str()).version(row.version);
    for (name, value) in &row.fields {
        request = request.header(*name, value.as_str());
    }
    request.body(()).unwrap_or_else(|why| panic!("{}: {why}", row.what)).into_parts().0
}

const HOST: (&str, &str) = ("host", "a");

#[test]
fn an_admitted_request_has_one_reading() {
    let parts = parts(&row(
        "",
        "POST /v%31/%6frders?a=/../b%00&c",
        &[
            ("host", "API.example.com:8080"),
            ("content-length", "07"),
            ("expect", "100-Continue"),
            ("connection", "x, close"),
        ],
    ));
    let admission = admit(&parts, &LIMITS).unwrap();
    assert_eq!((admission.host.name(), admission.host.port()), ("api.example.com", Some(8080)));
    assert_eq!(admission.host.sent(), "API.example.com:8080");
    assert_eq!(admission.path.as_str(), "/v1/orders");
    assert_eq!(admission.query, Some("a=/../b%00&c"));
    assert_eq!(admission.framing, Framing::Length(7));
    assert!(
        admission.connection.asks_to_close() && admission.connection.names(&HeaderName::from_static("x"))
    );
    assert_eq!(admission.upgrade, None);
}

#[test]
fn an_upgrade_needs_http_1_1_one_field_its_connection_option_and_no_body() {
    let upgrade = [("upgrade", "websocket"), ("connection", "Upgrade"), HOST];
    for (line, fields, want) in [
        ("GET /", &upgrade[..], true),
        ("GET / 1.0", &upgrade, false),
        ("GET /", &[upgrade[0], HOST], false),
        ("GET /", &[upgrade[1], HOST], false),
        ("POST /", &[upgrade[0], upgrade[1], HOST, ("content-length", "1")], false),
        ("POST /", &[upgrade[0], upgrade[1], HOST, ("content-length", "0")], true),
        ("POST /", &[upgrade[0], upgrade[1], HOST, ("transfer-encoding", "chunked")], false),
        ("GET /", &[upgrade[0], upgrade[0], upgrade[1], HOST], false),
        ("GET /", &[upgrade[0], upgrade[0], upgrade[0], upgrade[1], HOST], false),
    ] {
        let parts = parts(&row("", line, fields));
        assert_eq!(admit(&parts, &LIMITS).unwrap().upgrade.is_some(), want, "{line} {fields:?}");
    }
}

#[test]
fn http_2_has_no_path_without_a_slash() {
    let query = parts(&row("", "GET http://a?b=c 2", &[]));
    assert_eq!(admit(&query, &LIMITS).unwrap_err().code(), Code::BadRequest);
    assert!(admit(&parts(&row("", "GET http://a?b=c", &[HOST])), &LIMITS).is_ok(), "a URL without a path");
}

#[test]
fn http_2_has_no_quotation_mark_in_a_name() {
    let mut request = parts(&row("", "GET http://a/ 2", &[]));
    assert!(admit(&request, &LIMITS).is_ok());
    request.headers.insert(HeaderName::from_lowercase(b"x\"x").unwrap(), HeaderValue::from_static("1"));
    assert_eq!(admit(&request, &LIMITS).unwrap_err().code(), Code::BadRequest);
}

#[test]
fn what_is_admitted() {
    for row in [
        row("origin form", "GET /", &[HOST]),
        row("any method", "OPTIONS /a", &[HOST]),
        row("absolute form", "GET http://a/b", &[HOST]),
        row("absolute form without path", "GET http://a", &[HOST]),
        row("absolute form https", "GET https://a/b", &[HOST]),
        row("HTTP/1.0", "GET / 1.0", &[HOST]),
        row("chunked", "POST /", &[HOST, ("transfer-encoding", "chunked")]),
        row("body on GET", "GET /", &[HOST, ("content-length", "5")]),
        row("HTTP/2", "GET https://a/ 2", &[]),
        row("HTTP/2 with host", "GET https://a/ 2", &[HOST]),
        row("HTTP/2 te", "GET https://a/ 2", &[("te", "trailers")]),
        row("TE on HTTP/1", "GET /", &[HOST, ("te", "gzip"), ("connection", "te")]),
        row("empty TRACE", "TRACE /", &[HOST, ("content-length", "0")]),
        row("expect without body", "GET /", &[HOST, ("expect", "100-continue")]),
        row("other underscores", "GET /", &[HOST, ("x_custom", "1")]),
        row("settings are stripped", "GET /", &[HOST, ("http2-settings", "AAMAAABk")]),
        row("dots in query", "GET /?/../;%2F//", &[HOST]),
        row("quirks are for the route", "GET /a//b;c%2F%25%5C%FF", &[HOST]),
    ] {
        assert!(admit(&parts(&row), &LIMITS).is_ok(), "{}", row.what);
    }
}

#[test]
fn what_is_refused() {
    use Code::{AmbiguousPath, BadRequest, HeadersTooLarge, InvalidHost, TargetTooLong};
    let long = format!("GET /{}", "a".repeat(100));
    let long_query = format!("GET /?{}", "a".repeat(100));
    let big = "a".repeat(1000);
    for (want, row) in [
        (InvalidHost, row("no host", "GET /", &[])),
        (InvalidHost, row("no host, HTTP/1.0", "GET / 1.0", &[])),
        (InvalidHost, row("empty host", "GET /", &[("host", "")])),
        (InvalidHost, row("two hosts", "GET /", &[HOST, ("host", "b")])),
        (InvalidHost, row("twice the same host", "GET /", &[HOST, HOST])),
        (InvalidHost, row("two in one", "GET /", &[("host", "a, b")])),
        (InvalidHost, row("path in host", "GET /", &[("host", "a/b")])),
        (InvalidHost, row("user in host", "GET /", &[("host", "u@a")])),
        (InvalidHost, row("bytes in host", "GET /", &[("host", "a\u{fc}")])),
        (InvalidHost, row("another host in the target", "GET http://b/", &[HOST])),
        (InvalidHost, row("absolute form without host", "GET http://a/", &[])),
        (InvalidHost, row("user in target", "GET http://u@a/", &[HOST])),
        (InvalidHost, row("HTTP/2 without authority", "GET / 2", &[])),
        (InvalidHost, row("HTTP/2 host differs", "GET https://a/ 2", &[("host", "b")])),
        (InvalidHost, row("HTTP/2 two hosts", "GET https://a/ 2", &[HOST, HOST])),
        (InvalidHost, row("HTTP/2 user", "GET https://u:p@a/ 2", &[])),
        (BadRequest, row("asterisk form", "OPTIONS *", &[HOST])),
        (BadRequest, row("query outside ASCII", "GET /?\u{e4}", &[HOST])),
        (BadRequest, row("preface", "PRI *", &[HOST])),
        (BadRequest, row("authority form", "GET a:80", &[HOST])),
        (BadRequest, row("CONNECT", "CONNECT a:80", &[HOST])),
        (BadRequest, row("CONNECT with a path", "CONNECT /", &[HOST])),
        (BadRequest, row("HTTP/2 CONNECT", "CONNECT a:80 2", &[])),
        (BadRequest, row("other scheme", "GET ftp://a/", &[HOST])),
        (BadRequest, row("other version", "GET / 3", &[HOST])),
        (BadRequest, row("no version", "GET / 0.9", &[HOST])),
        (BadRequest, row("two lengths", "POST /", &[HOST, ("content-length", "5"), ("content-length", "5")])),
        (BadRequest, row("bad length", "POST /", &[HOST, ("content-length", "5,5")])),
        (
            BadRequest,
            row(
                "length and coding",
                "POST /",
                &[HOST, ("content-length", "5"), ("transfer-encoding", "chunked")],
            ),
        ),
        (BadRequest, row("two codings", "POST /", &[HOST, ("transfer-encoding", "gzip, chunked")])),
        (
            BadRequest,
            row(
                "two coding fields",
                "POST /",
                &[HOST, ("transfer-encoding", "chunked"), ("transfer-encoding", "x")],
            ),
        ),
        (BadRequest, row("coding on 1.0", "POST / 1.0", &[HOST, ("transfer-encoding", "chunked")])),
        (BadRequest, row("disguised coding", "POST /", &[HOST, ("transfer_encoding", "chunked")])),
        (BadRequest, row("disguised length", "POST /", &[HOST, ("content.length", "5")])),
        (
            BadRequest,
            row("h2c", "GET /", &[HOST, ("upgrade", "h2c"), ("connection", "upgrade, http2-settings")]),
        ),
        (BadRequest, row("h2c among others", "GET /", &[HOST, ("upgrade", "websocket, H2C")])),
        (BadRequest, row("expectation", "POST /", &[HOST, ("expect", "200-ok"), ("content-length", "5")])),
        (BadRequest, row("TRACE with body", "TRACE /", &[HOST, ("content-length", "5")])),
        (BadRequest, row("HTTP/2 connection", "GET https://a/ 2", &[("connection", "close")])),
        (BadRequest, row("HTTP/2 coding", "GET https://a/ 2", &[("transfer-encoding", "chunked")])),
        (BadRequest, row("HTTP/2 upgrade", "GET https://a/ 2", &[("upgrade", "websocket")])),
        (BadRequest, row("HTTP/2 te", "GET https://a/ 2", &[("te", "gzip")])),
        (BadRequest, row("HTTP/2 keep-alive", "GET https://a/ 2", &[("keep-alive", "5")])),
        (TargetTooLong, row("target", &long, &[HOST])),
        (TargetTooLong, row("query", &long_query, &[HOST])),
        (HeadersTooLarge, row("value", "GET /", &[HOST, ("x", &big)])),
        (
            HeadersTooLarge,
            row(
                "count",
                "GET /",
                &[
                    HOST,
                    ("x", ""),
                    ("x", ""),
                    ("x", ""),
                    ("x", ""),
                    ("x", ""),
                    ("x", ""),
                    ("x", ""),
                    ("x", ""),
                    ("x", ""),
                    ("x", ""),
                ],
            ),
        ),
        (AmbiguousPath, row("dot segment", "GET /public/../admin", &[HOST])),
        (AmbiguousPath, row("absolute form", "GET http://a/public/%2e%2e/admin", &[HOST])),
    ] {
        let refusal = admit(&parts(&row), &LIMITS).map(|_| ()).unwrap_err();
        assert_eq!(refusal.code(), want, "{}", row.what);
    }
}

#[test]
fn the_limits_are_exact() {
    // "GET" and "/" are 4 bytes, "host: a" with its line's end 9, "x: " with its line's end 5.
    for (bytes, fits) in [(982, true), (983, false)] {
        let parts = parts(&row("", "GET /", &[HOST, ("x", &"a".repeat(bytes))]));
        assert_eq!(admit(&parts, &LIMITS).is_ok(), fits, "{bytes}");
    }
    for (bytes, fits) in [(99, true), (100, false)] {
        let parts = parts(&row("", &format!("GET /{}", "a".repeat(bytes)), &[HOST]));
        assert_eq!(admit(&parts, &LIMITS).is_ok(), fits, "{bytes}");
    }
}

#[test]
fn the_reason_reaches_the_client() {
    let parts = parts(&row("", "GET /%2e", &[HOST]));
    assert_eq!(admit(&parts, &LIMITS).map(|_| ()), Err(Refusal::AmbiguousPath(Ambiguity::DotSegment)));
}

proptest! {
    #[test]
    fn no_request_makes_it_panic(
        target in prop_oneof!["/[!-~]{0,20}", "https?://[a-z@:\\[\\]0-9.]{0,9}/[!-~]{0,9}"],
        fields in prop::collection::vec(
            (
                prop_oneof!["host|content[-_]length|transfer[-_.]encoding|connection|upgrade|expect|te", "[a-z_.-]{1,12}"],
                prop_oneof!["chunked|5|a|close|h2c|100-continue", "[ -~]{0,12}"],
            ),
            0..8,
        ),
        http2: bool,
    ) {
        let mut request = Request::builder().uri(target).version(if http2 { Version::HTTP_2 } else { Version::HTTP_11 });
        for (name, value) in fields {
            request = request.header(name, value);
        }
        if let Ok(request) = request.body(()) {
            let parts = request.into_parts().0;
            if let Ok(admission) = admit(&parts, &LIMITS) {
                prop_assert!(parts.headers.get_all("content-length").iter().count() < 2);
                prop_assert!(Host::parse(admission.host.sent()).is_some());
            }
        }
    }
}
