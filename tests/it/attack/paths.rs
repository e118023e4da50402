//! Ways to name a protected place that is not recognised as such: path, target, host and method.

use super::{PATTERNS, Stand};

pub(super) const MISSING: &str = "401 missing_credentials";
pub(super) const AMBIGUOUS: &str = "400 ambiguous_path";
pub(super) const BAD: &str = "400 bad_request";
pub(super) const HOST: &str = "400 invalid_host";
pub(super) const NO_ROUTE: &str = "404 no_route";
const METHOD: &str = "405 method_not_allowed";
/// No request could be read.
pub(super) const BARE: &str = "400";

/// Methods, known and not.
pub(super) const METHODS: &[&str] = &[
    "GET",
    "HEAD",
    "OPTIONS",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "TRACE",
    "PROPFIND",
    "PURGE",
    "get",
    "Get",
    "head",
    "options",
    "GETT",
    "FOO",
    "X",
    "0",
    "-",
    "M-SEARCH",
    "!#$%&'*+-.^_`|~",
];

/// Fields that decide nothing here, whatever they do elsewhere.
pub(super) const NO_FIELD: &[&str] = &[
    "X-Original-URL: /opt",
    "X-Original-URI: /opt",
    "X-Rewrite-URL: /opt",
    "X-Forwarded-Uri: /opt",
    "X-Forwarded-Host: c.test",
    "X-Forwarded-Prefix: /opt",
    "X-Forwarded-Method: PUT",
    "X-Forwarded-Proto: https",
    "X-Forwarded-For: 127.0.0.1",
    "X-Original-Method: OPTIONS",
    "X-HTTP-Method-Override: OPTIONS",
    "X-Method-Override: PUT",
    "Forwarded: host=c.test;proto=https",
    "X-Host: c.test",
    "X-Real-IP: 127.0.0.1",
    "User-Agent: kube-probe/1.30",
    "User-Agent: GoogleHC/1.0",
    "Upgrade: websocket\r\nConnection: Upgrade",
    "Connection: close, authorization",
    "Content-Location: /opt",
    "Referer: http://a.test/opt",
    "Origin: http://a.test\r\nAccess-Control-Request-Method: GET",
    "Cookie: session=root",
    "Accept: application/grpc\r\nContent-Type: application/grpc",
];

/// Asks `GET target` of `host` without a credential; `want` is a refusal, or the target that reaches the upstream.
pub(super) async fn judge(stand: &Stand, host: &str, target: &str, want: &str) {
    let outcome = stand.ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}")).await;
    let (answered, received) = (outcome.answered(), outcome.received());
    if want.starts_with('/') {
        assert_eq!(answered, ["200"], "{host} {target}");
        assert_eq!(received, [format!("GET {want}")], "{host} {target}");
        let request = &outcome.forwarded[0];
        assert!(request.headers.iter().all(|(name, _)| !name.starts_with("x-auth-")), "{request:?}");
    } else {
        assert_eq!(answered, [want], "{host} {target}");
        assert_eq!(received, [""; 0], "{host} {target}");
    }
}

#[tokio::test]
async fn no_spelling_of_what_is_under_a_prefix_is_served_without_a_credential() {
    let stand = Stand::start().await;
    for (target, want) in [
        ("/admin/", MISSING),
        ("/admin/x", MISSING),
        ("/admin/x/", MISSING),
        ("/admin/%2", AMBIGUOUS),
        ("/%61%64%6d%69%6e/x", MISSING),
        ("/%61%64%6D%69%6E", MISSING),
        ("/admi%6e/", MISSING),
        ("/admin%2f", AMBIGUOUS),
        ("/admin%2Fx", AMBIGUOUS),
        ("/admin%5cx", AMBIGUOUS),
        ("/admin\\x", AMBIGUOUS),
        ("/admin;/x", AMBIGUOUS),
        ("/admin;x=y/x", AMBIGUOUS),
        ("/admin//x", AMBIGUOUS),
        ("/admin/;x", AMBIGUOUS),
        ("/admin/x;y", AMBIGUOUS),
        ("/admin/%2e%2e/opt", AMBIGUOUS),
        ("/admin/...", MISSING),
        ("/admin/..x", MISSING),
        ("/admin/x%20", MISSING),
        ("/exact/", "/exact/"),
        ("/exact/x", "/exact/x"),
        ("/only", MISSING),
        ("/only/x", MISSING),
        ("/opt", "/opt"),
        ("/opt/x", "/opt/x"),
        ("/fwd/x", "/fwd/x"),
        ("/own/x", "/own/x"),
        ("/fixed/x", "/fixed/x"),
        // A path's case is its own.
        ("/ADMIN", "/ADMIN"),
        ("/Admin/x", "/Admin/x"),
        ("/%41dmin", "/Admin"),
    ] {
        judge(&stand, "a.test", target, want).await;
    }
}

