//! Keys that replace others, answer a request once, come from elsewhere, or change.

use keyward::limits::Overrides;
use keyward::store::{
    AccountStatus, ImportedKey, Imports, Kept, KeyForm, KeyPatch, KeyUse, NewKey, Once, Rotated, Seq,
    SharedStore, Store, Subject,
};

use super::super::sample::{at, create_account, create_key, digest, key, origin, scopes};
use super::sessions::assert_conflict;
use super::{Case, House, assert_not_found};

pub const CASES: &[(&str, Case)] = &[
    ("a key that replaces another ends it when told", |h| Box::pin(keys_are_rotated(h))),
    ("a key is replaced as it is, or not at all", |h| Box::pin(nothing_is_lost_in_between(h))),
    ("a request makes one key, however often it is sent", |h| Box::pin(requests_are_answered_once(h))),
    ("an account has so many living keys and no more", |h| Box::pin(keys_are_bounded(h))),
    ("keys from elsewhere are kept all or not at all", |h| Box::pin(keys_are_imported(h))),
    ("a key changes in what is named, while it is good", |h| Box::pin(keys_change(h))),
];

/// Another in place of this one as it is now, or of one that is not there.
pub async fn rotated(store: &dyn Store, account: &str, of: &str, expires: i64) -> Rotated {
    let old = store.key(of).await.unwrap_or_else(|_| key(of, account).key).into();
    let account = store.account(account).await.unwrap().into();
    Rotated { old, account, expires_at: at(expires) }
}

async fn rotating(store: &dyn Store, id: &str, account: &str, of: &str, expires: i64) -> NewKey {
    let rotates = Some(rotated(store, account, of, expires).await);
    NewKey { key: key(id, account), rotates, once: None, most: None }
}

async fn keys_are_rotated(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    create_key(&*store, "old", &account).await;
    let kept =
        store.make_key(&rotating(&*store, "new", &account, "old", 5_000).await, &origin()).await.unwrap();
    assert_eq!(kept, Kept::New(Seq(4)));
    assert_eq!(store.key("old").await.unwrap().expires_at, at(5_000));
    assert_eq!(store.key("new").await.unwrap().expires_at, at(1_000_000));
    let log = store.audit(Seq(2), 9).await.unwrap();
    let told: Vec<_> = log.iter().map(|row| (&*row.action, &*row.id)).collect();
    assert_eq!(told, [("api_key.rotated", "old"), ("api_key.created", "new")]);
    assert!(log[0].detail.contains("successor: new"), "{log:?}");
    assert_eq!(store.key("old").await.unwrap().replaced_by.as_deref(), Some("new"));
    assert_eq!(store.key("new").await.unwrap().replaced_by, None);
    let again = store.make_key(&rotating(&*store, "newer", &account, "old", 9_000).await, &origin()).await;
    let expected = "this key was replaced already; rotate the key that replaced it, or make a new one";
    assert_eq!(again.unwrap_err().to_string(), expected);
    assert_eq!(store.key("old").await.unwrap().expires_at, at(5_000));
    assert_not_found("key", store.key("newer").await);
    // An end that comes sooner by itself stays.
    store.make_key(&rotating(&*store, "late", &account, "new", 9_000_000).await, &origin()).await.unwrap();
    assert_eq!(store.key("new").await.unwrap().expires_at, at(1_000_000));
    store.revoke_key("late", at(3_000), &origin()).await.unwrap();
    assert_conflict(&store.make_key(&rotating(&*store, "x", &account, "late", 5_000).await, &origin()).await);
    store.revoke_key("new", at(3_000), &origin()).await.unwrap();
    assert_conflict(&store.make_key(&rotating(&*store, "x", &account, "new", 5_000).await, &origin()).await);
    assert_not_found(
        "key",
        store.make_key(&rotating(&*store, "x", &account, "no", 5_000).await, &origin()).await,
    );
    assert_not_found("key", store.key("x").await);
}

