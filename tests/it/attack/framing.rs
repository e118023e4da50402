//! Requests whose end is in doubt, and requests hidden behind others: what reaches the upstream is what was admitted, once.

use super::Stand;

const BAD: &str = "400 bad_request";

/// `{S}` is a request that must never be taken for one unless it stands where one may; then it wants a credential.
const HIDDEN: &str = "GET /admin/hidden HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// Fields and body of a `POST /sea`, what it is answered, and the body that reaches the upstream (`None`: nothing).
/// Everything refused here ends the connection: what follows is not read.
type Row = (&'static str, &'static str, &'static [&'static str], Option<&'static str>);

const LENGTHS: &[Row] = &[
    ("Content-Length: 3", "abc", &["200", "200"], Some("abc")),
    ("content-length:3", "abc", &["200", "200"], Some("abc")),
    ("CONTENT-LENGTH: \t 3 \t", "abc", &["200", "200"], Some("abc")),
    ("Content-Length: 0003", "abc", &["200", "200"], Some("abc")),
    ("Content-Length: 0", "", &["200", "200"], Some("")),
    ("Content-Length: 000", "", &["200", "200"], Some("")),
    ("Content-Length: 44", HIDDEN, &["200", "200"], Some(HIDDEN)),
    ("X: y", HIDDEN, &["200", "401 missing_credentials", "200"], Some("")),
    ("Content-Length: 0", HIDDEN, &["200", "401 missing_credentials", "200"], Some("")),
    ("Content-Length: 3\r\nContent-Length: 3", "abc", &[BAD], None),
    ("Content-Length: 3\r\nContent-Length: 03", "abc", &[BAD], None),
    ("Content-Length: 3\r\ncontent-length: 3\r\nCONTENT-LENGTH: 3", "abc", &[BAD], None),
    ("Content-Length: 3\r\nContent-Length: 4", "abc", &["400"], None),
    ("Content-Length: 3, 3", "abc", &["400"], None),
    ("Content-Length: 3,", "abc", &["400"], None),
    ("Content-Length: ,3", "abc", &["400"], None),
    ("Content-Length:", HIDDEN, &["400"], None),
    ("Content-Length: +3", "abc", &["400"], None),
    ("Content-Length: -3", "abc", &["400"], None),
    ("Content-Length: -0", "", &["400"], None),
    ("Content-Length: 3.0", "abc", &["400"], None),
    ("Content-Length: 3e0", "abc", &["400"], None),
    ("Content-Length: 0x3", "abc", &["400"], None),
    ("Content-Length: 0b1", "a", &["400"], None),
    ("Content-Length: 1_0", "abcdefghij", &["400"], None),
    ("Content-Length: 3 3", "abc", &["400"], None),
    ("Content-Length: 3;x", "abc", &["400"], None),
    ("Content-Length: \"3\"", "abc", &["400"], None),
    ("Content-Length: three", "abc", &["400"], None),
    ("Content-Length: \u{663}", "abc", &["400"], None),
    ("Content-Length: 3\u{b}", "abc", &["400"], None),
    ("Content-Length: 3\0", "abc", &["400"], None),
    ("Content-Length: 3\r", "abc", &["400"], None),
    // Of all numbers that are too large hyper answers this one as too large.
    ("Content-Length: 18446744073709551615", "abc", &["431"], None),
    ("Content-Length: 18446744073709551616", "abc", &["400"], None),
    ("Content-Length: 18446744073709551619", "abc", &["400"], None),
    ("Content-Length: 99999999999999999999999999", "abc", &["400"], None),
    ("Content-Length: 9223372036854775808", "abc", &[BAD], None),
    ("Content-Length: 9223372036854775807", "abc", &["413 body_too_large"], None),
    ("Content-Length : 3", "abc", &["400"], None),
    ("Content-Length\t: 3", "abc", &["400"], None),
    (" Content-Length: 3", "abc", &["400"], None),
    ("\tContent-Length: 3", "abc", &["400"], None),
    ("X: y\r\n Content-Length: 3", "abc", &["400"], None),
    ("X: y\r\n\tContent-Length: 3", "abc", &["400"], None),
    ("Content-Length:\r\n 3", "abc", &["400"], None),
    ("Content-Length: 3\r\n ", "abc", &["400"], None),
    ("X: y\nContent-Length: 3", "abc", &[BAD], None),
    ("X: y\n\nContent-Length: 3", "abc", &[BAD], None),
    ("Content-Length: 3\n", "abc", &[BAD], None),
    ("X: y\rContent-Length: 3", "abc", &["400"], None),
    (": y\r\nContent-Length: 3", "abc", &["400"], None),
    ("y\r\nContent-Length: 3", "abc", &["400"], None),
    ("\u{feff}Content-Length: 3", "abc", &["400"], None),
    ("Content-Length\0: 3", "abc", &["400"], None),
    ("Content-Length\u{a0}: 3", "abc", &["400"], None),
    ("Content_Length: 3", "abc", &[BAD], None),
];

