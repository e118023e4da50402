//! Bodies that are not what an endpoint takes, told whole.

use keyward::auth::refusal::Code;
use serde_json::json;

use super::{ANN, HOST, PASSWORD, Scene};
use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::http::chunks;
use crate::support::keys::origin;
use crate::support::raw::{Broken, Response};
use crate::support::upstream::{Answer, Upstream};
use crate::support::within;

const JSON: &str = "application/json";

impl Scene {
    async fn login_with(&self, content_type: Option<&str>, body: impl Into<Vec<u8>>) -> Response {
        let mut client = self.api();
        let mut request = client.request("POST", "/user/login");
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        request.body(body).send().await
    }
}

#[tokio::test]
async fn only_json_is_taken() {
    let scene = Scene::new().await;
    let good = json!({"email": ANN, "password": PASSWORD}).to_string();
    for wrong in [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonp"),
        Some("text/json+application/json"),
        Some("multipart/form-data; boundary=application/json"),
    ] {
        let response = scene.login_with(wrong, good.clone()).await;
        let detail = response.refused(Code::UnsupportedMediaType);
        assert_eq!(detail, "Send the body as JSON: Content-Type: application/json", "{wrong:?}");
    }
    for right in [JSON, "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
        assert_eq!(scene.login_with(Some(right), good.clone()).await.status, 200, "{right}");
    }
}

#[tokio::test]
async fn where_nothing_has_to_be_told_no_body_is_an_empty_one() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    let key = scene.key(&scene.ann, &[]).await.id;
    let path = format!("/user/api-keys/{key}");
    for (method, path, status) in [
        ("POST", "/user/token/validate", 200),
        ("PATCH", &*path, 200),
        ("POST", &*format!("{path}/rotate"), 201),
        ("POST", "/user/logout", 204),
    ] {
        // A body without a type is nobody's guess.
        let mut client = scene.api().with_key(&token);
        let untyped = client.request(method, path).body("{}").send().await;
        untyped.refused(Code::UnsupportedMediaType);
        assert_eq!(scene.ask(method, path, &token, None).await.status, status, "{method} {path}");
    }
    let usual = scene.gateway.now().after(std::time::Duration::from_secs(86_400));
    assert_eq!(scene.gateway.issuer().key(&key).await.unwrap().expires_at, usual);
    // What has to be told something says so still.
    scene.ask("POST", "/user/login", "", None).await.refused(Code::UnsupportedMediaType);
    let token = scene.login(ANN).await.access;
    scene.ask("POST", "/user/api-keys", &token, None).await.refused(Code::UnsupportedMediaType);
}

#[tokio::test]
async fn what_is_no_object_of_json_says_where() {
    let scene = Scene::new().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_member = format!("{{\"email\": {}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    for (body, words) in [
        (Vec::new(), "The body is empty. Send a JSON object, such as {}."),
        (b" \r\n".to_vec(), "The body is empty"),
        (b"{".to_vec(), "line 1 column 1"),
        (b"[]".to_vec(), "expected an object"),
        (b"null".to_vec(), "expected an object"),
        (b"\"{}\"".to_vec(), "expected an object"),
        (b"{} {}".to_vec(), "trailing characters"),
        (b"{\"email\": \"a\", \"email\": \"b\"}".to_vec(), "email"),
        (b"{\"email\": {\"x\": 1, \"x\": 2}".to_vec(), "cannot be read"),
        (b"{\"email\": \"\xff\xfe\"}".to_vec(), "line 1 column"),
        (b"{\"email\": \"\\ud800\"}".to_vec(), "line 1 column"),
        (b"\xef\xbb\xbf{}".to_vec(), "line 1 column 1"),
        (deep.into_bytes(), "cannot be read as a JSON object"),
        (deep_member.into_bytes(), "recursion limit"),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let detail = scene.login_with(Some(JSON), body).await.refused(Code::InvalidBody);
        assert!(detail.contains(words), "{shown}: {detail}");
    }
}

