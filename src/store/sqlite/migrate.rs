//! Brings a database to the schema of this version.
//!
//! Each migration is one transaction that takes the write lock, looks at the version again, applies its statements and
//! sets the new version: whoever is interrupted leaves the old version behind, and of two that start at once one finds
//! nothing left to do.

use std::path::Path;

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::open_error::OpenError;

/// `KWRD`, in the header of every store: tells it from the databases of other programs.
const APPLICATION_ID: i64 = 0x4B57_5244;

/// The statements that lead from each version to the next, from an empty database on.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_accounts_keys_audit.sql"),
    include_str!("migrations/0002_sessions_signing_keys.sql"),
    include_str!("migrations/0003_places_reuse.sql"),
    include_str!("migrations/0004_plans.sql"),
    include_str!("migrations/0005_day_counts_uses.sql"),
    include_str!("migrations/0006_own_limits.sql"),
    include_str!("migrations/0007_replaced_keys.sql"),
];

/// The schema version of a store, after checking that it is a store and not newer than `known`.
pub(super) async fn version(conn: &mut SqliteConnection, path: &Path, known: i64) -> Result<i64, OpenError> {
    let refused = |error| OpenError::from_sqlite(path, &error);
    let application: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *conn).await.map_err(refused)?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(conn).await.map_err(refused)?;
    if application != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// Marks an empty database as a store without a schema yet.
pub(super) async fn claim(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let claim = AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION_ID}"));
    sqlx::raw_sql(claim).execute(conn).await.map(|_| ())
}

/// Applies what is missing. After an error the connection is not to be used again.
pub(super) async fn run(conn: &mut SqliteConnection, migrations: &[&'static str]) -> Result<(), sqlx::Error> {
    for (before, statements) in (0_i64..).zip(migrations) {
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *conn).await?;
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *conn).await?;
        if found == before {
            sqlx::raw_sql(*statements).execute(&mut *conn).await?;
            let stamp = AssertSqlSafe(format!("PRAGMA user_version = {}", before + 1));
            sqlx::raw_sql(stamp).execute(&mut *conn).await?;
        }
        sqlx::raw_sql("COMMIT").execute(&mut *conn).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;

    async fn connect(path: &Path) -> SqliteConnection {
        SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
    }

    async fn tables(conn: &mut SqliteConnection) -> Vec<String> {
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .fetch_all(conn)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_migration_that_fails_halfway_leaves_the_version_before_it_and_can_run_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.db");
        let mut conn = connect(&path).await;
        claim(&mut conn).await.unwrap();
        let broken = ["CREATE TABLE one (a TEXT);", "CREATE TABLE two (a TEXT); CREATE TABLE one (a TEXT);"];
        run(&mut conn, &broken).await.unwrap_err();
        drop(conn);

        let mut conn = connect(&path).await;
        assert_eq!(version(&mut conn, &path, 2).await.unwrap(), 1);
        assert_eq!(tables(&mut conn).await, ["one"]);
        run(&mut conn, &["CREATE TABLE one (a TEXT);", "CREATE TABLE two (a TEXT);"]).await.unwrap();
        assert_eq!(version(&mut conn, &path, 2).await.unwrap(), 2);
        assert_eq!(tables(&mut conn).await, ["one", "two"]);
    }

    #[tokio::test]
    async fn many_that_migrate_at_once_apply_each_migration_once() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.db");
        claim(&mut connect(&path).await).await.unwrap();
        // Applied twice, either would fail.
        let migrations: &[&str] = &["CREATE TABLE one (a TEXT);", "CREATE TABLE two (a TEXT);"];
        let at_once = (0..8).map(|_| async { run(&mut connect(&path).await, migrations).await });
        for outcome in futures_util::future::join_all(at_once).await {
            outcome.unwrap();
        }
        assert_eq!(version(&mut connect(&path).await, &path, 2).await.unwrap(), 2);
    }
}