const CODINGS: &[Row] = &[
    ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", &["200", "200"], Some("abc")),
    ("transfer-encoding:CHUNKED", "3\r\nabc\r\n0\r\n\r\n", &["200", "200"], Some("abc")),
    ("Transfer-Encoding: \t chunked \t", "0\r\n\r\n", &["200", "200"], Some("")),
    ("Transfer-Encoding: chunked\r\nContent-Length: 3", "0\r\n\r\n", &[BAD], None),
    ("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n", &[BAD], None),
    ("Content-Length: 5\r\nTransfer-Encoding: identity", "0\r\n\r\n", &["400"], None),
    ("Content-Length: 5\r\nTransfer-Encoding:", "0\r\n\r\n", &["400"], None),
    ("Content-Length: 5\r\nTransfer_Encoding: chunked", "0\r\n\r\n", &[BAD], None),
    ("Content_Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n", &[BAD], None),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n", &[BAD], None),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "0\r\n\r\n", &[BAD], None),
    ("Transfer-Encoding: x\r\nTransfer-Encoding: chunked", "0\r\n\r\n", &[BAD], None),
    ("Transfer-Encoding: identity, chunked", "0\r\n\r\n", &[BAD], None),
    ("Transfer-Encoding: gzip, chunked", "0\r\n\r\n", &[BAD], None),
    ("Transfer-Encoding: chunked, chunked", "0\r\n\r\n", &[BAD], None),
    ("Transfer-Encoding: ,chunked", "0\r\n\r\n", &[BAD], None),
    ("Transfer-Encoding: chunked,", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: chunked, identity", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: chunked;q=1", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: \"chunked\"", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: chunked x", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: xchunked", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: chunkedx", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: cow", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: identity", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: gzip", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding:", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: \u{b}chunked", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: chun\u{17f}ed", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: chun\u{212a}ed", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding: chunked\0", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding : chunked", "0\r\n\r\n", &["400"], None),
    (" Transfer-Encoding: chunked", "0\r\n\r\n", &["400"], None),
    ("X: y\r\n Transfer-Encoding: chunked", "0\r\n\r\n", &["400"], None),
    ("X: y\nTransfer-Encoding: chunked", "0\r\n\r\n", &[BAD], None),
    ("X: y\rTransfer-Encoding: chunked", "0\r\n\r\n", &["400"], None),
    ("Transfer-Encoding:\r\n chunked", "0\r\n\r\n", &["400"], None),
    ("Transfer\u{2d}Encoding\u{ad}: chunked", "0\r\n\r\n", &["400"], None),
    ("Expect: 100-continue\r\nContent-Length: 3", "abc", &["200", "200"], Some("abc")),
    ("Expect: 100-continue\r\nTransfer-Encoding: chunked", "1\r\na\r\n0\r\n\r\n", &["200", "200"], Some("a")),
    ("Expect: 100-continue, x\r\nContent-Length: 3", "abc", &[BAD], None),
    ("Expect:\r\nContent-Length: 3", "abc", &[BAD], None),
    ("Expect: x\r\nContent-Length: 3", "abc", &[BAD], None),
    ("Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 3", "abc", &["200", "200"], Some("abc")),
    ("Upgrade: x\r\nConnection: Upgrade", HIDDEN, &["200", "401 missing_credentials", "200"], Some("")),
    ("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk", "", &[BAD], None),
];

/// Bodies in chunks that end, however oddly.
const CHUNKS: &[Row] = &[
    ("", "1;a=b\r\na\r\n0;c\r\n\r\n", &["200", "200"], Some("a")),
    ("", "1 \r\na\r\n0\r\n\r\n", &["200", "200"], Some("a")),
    ("", "0000000001\r\na\r\n000\r\n\r\n", &["200", "200"], Some("a")),
    ("", "A\r\n0\r\n\r\nabcde\r\n0\r\n\r\n", &["200", "200"], Some("0\r\n\r\nabcde")),
    ("", "1\r\na\r\n0\r\nX-Auth-Subject: root\r\nContent-Length: 5\r\n\r\n", &["200", "200"], Some("a")),
    ("", "1\r\na\r\n0\r\nTransfer-Encoding: chunked\r\nHost: c.test\r\n\r\n", &["200", "200"], Some("a")),
    (
        "",
        "0\r\n\r\nGET /admin/hidden HTTP/1.1\r\nHost: a.test\r\n\r\n",
        &["200", "401 missing_credentials", "200"],
        Some(""),
    ),
    (
        "",
        "2c\r\nGET /admin/hidden HTTP/1.1\r\nHost: a.test\r\n\r\n\r\n0\r\n\r\n",
        &["200", "200"],
        Some(HIDDEN),
    ),
];