async fn nothing_is_lost_in_between(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    let fresh = async |id: &str| {
        create_key(&*store, id, &account).await;
        rotating(&*store, &format!("after-{id}"), &account, id, 5_000).await
    };
    let overtaken = async |new: NewKey| {
        let before = store.latest().await.unwrap();
        assert_eq!(store.make_key(&new, &origin()).await.unwrap(), Kept::Overtaken);
        assert_eq!(store.latest().await.unwrap(), before);
        assert_not_found("key", store.key(&new.key.key.id).await);
        let old = &new.rotates.as_ref().unwrap().old.id;
        assert_eq!(store.key(old).await.unwrap().replaced_by, None);
    };
    let patches = [
        KeyPatch { name: Some("another".to_owned()), ..KeyPatch::default() },
        KeyPatch { scopes: Some(scopes("")), ..KeyPatch::default() },
        KeyPatch { allowed_addresses: Some(vec!["192.0.2.0/24".parse().unwrap()]), ..KeyPatch::default() },
        KeyPatch { expires_at: Some(at(9_000)), ..KeyPatch::default() },
    ];
    for (number, patch) in patches.iter().enumerate() {
        let id = format!("patched-{number}");
        let new = fresh(&id).await;
        store.patch_key(&id, patch, at(2_000), &origin()).await.unwrap();
        overtaken(new).await;
    }
    let new = fresh("limited").await;
    let limits = Overrides { per_minute: Some(1), ..Overrides::default() };
    store.set_key_limits("limited", &limits, at(2_000), &origin()).await.unwrap();
    overtaken(new).await;
    let new = fresh("of one with less").await;
    store.set_account_scopes(&account, Some(&scopes("")), at(2_000), &origin()).await.unwrap();
    overtaken(new).await;
    let new = fresh("of one disabled").await;
    store.set_account_status(&account, AccountStatus::Disabled, at(2_000), &origin()).await.unwrap();
    overtaken(new).await;
    store.set_account_status(&account, AccountStatus::Active, at(2_000), &origin()).await.unwrap();
    // That it is in use, and under which plan, changes nothing.
    let new = fresh("in use").await;
    store.note(&[KeyUse { id: "in use".to_owned(), at: at(2_000) }], &[]).await.unwrap();
    store.set_account_plan(&account, Some("pro"), at(2_000), &origin()).await.unwrap();
    assert!(matches!(store.make_key(&new, &origin()).await.unwrap(), Kept::New(_)));
    let new = fresh("revoked").await;
    store.revoke_key("revoked", at(2_000), &origin()).await.unwrap();
    assert_conflict(&store.make_key(&new, &origin()).await);
    assert_not_found("key", store.key("after-revoked").await);
}

fn asked(id: &str, account: &str, request: &str, body: &str) -> NewKey {
    let once =
        Once { account_id: account.to_owned(), key: digest(request), body: digest(body), since: at(1_000) };
    NewKey { key: key(id, account), rotates: None, once: Some(once), most: None }
}

async fn requests_are_answered_once(house: &dyn House) {
    let store = house.open().await;
    let (one, two) = (create_account(&*store, 1).await, create_account(&*store, 2).await);
    let make = |new: NewKey| {
        let store = store.clone();
        async move { store.make_key(&new, &origin()).await.unwrap() }
    };
    assert_eq!(make(asked("a", &one, "r", "body")).await, Kept::New(Seq(3)));
    let answered = async |new: NewKey| store.answered(new.once.as_ref().unwrap()).await.unwrap();
    assert_eq!(answered(asked("b", &one, "r", "body")).await, Some(Kept::Before("a".to_owned())));
    assert_eq!(answered(asked("b", &one, "r", "another")).await, Some(Kept::Mismatch));
    assert_eq!(answered(asked("b", &two, "r", "body")).await, None);
    assert_eq!(make(asked("b", &one, "r", "body")).await, Kept::Before("a".to_owned()));
    assert_eq!(make(asked("c", &one, "r", "another")).await, Kept::Mismatch);
    assert_eq!(store.latest().await.unwrap(), Seq(3));
    assert_not_found("key", store.key("b").await);
    assert_eq!(make(asked("d", &two, "r", "another")).await, Kept::New(Seq(4)));
    assert_eq!(make(asked("e", &one, "other", "body")).await, Kept::New(Seq(5)));
    let mut later = asked("f", &one, "r", "another");
    later.once.as_mut().unwrap().since = at(2_000);
    assert_eq!(make(later).await, Kept::New(Seq(6)));
    assert_eq!(make(asked("g", &one, "r", "another")).await, Kept::Before("f".to_owned()));
    assert_eq!(store.remove_leftovers(at(2_000), 9).await.unwrap(), 0);
    assert_eq!(store.remove_leftovers(at(2_001), 2).await.unwrap(), 2);
    assert_eq!(store.remove_leftovers(at(2_001), 2).await.unwrap(), 1);
    // What is refused leaves no note behind.
    let mut refused = asked("h", &one, "fresh", "body");
    refused.rotates = Some(rotated(&*store, &one, "no such key", 1).await);
    assert_not_found("key", store.make_key(&refused, &origin()).await);
    assert!(matches!(make(asked("h", &one, "fresh", "body")).await, Kept::New(_)));
    at_once(&store, &one).await;
}

