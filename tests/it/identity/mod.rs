//! What is issued to people, over the wire: the endpoints of `/user/` and the console.

mod api_keys;
mod audit;
mod bodies;
mod browsers;
mod console;
mod console_limits;
mod endpoints;
mod forms;
mod login;
mod logs;
mod loopback;
mod outage;
mod permissions;
mod refresh;

use std::time::Duration;

use keyward::clock::{Clock, Timestamp};
use keyward::store::AccountStatus;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::support::gateway::{Gateway, Key};
use crate::support::http::Client;
use crate::support::keys::{self, origin};
use crate::support::raw::Response;
use crate::support::upstream::{Answer, Upstream};

/// 2027-01-15T08:00:00Z.
const START: Timestamp = Timestamp(1_800_000_000_000);
const HOST: &str = "auth.test";
const SITE: &str = "https://auth.test";
const IDENTITY: &str = "identity: { public_url: \"https://auth.test\" }\n";
const ANN: &str = "ann@example.com";
const BEN: &str = "ben@example.com";
const PASSWORD: &str = "correct horse battery staple";
const SCOPES: &str = "scopes:
  \"keyward:account\": { description: Everything that is yours, default: true }
  \"orders:read\": { description: Read orders, default: true }
  \"orders:write\": { description: Write orders, default: true }
  \"orders:admin\": { description: Rule over orders }
";

/// A gateway whose clock stands, with two people.
struct Scene {
    gateway: Gateway,
    upstream: Upstream,
    clock: Clock,
    ann: String,
    ben: String,
}

/// What a login gives.
#[derive(Clone, Debug)]
struct Tokens {
    access: String,
    refresh: String,
}

impl Scene {
    async fn new() -> Self {
        Self::with(IDENTITY).await
    }

    async fn with(yaml: &str) -> Self {
        let upstream = Upstream::always(Answer::ok("from the upstream")).await;
        let clock = Clock::manual(START);
        let builder = Gateway::builder().upstream("api", &upstream.url()).clock(&clock);
        let scopes = if yaml.contains("scopes:") { "" } else { SCOPES };
        let gateway = builder.yaml(&format!("{yaml}{scopes}")).start().await;
        let mut scene = Self { gateway, upstream, clock, ann: String::new(), ben: String::new() };
        scene.ann = scene.person(ANN).await;
        scene.ben = scene.person(BEN).await;
        scene
    }

    /// An account with the password; its id.
    async fn person(&self, email: &str) -> String {
        let id = keys::account(&self.gateway.issuer(), email).await;
        self.set_password(&id, PASSWORD).await;
        id
    }

    async fn set_password(&self, account: &str, password: &str) {
        let password = Zeroizing::new(password.to_owned());
        self.gateway.issuer().set_password(account, password, &origin()).await.unwrap();
    }

    async fn disable(&self, account: &str) {
        let issuer = self.gateway.issuer();
        issuer.set_account_status(account, AccountStatus::Disabled, &origin()).await.unwrap();
    }

    async fn enable(&self, account: &str) {
        let issuer = self.gateway.issuer();
        issuer.set_account_status(account, AccountStatus::Active, &origin()).await.unwrap();
    }

    async fn key(&self, account: &str, scopes: &[&str]) -> Key {
        keys::key(&self.gateway.issuer(), account, scopes).await
    }

    /// A client of the identity host without a credential.
    fn api(&self) -> Client {
        self.gateway.anonymous().with_host(HOST)
    }

    /// One request of JSON.
    async fn ask(&self, method: &str, path: &str, credential: &str, body: Option<Value>) -> Response {
        let mut client = self.api();
        let mut request = client.request(method, path);
        if !credential.is_empty() {
            request = request.header("Authorization", &format!("Bearer {credential}"));
        }
        match body {
            Some(body) => {
                request.header("Content-Type", "application/json").body(body.to_string()).send().await
            }
            None => request.send().await,
        }
    }

    async fn post(&self, path: &str, credential: &str, body: Value) -> Response {
        self.ask("POST", path, credential, Some(body)).await
    }

    async fn try_login(&self, email: &str, password: &str) -> Response {
        self.post("/user/login", "", json!({"email": email, "password": password})).await
    }

    async fn login(&self, email: &str) -> Tokens {
        tokens(&self.try_login(email, PASSWORD).await)
    }

    async fn try_refresh(&self, token: &str) -> Response {
        self.post("/user/token/refresh", "", json!({"refresh_token": token})).await
    }

    /// The status of a request that goes to the routes with this credential.
    async fn route(&self, credential: &str) -> u16 {
        self.gateway.anonymous().with_key(credential).get("/orders").await.status
    }

    /// Time passes. Over a long time the wall's hand moves alone: else the gateway would believe that it heard nothing of
    /// its store for so long.
    fn pass(&self, seconds: u64) {
        let time = Duration::from_secs(seconds);
        match seconds {
            ..=100 => self.clock.advance(time),
            _ => self.clock.set_wall(self.clock.now().after(time)),
        }
    }
}

#[track_caller]
fn tokens(response: &Response) -> Tokens {
    assert_eq!(response.status, 200, "{response:?}");
    let body = response.json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token") }
}

/// The body without what differs from request to request.
fn same_but_for_ids(response: &Response) -> Value {
    let mut body = response.json();
    for name in ["instance", "request_id"] {
        body.as_object_mut().unwrap().remove(name);
    }
    body
}
