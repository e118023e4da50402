//! `X-Auth-Assertion`: a backend can check who is asking without trusting its network.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use keyward::auth::jwt::Purpose;
use keyward::clock::{Clock, Timestamp};
use keyward::config;
use keyward::issuer::ScopesChoice;
use keyward::issuer::signing::jwks;
use serde_json::{Value, json};

use super::{IDENTITY, START};
use crate::support::gateway::Gateway;
use crate::support::h2_upstream::H2Upstream;
use crate::support::keys::{self, origin};
use crate::support::upstream::{Answer, Upstream};

const ROUTES: &str = "routes:
  - { name: told, match: { path_prefix: / }, auth: optional, upstream: api, assertion: true }
  - { name: other, match: { path_prefix: /other }, auth: optional, upstream: other, assertion: true }
  - { name: open, match: { path_prefix: /open }, auth: public, upstream: api }
  - { name: untold, match: { path_prefix: /untold }, upstream: api }
";

struct Told {
    upstream: Upstream,
    other: Upstream,
    gateway: Gateway,
    clock: Clock,
}

impl Told {
    async fn new(more: &str) -> Self {
        let (upstream, other) =
            (Upstream::always(Answer::ok("ok")).await, Upstream::always(Answer::ok("ok")).await);
        let clock = Clock::manual(START);
        let identity = IDENTITY.replace(" }\n", &format!("{more} }}\n"));
        let builder = Gateway::builder().upstream("api", &upstream.url()).upstream("other", &other.url());
        let gateway = builder.clock(&clock).yaml(&format!("{identity}{ROUTES}")).start().await;
        Self { upstream, other, gateway, clock }
    }

    /// What the upstream was told by the newest request.
    fn told(upstream: &Upstream) -> Option<String> {
        upstream.requests().last().unwrap().header("x-auth-assertion").map(str::to_owned)
    }

    async fn ask(&self, credential: &str, target: &str) -> Option<String> {
        assert_eq!(self.gateway.anonymous().with_key(credential).get(target).await.status, 200);
        Self::told(if target == "/other" { &self.other } else { &self.upstream })
    }

