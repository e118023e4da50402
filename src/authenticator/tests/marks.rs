//! Marks, without anything around them.

use crate::authenticator::marks::{About, Marks, Overtaken};
use crate::store::{Change, Seq, Subject};

const KEY: About<'_> = About::ApiKey { key: "k", account: "a" };

fn change(seq: i64, id: &str) -> Change {
    Change { seq: Seq(seq), subject: Subject::ApiKey, id: id.to_owned(), created: false, new_key: None }
}

#[test]
fn a_footing_falls_with_a_newer_change_only() {
    let marks = Marks::new(1000);
    let footing = marks.attach(0, Seq(5), KEY).unwrap();
    marks.changed(&change(5, "k"));
    assert!(marks.hold(&footing, 0));
    marks.changed(&change(7, "k"));
    assert!(!marks.hold(&footing, 0));
}

#[test]
fn few_fall_with_a_change_that_is_not_about_them() {
    let marks = Marks::new(1000);
    let keys: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let attach = |key: &String| marks.attach(0, Seq(1), About::ApiKey { key, account: key }).unwrap();
    let footings: Vec<_> = keys.iter().map(attach).collect();
    for n in 0..10 {
        marks.changed(&change(2, &format!("other {n}")));
    }
    let fallen = footings.iter().filter(|footing| !marks.hold(footing, 0)).count();
    assert!(fallen < 40, "{fallen}");
}

#[test]
fn changes_out_of_order_raise_nothing_again() {
    let marks = Marks::new(1000);
    marks.changed(&change(9, "k"));
    marks.changed(&change(7, "k"));
    assert_eq!(marks.attach(0, Seq(8), KEY).err(), Some(Overtaken));
    let footing = marks.attach(0, Seq(9), KEY).unwrap();
    marks.changed(&change(8, "k"));
    assert!(marks.hold(&footing, 0));
}

#[test]
fn only_what_is_made_contradicts_that_nothing_is_there() {
    let marks = Marks::new(1000);
    let nothing = marks.attach(0, Seq(1), About::Nothing).unwrap();
    marks.changed(&change(2, "k"));
    assert!(marks.hold(&nothing, 0));
    marks.changed(&Change { created: true, ..change(3, "k2") });
    assert!(!marks.hold(&nothing, 0));
}

#[test]
fn starting_over_further_back_ends_all_and_hears_what_changes_from_there() {
    let marks = Marks::new(1000);
    marks.changed(&Change { created: true, ..change(50, "k") });
    let footing = marks.attach(0, Seq(50), KEY).unwrap();
    marks.start_over(Seq(9));
    let epoch = marks.epoch();
    assert!(!marks.hold(&footing, epoch));
    assert!(marks.attach(0, Seq(9), KEY).is_err());
    assert!(marks.attach(epoch, Seq(8), About::ApiKey { key: "unchanged", account: "a" }).is_err());
    assert!(marks.attach(epoch, Seq(9), About::Nothing).is_ok());
    let footing = marks.attach(epoch, Seq(9), KEY).unwrap();
    marks.changed(&change(10, "k"));
    assert!(!marks.hold(&footing, epoch));
}

#[test]
fn nothing_is_attached_while_marks_are_lowered() {
    let marks = Marks::new(1000);
    marks.turn();
    assert_eq!(marks.attach(marks.epoch(), Seq(9), KEY).err(), Some(Overtaken));
}

#[test]
fn any_capacity_will_do() {
    for capacity in [0, 1, 1 << 40, u64::MAX] {
        let marks = Marks::new(capacity);
        marks.changed(&change(2, "k"));
        assert!(marks.attach(0, Seq(1), KEY).is_err());
    }
}
