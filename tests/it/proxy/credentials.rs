//! What may stand in `Authorization`, and what is said of everything else. Nothing of it reaches the upstream.

use keyward::auth::refusal::Code;

use crate::support::gateway::Gateway;
use crate::support::raw::{Ending, Response};
use crate::support::upstream::Upstream;

/// Sends these bytes as the fields between `Host` and the end of the head.
async fn with_fields(gateway: &Gateway, fields: impl AsRef<[u8]>) -> Response {
    let mut raw = gateway.raw().await;
    let mut request = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    request.extend(fields.as_ref());
    request.extend(b"\r\n");
    // A head over the limits is refused before all of it is taken.
    let _ = raw.try_send(request).await;
    raw.response().await
}

#[tokio::test]
async fn every_form_that_is_read_passes() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let key = gateway.key().await.secret;
    for field in [
        format!("Authorization: Bearer {key}\r\n"),
        format!("authorization: bearer {key}\r\n"),
        format!("AUTHORIZATION: BEARER {key}\r\n"),
        format!("Authorization:Bearer {key}\r\n"),
        format!("Authorization:  \t Bearer {key} \t\r\n"),
        format!("Authorization: {key}\r\n"),
    ] {
        assert_eq!(with_fields(&gateway, &field).await.status, 200, "{field:?}");
    }
    assert!(upstream.requests().iter().all(|request| request.all("authorization").is_empty()));
}

#[tokio::test]
async fn every_other_form_is_refused_for_what_it_is() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let key = gateway.key().await.secret;
    let wrong_checksum = format!("{}0000000", &key[..key.len() - 7]);
    let bearer = |word: &str| format!("Authorization: Bearer {word}\r\n");
    for (fields, code) in [
        (String::new(), Code::MissingCredentials),
        ("Authorization:\r\n".to_owned(), Code::MissingCredentials),
        ("Authorization:  \t \r\n".to_owned(), Code::MissingCredentials),
        ("Authorization: Digest username=\"a\"\r\n".to_owned(), Code::MissingCredentials),
        (format!("Authorization: Basic {key}\r\n"), Code::MissingCredentials),
        ("Authorization: Bearer\r\n".to_owned(), Code::InvalidRequest),
        ("Authorization: Basic\r\n".to_owned(), Code::InvalidRequest),
        (bearer("a b"), Code::InvalidRequest),
        (bearer(&format!("{key} {key}")), Code::InvalidRequest),
        (format!("{}{}", bearer(&key), bearer(&key)), Code::InvalidRequest),
        (format!("{}Authorization: Basic eDo=\r\n", bearer(&key)), Code::InvalidRequest),
        (bearer(&"x".repeat(9 << 10)), Code::InvalidRequest),
        (bearer("gr\u{fc}n"), Code::InvalidRequest),
        (bearer("a\tb"), Code::InvalidRequest),
        (bearer("junk"), Code::InvalidCredentials),
        (bearer(&wrong_checksum), Code::InvalidCredentials),
        (bearer(&key.to_uppercase()), Code::InvalidCredentials),
        (bearer(&format!("{key}x")), Code::InvalidCredentials),
        (bearer(&key[..key.len() - 1]), Code::InvalidCredentials),
        (bearer("eyJhbGciOiJub25lIn0.e30."), Code::InvalidCredentials),
        (bearer("kw_sk_"), Code::InvalidCredentials),
    ] {
        let response = with_fields(&gateway, &fields).await;
        assert_eq!(response.status, code.status(), "{fields:?}: {response:?}");
        let detail = response.refused(code);
        assert!(!detail.contains(&key), "{detail}");
        let challenge = response.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer realm=\""), "{challenge}");
        assert_eq!(challenge.contains("error="), code != Code::MissingCredentials, "{challenge}");
    }
    assert_eq!(upstream.requests(), []);
}

#[tokio::test]
async fn another_scheme_is_named() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let detail =
        with_fields(&gateway, "Authorization: Basic eDo=\r\n").await.refused(Code::MissingCredentials);
    assert!(detail.contains("Basic"), "{detail}");
}

/// Fails unless the answer to these fields is the status alone, and the end of the connection no reset.
async fn bare(gateway: &Gateway, fields: &[u8], status: u16) {
    let mut raw = gateway.raw().await;
    let head = [b"GET / HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n\r\n"].concat();
    let _ = raw.try_send(head).await;
    let response = raw.response().await;
    assert_eq!((response.status, response.text()), (status, ""), "{:?}", fields.get(..50));
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(raw.ends().await, Ending::Closed);
}

#[tokio::test]
async fn control_bytes_and_a_megabyte_are_refused_before_they_are_looked_at() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    for byte in [0, 1, 8, 0x0b, 0x1b, 0x7f] {
        let field = [b"Authorization: Bearer a".as_slice(), &[byte], b"b\r\n"].concat();
        bare(&gateway, &field, 400).await;
    }
    for fields in [
        format!("Authorization: Bearer {}\r\n", "x".repeat(1 << 20)),
        format!("Authorization: Bearer {}", "x".repeat(1 << 20)),
        "Authorization: Bearer x\r\n".repeat(50_000),
    ] {
        bare(&gateway, fields.as_bytes(), 431).await;
    }
    assert_eq!(upstream.requests(), []);
    assert_eq!(gateway.client().await.get("/").await.status, 200);
}

#[tokio::test]
async fn a_credential_in_the_query_is_none() {
    let upstream = Upstream::echo().await;
    let gateway = Gateway::before(&upstream).await;
    let key = gateway.key().await.secret;
    for query in ["access_token", "token", "key", "api_key", "Authorization"] {
        gateway.anonymous().get(&format!("/?{query}={key}")).await.refused(Code::MissingCredentials);
    }
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let upstream = Upstream::echo().await;
    let routes = "routes:
  - name: all
    match: { path_prefix: / }
    auth: { required: { scopes: [\"orders:read\", \"orders:write\"] } }
    upstream: api
";
    let gateway = Gateway::with(&upstream, routes).await;
    let key = gateway.key_with(&["orders:read"]).await;
    let response = gateway.anonymous().with_key(&key.secret).get("/").await;
    response.refused(Code::InsufficientScope);
    let challenge = response.header("www-authenticate").unwrap();
    assert!(
        challenge.contains("error=\"insufficient_scope\", scope=\"orders:read orders:write\""),
        "{challenge}"
    );
    assert_eq!(gateway.client().await.get("/").await.status, 200);
    assert_eq!(upstream.only_request().header("x-auth-scopes"), Some("orders:read orders:write"));
}

#[tokio::test]
async fn an_optional_route_judges_what_is_sent() {
    let upstream = Upstream::echo().await;
    let routes = "routes: [{ name: all, match: { path_prefix: / }, auth: optional, upstream: api }]";
    let gateway = Gateway::with(&upstream, routes).await;
    let mut client = gateway.anonymous();
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(upstream.only_request().all("x-auth-subject"), [""; 0]);
    client
        .request("GET", "/")
        .header("Authorization", "Bearer junk")
        .send()
        .await
        .refused(Code::InvalidCredentials);
    assert_eq!(gateway.client().await.get("/").await.status, 200);
    assert_eq!(upstream.requests()[1].header("x-auth-subject"), Some(gateway.account().await));
}