    /// What a backend makes of it, with a library and the published keys.
    async fn checked(
        &self,
        assertion: &str,
        audience: &str,
    ) -> Result<(Value, Value), jsonwebtoken::errors::Error> {
        let published = jwks(&self.gateway.store(), self.clock.now()).await.unwrap();
        let set: JwkSet = serde_json::from_value(published).unwrap();
        let header = jsonwebtoken::decode_header(assertion)?;
        let jwk = set.find(header.kid.as_deref().unwrap()).unwrap();
        let mut rules = Validation::new(header.alg);
        rules.set_audience(&[audience]);
        rules.set_issuer(&["https://auth.test"]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        // The clock of this test stands in the past.
        rules.validate_exp = false;
        let read = jsonwebtoken::decode::<Value>(assertion, &DecodingKey::from_jwk(jwk)?, &rules)?;
        Ok((serde_json::to_value(read.header).unwrap(), read.claims))
    }
}

#[tokio::test]
async fn a_backend_can_check_who_is_asking() {
    for algorithm in ["eddsa", "es256"] {
        let scene = Told::new(&format!(", algorithm: {algorithm}")).await;
        let key = scene.gateway.key_with(&["orders:read"]).await;
        let assertion = scene.ask(&key.secret, "/").await.unwrap();
        let (header, claims) = scene.checked(&assertion, "api").await.unwrap();
        assert_eq!(header["typ"], "keyward-assertion+jwt");
        let account = scene.gateway.account().await;
        let seconds = START.millis() / 1000;
        assert_eq!(
            claims,
            json!({
                "iss": "https://auth.test", "aud": "api", "sub": account, "credential": key.id, "scope": "orders:read",
                "method": "api_key", "iat": seconds, "exp": seconds + 60,
            })
        );
        // It is signed with a key of its own and for one upstream.
        let rows = scene.gateway.store().signing_keys().await.unwrap();
        let own = rows.iter().find(|row| row.purpose == Purpose::Assertion).unwrap();
        assert_eq!(header["kid"], own.id.as_str());
        let other = scene.ask(&key.secret, "/other").await.unwrap();
        assert!(scene.checked(&other, "api").await.is_err());
        scene.checked(&other, "other").await.unwrap();
    }
}

#[tokio::test]
async fn an_access_token_is_told_with_its_application() {
    let scene = Told::new("").await;
    let session = keys::session(&scene.gateway, START).await;
    let token = keys::access_token(&scene.gateway, &session, "orders:read", START);
    let assertion = scene.ask(&token, "/").await.unwrap();
    let (_, claims) = scene.checked(&assertion, "api").await.unwrap();
    assert_eq!(
        (&claims["credential"], &claims["client_id"], &claims["method"]),
        (&json!(session.id), &json!("keyward"), &json!("access_token"))
    );
    // And is no credential itself, nor the token an assertion.
    assert_eq!(scene.gateway.anonymous().with_key(&assertion).get("/").await.status, 401);
    assert!(scene.checked(&token, "api").await.is_err());
}

#[tokio::test]
async fn only_keyward_can_say_it() {
    let scene = Told::new("").await;
    let key = scene.gateway.key().await;
    for (credential, target) in
        [(None, "/"), (None, "/open"), (Some(&key.secret), "/untold"), (Some(&key.secret), "/open")]
    {
        for name in ["X-Auth-Assertion", "x_auth_assertion", "X.Auth.Assertion"] {
            let mut client = scene.gateway.anonymous();
            let credential = credential.map(|key| format!("Bearer {key}")).unwrap_or_default();
            let asking =
                client.request("GET", target).header(name, "forged").header("Authorization", &credential);
            assert_eq!(asking.send().await.status, 200, "{target} {name}");
            let seen = scene.upstream.requests().pop().unwrap();
            assert!(
                !seen.names().iter().any(|name| name.contains("assertion")),
                "{target} {:?}",
                seen.names()
            );
        }
    }
    let mut client = scene.gateway.anonymous().with_key(&key.secret);
    assert_eq!(client.request("GET", "/").header("X-Auth-Assertion", "forged").send().await.status, 200);
    let seen = scene.upstream.requests().pop().unwrap();
    assert_eq!(seen.all("x-auth-assertion").len(), 1);
    scene.checked(seen.header("x-auth-assertion").unwrap(), "api").await.unwrap();
}

#[tokio::test]
async fn one_is_signed_for_many_requests_and_anew_before_it_ends() {
    let scene = Told::new("").await;
    let key = scene.gateway.key().await;
    let first = scene.ask(&key.secret, "/").await;
    assert_eq!(scene.ask(&key.secret, "/").await, first);
    let at = |seconds| scene.clock.set_wall(START.after(Duration::from_secs(seconds)));
    at(29);
    assert_eq!(scene.ask(&key.secret, "/").await, first);
    at(30);
    let second = scene.ask(&key.secret, "/").await;
    assert_ne!(second, first);
    // A clock that is set back sends no token from the future.
    scene.clock.set_wall(Timestamp(START.millis() - 60_000));
    let (_, claims) = scene.checked(&scene.ask(&key.secret, "/").await.unwrap(), "api").await.unwrap();
    assert_eq!(claims["iat"], START.millis() / 1000 - 60);
}

#[tokio::test]
async fn what_changes_of_the_principal_is_told_at_once() {
    let scene = Told::new("").await;
    let key = scene.gateway.key().await;
    let scopes = async |assertion: Option<String>| {
        scene.checked(&assertion.unwrap(), "api").await.unwrap().1["scope"].as_str().unwrap().to_owned()
    };
    assert_eq!(scopes(scene.ask(&key.secret, "/").await).await, "orders:read orders:write");
    let fewer = ScopesChoice::These(vec!["orders:read".to_owned()]);
    scene
        .gateway
        .issuer()
        .set_account_scopes(scene.gateway.account().await, &fewer, &origin())
        .await
        .unwrap();
    assert_eq!(scopes(scene.ask(&key.secret, "/").await).await, "orders:read");
}

#[tokio::test]
async fn none_outlives_its_credential() {
    let scene = Told::new("").await;
    let session = keys::session(&scene.gateway, START).await;
    let token = keys::access_token(&scene.gateway, &session, "", START);
    scene.clock.set_wall(START.after(Duration::from_secs(880)));
    let assertion = scene.ask(&token, "/").await.unwrap();
    let claims = assertion.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["exp"], START.millis() / 1000 + 900);
}

#[tokio::test]
async fn an_http2_upstream_is_told_too() {
    let upstream = H2Upstream::echo().await;
    let route = "routes: [{ name: all, match: { path_prefix: / }, upstream: api, assertion: true }]\n";
    let builder = Gateway::builder().http2("api", &[&upstream.url()]).yaml(&format!("{IDENTITY}{route}"));
    let gateway = builder.start().await;
    assert_eq!(gateway.client().await.get("/").await.status, 200);
    let request = upstream.only_request();
    assert_eq!(request.header("x-auth-assertion").unwrap().split('.').count(), 3);
}

#[test]
fn without_identity_no_route_can_ask_for_one() {
    let text = "upstreams: [{ name: api, endpoints: [{ url: \"http://127.0.0.1:9\" }] }]\n\
                routes: [{ name: a, match: { path_prefix: / }, upstream: api, assertion: true }]\n";
    let problems = config::parse(text, "test", std::path::Path::new(""), &|_| None).unwrap_err();
    assert!(problems.to_string().contains("there is no `identity`"), "{problems}");
}
