//! What `explain` tells of what a route does with a request.

use super::EMAIL;
use crate::support::binary::Home;

const CONFIG: &str = "upstreams:
  - { name: api, endpoints: [{ url: \"http://127.0.0.1:9\" }] }
  - { name: canary, endpoints: [{ url: \"http://127.0.0.1:10\" }] }
routes:
  - name: all
    match: { path_prefix: /v1 }
    upstream: api
    max: { body: 5 }
    rewrite: { strip_prefix: /v1 }
    request_fields: { set: { X-Tenant: acme }, remove: [X-Debug] }
    response_fields: { remove: [Server] }
    cors: { origins: [https://app.example.com] }
    errors: [{ codes: [missing_credentials], body: x }]
    conditions: [{ when: [{ field: X-Canary, present: true }], upstream: canary, rewrite: { prefix: /new } }]
  - { name: moved, match: { path: /moved }, redirect: { to: \"https://new.example.com\", keep_path: true } }
  - { name: fixed, match: { path: /fixed }, answer: { status: 404, body: gone } }
";

/// It cannot know what only a connection shows.
#[test]
fn explain_tells_that_a_certificate_would_do() {
    let home = Home::new(
        "upstreams: [{ name: api, endpoints: [{ url: \"http://127.0.0.1:9\" }] }]
routes:
  - { name: either, match: { path_prefix: / }, auth: { required: { certificate: true } }, upstream: api }
  - { name: maybe, match: { path: /maybe }, auth: { optional: { certificate: true } }, upstream: api }
  - { name: key, match: { path: /key }, upstream: api }
",
    );
    home.account(EMAIL);
    let (_, key) = home.key(EMAIL, &[]);
    let unseen = "a client certificate would be one on this route, and none can be shown here";
    for (url, key, code, knows) in [
        ("http://a/", "", 1, false),
        ("http://a/maybe", "", 0, false),
        ("http://a/key", "", 1, true),
        ("http://a/", &*key, 0, true),
    ] {
        let told = home.run_with_input(&["explain", "--url", url], key).exited(code);
        assert_eq!(!told.contains(unseen), knows, "{url}: {told}");
    }
}

#[test]
fn explain_tells_what_a_route_does_with_a_request() {
    let home = Home::new(CONFIG);
    home.account(EMAIL);
    let (_, key) = home.key(EMAIL, &[]);
    let explain = |url: &str, more: &[&str]| {
        home.run_with_input(&[&["explain", "--url", url][..], more].concat(), &key).exited(0)
    };
    let plain = explain("http://a/v1/orders?q=1", &[]);
    for line in [
        "rewrite     /v1/orders becomes /orders",
        "fields      of the request: sets x-tenant, removes x-debug",
        "            of the answer: removes server",
        "cors        answers and refusals say which pages of other origins may read them",
        "errors      some refusals of this route have bodies of its own",
        "upstream    api",
        "            the route has limits of time or size of its own",
    ] {
        assert!(plain.contains(line), "{line}\n{plain}");
    }
    let canary = explain("http://a/v1/orders", &["--header", "X-Canary: 1"]);
    for line in
        ["/v1/orders becomes /new/orders", "condition   number 1 of the route holds", "upstream    canary"]
    {
        assert!(canary.contains(line), "{line}\n{canary}");
    }
    let preflight = ["--method", "OPTIONS", "--header", "Origin: https://app.example.com"];
    let told = explain(
        "http://a/v1/orders",
        &[&preflight[..], &["--header", "Access-Control-Request-Method: GET"]].concat(),
    );
    assert!(told.contains("a preflight for GET: route all answers it without a credential"), "{told}");
    let moved = explain("http://a/moved", &[]);
    assert!(moved.contains("answer      308 to https://new.example.com/moved"), "{moved}");
    let fixed = explain("http://a/fixed", &[]);
    assert!(fixed.contains("answer      always the same: 404, 4 bytes"), "{fixed}");
}