/// The same at every endpoint that takes a body, and none of it does anything.
#[tokio::test]
async fn no_endpoint_takes_what_cannot_be_read() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    let id = scene.key(&scene.ann, &[]).await.id;
    let (key, rotate) = (format!("/user/api-keys/{id}"), format!("/user/api-keys/{id}/rotate"));
    let deep = format!("{{\"name\": {}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for (method, path) in [
        ("POST", "/user/login"),
        ("POST", "/user/token/validate"),
        ("POST", "/user/token/refresh"),
        ("POST", "/user/logout"),
        ("POST", "/user/api-keys"),
        ("PATCH", &*key),
        ("POST", &*rotate),
    ] {
        for (kind, body, code) in [
            (JSON, deep.clone().into_bytes(), Code::InvalidBody),
            (JSON, b"{\"name\": \"\xff\"}".to_vec(), Code::InvalidBody),
            (JSON, b"[]".to_vec(), Code::InvalidBody),
            (JSON, b"{\"nope\": 1}".to_vec(), Code::UnacceptableBody),
            ("text/plain", b"{}".to_vec(), Code::UnsupportedMediaType),
            (JSON, vec![b' '; 64 * 1024 + 1], Code::BodyTooLarge),
        ] {
            let mut client = scene.api().with_key(&token);
            let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
            let answer = client.request(method, path).header("Content-Type", kind).body(body).send().await;
            assert_eq!(answer.status, code.status(), "{method} {path} {kind} {shown}: {}", answer.text());
            let (_, faults) = answer.refused_for(code);
            let named = faults.iter().any(|(pointer, _)| pointer == "/nope");
            assert_eq!(named, code == Code::UnacceptableBody, "{method} {path}: {faults:?}");
        }
        let mut raw = scene.gateway.raw().await;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n");
        raw.send(format!("{head}Content-Type: {JSON}\r\nContent-Length: 10000000\r\n\r\n")).await;
        raw.response().await.refused(Code::BodyTooLarge);
    }
    let keys = scene.ask("GET", "/user/api-keys", &token, None).await.json();
    assert_eq!(keys["items"].as_array().unwrap().len(), 1, "{keys}");
    assert_eq!(keys["items"][0]["replaced_by"], serde_json::Value::Null);
}

