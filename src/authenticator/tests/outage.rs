//! The store goes away, and comes back.

use std::time::Duration;

use super::bed::{Bed, STALE, START, TTL, denied, digest, good, refused, terms};
use super::store::Mode;
use crate::authenticator::{Counting, Denied, Health, Layer, Outcome, Refused};
use crate::clock::Timestamp;

const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn what_was_good_serves_until_the_bound_and_then_nobody_can_tell() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    assert_eq!(bed.authenticator.health(), Health::Ready);
    bed.cut().await;
    assert_eq!(bed.authenticator.health(), Health::Degraded);
    bed.clock.advance(STALE);
    good(&bed.judge("k").await);
    bed.clock.advance(MS);
    denied(bed.judge("k").await, Denied::Unavailable);
    assert_eq!(bed.authenticator.health(), Health::Lost);
    assert_eq!(bed.store.finds(), 1);
    bed.front.flush();
    assert_eq!(bed.authenticator.stats().lookups.get(Layer::Front, Outcome::Stale), 1);
}

#[tokio::test]
async fn what_only_the_shared_cache_holds_serves_too() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.cut().await;
    bed.clock.advance(TTL * 2);
    good(&bed.cached_by(&bed.authenticator.front(), "k").unwrap());
}

#[tokio::test]
async fn contact_is_as_old_as_the_last_read_not_the_last_try() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.store.set(Mode::Fails);
    for _ in 0..30 {
        bed.advance(STALE / 30).await;
        good(&bed.judge("k").await);
    }
    bed.advance(MS).await;
    denied(bed.judge("k").await, Denied::Unavailable);
}

#[tokio::test]
async fn with_a_bound_of_zero_nothing_serves_past_the_grace() {
    let mut terms = terms();
    terms.stale_while_unavailable = Duration::ZERO;
    let mut bed = Bed::with(&terms).await;
    good(&bed.judge("k").await);
    bed.cut().await;
    bed.clock.advance(Duration::from_secs(1));
    good(&bed.judge("k").await);
    bed.clock.advance(MS);
    denied(bed.judge("k").await, Denied::Unavailable);
}

#[tokio::test]
async fn with_a_bound_of_zero_nothing_serves_past_its_time() {
    let mut terms = terms();
    terms.stale_while_unavailable = Duration::ZERO;
    terms.ttl = Duration::from_millis(500);
    let mut bed = Bed::with(&terms).await;
    good(&bed.judge("k").await);
    bed.cut().await;
    bed.clock.advance(terms.ttl);
    denied(bed.judge("k").await, Denied::Unavailable);
}

#[tokio::test]
async fn a_credential_that_ends_in_an_outage_serves_no_more_and_is_not_refused() {
    let mut bed = Bed::new().await;
    bed.changed(&bed.store.put_key(digest("short"), "short", "a", Timestamp(START.0 + 100_000)));
    good(&bed.judge("short").await);
    bed.cut().await;
    bed.clock.advance(Duration::from_millis(99_999));
    good(&bed.judge("short").await);
    bed.clock.advance(MS);
    denied(bed.judge("short").await, Denied::Unavailable);
}

#[tokio::test]
async fn an_unknown_credential_is_unavailable_in_an_outage_without_a_try() {
    let mut bed = Bed::new().await;
    bed.cut().await;
    denied(bed.cached("k").unwrap(), Denied::Unavailable);
    assert_eq!(bed.store.finds(), 0);
}

#[tokio::test]
async fn a_refusal_is_told_for_its_time_and_is_unavailable_after() {
    let mut bed = Bed::new().await;
    refused(bed.judge("junk").await, Refused::Unknown);
    bed.cut().await;
    refused(bed.judge("junk").await, Refused::Unknown);
    bed.clock.advance(Duration::from_secs(5));
    denied(bed.judge("junk").await, Denied::Unavailable);
}

#[tokio::test]
async fn the_first_look_up_that_fails_marks_the_store_down_and_serves_what_is_held() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.advance(TTL).await;
    bed.store.set(Mode::Fails);
    good(&bed.judge("k").await);
    good(&bed.judge("k").await);
    assert_eq!(bed.store.finds(), 2);
    assert!(!bed.authenticator.stats().store_up);
    bed.mend().await;
    good(&bed.judge("k").await);
    assert_eq!(bed.store.finds(), 3);
}

#[tokio::test]
async fn a_revocation_in_the_gap_holds_before_anything_is_served_again() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.cut().await;
    bed.store.revoke("k");
    bed.clock.advance(STALE - MS);
    good(&bed.judge("k").await);
    bed.clock.advance(MS * 2);
    denied(bed.judge("k").await, Denied::Unavailable);
    bed.mend().await;
    refused(bed.judge("k").await, Refused::Revoked);
}

#[tokio::test]
async fn a_revocation_made_here_in_an_outage_holds_at_once() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.cut().await;
    bed.revoke("k");
    denied(bed.judge("k").await, Denied::Unavailable);
}

#[tokio::test]
async fn contact_is_as_old_as_the_beginning_of_a_read() {
    let mut bed = Bed::new().await;
    bed.store.slow_down(&bed.clock, MS * 300);
    bed.feed.poll().await;
    assert_eq!(bed.authenticator.stats().feed_age, Some(MS * 300));
}

#[tokio::test]
async fn nothing_is_served_on_a_read_that_has_not_ended() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.cut().await;
    bed.clock.advance(STALE + MS);
    bed.store.set(Mode::Hangs);
    let (front, clock) = (bed.front.clone(), bed.clock.clone());
    tokio::select! {
        biased;
        () = bed.feed.poll() => panic!("the store hangs"),
        () = tokio::task::yield_now() => {}
    }
    denied(super::bed::judge(&front, &clock, "k").await, Denied::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_hangs_counts_as_gone() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.store.set(Mode::Hangs);
    let began = tokio::time::Instant::now();
    bed.feed.poll().await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(!bed.authenticator.stats().store_up);
    bed.clock.advance(TTL);
    good(&bed.judge("k").await);
    assert_eq!(bed.store.finds(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_starts_with_contact_and_loses_and_regains_it_by_itself() {
    let store = std::sync::Arc::new(super::store::Script::default());
    let clock = crate::clock::Clock::manual(START);
    store.set(Mode::Fails);
    let rules = super::bed::rules("orders:read");
    let (authenticator, _tasks) =
        crate::authenticator::Authenticator::start(store.clone(), clock, &terms(), rules, Counting::Kept);
    let period = crate::authenticator::feed::PERIOD;
    tokio::time::sleep(period * 3).await;
    assert_eq!(authenticator.health(), Health::Starting);
    for (mode, health) in
        [(Mode::Answers, Health::Ready), (Mode::Fails, Health::Degraded), (Mode::Answers, Health::Ready)]
    {
        store.set(mode);
        tokio::time::sleep(period * 2).await;
        assert_eq!(authenticator.health(), health);
    }
}
