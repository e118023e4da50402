//! Token attacks over the wire: what is not ours is refused with the same words, and costs no look-up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use keyward::auth::algorithm::SigningAlgorithm;
use keyward::auth::jwt::assertion::{self, Envelope};
use keyward::auth::jwt::{Purpose, SigningKey, access_token};
use keyward::auth::principal::{Identity, Method, Networks, Principal};
use keyward::auth::random::System;
use keyward::auth::refusal::Code;
use keyward::auth::scope::ScopeSet;
use keyward::auth::token::{Kind, PlainToken, Prefix};
use keyward::clock::Timestamp;
use serde_json::{Value, json};

use super::{START, Scene, with_signature_of};
use crate::guarantees::{metric, until_metric};

impl Scene {
    async fn is_refused(&self, what: &str, token: &str) {
        let response = self.client(token).get("/").await;
        assert_eq!(response.status, 401, "{what}: {}", response.text());
        let detail = response.refused(Code::InvalidCredentials);
        assert!(detail.starts_with("This credential is not known."), "{what}: {detail}");
    }
}

/// A token with another header over the same claims and signature.
fn with_header(token: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut parts = token.split('.');
    let mut header: Value = serde_json::from_slice(&BASE64.decode(parts.next().unwrap()).unwrap()).unwrap();
    change(&mut header);
    let (claims, signature) = (parts.next().unwrap(), parts.next().unwrap());
    format!("{}.{claims}.{signature}", BASE64.encode(header.to_string()))
}

fn with_claims(token: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut parts = token.split('.');
    let header = parts.next().unwrap();
    let mut claims: Value = serde_json::from_slice(&BASE64.decode(parts.next().unwrap()).unwrap()).unwrap();
    change(&mut claims);
    format!("{header}.{}.{}", BASE64.encode(claims.to_string()), parts.next().unwrap())
}

#[tokio::test]
async fn what_was_changed_or_made_elsewhere_is_not_known() {
    let scene = Scene::new().await;
    let good = scene.signed(|_| {}).await;
    let stranger = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
    let foreign = access_token::mint(&stranger, &Scene::parties(), &scene.claims()).unwrap();
    let ours = scene.signer(Purpose::AccessToken).await.key;
    for (what, token) in [
        ("alg none", with_header(&good, |header| header["alg"] = "none".into())),
        (
            "alg none, no signature",
            format!(
                "{}.",
                with_header(&good, |header| header["alg"] = "none".into()).rsplit_once('.').unwrap().0
            ),
        ),
        ("HS256", with_header(&good, |header| header["alg"] = "HS256".into())),
        ("embedded key", with_header(&foreign, |header| header["jwk"] = stranger.jwk())),
        (
            "key elsewhere",
            with_header(&foreign, |header| header["jku"] = "http://127.0.0.1:1/jwks.json".into()),
        ),
        ("crit", with_header(&good, |header| header["crit"] = json!(["exp"]))),
        ("another type", with_header(&good, |header| header["typ"] = "JWT".into())),
        ("kid of a path", with_header(&good, |header| header["kid"] = "../../../dev/null".into())),
        ("signed by a stranger", foreign.clone()),
        (
            "signed by a stranger in our name",
            with_header(&foreign, |header| header["kid"] = ours.kid().into()),
        ),
        ("another subject", with_claims(&good, |claims| claims["sub"] = "root".into())),
        ("more scopes", with_claims(&good, |claims| claims["scope"] = "orders:read orders:write".into())),
        ("a later end", with_claims(&good, |claims| claims["exp"] = 9_999_999_999_i64.into())),
        ("no signature", format!("{}.", good.rsplit_once('.').unwrap().0)),
        ("half a signature", good[..good.len() - 43].to_owned()),
        ("padding", format!("{good}==")),
        ("four parts", format!("{good}.{good}")),
        (
            "deep",
            format!("{}.{}.{}", BASE64.encode("{\"a\":".repeat(900) + "1" + &"}".repeat(900)), "e30", "x"),
        ),
    ] {
        scene.is_refused(what, &token).await;
    }
    assert_eq!(scene.client(&good).get("/").await.status, 200);
    assert_eq!(scene.upstream.requests().len(), 1);
}

