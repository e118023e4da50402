//! A change holds for every request that starts after its answer.

use super::bed::{Bed, NEVER, digest, good, refused, rules, terms};
use crate::authenticator::feed::{PAGE, PAGES, QUIET};
use crate::authenticator::{Denied, Question, Refused};
use crate::store::{AccountStatus, Change, Subject};

#[tokio::test]
async fn a_revocation_holds_for_an_entry_that_caches_and_fronts_hold() {
    let bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.revoke("k");
    assert!(bed.cached("k").is_none());
    refused(bed.judge("k").await, Refused::Revoked);
    refused(bed.cached("k").unwrap(), Refused::Revoked);
}

#[tokio::test]
async fn a_revocation_holds_for_an_entry_that_only_a_front_still_holds() {
    let bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.authenticator.shared.caches.load().evict_all();
    good(&bed.cached("k").unwrap());
    bed.revoke("k");
    assert!(bed.cached("k").is_none());
    refused(bed.judge("k").await, Refused::Revoked);
}

#[tokio::test]
async fn a_look_up_that_began_before_a_revocation_does_not_put_the_old_entry_back() {
    let bed = Bed::new().await;
    let mut held = bed.store.hold_next();
    let request = bed.judge("k");
    let revocation = async {
        held.reached().await;
        bed.revoke("k");
        held.release();
    };
    let (verdict, ()) = tokio::join!(request, revocation);
    refused(verdict, Refused::Revoked);
    assert_eq!(bed.store.finds(), 2);
    refused(bed.judge("k").await, Refused::Revoked);
}

#[tokio::test]
async fn an_answer_that_a_revocation_overtakes_on_its_way_is_not_served() {
    let bed = Bed::new().await;
    let lookup = super::super::lookup::Lookup::new(bed.store.clone(), bed.authenticator.shared.clone());
    let loaded = lookup.run(Question::key(digest("k"))).await.unwrap();
    bed.revoke("k");
    assert!(bed.front.take(&loaded).is_none());
    refused(bed.judge("k").await, Refused::Revoked);
}

#[tokio::test]
async fn a_look_up_from_long_before_looks_again() {
    let bed = Bed::new().await;
    let mut held = bed.store.hold_next();
    let request = bed.judge("k");
    let revocation = async {
        held.reached().await;
        bed.revoke("k");
        for n in 0..10_000 {
            bed.changed(&bed.store.unrelated(&n.to_string()));
        }
        held.release();
    };
    let (verdict, ()) = tokio::join!(request, revocation);
    refused(verdict, Refused::Revoked);
}

#[tokio::test]
async fn changes_to_others_disturb_neither_entries_nor_look_ups() {
    let bed = Bed::new().await;
    let mut held = bed.store.hold_next();
    let request = bed.judge("k");
    let change = async {
        held.reached().await;
        bed.changed(&bed.store.unrelated("other"));
        held.release();
    };
    let (verdict, ()) = tokio::join!(request, change);
    good(&verdict);
    bed.changed(&bed.store.unrelated("other"));
    good(&bed.cached("k").unwrap());
    assert_eq!(bed.store.finds(), 1);
}

#[tokio::test]
async fn a_revocation_made_beside_this_process_holds_once_the_feed_has_read_it() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.store.revoke("k");
    bed.feed.poll().await;
    refused(bed.judge("k").await, Refused::Revoked);
}

#[tokio::test]
async fn a_look_up_that_sees_a_revocation_before_the_feed_ends_what_fronts_hold() {
    let bed = Bed::new().await;
    good(&bed.judge("k").await);
    let other = bed.authenticator.front();
    good(&bed.cached_by(&other, "k").unwrap());
    bed.store.revoke("k");
    bed.authenticator.shared.caches.load().evict_all();
    refused(other.load(Question::key(digest("k"))).await, Refused::Revoked);
    refused(bed.cached("k").unwrap(), Refused::Revoked);
}

#[tokio::test]
async fn a_feed_that_ran_far_ahead_ends_every_entry() {
    let mut terms = terms();
    // So many marks that hardly a change ends an entry it is not about.
    terms.capacity = 1_000_000;
    let mut bed = Bed::with(&terms).await;
    good(&bed.judge("k").await);
    for n in 0..PAGE as usize * PAGES {
        bed.store.unrelated(&n.to_string());
    }
    bed.store.revoke("k");
    bed.feed.poll().await;
    refused(bed.judge("k").await, Refused::Revoked);
    bed.store.put_key(digest("later"), "later", "a", NEVER);
    bed.feed.poll().await;
    good(&bed.judge("later").await);
}

#[tokio::test]
async fn what_was_validated_while_the_feed_skips_ahead_is_validated_again() {
    let mut bed = Bed::new().await;
    for n in 0..PAGE as usize * PAGES {
        bed.store.unrelated(&n.to_string());
    }
    let mut held = bed.store.hold_next();
    let (front, clock) = (bed.front.clone(), bed.clock.clone());
    let request = super::bed::judge(&front, &clock, "k");
    let skip = async {
        held.reached().await;
        bed.store.revoke("k");
        bed.feed.poll().await;
        held.release();
    };
    let (verdict, ()) = tokio::join!(request, skip);
    refused(verdict, Refused::Revoked);
}