#[tokio::test]
async fn every_member_that_is_missing_wrong_or_unknown_is_named_at_once() {
    let scene = Scene::new().await;
    let token = scene.login(ANN).await.access;
    let id = scene.key(&scene.ann, &[]).await.id;
    let (key, rotate) = (format!("/user/api-keys/{id}"), format!("/user/api-keys/{id}/rotate"));
    let login = "The member email is missing: the email address of the account.";
    let password = "The member password is missing: its password.";
    let known = "Known are: email, password.";
    for (method, path, body, faults) in [
        ("POST", "/user/login", json!({}), vec![("/email", login), ("/password", password)]),
        (
            "POST",
            "/user/login",
            json!({"email": 1, "password": null, "a/b~c": 1}),
            vec![
                ("/email", "The member email must be a string."),
                ("/password", "The member password must be a string."),
                ("/a~1b~0c", &*format!("The member \"a/b~c\" is unknown. {known}")),
            ],
        ),
        (
            "POST",
            "/user/token/refresh",
            json!({"refreshToken": "x"}),
            vec![
                (
                    "/refresh_token",
                    "The member refresh_token is missing: the refresh token of the last answer.",
                ),
                ("/refreshToken", "The member \"refreshToken\" is unknown. Known are: refresh_token."),
            ],
        ),
        (
            "POST",
            "/user/token/validate",
            json!({"token": 7}),
            vec![("/token", "The member token must be a string.")],
        ),
        (
            "POST",
            "/user/logout",
            json!({"all": true}),
            vec![("/all", "The member \"all\" is unknown: this endpoint takes none.")],
        ),
        (
            "POST",
            "/user/api-keys",
            json!({"scopes": "orders:read", "expires_at": "tomorrow", "allowed_addresses": [1], "key": "x"}),
            vec![
                ("/name", "The member name is missing: what you call the key."),
                ("/scopes", "The member scopes must be an array of strings."),
                ("/expires_at", "The member expires_at must be a time such as 2027-01-31T12:00:00Z."),
                ("/allowed_addresses", "The member allowed_addresses must be an array of strings."),
                (
                    "/key",
                    "The member \"key\" is unknown. Known are: name, scopes, expires_at, allowed_addresses.",
                ),
            ],
        ),
        (
            "POST",
            "/user/api-keys",
            json!({"name": "a\u{202e}b", "scopes": ["nope"], "expires_at": "2020-01-01T00:00:00Z", "allowed_addresses": ["x"]}),
            vec![
                ("/name", "The name contains U+202E, which is invisible or changes how text is shown."),
                ("/scopes", "*"),
                ("/expires_at", "The expiry 2020-01-01T00:00:00Z is in the past."),
                ("/allowed_addresses", "\"x\" is neither an IP address nor a network such as 10.0.0.0/8."),
            ],
        ),
        (
            "POST",
            "/user/api-keys",
            json!({"name": "x", "scopes": ["orders:admin"], "expires_at": "2029-01-01T00:00:00Z"}),
            vec![("/scopes", "*"), ("/expires_at", "The longest life of a key is 365d.")],
        ),
        (
            "POST",
            "/user/api-keys",
            json!({"name": "x", "expires_at": "2027-01-15T08:00:00.5Z"}),
            vec![("/expires_at", "The shortest life of a key is one second.")],
        ),
        ("PATCH", &*key, json!({"name": " "}), vec![("/name", "A key needs a name.")]),
        ("PATCH", &*key, json!({"id": "other", "status": "active"}), vec![("/id", "*"), ("/status", "*")]),
        (
            "POST",
            &*rotate,
            json!({"overlap_seconds": -1}),
            vec![("/overlap_seconds", "The member overlap_seconds must be a whole number from 0 up.")],
        ),
        (
            "POST",
            &*rotate,
            json!({"overlap_seconds": u64::MAX}),
            vec![("/overlap_seconds", "The longest overlap is 30d.")],
        ),
    ] {
        let credential =
            if path.contains("log") && path.ends_with("in") || path.contains("token") { "" } else { &token };
        let response = scene.ask(method, path, credential, Some(body.clone())).await;
        let (detail, told) = response.refused_for(Code::UnacceptableBody);
        assert_eq!(told.len(), faults.len(), "{path} {body}: {told:?}");
        for ((pointer, said), (expected, words)) in told.iter().zip(&faults) {
            assert_eq!(pointer, expected, "{path} {body}");
            assert!(*words == "*" || said == words, "{path} {body}: {said}");
            assert!(detail.contains(said.as_str()), "{detail} without {said}");
        }
    }
    let keys = scene.ask("GET", "/user/api-keys", &token, None).await.json();
    assert_eq!(keys["items"].as_array().unwrap().len(), 1, "{keys}");
}

