//! Keys over the wire: made once, replaced with an overlap, listed in pages, good at once and dead at once.

use keyward::auth::refusal::Code;
use keyward::auth::token::HashedToken;
use serde_json::{Value, json};

use super::{ANN, BEN, Scene};
use crate::support::keys::origin;
use crate::support::raw::Response;

impl Scene {
    async fn once(&self, path: &str, token: &str, key: &str, body: &Value) -> Response {
        let mut client = self.api().with_key(token);
        let request = client.request("POST", path).header("Content-Type", "application/json");
        request.header("Idempotency-Key", key).body(body.to_string()).send().await
    }

    /// All that the store tells of every key.
    async fn all_keys(&self) -> String {
        format!("{:?}", self.gateway.issuer().keys(None, None, 999).await.unwrap().items)
    }
}

#[tokio::test]
async fn a_key_works_right_after_it_is_made_and_never_after_it_is_revoked() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    for _ in 0..20 {
        let made = scene.post("/user/api-keys", &token, json!({"name": "x"})).await.json();
        let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
        assert_eq!(scene.route(key).await, 200);
        for _ in 0..2 {
            let revoked = scene.ask("DELETE", &format!("/user/api-keys/{id}"), &token, None).await;
            assert_eq!(revoked.status, 204);
            assert_eq!(scene.route(key).await, 401);
        }
        let path = format!("/user/api-keys/{id}");
        let patched = scene.ask("PATCH", &path, &token, Some(json!({"name": "y"}))).await;
        let rotated = scene.post(&format!("{path}/rotate"), &token, json!({})).await;
        for response in [patched, rotated] {
            let detail = response.refused(Code::Conflict);
            assert_eq!(detail, "The key is revoked or expired. Make a new one.");
        }
    }
}

#[tokio::test]
async fn a_replaced_key_lives_on_for_the_overlap_alone() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    for (body, overlap) in
        [(json!({"overlap_seconds": 60}), 60), (json!({"overlap_seconds": 0}), 0), (json!({}), 86_400)]
    {
        let token = if overlap > 900 { scene.login(ANN).await.access } else { token.clone() };
        let old = scene.key(&scene.ann, &[]).await;
        let path = format!("/user/api-keys/{}/rotate", old.id);
        let new = scene.post(&path, &token, body).await.json();
        assert_eq!(scene.route(new["key"].as_str().unwrap()).await, 200);
        if overlap > 0 {
            scene.pass(overlap - 1);
            assert_eq!(scene.route(&old.secret).await, 200, "{overlap}");
            scene.pass(1);
        }
        assert_eq!(scene.route(&old.secret).await, 401, "{overlap}");
        assert_eq!(scene.route(new["key"].as_str().unwrap()).await, 200);
    }
}

#[tokio::test]
async fn a_replaced_key_ends_when_it_was_said_to_or_earlier() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    let old = scene.key(&scene.ann, &[]).await;
    let path = format!("/user/api-keys/{}", old.id);
    let ends = |time: &str| Some(json!({"name": "late", "expires_at": format!("2027-01-15T{time}Z")}));
    let rotated = scene.post(&format!("{path}/rotate"), &token, json!({"overlap_seconds": 600})).await.json();
    let detail = scene.ask("PATCH", &path, &token, ends("08:10:00.001")).await.refused(Code::Conflict);
    let successor = rotated["id"].as_str().unwrap();
    assert_eq!(
        detail,
        format!(
            "This key was replaced. It works until 2027-01-15T08:10:00Z at the latest, and the key {successor} in its place."
        )
    );
    assert_ne!(scene.gateway.issuer().key(&old.id).await.unwrap().name, "late");
    for (time, status) in [("08:10:00", 200), ("08:05:00", 200), ("08:10:00", 409)] {
        assert_eq!(scene.ask("PATCH", &path, &token, ends(time)).await.status, status, "{time}");
    }
    let successor = format!("/user/api-keys/{successor}");
    assert_eq!(scene.ask("PATCH", &successor, &token, ends("08:20:00")).await.status, 200);
    scene.pass(300);
    assert_eq!(scene.route(&old.secret).await, 401);
}

