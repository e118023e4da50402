//! Credentials that are unknown, by the address that they come from: over the limit nothing is looked up, and whoever is
//! known passes.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::store::AccountStatus;

use super::plans::{EMAIL, configured};
use super::{PUBLIC_TOO, START, Scene};
use crate::guarantees::{metric, until_metric};
use crate::support::binary::Home;
use crate::support::http::Client;
use crate::support::keys::{access_token, account, import_line, origin, session, unknown};
use crate::support::raw::Response;
use crate::support::upstream::{Answer, Upstream};
use crate::support::within;

const IGNORED: &str = "keyward_forwarded_for_ignored_total ";
const ALLOWED: &str = "keyward_limit_decisions_total{outcome=\"allowed\",policy=\"failures\"}";
const THREE: &str = "{ failures: { per_minute: 3 } }";

async fn asked_with(client: Client, key: &str) -> Response {
    client.with_key(key).get("/").await
}

impl Scene {
    async fn try_unknown(&self, many: usize) {
        for _ in 0..many {
            asked_with(self.gateway.anonymous(), &unknown()).await.refused(Code::InvalidCredentials);
        }
    }

    async fn counted(&self, outcome: &str) -> u64 {
        let series = format!("keyward_limit_decisions_total{{outcome=\"{outcome}\",policy=\"failures\"}} ");
        metric(self.gateway.admin(), &series).await
    }
}

#[tokio::test]
async fn after_so_many_unknown_keys_no_more_from_that_address_are_looked_up_and_every_key_there_is_passes() {
    let scene = Scene::new(THREE).await;
    let before = scene.gateway.key().await.secret;
    scene.try_unknown(3).await;
    let refused = asked_with(scene.gateway.anonymous(), &unknown()).await;
    assert_eq!(
        refused.refused(Code::TooManyFailures),
        "Too many unknown credentials came from your address, so this one was not checked; it may be valid. Try again in 20 s."
    );
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("20")));
    assert_eq!(refused.header("www-authenticate"), None, "another credential does not help");
    for key in [&before, &scene.gateway.key().await.secret] {
        assert_eq!(asked_with(scene.gateway.anonymous(), key).await.status, 200);
    }
    assert_eq!((scene.counted("allowed").await, scene.counted("refused").await), (3, 1));

    scene.pass(Duration::from_secs(20));
    scene.try_unknown(1).await;
}

