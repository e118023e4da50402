//! Routes without an upstream: redirects and fixed answers.

use keyward::auth::refusal::Code;

use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::upstream::Upstream;

const ROUTES: &str = "routes:
  - { name: plain, match: { path_prefix: /plain }, auth: public, redirect: { to: \"https://www.example.com\" } }
  - name: keep
    match: { path_prefix: /keep }
    auth: public
    path: { allow: [double_slash, encoded_slash, backslash, semicolon, encoded_percent] }
    redirect: { to: \"https://new.example.com/base/\", status: 301, keep_path: true, keep_query: true }
    rewrite: { strip_prefix: /keep }
  - name: near
    match: { path_prefix: /near }
    auth: public
    path: { allow: [double_slash, backslash, encoded_slash] }
    redirect: { to: /, status: 307, keep_path: true }
    rewrite: { strip_prefix: /near }
  - { name: kept, match: { path: /members }, redirect: { to: /members/, status: 303 } }
  - name: fixed
    match: { path: /robots.txt, methods: [GET] }
    auth: public
    answer: { body: \"User-agent: *\" }
  - name: json
    match: { path: /gone }
    auth: public
    answer: { status: 410, content_type: application/json, body: '{\"gone\": true}' }
  - { name: empty, match: { path: /empty }, auth: public, answer: { status: 204 } }
  - { name: mine, match: { path: /mine }, auth: { required: { scopes: [\"orders:write\"] } }, answer: { body: yours } }
";

async fn gateway() -> (Gateway, Upstream) {
    let upstream = Upstream::echo().await;
    (Gateway::with(&upstream, ROUTES).await, upstream)
}

#[tokio::test]
async fn a_redirect_leads_where_the_configuration_says_and_nowhere_else() {
    let (gateway, upstream) = gateway().await;
    let mut client = gateway.anonymous();
    let mut http2 = H2::connect(gateway.public()).await;
    for (sent, status, to) in [
        ("/plain", 308, "https://www.example.com/"),
        ("/plain/a?b", 308, "https://www.example.com/"),
        ("/keep", 301, "https://new.example.com/base/"),
        ("/keep/a%2fb?x=1&y=//z", 301, "https://new.example.com/base/a%2Fb?x=1&y=//z"),
        ("/keep//evil.example/x", 301, "https://new.example.com/base/evil.example/x"),
        ("/keep/@evil.example", 301, "https://new.example.com/base/@evil.example"),
        ("/near/a?b", 307, "/a"),
        ("/near//evil.example", 307, "/evil.example"),
        ("/near///evil.example//x", 307, "/evil.example//x"),
        ("/near/\\evil.example", 307, "/%5Cevil.example"),
        ("/near//\\evil.example", 307, "/%5Cevil.example"),
        ("/near/%5Cevil.example", 307, "/%5Cevil.example"),
        ("/near/%2Fevil.example", 307, "/%2Fevil.example"),
        ("/near", 307, "/"),
    ] {
        let response = client.get(sent).await;
        assert_eq!((response.status, response.header("location")), (status, Some(to)), "{sent}");
        assert_eq!((response.text(), response.header("content-length")), ("", Some("0")));
        assert!(response.header("x-request-id").is_some());
        if !sent.contains('\\') {
            assert_eq!(http2.get(sent).await.header("location"), Some(to), "{sent}");
        }
    }
    for host in ["evil.example", "evil.example:80"] {
        let response = gateway.anonymous().with_host(host).get("/keep/a").await;
        assert_eq!(response.header("location"), Some("https://new.example.com/base/a"));
    }
    assert_eq!(upstream.connections().len(), 0);
}

#[tokio::test]
async fn a_fixed_answer_is_always_the_same() {
    let (gateway, upstream) = gateway().await;
    let mut client = gateway.anonymous();
    for _ in 0..2 {
        let response = client.get("/robots.txt?x").await;
        assert_eq!((response.status, response.text()), (200, "User-agent: *"));
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    }
    let response = client.request("HEAD", "/robots.txt").send().await;
    assert_eq!((response.status, response.text(), response.header("content-length")), (200, "", Some("13")));
    client.post("/robots.txt", "").await.refused(Code::MethodNotAllowed);
    let response = client.post("/gone", vec![b'x'; 100_000]).await;
    assert_eq!((response.status, response.header("content-type")), (410, Some("application/json")));
    assert_eq!(response.json(), serde_json::json!({ "gone": true }));
    let response = client.get("/empty").await;
    assert_eq!((response.status, response.header("content-length"), response.text()), (204, None, ""));
    let mut http2 = H2::connect(gateway.public()).await;
    assert_eq!(http2.get("/gone").await.status, 410);
    assert_eq!(http2.post("/gone", "body").await.status, 410);
    assert_eq!(upstream.connections().len(), 0);
}

/// An answer of Keyward's own is judged like any other: by the credential, the scopes and the limits.
#[tokio::test]
async fn who_may_pass_is_what_the_route_says() {
    let (gateway, _) = gateway().await;
    let mut nobody = gateway.anonymous();
    nobody.get("/members").await.refused(Code::MissingCredentials);
    nobody.get("/mine").await.refused(Code::MissingCredentials);
    let reader = gateway.key_with(&["orders:read"]).await;
    let mut reader = gateway.anonymous().with_key(&reader.secret);
    reader.get("/mine").await.refused(Code::InsufficientScope);
    assert_eq!(reader.get("/members").await.header("location"), Some("/members/"));
    assert_eq!(gateway.client().await.get("/mine").await.text(), "yours");
}

#[tokio::test]
async fn limits_count_what_keyward_answers_itself() {
    let upstream = Upstream::echo().await;
    let yaml = "limits: { account: { per_minute: 2 } }\n".to_owned() + ROUTES;
    let gateway = Gateway::with(&upstream, &yaml).await;
    let mut client = gateway.client().await;
    assert_eq!(client.get("/mine").await.header("ratelimit"), Some("\"minute\";r=1;t=60"));
    assert_eq!(client.get("/members").await.status, 303);
    client.get("/mine").await.refused(Code::RateLimited);
}
