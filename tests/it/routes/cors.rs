//! Pages of other origins: preflights, and fields on answers and refusals.

use keyward::auth::refusal::Code;

use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::raw::Response;
use crate::support::upstream::{Answer, Upstream};

const APP: &str = "https://app.example.com";

const ROUTES: &str = "routes:
  - name: orders
    match: { path_prefix: /orders, methods: [GET, POST] }
    auth: { required: { scopes: [\"orders:read\"] } }
    upstream: api
    cors:
      origins: [https://app.example.com, \"http://localhost:3000\"]
      headers: [Authorization, X-Trace]
      exposed: [X-Request-Id, RateLimit]
      credentials: true
      max_age: 1h
    limits: { per_minute: 2 }
  - { name: open, match: { path_prefix: /open }, upstream: api, cors: { origins: [\"*\"] } }
  - { name: plain, match: { path_prefix: /plain }, upstream: api }
  - { name: fixed, match: { path: /fixed }, auth: public, answer: { body: x }, cors: { origins: [https://app.example.com] } }
  - name: loose
    match: { path_prefix: /loose }
    auth: public
    upstream: api
    cors: { origins: [\"*\"] }
";

async fn gateway() -> (Gateway, Upstream) {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/orders/broken" => Answer::close(),
        _ => Answer::new(200)
            .header("access-control-allow-origin", "*")
            .header("access-control-allow-credentials", "true")
            .header("access-control-expose-headers", "x-secret")
            .header("access-control-max-age", "9")
            .header("vary", "accept")
            .body("ok"),
    })
    .await;
    (Gateway::with(&upstream, ROUTES).await, upstream)
}

async fn preflight(gateway: &Gateway, path: &str, origin: &str, method: &str) -> Response {
    let mut client = gateway.anonymous();
    let request = client.request("OPTIONS", path).header("Origin", origin);
    request
        .header("Access-Control-Request-Method", method)
        .header("Access-Control-Request-Headers", "authorization, x-trace")
        .send()
        .await
}

/// The fields of CORS, sorted.
fn said(response: &Response) -> Vec<(String, String)> {
    let mut said: Vec<_> =
        response.headers.iter().filter(|(name, _)| name.starts_with("access-control-")).cloned().collect();
    said.sort();
    said
}

fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| (format!("access-control-{name}"), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_star_stands_for_one_label_and_nothing_else() {
    let upstream = Upstream::echo().await;
    let routes = "routes:
  - name: all
    match: { path_prefix: / }
    auth: public
    upstream: api
    cors: { origins: [\"https://*.example.com\", \"http://*.localhost:3000\"], credentials: true }
";
    let gateway = Gateway::with(&upstream, routes).await;
    for (origin, admitted) in [
        ("https://app.example.com", true),
        ("https://a-1_b.example.com", true),
        ("http://app.localhost:3000", true),
        ("https://example.com", false),
        ("https://.example.com", false),
        ("https://a.b.example.com", false),
        ("https://evil.com/.example.com", false),
        ("https://evil.com#.example.com", false),
        ("https://evil.com?.example.com", false),
        ("https://u@evil.example.com", false),
        ("https://evil-example.com", false),
        ("https://appexample.com", false),
        ("https://app.example.com.evil.test", false),
        ("https://app.example.com:8443", false),
        ("https://APP.example.com", false),
        ("http://app.example.com", false),
        ("http://app.localhost", false),
        ("https://*.example.com", false),
        ("null", false),
    ] {
        let want = if admitted {
            fields(&[("allow-credentials", "true"), ("allow-origin", origin)])
        } else {
            Vec::new()
        };
        let response = gateway.anonymous().request("GET", "/").header("Origin", origin).send().await;
        assert_eq!((said(&response), response.header("vary")), (want, Some("origin")), "{origin}");
        let preflight = preflight(&gateway, "/", origin, "PUT").await;
        assert_eq!(preflight.status, 204);
        assert_eq!(preflight.header("access-control-allow-origin"), admitted.then_some(origin), "{origin}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_credential_and_without_the_upstream() {
    let (gateway, upstream) = gateway().await;
    for (path, method) in
        [("/orders/7", "GET"), ("/orders", "POST"), ("/orders", "DELETE"), ("/%6frders", "PUT")]
    {
        let response = preflight(&gateway, path, APP, method).await;
        assert_eq!((response.status, response.text()), (204, ""), "{path} {method}");
        let want = fields(&[
            ("allow-credentials", "true"),
            ("allow-headers", "authorization, x-trace"),
            ("allow-methods", "GET, POST"),
            ("allow-origin", APP),
            ("max-age", "3600"),
        ]);
        assert_eq!(said(&response), want);
        assert_eq!(response.all("vary"), ["origin"]);
        assert!(response.header("x-request-id").is_some());
    }
    let response = preflight(&gateway, "/open/x", "https://anybody.example", "PATCH").await;
    let want = fields(&[
        ("allow-headers", "authorization, content-type"),
        ("allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("allow-origin", "*"),
        ("max-age", "600"),
    ]);
    assert_eq!((response.status, said(&response), response.all("vary")), (204, want, vec![]));
    let mut http2 = H2::connect(gateway.public()).await;
    let request = http2.request("OPTIONS", "/orders").header("origin", APP);
    let request = request.header("access-control-request-method", "GET");
    assert_eq!(http2.ask(request).await.whole().await.header("access-control-allow-origin"), Some(APP));
    assert_eq!(upstream.connections().len(), 0);
}

#[tokio::test]
async fn an_origin_that_is_not_listed_is_granted_nothing() {
    let (gateway, _) = gateway().await;
    for origin in [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "https://app.example.com:8443",
        "http://app.example.com",
        "https://APP.example.com",
        "null",
        "*",
    ] {
        let response = preflight(&gateway, "/orders", origin, "GET").await;
        assert_eq!((response.status, said(&response)), (204, vec![]), "{origin}");
        assert_eq!(response.all("vary"), ["origin"]);
        let mut client = gateway.anonymous();
        let response = client.request("GET", "/orders").header("Origin", origin).send().await;
        assert_eq!((response.status, said(&response)), (401, vec![]), "{origin}");
    }
    let mut client = gateway.anonymous();
    let twice = client.request("GET", "/orders").header("Origin", APP).header("Origin", "null").send().await;
    assert_eq!(said(&twice), []);
}

#[tokio::test]
async fn what_is_no_preflight_is_judged_like_any_request() {
    let (gateway, upstream) = gateway().await;
    preflight(&gateway, "/plain", APP, "GET").await.refused(Code::MissingCredentials);
    preflight(&gateway, "/nowhere", APP, "GET").await.refused(Code::NoRoute);
    preflight(&gateway, "/orders//x", APP, "GET").await.refused(Code::AmbiguousPath);
    preflight(&gateway, "/loose/..%2forders", APP, "GET").await.refused(Code::AmbiguousPath);
    let mut client = gateway.anonymous();
    for (method, origin, asks) in [("OPTIONS", true, false), ("OPTIONS", false, true), ("DELETE", true, true)]
    {
        let mut request = client.request(method, "/orders");
        if origin {
            request = request.header("Origin", APP);
        }
        if asks {
            request = request.header("Access-Control-Request-Method", "GET");
        }
        request.send().await.refused(Code::MethodNotAllowed);
    }
    assert_eq!(upstream.connections().len(), 0);
}

#[tokio::test]
async fn answers_and_refusals_alike_say_who_may_read_them() {
    let (gateway, upstream) = gateway().await;
    let key = gateway.key_with(&["orders:read"]).await.secret;
    let granted = fields(&[
        ("allow-credentials", "true"),
        ("allow-origin", APP),
        ("expose-headers", "x-request-id, ratelimit"),
    ]);
    let mut client = gateway.anonymous();
    let none = client.request("GET", "/orders").header("Origin", APP).send().await;
    none.refused(Code::MissingCredentials);
    assert_eq!((said(&none), none.all("vary")), (granted.clone(), vec!["accept", "origin"]));
    let mut client = gateway.anonymous().with_key(&key);
    for (path, status) in [("/orders", 200), ("/orders/broken", 502), ("/orders", 429)] {
        let response = client.request("GET", path).header("Origin", APP).send().await;
        assert_eq!((response.status, said(&response)), (status, granted.clone()));
        assert!(response.all("vary").contains(&"origin"));
    }
    let poor = gateway.key_with(&["orders:write"]).await.secret;
    let mut poor = gateway.anonymous().with_key(&poor);
    let refused = poor.request("GET", "/orders").header("Origin", APP).send().await;
    assert_eq!((refused.status, said(&refused)), (403, granted));
    let response = client.request("GET", "/fixed").header("Origin", APP).send().await;
    assert_eq!((response.status, said(&response)), (200, fields(&[("allow-origin", APP)])));
    // The upstream's own word holds where the route says nothing, and nowhere else.
    assert_eq!(said(&client.get("/plain").await).len(), 4);
    assert_eq!(said(&client.get("/open").await), fields(&[("allow-origin", "*")]));
    assert_eq!(said(&client.get("/fixed").await), []);
    assert!(upstream.requests().iter().all(|request| request.method == "GET"));
}
