//! Who may do what: nobody sees or touches what is another's, and no credential makes a stronger one.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::issuer::ScopesChoice;
use serde_json::{Value, json};

use super::{ANN, BEN, START, Scene, same_but_for_ids};
use crate::support::keys::origin;
use crate::support::raw::Response;

/// Every endpoint that acts for an account, on the key of this id.
fn endpoints(id: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let key = format!("/user/api-keys/{id}");
    let name = json!({"name": "x"});
    vec![
        ("GET", "/user/api-keys".to_owned(), None),
        ("POST", "/user/api-keys".to_owned(), Some(name.clone())),
        ("GET", key.clone(), None),
        ("PATCH", key.clone(), Some(name)),
        ("POST", format!("{key}/rotate"), Some(json!({}))),
        ("DELETE", key, None),
        ("GET", "/user/limits".to_owned(), None),
        ("POST", "/user/logout".to_owned(), None),
    ]
}

impl Scene {
    /// All that the endpoints could change of an account.
    async fn all_of(&self, account: &str) -> (String, String) {
        let issuer = self.gateway.issuer();
        let mut keys = issuer.keys(Some(account), None, 99).await.unwrap().items;
        // A key that is refused here was used all the same, and that is written down when its time comes.
        keys.iter_mut().for_each(|key| key.last_used_at = None);
        let sessions = issuer.sessions(Some(account), None, 99).await.unwrap().items;
        (format!("{keys:?}"), format!("{sessions:?}"))
    }
}