#[tokio::test]
async fn a_feed_that_was_set_back_ends_every_entry_and_is_followed_from_there() {
    let mut bed = Bed::new().await;
    bed.store.unrelated("lost in the restore");
    bed.feed.poll().await;
    good(&bed.judge("k").await);
    bed.store.set_back(2);
    for _ in 0..=QUIET {
        bed.feed.poll().await;
    }
    assert!(bed.cached("k").is_none());
    good(&bed.judge("k").await);
    bed.store.revoke("k");
    bed.feed.poll().await;
    refused(bed.judge("k").await, Refused::Revoked);
}

#[tokio::test]
async fn an_unknown_credential_is_good_as_soon_as_it_is_made() {
    let bed = Bed::new().await;
    refused(bed.judge("new").await, Refused::Unknown);
    refused(bed.cached("new").unwrap(), Refused::Unknown);
    bed.changed(&bed.store.put_key(digest("new"), "new", "a", NEVER));
    good(&bed.judge("new").await);
}

#[tokio::test]
async fn a_look_up_that_began_before_a_credential_was_made_does_not_refuse_it_later() {
    let bed = Bed::new().await;
    let mut held = bed.store.hold_next();
    let request = bed.judge("new");
    let creation = async {
        held.reached().await;
        bed.changed(&bed.store.put_key(digest("new"), "new", "a", NEVER));
        held.release();
    };
    let (verdict, ()) = tokio::join!(request, creation);
    good(&verdict);
}

#[tokio::test]
async fn an_account_is_disabled_and_enabled_with_all_its_keys() {
    let bed = Bed::new().await;
    bed.changed(&bed.store.put_key(digest("k2"), "k2", "a", NEVER));
    good(&bed.judge("k").await);
    good(&bed.judge("k2").await);
    bed.changed(&bed.store.set_status("a", AccountStatus::Disabled));
    refused(bed.judge("k").await, Refused::AccountDisabled);
    refused(bed.judge("k2").await, Refused::AccountDisabled);
    bed.changed(&bed.store.set_status("a", AccountStatus::Active));
    good(&bed.judge("k").await);
    good(&bed.judge("k2").await);
}

#[tokio::test]
async fn the_same_change_heard_twice_disturbs_nothing_the_second_time() {
    let mut bed = Bed::new().await;
    let change = bed.store.set_status("a", AccountStatus::Active);
    bed.changed(&change);
    good(&bed.judge("k").await);
    bed.feed.poll().await;
    bed.changed(&change);
    good(&bed.cached("k").unwrap());
}

#[tokio::test]
async fn a_reload_with_other_scopes_ends_every_entry_and_one_with_the_same_none() {
    let bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.authenticator.reload(&terms(), rules("orders:read"));
    good(&bed.cached("k").unwrap());
    bed.authenticator.reload(&terms(), rules("orders:write"));
    assert!(bed.cached("k").is_none());
    assert_eq!(bed.judge("k").await.unwrap().principal().scopes.as_str(), "orders:write");
}

#[tokio::test]
async fn a_look_up_that_began_before_a_reload_does_not_bring_the_old_scopes() {
    let bed = Bed::new().await;
    let mut held = bed.store.hold_next();
    let request = bed.judge("k");
    let reload = async {
        held.reached().await;
        bed.authenticator.reload(&terms(), rules("orders:write"));
        held.release();
    };
    let (verdict, ()) = tokio::join!(request, reload);
    assert_eq!(verdict.unwrap().principal().scopes.as_str(), "orders:write");
    assert_eq!(bed.store.finds(), 2);
}

#[tokio::test]
async fn a_reload_with_other_terms_takes_force() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    let mut terms = terms();
    terms.stale_while_unavailable = std::time::Duration::ZERO;
    bed.authenticator.reload(&terms, rules("orders:read"));
    good(&bed.judge("k").await);
    bed.cut().await;
    bed.clock.advance(std::time::Duration::from_millis(1001));
    super::bed::denied(bed.judge("k").await, Denied::Unavailable);
}

#[tokio::test]
async fn a_key_that_changes_at_every_look_is_unavailable_not_refused() {
    let bed = Bed::new().await;
    let request = bed.judge("k");
    let mut held: Vec<_> = (0..16).map(|_| bed.store.hold_next()).collect();
    let storm = async {
        for mut held in held.drain(..) {
            held.reached().await;
            let change = Change { created: false, ..bed.store.set_status("a", AccountStatus::Active) };
            assert_eq!(change.subject, Subject::Account);
            bed.changed(&change);
            held.release();
        }
    };
    tokio::select! {
        verdict = request => super::bed::denied(verdict, Denied::Unavailable),
        () = storm => panic!("asked without end"),
    }
}
