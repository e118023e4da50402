//! The connections to one database file: one that writes, a few that read.
//!
//! A writing connection that met a failure, a deadline or a caller who went away is thrown away, not repaired: SQLite
//! rolls back what it left, and the next change opens another. So nothing can be left inside half a transaction.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, MutexGuard};

use super::place::Identity;
use crate::config::Synchronous;
use crate::store::StoreError;

/// Reading connections; a cold look-up takes some ten microseconds, so a few are plenty.
const READERS: u32 = 4;
/// Bytes of journal kept on disk between checkpoints.
const JOURNAL_KEPT: &str = "67108864";

pub(super) struct Connections {
    path: Box<Path>,
    identity: Identity,
    writing: SqliteConnectOptions,
    writer: Mutex<Option<SqliteConnection>>,
    readers: SqlitePool,
}

/// What every connection to `path` shares. `patience` is how long it waits for a lock.
pub(super) fn options(path: &Path, patience: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(patience)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// What the writing connection has besides.
pub(super) fn writing(options: SqliteConnectOptions, synchronous: Synchronous) -> SqliteConnectOptions {
    let synchronous = match synchronous {
        Synchronous::Full => SqliteSynchronous::Full,
        Synchronous::Normal => SqliteSynchronous::Normal,
    };
    options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .pragma("journal_size_limit", JOURNAL_KEPT)
}

impl Connections {
    /// Opens the writing connection; readers come when they are wanted.
    pub(super) async fn open(
        path: &Path,
        synchronous: Synchronous,
        patience: Duration,
    ) -> Result<Self, sqlx::Error> {
        let identity = Identity::of(path)?;
        let shared = options(path, patience);
        let writing = writing(shared.clone(), synchronous);
        let writer = writing.connect().await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(patience)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(shared.read_only(true));
        Ok(Self { path: path.into(), identity, writing, writer: Mutex::new(Some(writer)), readers })
    }

    /// Ends all connections; the last one to leave folds the journal into the database.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = self.writer.lock().await.take() {
            // Nothing is lost if it fails: the journal stays and is read at the next start.
            let _ = writer.close().await;
        }
    }

    /// A connection to read from.
    pub(super) async fn read(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.check_place()?;
        Ok(self.readers.acquire().await?)
    }

    /// Begins a transaction that writes.
    pub(super) async fn begin(&self) -> Result<Writing<'_>, StoreError> {
        let mut home = self.writer.lock().await;
        self.check_place()?;
        let mut connection = match home.take() {
            Some(connection) => connection,
            None => self.writing.connect().await?,
        };
        // Not deferred: one that reads first and writes then fails at once when another has written in between.
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await?;
        Ok(Writing { home, connection })
    }

    /// A file that was removed or exchanged still takes writes, which nobody would ever see again.
    fn check_place(&self) -> Result<(), StoreError> {
        match Identity::of(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) => Err(StoreError::Unavailable(
                "its file was exchanged for another; restart what has it open".into(),
            )),
            Err(error) => Err(StoreError::Unavailable(format!("its file is gone: {error}").into())),
        }
    }
}

/// A transaction under way. Dropped without [`end`](Self::end), it takes its connection with it.
pub(super) struct Writing<'a> {
    home: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
}

impl Writing<'_> {
    /// Commits what went well, rolls back what was refused, and passes the outcome on.
    pub(super) async fn end<T>(mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let last = match &outcome {
            Ok(_) => "COMMIT",
            Err(StoreError::NotFound(_) | StoreError::Conflict(_)) => "ROLLBACK",
            Err(StoreError::Unavailable(_) | StoreError::Corrupt(_)) => return outcome,
        };
        sqlx::raw_sql(last).execute(&mut self.connection).await?;
        *self.home = Some(self.connection);
        outcome
    }
}

impl Deref for Writing<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Open, Opening, SqliteStore, accounts, audit};
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::{NewAccount, Origin, Seq};

    async fn create(store: &SqliteStore, number: usize) -> Result<Seq, StoreError> {
        let account = NewAccount {
            id: format!("{number}"),
            email: format!("{number}@{}", "x".repeat(200)),
            scopes: None,
            password: None,
            created_at: Timestamp(0),
        };
        let origin = Origin { actor: String::new(), via: String::new() };
        accounts::create(&store.connections, &account, &origin).await
    }

    /// SQLite rolls back by itself when the disk is full; a connection that does not know would never write again.
    #[tokio::test]
    async fn a_full_store_refuses_what_does_not_fit_and_goes_on_when_there_is_space() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.db");
        let mut store = Opening::new(&path, Synchronous::Normal, Open::Create).open().await.unwrap();
        let roomy = store.connections.writing.clone();
        store.connections.writing = roomy.clone().pragma("max_page_count", "40");
        *store.connections.writer.lock().await = None;

        let mut kept = 0;
        let refusal = loop {
            match create(&store, kept).await {
                Ok(_) => kept += 1,
                Err(refusal) => break refusal,
            }
        };
        let StoreError::Unavailable(cause) = refusal else { panic!("{refusal:?}") };
        assert!(cause.to_string().contains("the disk is full"), "{cause}");
        for _ in 0..3 {
            create(&store, kept).await.unwrap_err();
        }
        let count = i64::try_from(kept).unwrap();
        assert_eq!(audit::latest(&store.connections).await.unwrap(), Seq(count));

        store.connections.writing = roomy;
        create(&store, kept).await.unwrap();
        assert_eq!(audit::latest(&store.connections).await.unwrap(), Seq(count + 1));
        store.verify().await.unwrap();
    }
}