async fn at_once(store: &SharedStore, account: &str) {
    let attempts = (0..20).map(|number| {
        let (store, new) = (store.clone(), asked(&format!("at-once-{number}"), account, "at once", "body"));
        tokio::spawn(async move { store.make_key(&new, &origin()).await.unwrap() })
    });
    let kept = futures_util::future::join_all(attempts).await;
    let new = kept.iter().filter(|kept| matches!(kept.as_ref().unwrap(), Kept::New(_))).count();
    assert_eq!(new, 1);
}

async fn keys_are_bounded(house: &dyn House) {
    let store = house.open().await;
    let (one, two) = (create_account(&*store, 1).await, create_account(&*store, 2).await);
    let most = Some(2);
    let make = |new: NewKey| {
        let store = store.clone();
        async move { store.make_key(&new, &origin()).await.unwrap() }
    };
    let bounded = |id: &str, account: &str| NewKey { most, ..asked(id, account, id, "body") };
    // What ended just now, or was revoked, is no key any more.
    let mut over = key("over", &one);
    over.key.expires_at = at(2_000);
    store.create_key(&over, &origin()).await.unwrap();
    create_key(&*store, "revoked", &one).await;
    store.revoke_key("revoked", at(2_000), &origin()).await.unwrap();
    assert!(matches!(make(bounded("a", &one)).await, Kept::New(_)));
    assert!(matches!(make(bounded("b", &one)).await, Kept::New(_)));
    let before = store.latest().await.unwrap();
    assert_eq!(make(bounded("c", &one)).await, Kept::TooMany);
    assert_eq!(make(bounded("b", &one)).await, Kept::Before("b".to_owned()), "answered before");
    let beside = NewKey { most, ..rotating(&*store, "d", &one, "a", 2_001).await };
    assert_eq!(make(beside).await, Kept::TooMany);
    assert_eq!(store.latest().await.unwrap(), before);
    assert_not_found("key", store.key("c").await);
    assert_eq!(store.key("a").await.unwrap().replaced_by, None);
    assert!(matches!(make(bounded("e", &two)).await, Kept::New(_)), "another account");
    let instead = NewKey { most, ..rotating(&*store, "f", &one, "a", 2_000).await };
    assert!(matches!(make(instead).await, Kept::New(_)), "one goes and one comes");
    store.revoke_key("b", at(2_000), &origin()).await.unwrap();
    assert!(matches!(make(bounded("c", &one)).await, Kept::New(_)), "what was refused left no note");
    assert!(
        matches!(make(asked("g", &one, "g", "body")).await, Kept::New(_)),
        "nobody is bound who need not be"
    );
}

fn imported(id: &str, account: &str, prefix: &str, length: Option<u32>) -> ImportedKey {
    let mut key = key(id, account);
    key.key.prefix = prefix.to_owned();
    ImportedKey { key, form: KeyForm { prefix: prefix.to_owned(), length } }
}