#[tokio::test]
async fn a_credential_that_does_not_hold_opens_nothing() {
    let scene = Scene::new().await;
    let id = scene.key(&scene.ann, &[]).await.id;
    let living = scene.login(ANN).await;
    let ended = scene.login(ANN).await;
    scene.ask("POST", "/user/logout", &ended.access, None).await;
    let revoked = scene.key(&scene.ann, &["keyward:account"]).await;
    scene.gateway.issuer().revoke_key(&revoked.id, &origin()).await.unwrap();
    let old = scene.login(ANN).await;
    let short = json!({"name": "short", "scopes": ["keyward:account"], "expires_at": "2027-01-15T08:01:00Z"});
    let expired = scene.post("/user/api-keys", &living.access, short).await.json()["key"].clone();
    let link = scene.gateway.issuer().make_reset_link(ANN, &origin()).await.unwrap();
    let link = link.url.split_once("token=").unwrap().1.to_owned();
    scene.pass(900);
    let expired = expired.as_str().unwrap();
    let before = scene.all_of(&scene.ann).await;
    for (credential, code) in [
        ("", Code::MissingCredentials),
        ("junk", Code::InvalidCredentials),
        (&*living.refresh, Code::InvalidCredentials),
        (&*link, Code::InvalidCredentials),
        (&*revoked.secret, Code::RevokedCredentials),
        (&*ended.access, Code::RevokedCredentials),
        (expired, Code::ExpiredCredentials),
        (&*old.access, Code::ExpiredCredentials),
    ] {
        for (method, path, body) in endpoints(&id) {
            let response = scene.ask(method, &path, credential, body).await;
            response.refused(code);
            assert!(response.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer ")));
        }
    }
    assert_eq!(scene.all_of(&scene.ann).await, before);
}

#[tokio::test]
async fn a_key_acts_for_its_account_only_with_the_scope_for_it() {
    let scene = Scene::new().await;
    let id = scene.key(&scene.ann, &[]).await.id;
    let plain = scene.key(&scene.ann, &["orders:read", "orders:write"]).await.secret;
    let before = scene.all_of(&scene.ann).await;
    for (method, path, body) in endpoints(&id) {
        let response = scene.ask(method, &path, &plain, body).await;
        response.refused(Code::InsufficientScope);
        let scope = if path == "/user/logout" { "" } else { ", scope=\"keyward:account\"" };
        let challenge = response.header("www-authenticate").unwrap();
        assert_eq!(
            challenge,
            format!("Bearer realm=\"keyward\", error=\"insufficient_scope\"{scope}"),
            "{path}"
        );
    }
    assert_eq!(scene.all_of(&scene.ann).await, before);
    let steward = scene.key(&scene.ann, &["keyward:account"]).await.secret;
    let statuses = [200, 201, 200, 200, 201, 204, 200];
    for ((method, path, body), status) in endpoints(&id).into_iter().zip(statuses) {
        let response = scene.ask(method, &path, &steward, body).await;
        assert_eq!(response.status, status, "{method} {path}: {response:?}");
    }
}

/// It may come back, and who has the key then has it.
#[tokio::test]
async fn a_scope_that_is_out_of_the_catalogue_is_given_by_no_key_that_has_not_itself() {
    let mut scene = Scene::new().await;
    let steward = scene.key(&scene.ann, &["keyward:account"]).await;
    let writer = scene.key(&scene.ann, &["keyward:account", "orders:write"]).await;
    let known = "scopes:
  \"keyward:account\": { description: Everything that is yours, default: true }
  \"orders:read\": { description: Read orders, default: true }
";
    scene.gateway.reload(|builder| builder.yaml(&format!("{}{known}", super::IDENTITY))).await;
    let path = format!("/user/api-keys/{}", writer.id);
    let nearer = Some(json!({ "allowed_addresses": ["127.0.0.0/8"] }));
    let rotate = || ("POST", format!("{path}/rotate"), Some(json!({})));
    for (method, path, body) in [rotate(), ("PATCH", path.clone(), nearer)] {
        let refused = scene.ask(method, &path, &steward.secret, body).await;
        let detail = refused.refused(Code::InsufficientScope);
        assert!(detail.contains("orders:write"), "{detail}");
    }
    // What it has itself it may keep.
    let (method, path, body) = rotate();
    let response = scene.ask(method, &path, &writer.secret, body).await;
    assert_eq!(response.status, 201, "{response:?}");
}

#[tokio::test]
async fn no_key_has_a_session_to_end_whatever_its_scopes() {
    let scene = Scene::new().await;
    for scopes in [&["orders:read"][..], &["keyward:account"]] {
        let key = scene.key(&scene.ann, scopes).await.secret;
        let response = scene.ask("POST", "/user/logout", &key, None).await;
        let detail = response.refused(Code::InsufficientScope);
        assert_eq!(
            detail,
            "This API key has no session to end. Log out with the access token of the login that is to end."
        );
        let challenge = response.header("www-authenticate").unwrap();
        assert_eq!(
            challenge, "Bearer realm=\"keyward\", error=\"insufficient_scope\"",
            "no scope would help"
        );
    }
}

#[tokio::test]
async fn without_a_credential_it_is_said_which_would_do() {
    let scene = Scene::new().await;
    for (method, path, body) in endpoints("x") {
        let detail = scene.ask(method, &path, "", body).await.refused(Code::MissingCredentials);
        let expected = match &*path {
            "/user/logout" => {
                "Send the access token of the login that is to end: Authorization: Bearer ACCESS_TOKEN"
            }
            _ => {
                "Log in by POST /user/login and send the access token, or send an API key with the scope keyward:account: \
                 Authorization: Bearer ACCESS_TOKEN"
            }
        };
        assert_eq!(detail, expected, "{path}");
    }
}

#[tokio::test]
async fn a_secret_of_another_kind_is_told_where_it_belongs() {
    let scene = Scene::new().await;
    let refresh = scene.login(ANN).await.refresh;
    let link = scene.gateway.issuer().make_reset_link(ANN, &origin()).await.unwrap();
    let link = link.url.split_once("token=").unwrap().1.to_owned();
    let about_refresh = "This is a refresh token. Exchange it by POST /user/token/refresh, and send the access token of the answer.";
    let about_link = "This is the secret of a reset link. Open that link in a browser.";
    let unknown = "This credential is not known. Check that it was copied whole, or generate a new API key.";
    let cut = &refresh[..refresh.len() - 1];
    for (secret, detail) in [(&*refresh, about_refresh), (&*link, about_link), (cut, unknown)] {
        let validated = scene.post("/user/token/validate", "", json!({"token": secret})).await;
        let listed = scene.ask("GET", "/user/api-keys", secret, None).await;
        let routed = scene.gateway.anonymous().with_key(secret).get("/orders").await;
        for response in [validated, listed, routed] {
            assert_eq!(response.refused(Code::InvalidCredentials), detail);
            let challenge = response.header("www-authenticate").unwrap();
            assert_eq!(challenge, "Bearer realm=\"keyward\", error=\"invalid_token\"");
        }
    }
    // It was not looked up, and is not used up.
    assert_eq!(scene.try_refresh(&refresh).await.status, 200);
}

#[tokio::test]
async fn another_accounts_things_do_not_exist() {
    let scene = Scene::new().await;
    let theirs = scene.key(&scene.ben, &["orders:read"]).await.id;
    let session = scene.gateway.issuer().sessions(Some(&scene.ben), None, 1).await.unwrap();
    assert_eq!(session.items, []);
    scene.login(BEN).await;
    let session =
        scene.gateway.issuer().sessions(Some(&scene.ben), None, 1).await.unwrap().items.remove(0).id;
    let steward = scene.key(&scene.ann, &["keyward:account"]).await.secret;
    let access = scene.login(ANN).await.access;
    let before = scene.all_of(&scene.ben).await;
    for credential in [&access, &steward] {
        let mut answers: Vec<Vec<Value>> = Vec::new();
        for id in [
            &*theirs,
            &*session,
            &*scene.ben,
            &*scene.ann,
            "01a3185c-5000-73c0-b954-626744fd9b7f",
            "x",
            "%00x",
        ] {
            let mut told = Vec::new();
            for (method, path, body) in endpoints(id).into_iter().filter(|(_, path, _)| path.contains(id)) {
                let response: Response = scene.ask(method, &path, credential, body).await;
                if id.starts_with('%') {
                    response.refused(Code::AmbiguousPath);
                    continue;
                }
                response.refused(Code::NotFound);
                told.push(same_but_for_ids(&response));
            }
            answers.push(told);
        }
        answers.pop();
        assert!(answers.iter().all(|told| told == &answers[0] && told.len() == 4), "{answers:#?}");
        let listed =
            scene.ask("GET", &format!("/user/api-keys?cursor={theirs}"), credential, None).await.json();
        assert!(!listed.to_string().contains(&theirs), "{listed}");
    }
    assert_eq!(scene.all_of(&scene.ben).await, before);
}

#[tokio::test]
async fn no_credential_makes_a_stronger_one() {
    let scene = Scene::new().await;
    let strong = scene.key(&scene.ann, &["orders:read", "orders:write"]).await;
    let mine = scene.key(&scene.ann, &["orders:read"]).await;
    let steward = scene.key(&scene.ann, &["keyward:account", "orders:read"]).await.secret;
    let before = scene.all_of(&scene.ann).await;
    let path = |id: &str, more: &str| format!("/user/api-keys/{id}{more}");
    let wide = json!({"name": "x", "scopes": ["orders:read", "orders:write"]});
    for (method, path, body) in [
        ("POST", "/user/api-keys".to_owned(), wide),
        ("PATCH", path(&mine.id, ""), json!({"scopes": ["orders:write"]})),
        // Its secret would be told.
        ("POST", path(&strong.id, "/rotate"), json!({})),
    ] {
        let response = scene.ask(method, &path, &steward, Some(body)).await;
        response.refused(Code::InsufficientScope);
        assert!(response.header("www-authenticate").unwrap().ends_with("scope=\"orders:write\""));
    }
    // Nobody gives what the account has not, and what nobody knows is told as such.
    let token = scene.login(ANN).await.access;
    for credential in [&steward, &token] {
        let asked = json!({"name": "x", "scopes": ["nope"]});
        let response = scene.post("/user/api-keys", credential, asked).await;
        let (_, faults) = response.refused_for(Code::UnacceptableBody);
        assert_eq!(faults[0].0, "/scopes");
    }
    let asked = json!({"name": "x", "scopes": ["orders:admin"]});
    let (_, faults) =
        scene.post("/user/api-keys", &token, asked.clone()).await.refused_for(Code::UnacceptableBody);
    assert_eq!(faults[0].0, "/scopes");
    let patched =
        scene.ask("PATCH", &path(&mine.id, ""), &token, Some(json!({"scopes": ["orders:admin"]}))).await;
    patched.refused_for(Code::UnacceptableBody);
    assert_eq!(scene.all_of(&scene.ann).await.0, before.0);
    let narrow = json!({"name": "x", "scopes": ["orders:read"]});
    assert_eq!(scene.post("/user/api-keys", &steward, narrow).await.status, 201);
    let chosen = ScopesChoice::These(vec!["orders:admin".to_owned()]);
    scene.gateway.issuer().set_account_scopes(&scene.ann, &chosen, &origin()).await.unwrap();
    assert_eq!(scene.post("/user/api-keys", &token, asked).await.status, 201);
    // The account may no longer have the scope, so the key has it no longer.
    scene.ask("GET", "/user/api-keys", &steward, None).await.refused(Code::InsufficientScope);
}

#[tokio::test]
async fn a_key_that_is_bound_to_networks_binds_what_it_makes() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    let bound = json!({"name": "x", "scopes": ["keyward:account"], "allowed_addresses": ["127.0.0.0/16"]});
    let made = scene.post("/user/api-keys", &token, bound).await.json();
    let key = made["key"].as_str().unwrap();
    let path = format!("/user/api-keys/{}", made["id"].as_str().unwrap());
    let free = scene.key(&scene.ann, &[]).await.id;
    for (method, path, body) in [
        ("POST", "/user/api-keys", json!({"name": "y"})),
        ("POST", "/user/api-keys", json!({"name": "y", "allowed_addresses": ["127.0.0.0/8"]})),
        ("POST", "/user/api-keys", json!({"name": "y", "allowed_addresses": ["127.0.0.1", "10.0.0.1"]})),
        ("PATCH", &*path, json!({"allowed_addresses": []})),
        ("POST", &*format!("/user/api-keys/{free}/rotate"), json!({})),
    ] {
        let response = scene.ask(method, path, key, Some(body.clone())).await;
        let (_, faults) = response.refused_for(Code::UnacceptableBody);
        assert_eq!(faults[0].0, "/allowed_addresses", "{path} {body}");
    }
    let inside = json!({"name": "y", "allowed_addresses": ["127.0.0.1", "127.0.9.0/24"]});
    assert_eq!(scene.post("/user/api-keys", key, inside).await.status, 201);
    let elsewhere = json!({"allowed_addresses": ["10.0.0.0/8"]});
    assert_eq!(scene.ask("PATCH", &path, &token, Some(elsewhere)).await.status, 200);
    let detail = scene.ask("GET", "/user/api-keys", key, None).await.refused(Code::AddressNotAllowed);
    let expected = "This API key may not be used from 127.0.0.1. Use it from an allowed network, or change its address rules.";
    assert_eq!(detail, expected);
}

