//! The forms of imported keys: read at the first contact, followed by the feed, known at once where they are imported.

use super::bed::{Bed, good, terms};
use super::store::Mode;
use crate::authenticator::Health;
use crate::store::{ChangeSink, KeyForm};

#[tokio::test]
async fn forms_are_read_at_the_first_contact_and_followed_from_then_on() {
    let mut bed = Bed::silent(&terms());
    bed.store.put_form("acme-");
    assert!(bed.front.may_be_imported("junk"), "nothing is refused for a form that was not read");
    bed.feed.poll().await;
    assert!(bed.front.may_be_imported("acme-1") && !bed.front.may_be_imported("junk"));
    bed.store.put_form("old_");
    assert!(!bed.front.may_be_imported("old_1"));
    bed.feed.poll().await;
    assert!(bed.front.may_be_imported("acme-1") && bed.front.may_be_imported("old_1"));
}

#[tokio::test]
async fn a_form_that_is_imported_here_holds_at_once() {
    let mut bed = Bed::new().await;
    bed.authenticator.imported(&[KeyForm { prefix: "acme-".to_owned(), length: None }]);
    assert!(bed.front.may_be_imported("acme-1"));
    // The feed comes with what the store held before the import.
    bed.store.put_form("old_");
    bed.feed.poll().await;
    assert!(bed.front.may_be_imported("acme-1") && bed.front.may_be_imported("old_1"));
}

#[tokio::test]
async fn forms_that_could_not_be_read_are_read_with_the_next_try() {
    let mut bed = Bed::new().await;
    good(&bed.judge("k").await);
    bed.store.put_form("acme-");
    bed.store.set(Mode::FailsAtForms);
    bed.feed.poll().await;
    assert_eq!(bed.authenticator.health(), Health::Degraded);
    assert!(!bed.front.may_be_imported("acme-1"));
    good(&bed.judge("k").await);
    bed.mend().await;
    assert!(bed.front.may_be_imported("acme-1"));
    assert_eq!(bed.authenticator.health(), Health::Ready);
}

#[tokio::test]
async fn a_store_that_is_another_brings_its_forms() {
    let mut bed = Bed::new().await;
    assert!(!bed.front.may_be_imported("acme-1"));
    bed.store.put_form("acme-");
    bed.store.set_back(0);
    for _ in 0..crate::authenticator::feed::QUIET {
        bed.feed.poll().await;
    }
    assert!(bed.front.may_be_imported("acme-1"));
}
