//! Locks that others hold: told within the deadline, gone when they let go.

use std::time::Duration;

use keyward::store::sqlite::{Open, OpenError};
use keyward::store::{Refresh, RefreshRefusal, Refreshed, Seq, Store, StoreError};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{Place, refused, sample};

const SHORT: Duration = Duration::from_millis(200);

async fn holding(place: &Place, statements: &'static str) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(place.path());
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql(statements).execute(&mut conn).await.unwrap();
    conn
}

#[tokio::test]
async fn a_store_that_another_has_to_itself_is_locked() {
    let place = Place::filled(1).await;
    let holder = holding(&place, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;").await;
    let error = refused(place.opening(Open::Create).patience(SHORT)).await;
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    holder.close().await.unwrap();
    assert_eq!(place.open().await.latest().await.unwrap(), Seq(2));
}

#[tokio::test]
async fn while_another_writes_reads_go_on_and_writes_end_in_time() {
    let place = Place::filled(1).await;
    let store = place.opening(Open::Existing).patience(SHORT).open().await.unwrap();
    let holder = holding(&place, "BEGIN EXCLUSIVE").await;
    let key = sample::key("k", "account-001");
    let refused = store.create_key(&key, &sample::origin()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.latest().await.unwrap(), Seq(2));
    assert!(store.find_key(sample::digest("key-0000")).await.unwrap().key.is_some());
    holder.close().await.unwrap();
    assert_eq!(store.create_key(&key, &sample::origin()).await.unwrap(), Seq(3));
}

#[tokio::test]
async fn an_unknown_refresh_token_waits_for_no_writer() {
    let place = Place::filled(1).await;
    let store = place.opening(Open::Existing).patience(SHORT).open().await.unwrap();
    sample::start_session(&store, "s", "account-001").await;
    let step = |token| Refresh {
        presented: sample::digest(token),
        presented_plain: sample::digest("as before"),
        successor: sample::digest("next"),
        idle: Duration::from_secs(10),
        reuse_window: Duration::ZERO,
        from: "192.0.2.7".to_owned(),
        at: sample::at(5_000),
    };
    let holder = holding(&place, "BEGIN IMMEDIATE").await;
    let unknown = store.refresh(&step("unknown"), &sample::origin()).await.unwrap();
    assert_eq!(unknown, Refreshed::Refused(RefreshRefusal::Unknown));
    let known = store.refresh(&step("s"), &sample::origin()).await;
    assert!(matches!(known, Err(StoreError::Unavailable(_))), "{known:?}");
    holder.close().await.unwrap();
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_no_transaction_behind() {
    let place = Place::filled(1).await;
    let store = place.open().await;
    let origin = sample::origin();
    for number in 0..50 {
        let key = sample::key(&format!("k{number}"), "account-001");
        let write = store.create_key(&key, &origin);
        // Polled a few times at most, then dropped wherever it stands.
        let polls = tokio::time::timeout(Duration::from_micros(number * 40), write);
        drop(polls.await);
    }
    let before = store.latest().await.unwrap();
    let seq = store.revoke_key("key-0000", sample::at(9), &sample::origin()).await.unwrap();
    assert!(seq > before);
    let log = store.audit(Seq(2), 1_000).await.unwrap();
    let keys = store.keys(None, None, 1_000).await.unwrap();
    assert_eq!(log.len(), keys.items.len());
}
