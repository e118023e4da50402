//! A certificate as a credential among others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward::auth::refusal::Code;
use keyward::issuer::ScopesChoice;

use super::{BY_URI, Bed, ROUTES, dns};
use crate::support::h2::H2;
use crate::support::keys::{self, origin};
use crate::support::sha256;

#[tokio::test]
async fn upstreams_are_told_who_it_is_and_nothing_that_the_client_made_up() {
    let bed = Bed::new(BY_URI).await;
    let shown = bed.anns();
    let mut client = bed.client(&shown).await;
    let spoofed = ["X-Auth-Subject", "X-Auth-Credential", "X-Auth-Client", "X-Auth-Scopes", "X-Auth-Method"];
    for path in ["/", "/maybe"] {
        let request = spoofed.iter().fold(client.request("GET", path), |request, name| {
            request.header(name, "evil").header(&name.replace('-', "_"), "evil")
        });
        assert_eq!(request.send().await.status, 200);
        let told = bed.upstream.requests().last().unwrap().clone();
        let digest = sha256(&shown.der);
        let expected =
            [Some(&*bed.ann), Some(&*digest), None, Some("orders:read orders:write"), Some("certificate")];
        assert_eq!(spoofed.map(|name| told.header(name)), expected, "{path}");
        assert!(told.headers.iter().all(|(_, value)| value != "evil"), "{path}: {told:?}");
    }
    assert_eq!(client.connections, 1);
}

#[tokio::test]
async fn what_the_fields_hold_is_what_counts() {
    let bed = Bed::new(BY_URI).await;
    let bens = keys::key(&bed.gateway.issuer(), &bed.ben, &["orders:read"]).await;
    let mut client = bed.client(&bed.anns()).await;
    for path in ["/", "/maybe"] {
        for bad in [keys::unknown(), "junk".to_owned()] {
            let field = format!("Bearer {bad}");
            let response = client.request("GET", path).header("Authorization", &field).send().await;
            response.refused(Code::InvalidCredentials);
        }
        let response = client.request("GET", path).header("Authorization", "Bearer").send().await;
        response.refused(Code::InvalidRequest);
        let field = format!("Bearer {}", bens.secret);
        assert_eq!(client.request("GET", path).header("Authorization", &field).send().await.status, 200);
        assert_eq!(bed.told(), Some(bed.ben.clone()));
        let told = bed.upstream.requests().last().unwrap().clone();
        assert_eq!(told.header("x-auth-method"), Some("api_key"));
        assert_eq!(client.get(path).await.status, 200);
        assert_eq!(bed.told(), Some(bed.ann.clone()));
    }
}

#[tokio::test]
async fn routes_that_do_not_say_so_take_none() {
    let bed = Bed::new(BY_URI).await;
    let mut client = bed.client(&bed.anns()).await;
    let detail = client.get("/key").await.refused(Code::MissingCredentials);
    assert!(!detail.contains("certificate"), "{detail}");
    for path in ["/open", "/anybody"] {
        assert_eq!(client.get(path).await.status, 200);
        assert_eq!(bed.told(), None, "{path}");
    }
    let mut without = bed.connecting(&bed.servers.client()).await;
    assert_eq!(without.get("/maybe").await.status, 200);
    assert_eq!(bed.told(), None);
    let mut stranger = bed.client(&bed.issue(vec![dns("stranger.test")], 1)).await;
    stranger.get("/maybe").await.refused(Code::InvalidCredentials);
    let mut clear = bed.gateway.anonymous();
    clear.get("/").await.refused(Code::MissingCredentials);
}

