//! The happy path and each refusal.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::issuer::ScopesChoice;
use keyward::store::{AccountStatus, Ending};

use super::{IDENTITY, ROUTES, START, Scene, with_signature_of};
use crate::guarantees::{metric, until_metric};
use crate::support::gateway::Gateway;
use crate::support::keys::origin;
use crate::support::upstream::{Answer, Upstream};
use crate::support::within;

#[tokio::test]
async fn the_upstream_learns_who_holds_a_token() {
    let scene = Scene::new().await;
    let token = scene.token("orders:read orders:write");
    assert_eq!(scene.client(&token).get("/write").await.status, 200);
    let seen = scene.upstream.only_request();
    for (name, value) in [
        ("x-auth-subject", scene.session.account_id.as_str()),
        ("x-auth-credential", scene.session.id.as_str()),
        ("x-auth-client", "keyward"),
        ("x-auth-scopes", "orders:read orders:write"),
        ("x-auth-method", "access_token"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn both_algorithms_are_taken() {
    for algorithm in ["eddsa", "es256"] {
        let upstream = Upstream::always(Answer::ok("ok")).await;
        let identity = format!("identity: {{ public_url: \"https://auth.test\", algorithm: {algorithm} }}\n");
        let gateway = Gateway::with(&upstream, &format!("{identity}{ROUTES}")).await;
        let now = keyward::clock::Clock::system().now();
        let session = crate::support::keys::session(&gateway, now).await;
        let token = crate::support::keys::access_token(&gateway, &session, "orders:read", now);
        assert_eq!(gateway.anonymous().with_key(&token).get("/").await.status, 200, "{algorithm}");
    }
}

#[tokio::test]
async fn a_token_is_looked_up_once_and_then_found_in_the_workers_own_table() {
    let scene = Scene::new().await;
    let token = scene.token("orders:read");
    let mut client = scene.client(&token);
    for _ in 0..10 {
        assert_eq!(client.get("/").await.status, 200);
    }
    let admin = scene.gateway.admin();
    until_metric(admin, r#"keyward_cache_lookups_total{cache="front",result="hit"}"#, 9).await;
    assert_eq!(metric(admin, r#"keyward_cache_lookups_total{cache="front",result="miss"}"#).await, 1);
    assert_eq!(metric(admin, r#"keyward_cache_lookups_total{cache="positive",result="miss"}"#).await, 1);
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    let scene = Scene::new().await;
    let token = scene.token("orders:read");
    let mut client = scene.client(&token);
    client.get("/write").await.refused(Code::InsufficientScope);
    let forged = with_signature_of(&token, 'A');
    let response = scene.client(&forged).get("/").await;
    response.refused(Code::InvalidCredentials);
    assert!(response.header("www-authenticate").unwrap().contains("invalid_token"));
    // Only the wall clock tells; the store would seem gone for long if the other moved.
    scene.clock.set_wall(START.after(Duration::from_millis(899_999)));
    assert_eq!(scene.client(&token).get("/").await.status, 200);
    scene.clock.set_wall(START.after(Duration::from_secs(900)));
    // Known and first seen alike.
    let other = scene.signed(|claims| claims.id = "other".into()).await;
    for token in [&token, &other] {
        let detail = scene.client(token).get("/").await.refused(Code::ExpiredCredentials);
        assert_eq!(detail, "This access token expired on 2027-01-15T08:15:00Z. Refresh it, or log in again.");
    }
    // What nobody signed is not told that it is over.
    scene.client(&with_signature_of(&other, 'A')).get("/").await.refused(Code::InvalidCredentials);
    assert_eq!(scene.upstream.requests().len(), 1);
}

#[tokio::test]
async fn revoked_is_told_before_expired_and_to_the_holder_of_a_real_token_alone() {
    for (ending, words) in [(Ending::Logout, "Log in again."), (Ending::AccountDisabled, "disabled")] {
        let scene = Scene::new().await;
        let token = scene.token("orders:read");
        scene.end(ending).await;
        let detail = scene.client(&token).get("/").await.refused(Code::RevokedCredentials);
        assert!(detail.contains(words), "{detail}");
        scene.clock.set_wall(START.after(Duration::from_hours(1)));
        scene.client(&token).get("/").await.refused(Code::RevokedCredentials);
        scene.client(&with_signature_of(&token, 'B')).get("/").await.refused(Code::InvalidCredentials);
    }
}

#[tokio::test]
async fn a_session_that_ends_beside_this_process_is_seen() {
    for ending in Ending::ALL {
        let scene = Scene::new().await;
        let token = scene.token("orders:read");
        let mut client = scene.client(&token);
        assert_eq!(client.get("/").await.status, 200);
        scene.end(ending).await;
        within("the end", async { while client.get("/").await.status != 401 {} }).await;
        client.get("/").await.refused(Code::RevokedCredentials);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_holds_for_every_request_that_starts_after_it() {
    for capacity in [1, 100_000] {
        let yaml = format!("cache: {{ capacity: {capacity}, ttl: 1h }}\n");
        let scene = Scene::with(&yaml, Answer::ok("ok")).await;
        let mut clients: Vec<_> = (0..4).map(|_| scene.gateway.anonymous()).collect();
        for round in 0..100 {
            let session = crate::support::keys::session(&scene.gateway, START).await;
            let token = crate::support::keys::access_token(&scene.gateway, &session, "orders:read", START);
            let credential = format!("Bearer {token}");
            // Looked up while it ends, too: what such a look-up brings must not stay.
            let mut racing = scene.client(&token);
            let racing = tokio::spawn(async move { racing.get("/").await.status });
            if round % 2 == 0 {
                let asking = clients[0].request("GET", "/").header("Authorization", &credential);
                assert_eq!(asking.send().await.status, 200);
            }
            scene.gateway.issuer().logout(&session.id, &origin()).await.unwrap();
            for client in &mut clients {
                let asking = client.request("GET", "/").header("Authorization", &credential);
                asking.send().await.refused(Code::RevokedCredentials);
            }
            let status = racing.await.unwrap();
            assert!(status == 200 || status == 401, "{status}");
        }
    }
}

#[tokio::test]
async fn an_account_that_is_disabled_or_has_fewer_scopes_is_so_for_its_tokens_at_once() {
    let scene = Scene::new().await;
    let token = scene.token("orders:read orders:write");
    let mut client = scene.client(&token);
    let (issuer, account) = (scene.gateway.issuer(), scene.session.account_id.as_str());
    for _ in 0..50 {
        assert_eq!(client.get("/write").await.status, 200);
        let fewer = ScopesChoice::These(vec!["orders:read".to_owned()]);
        issuer.set_account_scopes(account, &fewer, &origin()).await.unwrap();
        client.get("/write").await.refused(Code::InsufficientScope);
        assert_eq!(client.get("/").await.status, 200);
        issuer.set_account_scopes(account, &ScopesChoice::Defaults, &origin()).await.unwrap();
    }
    issuer.set_account_status(account, AccountStatus::Disabled, &origin()).await.unwrap();
    client.get("/").await.refused(Code::RevokedCredentials);
}

#[tokio::test]
async fn where_nothing_is_issued_no_token_is_valid() {
    let scene = Scene::new().await;
    let token = scene.token("orders:read");
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let other = Gateway::with(&upstream, ROUTES).await;
    other.anonymous().with_key(&token).get("/").await.refused(Code::InvalidCredentials);
    // Nor is one of another issuer, with another store and other keys.
    let other = Gateway::with(&upstream, &format!("{IDENTITY}{ROUTES}")).await;
    other.anonymous().with_key(&token).get("/").await.refused(Code::InvalidCredentials);
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn on_an_optional_route_a_token_that_is_sent_must_hold() {
    let scene = Scene::new().await;
    assert_eq!(scene.gateway.anonymous().get("/maybe").await.status, 200);
    let token = scene.token("");
    assert_eq!(scene.client(&token).get("/maybe").await.status, 200);
    scene.client(&token[..token.len() - 1]).get("/maybe").await.refused(Code::InvalidCredentials);
}

#[tokio::test]
async fn other_parties_hold_from_a_reload_on() {
    let mut scene = Scene::new().await;
    let token = scene.token("orders:read");
    assert_eq!(scene.client(&token).get("/").await.status, 200);
    scene
        .gateway
        .reload(|builder| {
            let other = "identity: { public_url: \"https://other.test\", audience: \"https://api.test\" }\n";
            builder.yaml(&format!("{other}{ROUTES}"))
        })
        .await;
    scene.client(&token).get("/").await.refused(Code::InvalidCredentials);
    scene.gateway.reload(|builder| builder.yaml(ROUTES)).await;
    scene.client(&token).get("/").await.refused(Code::InvalidCredentials);
    scene.gateway.reload(|builder| builder.yaml(&format!("{IDENTITY}{ROUTES}"))).await;
    assert_eq!(scene.client(&token).get("/").await.status, 200);
}

#[tokio::test]
async fn without_the_store_what_is_held_serves_and_what_is_new_cannot_be_told() {
    let scene = Scene::new().await;
    let (known, new) = (scene.token("orders:read"), scene.signed(|claims| claims.id = "new".into()).await);
    assert_eq!(scene.client(&known).get("/").await.status, 200);
    let folder = scene.gateway.database().parent().unwrap().to_owned();
    std::fs::rename(&folder, folder.with_extension("away")).unwrap();
    within("the loss noticed", async {
        while metric(scene.gateway.admin(), "keyward_store_up").await != 0 {}
    })
    .await;
    assert_eq!(scene.client(&known).get("/").await.status, 200);
    let response = scene.client(&new).get("/").await;
    response.refused(Code::ValidationUnavailable);
    assert_eq!(response.header("www-authenticate"), None);
    std::fs::rename(folder.with_extension("away"), &folder).unwrap();
    within("a good answer", async { while scene.client(&new).get("/").await.status != 200 {} }).await;
}