#[tokio::test]
async fn a_long_hostile_name_of_a_member_is_cut_short() {
    let scene = Scene::new().await;
    let mut body = json!({"email": "a", "password": "b"});
    body["\u{1b}[31m<script>\u{202e}\u{0}".repeat(1000)] = json!(1);
    let response = scene.login_with(Some(JSON), body.to_string()).await;
    let (detail, faults) = response.refused_for(Code::UnacceptableBody);
    assert!(detail.len() < 1000 && faults[0].0.len() < 500, "{detail}");
    assert!(!detail.contains('\u{1b}') && !detail.contains('\u{202e}'), "{detail:?}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let scene = Scene::new().await;
    let mut raw = scene.gateway.raw().await;
    let head = format!("POST /user/login HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {JSON}\r\n");
    raw.send(format!("{head}Content-Length: 10000000\r\n\r\n")).await;
    let response = raw.response().await;
    let detail = response.refused(Code::BodyTooLarge);
    assert_eq!(detail, "The body may have at most 65536 bytes.");
    assert_eq!(response.interim, [0_u16; 0], "it was asked for");

    // In chunks nobody knows before.
    let mut raw = scene.gateway.raw().await;
    let body = chunks(&[&vec![b' '; 10_000_000]]);
    let sending = [format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes(), body].concat();
    let _ = raw.try_send(sending).await;
    match raw.answer("POST").await {
        Ok(response) => {
            response.refused(Code::BodyTooLarge);
            assert_eq!(response.header("connection"), Some("close"));
        }
        // The answer was lost with what was still being sent.
        Err(Broken::Nothing(_)) => {}
        Err(other) => panic!("{other:?}"),
    }
    let exactly = format!("{{\"email\": \"a\", \"password\": \"{}\"}}", "x".repeat(64 * 1024 - 30));
    let padded = format!("{exactly}{}", " ".repeat(64 * 1024 - exactly.len()));
    assert_eq!(scene.login_with(Some(JSON), padded.clone()).await.status, 401);
    scene.login_with(Some(JSON), format!("{padded} ")).await.refused(Code::BodyTooLarge);
    let mut client = scene.api();
    let (a, b) = padded.as_bytes().split_at(1000);
    let chunked = client.request("POST", "/user/login").header("Content-Type", JSON).chunked(&[a, b]);
    assert_eq!(chunked.send().await.status, 401);
}

#[tokio::test]
async fn a_connection_serves_on_after_a_refusal_whose_body_was_read() {
    let scene = Scene::new().await;
    let mut client = scene.api();
    for body in ["{", "{}", "[1]"] {
        let request = client.request("POST", "/user/login").header("Content-Type", JSON).body(body);
        assert!([400, 422].contains(&request.send().await.status));
    }
    assert_eq!(client.get("/.well-known/jwks.json").await.status, 200);
    assert_eq!(client.connections, 1);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_408() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let yaml = format!("{}timeouts: {{ request_body_idle: 300ms }}\n", super::IDENTITY);
    let gateway = Gateway::with(&upstream, &yaml).await;
    let mut raw = gateway.raw().await;
    raw.send(format!("POST /user/login HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {JSON}\r\n")).await;
    raw.send("Content-Length: 50\r\n\r\n{\"em").await;
    let response = raw.response().await;
    response.refused(Code::RequestTimeout);
    assert_eq!(response.header("connection"), Some("close"));
    raw.ends().await;
}

#[tokio::test]
async fn a_body_that_comes_in_drops_has_a_limit_for_all_of_it() {
    for (timeouts, seconds) in [("", 4), ("timeouts: { total: 3s }\n", 2)] {
        let scene = Scene::with(&format!("{}{timeouts}", super::IDENTITY)).await;
        let mut raw = scene.gateway.raw().await;
        raw.send(format!("POST /user/login HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {JSON}\r\n")).await;
        raw.send("Expect: 100-continue\r\nContent-Length: 50\r\n\r\n").await;
        // It is being read from now on.
        raw.until(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        for _ in 0..3 {
            raw.send(" ").await;
            scene.pass(seconds);
        }
        let response = raw.response().await;
        response.refused(Code::RequestTimeout);
        assert_eq!(response.header("connection"), Some("close"));
    }
}

#[tokio::test]
async fn who_may_not_ask_is_told_so_before_the_body_has_come() {
    let scene = Scene::new().await;
    let issuer = scene.gateway.issuer();
    let (plain, revoked) = (scene.key(&scene.ann, &[]).await, scene.key(&scene.ann, &[]).await);
    issuer.revoke_key(&revoked.id, &origin()).await.unwrap();
    let bound = json!({"name": "x", "scopes": ["keyward:account"], "allowed_addresses": ["10.0.0.0/8"]});
    let token = scene.login(ANN).await.access;
    let bound = scene.post("/user/api-keys", &token, bound).await.json()["key"].clone();
    let id = &plain.id;
    for (method, path) in [
        ("POST", "/user/api-keys"),
        ("PATCH", &*format!("/user/api-keys/{id}")),
        ("POST", &*format!("/user/api-keys/{id}/rotate")),
        ("POST", "/user/logout"),
    ] {
        for (credential, code) in [
            ("", Code::MissingCredentials),
            ("a b", Code::InvalidRequest),
            ("junk", Code::InvalidCredentials),
            (&*revoked.secret, Code::RevokedCredentials),
            (&*plain.secret, Code::InsufficientScope),
            (bound.as_str().unwrap(), Code::AddressNotAllowed),
        ] {
            let name = if credential.is_empty() { "x-other" } else { "authorization" };
            let credential = format!("Bearer {credential}").trim_end().to_owned();
            let mut raw = scene.gateway.raw().await;
            raw.send(format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {JSON}\r\n")).await;
            raw.send(format!("{name}: {credential}\r\nExpect: 100-continue\r\n")).await;
            raw.send("Content-Length: 10000000\r\n\r\n").await;
            let response = raw.response().await;
            response.refused(code);
            assert_eq!((response.header("connection"), &*response.interim), (Some("close"), &[][..]));

            let mut client = H2::connect(scene.gateway.public()).await;
            let request = http::Request::builder().method(method).uri(format!("http://{HOST}{path}"));
            let request = request.header(name, &credential).header("content-type", JSON);
            let exchange = client.begin(request).await;
            let response = within("an answer", exchange.response).await.unwrap();
            assert_eq!(response.status().as_u16(), code.status());
        }
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_does_nothing() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let gateway = Gateway::with(&upstream, super::IDENTITY).await;
    let account = gateway.account().await.to_owned();
    let password = zeroize::Zeroizing::new(PASSWORD.to_owned());
    gateway.issuer().set_password(&account, password, &crate::support::keys::origin()).await.unwrap();
    let body = json!({"email": "test@example.com", "password": PASSWORD}).to_string();
    let head = format!("POST /user/login HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {JSON}\r\n");
    let mut raw = gateway.raw().await;
    raw.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len() + 1)).await;
    raw.half_close();
    let _ = raw.rest().await;
    let mut raw = gateway.raw().await;
    raw.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len())).await;
    raw.half_close();
    let _ = raw.rest().await;
    assert_eq!(gateway.issuer().sessions(None, None, 9).await.unwrap().items, []);
}

