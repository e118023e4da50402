//! The store as commands use it: opened for one command, closed after it.

use std::sync::Arc;

use super::{Failure, Streams};
use crate::auth::random::System;
use crate::clock::Clock;
use crate::config::Config;
use crate::issuer::{Issuer, NobodyToTell};
use crate::store::sqlite::{Open, Opened, SqliteStore, effective_user};
use crate::store::{Origin, SharedStore};

/// Rows of a list that are asked for at once.
pub(super) const PAGE: u32 = 500;

pub(super) struct Backend {
    pub(super) issuer: Issuer,
    pub(super) clock: Clock,
    pub(super) origin: Origin,
    store: Arc<SqliteStore>,
}

impl Backend {
    pub(super) async fn open(
        config: &Config,
        open: Open,
        streams: &mut Streams<'_>,
    ) -> Result<Self, Failure> {
        let store = open_store(config, open, streams).await?;
        let clock = Clock::system();
        let shared: SharedStore = Arc::<SqliteStore>::clone(&store);
        let random = Arc::new(System::default());
        let issuer = Issuer::new(shared, clock.clone(), random, config, Arc::new(NobodyToTell));
        Ok(Self { issuer, clock, origin: origin(), store })
    }

    /// Leaves the store as a file of its own, without a journal, unless a server has it open too.
    pub(super) async fn close(self) {
        self.store.close().await;
    }
}

/// Opens the store and says what that did to it.
pub(super) async fn open_store(
    config: &Config,
    open: Open,
    streams: &mut Streams<'_>,
) -> Result<Arc<SqliteStore>, Failure> {
    let store = SqliteStore::open(&config.store.path, config.store.synchronous, open).await?;
    let path = store.path().display();
    match store.opened() {
        Opened::AsItWas => {}
        Opened::Made => streams.say(&format!("made a new store: {path}")),
        Opened::Migrated { from, to } => {
            streams.say(&format!("migrated the store from schema version {from} to {to}: {path}"));
        }
    }
    Ok(Arc::new(store))
}

/// Who sits at this terminal, as far as the system tells.
pub(super) fn origin() -> Origin {
    let name = std::env::var("LOGNAME").or_else(|_| std::env::var("USER"));
    let name = name
        .ok()
        .filter(|name| !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_graphic()));
    let actor = match (name, effective_user()) {
        // The id is the system's word; the name only what this terminal says of itself.
        (Some(name), Some(user)) => format!("user id {user}, as {name}"),
        (Some(name), None) => format!("as {name}"),
        (None, Some(user)) => format!("user id {user}"),
        (None, None) => "unknown".to_owned(),
    };
    Origin { actor, via: "cli".to_owned() }
}
