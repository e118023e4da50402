//! Statements past the store, as an alien hand would run them.

use std::path::Path;

use sqlx::{ConnectOptions, Connection, SqliteConnection};

/// A connection to the database at `path`, which is made where there is none.
pub async fn raw(path: &Path) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.connect().await.unwrap()
}

/// Runs `statements` on the database at `path`.
pub async fn sql(path: &Path, statements: &'static str) {
    let mut conn = raw(path).await;
    sqlx::raw_sql(statements).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}
