//! What accounts have used of the day, as the store knows it when this process begins.

use std::time::Duration;

use super::shared::Shared;
use crate::clock::Timestamp;
use crate::limits::{self, DayCount, Table};
use crate::store::{SharedStore, StoreError};

/// Counts in one read.
const PAGE: u32 = 10_000;
/// How long one read may take before the store counts as gone.
const READ_TIMEOUT: Duration = Duration::from_secs(1);
/// A clock that wavers about midnight brings nothing back: a day that begins so soon counts as begun if somebody has counted
/// on it. What was counted on a later one, under a clock that was wrong, is forgotten: nobody is refused for it.
const SOON: Duration = Duration::from_hours(1);

/// Has all accounts begin with what they have used. To be called before any of them counts.
pub(super) async fn begin(store: &SharedStore, shared: &Shared) -> Result<(), StoreError> {
    let counts = read(store, shared.clock.now()).await?;
    fill(&shared.accounts, counts);
    Ok(())
}

async fn read(store: &SharedStore, now: Timestamp) -> Result<Vec<DayCount>, StoreError> {
    let latest = limits::day(now.after(SOON));
    let (mut counts, mut after) = (Vec::new(), None);
    loop {
        let page = store.day_counts(limits::day(now), after.as_deref(), PAGE);
        let page = match tokio::time::timeout(READ_TIMEOUT, page).await {
            Ok(page) => page?,
            Err(elapsed) => return Err(StoreError::Unavailable(Box::new(elapsed))),
        };
        counts.extend(page.items.into_iter().filter(|count| count.day <= latest));
        after = page.next;
        if after.is_none() {
            return Ok(counts);
        }
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
