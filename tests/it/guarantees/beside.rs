//! A change made beside the server, by another process on the same store, is seen soon, though everything is cached.

use keyward::auth::refusal::Code;
use keyward::clock::Timestamp;
use keyward::config::Synchronous;
use keyward::store::sqlite::{Open, SqliteStore};
use keyward::store::{AccountStatus, Store};

use super::one_route;
use crate::support::binary::Home;
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::keys::origin;
use crate::support::upstream::{Answer, Upstream};
use crate::support::within;

/// Long enough that no answer changes by itself.
const CACHE: &str = "cache: { ttl: 1h, negative_ttl: 1h }\n";

async fn until(client: &mut Client, status: u16) {
    within(&format!("a {status}"), async { while client.get("/").await.status != status {} }).await;
}

#[tokio::test]
async fn what_another_handle_of_the_store_changes_is_seen() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let gateway = Gateway::with(&upstream, CACHE).await;
    let key = gateway.key().await;
    let mut client = gateway.anonymous().with_key(&key.secret);
    assert_eq!(client.get("/").await.status, 200);
    let beside = SqliteStore::open(&gateway.database(), Synchronous::Normal, Open::Existing).await.unwrap();
    let now = Timestamp(1_900_000_000_000);
    let account = gateway.account().await;
    beside.set_account_status(account, AccountStatus::Disabled, now, &origin()).await.unwrap();
    until(&mut client, 401).await;
    beside.set_account_status(account, AccountStatus::Active, now, &origin()).await.unwrap();
    until(&mut client, 200).await;
    beside.revoke_key(&key.id, now, &origin()).await.unwrap();
    until(&mut client, 401).await;
    client.get("/").await.refused(Code::RevokedCredentials);
}

#[tokio::test]
async fn what_a_command_changes_is_seen() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let routes = one_route(&upstream, "{ required: { scopes: [\"a:b\"] } }");
    let scopes = "scopes: { \"a:b\": { description: B, default: true }, \"a:c\": { description: C, default: true } }\n";
    let home = Home::new(&format!("{CACHE}{scopes}{routes}"));
    home.account("a@example.com");
    let (id, key) = home.key("a@example.com", &["--scopes", "a:b"]);
    let _serving = home.serve().await;
    let mut client = Client::new(home.public()).with_key(&key);
    assert_eq!(client.get("/").await.status, 200);
    for (words, status) in [
        (&["accounts", "disable", "a@example.com"][..], 401),
        (&["accounts", "enable", "a@example.com"], 200),
        (&["accounts", "set-scopes", "a@example.com", "a:c"], 403),
        (&["accounts", "set-scopes", "a@example.com", "a:b"], 200),
        (&["keys", "revoke", &id], 401),
    ] {
        home.run(words).exited(0);
        until(&mut client, status).await;
    }
    let (_, later) = home.key("a@example.com", &["--scopes", "a:b"]);
    assert_eq!(Client::new(home.public()).with_key(&later).get("/").await.status, 200);
}
