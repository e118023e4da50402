//! Bodies of refusals in the operator's own words.

use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::upstream::Upstream;

const ROUTES: &str = "routes:
  - name: shop
    match: { path_prefix: /shop }
    auth: { required: { scopes: [\"orders:write\"] } }
    upstream: api
    errors:
      - codes: [missing_credentials, invalid_credentials]
        content_type: text/html; charset=utf-8
        body: \"<h1>Please log in</h1><p>{detail} ({request_id})</p>\"
      - codes: [insufficient_scope]
        content_type: application/json
        body: '{\"error\": {\"code\": \"{code}\", \"status\": {status}, \"text\": \"{detail}\", \"id\": \"{request_id}\"}}'
  - { name: plain, match: { path_prefix: /plain }, upstream: api }
";

#[tokio::test]
async fn a_refusal_has_the_body_that_its_route_gives_it_and_all_its_fields() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = gateway.anonymous();
    let response = client.request("GET", "/shop").header("Accept", "application/json").send().await;
    let id = response.header("x-request-id").unwrap();
    assert_eq!((response.status, response.header("content-type")), (401, Some("text/html; charset=utf-8")));
    let text = response.text();
    assert!(
        text.starts_with("<h1>Please log in</h1><p>") && text.ends_with(&format!("({id})</p>")),
        "{text}"
    );
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(response.header("www-authenticate").unwrap().starts_with("Bearer realm="));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));

    let reader = gateway.key_with(&["orders:read"]).await.secret;
    let response = gateway.anonymous().with_key(&reader).get("/shop").await;
    let error = &response.json()["error"];
    assert_eq!((error["code"].as_str(), error["status"].as_u64()), (Some("insufficient_scope"), Some(403)));
    assert_eq!(error["id"].as_str(), response.header("x-request-id"));

    let response = client.request("HEAD", "/shop").send().await;
    assert_eq!((response.status, response.text()), (401, ""));
    assert_ne!(response.header("content-length"), Some("0"));
}

#[tokio::test]
async fn a_body_may_stand_in_a_file_of_its_own() {
    use std::path::Path;

    use keyward::config::parse;

    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("login.html"), "<h1>Log in</h1>\n<p>{detail}</p>\n").unwrap();
    std::fs::write(folder.path().join("large.html"), "x".repeat(65 * 1024)).unwrap();
    std::fs::write(folder.path().join("other.html"), b"\xFF").unwrap();
    let yaml = |file: &str| {
        format!(
            "upstreams: [{{ name: api, endpoints: [{{ url: \"http://127.0.0.1:9\" }}] }}]
routes:
  - name: shop
    match: {{ path_prefix: /shop }}
    upstream: api
    errors: [{{ codes: [missing_credentials], content_type: text/html, body_file: {file} }}]
"
        )
    };
    let read = |file: &str, folder: &Path| parse(&yaml(file), "test.yaml", folder, &|_| None);
    let config = read("login.html", folder.path()).unwrap().config;
    assert!(config.routes[0].own_body(keyward::auth::refusal::Code::MissingCredentials).is_some());
    for (file, why) in
        [("none.html", "not found"), ("large.html", "larger than 64 KiB"), ("other.html", "UTF-8")]
    {
        let told = read(file, folder.path()).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn other_codes_and_other_routes_are_told_as_ever() {
    use keyward::auth::refusal::Code;

    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = gateway.anonymous();
    client.get("/plain").await.refused(Code::MissingCredentials);
    client.get("/nowhere").await.refused(Code::NoRoute);
    let malformed = client.request("GET", "/shop").header("Authorization", "Bearer a b").send().await;
    malformed.refused(Code::InvalidRequest);
}

const COMMON: &str = "identity: { public_url: http://auth.test, insecure_http: true }
errors:
  type_base: \"urn:keyward:error:\"
  bodies:
    - codes: [no_route, missing_credentials, ambiguous_path]
      content_type: application/json
      body: '{\"common\": \"{code}\", \"id\": \"{request_id}\"}'
";

#[tokio::test]
async fn refusals_whose_route_has_no_body_for_them_and_those_without_a_route_have_the_common_one() {
    use keyward::auth::refusal::Code;

    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, &format!("{COMMON}{ROUTES}")).await;
    let mut client = gateway.anonymous();
    for (target, status, code) in [
        ("/plain", 401, "missing_credentials"),
        ("/nowhere", 404, "no_route"),
        ("/a/../b", 400, "ambiguous_path"),
    ] {
        let response = client.get(target).await;
        let id = response.header("x-request-id").unwrap();
        assert_eq!((response.status, response.header("content-type")), (status, Some("application/json")));
        assert_eq!(response.text(), format!("{{\"common\": \"{code}\", \"id\": \"{id}\"}}"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("www-authenticate").is_some(), status == 401);
    }
    let own = client.get("/shop").await;
    assert_eq!(own.header("content-type"), Some("text/html; charset=utf-8"), "its route's goes first");
    client
        .request("GET", "/plain")
        .header("Authorization", "Bearer x y")
        .send()
        .await
        .refused(Code::InvalidRequest);
    let mut identity = gateway.anonymous().with_host("auth.test");
    identity.get("/user/limits").await.refused(Code::MissingCredentials);
    let mut client = H2::connect(gateway.public()).await;
    let request = client.request("POST", "/plain").header("content-type", "application/grpc");
    let whole = client.ask(request).await.whole().await;
    assert_eq!((whole.header("grpc-status"), whole.text()), (Some("16"), ""));
}

#[tokio::test]
async fn a_grpc_client_is_told_by_a_status_and_nothing_else() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, ROUTES).await;
    let mut client = H2::connect(gateway.public()).await;
    let request = client.request("POST", "/shop").header("content-type", "application/grpc");
    let whole = client.ask(request).await.whole().await;
    assert_eq!((whole.status, whole.header("grpc-status"), whole.text()), (200, Some("16"), ""));
    assert_eq!(whole.header("content-type"), Some("application/grpc"));
}
