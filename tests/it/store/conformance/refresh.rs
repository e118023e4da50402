//! Refresh tokens: every step of their state machine, and that one of many wins.
//!
//! `KEYWARD_REFRESH_ROUNDS=1000 cargo test --test it store::sqlite::does_what_every_store_does` is the long run of fifty
//! uses at once, and `identity::refresh::of_fifty` the same over the wire.

use std::time::Duration;

use futures_util::future::join_all;
use keyward::clock::Timestamp;
use keyward::store::{AccountStatus, Ending, Refresh, RefreshRefusal, Refreshed, Seq, SharedStore};
use tokio::sync::Barrier;

use super::super::sample::{at, create_account, digest, origin, start_session};
use super::{Case, House};
use crate::support::chaos;

pub const CASES: &[(&str, Case)] = &[
    ("a refresh token is exchanged once for its successor", |h| Box::pin(it_is_exchanged(h))),
    ("one that is stored as before is exchanged like any other", |h| Box::pin(as_before(h))),
    ("a used refresh token ends its session, the successor included", |h| Box::pin(reuse_ends_all(h))),
    ("within the window the same successor is given again", |h| Box::pin(the_window_forgives(h))),
    ("the window is for who used the token", |h| Box::pin(the_window_is_for_the_same(h))),
    ("the window forgives a use that lies ahead by a call, and no clock that was set back", |h| {
        Box::pin(the_window_is_for_one_clock(h))
    }),
    ("what is over is not exchanged", |h| Box::pin(what_is_over(h))),
    ("of many uses of one refresh token one succeeds", |h| Box::pin(one_of_many(h))),
    ("within the window many uses of one refresh token agree", |h| Box::pin(many_agree(h))),
    ("dead sessions are removed in bounded batches", |h| Box::pin(dead_sessions_are_removed(h))),
];

fn step(presented: &str, successor: &str, millis: i64) -> Refresh {
    Refresh {
        presented: digest(presented),
        presented_plain: digest("as before"),
        successor: digest(successor),
        idle: Duration::from_secs(10),
        reuse_window: Duration::ZERO,
        from: "192.0.2.7".to_owned(),
        at: at(millis),
    }
}

fn forgiving(presented: &str, successor: &str, millis: i64) -> Refresh {
    Refresh { reuse_window: Duration::from_secs(1), ..step(presented, successor, millis) }
}

async fn take(store: &SharedStore, step: Refresh) -> Refreshed {
    store.refresh(&step, &origin()).await.unwrap()
}

/// The session `s` of account 1, whose first refresh token is `s`.
async fn begun(house: &dyn House) -> SharedStore {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    start_session(&*store, "s", &account).await;
    store
}

async fn ended(store: &SharedStore) -> Option<(Timestamp, Ending)> {
    store.session("s").await.unwrap().ended
}

async fn it_is_exchanged(house: &dyn House) {
    let store = begun(house).await;
    let Refreshed::Fresh(seq, session, account) = take(&store, step("s", "s2", 5_000)).await else {
        panic!("it was refused")
    };
    assert_eq!((seq, &*account.email), (Seq(3), "a1@example.com"));
    assert_eq!(
        (session.last_used_at, session.expires_at, session.ends_at),
        (at(5_000), at(15_000), at(100_000))
    );
    assert_eq!(store.session("s").await.unwrap(), session);
    let row = &store.audit(Seq(2), 9).await.unwrap()[0];
    assert_eq!((&*row.action, &*row.id, row.at), ("session.refreshed", "s", at(5_000)));
    for (presented, successor, millis, expires) in
        [("s2", "s3", 14_000, 24_000), ("s3", "s4", 23_000, 33_000)]
    {
        let Refreshed::Fresh(_, session, _) = take(&store, step(presented, successor, millis)).await else {
            panic!("{presented} was refused")
        };
        assert_eq!(session.expires_at, at(expires));
    }
    let long = Refresh { idle: Duration::from_secs(1_000), ..step("s4", "s5", 30_000) };
    let Refreshed::Fresh(_, session, _) = take(&store, long).await else { panic!("s4 was refused") };
    assert_eq!(session.expires_at, at(100_000), "a session ends however often it is refreshed");
    assert_eq!(take(&store, step("unknown", "x", 30_000)).await, refused(RefreshRefusal::Unknown));
}