#[tokio::test]
async fn a_key_is_replaced_once() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    for (overlap, lives_on) in [(3600, 200), (0, 401)] {
        let old = scene.key(&scene.ann, &[]).await;
        let path = format!("/user/api-keys/{}/rotate", old.id);
        let body = json!({"overlap_seconds": overlap});
        let request = format!("once-{overlap}");
        let next = scene.once(&path, &token, &request, &body).await;
        assert_eq!(next.status, 201);
        let before = scene.all_keys().await;
        for again in [json!({}), body.clone()] {
            let detail = scene.post(&path, &token, again).await.refused(Code::Conflict);
            let expected =
                "This key was replaced already. Rotate the key that replaced it, or make a new one.";
            assert_eq!(detail, expected);
        }
        // The same request still gets its first answer.
        let again = scene.once(&path, &token, &request, &body).await;
        assert_eq!((again.status, &again.json()["id"]), (200, &next.json()["id"]));
        assert_eq!((scene.all_keys().await, scene.route(&old.secret).await), (before, lives_on));
        let successor = format!("/user/api-keys/{}/rotate", next.json()["id"].as_str().unwrap());
        let third = scene.post(&successor, &token, json!({})).await.json();
        assert_eq!(third["expires_at"], next.json()["expires_at"], "it lives as long as the first");
    }
}

#[tokio::test]
async fn of_many_who_replace_a_key_one_does() {
    let scene = std::sync::Arc::new(Scene::new().await);
    let token = scene.login(ANN).await.access;
    let path = format!("/user/api-keys/{}/rotate", scene.key(&scene.ann, &[]).await.id);
    let asking = (0..20).map(|_| {
        let (scene, token, path) = (scene.clone(), token.clone(), path.clone());
        tokio::spawn(async move { scene.post(&path, &token, json!({})).await.status })
    });
    let mut statuses = Vec::new();
    for asked in asking.collect::<Vec<_>>() {
        statuses.push(asked.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![201], vec![409; 19]].concat());
    assert_eq!(scene.gateway.issuer().keys(Some(&scene.ann), None, 9).await.unwrap().items.len(), 2);
}

/// Lines of an import: so many keys of an account.
fn lines(keys: u32, account: &str) -> String {
    let line = |number: u32| {
        let digest = HashedToken::of(format!("key {number} of {account}").as_bytes()).hex();
        json!({
            "digest": digest, "prefix": "acme-", "last4": "wxyz", "name": "x", "account": account, "scopes": [],
            "expires_at": "2027-02-15T08:00:00Z",
        })
    };
    (0..keys).map(|number| format!("{}\n", line(number))).collect()
}

#[tokio::test]
async fn an_account_makes_a_thousand_keys_and_no_more_however_many_are_asked_for_at_once() {
    let scene = std::sync::Arc::new(Scene::new().await);
    let (ann, ben) = (scene.login(ANN).await.access, scene.login(BEN).await.access);
    let issuer = scene.gateway.issuer();
    issuer.import_keys(&lines(995, ANN), &origin()).await.unwrap();
    let asking = (0..20).map(|_| {
        let (scene, ann) = (scene.clone(), ann.clone());
        tokio::spawn(async move { scene.post("/user/api-keys", &ann, json!({"name": "x"})).await })
    });
    let mut made = Vec::new();
    for asked in asking.collect::<Vec<_>>() {
        let response = asked.await.unwrap();
        match response.status {
            201 => made.push(response.json()["id"].as_str().unwrap().to_owned()),
            _ => {
                let detail = response.refused(Code::Conflict);
                assert_eq!(
                    detail,
                    "This account has 1000 keys or more, and may make no further. Revoke one first."
                );
            }
        }
    }
    assert_eq!(made.len(), 5);
    assert_eq!(scene.post("/user/api-keys", &ben, json!({"name": "x"})).await.status, 201, "another account");
    // One that lives on beside its successor is one more; one that ends makes room.
    let rotate = format!("/user/api-keys/{}/rotate", made[0]);
    scene.post(&rotate, &ann, json!({"overlap_seconds": 1})).await.refused(Code::Conflict);
    let mut browser = scene.logged_in(ANN).await;
    for (page, fields) in
        [("keys", ("name", "x")), (&*format!("keys/{}/rotate", made[0]), ("overlap", "3600"))]
    {
        let refused = browser.submit(page, &[fields]).await;
        assert_eq!(refused.status, 409, "{page}");
        assert!(refused.text().contains("and may make no further. Revoke one first."), "{}", refused.text());
    }
    assert_eq!(scene.post(&rotate, &ann, json!({"overlap_seconds": 0})).await.status, 201);
    scene.post("/user/api-keys", &ann, json!({"name": "x"})).await.refused(Code::Conflict);
    // What is dead does not count, nor what is refused.
    scene.ask("DELETE", &format!("/user/api-keys/{}", made[1]), &ann, None).await;
    assert_eq!(scene.once("/user/api-keys", &ann, "k", &json!({"name": "x"})).await.status, 201);
    scene.once("/user/api-keys", &ann, "l", &json!({"name": "x"})).await.refused(Code::Conflict);
    assert_eq!(scene.once("/user/api-keys", &ann, "k", &json!({"name": "x"})).await.status, 200, "again");
    // The operator is bound by nobody, and who has more than that can replace one.
    scene.key(&scene.ann, &[]).await;
    let rotate = format!("/user/api-keys/{}/rotate", made[3]);
    assert_eq!(scene.post(&rotate, &ann, json!({"overlap_seconds": 0})).await.status, 201);
    issuer.rotate_key(&made[2], std::time::Duration::from_secs(60), None, &origin()).await.unwrap();
    scene.pass(32 * 86_400);
    let ann = scene.login(ANN).await.access;
    assert_eq!(scene.once("/user/api-keys", &ann, "l", &json!({"name": "x"})).await.status, 201, "expired");
}

