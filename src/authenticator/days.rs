//! What accounts have used of the day, as the store knows it when this process begins.

use std::time::Duration;

use super::shared::Shared;
use crate::clock::Timestamp;
use crate::limits::{self, DayCount};
use crate::store::{SharedStore, StoreError};

/// Counts in one read.
const PAGE: u32 = 10_000;
/// How long one read may take before the store counts as gone.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Has all accounts begin with what they have used. To be called before any of them counts.
pub(super) async fn begin(store: &SharedStore, shared: &Shared) -> Result<(), StoreError> {
    let now = shared.clock.now();
    // Whoever counted last may have done so by a clock that was a little ahead.
    let counts = read(store, limits::day(now), limits::day(now.after(limits::SOON))).await?;
    let wall =
        if counts.iter().any(|count| count.day > limits::day(now)) { now.after(limits::SOON) } else { now };
    add(shared, &counts, wall, limits::day(wall));
    Ok(())
}

/// Adds what was used of the day that it is called now, before this process began: the clock on the wall was wrong then.
pub(super) async fn add_of(day: u32, store: &SharedStore, shared: &Shared) -> Result<(), StoreError> {
    let counts = read(store, day, day).await?;
    add(shared, &counts, shared.clock.now(), day);
    Ok(())
}

fn add(shared: &Shared, counts: &[DayCount], wall: Timestamp, day: u32) {
    let now = shared.accounts.moment(shared.clock.tick(), wall);
    shared.accounts.add(counts.iter().filter(|count| count.day == day), now);
}

/// The counts of these days. What was counted on a day after them, under a clock that was wrong, is held against nobody.
async fn read(store: &SharedStore, first: u32, last: u32) -> Result<Vec<DayCount>, StoreError> {
    let mut counts = read_from(store, first).await?;
    counts.retain(|count| count.day <= last);
    Ok(counts)
}

async fn read_from(store: &SharedStore, first: u32) -> Result<Vec<DayCount>, StoreError> {
    let (mut counts, mut after) = (Vec::new(), None);
    loop {
        let page = store.day_counts(first, after.as_deref(), PAGE);
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
