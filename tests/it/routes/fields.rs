//! Fields that a route sets or takes away, on the way up and on the way back.

use keyward::auth::refusal::Code;

use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::h2_upstream::H2Upstream;
use crate::support::upstream::{Answer, Upstream};

const ROUTES: &str = "routes:
  - name: all
    match: { path_prefix: / }
    auth: public
    upstream: api
    request_fields:
      set: { X-Tenant: acme, Accept-Language: \"de, en;q=0.5\" }
      remove: [X-Debug, Accept-Encoding]
    response_fields:
      set: { Strict-Transport-Security: max-age=31536000, Cache-Control: no-store }
      remove: [Server, X-Powered-By]
  - { name: members, match: { path: /members }, upstream: api, response_fields: { set: { X-Set: a } } }
  - { name: here, match: { path: /here }, auth: public, answer: { body: x }, response_fields: { set: { X-Set: a } } }
";

fn answer() -> Answer {
    Answer::new(200)
        .header("server", "secret/1.0")
        .header("x-powered-by", "php")
        .header("cache-control", "public")
        .header("cache-control", "max-age=5")
        .header("x-kept", "yes")
        .body("ok")
}

/// Every spelling in which a client could say what the route says.
const FORGED: [(&str, &str); 6] = [
    ("x-tenant", "evil"),
    ("X_Tenant", "evil"),
    ("X.Tenant", "evil"),
    ("x-debug", "1"),
    ("X_Debug", "1"),
    ("accept-encoding", "gzip"),
];

#[tokio::test]
async fn the_upstream_sees_what_the_route_sets_and_no_copy_of_the_clients() {
    let upstream = Upstream::always(answer()).await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = gateway.anonymous();
    let forged = |request| {
        FORGED.iter().fold(request, |request: crate::support::http::Request<'_>, (name, value)| {
            request.header(name, value)
        })
    };
    forged(client.request("GET", "/").header("accept-language", "fr")).send().await;
    // `Connection` takes nothing away that the route sets.
    client.request("GET", "/").header("Connection", "x-tenant, accept-language").send().await;
    let mut http2 = H2::connect(gateway.public()).await;
    let request = FORGED.iter().fold(http2.request("GET", "/"), |request, (name, value)| {
        request.header(name.to_lowercase(), *value)
    });
    http2.ask(request).await.whole().await;
    for request in upstream.requests() {
        assert_eq!(request.header("x-tenant"), Some("acme"));
        assert_eq!(request.header("accept-language"), Some("de, en;q=0.5"));
        let others = request.names();
        assert!(
            ["x_tenant", "x.tenant", "x-debug", "x_debug", "accept-encoding"]
                .iter()
                .all(|name| !others.iter().any(|other| other.eq_ignore_ascii_case(name))),
            "{others:?}"
        );
    }
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn an_upstream_of_http2_sees_the_same() {
    let backend = H2Upstream::echo().await;
    let gateway = Gateway::builder().http2("api", &[&backend.url()]).yaml(ROUTES).start().await;
    let mut client = gateway.anonymous();
    let request = client.request("POST", "/");
    let request = FORGED.iter().fold(request, |request, (name, value)| request.header(name, value));
    let response = request.body("x").send().await;
    assert_eq!(response.header("strict-transport-security"), Some("max-age=31536000"));
    let request = backend.only_request();
    assert_eq!(request.header("x-tenant"), Some("acme"));
    let names = request.names();
    assert!(names.iter().all(|name| !name.contains("debug") && !name.contains('_')), "{names:?}");
}

/// A trailer is a field, too.
#[tokio::test]
async fn trailers_say_nothing_that_the_route_says() {
    let upstream = Upstream::always(answer()).await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut raw = gateway.raw().await;
    let response = raw
        .ask(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-tenant, x-debug, x-sum\r\n\r\n\
             1\r\nx\r\n0\r\nx-tenant: evil\r\nX_Tenant: evil\r\nx-debug: 1\r\nx-sum: 1\r\n\r\n",
        )
        .await;
    assert_eq!(response.status, 200);
    let request = upstream.only_request();
    assert_eq!(request.trailers, [("x-sum".to_owned(), "1".to_owned())]);
    assert_eq!(request.header("trailer"), Some("x-sum"));
}

#[tokio::test]
async fn clients_see_answers_as_the_route_changes_them() {
    let upstream = Upstream::always(answer()).await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let response = gateway.anonymous().get("/").await;
    let headers: Vec<(&str, &str)> = response
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| !matches!(*name, "date" | "x-request-id"))
        .collect();
    let mut sorted = headers.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            ("cache-control", "no-store"),
            ("content-length", "2"),
            ("strict-transport-security", "max-age=31536000"),
            ("x-kept", "yes"),
        ]
    );
    let http2 = H2::connect(gateway.public()).await.get("/").await;
    assert_eq!(http2.header("cache-control"), Some("no-store"));
    assert_eq!((http2.header("server"), http2.header("x-powered-by")), (None, None));
}

#[tokio::test]
async fn answers_of_the_route_itself_are_changed_and_refusals_are_not() {
    let upstream = Upstream::always(answer()).await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    assert_eq!(gateway.anonymous().get("/here").await.header("x-set"), Some("a"));
    assert_eq!(gateway.client().await.get("/members").await.header("x-set"), Some("a"));
    let refused = gateway.anonymous().get("/members").await;
    refused.refused(Code::MissingCredentials);
    assert_eq!(refused.header("x-set"), None);
}
