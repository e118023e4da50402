//! Limits of an account's or a key's own.

use keyward::limits::Overrides;
use keyward::store::{ApiKey, Key, NewKey, Seq, Subject};

use super::super::sample::{at, create_account, create_key, digest, key, origin, start_session};
use super::key_changes::rotated;
use super::sessions::assert_conflict;
use super::{Case, House};

pub const CASES: &[(&str, Case)] = &[
    (
        "limits of an account's own are seen with its credentials, and setting them again writes nothing",
        |h| Box::pin(accounts_get_limits(h)),
    ),
    ("limits of a key's own are seen with it, and setting them again writes nothing", |h| {
        Box::pin(keys_get_limits(h))
    }),
    ("a key that is over gets no limits", |h| Box::pin(dead_keys_get_none(h))),
];

/// What is set one after the other, each in the words of the audit log.
fn steps() -> [(Overrides, &'static str); 4] {
    let all = Overrides {
        per_minute: Some(1_000_000_000),
        smooth: Some(1),
        per_day: Some(1_000_000_000_000),
        in_flight: Some(10_000_000),
    };
    let words = "limits: 1000000000 a minute, bursts of 1, 1000000000000 a day, 10000000 at a time";
    let none = Overrides { per_minute: Some(0), in_flight: Some(0), ..Overrides::default() };
    [
        (all, words),
        (Overrides { per_day: Some(5), ..Overrides::default() }, "limits: 5 a day"),
        (none, "limits: no limit a minute, no limit at a time"),
        (Overrides::default(), "limits: none"),
    ]
}

async fn accounts_get_limits(house: &dyn House) {
    let store = house.open().await;
    let [id, other] = [create_account(&*store, 1).await, create_account(&*store, 2).await];
    create_key(&*store, "k", &id).await;
    start_session(&*store, "s", &id).await;
    for (seq, (limits, words)) in (5..).zip(steps()) {
        for _again in 0..2 {
            let set = store.set_account_limits(&id, &limits, at(seq), &origin()).await.unwrap();
            assert_eq!(set, Seq(seq));
        }
        let by_key = store.find_key(digest("k")).await.unwrap();
        assert_eq!((by_key.as_of, by_key.key.unwrap().1.limits), (Seq(seq), limits.clone()));
        assert_eq!(store.find_session("s").await.unwrap().session.unwrap().1.limits, limits);
        assert_eq!(store.account(&id).await.unwrap().limits, limits);
        let row = store.audit(Seq(seq - 1), 1).await.unwrap().remove(0);
        let told = (&*row.action, row.subject, &*row.id, &*row.detail);
        assert_eq!(told, ("account.limits_set", Subject::Account, &*id, words));
        let change = store.changes(Seq(seq - 1), 9).await.unwrap().remove(0);
        assert_eq!((change.subject, &*change.id, change.created), (Subject::Account, &*id, false));
        assert!(store.account(&other).await.unwrap().limits.is_empty());
    }
}

async fn keys_get_limits(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    for id in ["k", "other"] {
        let made = key(id, &account);
        let key = Key { limits: Overrides::default(), ..made.key };
        store.create_key(&ApiKey { key, ..made }, &origin()).await.unwrap();
    }
    for (seq, (limits, words)) in (4..).zip(steps()) {
        for _again in 0..2 {
            let set = store.set_key_limits("k", &limits, at(seq), &origin()).await.unwrap();
            assert_eq!(set, Seq(seq));
        }
        let found = store.find_key(digest("k")).await.unwrap();
        let (key, owner) = found.key.unwrap();
        assert_eq!((found.as_of, &key.limits, owner.limits), (Seq(seq), &limits, Overrides::default()));
        assert_eq!(store.key("k").await.unwrap().limits, limits);
        let row = store.audit(Seq(seq - 1), 1).await.unwrap().remove(0);
        let told = (&*row.action, row.subject, &*row.id, &*row.detail);
        assert_eq!(told, ("api_key.limits_set", Subject::ApiKey, "k", words));
        let change = store.changes(Seq(seq - 1), 9).await.unwrap().remove(0);
        assert_eq!((change.subject, &*change.id, change.created), (Subject::ApiKey, "k", false));
        assert!(store.key("other").await.unwrap().limits.is_empty());
    }
}

async fn dead_keys_get_none(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    for id in ["revoked", "over"] {
        create_key(&*store, id, &account).await;
    }
    store.revoke_key("revoked", at(5), &origin()).await.unwrap();
    let before = store.key("over").await.unwrap().limits;
    let limits = Overrides { per_day: Some(5), ..Overrides::default() };
    // The key ends at 1,000,000; whether it has these limits already makes no difference.
    for (id, now, limits) in
        [("revoked", 6, &limits), ("over", 1_000_000, &limits), ("over", 1_000_000, &before)]
    {
        assert_conflict(&store.set_key_limits(id, limits, at(now), &origin()).await);
        assert_eq!(store.key(id).await.unwrap().limits, before);
    }
    assert_eq!(store.latest().await.unwrap(), Seq(4));
    store.set_key_limits("over", &limits, at(999_999), &origin()).await.unwrap();
    let successor = NewKey {
        key: key("next", &account),
        rotates: Some(rotated(&*store, &account, "over", 9_000).await),
        once: None,
        most: None,
    };
    store.make_key(&successor, &origin()).await.unwrap();
    for limits in [&before, &limits] {
        assert_conflict(&store.set_key_limits("over", limits, at(8_000), &origin()).await);
    }
    assert_eq!(store.key("over").await.unwrap().limits, limits);
}
