//! Keys tell when they were last used, to the second; no request waits for that to be written down.

use std::time::Duration;

use keyward::clock::{Clock, Timestamp};
use keyward::issuer::MadeOnce;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::until_metric;
use crate::support::gateway::{Builder, Gateway};
use crate::support::http::Client;
use crate::support::keys::{self, import_line, origin};
use crate::support::upstream::Upstream;
use crate::support::within;

const IDENTITY: &str = "identity: { public_url: \"https://auth.test\" }\n";
const START: Timestamp = Timestamp(1_800_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A gateway whose clock stands.
async fn builder() -> (Builder, Upstream, Clock) {
    let (upstream, clock) = (Upstream::echo().await, Clock::manual(START));
    let builder = Gateway::builder().upstream("api", &upstream.url()).yaml(IDENTITY).clock(&clock);
    (builder, upstream, clock)
}

async fn last_use(gateway: &Gateway, id: &str) -> Option<Timestamp> {
    gateway.store().key(id).await.unwrap().last_used_at
}

async fn until_last_use(gateway: &Gateway, id: &str, at: Timestamp) {
    within("the last use of a key", async {
        while last_use(gateway, id).await != Some(at) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn pass(client: &mut Client) {
    let answer = client.get("/").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn made_imported_and_rotated_keys_tell_when_they_were_last_used() {
    let (builder, _upstream, clock) = builder().await;
    let gateway = builder.workers(2).start().await;
    let (made, unused) = (gateway.key().await, gateway.key().await);
    let line = import_line("acme-0123456789", gateway.account().await, ("acme-", None), START);
    let imported = gateway.issuer().import_keys(&line, &origin()).await.unwrap().remove(0).id;
    let mut client = gateway.anonymous().with_key(&made.secret);
    let before = gateway.store().latest().await.unwrap();
    pass(&mut client).await;
    pass(&mut gateway.anonymous().with_key("acme-0123456789")).await;
    until_last_use(&gateway, &made.id, START).await;
    until_last_use(&gateway, &imported, START).await;
    assert_eq!(gateway.store().latest().await.unwrap(), before, "a use is no change, and in no audit log");

    let rotated = gateway.issuer().rotate_key(&made.id, MINUTE * 10, None, &origin()).await.unwrap();
    let MadeOnce::Made(rotated) = rotated else { panic!("{rotated:?}") };
    assert_eq!(last_use(&gateway, &rotated.key.id).await, None, "a successor begins anew");
    clock.advance(SECOND);
    let later = START.after(SECOND);
    pass(&mut gateway.anonymous().with_key(rotated.token.expose())).await;
    pass(&mut client).await;
    until_last_use(&gateway, &rotated.key.id, later).await;
    until_last_use(&gateway, &made.id, later).await;
    assert_eq!(last_use(&gateway, &imported).await, Some(START), "it was not used since");

    // Its owner sees it.
    let session = keys::session(&gateway, clock.now()).await;
    let token = keys::access_token(&gateway, &session, "orders:read", clock.now());
    let listed =
        gateway.anonymous().with_host("auth.test").with_key(&token).get("/user/api-keys").await.json();
    let told = |id: &str| {
        let items = listed["items"].as_array().unwrap();
        items.iter().find(|key| key["id"] == id).unwrap_or_else(|| panic!("{listed}"))["last_used_at"].clone()
    };
    assert_eq!(told(&made.id), later.rfc3339());
    assert_eq!(told(&imported), START.rfc3339());
    assert!(told(&unused.id).is_null());
}

#[tokio::test]
async fn a_use_before_a_reload_is_written_down_after_it() {
    let (builder, upstream, _clock) = builder().await;
    let mut gateway = builder.start().await;
    let key = gateway.key().await;
    pass(&mut gateway.anonymous().with_key(&key.secret)).await;
    let cache = format!("{IDENTITY}cache: {{ ttl: 30s }}\n");
    gateway.reload(|builder| builder.instead().upstream("api", &upstream.url()).yaml(&cache)).await;
    until_last_use(&gateway, &key.id, START).await;
}

/// Takes the right to write from everybody else.
async fn write_lock(gateway: &Gateway) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.database());
    let mut holder = options.connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
    holder
}

#[tokio::test]
async fn while_nothing_can_be_written_requests_pass_and_the_newest_use_is_written_afterwards() {
    let (builder, _upstream, clock) = builder().await;
    let gateway = builder.start().await;
    let (key, other) = (gateway.key().await, gateway.key().await);
    let holder = write_lock(&gateway).await;
    let mut client = gateway.anonymous().with_key(&key.secret);
    for minute in 0..4 {
        pass(&mut client).await;
        assert_eq!(last_use(&gateway, &key.id).await, None, "minute {minute}");
        clock.advance(MINUTE);
        // The store can be read: contact does not age while the clock is moved.
        until_metric(gateway.admin(), "keyward_feed_age_seconds", 0).await;
    }
    // One that is first seen is looked up all the same.
    pass(&mut gateway.anonymous().with_key(&other.secret)).await;
    holder.close().await.unwrap();
    until_last_use(&gateway, &key.id, START.after(MINUTE * 3)).await;
    until_last_use(&gateway, &other.id, START.after(MINUTE * 4)).await;
}
