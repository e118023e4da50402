//! Signing keys.

use futures_util::future::join_all;
use keyward::store::{Handover, Purpose, Retiring, Seq, SigningKey, Subject};

use super::super::sample::{at, origin, signing_key};
use super::sessions::assert_conflict;
use super::{Case, House};

pub const CASES: &[(&str, Case)] = &[
    ("signing keys are given back as they were kept, the oldest first", |h| Box::pin(keys_are_kept(h))),
    ("a signing key takes over from the newest of its purpose, once", |h| Box::pin(one_takes_over(h))),
    ("a signing key can take over from all before it at once", |h| Box::pin(all_are_retired(h))),
    ("retired signing keys are removed", |h| Box::pin(retired_are_removed(h))),
];

fn later(id: &str) -> SigningKey {
    SigningKey { created_at: at(5_000), signs_from: at(6_000), ..signing_key(id, Purpose::AccessToken) }
}

fn from(id: &str) -> Handover {
    Handover { from: id.to_owned(), retires_at: at(9_000), with: Retiring::Newest }
}

async fn keys_are_kept(house: &dyn House) {
    let store = house.open().await;
    assert!(store.signing_keys().await.unwrap().is_empty());
    let first = signing_key("first", Purpose::AccessToken);
    let other = signing_key("other", Purpose::Assertion);
    assert_eq!(store.add_signing_key(&first, None, &origin()).await.unwrap(), Seq(1));
    assert_eq!(store.add_signing_key(&other, None, &origin()).await.unwrap(), Seq(2));
    assert_eq!(store.add_signing_key(&later("a"), Some(&from("first")), &origin()).await.unwrap(), Seq(4));
    let replaced = SigningKey { retires_at: Some(at(9_000)), ..first };
    assert_eq!(store.signing_keys().await.unwrap(), [replaced, other, later("a")]);

    let log = store.audit(Seq(0), 10).await.unwrap();
    let told: Vec<_> = log.iter().map(|row| (&*row.action, &*row.id, row.at.0)).collect();
    let expected = [
        ("signing_key.created", "first", 1_000),
        ("signing_key.created", "other", 1_000),
        ("signing_key.replaced", "first", 5_000),
        ("signing_key.created", "a", 5_000),
    ];
    assert_eq!(told, expected);
    assert!(log.iter().all(|row| row.subject == Subject::SigningKey && !row.detail.contains("real")));
}

async fn one_takes_over(house: &dyn House) {
    let handles = [house.open().await, house.open().await];
    let store = &handles[0];
    let first = signing_key("first", Purpose::AccessToken);
    assert_conflict(&store.add_signing_key(&first, Some(&from("nobody")), &origin()).await);
    store.add_signing_key(&first, None, &origin()).await.unwrap();
    assert_conflict(&store.add_signing_key(&later("second"), None, &origin()).await);
    let attempts = (0..8).map(|number| {
        let store = handles[number % 2].clone();
        let take_over = async move {
            store.add_signing_key(&later(&format!("{number}")), Some(&from("first")), &origin()).await
        };
        tokio::spawn(take_over)
    });
    let outcomes: Vec<_> = join_all(attempts).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    outcomes.iter().filter(|outcome| outcome.is_err()).for_each(assert_conflict);
    assert_eq!(store.signing_keys().await.unwrap().len(), 2);
}

async fn all_are_retired(house: &dyn House) {
    let store = house.open().await;
    let other = signing_key("other", Purpose::Assertion);
    store.add_signing_key(&signing_key("first", Purpose::AccessToken), None, &origin()).await.unwrap();
    store.add_signing_key(&other, None, &origin()).await.unwrap();
    store.add_signing_key(&later("second"), Some(&from("first")), &origin()).await.unwrap();
    let at_once = Handover { from: "second".to_owned(), retires_at: at(6_500), with: Retiring::All };
    let third = SigningKey { created_at: at(7_000), signs_from: at(7_000), ..later("third") };
    assert_eq!(store.add_signing_key(&third, Some(&at_once), &origin()).await.unwrap(), Seq(7));
    let ends = |keys: Vec<SigningKey>| {
        keys.into_iter().map(|key| (key.id, key.retires_at.map(|end| end.0))).collect::<Vec<_>>()
    };
    let expected = [("first", Some(6_500)), ("other", None), ("second", Some(6_500)), ("third", None)];
    let expected = expected.map(|(id, end)| (id.to_owned(), end));
    assert_eq!(ends(store.signing_keys().await.unwrap()), expected);
    let log = store.audit(Seq(4), 9).await.unwrap();
    let told: Vec<_> = log.iter().map(|row| (&*row.action, &*row.id, row.at.0)).collect();
    let expected = [
        ("signing_key.replaced", "first", 7_000),
        ("signing_key.replaced", "second", 7_000),
        ("signing_key.created", "third", 7_000),
    ];
    assert_eq!(told, expected);
}

async fn retired_are_removed(house: &dyn House) {
    let store = house.open().await;
    store.add_signing_key(&signing_key("first", Purpose::AccessToken), None, &origin()).await.unwrap();
    store.add_signing_key(&later("second"), Some(&from("first")), &origin()).await.unwrap();
    assert_eq!(store.remove_signing_keys(at(9_000), at(9_000), &origin()).await.unwrap(), 0);
    assert_eq!(store.remove_signing_keys(at(9_001), at(9_500), &origin()).await.unwrap(), 1);
    assert_eq!(store.signing_keys().await.unwrap(), [later("second")]);
    let log = store.audit(Seq(3), 10).await.unwrap();
    assert_eq!((&*log[0].action, &*log[0].id, log.len()), ("signing_key.removed", "first", 1));
}
