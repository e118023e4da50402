//! How long an entry serves: its time to live on the monotonic clock, the credential's own end on the wall.

use std::time::Duration;

use tokio::task::yield_now;

use super::bed::{Bed, NEVER, START, TTL, denied, digest, good, refused, until};
use super::store::Mode;
use crate::authenticator::{Denied, Refused};
use crate::clock::Timestamp;

const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_credential_ends_to_the_millisecond_cached_or_not() {
    let bed = Bed::new().await;
    let at = Timestamp(START.0 + 500);
    bed.changed(&bed.store.put_key(digest("short"), "short", "a", at));
    bed.changed(&bed.store.put_key(digest("unseen"), "unseen", "a", at));
    good(&bed.judge("short").await);
    bed.clock.advance(Duration::from_millis(499));
    good(&bed.cached("short").unwrap());
    bed.clock.advance(MS);
    refused(bed.cached("short").unwrap(), Refused::Expired { at });
    refused(bed.judge("unseen").await, Refused::Expired { at });
    refused(bed.cached("unseen").unwrap(), Refused::Expired { at });
}

#[tokio::test]
async fn revoked_and_disabled_are_told_before_expired() {
    let bed = Bed::new().await;
    let at = Timestamp(START.0 + 500);
    bed.changed(&bed.store.put_key(digest("short"), "short", "a", at));
    good(&bed.judge("short").await);
    bed.clock.advance(Duration::from_secs(1));
    refused(bed.judge("short").await, Refused::Expired { at });
    bed.changed(&bed.store.set_status("a", crate::store::AccountStatus::Disabled));
    refused(bed.judge("short").await, Refused::AccountDisabled);
    bed.revoke("short");
    refused(bed.judge("short").await, Refused::Revoked);
}

#[tokio::test]
async fn an_entry_lives_no_longer_than_its_time() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.advance(TTL - MS).await;
    good(&bed.cached("k").unwrap());
    until("it is read again", || bed.store.finds() == 2).await;
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.advance(TTL).await;
    assert!(bed.cached("k").is_none());
}

#[tokio::test]
async fn a_refusal_lives_no_longer_than_its_time() {
    let mut bed = Bed::new().await;
    refused(bed.judge("junk").await, Refused::Unknown);
    bed.advance(Duration::from_secs(5) - MS).await;
    refused(bed.cached("junk").unwrap(), Refused::Unknown);
    bed.advance(MS).await;
    assert!(bed.cached("junk").is_none());
}

#[tokio::test]
async fn an_entry_in_use_is_read_again_once_before_it_ends_and_nobody_waits() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.advance(TTL * 8 / 10 - MS).await;
    good(&bed.cached("k").unwrap());
    assert_eq!(bed.store.finds(), 1);
    bed.advance(MS).await;
    let mut held = bed.store.hold_next();
    let other = bed.authenticator.front();
    for _ in 0..100 {
        good(&bed.cached("k").unwrap());
        good(&bed.cached_by(&other, "k").unwrap());
    }
    held.reached().await;
    held.release();
    for _ in 0..100 {
        good(&bed.cached("k").unwrap());
        yield_now().await;
    }
    assert_eq!(bed.store.finds(), 2);
    // A front that never saw the old entry finds the new one, which needs no refresh.
    bed.clock.advance(TTL * 2 / 10);
    until("it was read again", || bed.cached_by(&bed.authenticator.front(), "k").is_some()).await;
    bed.feed.poll().await;
    good(&bed.cached("k").unwrap());
    good(&bed.cached_by(&other, "k").unwrap());
    assert_eq!(bed.store.finds(), 2);
}

#[tokio::test]
async fn an_entry_whose_refresh_failed_is_read_again_later() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.advance(TTL * 8 / 10).await;
    bed.store.set(Mode::Fails);
    good(&bed.cached("k").unwrap());
    until("the refresh has failed", || !bed.authenticator.stats().store_up).await;
    bed.mend().await;
    until("it is read again", || {
        good(&bed.cached("k").unwrap());
        bed.store.finds() == 3
    })
    .await;
}

#[tokio::test]
async fn an_entry_nobody_uses_is_not_read_again() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.advance(TTL * 9 / 10).await;
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(bed.store.finds(), 1);
}

#[tokio::test]
async fn a_wall_clock_that_jumps_back_revives_nothing_revoked() {
    let bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.revoke("k");
    refused(bed.judge("k").await, Refused::Revoked);
    bed.clock.set_wall(Timestamp(0));
    refused(bed.judge("k").await, Refused::Revoked);
}

#[tokio::test]
async fn a_wall_clock_that_jumps_moves_expiry_but_no_time_to_live() {
    let bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.clock.set_wall(NEVER);
    refused(bed.cached("k").unwrap(), Refused::Expired { at: NEVER });
    let other = "same key, first seen expired";
    bed.changed(&bed.store.put_key(digest(other), other, "a", NEVER));
    refused(bed.judge(other).await, Refused::Expired { at: NEVER });
    bed.clock.set_wall(START);
    good(&bed.cached("k").unwrap());
    good(&bed.judge(other).await);
}

#[tokio::test]
async fn a_front_drops_what_can_serve_no_more() {
    let mut bed = Bed::new().await;
    let entry = bed.judge("k").await.unwrap();
    // moka lets go of what it evicts some operations later.
    for _ in 0..128 {
        bed.authenticator.shared.caches.load().evict_all();
        tokio::task::yield_now().await;
    }
    let held = std::sync::Arc::strong_count(&entry);
    bed.advance(TTL + super::bed::STALE).await;
    for _ in 0..64 {
        bed.front.flush();
    }
    assert_eq!(std::sync::Arc::strong_count(&entry), held - 1);
}

#[tokio::test]
async fn without_contact_ever_nothing_is_served() {
    let bed = Bed::silent(&super::bed::terms());
    denied(bed.judge("k").await, Denied::Unavailable);
    assert_eq!(bed.store.finds(), 0);
}
