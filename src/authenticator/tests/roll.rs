//! Which keys there are, as far as it is known: every one that there is may be looked up, and after a reading no other.

use super::bed::{Bed, NEVER, digest, good, terms};
use super::store::Mode;
use crate::authenticator::feed::{PAGE, PAGES, QUIET};
use crate::authenticator::{Front, Health, Question};

fn is_known(front: &Front, key: &str) -> bool {
    front.is_known(&Question::key(digest(key)))
}

impl Bed {
    /// Puts a key into the store, which nobody tells of.
    fn put(&self, key: &str) {
        self.store.put_key(digest(key), key, "a", NEVER);
    }

    /// What is known of these.
    fn known<const N: usize>(&self, keys: [&str; N]) -> [bool; N] {
        keys.map(|key| is_known(&self.front, key))
    }
}

#[tokio::test]
async fn a_key_is_known_from_the_first_contact_on_and_junk_is_not() {
    let mut bed = Bed::silent(&terms());
    bed.store.put_account("a", None);
    bed.put("k");
    assert_eq!(bed.known(["k", "junk"]), [true, true], "what was not read may be there");
    bed.feed.poll().await;
    assert_eq!(bed.known(["k", "junk"]), [true, false]);
    assert_eq!(bed.store.finds(), 0, "nobody asked for it");
}

#[tokio::test]
async fn a_key_that_is_made_here_is_known_at_once_and_one_made_beside_when_the_feed_was_read() {
    let mut bed = Bed::new().await;
    bed.put("beside");
    assert_eq!(bed.known(["beside"]), [false]);
    let here = bed.store.put_key(digest("here"), "here", "a", NEVER);
    bed.changed(&here);
    assert_eq!(bed.known(["here", "beside"]), [true, false]);
    bed.feed.poll().await;
    assert_eq!(bed.known(["here", "beside", "k", "junk"]), [true, true, true, false]);
}

#[tokio::test]
async fn whatever_becomes_of_a_key_or_the_cache_it_stays_known() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.revoke("k");
    assert!(bed.judge("k").await.is_err());
    let other = crate::config::Cache { capacity: 7, ..terms() };
    bed.authenticator.reload(&other, super::bed::rules("orders:read"));
    bed.cut().await;
    assert_eq!(bed.known(["k", "junk"]), [true, false]);
}

#[tokio::test]
async fn keys_that_the_feed_skipped_or_that_a_backup_brings_are_known() {
    let mut bed = Bed::new().await;
    bed.put("skipped");
    for number in 0..PAGE as usize * PAGES {
        bed.store.unrelated(&number.to_string());
    }
    bed.feed.poll().await;
    assert_eq!(bed.known(["skipped", "k", "junk"]), [true, true, false]);
    bed.put("restored");
    bed.store.set_back(1);
    for _ in 0..QUIET {
        bed.feed.poll().await;
    }
    assert_eq!(bed.known(["restored", "k", "junk"]), [true, true, false]);
}

#[tokio::test]
async fn where_keys_cannot_be_read_each_may_be_there_and_contact_is_kept() {
    let mut bed = Bed::silent(&terms());
    bed.store.put_account("a", None);
    bed.put("k");
    bed.store.set(Mode::FailsAtDigests);
    bed.feed.poll().await;
    assert_eq!(bed.authenticator.health(), Health::Ready);
    assert_eq!(bed.known(["k", "junk"]), [true, true]);
    bed.mend().await;
    assert_eq!(bed.known(["k", "junk"]), [true, false]);
}

/// More than are read at once, and changes while they are: the feed goes on between.
#[tokio::test]
async fn many_keys_are_read_a_little_at_a_time_and_one_made_meanwhile_is_known() {
    let mut bed = Bed::silent(&terms());
    bed.store.put_account("a", None);
    let many: Vec<_> = (0..50_001).map(|number| number.to_string()).collect();
    for key in &many {
        bed.put(key);
    }
    bed.feed.poll().await;
    assert_eq!(bed.authenticator.health(), Health::Ready);
    assert_eq!(bed.known(["junk"]), [true], "not all were read");
    bed.changed(&bed.store.put_key(digest("meanwhile"), "meanwhile", "a", NEVER));
    bed.feed.poll().await;
    assert!(many.iter().all(|key| is_known(&bed.front, key)));
    assert_eq!(bed.known(["meanwhile", "junk"]), [true, false]);
}

#[tokio::test]
async fn keys_come_and_go_and_those_that_are_gone_take_no_room_for_ever() {
    let mut bed = Bed::new().await;
    let many: Vec<_> = (0..4097).map(|number| format!("m{number}")).collect();
    bed.store.remove("k");
    for some in many.chunks(1000) {
        assert_eq!(bed.known(["k"]), [true]);
        for key in some {
            bed.changed(&bed.store.put_key(digest(key), key, "a", NEVER));
        }
        bed.feed.poll().await;
    }
    assert_eq!(bed.known(["k", "junk"]), [false, false]);
    assert!(many.iter().all(|key| is_known(&bed.front, key)));
}
