//! Every endpoint when all is right: whole bodies, and who gets them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use keyward::auth::refusal::Code;
use keyward::auth::token::{Kind, Prefix, is_well_formed};
use serde_json::{Value, json};

use super::{ANN, HOST, IDENTITY, PASSWORD, SCOPES, Scene, tokens};
use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::raw::Response;
use crate::support::upstream::{Answer, Upstream};

const EPOCH: i64 = 1_800_000_000;
const ALL: &str = "keyward:account orders:read orders:write";

/// The members of a token's part.
fn part(token: &str, number: usize) -> Value {
    let part = BASE64.decode(token.split('.').nth(number).unwrap()).unwrap();
    serde_json::from_slice(&part).unwrap()
}

#[track_caller]
fn is_private_json(response: &Response, status: u16) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(response.header("x-request-id").is_some());
}

#[tokio::test]
async fn a_login_gives_a_pair_of_tokens() {
    let scene = Scene::new().await;
    let response = scene.try_login("Ann@Example.com", PASSWORD).await;
    is_private_json(&response, 200);
    let given = tokens(&response);
    assert_eq!(
        response.json(),
        json!({
            "access_token": given.access,
            "token_type": "Bearer",
            "expires_in": 900,
            "refresh_token": given.refresh,
            "scope": ALL,
        })
    );
    assert!(is_well_formed(&Prefix::default(), Kind::RefreshToken, &given.refresh));
    let (head, claims) = (part(&given.access, 0), part(&given.access, 1));
    assert_eq!((&head["typ"], &head["alg"]), (&json!("at+jwt"), &json!("EdDSA")));
    for (name, value) in [
        ("iss", json!("https://auth.test")),
        ("aud", json!("https://auth.test")),
        ("sub", json!(scene.ann)),
        ("client_id", json!("keyward")),
        ("iat", json!(EPOCH)),
        ("exp", json!(EPOCH + 900)),
        ("scope", json!(ALL)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(scene.route(&given.access).await, 200);
}

#[tokio::test]
async fn a_validation_tells_what_a_credential_is_good_for_wherever_it_stands() {
    let scene = Scene::new().await;
    let access = scene.login(ANN).await.access;
    let key = scene.key(&scene.ann, &["orders:read"]).await.secret;
    let told = |kind: &str, client: Value, scope: &str, life: i64| {
        json!({
            "active": true, "token_type": kind, "sub": scene.ann, "client_id": client,
            "scope": scope, "iat": EPOCH, "exp": EPOCH + life,
        })
    };
    for (credential, expected) in [
        (&access, told("access_token", json!("keyward"), ALL, 900)),
        (&key, told("api_key", Value::Null, "orders:read", 90 * 86_400)),
    ] {
        let named = scene.post("/user/token/validate", "", json!({"token": credential})).await;
        let borne = scene.post("/user/token/validate", credential, json!({})).await;
        let bare = scene.ask("POST", "/user/token/validate", credential, None).await;
        for response in [named, borne, bare] {
            is_private_json(&response, 200);
            assert_eq!(response.json(), expected);
        }
        let both = scene.post("/user/token/validate", credential, json!({"token": credential})).await;
        both.refused(Code::InvalidRequest);
    }
    for neither in [json!({}), json!({"token": null})] {
        scene.post("/user/token/validate", "", neither).await.refused(Code::MissingCredentials);
    }
}

#[tokio::test]
async fn a_refresh_gives_another_pair_and_a_logout_ends_it() {
    let scene = Scene::new().await;
    let first = scene.login(ANN).await;
    scene.pass(60);
    let response = scene.try_refresh(&first.refresh).await;
    is_private_json(&response, 200);
    let second = tokens(&response);
    assert_eq!(
        response.json(),
        json!({
            "access_token": second.access,
            "token_type": "Bearer",
            "expires_in": 900,
            "refresh_token": second.refresh,
            "scope": ALL,
        })
    );
    assert_eq!(part(&second.access, 1)["iat"], json!(EPOCH + 60));
    assert!(first.refresh != second.refresh && first.access != second.access);
    for token in [&first.access, &second.access] {
        assert_eq!(scene.route(token).await, 200, "seen, and cached");
    }
    let logout = scene.ask("POST", "/user/logout", &second.access, None).await;
    assert_eq!((logout.status, logout.text(), logout.header("content-type")), (204, "", None));
    for token in [&first.access, &second.access] {
        assert_eq!(scene.route(token).await, 401);
        scene.post("/user/token/validate", token, json!({})).await.refused(Code::RevokedCredentials);
    }
    scene.try_refresh(&second.refresh).await.refused(Code::InvalidGrant);
}

#[tokio::test]
async fn a_key_is_made_shown_changed_replaced_and_revoked() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    let asked = json!({
        "name": " nightly import ", "scopes": ["orders:write", "orders:read"],
        "expires_at": "2027-02-15T08:00:00Z", "allowed_addresses": ["127.0.0.0/8"],
    });
    let made = scene.post("/user/api-keys", &token, asked).await;
    is_private_json(&made, 201);
    let secret = made.json()["key"].as_str().unwrap().to_owned();
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert!(is_well_formed(&Prefix::default(), Kind::ApiKey, &secret));
    let mut object = json!({
        "id": id, "account_id": scene.ann, "name": "nightly import", "prefix": "kw_sk_", "last4": secret[secret.len() - 4..],
        "scopes": ["orders:read", "orders:write"], "allowed_addresses": ["127.0.0.0/8"],
        "created_at": "2027-01-15T08:00:00Z", "expires_at": "2027-02-15T08:00:00Z",
        "last_used_at": null, "revoked_at": null, "status": "active",
    });
    let mut with_secret = object.clone();
    with_secret["key"] = json!(secret);
    assert_eq!(made.json(), with_secret);

    let path = format!("/user/api-keys/{id}");
    let shown = scene.ask("GET", &path, &token, None).await;
    is_private_json(&shown, 200);
    assert_eq!(shown.json(), object);
    let listed = scene.ask("GET", "/user/api-keys", &token, None).await;
    is_private_json(&listed, 200);
    assert_eq!(listed.json(), json!({"items": [object], "next_cursor": null}));

    let change = json!({"name": "hourly", "scopes": ["orders:read"], "allowed_addresses": []});
    let changed = scene.ask("PATCH", &path, &token, Some(change)).await;
    is_private_json(&changed, 200);
    (object["name"], object["scopes"], object["allowed_addresses"]) =
        (json!("hourly"), json!(["orders:read"]), json!([]));
    assert_eq!(changed.json(), object);
    let nothing = scene.ask("PATCH", &path, &token, Some(json!({}))).await;
    assert_eq!(nothing.json(), object);

    let rotated = scene.post(&format!("{path}/rotate"), &token, json!({"overlap_seconds": 60})).await;
    is_private_json(&rotated, 201);
    let successor = rotated.json();
    assert_ne!(successor["id"], json!(id));
    assert_ne!(successor["key"], json!(secret));
    for same in ["name", "scopes", "allowed_addresses", "expires_at", "status"] {
        assert_eq!(successor[same], object[same], "{same}");
    }
    let old = scene.ask("GET", &path, &token, None).await.json();
    assert_eq!(old["expires_at"], json!("2027-01-15T08:01:00Z"));

    let revoked = scene.ask("DELETE", &path, &token, None).await;
    assert_eq!((revoked.status, revoked.text()), (204, ""));
    let old = scene.ask("GET", &path, &token, None).await.json();
    assert_eq!((&old["status"], &old["revoked_at"]), (&json!("revoked"), &json!("2027-01-15T08:00:00Z")));
}

#[tokio::test]
async fn the_key_set_is_anybodys_and_may_be_kept() {
    let scene = Scene::new().await;
    let response = scene.api().get("/.well-known/jwks.json").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("cache-control"), Some("public, max-age=300"));
    let access = scene.login(ANN).await.access;
    let keys = response.json()["keys"].as_array().unwrap().clone();
    assert!(keys.iter().any(|key| key["kid"] == part(&access, 0)["kid"]), "{keys:?}");
    assert!(keys.iter().all(|key| key.get("d").is_none()), "a private key is told");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    let key = scene.key(&scene.ann, &[]).await.id;
    for path in ["/user/api-keys", &format!("/user/api-keys/{key}"), "/.well-known/jwks.json"] {
        let get = scene.ask("GET", path, &token, None).await;
        let head = scene.ask("HEAD", path, &token, None).await;
        assert_eq!((head.status, head.text()), (200, ""), "{path}");
        for field in ["content-type", "content-length", "cache-control"] {
            assert_eq!(head.header(field), get.header(field), "{field} of {path}");
        }
    }
    let refused = scene.ask("HEAD", "/user/api-keys", "", None).await;
    assert_eq!((refused.status, refused.text()), (401, ""));
    scene.ask("HEAD", "/user/login", "", None).await;
}

