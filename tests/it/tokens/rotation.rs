//! Signing keys are replaced under a running gateway, by its own schedule or beside it.

use keyward::auth::jwt::{Purpose, access_token};
use keyward::auth::refusal::Code;
use keyward::config::Synchronous;
use keyward::issuer::signing::{PUBLISHED_BEFORE, When};
use keyward::store::sqlite::{Open, SqliteStore};
use serde_json::Value;

use super::{IDENTITY, Scene};
use crate::guarantees::open_home;
use crate::support::http::Client;
use crate::support::keys::{self, origin};
use crate::support::upstream::{Answer, Upstream};
use crate::support::within;

/// Kids of access token keys with their status, the oldest first.
fn listed(json: &Value) -> Vec<(String, String)> {
    let items = json["items"].as_array().unwrap().iter();
    let items = items.filter(|key| key["purpose"] == "access_token");
    items
        .map(|key| (key["id"].as_str().unwrap().to_owned(), key["status"].as_str().unwrap().to_owned()))
        .collect()
}

#[tokio::test]
async fn a_key_that_another_process_made_is_taken_before_it_signs() {
    let scene = Scene::new().await;
    let old = scene.token("orders:read");
    assert_eq!(scene.client(&old).get("/").await.status, 200);
    let before = scene.signer(Purpose::AccessToken).await.key;
    // As `keyward signing-keys rotate` does it, by another handle of the store.
    let beside =
        SqliteStore::open(&scene.gateway.database(), Synchronous::Normal, Open::Existing).await.unwrap();
    let store: keyward::store::SharedStore = std::sync::Arc::new(beside);
    let signing = keys::signing(&scene.gateway, std::sync::Arc::clone(&store), &scene.clock);
    let made = signing.rotate(Purpose::AccessToken, When::InTime, &origin()).await.unwrap();
    store.close().await;
    let next = made.open().unwrap().key;
    let early = access_token::mint(&next, &Scene::parties(), &scene.claims()).unwrap();
    within("the key known", async { while scene.client(&early).get("/").await.status != 200 {} }).await;
    // The old one signs until the new one's time has come, and verifies after it.
    assert_eq!(scene.signer(Purpose::AccessToken).await.key.kid(), before.kid());
    scene.clock.set_wall(scene.clock.now().after(PUBLISHED_BEFORE));
    assert_eq!(scene.signer(Purpose::AccessToken).await.key.kid(), next.kid());
    let later = scene.token("orders:read");
    assert_ne!(later.split('.').next(), old.split('.').next());
    for token in [&old, &later] {
        assert_eq!(scene.client(token).get("/").await.status, 200);
    }
}

#[tokio::test]
async fn a_key_that_is_taken_away_takes_what_it_signed_with_it() {
    let scene = Scene::new().await;
    let token = scene.token("orders:read");
    let mut client = scene.client(&token);
    assert_eq!(client.get("/").await.status, 200);
    let rows = scene.gateway.store().signing_keys().await.unwrap();
    let signing = keys::signing(&scene.gateway, scene.gateway.store(), &scene.clock);
    for purpose in Purpose::ALL {
        signing.rotate(purpose, When::InTime, &origin()).await.unwrap();
    }
    let ages = scene.clock.now().after(std::time::Duration::from_hours(24 * 30));
    scene.gateway.store().remove_signing_keys(ages, scene.clock.now(), &origin()).await.unwrap();
    assert_eq!(scene.gateway.store().signing_keys().await.unwrap().len(), rows.len());
    within("the end", async { while client.get("/").await.status != 401 {} }).await;
    client.get("/").await.refused(Code::InvalidCredentials);
}

#[tokio::test]
async fn a_key_that_somebody_else_has_is_cut_off_at_once_on_every_server() {
    let scene = Scene::new().await;
    let oldest = scene.signer(Purpose::AccessToken).await.key;
    let store = scene.gateway.store();
    let signing = keys::signing(&scene.gateway, std::sync::Arc::clone(&store), &scene.clock);
    let older = scene.token("orders:read");
    let next =
        signing.rotate(Purpose::AccessToken, When::InTime, &origin()).await.unwrap().open().unwrap().key;
    let newer = access_token::mint(&next, &Scene::parties(), &scene.claims()).unwrap();
    let mut clients = [scene.client(&older), scene.client(&newer)];
    for client in &mut clients {
        within("the key known", async { while client.get("/").await.status != 200 {} }).await;
    }
    let made = signing.rotate(Purpose::AccessToken, When::Now, &origin()).await.unwrap();
    for client in &mut clients {
        within("the end", async { while client.get("/").await.status == 200 {} }).await;
    }
    // Nor does anything new that they sign pass.
    for key in [&oldest, &next] {
        let forged = access_token::mint(key, &Scene::parties(), &scene.claims()).unwrap();
        assert_eq!(scene.client(&forged).get("/").await.status, 401);
    }
    let token = scene.token("orders:read");
    assert_eq!(scene.signer(Purpose::AccessToken).await.key.kid(), made.id);
    assert_eq!(scene.client(&token).get("/").await.status, 200);
    let published = keyward::issuer::signing::jwks(&store, scene.clock.now()).await.unwrap();
    let kids: Vec<_> = published["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
    assert!(kids.contains(&Value::from(made.id)) && kids.len() == 2, "{kids:?}");
}

#[tokio::test]
async fn commands_list_replace_and_publish_keys_beside_a_running_server() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, IDENTITY);
    home.account("a@example.com");
    assert!(home.run(&["signing-keys", "list"]).exited(0).contains("no signing keys yet"));
    let _serving = home.serve().await;
    let first = listed(&home.run(&["signing-keys", "list", "--json"]).json());
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].1, "signing");
    let made = listed(&home.run(&["signing-keys", "rotate", "--purpose", "access_token", "--json"]).json());
    assert_eq!(made[0].1, "next");
    let both = listed(&home.run(&["signing-keys", "list", "--json"]).json());
    assert_eq!(both, [first[0].clone(), made[0].clone()]);
    let words = home.run(&["signing-keys", "list"]).exited(0);
    assert!(words.contains("SIGNS FROM") && words.contains(&made[0].0[..20]), "{words}");
    let published = home.run(&["signing-keys", "jwks"]).json();
    let kids: Vec<_> =
        published["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert!(kids.len() == 3 && kids.contains(&&*first[0].0) && kids.contains(&&*made[0].0), "{kids:?}");
    assert!(!published.to_string().contains("\"d\""), "{published}");
    home.run(&["signing-keys", "rotate"]).exited(0);
    assert_eq!(home.run(&["signing-keys", "list", "--json"]).json()["items"].as_array().unwrap().len(), 5);
    let cut = home.run(&["signing-keys", "rotate", "--now", "--json"]).json();
    assert!(cut["items"].as_array().unwrap().iter().all(|key| key["status"] == "signing"), "{cut}");
    let all = home.run(&["signing-keys", "list", "--json"]).json();
    let retired = all["items"].as_array().unwrap().iter().filter(|key| key["status"] == "retired").count();
    assert_eq!(retired, 5);
    assert_eq!(home.run(&["signing-keys", "list"]).exited(0).matches("at once").count(), 5);
    assert_eq!(Client::new(home.public()).get("/").await.status, 200);
}

#[tokio::test]
async fn without_identity_there_is_nothing_to_replace() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    home.account("a@example.com");
    home.run(&["signing-keys", "rotate"]).refused(1, "no `identity`");
}