async fn as_before(house: &dyn House) {
    let store = begun(house).await;
    let old =
        |successor, millis| Refresh { presented_plain: digest("s"), ..step("s as now", successor, millis) };
    assert!(matches!(take(&store, old("s2", 5_000)).await, Refreshed::Fresh(..)));
    assert!(matches!(take(&store, step("s2", "s3", 5_001)).await, Refreshed::Fresh(..)));
    let reused = take(&store, old("other", 6_000)).await;
    assert_eq!(reused, refused(RefreshRefusal::Reused("s".to_owned(), Seq(5))));
}

async fn reuse_ends_all(house: &dyn House) {
    let store = begun(house).await;
    assert!(matches!(take(&store, step("s", "s2", 5_000)).await, Refreshed::Fresh(..)));
    let reused = take(&store, step("s", "other", 6_000)).await;
    assert_eq!(reused, refused(RefreshRefusal::Reused("s".to_owned(), Seq(4))));
    assert_eq!(ended(&store).await, Some((at(6_000), Ending::Reuse)));
    for dead in ["s", "s2"] {
        assert_eq!(take(&store, step(dead, "more", 6_001)).await, refused(RefreshRefusal::Over));
    }
    assert_eq!(take(&store, step("other", "more", 6_001)).await, refused(RefreshRefusal::Unknown));
    assert_eq!(store.latest().await.unwrap(), Seq(4));
}

async fn the_window_forgives(house: &dyn House) {
    let store = begun(house).await;
    assert!(matches!(take(&store, forgiving("s", "s2", 5_000)).await, Refreshed::Fresh(..)));
    let Refreshed::Again(session, _) = take(&store, forgiving("s", "s2", 5_400)).await else {
        panic!("it was refused")
    };
    assert_eq!((session.last_used_at, ended(&store).await), (at(5_000), None));
    assert_eq!(store.latest().await.unwrap(), Seq(3));
    // One part of the client has gone on, and another one was slow.
    assert!(matches!(take(&store, forgiving("s2", "s3", 5_500)).await, Refreshed::Fresh(..)));
    let Refreshed::Again(session, _) = take(&store, forgiving("s", "s2", 5_999)).await else {
        panic!("it was refused")
    };
    assert_eq!((session.last_used_at, ended(&store).await), (at(5_500), None));
    assert!(matches!(take(&store, forgiving("s2", "s3", 6_499)).await, Refreshed::Again(..)));
    assert!(matches!(take(&store, forgiving("s3", "s4", 6_499)).await, Refreshed::Fresh(..)));
    let reused = take(&store, forgiving("s2", "s3", 6_500)).await;
    assert!(matches!(reused, Refreshed::Refused(RefreshRefusal::Reused(..))), "{reused:?}");
    assert_eq!(ended(&store).await, Some((at(6_500), Ending::Reuse)));

    let late = begun_again(&*store, "late").await;
    assert!(matches!(take(&store, forgiving(late, "late2", 5_000)).await, Refreshed::Fresh(..)));
    let reused = take(&store, forgiving(late, "late2", 6_000)).await;
    assert!(matches!(reused, Refreshed::Refused(RefreshRefusal::Reused(..))), "{reused:?}");

    let other = begun_again(&*store, "other").await;
    assert!(matches!(take(&store, forgiving(other, "other2", 5_000)).await, Refreshed::Fresh(..)));
    let reused = take(&store, forgiving(other, "not the same", 5_001)).await;
    assert!(matches!(reused, Refreshed::Refused(RefreshRefusal::Reused(..))), "{reused:?}");
}

async fn begun_again<'a>(store: &dyn keyward::store::Store, id: &'a str) -> &'a str {
    start_session(store, id, "account-001").await;
    id
}