#[tokio::test]
async fn a_request_with_an_idempotency_key_is_answered_once() {
    let scene = Scene::new().await;
    let (ann, ben) = (scene.login(ANN).await.access, scene.login(BEN).await.access);
    let body = json!({"name": "x", "expires_at": "2027-01-15T08:10:00Z"});
    let made = scene.once("/user/api-keys", &ann, "k1", &body).await;
    assert_eq!(made.status, 201);
    let mut before = made.json();
    let secret = before["key"].as_str().unwrap().to_owned();
    before["key"] = Value::Null;
    let again = scene.once("/user/api-keys", &ann, "k1", &body).await;
    assert_eq!((again.status, again.json()), (200, before.clone()));
    let other = scene.once("/user/api-keys", &ann, "k1", &json!({"name": "y"})).await;
    other.refused(Code::IdempotencyMismatch);
    let rotate = format!("/user/api-keys/{}/rotate", before["id"].as_str().unwrap());
    scene.once(&rotate, &ann, "k1", &json!({})).await.refused(Code::IdempotencyMismatch);
    // Another request, whatever is wrong with it.
    for wrong in [
        json!({"name": ""}),
        json!({"name": "x", "scopes": ["nope"]}),
        json!({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}),
        json!({"name": "x", "allowed_addresses": ["office"]}),
    ] {
        scene.once("/user/api-keys", &ann, "k1", &wrong).await.refused(Code::IdempotencyMismatch);
        scene.once("/user/api-keys", &ann, "k0", &wrong).await.refused_for(Code::UnacceptableBody);
    }
    // What cannot be read is no request, neither that one nor another.
    for (unread, pointer) in [
        (json!({"name": "x", "expires_at": "tomorrow"}), "/expires_at"),
        (json!({"name": "x", "expires_at": 7}), "/expires_at"),
        (json!({"name": 7}), "/name"),
        (json!({"name": "x", "nope": 1}), "/nope"),
        (json!({}), "/name"),
    ] {
        for key in ["k1", "k0"] {
            let answer = scene.once("/user/api-keys", &ann, key, &unread).await;
            let (_, faults) = answer.refused_for(Code::UnacceptableBody);
            assert_eq!(faults.iter().map(|(at, _)| &**at).collect::<Vec<_>>(), [pointer], "{unread} {key}");
        }
    }
    let long = json!({"overlap_seconds": 31 * 86_400});
    scene.once(&rotate, &ann, "k1", &long).await.refused(Code::IdempotencyMismatch);
    scene.once(&rotate, &ann, "k0", &long).await.refused_for(Code::UnacceptableBody);
    assert_eq!(scene.once("/user/api-keys", &ben, "k1", &body).await.status, 201, "another account");
    let rotated = scene.once(&rotate, &ann, "k2", &json!({"overlap_seconds": 0})).await;
    assert_eq!(rotated.status, 201);
    let again = scene.once(&rotate, &ann, "k2", &json!({"overlap_seconds": 0})).await;
    assert_eq!(
        (again.status, &again.json()["id"], &again.json()["key"]),
        (200, &rotated.json()["id"], &Value::Null)
    );
    assert_eq!(scene.route(&secret).await, 401);
    // What was right then would not be so now.
    scene.pass(3600);
    let ann = scene.login(ANN).await.access;
    let again = scene.once("/user/api-keys", &ann, "k1", &body).await;
    assert_eq!((again.status, &again.json()["id"], &again.json()["key"]), (200, &before["id"], &Value::Null));
    scene.pass(23 * 3600);
    let ann = scene.login(ANN).await.access;
    scene.once("/user/api-keys", &ann, "k1", &body).await.refused_for(Code::UnacceptableBody);
    assert_eq!(scene.once("/user/api-keys", &ann, "k1", &json!({"name": "z"})).await.status, 201);
}

