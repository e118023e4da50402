//! Paths of real APIs pass where their route allows them, as they were sent, and open nothing else.

use keyward::auth::refusal::Code;

use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::upstream::Upstream;

const ROUTES: &str = "routes:
  - { name: npm, match: { path_prefix: /npm }, auth: public, upstream: api, path: { allow: [encoded_slash] }, rewrite: { strip_prefix: /npm } }
  - name: gitlab
    match: { path_pattern: \"/api/v4/projects/{id}/{*rest}\" }
    auth: public
    upstream: api
    path: { allow: [encoded_slash] }
  - { name: s3, match: { path_prefix: /bucket }, auth: public, upstream: api, path: { allow: [double_slash, encoded_percent, semicolon] } }
  - { name: strict, match: { path_prefix: /strict }, auth: public, upstream: api }
  - { name: admin, match: { path_prefix: /admin }, upstream: api }
  - { name: gitlab-admin, match: { path: /api/v4/admin }, upstream: api }
";

const PATHS: [(&str, &str); 9] = [
    ("/npm/@scope%2fpackage", "/@scope%2Fpackage"),
    ("/npm/@scope%2Fpackage/-/package-1.0.0.tgz", "/@scope%2Fpackage/-/package-1.0.0.tgz"),
    ("/npm/-/package/@scope%2fname/dist-tags", "/-/package/@scope%2Fname/dist-tags"),
    (
        "/api/v4/projects/group%2Fproject/merge_requests?state=opened",
        "/api/v4/projects/group%2Fproject/merge_requests?state=opened",
    ),
    (
        "/api/v4/projects/a%2Fb%2Fc/repository/files/src%2Fmain%2Ers/raw",
        "/api/v4/projects/a%2Fb%2Fc/repository/files/src%2Fmain.rs/raw",
    ),
    ("/bucket//leading/key", "/bucket//leading/key"),
    ("/bucket/a//b///c", "/bucket/a//b///c"),
    ("/bucket/100%25/x;v=1", "/bucket/100%25/x;v=1"),
    ("/bucket/dir/", "/bucket/dir/"),
];

#[tokio::test]
async fn they_reach_the_upstream_as_they_were_sent() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let (mut client, mut http2) = (gateway.anonymous(), H2::connect(gateway.public()).await);
    for (sent, seen) in PATHS {
        assert_eq!(client.get(sent).await.json()["target"], seen, "{sent}");
        assert_eq!(http2.get(sent).await.json()["target"], seen, "{sent}");
    }
}

#[tokio::test]
async fn they_open_nothing_else() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = gateway.anonymous();
    for path in [
        "/strict/@scope%2fpackage",
        "/strict//a",
        "/npm/..%2f..%2fadmin",
        "/npm/%2e%2e%2fadmin",
        "/npm%2f..%2fadmin",
        "/npm/a//b",
        "/api/v4/projects/..%2f..%2fadmin/x",
        "/api/v4/projects/x%2f..%2f..%2fadmin/x",
        "/bucket/../admin",
        "/bucket/..;/admin",
        "/bucket/%252e%252e/admin",
        "/bucket/a%2fb",
    ] {
        let response = client.get(path).await;
        assert!(matches!(response.status, 400 | 404), "{path}: {}", response.status);
    }
    for path in ["/%61dmin", "/%61%64min/x", "/api/v4/%61dmin", "/api/v4/adm%69n"] {
        client.get(path).await.refused(Code::MissingCredentials);
    }
    assert_eq!(upstream.requests().len(), 0);
}
