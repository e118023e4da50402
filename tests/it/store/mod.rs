//! The stores: one suite that every store passes, and what only SQLite can meet.

mod conformance;
mod damage;
mod dead;
mod disk;
mod kill;
mod locks;
mod owner;
mod sample;
mod sqlite;

use std::path::{Path, PathBuf};
use std::time::Duration;

use keyward::config::Synchronous;
use keyward::store::sqlite::{Open, OpenError, Opening, SqliteStore};
use tempfile::TempDir;

/// A directory for one store, gone with the test.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("keyward.db")
    }

    fn opening(&self, open: Open) -> Opening {
        opening(&self.path(), open)
    }

    async fn open(&self) -> SqliteStore {
        self.opening(Open::Create).open().await.unwrap()
    }

    async fn refused(&self, open: Open) -> OpenError {
        refused(self.opening(open)).await
    }

    /// A whole store with `keys` keys of one account, closed.
    async fn filled(keys: u32) -> Self {
        let place = Self::new();
        let store = place.open().await;
        sample::fill(&store, keys).await;
        store.close().await;
        place
    }

    /// The names of all files, in order.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn opening(path: &Path, open: Open) -> Opening {
    Opening::new(path, Synchronous::Normal, open).patience(Duration::from_secs(30))
}

async fn refused(opening: Opening) -> OpenError {
    match opening.open().await {
        Ok(_) => panic!("it was opened"),
        Err(error) => {
            assert!(!error.to_string().contains('\n') && !error.hint().contains('\n'), "{error}");
            error
        }
    }
}