/// Whoever does not wait to be told has failed all the same.
#[tokio::test]
async fn what_is_given_up_before_it_is_answered_counts_too() {
    let scene = Scene::new(THREE).await;
    for number in 0..3 {
        let mut raw = scene.gateway.raw().await;
        raw.send(&format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", unknown())).await;
        drop(raw);
        until_metric(scene.gateway.admin(), ALLOWED, number + 1).await;
    }
    while asked_with(scene.gateway.anonymous(), &unknown()).await.status != 429 {}
    assert!(scene.counted("allowed").await <= 5, "none of the three counted");
}

#[tokio::test]
async fn what_form_alone_refuses_costs_no_look_up_and_is_told_as_ever() {
    let scene = Scene::new(THREE).await;
    let mut wrong = unknown();
    wrong.replace_range(wrong.len() - 1.., if wrong.ends_with('0') { "1" } else { "0" });
    for _ in 0..10 {
        for key in [wrong.as_str(), "junk", "a.b.c"] {
            asked_with(scene.gateway.anonymous(), key).await.refused(Code::InvalidCredentials);
        }
    }
    assert_eq!(scene.counted("allowed").await, 0);
}

#[tokio::test]
async fn a_client_that_repeats_one_wrong_key_stops_none_of_its_neighbours() {
    let scene = Scene::new(THREE).await;
    let wrong = unknown();
    for _ in 0..20 {
        asked_with(scene.gateway.anonymous(), &wrong).await.refused(Code::InvalidCredentials);
        // Longer than a refusal is remembered, shorter than a failure: it is looked up each time.
        scene.pass(Duration::from_secs(6));
    }
    assert_eq!(scene.counted("allowed").await, 20);
    assert_eq!(asked_with(scene.gateway.anonymous(), &scene.gateway.key().await.secret).await.status, 200);
}

/// What was real once was somebody's: revoked keys of an office's old programs shut nobody out.
#[tokio::test]
async fn what_was_revoked_or_has_expired_is_no_failure() {
    let scene = Scene::new(THREE).await;
    let issuer = scene.gateway.issuer();
    for _ in 0..6 {
        let key = scene.gateway.key().await;
        issuer.revoke_key(&key.id, &crate::support::keys::origin()).await.unwrap();
        asked_with(scene.gateway.anonymous(), &key.secret).await.refused(Code::RevokedCredentials);
    }
    assert_eq!(asked_with(scene.gateway.anonymous(), &scene.gateway.key().await.secret).await.status, 200);
}

/// A key, and an access token, that was good before the caches forgot it.
#[tokio::test]
async fn a_reload_of_the_cache_shuts_out_nobody_who_is_good() {
    let identity = "identity: { public_url: https://auth.test }";
    let mut scene = Scene::new(&format!("{THREE}\n{identity}")).await;
    let key = scene.gateway.key().await.secret;
    let token = access_token(&scene.gateway, &session(&scene.gateway, START).await, "", START);
    let all_pass = async |scene: &Scene| {
        asked_with(scene.gateway.anonymous(), &unknown()).await.refused(Code::TooManyFailures);
        for good in [&key, &token] {
            assert_eq!(asked_with(scene.gateway.anonymous(), good).await.status, 200);
        }
    };
    assert_eq!(asked_with(scene.gateway.anonymous(), &token).await.status, 200);
    scene.try_unknown(3).await;
    all_pass(&scene).await;
    let yaml = format!("limits: {THREE}\n{identity}\ncache: {{ ttl: 10s }}\n{PUBLIC_TOO}");
    scene.gateway.reload(|builder| builder.yaml(&yaml)).await;
    all_pass(&scene).await;
}

#[tokio::test]
async fn an_account_that_was_disabled_and_is_enabled_again_is_not_shut_out() {
    let scene = Scene::new(THREE).await;
    let (key, account) = (scene.gateway.key().await.secret, scene.gateway.account().await.to_owned());
    scene.try_unknown(3).await;
    let issuer = scene.gateway.issuer();
    issuer.set_account_status(&account, AccountStatus::Disabled, &origin()).await.unwrap();
    asked_with(scene.gateway.anonymous(), &key).await.refused(Code::RevokedCredentials);
    issuer.set_account_status(&account, AccountStatus::Active, &origin()).await.unwrap();
    assert_eq!(asked_with(scene.gateway.anonymous(), &key).await.status, 200);
    asked_with(scene.gateway.anonymous(), &unknown()).await.refused(Code::TooManyFailures);
}

#[tokio::test]
async fn a_restart_and_a_key_made_beside_the_server_shut_nobody_out() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = Home::new(&configured(&upstream, "{ failures: { per_minute: 1 } }"));
    home.account(EMAIL);
    let (_, before) = home.key(EMAIL, &[]);
    let asked = async |key: &str| asked_with(Client::new(home.public()), key).await;
    home.serve().await.stop().await;
    let _serving = home.serve().await;
    asked(&unknown()).await.refused(Code::InvalidCredentials);
    asked(&unknown()).await.refused(Code::TooManyFailures);
    assert_eq!(asked(&before).await.status, 200, "nobody asked for it since the start");
    let (_, beside) = home.key(EMAIL, &[]);
    within("a key that was made beside", async {
        while asked(&beside).await.status != 200 {
            asked(&unknown()).await.refused(Code::TooManyFailures);
        }
    })
    .await;
}

/// Whoever may try as often as he likes finds a short one.
#[tokio::test]
async fn an_imported_key_that_might_be_guessed_passes_only_if_it_was_good_before() {
    let scene = Scene::new(THREE).await;
    let issuer = scene.gateway.issuer();
    account(&issuer, "b@example.com").await;
    let [short, shorter, long] = ["acme-0123456789", "acme-9876543210", "acme-012345678901234567890123"];
    let line = |key: &str| import_line(key, "b@example.com", ("acme-", None), START);
    let lines: Vec<_> = [short, shorter, long].into_iter().map(line).collect();
    issuer.import_keys(&lines.concat(), &origin()).await.unwrap();
    assert_eq!(asked_with(scene.gateway.anonymous(), short).await.status, 200);
    scene.try_unknown(3).await;
    for (key, status) in [(short, 200), (shorter, 429), (long, 200)] {
        assert_eq!(asked_with(scene.gateway.anonymous(), key).await.status, status, "{key}");
    }
}