/// A time so many seconds from the start.
fn at(seconds: u64) -> String {
    START.after(Duration::from_secs(seconds)).to_string()
}

#[tokio::test]
async fn a_key_is_judged_as_it_will_be() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    let path = |key: &Value| format!("/user/api-keys/{}", key["id"].as_str().unwrap());
    let make = async |body: Value| scene.post("/user/api-keys", &token, body).await.json();
    let home = json!(["127.0.0.0/16"]);
    let both = ["keyward:account", "orders:read"];
    let bound = make(json!({"name": "bound", "scopes": both, "allowed_addresses": home})).await;
    let steward = make(json!({"name": "free", "scopes": both})).await;
    let open = make(json!({"name": "open", "scopes": []})).await;
    let strong =
        make(json!({"name": "strong", "scopes": ["orders:write"], "allowed_addresses": ["127.0.0.1"]})).await;
    let (bound, steward) = (bound["key"].as_str().unwrap(), steward["key"].as_str().unwrap());
    let before = scene.all_of(&scene.ann).await.0;
    // It would give its scopes to where it cannot be used itself.
    let scopes = json!({"scopes": ["orders:read"]});
    let response = scene.ask("PATCH", &path(&open), bound, Some(scopes.clone())).await;
    assert_eq!(response.refused_for(Code::UnacceptableBody).1[0].0, "/allowed_addresses");
    // And free what others are not to use, or have it live longer.
    for changes in [
        json!({"allowed_addresses": []}),
        json!({"allowed_addresses": ["0.0.0.0/0"]}),
        json!({"expires_at": at(10_000)}),
    ] {
        let response = scene.ask("PATCH", &path(&strong), steward, Some(changes)).await;
        response.refused(Code::InsufficientScope);
        assert!(response.header("www-authenticate").unwrap().ends_with("scope=\"orders:write\""));
    }
    assert_eq!(scene.all_of(&scene.ann).await.0, before);
    // What makes nothing stronger is done.
    for (key, changes, by) in [
        (&strong, json!({"name": "still strong"}), steward),
        (&strong, json!({"scopes": [], "allowed_addresses": []}), steward),
        (&open, scopes, steward),
        (&open, json!({"allowed_addresses": home}), bound),
    ] {
        assert_eq!(scene.ask("PATCH", &path(key), by, Some(changes.clone())).await.status, 200, "{changes}");
    }
}