async fn keys_are_imported(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    let import = |keys: Vec<ImportedKey>| {
        let store = store.clone();
        async move { store.import_keys(&keys, &origin()).await }
    };
    let [a, b] = [imported("a", &account, "acme_", Some(40)), imported("b", &account, "old-", None)];
    assert_eq!(import(vec![a.clone(), b.clone()]).await.unwrap(), Imports::Kept(Seq(5)));
    let log = store.audit(Seq(1), 9).await.unwrap();
    let told: Vec<_> = log.iter().map(|row| (&*row.action, &*row.id, &*row.detail)).collect();
    assert_eq!(
        told[..2],
        [("key_form.created", "acme_", "length: 40"), ("key_form.created", "old-", "length: any")]
    );
    assert_eq!((told[2].0, told[2].1, told[3].1), ("api_key.created", "a", "b"));
    assert_eq!((log[0].subject, log[2].subject), (Subject::KeyForm, Subject::ApiKey));
    let (found, owner) = store.find_key(digest("a")).await.unwrap().key.unwrap();
    assert_eq!((found, owner.id), (a.key.key.clone(), account.clone()));
    let c = imported("c", &account, "acme_", Some(40));
    let again = |id: &str, name: &str| {
        let mut key = imported(id, &account, "x", None);
        key.key.digest = digest(name);
        key
    };
    let taken = import(vec![c.clone(), again("d", "a"), again("e", "b")]).await.unwrap();
    assert_eq!(taken, Imports::Taken(vec![1, 2]));
    assert_not_found("key", store.key("c").await);
    assert_not_found("account", import(vec![c.clone(), imported("f", "nobody", "x", None)]).await);
    assert_conflict(&import(vec![c.clone(), again("g", "c")]).await);
    assert_not_found("key", store.key("c").await);
    assert_eq!(store.latest().await.unwrap(), Seq(5));
    assert_eq!(import(vec![c]).await.unwrap(), Imports::Kept(Seq(6)), "its form is known");
    let forms = store.key_forms().await.unwrap();
    let form = |prefix: &str, length| KeyForm { prefix: prefix.to_owned(), length };
    assert_eq!(forms, [form("acme_", Some(40)), form("old-", None)]);
}

async fn keys_change(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    create_key(&*store, "k", &account).await;
    let before = store.key("k").await.unwrap();
    let patch = |patch: KeyPatch, millis| {
        let store = store.clone();
        async move { store.patch_key("k", &patch, at(millis), &origin()).await }
    };
    const FORGED: &str = "another; scopes: orders:admin";
    let name = KeyPatch { name: Some(FORGED.to_owned()), ..KeyPatch::default() };
    assert_eq!(patch(name.clone(), 3_000).await.unwrap(), Seq(3));
    let row = &store.audit(Seq(2), 9).await.unwrap()[0];
    assert_eq!(row.detail, format!("name: \"{FORGED}\""), "a name is told from what stands beside it");
    let mut expected = before.clone();
    expected.name = FORGED.to_owned();
    assert_eq!(store.key("k").await.unwrap(), expected);
    let all = KeyPatch {
        name: None,
        scopes: Some(scopes("")),
        allowed_addresses: Some(Vec::new()),
        expires_at: Some(at(9_000)),
        judged: None,
    };
    for same in [KeyPatch::default(), name, KeyPatch { scopes: Some(expected.scopes.clone()), ..all.clone() }]
    {
        let same = KeyPatch { allowed_addresses: None, expires_at: None, ..same };
        assert_eq!(patch(same, 3_500).await.unwrap(), Seq(3), "nothing becomes another");
    }
    assert_eq!(store.latest().await.unwrap(), Seq(3));
    let judged = Some(Box::new(before));
    assert_conflict(&patch(KeyPatch { judged, ..all.clone() }, 3_500).await);
    assert_eq!(store.key("k").await.unwrap(), expected, "it is another than it was judged as");
    let judged = Some(Box::new(expected.clone()));
    patch(KeyPatch { judged, ..all }, 4_000).await.unwrap();
    expected.scopes = scopes("");
    expected.allowed_addresses = Vec::new();
    expected.expires_at = at(9_000);
    assert_eq!(store.find_key(digest("k")).await.unwrap().key.unwrap().0, expected);
    let row = &store.audit(Seq(3), 9).await.unwrap()[0];
    assert_eq!((&*row.action, row.at), ("api_key.changed", at(4_000)));
    assert!(row.detail.contains("scopes: none; addresses: any"), "{}", row.detail);
    assert_conflict(&patch(KeyPatch::default(), 9_000).await);
    store.make_key(&rotating(&*store, "next", &account, "k", 8_000).await, &origin()).await.unwrap();
    let until = |millis| KeyPatch { expires_at: Some(at(millis)), ..KeyPatch::default() };
    assert_conflict(&patch(until(8_001), 4_500).await);
    patch(until(7_000), 4_500).await.unwrap();
    assert_conflict(&patch(until(8_000), 4_500).await);
    assert_eq!(store.key("k").await.unwrap().expires_at, at(7_000));
    store.revoke_key("k", at(5_000), &origin()).await.unwrap();
    assert_conflict(&patch(KeyPatch::default(), 6_000).await);
    assert_not_found("key", store.patch_key("no", &KeyPatch::default(), at(1), &origin()).await);
}