#[tokio::test]
async fn what_an_endpoint_does_not_take_is_a_405_that_says_what_it_takes() {
    let scene = Scene::new().await;
    for (path, allow) in [
        ("/user/login", "POST"),
        ("/user/logout", "POST"),
        ("/user/token/validate", "POST"),
        ("/user/token/refresh", "POST"),
        ("/user/api-keys", "GET, HEAD, POST"),
        ("/user/api-keys/1", "GET, HEAD, PATCH, DELETE"),
        ("/user/api-keys/1/rotate", "POST"),
        ("/.well-known/jwks.json", "GET, HEAD"),
        ("/console/keys", "GET, HEAD, POST"),
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let response = scene.ask(method, path, "", None).await;
            response.refused(Code::MethodNotAllowed);
            assert_eq!(response.header("allow"), Some(allow), "{method} {path}");
        }
    }
    let head = scene.ask("HEAD", "/user/login", "", None).await;
    assert_eq!((head.status, head.header("allow"), head.text()), (405, Some("POST"), ""));
}

#[tokio::test]
async fn other_hosts_and_paths_go_to_the_routes() {
    let scene = Scene::new().await;
    let key = scene.key(&scene.ann, &[]).await.secret;
    let mut elsewhere = scene.gateway.anonymous().with_host("api.test").with_key(&key);
    for path in ["/user/login", "/user/api-keys", "/console/", "/.well-known/jwks.json"] {
        assert_eq!(elsewhere.get(path).await.text(), "from the upstream", "{path}");
    }
    let mut here = scene.api().with_key(&key);
    for path in
        ["/user", "/user/profile", "/user/login/", "/user/api-keys/", "/user/api-keys/1/2", "/consoles"]
    {
        assert_eq!(here.get(path).await.text(), "from the upstream", "{path}");
    }
    for host in ["AUTH.TEST", "auth.test:8080", "auth.test."] {
        let response = scene.gateway.anonymous().with_host(host).get("/.well-known/jwks.json").await;
        assert_eq!(response.header("cache-control"), Some("public, max-age=300"), "{host}: {response:?}");
    }
}

