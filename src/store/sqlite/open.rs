//! Opening a store: looked at before it is touched, made whole or not at all, migrated, and refused when damaged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::SqliteStore;
use super::connections::{self, Connections};
use super::migrate::{self, MIGRATIONS};
use super::open_error::{OpenError, one_line};
use super::place::{self, Draft, Presence};
use crate::config::Synchronous;

/// How long a call may take, waiting for locks included.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Up to this size a store is read through at every opening (a fifth of a second). Larger ones would make every start
/// and every small command slow: a server reads them through once it serves, by [`SqliteStore::verify`].
const READ_THROUGH: u64 = 64 << 20;

/// Whether a store may be made and migrated, or has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Made when absent, migrated when old.
    Create,
    /// Refused when absent or old.
    Existing,
}

/// What opening a store did to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It was there, at this version's schema.
    AsItWas,
    /// It is new.
    Made,
    /// It was there, and its schema went from one version to another.
    Migrated {
        /// The version before.
        from: i64,
        /// The version now.
        to: i64,
    },
}

/// Whether opening a store read all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// Every page was read, and they fit together.
    ReadThrough,
    /// It is large: damage in pages that nobody asked for is not known yet. [`SqliteStore::verify`] finds it.
    Unread,
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Opening {
    path: PathBuf,
    synchronous: Synchronous,
    open: Open,
    patience: Duration,
    user: Option<u32>,
    read_through: u64,
}

impl Opening {
    /// Opens what is at `path`, by this process's user, and waits [`PATIENCE`] for locks.
    #[must_use]
    pub fn new(path: &Path, synchronous: Synchronous, open: Open) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self {
            path,
            synchronous,
            open,
            patience: PATIENCE,
            user: place::effective_user(),
            read_through: READ_THROUGH,
        }
    }

    /// Waits this long instead, when opening and in every call.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Judges the owner of the files as if this process ran as `user`.
    #[must_use]
    pub fn user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// Reads a store through when it has at most this many bytes, instead of 64 MiB.
    #[must_use]
    pub fn read_through_up_to(mut self, bytes: u64) -> Self {
        self.read_through = bytes;
        self
    }

    /// Opens the store.
    ///
    /// # Errors
    /// See [`OpenError`]. A store that is refused was not changed.
    pub async fn open(self) -> Result<SqliteStore, OpenError> {
        let made = match place::inspect(&self.path, self.user)? {
            Presence::File => false,
            Presence::Nothing if self.open == Open::Create => self.make().await?,
            Presence::Nothing => return Err(OpenError::Absent { path: self.path }),
        };
        let (opened, whole) = self.prepare().await?;
        let opened = if made { Opened::Made } else { opened };
        let connections = Connections::open(&self.path, self.synchronous, self.busy_timeout())
            .await
            .map_err(|error| OpenError::from_sqlite(&self.path, &error))?;
        Ok(SqliteStore { path: self.path, connections, patience: self.patience, opened, whole })
    }

    /// SQLite gives up before the deadline of the call does, so that the reason is known.
    fn busy_timeout(&self) -> Duration {
        self.patience * 4 / 5
    }

    /// Makes the store beside its place and moves it there. `false` when another process was quicker.
    async fn make(&self) -> Result<bool, OpenError> {
        let Some(draft) = Draft::begin(&self.path, self.patience).await? else {
            return Ok(false);
        };
        let refused = |error| OpenError::from_sqlite(&self.path, &error);
        let options =
            connections::writing(connections::options(draft.file(), self.busy_timeout()), Synchronous::Full);
        let mut conn = options.connect().await.map_err(refused)?;
        migrate::claim(&mut conn).await.map_err(refused)?;
        migrate::run(&mut conn, MIGRATIONS).await.map_err(refused)?;
        self.fold_in(&mut conn).await?;
        conn.close().await.map_err(refused)?;
        draft.finish()?;
        Ok(true)
    }

    /// Folds the journal into the database. Closing would do it too, but says nothing of a disk that took only half.
    async fn fold_in(&self, conn: &mut SqliteConnection) -> Result<(), OpenError> {
        let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(conn)
            .await
            .map_err(|error| OpenError::from_sqlite(&self.path, &error))?;
        if busy == 0 { Ok(()) } else { Err(OpenError::Locked { path: self.path.clone() }) }
    }

    /// Makes sure that what is there is a whole store of this version.
    async fn prepare(&self) -> Result<(Opened, Whole), OpenError> {
        let refused = |error| OpenError::from_sqlite(&self.path, &error);
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        let mut conn =
            connections::options(&self.path, self.busy_timeout()).connect().await.map_err(refused)?;
        let found = migrate::version(&mut conn, &self.path, known).await?;
        let whole = match std::fs::metadata(&self.path) {
            Ok(file) if file.len() > self.read_through => Whole::Unread,
            _ => read_through(&mut conn, &self.path).await.map(|()| Whole::ReadThrough)?,
        };
        self.check_writable().await.map_err(refused)?;
        if found == known {
            return Ok((Opened::AsItWas, whole));
        }
        if self.open == Open::Existing {
            return Err(OpenError::Older { path: self.path.clone(), found, needed: known });
        }
        migrate::run(&mut conn, MIGRATIONS).await.map_err(refused)?;
        Ok((Opened::Migrated { from: found, to: known }, whole))
    }

    /// SQLite opens what it may only read without a word, and would fail at the first change. Waits for no lock: who is
    /// refused for another's lock could write.
    async fn check_writable(&self) -> Result<(), sqlx::Error> {
        const BUSY: &str = "5";
        const PROBE: &str = "BEGIN IMMEDIATE; PRAGMA user_version = 0; ROLLBACK;";
        let mut conn = connections::options(&self.path, Duration::ZERO).connect().await?;
        match sqlx::raw_sql(PROBE).execute(&mut conn).await {
            Err(sqlx::Error::Database(refusal)) if refusal.code().as_deref() == Some(BUSY) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// Reads every page of the database and checks that they fit together.
pub(super) async fn read_through(conn: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(conn)
        .await
        .map_err(|error| OpenError::from_sqlite(path, &error))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(OpenError::Damaged { path: path.to_owned(), detail: one_line(&verdict) })
}
