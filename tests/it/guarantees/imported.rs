//! A key from elsewhere is a key in every respect, and what only looks like one costs little.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};
use keyward::store::AccountStatus;

use super::{metric, until_metric};
use crate::support::gateway::Gateway;
use crate::support::keys::{IMPORTED_LIFE, import_line, origin};
use crate::support::upstream::Upstream;

const IDENTITY: &str = "identity: { public_url: \"https://auth.test\" }\n";
const SECRET: &str = "acme-live-0123456789abcdef";
const FORM: (&str, Option<usize>) = ("acme-", Some(SECRET.len()));
const START: Timestamp = Timestamp(1_800_000_000_000);
const POSITIVE_MISS: &str = r#"keyward_cache_lookups_total{cache="positive",result="miss"}"#;
const NEGATIVE_MISS: &str = r#"keyward_cache_lookups_total{cache="negative",result="miss"}"#;
const FRONT_HIT: &str = r#"keyward_cache_lookups_total{cache="front",result="hit"}"#;

/// Imports a key of the gateway's account through the gateway's own issuer; its id.
async fn import(gateway: &Gateway, key: &str, form: (&str, Option<usize>)) -> String {
    let line = import_line(key, gateway.account().await, form, gateway.now());
    let line = line.replace("\"scopes\":[]", "\"scopes\":[\"orders:read\"]");
    gateway.issuer().import_keys(&line, &origin()).await.unwrap().remove(0).id
}

