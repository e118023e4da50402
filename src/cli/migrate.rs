//! `keyward migrate`

use clap::Args;

use super::backend::open_store;
use super::{Failure, Streams};
use crate::config::Config;
use crate::store::sqlite::{Open, Opened};

/// Nothing to choose.
#[derive(Debug, Args)]
pub struct Migrate {}

/// Makes the store, or brings it to this version's schema, and checks every page of it.
///
/// # Errors
/// What to print and how to exit.
pub async fn run(_: Migrate, config: &Config, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let store = open_store(config, Open::Create, streams).await?;
    let verdict = store.verify().await;
    let unchanged = store.opened() == Opened::AsItWas;
    store.close().await;
    verdict?;
    if unchanged {
        return streams.print(&format!("the store is up to date: {}\n", store.path().display()));
    }
    Ok(())
}