/// Chunks that cannot be read: the upstream must not take what came of them for whole.
const BROKEN_CHUNKS: &[&str] = &[
    "1\na\r\n0\r\n\r\n",
    "1\r\na\n0\r\n\r\n",
    "1\r\na0\r\n\r\n",
    "1\r\nab\r\n0\r\n\r\n",
    "1\r\na\r\r\n0\r\n\r\n",
    " 1\r\na\r\n0\r\n\r\n",
    "\t1\r\na\r\n0\r\n\r\n",
    "\r\n1\r\na\r\n0\r\n\r\n",
    "+1\r\na\r\n0\r\n\r\n",
    "-1\r\na\r\n0\r\n\r\n",
    "0x1\r\na\r\n0\r\n\r\n",
    "1x\r\na\r\n0\r\n\r\n",
    "g\r\na\r\n0\r\n\r\n",
    ";a\r\na\r\n0\r\n\r\n",
    "1 1\r\na\r\n0\r\n\r\n",
    "1;a\nb\r\na\r\n0\r\n\r\n",
    "1;a\rb\r\na\r\n0\r\n\r\n",
    "1\r\na\r\n0\n\r\n",
    "1\r\na\r\n0\r\n\n",
    "1\r\na\r\n0\r\nX: y\n\r\n",
    "1\r\na\r\n0\r\nX: y\r\nZ: w\n\r\n",
    "1\r\na\r\n0\r\nX: y\n\n",
    "1\r\na\r\n0\r\nX\r\n\r\n",
    "1\r\na\r\n0\r\nX : y\r\n\r\n",
    "1\r\na\r\n0\r\n X: y\r\n\r\n",
    "1\r\na\r\n0\r\nX: y\0\r\n\r\n",
    "1\r\na\r\n0\r\nX: y\n\r\n",
    "1\r\na\r\n0\r\nX: y\nZ: y\r\n\r\n",
    "1\r\na\r\n0\r\nX: y\r\nZ: y\n\r\n",
    "10000000000000001\r\na\r\n0\r\n\r\n",
    "fffffffffffffffff\r\na\r\n0\r\n\r\n",
    "\0\r\na\r\n0\r\n\r\n",
];

async fn judge(stand: &Stand, head: &str, row: &Row) {
    let (_, body, answers, received) = row;
    let outcome = stand.attack(format!("{head}\r\n\r\n{body}")).await;
    assert_eq!(outcome.answered(), *answers, "{head:?} {body:?}");
    let received: Vec<_> = received
        .iter()
        .map(|body| if body.is_empty() { "POST /sea".to_owned() } else { format!("POST /sea [{body}]") })
        .collect();
    assert_eq!(outcome.received(), received, "{head:?} {body:?}");
}

#[tokio::test]
async fn every_length_has_one_reading_or_none() {
    let stand = Stand::start().await;
    for row in LENGTHS {
        judge(&stand, &format!("POST /sea HTTP/1.1\r\nHost: a.test\r\n{}", row.0), row).await;
    }
}

#[tokio::test]
async fn every_coding_has_one_reading_or_none() {
    let stand = Stand::start().await;
    for row in CODINGS {
        judge(&stand, &format!("POST /sea HTTP/1.1\r\nHost: a.test\r\n{}", row.0), row).await;
    }
    for row in CHUNKS {
        judge(&stand, "POST /sea HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked", row).await;
    }
}

#[tokio::test]
async fn a_request_behind_another_is_read_as_strictly() {
    let stand = Stand::start().await;
    let first = "POST /opt HTTP/1.1\r\nHost: a.test\r\n";
    for before in [
        format!("{first}\r\n"),
        format!("{first}Content-Length: 3\r\n\r\nabc"),
        format!("{first}Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n"),
        "GET /admin HTTP/1.1\r\nHost: a.test\r\n\r\n".to_owned(),
        "GET /a//b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
    ] {
        for row in LENGTHS.iter().chain(CODINGS) {
            let head = format!("{before}POST /sea HTTP/1.1\r\nHost: a.test\r\n{}\r\n\r\n{}", row.0, row.1);
            let outcome = stand.attack(&head).await;
            let alone = &outcome.answered()[1..];
            assert_eq!(alone, row.2, "{head:?}");
            let received =
                outcome.received().iter().filter(|request| request.starts_with("POST /sea")).count();
            assert_eq!(received, usize::from(row.3.is_some()), "{head:?}");
        }
        let outcome = stand.attack(format!("{before}GET /sea#/admin HTTP/1.1\r\nHost: a.test\r\n\r\n")).await;
        assert_eq!(outcome.answered()[1..], ["400 ambiguous_path", "200"], "{before:?}");
    }
}