#[tokio::test]
async fn it_has_the_scopes_and_the_limits_of_its_account() {
    let yaml = format!("{ROUTES}limits: {{ account: {{ per_minute: 4 }} }}\n");
    let bed = Bed::with(BY_URI, &yaml).await;
    let (issuer, key) = (bed.gateway.issuer(), keys::key(&bed.gateway.issuer(), &bed.ann, &[]).await);
    let mut client = bed.client(&bed.anns()).await;
    assert_eq!(client.get("/writes").await.status, 200);
    let fewer = ScopesChoice::These(vec!["orders:read".to_owned()]);
    issuer.set_account_scopes(&bed.ann, &fewer, &origin()).await.unwrap();
    client.get("/writes").await.refused(Code::InsufficientScope);
    assert_eq!(client.get("/").await.status, 200);
    let mut by_key = bed.gateway.anonymous().with_key(&key.secret);
    assert_eq!([by_key.get("/key").await.status, by_key.get("/key").await.status], [200; 2]);
    client.get("/").await.refused(Code::RateLimited);
    by_key.get("/key").await.refused(Code::RateLimited);
}

#[tokio::test]
async fn streams_of_http2_are_judged_alike() {
    let bed = Bed::new(BY_URI).await;
    let client = bed.servers.client().offering(&["h2"]);
    let over = async |client: &crate::support::tls::Client| {
        let stream = client.connect(bed.gateway.secure(), "a.test").await;
        H2::over(stream, bed.gateway.secure(), &h2::client::Builder::new()).await
    };
    let mut shown = over(&client.clone().showing(&bed.anns())).await;
    for _ in 0..3 {
        assert_eq!(shown.get("/").await.status, 200);
        assert_eq!(bed.told(), Some(bed.ann.clone()));
    }
    shown.get("/key").await.refused(Code::MissingCredentials);
    let disabled = keyward::store::AccountStatus::Disabled;
    bed.gateway.issuer().set_account_status(&bed.ann, disabled, &origin()).await.unwrap();
    shown.get("/").await.refused(Code::RevokedCredentials);
    over(&client).await.get("/").await.refused(Code::MissingCredentials);
}

#[tokio::test]
async fn it_is_asserted_to_upstreams_and_never_acts_for_its_account() {
    let yaml = "identity: { public_url: https://auth.test }
scopes: { \"keyward:account\": { description: All, default: true } }
routes:
  - { name: all, match: { path_prefix: / }, auth: { required: { certificate: true } }, upstream: api, assertion: true }
";
    let bed = Bed::with(BY_URI, yaml).await;
    let shown = bed.anns();
    let mut client = bed.client(&shown).await;
    assert_eq!(client.get("/").await.status, 200);
    let told = bed.upstream.requests().last().unwrap().clone();
    let payload = told.header("x-auth-assertion").unwrap().split('.').nth(1).unwrap().to_owned();
    let claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!(
        (claims["sub"].as_str(), told.header("x-auth-method")),
        (Some(&*bed.ann), Some("certificate"))
    );
    let mut own = bed.client(&shown).await.with_host("auth.test");
    for (method, path) in [("GET", "/user/api-keys"), ("POST", "/user/api-keys"), ("POST", "/user/logout")] {
        own.request(method, path).send().await.refused(Code::MissingCredentials);
    }
}

/// A path that a backend may read as another route's must not get there without what that one wants.
#[tokio::test]
async fn a_route_that_takes_no_certificates_guards_its_paths() {
    let yaml = "routes:
  - { name: wide, match: { path_prefix: /wide }, auth: { required: { certificate: true } }, upstream: api, path: { allow: [encoded_slash] } }
  - { name: kept, match: { path: /wide/a/b }, upstream: api }
  - { name: same, match: { path: /wide/a/c }, auth: { required: { certificate: true } }, upstream: api }
";
    let bed = Bed::with(BY_URI, yaml).await;
    let mut client = bed.client(&bed.anns()).await;
    client.get("/wide/a%2Fb").await.refused(Code::AmbiguousPath);
    assert_eq!(client.get("/wide/a%2Fc").await.status, 200);
    assert_eq!(client.get("/wide/x%2Fb").await.status, 200);
}