async fn the_window_is_for_the_same(house: &dyn House) {
    let store = begun(house).await;
    let elsewhere = |millis| Refresh { from: "192.0.2.8".to_owned(), ..forgiving("s", "s2", millis) };
    assert!(matches!(take(&store, forgiving("s", "s2", 5_000)).await, Refreshed::Fresh(..)));
    assert!(matches!(take(&store, forgiving("s", "s2", 5_001)).await, Refreshed::Again(..)));
    let reused = take(&store, elsewhere(5_002)).await;
    assert!(matches!(reused, Refreshed::Refused(RefreshRefusal::Reused(..))), "{reused:?}");
    assert_eq!(ended(&store).await, Some((at(5_002), Ending::Reuse)));

    // Two have the successor, and nobody knows which is the owner.
    for (first, second) in [(None, Some("192.0.2.8")), (Some("192.0.2.8"), None)] {
        let id = if first.is_none() { "taken" } else { "gone" };
        let [next, third] = [format!("{id}2"), format!("{id}3")];
        let by = |from: Option<&str>, step: Refresh| match from {
            Some(from) => Refresh { from: from.to_owned(), ..step },
            None => step,
        };
        begun_again(&*store, id).await;
        assert!(matches!(take(&store, by(first, forgiving(id, &next, 5_000))).await, Refreshed::Fresh(..)));
        let gone_on = by(second, forgiving(&next, &third, 5_001));
        assert!(matches!(take(&store, gone_on).await, Refreshed::Fresh(..)));
        let reused = take(&store, by(first, forgiving(id, &next, 5_002))).await;
        assert!(matches!(reused, Refreshed::Refused(RefreshRefusal::Reused(..))), "{reused:?}");
    }
}

async fn the_window_is_for_one_clock(house: &dyn House) {
    let store = begun(house).await;
    // Sent before the other, it comes after it.
    assert!(matches!(take(&store, forgiving("s", "s2", 5_001)).await, Refreshed::Fresh(..)));
    assert!(matches!(take(&store, forgiving("s", "s2", 5_000)).await, Refreshed::Again(..)));
    assert!(matches!(take(&store, forgiving("s2", "s3", 5_002)).await, Refreshed::Fresh(..)));
    assert!(matches!(take(&store, forgiving("s", "s2", 5_001)).await, Refreshed::Again(..)));
    assert!(matches!(take(&store, forgiving("s2", "s3", 2)).await, Refreshed::Again(..)));
    assert_eq!(ended(&store).await, None);
    // Longer than a call may take.
    let reused = take(&store, forgiving("s2", "s3", 1)).await;
    assert!(matches!(reused, Refreshed::Refused(RefreshRefusal::Reused(..))), "{reused:?}");

    let none = begun_again(&*store, "none").await;
    assert!(matches!(take(&store, step(none, "none2", 5_001)).await, Refreshed::Fresh(..)));
    let reused = take(&store, step(none, "none2", 5_000)).await;
    assert!(matches!(reused, Refreshed::Refused(RefreshRefusal::Reused(..))), "without a window: {reused:?}");
}

async fn what_is_over(house: &dyn House) {
    let store = begun(house).await;
    assert_eq!(take(&store, step("s", "s2", 10_000)).await, refused(RefreshRefusal::Over));
    assert_eq!(ended(&store).await, None, "waiting too long is no theft");

    begun_again(&*store, "loggedout").await;
    store.end_session("loggedout", Ending::Logout, at(4_000), &origin()).await.unwrap();
    assert_eq!(take(&store, step("loggedout", "x", 5_000)).await, refused(RefreshRefusal::Over));

    begun_again(&*store, "disabled").await;
    store.set_account_status("account-001", AccountStatus::Disabled, at(5_000), &origin()).await.unwrap();
    let session = store.session("disabled").await.unwrap();
    assert_eq!(session.ended, Some((at(5_000), Ending::AccountDisabled)));
    store.set_account_status("account-001", AccountStatus::Active, at(5_001), &origin()).await.unwrap();
    assert_eq!(take(&store, step("disabled", "x", 5_002)).await, refused(RefreshRefusal::Over));
}

