//! Answers to a key that ends soon say so, whoever answers.

use std::time::Duration;

use keyward::auth::refusal::Code;
use keyward::clock::{Clock, Timestamp};
use serde_json::json;
use zeroize::Zeroizing;

use crate::support::gateway::Gateway;
use crate::support::h2::H2;
use crate::support::h2_upstream::{H2Upstream, Stream};
use crate::support::keys::origin;
use crate::support::upstream::{Answer, Upstream};
use crate::support::websocket::{ACCEPT, handshake_with, naming};

/// 2027-01-15T08:00:00Z.
const START: Timestamp = Timestamp(1_800_000_000_000);
const DAY: u64 = 24 * 60 * 60;
const FIELD: &str = "x-credential-expires";
const THEIRS: &str = "2030-01-01T00:00:00Z";
const YAML: &str = "identity: { public_url: \"https://auth.test\" }
scopes:
  \"orders:read\": { description: Read, default: true }
  \"orders:write\": { description: Write, default: true }
  \"orders:admin\": { description: Rule }
routes:
  - { name: all, match: { path_prefix: / }, upstream: api }
  - { name: public, match: { path_prefix: /public }, auth: public, upstream: api }
  - { name: more, match: { path_prefix: /more }, auth: { required: { scopes: [\"orders:admin\"] } }, upstream: api }
";

/// A gateway before an upstream that says itself when things end, and a clock of its own.
async fn before(upstream: &Upstream) -> (Gateway, Clock) {
    let clock = Clock::manual(START);
    let builder = Gateway::builder().upstream("api", &upstream.url()).clock(&clock);
    (builder.yaml(YAML).start().await, clock)
}

async fn saying() -> Upstream {
    Upstream::answering(|request| {
        let says = |answer: Answer| {
            answer.header("X-Credential-Expires", THEIRS).header("x_credential_expires", THEIRS)
        };
        match request.header("upgrade") {
            None => says(Answer::new(200)).body("ok"),
            Some(protocol) => {
                says(naming(protocol).header("Sec-WebSocket-Accept", ACCEPT)).only_head().then_close()
            }
        }
    })
    .await
}

/// What the wall says so long after the start.
fn after(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

#[tokio::test]
async fn an_answer_tells_when_its_key_ends_within_seven_days() {
    let upstream = saying().await;
    let (gateway, clock) = before(&upstream).await;
    let key = gateway.key().await;
    // It lives for 90 days.
    let ends = after(90 * DAY).to_string();
    let client = || gateway.anonymous().with_key(&key.secret);
    let (mut client, mut identity) = (client(), client().with_host("auth.test"));
    for (now, told) in [
        (0, None),
        (83 * DAY - 1, None),
        (83 * DAY, Some(&*ends)),
        (90 * DAY - 1, Some(&*ends)),
        (83 * DAY - 1, None),
    ] {
        clock.set_wall(after(now));
        let response = client.get("/").await;
        assert_eq!((response.status, response.header(FIELD)), (200, told), "{now}");
        assert_eq!(response.header("x_credential_expires"), None);
        let mut http2 = H2::connect(gateway.public()).await.with_key(&key.secret);
        assert_eq!(http2.get("/").await.header(FIELD), told, "{now}");
        // Nobody's credential is judged there.
        assert_eq!(client.get("/public").await.header(FIELD), None);
        let refused = client.get("/more").await;
        refused.refused(Code::InsufficientScope);
        assert_eq!(refused.header(FIELD), told);
        let mut raw = gateway.raw().await;
        raw.send(handshake_with("/chat", &key.secret)).await;
        let head = raw.head().await.unwrap();
        assert_eq!((head.status, head.header(FIELD)), (101, told));
        for path in ["/user/token/validate", "/user/logout"] {
            let response = identity.request("POST", path).send().await;
            assert_eq!(response.header(FIELD), told, "{response:?}");
        }
    }
    clock.set_wall(after(90 * DAY));
    let response = client.get("/").await;
    response.refused(Code::ExpiredCredentials);
    assert_eq!(response.header(FIELD), None, "it holds no more");
}

#[tokio::test]
async fn an_access_token_says_itself_when_it_ends() {
    let upstream = saying().await;
    let (gateway, _clock) = before(&upstream).await;
    let (issuer, account) = (gateway.issuer(), gateway.account().await.to_owned());
    let password = "correct horse battery staple";
    issuer.set_password(&account, Zeroizing::new(password.to_owned()), &origin()).await.unwrap();
    let email = issuer.account(&account).await.unwrap().email;
    let login = json!({"email": email, "password": password}).to_string();
    let mut client = gateway.anonymous().with_host("auth.test");
    let request = client.request("POST", "/user/login").header("Content-Type", "application/json");
    let token = request.body(login).send().await.json()["access_token"].as_str().unwrap().to_owned();
    let response = gateway.anonymous().with_key(&token).get("/").await;
    assert_eq!((response.status, response.header(FIELD)), (200, None));
}

#[tokio::test]
async fn an_upstream_of_http2_cannot_say_it_either() {
    let upstream = H2Upstream::serving(async |mut stream: Stream| {
        stream.read().await;
        drop(stream.head(200, &[(FIELD, THEIRS), ("x_credential_expires", THEIRS)], true));
    })
    .await;
    let gateway = Gateway::builder().http2("api", &[&upstream.url()]).start().await;
    let response = gateway.client().await.get("/").await;
    assert_eq!((response.status, response.header(FIELD)), (200, None));
    assert_eq!(response.header("x_credential_expires"), None);
}
