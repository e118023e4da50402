//! Removing keys that have been dead for `keys.keep_dead`, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use super::running::Core;
use crate::clock::Timestamp;
use crate::store::{Origin, StoreError};

/// Between two rounds.
const PERIOD: Duration = Duration::from_secs(600);
/// Keys in one transaction: short enough that no other writer waits long.
const BATCH: u32 = 500;

pub(super) async fn run(core: Arc<Core>) {
    let stop = core.draining.clone();
    let rounds = async {
        loop {
            tokio::time::sleep(PERIOD).await;
            if let Err(error) = clean(&core).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "dead keys could not be removed; trying again later");
            }
        }
    };
    stop.run_until_cancelled(rounds).await;
}

async fn clean(core: &Core) -> Result<(), StoreError> {
    let origin = Origin { actor: "keyward".to_owned(), via: "clean-up".to_owned() };
    loop {
        let now = core.clock.now();
        let keep = i64::try_from(core.config.load().keys.keep_dead.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp(now.millis().saturating_sub(keep));
        let removed = core.store.remove_dead_keys(before, BATCH, now, &origin).await?;
        if removed < BATCH {
            return Ok(());
        }
    }
}