#[tokio::test]
async fn a_request_in_the_body_of_a_refused_one_is_never_answered() {
    let stand = Stand::start().await;
    let key = &stand.key.secret;
    let hidden = format!("GET /admin/hidden HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {key}\r\n\r\n");
    let chunked = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    for line in ["/admin", "/a//b", "/%", "/nowhere", "/only"] {
        for (host, field) in [
            ("a.test", ""),
            ("c.test", ""),
            ("a.test", "Authorization: junk\r\n"),
            ("a.test", "Authorization: a, b\r\n"),
        ] {
            for (fields, body) in [
                (format!("Content-Length: {}", hidden.len()), &hidden),
                ("Transfer-Encoding: chunked".to_owned(), &chunked),
                (format!("Expect: 100-continue\r\nContent-Length: {}", hidden.len()), &hidden),
            ] {
                let outcome = stand
                    .attack(format!("PUT {line} HTTP/1.1\r\nHost: {host}\r\n{field}{fields}\r\n\r\n{body}"))
                    .await;
                assert!(
                    outcome.answers.len() <= 2,
                    "{line} {host} {field} {fields}: {:?}",
                    outcome.answered()
                );
                let hidden = outcome.received().iter().any(|request| request.starts_with("GET"));
                assert!(!hidden, "{line} {host} {field} {fields}");
            }
        }
    }
}

#[tokio::test]
async fn broken_chunks_never_look_whole_and_poison_nothing() {
    for body in BROKEN_CHUNKS {
        let stand = Stand::start().await;
        stand.victim_is_well().await;
        let mut raw = stand.gateway.raw().await;
        let head = "POST /sea HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = raw.try_send(format!("{head}{body}{HIDDEN}")).await;
        let answers = super::every_answer(&mut raw, "POST").await;
        assert_eq!(answers.iter().map(super::verdict).collect::<Vec<_>>(), [BAD], "{body:?}");
        let received = stand.upstream.requests();
        assert!(
            received.iter().skip(1).all(|request| request.target == "/sea" && !request.is_whole()),
            "{body:?}"
        );
        let mut client = stand.gateway.anonymous().with_host("a.test");
        assert_eq!(client.get("/sea/after").await.json()["target"], "/sea/after", "{body:?}");
    }
}

#[tokio::test]
async fn old_and_unknown_versions_smuggle_nothing() {
    let stand = Stand::start().await;
    for (line, fields, body, answers, received) in [
        ("POST /sea HTTP/1.0", "Content-Length: 3", "abc", &["200"][..], &["POST /sea [abc]"][..]),
        ("POST /sea HTTP/1.0", "X: y", "abc", &["200"], &["POST /sea"]),
        (
            "POST /sea HTTP/1.0",
            "Connection: keep-alive\r\nContent-Length: 3",
            "abc",
            &["200", "200"],
            &["POST /sea [abc]"],
        ),
        ("POST /sea HTTP/1.0", "Transfer-Encoding: chunked", "0\r\n\r\n", &["400"], &[]),
        ("POST /sea HTTP/1.0", "Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n", &["400"], &[]),
        ("POST /sea HTTP/1.0", "Content-Length: 3\r\nContent-Length: 3", "abc", &[BAD], &[]),
        (
            "POST /sea HTTP/1.0",
            "Expect: 100-continue\r\nContent-Length: 3",
            "abc",
            &["200"],
            &["POST /sea [abc]"],
        ),
        ("GET /sea HTTP/1.2", "X: y", "", &["400"], &[]),
        ("GET /sea HTTP/0.9", "X: y", "", &["400"], &[]),
        ("GET /sea HTTP/2.0", "X: y", "", &["400"], &[]),
        ("GET /sea HTTP/11", "X: y", "", &["400"], &[]),
        ("GET /sea http/1.1", "X: y", "", &["400"], &[]),
        ("GET /sea", "X: y", "", &["400"], &[]),
        ("GET /sea HTTP/1.1 HTTP/1.1", "X: y", "", &["400"], &[]),
        ("\r\n\r\nGET /sea HTTP/1.1", "X: y", "", &["200", "200"], &["GET /sea"]),
        ("\nGET /sea HTTP/1.1", "X: y", "", &[BAD], &[]),
        ("\rGET /sea HTTP/1.1", "X: y", "", &["400"], &[]),
    ] {
        let outcome = stand.attack(format!("{line}\r\nHost: a.test\r\n{fields}\r\n\r\n{body}")).await;
        assert_eq!(outcome.answered(), answers, "{line} {fields}");
        assert_eq!(outcome.received(), received, "{line} {fields}");
    }
    let outcome = stand.attack("GET /sea HTTP/1.0\r\n\r\n").await;
    assert_eq!(outcome.answered(), ["400 invalid_host"]);
}
