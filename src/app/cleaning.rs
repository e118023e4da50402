//! Removing what has been dead for long, a few rows at a time: keys and sessions after `keys.keep_dead`, and what
//! nobody can ask for any more.

use std::sync::Arc;
use std::time::Duration;

use super::running::Core;
use crate::clock::Timestamp;
use crate::issuer::rotation::REMEMBERED;
use crate::store::{Answer, Origin, StoreError};

/// Between two rounds.
const PERIOD: Duration = Duration::from_secs(600);
/// Rows in one transaction: short enough that no other writer waits long.
const BATCH: u32 = 500;

pub(super) async fn run(core: Arc<Core>) {
    let stop = core.draining.clone();
    let rounds = async {
        loop {
            tokio::time::sleep(PERIOD).await;
            if let Err(error) = clean(&core).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "what is dead could not be removed; trying again later");
            }
        }
    };
    stop.run_until_cancelled(rounds).await;
}

async fn clean(core: &Core) -> Result<(), StoreError> {
    let keep = core.config.load().keys.keep_dead;
    let origin = Origin { actor: "keyward".to_owned(), via: "clean-up".to_owned() };
    let (store, origin) = (&core.store, &origin);
    batches(core, keep, |before, now| store.remove_dead_keys(before, BATCH, now, origin)).await?;
    batches(core, keep, |before, now| store.remove_dead_sessions(before, BATCH, now, origin)).await?;
    batches(core, REMEMBERED, |before, _| store.remove_leftovers(before, BATCH)).await
}

/// Removes what was dead for longer than `keep`, batch by batch.
async fn batches<'a>(
    core: &Core,
    keep: Duration,
    remove: impl Fn(Timestamp, Timestamp) -> Answer<'a, u32>,
) -> Result<(), StoreError> {
    let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    loop {
        let now = core.clock.now();
        let removed = remove(Timestamp(now.millis().saturating_sub(keep)), now).await?;
        if removed < BATCH {
            return Ok(());
        }
    }
}