#[tokio::test]
async fn a_body_that_waits_to_be_asked_for_is_asked_for() {
    let scene = Scene::new().await;
    let body = json!({"email": ANN, "password": PASSWORD}).to_string();
    let mut raw = scene.gateway.raw().await;
    raw.send(format!("POST /user/login HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {JSON}\r\n")).await;
    raw.send(format!("Content-Length: {}\r\nExpect: 100-continue\r\n\r\n", body.len())).await;
    raw.until(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    raw.send(body).await;
    assert_eq!(raw.response().await.status, 200);
    // What is refused by its head is not.
    let mut raw = scene.gateway.raw().await;
    raw.send(format!("PUT /user/login HTTP/1.1\r\nHost: {HOST}\r\n")).await;
    raw.send("Content-Length: 9\r\nExpect: 100-continue\r\n\r\n").await;
    let refused = raw.response().await;
    refused.refused(Code::MethodNotAllowed);
    assert_eq!(refused.interim, [0_u16; 0]);
}

#[tokio::test]
async fn a_limit_below_that_of_the_endpoints_holds_for_them_too() {
    let scene = Scene::with(&format!("{}max: {{ body: 1KiB }}\n", super::IDENTITY)).await;
    let padded = |len: usize| {
        let body = json!({"email": ANN, "password": PASSWORD}).to_string();
        format!("{body}{}", " ".repeat(len - body.len()))
    };
    assert_eq!(scene.login_with(Some(JSON), padded(1024)).await.status, 200);
    let detail = scene.login_with(Some(JSON), padded(1025)).await.refused(Code::BodyTooLarge);
    assert_eq!(detail, "The body may have at most 1024 bytes.");
}
