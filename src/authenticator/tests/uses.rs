//! When keys were last used: noted once a minute, written down in the background, never in anybody's way.

use std::sync::Arc;
use std::time::Duration;

use super::bed::{Bed, NEVER, START, TTL, digest, good, rules, terms};
use super::store::Mode;
use crate::authenticator::uses::{LIST_MOST, LISTS_MOST, WAITING_MOST, minute};
use crate::clock::Timestamp;

const MINUTE: Duration = Duration::from_mins(1);

impl Bed {
    /// What the worker's tick and the writer do.
    pub(super) async fn write(&mut self) -> Vec<(String, Timestamp)> {
        self.front.flush();
        self.uses.write().await;
        self.store.uses()
    }
}

fn used(id: &str, at: Timestamp) -> (String, Timestamp) {
    (id.to_owned(), at)
}

#[tokio::test]
async fn the_first_use_of_a_key_in_each_minute_is_written_down() {
    let mut bed = Bed::new().await;
    assert_eq!(bed.write().await, [], "nothing was used");
    good(&bed.judge("k").await);
    let entry = bed.cached("k").unwrap().unwrap();
    assert!(entry.is_noted(minute(START)), "further hits would do more than compare");
    assert_eq!(bed.write().await, [used("k", START)]);
    // START is 16:40 of its clock; the next minute begins after 20 seconds.
    bed.advance(Duration::from_millis(19_999)).await;
    good(&bed.cached("k").unwrap());
    assert_eq!(bed.write().await, []);
    bed.advance(Duration::from_millis(1)).await;
    good(&bed.cached("k").unwrap());
    good(&bed.cached("k").unwrap());
    assert_eq!(bed.write().await, [used("k", START.after(Duration::from_secs(20)))]);
}

#[tokio::test]
async fn workers_note_a_use_that_they_share_once() {
    let mut bed = Bed::new().await;
    let other = bed.authenticator.front();
    good(&bed.judge("k").await);
    good(&bed.cached_by(&other, "k").unwrap());
    bed.clock.advance(MINUTE.saturating_sub(Duration::from_secs(20)));
    good(&bed.cached_by(&other, "k").unwrap());
    good(&bed.cached("k").unwrap());
    other.flush();
    let written = bed.write().await;
    // Of a key the newest is written.
    assert_eq!(written, [used("k", START.after(Duration::from_secs(40)))]);
}

#[tokio::test]
async fn what_is_refused_was_not_used() {
    let mut bed = Bed::new().await;
    bed.revoke("k");
    assert!(bed.judge("k").await.is_err() && bed.judge("junk").await.is_err());
    assert!(bed.cached("k").unwrap().is_err());
    assert_eq!(bed.write().await, []);
}

#[tokio::test]
async fn a_clock_that_is_set_back_notes_and_leaves_it_to_the_store_to_go_only_forward() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.clock.set_wall(Timestamp(0));
    good(&bed.cached("k").unwrap());
    assert_eq!(bed.write().await, [used("k", START)], "of what waits the newest stays");
    bed.clock.set_wall(START);
    good(&bed.cached("k").unwrap());
    assert_eq!(bed.write().await, [used("k", START)]);
}

#[tokio::test]
async fn what_was_noted_before_a_reload_is_written_after_it() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    let other = crate::config::Cache { ttl: TTL * 2, ..terms() };
    bed.authenticator.reload(&other, rules("orders:write"));
    assert!(bed.cached("k").is_none(), "the entry ended");
    assert_eq!(bed.write().await, [used("k", START)]);
}

#[tokio::test]
async fn a_store_that_is_away_gets_the_newest_when_it_is_back() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.cut().await;
    assert_eq!(bed.write().await, []);
    bed.clock.advance(MINUTE / 2);
    good(&bed.cached("k").unwrap());
    assert_eq!(bed.write().await, []);
    bed.mend().await;
    assert_eq!(bed.write().await, [used("k", START.after(MINUTE / 2))]);
    assert_eq!(bed.write().await, [], "once");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_not_waited_for_for_ever() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.store.set(Mode::Hangs);
    let gives_up = tokio::time::timeout(MINUTE, bed.write()).await;
    assert_eq!(gives_up.expect("it is waited for"), []);
    good(&bed.cached("k").unwrap());
    bed.store.set(Mode::Answers);
    assert_eq!(bed.write().await, [used("k", START)]);
}

#[tokio::test]
async fn many_keys_are_all_written_over_some_ticks() {
    let mut bed = Bed::new().await;
    let keys = LIST_MOST + 700;
    for number in 0..keys {
        let id = format!("k{number}");
        bed.store.put_key(digest(&id), &id, "a", NEVER);
        good(&bed.judge(&id).await);
    }
    let mut written = bed.write().await;
    assert_eq!(written.len(), LIST_MOST, "no list grows without bound");
    // Those that found no room are noted with their next use.
    for number in 0..keys {
        good(&bed.judge(&format!("k{number}")).await);
    }
    written.extend(bed.write().await);
    written.sort();
    written.dedup();
    assert_eq!(written.len(), keys);
}

#[tokio::test]
async fn nothing_grows_while_nobody_writes() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    // A list each minute, handed over by the tick; then the channel is full.
    for _ in 0..LISTS_MOST * 2 {
        bed.advance(MINUTE).await;
        good(&bed.judge("k").await);
        bed.front.flush();
    }
    // Entries that lists hold live on: there are so many and no more.
    let entry = bed.cached("k").unwrap().unwrap();
    assert!(Arc::strong_count(&entry) <= LISTS_MOST * 2 + LIST_MOST);
    assert_eq!(bed.uses.lists(), LISTS_MOST);
    let written = bed.write().await;
    assert_eq!(written.len(), 1);
    // What the worker kept meanwhile comes with its next tick.
    assert_eq!(bed.write().await, [used("k", bed.clock.now())]);
}

#[tokio::test]
async fn keys_that_wait_for_the_store_are_bounded() {
    let mut bed = Bed::new().await;
    bed.uses.fill(WAITING_MOST);
    good(&bed.judge("k").await);
    assert!(!bed.write().await.iter().any(|(id, _)| id == "k"), "there was no room");
    bed.advance(MINUTE).await;
    good(&bed.judge("k").await);
    assert_eq!(bed.write().await, [used("k", START.after(MINUTE))]);
}
