//! What accounts have used of the day, as the store knows it when this process begins.

use std::time::Duration;

use super::shared::Shared;
use crate::limits::{self, DayCount, Table};
use crate::store::{SharedStore, StoreError};

/// Counts in one read.
const PAGE: u32 = 10_000;
/// How long one read may take before the store counts as gone.
const READ_TIMEOUT: Duration = Duration::from_secs(1);
/// Has all accounts begin with what they have used. To be called before any of them counts.
pub(super) async fn begin(store: &SharedStore, shared: &Shared) -> Result<(), StoreError> {
    let now = shared.clock.now();
    let latest = limits::day(now.after(limits::SOON));
    let mut counts = read(store, limits::day(now)).await?;
    // What was counted on a day that has not come, under a clock that was wrong, is held against nobody, when it comes
    // neither.
    let read = counts.len();
    counts.retain(|count| count.day <= latest);
    if counts.len() < read {
        forget_after(store, latest).await;
    }
    fill(&shared.accounts, counts);
    Ok(())
}

async fn read(store: &SharedStore, today: u32) -> Result<Vec<DayCount>, StoreError> {
    let (mut counts, mut after) = (Vec::new(), None);
    loop {
        let page = store.day_counts(today, after.as_deref(), PAGE);
        let page = match tokio::time::timeout(READ_TIMEOUT, page).await {
            Ok(page) => page?,
            Err(elapsed) => return Err(StoreError::Unavailable(Box::new(elapsed))),
        };
        counts.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(counts);
        }
    }
}

/// A store that cannot be written now keeps nobody waiting: they are removed at the next start.
async fn forget_after(store: &SharedStore, latest: u32) {
    let removing = async {
        while store.remove_day_counts(0..=latest, PAGE).await? == PAGE {}
        Ok::<(), StoreError>(())
    };
    if !matches!(tokio::time::timeout(READ_TIMEOUT, removing).await, Ok(Ok(()))) {
        tracing::warn!("counts of days that have not come could not be removed");
    }
}

/// Of one subject's days the last in order is the one that counts: the sort keeps their order.
fn fill(accounts: &Table, mut counts: Vec<DayCount>) {
    counts.sort_by_key(|count| count.account);
    for same in counts.chunk_by(|one, other| one.account == other.account) {
        if let Some(first) = same.first() {
            accounts.account(first.account, || same.to_vec());
        }
    }
}