#[tokio::test]
async fn no_key_outlives_the_key_that_made_it() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    let both = ["keyward:account", "orders:read"];
    let make = async |by: &str, body: Value| scene.post("/user/api-keys", by, body).await.json();
    let steward = make(&token, json!({"name": "s", "scopes": both, "expires_at": at(1000)})).await;
    let long = make(&token, json!({"name": "long", "scopes": ["orders:read"]})).await;
    let key = steward["key"].as_str().unwrap();
    let path = |key: &Value, more: &str| format!("/user/api-keys/{}{more}", key["id"].as_str().unwrap());
    let detail = format!("A key made with an API key ends with that key at the latest: at {}.", at(1000));
    for (method, path, body) in [
        ("POST", "/user/api-keys".to_owned(), json!({"name": "x", "expires_at": at(1001)})),
        ("PATCH", path(&steward, ""), json!({"expires_at": at(1001)})),
        ("PATCH", path(&long, ""), json!({"scopes": both})),
    ] {
        let response = scene.ask(method, &path, key, Some(body.clone())).await;
        let (_, faults) = response.refused_for(Code::UnacceptableBody);
        assert_eq!(faults, [("/expires_at".to_owned(), detail.clone())], "{body}");
    }
    let shorter = json!({"name": "x", "expires_at": at(999)});
    assert_eq!(make(key, shorter).await["expires_at"], at(999));
    // Where nobody says when, it ends with its maker.
    assert_eq!(make(key, json!({"name": "x"})).await["expires_at"], at(1000));
    for old in [&steward, &long] {
        let rotated = scene.post(&path(old, "/rotate"), key, json!({})).await;
        assert_eq!((rotated.status, &rotated.json()["expires_at"]), (201, &json!(at(1000))));
    }
    // A login's own credential lives for minutes and makes what it likes.
    assert_eq!(
        make(&token, json!({"name": "x", "expires_at": at(100_000)})).await["expires_at"],
        at(100_000)
    );
    // A long life is cut down to the usual one, as ever.
    let old = make(&token, json!({"name": "old", "scopes": both, "expires_at": at(300 * 86_400)})).await;
    let made = make(old["key"].as_str().unwrap(), json!({"name": "x"})).await;
    assert_eq!(made["expires_at"], at(90 * 86_400));
}