#[tokio::test]
async fn a_key_that_is_imported_here_passes_at_once_as_any_key_does() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::builder().upstream("api", &upstream.url()).workers(2).start().await;
    let mut client = gateway.anonymous().with_key(SECRET);
    client.get("/").await.refused(Code::InvalidCredentials);
    let id = import(&gateway, SECRET, FORM).await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.status, 200);
    }
    let seen = &upstream.requests()[0];
    for (name, value) in [
        ("x-auth-subject", gateway.account().await),
        ("x-auth-credential", &id),
        ("x-auth-scopes", "orders:read"),
        ("x-auth-method", "api_key"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert_eq!((seen.header("authorization"), seen.header("x-auth-client")), (None, None));
    until_metric(gateway.admin(), FRONT_HIT, 2).await;
    assert_eq!(metric(gateway.admin(), POSITIVE_MISS).await, 1, "one look-up, and none of the first junk");
}

#[tokio::test]
async fn whatever_ends_a_key_ends_an_imported_one() {
    let upstream = Upstream::echo().await;
    let clock = Clock::manual(START);
    let builder = Gateway::builder().upstream("api", &upstream.url()).clock(&clock);
    let routes = "routes:
  - { name: read, match: { path_prefix: / }, auth: { required: { scopes: [\"orders:read\"] } }, upstream: api }
  - { name: write, match: { path_prefix: /write }, auth: { required: { scopes: [\"orders:write\"] } }, upstream: api }
";
    let gateway = builder.yaml(routes).start().await;
    let id = import(&gateway, SECRET, FORM).await;
    let mut client = gateway.anonymous().with_key(SECRET);
    assert_eq!(client.get("/").await.status, 200);
    client.get("/write").await.refused(Code::InsufficientScope);
    let issuer = gateway.issuer();
    let account = gateway.account().await;
    issuer.set_account_status(account, AccountStatus::Disabled, &origin()).await.unwrap();
    client.get("/").await.refused(Code::RevokedCredentials);
    issuer.set_account_status(account, AccountStatus::Active, &origin()).await.unwrap();
    assert_eq!(client.get("/").await.status, 200);
    issuer.revoke_key(&id, &origin()).await.unwrap();
    client.get("/").await.refused(Code::RevokedCredentials);
    let other = "acme-live-0123456789xxxxxx";
    import(&gateway, other, FORM).await;
    let mut client = gateway.anonymous().with_key(other);
    assert_eq!(client.get("/").await.status, 200);
    let end = START.after(IMPORTED_LIFE);
    clock.set_wall(end);
    let told = client.get("/").await.refused(Code::ExpiredCredentials);
    assert!(told.contains(&format!("This API key expired on {end}.")), "{told}");
}

#[tokio::test]
async fn it_is_validated_for_whoever_asks() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::with(&upstream, IDENTITY).await;
    import(&gateway, SECRET, FORM).await;
    let mut asking = gateway.anonymous().with_host("auth.test");
    let mut ask = async |word: &str| {
        let body = format!("{{\"token\": \"{word}\"}}");
        asking
            .request("POST", "/user/token/validate")
            .header("Content-Type", "application/json")
            .body(body)
            .send()
            .await
    };
    let told = ask(SECRET).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let told = told.json();
    assert_eq!((&told["token_type"], &told["scope"]), (&"api_key".into(), &"orders:read".into()));
    assert!(told["client_id"].is_null() && told["sub"] == gateway.account().await, "{told}");
    ask("acme-live-0123456789abcdeX").await.refused(Code::InvalidCredentials);
    ask("junk").await.refused(Code::InvalidCredentials);
}

#[tokio::test]
async fn junk_is_looked_up_only_where_a_form_fits() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let client = async |word: &str| gateway.anonymous().with_key(word).get("/").await;
    import(&gateway, SECRET, FORM).await;
    let too_long = format!("{SECRET}x");
    for word in
        ["junk", "acme-", "ACME-live-0123456789abcdef", &SECRET[1..], &too_long, "kw_sk_0123456789abcdef0123"]
    {
        client(word).await.refused(Code::InvalidCredentials);
    }
    // The last, with a form that fits, is looked up, so all before it were counted, too.
    client("acme-live-0123456789abcdeX").await.refused(Code::InvalidCredentials);
    client("acme-live-0123456789abcdeX").await.refused(Code::InvalidCredentials);
    until_metric(gateway.admin(), r#"keyward_cache_lookups_total{cache="negative",result="hit"}"#, 1).await;
    assert_eq!(metric(gateway.admin(), NEGATIVE_MISS).await, 1);
    assert!(upstream.requests().is_empty());
}

/// The forms are public: anybody can make any number of words that fit one.
#[tokio::test]
async fn a_flood_of_junk_of_a_fitting_form_costs_good_keys_nothing() {
    let upstream = Upstream::echo().await;
    // From one address, which may have more looked up than it would.
    let cache =
        "cache: { negative_capacity: 100, negative_ttl: 5s }\nlimits: { failures: { per_minute: 0 } }\n";
    let clock = Clock::manual(START);
    let builder = Gateway::builder().upstream("api", &upstream.url()).clock(&clock);
    let gateway = builder.yaml(cache).start().await;
    import(&gateway, SECRET, FORM).await;
    let (mut imported, mut made) = (gateway.anonymous().with_key(SECRET), gateway.client().await);
    assert_eq!((imported.get("/").await.status, made.get("/").await.status), (200, 200));
    const JUNK: usize = 2_000;
    let floods = (0..8).map(|flood| {
        let gateway = &gateway;
        async move {
            let mut raw = gateway.raw().await;
            for number in (flood..JUNK).step_by(8) {
                let word = format!("acme-live-junk{number:012}");
                assert_eq!(word.len(), SECRET.len());
                let request = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {word}\r\n\r\n");
                raw.ask(request).await.refused(Code::InvalidCredentials);
            }
        }
    });
    futures_util::future::join_all(floods).await;
    assert_eq!((imported.get("/").await.status, made.get("/").await.status), (200, 200));
    until_metric(gateway.admin(), FRONT_HIT, 2).await;
    assert_eq!(metric(gateway.admin(), POSITIVE_MISS).await, 2 + JUNK as u64);
    let refusals = metric(gateway.admin(), r#"keyward_cache_entries{cache="negative"}"#).await;
    assert!(refusals <= 200, "{refusals} refusals are kept of {JUNK}");
    clock.advance(Duration::from_secs(1));
    // What was junk is a key when it is imported.
    let word = format!("acme-live-junk{:012}", JUNK - 1);
    import(&gateway, &word, FORM).await;
    assert_eq!(gateway.anonymous().with_key(&word).get("/").await.status, 200);
}

/// An outage must not turn a good key into a wrong one.
#[tokio::test]
async fn without_the_store_a_word_that_fits_is_not_told_to_be_wrong() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    import(&gateway, SECRET, FORM).await;
    let other = "acme-live-0123456789xxxxxx";
    import(&gateway, other, FORM).await;
    let mut client = gateway.anonymous().with_key(SECRET);
    assert_eq!(client.get("/").await.status, 200);
    gateway.store().close().await;
    assert_eq!(client.get("/").await.status, 200);
    gateway.anonymous().with_key(other).get("/").await.refused(Code::ValidationUnavailable);
    gateway.anonymous().with_key("junk").get("/").await.refused(Code::InvalidCredentials);
}