#[tokio::test]
async fn forged_tokens_and_what_is_only_to_be_validated_fail_like_any_other() {
    let scene = Scene::new(&format!("{THREE}\nidentity: {{ public_url: https://auth.test }}")).await;
    let session = session(&scene.gateway, START).await;
    let token = access_token(&scene.gateway, &session, "", START);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for change in ["A", "B", "C"].into_iter().filter(|change| !signature.starts_with(change)).take(2) {
        let forged = format!("{signed}.{change}{}", &signature[1..]);
        asked_with(scene.gateway.anonymous(), &forged).await.refused(Code::InvalidCredentials);
    }
    let validate = async |word: &str| {
        let mut client = scene.gateway.anonymous().with_host("auth.test");
        let asking =
            client.request("POST", "/user/token/validate").header("Content-Type", "application/json");
        asking.body(format!("{{\"token\":\"{word}\"}}")).send().await
    };
    validate(&unknown()).await.refused(Code::InvalidCredentials);
    for word in [&unknown(), &token] {
        validate(word).await.refused(Code::TooManyFailures);
    }
    assert_eq!(validate(&scene.gateway.key().await.secret).await.status, 200);
}

#[tokio::test]
async fn shadow_mode_counts_and_refuses_nothing_and_none_is_no_limit() {
    let scene = Scene::new("{ mode: shadow, failures: { per_minute: 3 } }").await;
    scene.try_unknown(5).await;
    assert_eq!((scene.counted("allowed").await, scene.counted("shadowed").await), (3, 2));
    let scene = Scene::new("{ failures: { per_minute: 0 } }").await;
    scene.try_unknown(400).await;
    let scene = Scene::new("{}").await;
    scene.try_unknown(300).await;
    asked_with(scene.gateway.anonymous(), &unknown()).await.refused(Code::TooManyFailures);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_fails_for_itself() {
    let scene = Scene::new(&format!("{THREE}\ntrusted_proxies: [127.0.0.1]")).await;
    let known = scene.gateway.key().await.secret;
    assert_eq!(asked_with(scene.gateway.anonymous(), &known).await.status, 200);
    let from = async |address: &str, key: &str| {
        let mut client = scene.gateway.anonymous().with_key(key);
        client.request("GET", "/").header("X-Forwarded-For", address).send().await
    };
    for _ in 0..3 {
        from("198.51.100.1", &unknown()).await.refused(Code::InvalidCredentials);
    }
    from("198.51.100.1", &unknown()).await.refused(Code::TooManyFailures);
    assert_eq!(from("198.51.100.1", &known).await.status, 200);
    // Junk from many: the cache of what is good is none of its business.
    for number in 0..300 {
        from(&format!("203.0.{}.{}", number / 100, number % 100), &unknown())
            .await
            .refused(Code::InvalidCredentials);
    }
    assert_eq!(from("198.51.100.2", &scene.gateway.key().await.secret).await.status, 200);
    assert_eq!(from("198.51.100.1", &known).await.status, 200);
}

#[tokio::test]
async fn a_proxy_that_is_not_trusted_is_told_of() {
    let scene = Scene::new("{}").await;
    let mut client = scene.gateway.client().await;
    assert_eq!(client.get("/").await.status, 200);
    for _ in 0..3 {
        client.request("GET", "/").header("X-Forwarded-For", "198.51.100.1").send().await;
    }
    until_metric(scene.gateway.admin(), IGNORED, 3).await;
    let trusting = Scene::new("{}\ntrusted_proxies: [127.0.0.1]").await;
    let mut client = trusting.gateway.client().await;
    client.request("GET", "/").header("X-Forwarded-For", "198.51.100.1").send().await;
    client.get("/").await;
    // By the time that its worker tells of the one it has told of the other.
    until_metric(trusting.gateway.admin(), "keyward_request_seconds_count{door=\"proxy\",route=\"all\"}", 2)
        .await;
    let metrics = Client::new(trusting.gateway.admin()).get("/metrics").await;
    assert!(metrics.text().contains(&format!("\n{IGNORED}0\n")));
}
