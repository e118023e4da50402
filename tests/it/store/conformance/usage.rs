//! What is used: last uses of keys, and what accounts have used of days.

use std::sync::Arc;

use keyward::limits::{DayCount, Subject};
use keyward::store::{KeyUse, Seq, Store};

use super::super::sample::{at, create_account, create_key, key, origin};
use super::{Case, House, assert_not_found};

pub const CASES: &[(&str, Case)] = &[
    ("the last use of a key moves forward and is no change", |h| Box::pin(uses_are_noted(h))),
    ("what is used of a day goes up and is no change", |h| Box::pin(days_are_counted(h))),
    ("counts of days come in pages, the last without a next", |h| Box::pin(days_come_in_pages(h))),
    ("days that are not kept are removed in bounded batches", |h| Box::pin(days_are_removed(h))),
    ("many uses and counts are noted at once", |h| Box::pin(many_are_noted(h))),
];

async fn uses_are_noted(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    for id in ["a", "b", "c"] {
        create_key(&*store, id, &account).await;
    }
    let latest = store.latest().await.unwrap();
    let note = |uses: &[(&str, i64)]| {
        let uses: Vec<_> =
            uses.iter().map(|(id, millis)| KeyUse { id: (*id).to_owned(), at: at(*millis) }).collect();
        let store = store.clone();
        async move { store.note(&uses, &[]).await.unwrap() }
    };
    let last = |id: &'static str| {
        let store = store.clone();
        async move { store.key(id).await.unwrap().last_used_at }
    };
    note(&[("a", 5_000), ("gone", 6_000), ("b", 7_000)]).await;
    assert_eq!((last("a").await, last("b").await, last("c").await), (Some(at(5_000)), Some(at(7_000)), None));
    note(&[("a", 4_999), ("b", 9_000), ("b", 8_000)]).await;
    assert_eq!((last("a").await, last("b").await), (Some(at(5_000)), Some(at(9_000))));
    // A use just before the end may be told after it.
    store.revoke_key("a", at(6_000), &origin()).await.unwrap();
    note(&[("a", 5_500)]).await;
    note(&[]).await;
    let known = store.key("a").await.unwrap();
    assert_eq!((known.last_used_at, known.revoked_at), (Some(at(5_500)), Some(at(6_000))));
    let listed = store.keys(Some(&account), None, 9).await.unwrap().items;
    assert_eq!(listed[1].last_used_at, Some(at(9_000)));
    assert_eq!(store.latest().await.unwrap(), Seq(latest.0 + 1), "uses are no changes");
    assert_not_found("key", store.key("gone").await);
    assert_eq!(house.open().await.key("b").await.unwrap().last_used_at, Some(at(9_000)));
    // A key that is gone takes its last use with it.
    assert_eq!(store.remove_dead_keys(at(6_001), 9, at(7_000), &origin()).await.unwrap(), 1);
    create_key(&*store, "a", &account).await;
    assert_eq!(last("a").await, None);
    let mut used = key("d", &account);
    used.key.last_used_at = Some(at(3_000));
    store.create_key(&used, &origin()).await.unwrap();
    assert_eq!(store.key("d").await.unwrap(), used.key);
}

fn count(account: u128, subject: Subject, day: u32, used: u64) -> DayCount {
    DayCount { account, subject, day, used }
}

fn of(account: u128, day: u32, used: u64) -> DayCount {
    count(account, Subject::Account, day, used)
}

async fn all(store: &dyn Store, from: u32) -> Vec<DayCount> {
    let page = store.day_counts(from, None, 1_000_000).await.unwrap();
    assert_eq!(page.next, None);
    page.items
}

async fn days_are_counted(house: &dyn House) {
    let store = house.open().await;
    let (key, route): (Arc<str>, Arc<str>) = ("7".into(), "orders: all of them".into());
    let of_key = |used| count(1, Subject::Key(Arc::clone(&key)), 5, used);
    let of_route = |used| count(1, Subject::Route(Arc::clone(&route)), 5, used);
    store.note(&[], &[of(1, 5, 7), of_key(2), of_route(3), of(u128::MAX, 5, 1)]).await.unwrap();
    assert_eq!(all(&*store, 5).await, [of(1, 5, 7), of_key(2), of_route(3), of(u128::MAX, 5, 1)]);
    // Of one day the most, whoever tells it last; of another day it is another count.
    store.note(&[], &[of(1, 5, 6), of_key(9), of(1, 6, 1), of(1, 4, 8)]).await.unwrap();
    let expected = [of(1, 5, 7), of_key(9), of_route(3), of(u128::MAX, 5, 1), of(1, 6, 1)];
    assert_eq!(all(&*store, 5).await, expected);
    assert_eq!(all(&*store, 4).await[0], of(1, 4, 8));
    assert_eq!(all(&*house.open().await, 6).await, [of(1, 6, 1)]);
    assert_eq!(all(&*store, 7).await, []);
    store.note(&[], &[of(1, 6, u64::MAX)]).await.unwrap();
    assert!(all(&*store, 6).await[0].used > 1 << 62);
    assert_eq!(store.latest().await.unwrap(), Seq(0), "counts are no changes");
}

async fn days_come_in_pages(house: &dyn House) {
    let store = house.open().await;
    let route = |number: u32| Subject::Route(format!("a route {number}").into());
    let counts: Vec<_> = (0..3).flat_map(|day| (0..3).map(move |number| (day, number))).collect();
    let counts: Vec<_> = counts.iter().map(|(day, number)| count(9, route(*number), 5 + day, 1)).collect();
    store.note(&[], &counts).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.day_counts(6, after.as_deref(), 2).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, counts[3..]);
}

async fn days_are_removed(house: &dyn House) {
    let store = house.open().await;
    let counts: Vec<_> = [3, 4, 5, 6, 7, 8].iter().flat_map(|day| [of(1, *day, 1), of(2, *day, 1)]).collect();
    store.note(&[], &counts).await.unwrap();
    let remove = || async { store.remove_day_counts(5..=6, 3).await.unwrap() };
    assert_eq!((remove().await, remove().await, remove().await), (3, 1, 0));
    assert_eq!(all(&*store, 0).await, counts[4..8]);
    assert_eq!(store.latest().await.unwrap(), Seq(0));
}

async fn many_are_noted(house: &dyn House) {
    const MANY: u32 = 2_000;
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    create_key(&*store, "k", &account).await;
    let counts: Vec<_> = (0..MANY).map(|number| of(number.into(), 5, 1 + u64::from(number))).collect();
    let uses = (0..MANY).map(|number| KeyUse { id: format!("gone {number}"), at: at(1) });
    let uses: Vec<_> = uses.chain([KeyUse { id: "k".to_owned(), at: at(9) }]).collect();
    store.note(&uses, &counts).await.unwrap();
    assert_eq!(all(&*store, 5).await, counts);
    assert_eq!(store.key("k").await.unwrap().last_used_at, Some(at(9)));
}
