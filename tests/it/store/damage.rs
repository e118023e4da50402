//! What is no whole store of ours is refused, each with its own line, and stays as it is.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use keyward::store::sqlite::{Open, OpenError, Whole};
use keyward::store::{Store, StoreError};

use super::{Place, sample};
use crate::support::sql::{raw, sql};

/// Refused in both ways of opening, with the file as it was and nothing beside it.
async fn refused_untouched(place: &Place) -> OpenError {
    let before = fs::read(place.path()).unwrap();
    place.refused(Open::Existing).await;
    let error = place.refused(Open::Create).await;
    assert_eq!(fs::read(place.path()).unwrap(), before);
    assert!(error.to_string().contains(place.path().to_str().unwrap()), "{error}");
    error
}

#[tokio::test]
async fn a_newer_store_is_refused_naming_both_versions() {
    let place = Place::filled(1).await;
    sql(&place.path(), "PRAGMA user_version = 99").await;
    let error = refused_untouched(&place).await;
    assert!(matches!(error, OpenError::Newer { found: 99, known: 7, .. }), "{error}");
    assert!(
        error.to_string().contains("schema version 99, and this Keyward knows versions up to 7"),
        "{error}"
    );
}

#[tokio::test]
async fn an_older_store_is_migrated_only_where_that_is_meant() {
    let place = Place::new();
    // KWRD, and no schema yet.
    sql(&place.path(), "PRAGMA journal_mode = WAL; PRAGMA application_id = 1264013892;").await;
    let error = place.refused(Open::Existing).await;
    assert!(matches!(error, OpenError::Older { found: 0, needed: 7, .. }), "{error}");
    let store = place.open().await;
    assert_eq!(store.opened(), keyward::store::sqlite::Opened::Migrated { from: 0, to: 7 });
    sample::fill(&store, 1).await;
}

#[tokio::test]
async fn what_the_first_version_kept_is_there_after_the_migration() {
    let place = Place::new();
    let first = include_str!("../../../src/store/sqlite/migrations/0001_accounts_keys_audit.sql");
    sql(&place.path(), "PRAGMA journal_mode = WAL; PRAGMA application_id = 1264013892;").await;
    sql(&place.path(), first).await;
    let rows = "INSERT INTO accounts VALUES ('account-001', 'a@b', 'a@b', 'active', NULL, 1000);
        INSERT INTO api_keys VALUES ('k', 'account-001', hex(zeroblob(32)), 'k', 'kw_sk_', 'wxyz', '', '', 1, 2, NULL, NULL);
        INSERT INTO api_keys VALUES ('used', 'account-001', hex(randomblob(32)), 'k', 'kw_sk_', 'wxyz', '', '', 1, 2, 5000, NULL);
        INSERT INTO audit_log VALUES (7, 1000, 'jane', 'test', 'account.created', 'account', 'account-001', '');
        PRAGMA user_version = 1;";
    sql(&place.path(), rows).await;
    let store = place.open().await;
    assert_eq!(store.opened(), keyward::store::sqlite::Opened::Migrated { from: 1, to: 7 });
    let account = store.account("a@b").await.unwrap();
    assert_eq!((&*account.id, account.plan), ("account-001", None));
    let key = store.key("k").await.unwrap();
    assert_eq!((&*key.account_id, key.last_used_at, key.replaced_by), ("account-001", None, None));
    assert_eq!(store.key("used").await.unwrap().last_used_at, Some(sample::at(5_000)));
    assert_eq!(store.login("A@B").await.unwrap().unwrap().password, None);
    assert_eq!(sample::start_session(&store, "s", "account-001").await, keyward::store::Seq(8));
    store.verify().await.unwrap();
}