#[tokio::test]
async fn an_idempotency_key_is_one_short_visible_word() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    let body = json!({"name": "x"});
    let long = "x".repeat(256);
    for bad in ["", &*long, "a b"] {
        let (_, faults) =
            scene.once("/user/api-keys", &token, bad, &body).await.refused_for(Code::UnacceptableBody);
        assert_eq!(faults[0].0, "/Idempotency-Key");
    }
    scene.once("/user/api-keys", &token, "\u{e9}", &body).await.refused(Code::BadRequest);
    let mut client = scene.api().with_key(&token);
    let twice = client.request("POST", "/user/api-keys").header("Content-Type", "application/json");
    let twice = twice.header("Idempotency-Key", "a").header("Idempotency-Key", "a");
    twice.body(body.to_string()).send().await.refused(Code::BadRequest);
    assert_eq!(scene.ask("GET", "/user/api-keys", &token, None).await.json()["items"], json!([]));
}

#[tokio::test]
async fn of_many_requests_with_one_idempotency_key_one_makes_a_key() {
    let scene = std::sync::Arc::new(Scene::new().await);
    let token = scene.login(ANN).await.access;
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let (scene, token) = (scene.clone(), token.clone());
            tokio::spawn(
                async move { scene.once("/user/api-keys", &token, "k", &json!({"name": "x"})).await },
            )
        })
        .collect();
    let mut statuses = Vec::new();
    for asked in asking {
        statuses.push(asked.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200; 19], vec![201]].concat());
    let keys = scene.ask("GET", "/user/api-keys", &token, None).await.json();
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_comes_in_pages_that_miss_and_repeat_nothing() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(scene.key(&scene.ann, &[]).await.id);
        scene.pass(1);
    }
    scene.key(&scene.ben, &[]).await;
    let mut seen = Vec::new();
    let mut target = "/user/api-keys?limit=2".to_owned();
    for size in [2, 2, 1] {
        let page = scene.ask("GET", &target, &token, None).await.json();
        let items = page["items"].as_array().unwrap().clone();
        assert_eq!(items.len(), size);
        seen.extend(items.iter().map(|key| key["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => target = format!("/user/api-keys?limit=2&cursor={cursor}"),
            None => assert_eq!(size, 1),
        }
    }
    assert_eq!(seen, made);
    let (id, plain) = (&made[1], made[1].replace('-', ""));
    let spellings = [id.to_uppercase(), plain, format!("urn:uuid:{id}"), format!("{{{id}}}")];
    let spellings = spellings.map(|text| format!("cursor={}", text.replace('{', "%7B").replace('}', "%7D")));
    for wrong in
        ["limit=0", "limit=201", "limit=x", "limit=-1", "page=2", "cursor=zzz", "cursor=%ff", "cursor="]
            .into_iter()
            .chain(spellings.iter().map(String::as_str))
    {
        let detail = scene
            .ask("GET", &format!("/user/api-keys?{wrong}"), &token, None)
            .await
            .refused(Code::BadRequest);
        assert_eq!(detail, "The query takes cursor, as the page before told it, and limit, from 1 to 200.");
    }
}