#[tokio::test]
async fn without_a_console_its_paths_go_to_the_routes_and_without_the_section_all_do() {
    let scene = Scene::with("identity: { public_url: \"https://auth.test\", console: false }\n").await;
    let key = scene.key(&scene.ann, &[]).await.secret;
    for path in ["/console", "/console/", "/console/login", "/console/style.css"] {
        assert_eq!(scene.api().with_key(&key).get(path).await.text(), "from the upstream", "{path}");
    }
    scene.login(ANN).await;

    let upstream = Upstream::always(Answer::ok("from the upstream")).await;
    let gateway = Gateway::before(&upstream).await;
    for path in
        ["/user/login", "/user/token/validate", "/user/api-keys", "/console/", "/.well-known/jwks.json"]
    {
        let answer = gateway.client().await.with_host(HOST).get(path).await;
        assert_eq!(answer.text(), "from the upstream", "{path}");
    }
}

#[tokio::test]
async fn a_reload_turns_the_endpoints_on_and_off() {
    let mut scene = Scene::new().await;
    let upstream = scene.upstream.url();
    let key = scene.key(&scene.ann, &[]).await.secret;
    let none = |builder: crate::support::gateway::Builder| builder.instead().upstream("api", &upstream);
    scene.gateway.reload(none).await;
    assert_eq!(scene.api().with_key(&key).get("/user/api-keys").await.text(), "from the upstream");
    let again = format!("{IDENTITY}{SCOPES}");
    scene.gateway.reload(|builder| none(builder).yaml(&again)).await;
    scene.login(ANN).await;
}

#[tokio::test]
async fn the_endpoints_speak_http2_too() {
    let scene = Scene::new().await;
    let mut h2 = H2::connect(scene.gateway.public()).await;
    let uri = |path: &str| format!("http://{HOST}{path}");
    let post = |path: &str| {
        http::Request::builder().method("POST").uri(uri(path)).header("content-type", "application/json")
    };
    let mut login = h2.begin(post("/user/login")).await;
    let body = json!({"email": ANN, "password": PASSWORD}).to_string();
    login.body.send_data(body.into(), true).unwrap();
    let answer = login.whole().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let access = answer.json()["access_token"].as_str().unwrap().to_owned();
    let list = http::Request::builder().uri(uri("/user/api-keys"));
    let list = h2.ask(list.header("authorization", format!("Bearer {access}"))).await.whole().await;
    assert_eq!(list.json(), json!({"items": [], "next_cursor": null}));
    let mut wrong = h2.begin(post("/user/login")).await;
    wrong.body.send_data("{".into(), true).unwrap();
    wrong.whole().await.refused(Code::InvalidBody);
    let head = http::Request::builder().method("HEAD").uri(uri("/.well-known/jwks.json"));
    let head = h2.ask(head).await.whole().await;
    assert_eq!((head.status, head.text()), (200, ""));
    let put = http::Request::builder().method("PUT").uri(uri("/user/login"));
    let refused = h2.ask(put).await.whole().await;
    refused.refused(Code::MethodNotAllowed);
    assert_eq!(refused.header("allow"), Some("POST"));
    let mut large = h2.begin(post("/user/login").header("content-length", 10_000_000)).await;
    let _ = large.body.send_data(vec![b' '; 1000].into(), false);
    large.whole().await.refused(Code::BodyTooLarge);
    let logout = post("/user/logout").header("authorization", format!("Bearer {access}"));
    let done = h2.ask(logout).await.whole().await;
    assert_eq!((done.status, done.text()), (204, ""));
}