#[tokio::test]
async fn what_our_own_key_signed_for_something_else_is_no_credential() {
    let scene = Scene::new().await;
    let key = scene.signer(Purpose::AccessToken).await.key;
    let other = |issuer: &str, audience: &str| {
        let parties = access_token::Parties { issuer: issuer.into(), audience: audience.into() };
        access_token::mint(&key, &parties, &scene.claims()).unwrap()
    };
    scene.is_refused("another issuer", &other("https://evil.test", "https://api.test")).await;
    scene.is_refused("another audience", &other("https://auth.test", "https://auth.test")).await;
    let ghost = scene.signed(|claims| claims.session = "ghost".into()).await;
    scene.is_refused("a session that is not there", &ghost).await;
    let swapped = scene.signed(|claims| claims.account = "another".into()).await;
    scene.is_refused("a session of somebody else", &swapped).await;
    let principal = Principal {
        identity: Identity::new(&scene.session.account_id, &scene.session.id, None, &ScopeSet::default()),
        scopes: ScopeSet::default(),
        issued_at: Timestamp(0),
        expires_at: Timestamp(i64::MAX),
        method: Method::AccessToken,
        allowed_addresses: Networks::default(),
    };
    let envelope = Envelope { issuer: "https://auth.test", upstream: "https://api.test" };
    for purpose in Purpose::ALL {
        let key = scene.signer(purpose).await.key;
        let assertion = assertion::mint(&key, &envelope, &principal, START).unwrap();
        scene.is_refused("an assertion", &assertion).await;
    }
}

#[tokio::test]
async fn a_token_of_one_kind_is_none_of_another() {
    let scene = Scene::new().await;
    let token = scene.token("orders:read");
    // As a key: of the form of one, with the right checksum, and not of ours.
    let made = PlainToken::generate(&Prefix::default(), Kind::ApiKey, &System::default()).unwrap();
    scene.is_refused("a key that was never made", made.expose()).await;
    scene.is_refused("a refresh token's form", &made.expose().replacen("_sk_", "_rt_", 1)).await;
    scene.is_refused("a token behind our prefix", &format!("kw_sk_{token}")).await;
    // A key is a key all the same, and the token a token.
    let key = scene.gateway.key().await;
    assert_eq!(scene.client(&key.secret).get("/").await.status, 200);
    assert_eq!(scene.client(&token).get("/").await.status, 200);
    let methods: Vec<_> = scene
        .upstream
        .requests()
        .iter()
        .map(|seen| seen.header("x-auth-method").unwrap().to_owned())
        .collect();
    assert_eq!(methods, ["api_key", "access_token"]);
}

#[tokio::test]
async fn a_flood_of_invented_tokens_pushes_out_nothing_and_asks_the_store_nothing() {
    // From one address, which may have more looked up than it would.
    let yaml = "cache: { capacity: 100, negative_capacity: 100, ttl: 1h, negative_ttl: 1h }\n\
                limits: { failures: { per_minute: 0 } }\n";
    let scene = Scene::with(yaml, crate::support::upstream::Answer::ok("ok")).await;
    let good = scene.token("orders:read");
    let mut client = scene.client(&good);
    assert_eq!(client.get("/").await.status, 200);
    let mut flood = scene.gateway.anonymous();
    for number in 0..1000 {
        let token = scene.signed(|claims| claims.id = number.to_string().into()).await;
        let credential = format!("Bearer {}", with_signature_of(&token, 'C'));
        flood
            .request("GET", "/")
            .header("Authorization", &credential)
            .send()
            .await
            .refused(Code::InvalidCredentials);
    }
    assert_eq!(client.get("/").await.status, 200);
    let admin = scene.gateway.admin();
    until_metric(admin, r#"keyward_cache_lookups_total{cache="front",result="hit"}"#, 1).await;
    assert_eq!(metric(admin, r#"keyward_cache_entries{cache="positive"}"#).await, 1);
    assert!(metric(admin, r#"keyward_cache_entries{cache="negative"}"#).await <= 200);
}