#[tokio::test]
async fn a_token_of_one_kind_is_none_of_another() {
    let scene = Scene::new().await;
    let pair = scene.login(ANN).await;
    let key = scene.key(&scene.ann, &["keyward:account"]).await.secret;
    let link = scene.gateway.issuer().make_reset_link(ANN, &origin()).await.unwrap();
    let link = link.url.split_once("token=").unwrap().1.to_owned();
    for wrong in [&pair.access, &key, &link, &String::new(), &"x".repeat(9000)] {
        scene.try_refresh(wrong).await.refused(Code::InvalidGrant);
    }
    for wrong in [&pair.refresh, &link, &String::new()] {
        let validated = scene.post("/user/token/validate", "", json!({"token": wrong})).await;
        validated.refused(Code::InvalidCredentials);
    }
    for wrong in [&pair.refresh, &link] {
        assert_eq!(scene.route(wrong).await, 401);
    }
    // What a browser has is nobody's token, and a token opens no page.
    let mut browser = scene.logged_in(ANN).await;
    let cookie = browser.session.clone();
    let (name, value) = cookie.split_once('=').unwrap();
    let form = browser.token().await;
    for wrong in [value, value.split_once('.').unwrap().0, value.split_once('.').unwrap().1, &*form] {
        assert_eq!(scene.route(wrong).await, 401, "{wrong}");
        scene.ask("GET", "/user/api-keys", wrong, None).await.refused(Code::InvalidCredentials);
        scene.try_refresh(wrong).await.refused(Code::InvalidGrant);
    }
    for wrong in [&pair.access, &pair.refresh, &key, &link] {
        browser.session = format!("{name}={wrong}");
        browser.get("keys").await.is_logged_out();
    }
    for wrong in [&pair.access, &pair.refresh, &key] {
        let page = scene.api().get(&format!("/console/reset?token={wrong}")).await;
        assert_eq!(page.status, 404);
    }
    // None of it did any harm.
    assert_eq!(scene.try_refresh(&pair.refresh).await.status, 200);
    assert_eq!(scene.api().get(&format!("/console/reset?token={link}")).await.status, 200);
}

#[tokio::test]
async fn a_credential_that_is_not_asked_for_does_no_harm() {
    let scene = Scene::new().await;
    let body = json!({"email": ANN, "password": super::PASSWORD});
    for credential in ["junk", "a b", "kw_sk_x"] {
        assert_eq!(scene.post("/user/login", credential, body.clone()).await.status, 200, "{credential}");
    }
}
