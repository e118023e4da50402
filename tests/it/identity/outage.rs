//! Without its store the gateway says that it cannot now, and does nothing by halves.

use keyward::auth::refusal::Code;
use serde_json::json;

use super::console::Browser;
use super::{ANN, PASSWORD, SITE, START, Scene};
use crate::guarantees::metric;
use crate::support::raw::Response;
use crate::support::sql::sql;
use crate::support::within;

#[track_caller]
fn is_put_off(response: &Response) {
    response.refused(Code::ValidationUnavailable);
    assert_eq!((response.header("retry-after"), response.header("www-authenticate")), (Some("1"), None));
}

#[track_caller]
fn is_put_off_politely(page: &Response) {
    assert_eq!((page.status, page.header("retry-after")), (503, Some("1")), "{page:?}");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.all("set-cookie").len(), 0, "nobody is logged out by it");
}

/// The number of keys that the gateway knows.
async fn keys_known(scene: &Scene) -> usize {
    scene.api().get("/.well-known/jwks.json").await.json()["keys"].as_array().unwrap().len()
}

#[tokio::test]
async fn without_a_signing_key_nothing_is_used_up() {
    const AWAY: &str = "CREATE TABLE away AS SELECT * FROM signing_keys; DELETE FROM signing_keys;";
    const BACK: &str = "INSERT INTO signing_keys SELECT * FROM away;";
    const TOLD: &str = "INSERT INTO audit_log SELECT max(seq) + 1, 1, 'test', 'test', 'signing_key.removed', \
        'signing_key', 'x', '' FROM audit_log;";
    let scene = Scene::new().await;
    let pair = scene.login(ANN).await;
    let sessions = async || scene.gateway.store().newest_sessions(&scene.ann, START, 9).await.unwrap().len();
    let database = scene.gateway.database();
    sql(&database, AWAY).await;
    sql(&database, TOLD).await;
    within("the loss noticed", async { while keys_known(&scene).await != 0 {} }).await;
    is_put_off(&scene.try_refresh(&pair.refresh).await);
    is_put_off(&scene.try_login(ANN, PASSWORD).await);
    assert_eq!(sessions().await, 1, "a session began whose token nobody got");
    sql(&database, BACK).await;
    sql(&database, TOLD).await;
    within("the return noticed", async { while keys_known(&scene).await == 0 {} }).await;
    assert_eq!(scene.try_refresh(&pair.refresh).await.status, 200, "the token was used up");
}

#[tokio::test]
async fn without_the_store_everybody_is_put_off_and_nothing_is_lost() {
    let scene = Scene::new().await;
    let pair = scene.login(ANN).await;
    let id = scene.key(&scene.ann, &[]).await.id;
    let mut browser: Browser = scene.logged_in(ANN).await;
    let token = browser.token().await;
    assert_eq!(scene.route(&pair.access).await, 200, "cached from here on");
    let folder = scene.gateway.database().parent().unwrap().to_owned();
    let aside = folder.with_extension("away");
    std::fs::rename(&folder, &aside).unwrap();
    let admin = scene.gateway.admin();
    within("the loss noticed", async { while metric(admin, "keyward_store_up").await != 0 {} }).await;

    is_put_off(&scene.try_login(ANN, PASSWORD).await);
    is_put_off(&scene.try_login("nobody@example.com", PASSWORD).await);
    is_put_off(&scene.try_refresh(&pair.refresh).await);
    is_put_off(&scene.post("/user/api-keys", &pair.access, json!({"name": "x"})).await);
    is_put_off(&scene.ask("GET", "/user/api-keys", &pair.access, None).await);
    is_put_off(&scene.ask("DELETE", &format!("/user/api-keys/{id}"), &pair.access, None).await);
    is_put_off(&scene.ask("POST", "/user/logout", &pair.access, None).await);
    for page in ["keys", "sessions", "password"] {
        is_put_off_politely(&browser.get(page).await);
    }
    is_put_off_politely(&browser.send("keys", Some(SITE), &[("form", &token), ("name", "x")]).await);
    is_put_off_politely(&scene.browser().log_in(ANN, PASSWORD).await);
    // Needs no store.
    assert_eq!(scene.api().get("/.well-known/jwks.json").await.status, 200);
    assert_eq!(scene.post("/user/token/validate", &pair.access, json!({})).await.status, 200);

    std::fs::rename(&aside, &folder).unwrap();
    within("the return noticed", async { while metric(admin, "keyward_store_up").await != 1 {} }).await;
    assert_eq!(browser.get("keys").await.status, 200);
    assert_eq!(scene.try_login(ANN, PASSWORD).await.status, 200, "nothing counted as a failure");
    assert_eq!(scene.try_refresh(&pair.refresh).await.status, 200, "the token was not used up");
    let keys = scene.ask("GET", "/user/api-keys", &pair.access, None).await.json();
    let statuses: Vec<_> =
        keys["items"].as_array().unwrap().iter().map(|key| key["status"].clone()).collect();
    assert_eq!(statuses, [json!("active")]);
}
