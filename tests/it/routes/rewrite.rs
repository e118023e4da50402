//! The path that the upstream is asked for: another one where the route says so, and as strict as the one that was sent.

use keyward::auth::refusal::Code;

use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::h2_upstream::H2Upstream;
use crate::support::upstream::Upstream;

const ROUTES: &str = "routes:
  - { name: strip, match: { path_prefix: /v1/orders }, auth: public, upstream: api, rewrite: { strip_prefix: /v1 } }
  - { name: all-off, match: { path_prefix: /off }, auth: public, upstream: api, rewrite: { strip_prefix: /off } }
  - { name: prefix, match: { path_prefix: /old }, auth: public, upstream: api, rewrite: { prefix: /new/place } }
  - { name: exact, match: { path: /status }, auth: public, upstream: api, rewrite: { path: /internal/status } }
  - name: pattern
    match: { path_pattern: \"/users/{id}/files/{*rest}\" }
    auth: public
    upstream: api
    rewrite: { path: \"/store/{id}/{*rest}\" }
  - name: segment
    match: { path_pattern: \"/users/{id}\" }
    auth: public
    upstream: api
    rewrite: { path: \"/accounts/{id}/profile\" }
  - name: loose
    match: { path_prefix: /loose }
    auth: public
    upstream: api
    path: { allow: [double_slash, encoded_slash, semicolon, encoded_percent, backslash, non_utf8] }
    rewrite: { strip_prefix: /loose }
  - { name: admin, match: { path_prefix: /admin }, upstream: api, rewrite: { prefix: /internal/admin } }
  - { name: admin-exact, match: { path: /only }, upstream: api, rewrite: { path: /internal/only } }
  - name: admin-pattern
    match: { path_pattern: \"/box/{id}\" }
    upstream: api
    rewrite: { path: \"/internal/{id}\" }
";

/// What is asked for, and what the upstream then sees.
const PATHS: [(&str, &str); 22] = [
    ("/v1/orders", "/orders"),
    ("/v1/orders/7?x=/v1&y=%2F", "/orders/7?x=/v1&y=%2F"),
    ("/%761/orders/%7e", "/orders/~"),
    ("/off", "/"),
    ("/off/", "/"),
    ("/off?q", "/?q"),
    ("/off/off", "/off"),
    ("/old", "/new/place"),
    ("/old/", "/new/place/"),
    ("/old/a/old", "/new/place/a/old"),
    ("/status?verbose", "/internal/status?verbose"),
    ("/users/7/files/a/b.txt", "/store/7/a/b.txt"),
    ("/users/7/files/", "/store/7/"),
    ("/users/%7B*rest%7D/files/x", "/store/%7B*rest%7D/x"),
    ("/users/a%20b", "/accounts/a%20b/profile"),
    ("/users/%7Bid%7D?id=1", "/accounts/%7Bid%7D/profile?id=1"),
    ("/users/$1", "/accounts/$1/profile"),
    ("/loose//a", "//a"),
    ("/loose/a%2fb", "/a%2Fb"),
    ("/loose/a;b\\c", "/a;b\\c"),
    ("/loose/%25/%ff", "/%25/%FF"),
    ("/loose", "/"),
];

#[tokio::test]
async fn the_upstream_is_asked_for_the_path_that_the_route_makes_of_it() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = gateway.anonymous();
    let mut http2 = H2::connect(gateway.public()).await;
    for (sent, seen) in PATHS {
        let response = client.get(sent).await;
        assert_eq!((response.status, response.json()["target"].as_str()), (200, Some(seen)), "{sent}");
        if !sent.contains('\\') {
            assert_eq!(http2.get(sent).await.json()["target"], seen, "{sent}");
        }
    }
    // What was there before is told to nobody, and what a client says was there neither.
    let response = client
        .request("GET", "/old/x")
        .header("X-Original-URI", "/admin")
        .header("X-Rewrite-URL", "/admin")
        .header("X-Forwarded-Prefix", "/admin")
        .send()
        .await;
    let fields = response.json()["headers"].to_string().to_lowercase();
    assert!(!fields.contains("/old") && !fields.contains("/admin"), "{fields}");
}

#[tokio::test]
async fn an_upstream_of_http2_is_asked_for_the_same() {
    let backend = H2Upstream::echo().await;
    let gateway = Gateway::builder().http2("api", &[&backend.url()]).yaml(ROUTES).start().await;
    let mut client = gateway.anonymous();
    let plain: Vec<_> = PATHS.iter().filter(|(sent, _)| !sent.contains('\\')).collect();
    for (sent, _) in &plain {
        assert_eq!(client.get(sent).await.status, 200, "{sent}");
    }
    let seen: Vec<String> = backend.requests().iter().map(|request| request.path.clone()).collect();
    assert_eq!(seen, plain.iter().map(|(_, seen)| (*seen).to_owned()).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_that_is_captured_becomes_a_separator_a_dot_segment_or_a_query() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = gateway.anonymous();
    for path in [
        "/users/..%2fadmin",
        "/users/%2e%2e",
        "/users/a%2Fb",
        "/users/a%3Fb",
        "/users/a%23b",
        "/users/%252e%252e",
        "/users/7/files/../../admin",
        "/users/7/files/%2e%2e/x",
        "/users/7/files//x",
        "/users/7/files/x/..",
        "/old/../admin",
        "/old//admin",
        "/old/%2e%2e/admin",
        "/v1/orders//evil.example",
        "/off//evil.example",
        "/off/..",
        "/off/.",
        "/loose/..",
        "/loose/%252e%252e/x",
        "/loose/..;x/y",
        "/loose/a%2f..%2fb",
        "/loose//..",
        "/loose\\..\\x",
    ] {
        client.get(path).await.refused(Code::AmbiguousPath);
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn no_spelling_slips_past_a_rewritten_route() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = gateway.anonymous();
    for path in [
        "/%61dmin",
        "/admin/x",
        "/%61%64%6D%69%6E/x",
        "/admin/%78",
        "/only",
        "/%6fnly",
        "/onl%79?x",
        "/box/1",
        "/%62ox/1",
        "/box/%31",
    ] {
        client.get(path).await.refused(Code::MissingCredentials);
    }
    // Nor does a route that is looser than they are lead to them, whatever is left of its paths.
    for path in
        ["/loose/..%2fadmin", "/loose%2f..%2fadmin", "//admin", "/admin%2fx", "/box/1%2f2", "/admin;x"]
    {
        let response = client.get(path).await;
        assert!(matches!(response.status, 400 | 404), "{path}: {}", response.status);
    }
    assert_eq!(upstream.requests().len(), 0);
    let mut holder = gateway.client().await;
    for (sent, seen) in [
        ("/%61dmin", "/internal/admin"),
        ("/admin/x", "/internal/admin/x"),
        ("/%6fnly", "/internal/only"),
        ("/box/%31", "/internal/1"),
    ] {
        assert_eq!(holder.get(sent).await.json()["target"], seen, "{sent}");
    }
}