/// All stand at the barrier, then all go at once.
async fn all_at_once(
    handles: [SharedStore; 2],
    many: usize,
    step: impl Fn(usize) -> Refresh,
) -> Vec<Refreshed> {
    let gate = std::sync::Arc::new(Barrier::new(many));
    let attempts = (0..many).map(|number| {
        let (store, gate, step) = (handles[number % 2].clone(), gate.clone(), step(number));
        tokio::spawn(async move {
            gate.wait().await;
            store.refresh(&step, &origin()).await.unwrap()
        })
    });
    join_all(attempts).await.into_iter().map(Result::unwrap).collect()
}

async fn one_of_many(house: &dyn House) {
    const MANY: usize = 50;
    let handles = [house.open().await, house.open().await];
    let account = create_account(&*handles[0], 1).await;
    for round in 0..chaos::refresh_rounds(10) {
        let id = format!("s{round}");
        start_session(&*handles[0], &id, &account).await;
        let successor = |number: usize| format!("{id}-{number}");
        let outcomes =
            all_at_once(handles.clone(), MANY, |number| step(&id, &successor(number), 5_000)).await;
        let fresh = outcomes.iter().filter(|outcome| matches!(outcome, Refreshed::Fresh(..))).count();
        assert_eq!(fresh, 1, "round {round}: {outcomes:?}");
        let session = handles[1].session(&id).await.unwrap();
        assert_eq!(session.ended, Some((at(5_000), Ending::Reuse)));
        for number in 0..MANY {
            let later = take(&handles[0], step(&successor(number), "more", 5_001)).await;
            assert!(matches!(later, Refreshed::Refused(_)), "the winner's token lives on: {later:?}");
        }
    }
}

async fn many_agree(house: &dyn House) {
    let handles = [house.open().await, house.open().await];
    let account = create_account(&*handles[0], 1).await;
    start_session(&*handles[0], "s", &account).await;
    let outcomes = all_at_once(handles.clone(), 50, |_| forgiving("s", "s2", 5_000)).await;
    let fresh = outcomes.iter().filter(|outcome| matches!(outcome, Refreshed::Fresh(..))).count();
    let again = outcomes.iter().filter(|outcome| matches!(outcome, Refreshed::Again(..))).count();
    assert_eq!((fresh, again), (1, 49));
    assert!(matches!(take(&handles[1], forgiving("s2", "s3", 5_500)).await, Refreshed::Fresh(..)));
}

async fn dead_sessions_are_removed(house: &dyn House) {
    let store = begun(house).await;
    for id in ["gone", "also"] {
        begun_again(&*store, id).await;
        store.end_session(id, Ending::Logout, at(4_000), &origin()).await.unwrap();
    }
    for (presented, successor) in [("s", "s2"), ("s2", "s3"), ("s3", "s4")] {
        take(&store, step(presented, successor, 5_000)).await;
    }
    let remove = |before| {
        let store = store.clone();
        async move { store.remove_dead_sessions(at(before), 3, at(50_000), &origin()).await.unwrap() }
    };
    assert_eq!(remove(4_000).await, 0);
    // Two sessions with a token each are four rows.
    assert_eq!((remove(4_001).await, remove(4_001).await, remove(4_001).await), (3, 1, 0));
    assert_eq!(take(&store, step("gone", "x", 5_000)).await, refused(RefreshRefusal::Unknown));
    assert!(store.session("s").await.unwrap().is_alive(at(14_999)));
    // One session with four tokens.
    assert_eq!((remove(15_001).await, remove(15_001).await, remove(15_001).await), (3, 2, 0));
    let log = store.audit(Seq(0), 100).await.unwrap();
    let removed: Vec<_> =
        log.iter().filter(|row| row.action == "session.removed").map(|row| &*row.id).collect();
    assert_eq!(removed.len(), 3);
    assert_eq!(removed[2], "s");
}

fn refused(refusal: RefreshRefusal) -> Refreshed {
    Refreshed::Refused(refusal)
}
