//! Who did it, as the audit log has it.

use keyward::store::{AuditEntry, Seq};
use serde_json::json;

use super::console::written;
use super::{ANN, SITE, Scene, tokens};
use crate::support::keys::origin;

impl Scene {
    /// The newest row.
    async fn last_row(&self) -> AuditEntry {
        let store = self.gateway.store();
        let newest = store.latest().await.unwrap();
        store.audit(Seq(newest.0 - 1), 1).await.unwrap().remove(0)
    }

    /// What was done last, who did it, and through which door.
    #[track_caller]
    fn did(&self, action: &'static str, actor: &str, via: &str) -> impl Future<Output = ()> {
        let expected = (action.to_owned(), actor.to_owned(), via.to_owned());
        async move {
            let row = self.last_row().await;
            assert_eq!((row.action, row.origin.actor, row.origin.via), expected);
        }
    }
}

#[tokio::test]
async fn what_a_key_does_for_its_account_names_the_key() {
    let scene = Scene::new().await;
    let key = scene.key(&scene.ann, &["keyward:account"]).await;
    let made = scene.post("/user/api-keys", &key.secret, json!({"name": "by a key"})).await;
    assert_eq!(made.status, 201);
    let via = format!("api 127.0.0.1, credential {}", key.id);
    scene.did("api_key.created", &scene.ann, &via).await;
    let token = scene.login(ANN).await.access;
    let made = scene.post("/user/api-keys", &token, json!({"name": "by its owner"})).await;
    assert_eq!(made.status, 201);
    scene.did("api_key.created", &scene.ann, "api 127.0.0.1").await;
}

#[tokio::test]
async fn whoever_proved_to_be_the_owner_is_named_as_that() {
    let scene = Scene::new().await;
    let pair = scene.login(ANN).await;
    scene.did("session.started", &scene.ann, "api 127.0.0.1").await;
    let next = tokens(&scene.try_refresh(&pair.refresh).await);
    scene.did("session.refreshed", &scene.ann, "api 127.0.0.1").await;
    // Whose the token was that came twice nobody knows.
    scene.try_refresh(&pair.refresh).await;
    scene.did("session.ended", "anonymous", "api 127.0.0.1").await;
    assert_eq!(scene.route(&next.access).await, 401);
    let link = scene.gateway.issuer().make_reset_link(ANN, &origin()).await.unwrap();
    let token = link.url.rsplit('=').next().unwrap().to_owned();
    let mut client = scene.api();
    let request = client.request("POST", "/console/reset").header("Origin", SITE);
    let request = request.header("Content-Type", super::console::FORM);
    let done = request.body(written(&[("token", &token), ("new", "another good password")])).send().await;
    assert_eq!(done.status, 303);
    scene.did("account.password_set", &scene.ann, "console 127.0.0.1").await;
}