#[tokio::test]
async fn no_spelling_of_what_a_pattern_serves_is_served_without_a_credential() {
    let stand = Stand::start().await;
    for (target, want) in [
        ("/users/1", MISSING),
        ("/users/%31", MISSING),
        ("/%75sers/1", MISSING),
        ("/users/1?x", MISSING),
        ("/users/a%20b", MISSING),
        ("/users/a%2fb", AMBIGUOUS),
        ("/users/a;b", AMBIGUOUS),
        ("/users/a%252fb", AMBIGUOUS),
        ("/users//1", NO_ROUTE),
        ("/users/1/2", NO_ROUTE),
        ("/users/.", AMBIGUOUS),
        ("/users/..", AMBIGUOUS),
        ("/users?/1", "/users?/1"),
        ("/files/a%2fb", MISSING),
        ("/files/a%252fb", MISSING),
        ("/files/a%2f..%2fb", AMBIGUOUS),
        ("/files/%252e%252e", AMBIGUOUS),
        ("/files%2fa", NO_ROUTE),
        ("/files/a;b", AMBIGUOUS),
        ("/files/a\\b", AMBIGUOUS),
    ] {
        judge(&stand, PATTERNS, target, want).await;
    }
}

#[tokio::test]
async fn what_a_route_allows_opens_no_other_route() {
    let stand = Stand::start().await;
    for (target, want) in [
        ("/admin", MISSING),
        ("/admin/x", MISSING),
        ("//admin", AMBIGUOUS),
        ("///admin//x", AMBIGUOUS),
        ("//b.test/admin", "//b.test/admin"),
        ("/vault", MISSING),
        ("/vault/x", "/vault/x"),
        // To who drops parameters before he decodes, as servlets do.
        ("/vault;%2Fpub", AMBIGUOUS),
        ("/vault;a%2Fb%2F", AMBIGUOUS),
        // To who merges slashes and decodes nothing.
        ("//vault", AMBIGUOUS),
        ("//vault%253B", AMBIGUOUS),
        ("/%2fadmin", AMBIGUOUS),
        ("/%5Cadmin", AMBIGUOUS),
        ("/\\admin", AMBIGUOUS),
        ("/admin;", AMBIGUOUS),
        ("/admin;x/y", AMBIGUOUS),
        ("/admin%3bx", AMBIGUOUS),
        ("/;/admin", AMBIGUOUS),
        ("/;x;y/admin", AMBIGUOUS),
        ("/admin%2f", AMBIGUOUS),
        ("/admin%2Fx", AMBIGUOUS),
        ("/admin%5cx", AMBIGUOUS),
        ("/admin\\x", AMBIGUOUS),
        ("/%2561dmin", AMBIGUOUS),
        ("/%252561dmin", AMBIGUOUS),
        ("/%25252fadmin", AMBIGUOUS),
        ("/admin%252fx", AMBIGUOUS),
        ("/admin%253bx", AMBIGUOUS),
        ("/x/%252e%252e/admin", AMBIGUOUS),
        ("/x/%25252e%25252e/y", AMBIGUOUS),
        ("/x/..%252fy", AMBIGUOUS),
        ("/x%2f..%2fadmin", AMBIGUOUS),
        ("/x/..;/admin", AMBIGUOUS),
        ("/x//../admin", AMBIGUOUS),
        ("/x\\..\\admin", AMBIGUOUS),
        ("/%c0%aeadmin", AMBIGUOUS),
        ("/x/%e0%80%ae%e0%80%ae/admin", AMBIGUOUS),
        ("/admin%00;", AMBIGUOUS),
        ("/admin%23", AMBIGUOUS),
        ("/a//b", "/a//b"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%5cb\\c", "/a%5Cb\\c"),
        ("/a;b=c/d;e", "/a;b=c/d;e"),
        ("/a%3bb", "/a%3Bb"),
        ("/100%25", "/100%25"),
        ("/a%253Fb", "/a%253Fb"),
        ("/%ff", "/%FF"),
        ("//", "//"),
        ("/;", "/;"),
        ("/x;/admin", "/x;/admin"),
        ("/get;x", "/get;x"),
    ] {
        judge(&stand, "b.test", target, want).await;
    }
    let post = stand.ask("POST //get/x HTTP/1.1\r\nHost: b.test\r\nContent-Length: 0").await;
    assert_eq!(post.answered(), [AMBIGUOUS], "a method that the other reading's route does not serve");
}

#[tokio::test]
async fn no_host_leads_around_a_route() {
    let stand = Stand::start().await;
    for (host, want) in [
        ("a.test", MISSING),
        ("A.TEST", MISSING),
        ("a.Test:80", MISSING),
        ("a.test:8080", MISSING),
        ("a.test:65535", MISSING),
        ("a.test.", MISSING),
        ("a.test.:443", MISSING),
        ("b.test", MISSING),
        ("", HOST),
        ("a.test..", HOST),
        (".a.test", HOST),
        ("a..test", HOST),
        ("a.test:", HOST),
        ("a.test:0", HOST),
        ("a.test:080", HOST),
        ("a.test:65536", HOST),
        ("a.test:+80", HOST),
        ("a.test:http", HOST),
        ("a.test:80:80", HOST),
        ("a.test, b.test", HOST),
        ("a.test b.test", HOST),
        ("a.test,c.test", HOST),
        ("c.test\r\nHost: a.test", HOST),
        ("a.test\r\nHost: a.test", HOST),
        ("a.test\r\nhOST: c.test", HOST),
        ("a.test@c.test", HOST),
        ("c.test@a.test", HOST),
        ("a.test/", HOST),
        ("a.test/opt", HOST),
        ("a.test?x", HOST),
        ("a.test#x", HOST),
        ("a.test;x", HOST),
        ("a.test\\", HOST),
        ("http://a.test", HOST),
        ("//a.test", HOST),
        ("a%2etest", HOST),
        ("%61.test", HOST),
        ("*", HOST),
        ("*.test", HOST),
        ("\u{e1}.test", HOST),
        ("a\u{2024}test", HOST),
        ("a.test\u{a0}", HOST),
        ("[::1", HOST),
        ("[::1]x", HOST),
        ("[::ffff:a.test]", HOST),
        ("a.test\t", MISSING),
        ("\t a.test", MISSING),
        ("a.te\0st", BARE),
        ("a.test\r", BARE),
        ("c.test\r\n a.test", BARE),
        ("c.test", NO_ROUTE),
        ("xa.test", NO_ROUTE),
        ("x.a.test", NO_ROUTE),
        ("a.test.evil", NO_ROUTE),
        ("a_test", NO_ROUTE),
        ("a", NO_ROUTE),
        ("127.0.0.1", NO_ROUTE),
        ("[::1]", NO_ROUTE),
        ("[::1]:80", NO_ROUTE),
        ("0x7f000001", NO_ROUTE),
    ] {
        judge(&stand, host, "/admin/x", want).await;
    }
    let outcome = stand.attack("GET /admin HTTP/1.1\r\nX: y\r\n\r\n").await;
    assert_eq!(outcome.answered(), [HOST], "no host at all");
    // Underscored it is another field, which is nobody's host.
    let outcome = stand.attack("GET /admin HTTP/1.1\r\nHost : a.test\r\n\r\n").await;
    assert_eq!(outcome.answered(), [BARE]);
}

#[tokio::test]
async fn no_method_is_served_where_a_credential_is_due() {
    let stand = Stand::start().await;
    let long = "A".repeat(200);
    for method in METHODS.iter().copied().chain([long.as_str()]) {
        for (host, place) in [("a.test", "/admin"), ("a.test", "/exact"), (PATTERNS, "/users/1")] {
            let outcome = stand.ask(&format!("{method} {place} HTTP/1.1\r\nHost: {host}")).await;
            assert_eq!(outcome.answers[0].status, 401, "{method} {place}");
            assert_eq!(outcome.received(), [""; 0], "{method} {place}");
        }
    }
    for (line, want) in [
        ("PUT /only", METHOD),
        ("OPTIONS /only", METHOD),
        ("get /only", METHOD),
        ("POST /only", MISSING),
        ("CONNECT /admin", BAD),
        ("CONNECT a.test:80", BAD),
        ("CONNECT a.test", BAD),
        ("OPTIONS *", BAD),
        ("GET *", BAD),
        ("G(T /admin", BARE),
        ("G@T /admin", BARE),
        ("G/T /admin", BARE),
        ("G\tT /admin", BARE),
        ("G\u{e9}T /admin", BARE),
        ("\0GET /admin", BARE),
        ("GET  /admin", BARE),
        ("GET\t/admin", BARE),
        ("GET /admin  ", BARE),
        (" GET /admin", BARE),
    ] {
        let outcome = stand.ask(&format!("{line} HTTP/1.1\r\nHost: a.test")).await;
        assert_eq!((outcome.answered(), outcome.received()), (vec![want.to_owned()], vec![]), "{line}");
    }
}

#[tokio::test]
async fn no_field_decides_which_route_serves() {
    let stand = Stand::start().await;
    for field in NO_FIELD {
        let outcome = stand.ask(&format!("GET /admin HTTP/1.1\r\nHost: a.test\r\n{field}")).await;
        assert_eq!((outcome.answered(), outcome.received()), (vec![MISSING.to_owned()], vec![]), "{field}");
    }
}

#[tokio::test]
async fn a_credential_opens_what_it_is_for_in_every_harmless_spelling() {
    let stand = Stand::start().await;
    let key = &stand.key.secret;
    for (target, want) in [
        ("/admin", "/admin"),
        ("/%61dmin/%7e?a=%2f", "/admin/~?a=%2f"),
        ("http://a.test/admin", "/admin"),
        ("/exact", "/exact"),
        ("/only/x", "/only/x"),
        ("/opt", "/opt"),
    ] {
        let outcome =
            stand.ask(&format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {key}")).await;
        assert_eq!(
            (outcome.answered(), outcome.received()),
            (vec!["200".to_owned()], vec![format!("GET {want}")])
        );
        assert_eq!(outcome.forwarded[0].header("x-auth-credential"), Some(stand.key.id.as_str()), "{target}");
    }
    for target in ["/write", "/%77rite", "/write/x"] {
        let outcome =
            stand.ask(&format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {key}")).await;
        assert_eq!(outcome.answered(), ["403 insufficient_scope"], "{target}");
        assert_eq!(outcome.received(), [""; 0]);
    }
}
