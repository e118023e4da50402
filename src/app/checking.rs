//! Reading a large store through, behind the start that it would have held up.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::store::sqlite::{SqliteStore, Whole};

/// Looks for damage, once, and says what it found. A damaged store is served on: what can be read of it is right, and
/// whether to go on without the rest is the operator's decision.
pub(super) async fn run(store: Arc<SqliteStore>, stop: CancellationToken) {
    if store.whole() == Whole::ReadThrough {
        return;
    }
    match stop.run_until_cancelled(store.verify()).await {
        None => {}
        Some(Ok(())) => tracing::info!("the store was read through: it is whole"),
        Some(Err(error)) => tracing::error!(hint = error.hint(), "{error}"),
    }
}
