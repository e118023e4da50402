//! Keeping the signing keys: made on the first start, replaced when they are due.

use std::sync::Arc;
use std::time::Duration;

use super::running::Core;
use crate::clock::Clock;
use crate::config::Config;
use crate::issuer::signing::Signing;
use crate::store::{Origin, SharedStore};

/// Between two looks. A key is published for much longer before it signs.
const PERIOD: Duration = Duration::from_secs(60);

/// Looks once; without `identity` there is nothing to look for.
pub(super) async fn keep_up(store: &SharedStore, clock: &Clock, config: &Config) {
    let Some(signing) = Signing::new(Arc::clone(store), clock.clone(), config) else { return };
    let origin = Origin { actor: "keyward".to_owned(), via: "schedule".to_owned() };
    if let Err(error) = signing.keep_up(&origin).await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "the signing keys could not be kept up; trying again in a minute");
    }
}

pub(super) async fn run(core: Arc<Core>) {
    let stop = core.draining.clone();
    let rounds = async {
        loop {
            tokio::time::sleep(PERIOD).await;
            core.keep_signing_keys().await;
        }
    };
    stop.run_until_cancelled(rounds).await;
}
