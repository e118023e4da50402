//! Marks and the memory of changes, without anything around them.

use crate::authenticator::recent::{Id, Recent};
use crate::authenticator::registry::{About, Overtaken, Registry};
use crate::store::{Change, Seq, Subject};

fn key(id: &str) -> About {
    About::Credential { credential: Id::new(Subject::ApiKey, id), account: Id::new(Subject::Account, "a") }
}

fn change(seq: i64, id: &str) -> Change {
    Change { seq: Seq(seq), subject: Subject::ApiKey, id: id.to_owned(), created: false }
}

#[test]
fn a_footing_falls_with_a_newer_change_to_its_own_thing_only() {
    let registry = Registry::new(8);
    let footing = registry.attach(0, Seq(5), &key("k")).unwrap();
    registry.changed(&change(5, "k"));
    registry.changed(&change(6, "other"));
    assert!(footing.holds(0));
    registry.changed(&change(7, "k"));
    assert!(!footing.holds(0));
}

#[test]
fn changes_out_of_order_never_raise_a_footing_again() {
    let registry = Registry::new(8);
    registry.changed(&change(9, "k"));
    registry.changed(&change(7, "k"));
    assert_eq!(registry.attach(0, Seq(8), &key("k")).err(), Some(Overtaken));
    let footing = registry.attach(0, Seq(9), &key("k")).unwrap();
    registry.changed(&change(8, "k"));
    assert!(footing.holds(0));
}

#[test]
fn what_is_older_than_memory_is_refused() {
    let registry = Registry::new(2);
    for seq in 1..=3 {
        registry.changed(&change(seq, &seq.to_string()));
    }
    assert!(registry.attach(0, Seq(0), &key("k")).is_err());
    assert!(registry.attach(0, Seq(1), &key("k")).is_ok());
}

#[test]
fn memory_is_bounded_and_keeps_the_newest_of_each() {
    let mut recent = Recent::new(2, Seq(0));
    let id = |text: &str| Id::new(Subject::ApiKey, text);
    for (text, seq) in [("a", 1), ("a", 2), ("a", 2), ("b", 3)] {
        recent.push(id(text), Seq(seq));
    }
    assert_eq!(recent.newest(&id("a")), Some(Seq(2)));
    assert!(recent.reaches_back_to(Seq(1)) && !recent.reaches_back_to(Seq(0)));
    recent.push(id("c"), Seq(4));
    assert_eq!(recent.newest(&id("a")), None);
}

#[test]
fn marks_nobody_stands_on_are_swept() {
    let registry = Registry::new(8);
    let kept = registry.attach(0, Seq(1), &key("kept")).unwrap();
    for n in 0..10_000 {
        registry.attach(0, Seq(1), &key(&n.to_string())).unwrap();
    }
    assert!(registry.marks() < 20, "{}", registry.marks());
    registry.changed(&change(2, "kept"));
    assert!(!kept.holds(0));
}

#[test]
fn starting_over_ends_all_and_accepts_nothing_from_before() {
    let registry = Registry::new(8);
    let footing = registry.attach(0, Seq(5), &key("k")).unwrap();
    registry.start_over(Seq(9));
    let epoch = registry.epoch();
    assert!(!footing.holds(epoch));
    assert!(registry.attach(0, Seq(9), &key("k")).is_err());
    assert!(registry.attach(epoch, Seq(8), &key("k")).is_err());
    assert!(registry.attach(epoch, Seq(9), &About::Nothing).is_ok());
}
