//! When keys were last used: noted once a second, written down in the background, never in anybody's way.

use std::sync::Arc;
use std::time::Duration;

use super::bed::{Bed, NEVER, START, TTL, digest, good, rules, terms};
use super::store::Mode;
use crate::authenticator::uses::{LIST_MOST, LISTS_MOST, second};
use crate::authenticator::writer::{BATCH, WAITING_MOST};
use crate::clock::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

impl Bed {
    /// What the worker's tick and the writer do.
    pub(super) async fn write(&mut self) -> Vec<(String, Timestamp)> {
        self.front.flush();
        self.writer.write().await;
        self.store.uses()
    }
}

fn used(id: &str, at: Timestamp) -> (String, Timestamp) {
    (id.to_owned(), at)
}

#[tokio::test]
async fn the_first_use_of_a_key_in_each_second_is_written_down() {
    let mut bed = Bed::new().await;
    assert_eq!(bed.write().await, [], "nothing was used");
    good(&bed.judge("k").await);
    let entry = bed.cached("k").unwrap().unwrap();
    assert!(entry.is_noted(second(START)), "further hits would do more than compare");
    assert_eq!(bed.write().await, [used("k", START)]);
    bed.advance(Duration::from_millis(999)).await;
    good(&bed.cached("k").unwrap());
    assert_eq!(bed.write().await, []);
    bed.advance(Duration::from_millis(1)).await;
    good(&bed.cached("k").unwrap());
    good(&bed.cached("k").unwrap());
    assert_eq!(bed.write().await, [used("k", START.after(SECOND))]);
}

#[tokio::test]
async fn workers_note_a_use_that_they_share_once() {
    let mut bed = Bed::new().await;
    let other = bed.authenticator.front();
    good(&bed.judge("k").await);
    good(&bed.cached_by(&other, "k").unwrap());
    bed.clock.advance(SECOND);
    good(&bed.cached_by(&other, "k").unwrap());
    good(&bed.cached("k").unwrap());
    other.flush();
    let written = bed.write().await;
    // Of a key the newest is written.
    assert_eq!(written, [used("k", START.after(SECOND))]);
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
    bed.clock.advance(SECOND * 9);
    good(&bed.cached("k").unwrap());
    assert_eq!(bed.write().await, []);
    bed.mend().await;
    assert_eq!(bed.write().await, [used("k", START.after(SECOND * 9))]);
    assert_eq!(bed.write().await, [], "once");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_not_waited_for_for_ever() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.store.set(Mode::Hangs);
    let gives_up = tokio::time::timeout(SECOND * 60, bed.write()).await;
    assert_eq!(gives_up.expect("it is waited for"), []);
    good(&bed.cached("k").unwrap());
    bed.store.set(Mode::Answers);
    assert_eq!(bed.write().await, [used("k", START)]);
}

impl Bed {
    /// Uses so many keys once each.
    async fn use_keys(&self, keys: usize) {
        for number in 0..keys {
            let id = format!("k{number}");
            self.store.put_key(digest(&id), &id, "a", NEVER);
            good(&self.judge(&id).await);
        }
    }
}

#[tokio::test]
async fn many_keys_of_one_tick_are_all_written_and_in_bounded_batches() {
    let mut bed = Bed::new().await;
    let keys = LIST_MOST * 2 + 700;
    bed.use_keys(keys).await;
    let written = bed.write().await;
    assert_eq!(written.len(), keys);
    let batches = bed.store.notes();
    assert!(batches.iter().all(|(uses, days)| *uses <= BATCH && *days == 0), "{batches:?}");
    assert_eq!(batches.len(), keys.div_ceil(BATCH));
}

#[tokio::test]
async fn no_list_grows_without_bound_and_what_finds_no_room_is_noted_with_its_next_use() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    for _ in 0..LISTS_MOST {
        bed.front.flush();
        bed.advance(SECOND).await;
        good(&bed.judge("k").await);
    }
    assert_eq!(bed.writer.lists(), LISTS_MOST);
    // One place of its list is taken already.
    bed.use_keys(LIST_MOST).await;
    let last = format!("k{}", LIST_MOST - 1);
    let now = second(bed.clock.now());
    assert!(!bed.cached(&last).unwrap().unwrap().is_noted(now));
    bed.write().await;
    good(&bed.cached(&last).unwrap());
    let written = bed.write().await;
    assert_eq!(written.len(), LIST_MOST + 1);
    assert!(written.contains(&used(&last, bed.clock.now())));
}

#[tokio::test]
async fn nothing_grows_while_nobody_writes() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    // A list each second, handed over by the tick; then the channel is full.
    for _ in 0..LISTS_MOST * 2 {
        bed.advance(SECOND).await;
        good(&bed.judge("k").await);
        bed.front.flush();
    }
    // Entries that lists hold live on: there are so many and no more.
    let entry = bed.cached("k").unwrap().unwrap();
    assert!(Arc::strong_count(&entry) <= LISTS_MOST * 2 + LIST_MOST);
    assert_eq!(bed.writer.lists(), LISTS_MOST);
    let written = bed.write().await;
    assert_eq!(written.len(), 1);
    // What the worker kept meanwhile comes with its next tick.
    assert_eq!(bed.write().await, [used("k", bed.clock.now())]);
}

#[tokio::test]
async fn keys_that_wait_for_the_store_are_bounded() {
    let mut bed = Bed::new().await;
    bed.writer.fill(WAITING_MOST);
    good(&bed.judge("k").await);
    assert!(!bed.write().await.iter().any(|(id, _)| id == "k"), "there was no room");
    bed.advance(SECOND).await;
    good(&bed.judge("k").await);
    assert_eq!(bed.write().await, [used("k", START.after(SECOND))]);
}
