//! Many who miss, one who asks.

use std::rc::Rc;

use futures_util::future::join_all;
use tokio::task::LocalSet;

use super::bed::{Bed, denied, digest, good, judge, refused, until};
use super::store::Mode;
use crate::authenticator::{Denied, Layer, Outcome, Question, Refused};
use crate::limits::FailureLimit;

#[tokio::test]
async fn a_thousand_who_miss_at_once_cause_one_look_up() {
    let bed = Bed::new().await;
    let mut held = bed.store.hold_next();
    let crowd = join_all((0..1000).map(|_| judge(&bed.front, &bed.clock, "k")));
    let release = async {
        held.reached().await;
        until("all wait", || bed.joined() == 999).await;
        held.release();
    };
    let (verdicts, ()) = tokio::join!(crowd, release);
    verdicts.iter().for_each(good);
    assert_eq!((verdicts.len(), bed.store.finds()), (1000, 1));
}

#[tokio::test]
async fn the_client_that_asked_first_may_go_away() {
    let bed = Bed::new().await;
    let mut held = bed.store.hold_next();
    LocalSet::new()
        .run_until(async {
            let front = Rc::clone(&bed.front);
            let first = tokio::task::spawn_local(async move { front.load(Question::key(digest("k"))).await });
            held.reached().await;
            let front = Rc::clone(&bed.front);
            let second =
                tokio::task::spawn_local(async move { front.load(Question::key(digest("k"))).await });
            until("both wait", || bed.joined() == 1).await;
            first.abort();
            assert!(first.await.unwrap_err().is_cancelled());
            held.release();
            good(&second.await.unwrap());
        })
        .await;
    assert_eq!(bed.store.finds(), 1);
}

#[tokio::test]
async fn a_look_up_nobody_waits_for_any_more_still_fills_the_cache() {
    let bed = Bed::new().await;
    let mut held = bed.store.hold_next();
    LocalSet::new()
        .run_until(async {
            let front = Rc::clone(&bed.front);
            let only = tokio::task::spawn_local(async move { front.load(Question::key(digest("k"))).await });
            held.reached().await;
            only.abort();
            held.release();
        })
        .await;
    until("it is cached", || bed.cached("k").is_some()).await;
    assert_eq!(bed.store.finds(), 1);
}

/// Else whoever hangs up at once could have as many looked up as he likes.
#[tokio::test]
async fn a_failure_counts_against_who_asked_and_did_not_wait() {
    let limit = FailureLimit { per_minute: 2, refuses: true };
    let client = "192.0.2.7".parse().unwrap();
    let bed = Bed::new().await;
    LocalSet::new()
        .run_until(async {
            for token in ["unknown", "unknown too"] {
                let mut held = bed.store.hold_next();
                let front = Rc::clone(&bed.front);
                let question = Question::key(digest(token)).asked_for(client, limit);
                let only = tokio::task::spawn_local(async move { front.load(question).await });
                held.reached().await;
                only.abort();
                held.release();
            }
        })
        .await;
    let may = || bed.front.failures().may_look_up(client, limit, bed.clock.tick()).is_ok();
    until("both count", || !may()).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_unavailable_and_waited_for_once() {
    let bed = Bed::new().await;
    bed.store.set(Mode::Hangs);
    denied(bed.judge("k").await, Denied::Unavailable);
    assert_eq!(bed.store.finds(), 1);
    denied(bed.cached("k").unwrap(), Denied::Unavailable);
}

#[tokio::test]
async fn a_look_up_that_panics_answers_and_leaves_nothing_behind() {
    let bed = Bed::new().await;
    bed.store.set(Mode::Panics);
    denied(bed.judge("k").await, Denied::Unavailable);
    bed.store.set(Mode::Answers);
    good(&bed.judge("k").await);
}

#[tokio::test]
async fn every_worker_finds_what_one_has_loaded() {
    let bed = Bed::new().await;
    good(&bed.judge("k").await);
    let other = bed.authenticator.front();
    good(&bed.cached_by(&other, "k").unwrap());
    good(&bed.cached_by(&other, "k").unwrap());
    assert_eq!(bed.store.finds(), 1);
    other.flush();
    let lookups = bed.authenticator.stats().lookups;
    assert_eq!(lookups.get(Layer::Front, Outcome::Hit), 1);
    assert_eq!(lookups.get(Layer::Positive, Outcome::Hit), 1);
}

#[tokio::test]
async fn junk_pushes_out_nothing_good() {
    let bed = Bed::new().await;
    good(&bed.judge("k").await);
    for batch in 0..100 {
        let junk = (0..1000).map(|n| format!("junk {batch} {n}"));
        for verdict in join_all(junk.map(async |token| bed.judge(&token).await)).await {
            refused(verdict, Refused::Unknown);
        }
    }
    assert_eq!(bed.store.finds(), 100_001);
    let fresh = bed.authenticator.front();
    good(&bed.cached_by(&fresh, "k").unwrap());
    bed.authenticator.shared.caches.load().settle();
    let stats = bed.authenticator.stats();
    assert_eq!((stats.positive_entries, stats.negative_entries), (1, 1000));
}

#[tokio::test]
async fn scopes_are_the_keys_within_what_its_account_may_have() {
    let bed = Bed::new().await;
    bed.store.put_account("b", Some("orders:write users:read"));
    let change = bed.store.put_key(digest("kb"), "kb", "b", super::bed::NEVER);
    bed.changed(&change);
    assert_eq!(bed.judge("k").await.unwrap().principal().scopes.as_str(), "orders:read");
    assert_eq!(bed.judge("kb").await.unwrap().principal().scopes.as_str(), "orders:write");
}