#[tokio::test]
async fn an_interrupted_migration_runs_again() {
    let place = Place::new();
    sql(&place.path(), "PRAGMA application_id = 1264013892").await;
    let mut conn = raw(&place.path()).await;
    sqlx::raw_sql("BEGIN IMMEDIATE; CREATE TABLE accounts (half TEXT); PRAGMA user_version = 1;")
        .execute(&mut conn)
        .await
        .unwrap();
    drop(conn);
    let store = place.open().await;
    sample::fill(&store, 1).await;
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let place = Place::new();
    sql(&place.path(), "CREATE TABLE accounts (theirs TEXT); PRAGMA user_version = 1;").await;
    let error = refused_untouched(&place).await;
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn garbage_is_no_store() {
    let place = Place::new();
    for garbage in [&b"store: { sqlite: ... }\n"[..], &[0x5a; 8192], b"SQLite format 3\0 and no more"] {
        fs::write(place.path(), garbage).unwrap();
        let error = refused_untouched(&place).await;
        assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_emptied_file_is_damaged_not_new() {
    let place = Place::filled(1).await;
    fs::write(place.path(), b"").unwrap();
    let error = refused_untouched(&place).await;
    assert!(error.to_string().ends_with("is damaged: the file is empty"), "{error}");
}

#[tokio::test]
async fn a_truncated_store_is_damaged() {
    let place = Place::filled(200).await;
    let whole = fs::read(place.path()).unwrap();
    for keep in [whole.len() / 2, whole.len() - 4096, 4096 * 2, 4096] {
        fs::write(place.path(), &whole[..keep]).unwrap();
        let error = refused_untouched(&place).await;
        assert!(matches!(error, OpenError::Damaged { .. }), "{keep} bytes: {error}");
    }
}

#[tokio::test]
async fn flipped_bytes_are_found() {
    let place = Place::filled(200).await;
    let pages = fs::metadata(place.path()).unwrap().len() / 4096;
    let whole = fs::read(place.path()).unwrap();
    for page in 1..pages {
        fs::write(place.path(), &whole).unwrap();
        let file = OpenOptions::new().write(true).open(place.path()).unwrap();
        file.write_all_at(&[0xa5; 64], page * 4096).unwrap();
        let error = refused_untouched(&place).await;
        assert!(matches!(error, OpenError::Damaged { .. }), "page {page}: {error}");
    }
}

#[tokio::test]
async fn something_else_than_a_file_is_refused() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    let error = place.refused(Open::Create).await;
    assert!(matches!(error, OpenError::NotAFile { .. }), "{error}");
    assert_eq!(place.files(), ["keyward.db"]);
}

#[tokio::test]
async fn a_store_that_is_removed_under_way_takes_no_more_and_is_not_made_anew() {
    let place = Place::new();
    let store = place.open().await;
    sample::fill(&store, 1).await;
    fs::remove_file(place.path()).unwrap();
    let written = store.create_key(&sample::key("lost", "account-001"), &sample::origin()).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    let read = store.latest().await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    let error = place.refused(Open::Create).await;
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("its journal"), "{error}");
    assert!(!place.path().exists());
}

#[tokio::test]
async fn a_store_that_is_exchanged_under_way_takes_no_more() {
    let (place, other) = (Place::filled(1).await, Place::filled(2).await);
    let store = place.open().await;
    fs::rename(other.path(), place.path()).unwrap();
    let read = store.latest().await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
}

/// What `keyward serve` does with a store that is too large to be read at every start.
#[tokio::test]
async fn a_large_store_opens_unread_and_its_damage_is_found_behind_the_start() {
    let place = Place::filled(200).await;
    let opening = || place.opening(Open::Existing).read_through_up_to(4096);
    let store = opening().open().await.unwrap();
    assert_eq!(store.whole(), Whole::Unread);
    store.verify().await.unwrap();
    store.close().await;

    let last = fs::metadata(place.path()).unwrap().len() - 4096;
    let file = OpenOptions::new().write(true).open(place.path()).unwrap();
    file.write_all_at(&[0xa5; 64], last).unwrap();
    let store = opening().open().await.unwrap();
    let error = store.verify().await.unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert_eq!(place.refused(Open::Existing).await.to_string(), error.to_string());
}
