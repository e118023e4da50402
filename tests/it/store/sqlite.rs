//! The SQLite store passes the suite, and opens as it should when all is well.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use keyward::config::Synchronous;
use keyward::store::sqlite::{Open, OpenError, Opened, SqliteStore};
use keyward::store::{NewAccount, Purpose, Seq, SharedStore, Store, StoreError};
use sqlx::Connection as _;

use super::conformance::{self, House};
use super::{Place, opening, sample};

impl House for Place {
    fn open(&self) -> BoxFuture<'_, SharedStore> {
        Box::pin(async { Arc::new(self.open().await) as SharedStore })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_what_every_store_does() {
    conformance::passes(|| Box::new(Place::new())).await;
}

#[tokio::test]
async fn a_new_store_is_made_whole_with_its_directories_for_its_owner_alone() {
    let place = Place::new();
    let path = place.directory.path().join("var/lib/keyward.db");
    let store = opening(&path, Open::Create).open().await.unwrap();
    assert_eq!((store.opened(), store.path()), (Opened::Made, &*path));
    sample::fill(&store, 1).await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(path.parent().unwrap().parent().unwrap()), 0o700);
    for name in ["keyward.db", "keyward.db-wal", "keyward.db-shm"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
    store.close().await;
    let again = SqliteStore::open(&path, Synchronous::Full, Open::Existing).await.unwrap();
    assert_eq!((again.opened(), again.latest().await.unwrap()), (Opened::AsItWas, Seq(2)));
    again.verify().await.unwrap();
}

#[tokio::test]
async fn an_address_that_was_kept_letter_for_letter_is_found_as_it_was() {
    let place = Place::new();
    let store = place.open().await;
    sample::create_account(&store, 1).await;
    // A letter whose composed form is another, U+8C48.
    crate::support::sql::sql(
        &place.path(),
        "UPDATE accounts SET email_folded = char(63744) || '@example.com'",
    )
    .await;
    for written in ["\u{f900}@example.com", "\u{f900}@EXAMPLE.com"] {
        assert_eq!(store.account(written).await.unwrap().id, "account-001");
        assert!(store.login(written).await.unwrap().is_some());
    }
    let same = NewAccount { email: "\u{f900}@example.com".to_owned(), ..sample::account(2) };
    let refused = store.create_account(&same, &sample::origin()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
}

/// However it was written then, and is now: it stays one account's.
#[tokio::test]
async fn an_address_that_was_kept_in_another_alphabet_is_found_as_any() {
    const NOW: &str = "j\u{fc}rgen@m\u{fc}ller.example";
    let place = Place::new();
    let store = place.open().await;
    sample::create_account(&store, 1).await;
    for kept in [
        "UPDATE accounts SET email_folded = 'j\u{fc}rgen@m\u{fc}ller.example'",
        "UPDATE accounts SET email_folded = 'j\u{fc}rgen@xn--mller-kva.example'",
        "UPDATE accounts SET email_folded = 'ju\u{308}rgen@mu\u{308}ller.example'",
    ] {
        crate::support::sql::sql(&place.path(), kept).await;
        for written in [NOW, "J\u{dc}RGEN@XN--MLLER-KVA.example", "ju\u{308}rgen@mu\u{308}ller.example"] {
            assert_eq!(store.account(written).await.unwrap().id, "account-001", "{kept} {written}");
            assert!(store.login(written).await.unwrap().is_some(), "{kept} {written}");
            let same = NewAccount { email: written.to_owned(), ..sample::account(2) };
            let refused = store.create_account(&same, &sample::origin()).await;
            assert!(matches!(refused, Err(StoreError::Conflict(_))), "{kept} {written}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_signing_key_that_cannot_be_read_spoils_none_of_the_others_and_is_replaced() {
    let place = Place::new();
    let store = place.open().await;
    for (id, purpose) in [("good", Purpose::AccessToken), ("odd", Purpose::Assertion)] {
        store.add_signing_key(&sample::signing_key(id, purpose), None, &sample::origin()).await.unwrap();
    }
    crate::support::sql::sql(
        &place.path(),
        "INSERT INTO signing_keys SELECT 'alien', 'another', algorithm, private_key, 1, 2, NULL FROM signing_keys WHERE id = 'good';
         UPDATE signing_keys SET algorithm = 'ML-DSA-44' WHERE id = 'odd';",
    )
    .await;
    let ids = async || {
        let keys = store.signing_keys().await.unwrap();
        keys.into_iter().map(|key| key.id).collect::<Vec<_>>()
    };
    assert_eq!(ids().await, ["good"]);
    let next = sample::signing_key("next", Purpose::Assertion);
    store.add_signing_key(&next, None, &sample::origin()).await.unwrap();
    assert_eq!(ids().await, ["good", "next"]);
}

#[tokio::test]
async fn limits_that_cannot_be_read_are_never_taken_for_none() {
    for (text, is_good) in [
        (r#"'{"per_minute":1,"burst":2,"per_day":3,"in_flight":4}'"#, true),
        (r#"'{"per_minute":0}'"#, true),
        ("NULL", true),
        ("''", false),
        ("'{}'", false),
        ("'null'", false),
        ("5", false),
        (r#"'{"per_minute":-1}'"#, false),
        (r#"'{"per_minute":"1"}'"#, false),
        (r#"'{"per_minute":1000000001}'"#, false),
        (r#"'{"burst":0}'"#, false),
        (r#"'{"in_flight":4294967296}'"#, false),
        (r#"'{"per_minute":1,"per_week":2}'"#, false),
        (r#"'{"per_minute":1} '"#, true),
        (r#"'{"per_minute":1'"#, false),
        (r#"x'7b7d'"#, false),
    ] {
        for (table, column) in [("accounts", "accounts.limits"), ("api_keys", "api_keys.limits")] {
            let place = Place::new();
            let store = place.open().await;
            sample::fill(&store, 1).await;
            let statement = sqlx::AssertSqlSafe(format!("UPDATE {table} SET limits = {text}"));
            let mut conn = crate::support::sql::raw(&place.path()).await;
            sqlx::raw_sql(statement).execute(&mut conn).await.unwrap();
            conn.close().await.unwrap();
            let found = store.find_key(sample::digest("key-0000")).await;
            match found {
                Ok(_) => assert!(is_good, "{column}: {text}"),
                Err(StoreError::Corrupt(what)) => {
                    assert!(!is_good && what.contains("limits"), "{text}: {what}");
                }
                Err(other) => panic!("{column}: {text}: {other}"),
            }
        }
    }
}

#[tokio::test]
async fn closing_leaves_one_file() {
    let place = Place::filled(3).await;
    assert_eq!(place.files(), ["keyward.db"]);
}

#[tokio::test]
async fn an_absent_store_is_told_and_nothing_is_made() {
    let place = Place::new();
    let error = place.refused(Open::Existing).await;
    assert!(matches!(error, OpenError::Absent { .. }), "{error}");
    assert_eq!(error.to_string(), format!("there is no store at {}", place.path().display()));
    assert!(place.files().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_start_at_once_one_makes_the_store() {
    let place = Place::new();
    let at_once = (0..8).map(|_| tokio::spawn(place.opening(Open::Create).open()));
    let stores: Vec<_> = join_all(at_once).await.into_iter().map(|opened| opened.unwrap().unwrap()).collect();
    let made = stores.iter().filter(|store| store.opened() == Opened::Made).count();
    assert_eq!(made, 1);
    sample::fill(&stores[0], 2).await;
    for store in &stores {
        assert_eq!(store.latest().await.unwrap(), Seq(3));
    }
}

#[tokio::test]
async fn what_an_interrupted_maker_left_is_swept_away() {
    let place = Place::new();
    for leftover in ["keyward.db.new", "keyward.db.new-wal", "keyward.db.new-journal"] {
        std::fs::write(place.path().with_file_name(leftover), b"half").unwrap();
    }
    let store = place.open().await;
    sample::fill(&store, 1).await;
    store.close().await;
    assert_eq!(place.files(), ["keyward.db"]);
}
