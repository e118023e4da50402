//! What every store does. A new kind of store passes all of these; see `sqlite.rs` for how it joins.

mod key_changes;
mod own_limits;
mod passwords;
mod refresh;
mod sessions;
mod signing;
mod usage;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join, join_all};
use keyward::limits::Overrides;
use keyward::store::{Account, AccountStatus, NewAccount, Seq, SharedStore, Store, StoreError, Subject};

use super::sample::{account, at, create_account, create_key, digest, key, origin, scopes};

/// Data of one test, empty at first, that any number of handles open.
pub trait House: Send + Sync {
    fn open(&self) -> BoxFuture<'_, SharedStore>;
}

type Case = for<'a> fn(&'a dyn House) -> BoxFuture<'a, ()>;

const CASES: &[(&str, Case)] = &[
    ("an account is found by id and by email in any letter case", |h| Box::pin(accounts_are_found(h))),
    ("an account can be made with its password in one step", |h| Box::pin(accounts_with_passwords(h))),
    ("an email has one account, letter case aside", |h| Box::pin(emails_are_unique(h))),
    ("what is unknown is not found and leaves no trace", |h| Box::pin(unknown_things(h))),
    ("lists come in pages, the last without a next", |h| Box::pin(lists_come_in_pages(h))),
    ("a key is found by its digest, with its account", |h| Box::pin(keys_are_found(h))),
    ("of every key the beginning of its digest is told, in pages", |h| Box::pin(digests_are_told(h))),
    ("a digest is kept once", |h| Box::pin(digests_are_unique(h))),
    ("an account's status and scopes are seen with its keys", |h| Box::pin(accounts_change(h))),
    ("an account's plan is seen with its keys, and setting it again writes nothing", |h| {
        Box::pin(accounts_get_plans(h))
    }),
    ("revoking again keeps the first time and writes nothing", |h| Box::pin(revoking_is_idempotent(h))),
    ("the audit log and the change feed tell every change", |h| Box::pin(audit_agrees_with_changes(h))),
    ("the feed brings what another handle did", |h| Box::pin(feed_sees_other_handles(h))),
    ("sequence numbers have no gap and no double under concurrent writers", |h| {
        Box::pin(numbers_follow_commits(h))
    }),
    ("a look-up knows the feed position of its snapshot", |h| Box::pin(as_of_fits_its_snapshot(h))),
    ("dead keys are removed in bounded batches", |h| Box::pin(dead_keys_are_removed(h))),
];

/// Runs every case, each on data of its own, and names those that fail.
pub async fn passes(house: impl Fn() -> Box<dyn House>) {
    let mut failed = Vec::new();
    let further = [
        sessions::CASES,
        refresh::CASES,
        passwords::CASES,
        key_changes::CASES,
        own_limits::CASES,
        signing::CASES,
        usage::CASES,
    ];
    for (name, case) in CASES.iter().chain(further.into_iter().flatten()) {
        let house = house();
        if AssertUnwindSafe(case(&*house)).catch_unwind().await.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "this store fails that {failed:#?}");
}

async fn accounts_are_found(house: &dyn House) {
    let store = house.open().await;
    let new =
        NewAccount { email: "Jürgen@Example.com".to_owned(), scopes: Some(scopes("b a")), ..account(1) };
    assert_eq!(store.create_account(&new, &origin()).await.unwrap(), Seq(1));
    let expected = Account {
        id: new.id.clone(),
        email: new.email.clone(),
        status: AccountStatus::Active,
        scopes: new.scopes.clone(),
        plan: None,
        limits: Overrides::default(),
        created_at: new.created_at,
    };
    for name in [&*new.id, "Jürgen@Example.com", "JÜRGEN@example.COM", "Ju\u{308}rgen@example.com"] {
        assert_eq!(store.account(name).await.unwrap(), expected, "{name}");
    }
}

async fn accounts_with_passwords(house: &dyn House) {
    let store = house.open().await;
    let new = NewAccount { password: Some("$a hash".to_owned()), ..account(1) };
    assert_eq!(store.create_account(&new, &origin()).await.unwrap(), Seq(1));
    create_account(&*store, 2).await;
    let password = async |email| store.login(email).await.unwrap().unwrap().password;
    assert_eq!(password("a1@example.com").await.as_deref(), Some("$a hash"));
    assert_eq!(password("a2@example.com").await, None);
    let log = store.audit(Seq(0), 9).await.unwrap();
    assert!(log[0].detail.ends_with("password: set") && log[1].detail.ends_with("password: none"), "{log:?}");
    assert!(!log[0].detail.contains("$a hash"));
}

async fn emails_are_unique(house: &dyn House) {
    let store = house.open().await;
    create_account(&*store, 1).await;
    let same = NewAccount { email: "A1@EXAMPLE.com".to_owned(), ..account(2) };
    let refused = store.create_account(&same, &origin()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(store.latest().await.unwrap(), Seq(1));
    assert_not_found("account", store.account(&same.id).await);
    create_account(&*store, 2).await;
}

async fn unknown_things(house: &dyn House) {
    let store = house.open().await;
    let origin = origin();
    assert_eq!(store.latest().await.unwrap(), Seq(0));
    assert_not_found("account", store.account("nobody").await);
    assert_not_found("account", store.account("no@body").await);
    let disabled = AccountStatus::Disabled;
    assert_not_found("account", store.set_account_status("nobody", disabled, at(1), &origin).await);
    assert_not_found("account", store.set_account_scopes("nobody", None, at(1), &origin).await);
    assert_not_found("account", store.set_account_plan("nobody", Some("pro"), at(1), &origin).await);
    assert_not_found("account", store.set_account_plan("nobody", None, at(1), &origin).await);
    let limits = Overrides { per_day: Some(1), ..Overrides::default() };
    for limits in [&limits, &Overrides::default()] {
        assert_not_found("account", store.set_account_limits("nobody", limits, at(1), &origin).await);
        assert_not_found("key", store.set_key_limits("k", limits, at(1), &origin).await);
    }
    assert_not_found("account", store.create_key(&key("k", "nobody"), &origin).await);
    assert_not_found("key", store.key("k").await);
    assert_not_found("key", store.revoke_key("k", at(1), &origin).await);
    let found = store.find_key(digest("k")).await.unwrap();
    assert_eq!((found.as_of, found.key), (Seq(0), None));
    assert!(store.keys(Some("nobody"), None, 10).await.unwrap().items.is_empty());
    assert!(store.audit(Seq(0), 10).await.unwrap().is_empty());
}

async fn lists_come_in_pages(house: &dyn House) {
    let store = house.open().await;
    for number in 1..=5 {
        let account = create_account(&*store, number).await;
        create_key(&*store, &format!("key-{number}"), &account).await;
        create_key(&*store, &format!("key-{number}-other"), "account-001").await;
    }
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = store.accounts(after.as_deref(), 2).await.unwrap();
        pages.push(page.items.iter().map(|account| account.id.clone()).collect::<Vec<_>>());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(
        pages,
        [vec!["account-001", "account-002"], vec!["account-003", "account-004"], vec!["account-005"]]
    );
    assert_eq!(store.accounts(None, 5).await.unwrap().next, None);

    let first = store.keys(Some("account-001"), None, 4).await.unwrap();
    let ids: Vec<_> = first.items.iter().map(|key| &*key.id).collect();
    assert_eq!(ids, ["key-1", "key-1-other", "key-2-other", "key-3-other"]);
    let rest = store.keys(Some("account-001"), first.next.as_deref(), 4).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (2, None));
    assert_eq!(store.keys(None, None, 100).await.unwrap().items.len(), 10);
}

async fn keys_are_found(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    let made = key("k", &account);
    assert_eq!(store.create_key(&made, &origin()).await.unwrap(), Seq(2));
    let found = store.find_key(made.digest).await.unwrap();
    assert_eq!(found.as_of, Seq(2));
    let (key, owner) = found.key.unwrap();
    assert_eq!(key, made.key);
    assert_eq!(owner, store.account(&account).await.unwrap());
    assert_eq!(store.key("k").await.unwrap(), made.key);
    let found = store.find_key(digest("another")).await.unwrap();
    assert_eq!((found.as_of, found.key), (Seq(2), None));
}

async fn digests_are_unique(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    create_key(&*store, "k", &account).await;
    let mut same = key("other", &account);
    same.digest = digest("k");
    let refused = store.create_key(&same, &origin()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_not_found("key", store.key("other").await);
    assert_eq!(store.latest().await.unwrap(), Seq(2));
}

async fn accounts_change(house: &dyn House) {
    let store = house.open().await;
    let id = create_account(&*store, 1).await;
    create_key(&*store, "k", &id).await;
    let origin = origin();
    let seen = || async { store.find_key(digest("k")).await.unwrap().key.unwrap().1 };
    store.set_account_status(&id, AccountStatus::Disabled, at(3), &origin).await.unwrap();
    assert_eq!(seen().await.status, AccountStatus::Disabled);
    store.set_account_status(&id, AccountStatus::Active, at(4), &origin).await.unwrap();
    assert_eq!(seen().await.status, AccountStatus::Active);
    for choice in [Some(scopes("a b")), Some(scopes("")), None] {
        store.set_account_scopes(&id, choice.as_ref(), at(5), &origin).await.unwrap();
        assert_eq!(seen().await.scopes, choice);
    }
    let again = store.set_account_scopes(&id, None, at(6), &origin).await.unwrap();
    assert_eq!(again, Seq(8));
}

async fn accounts_get_plans(house: &dyn House) {
    let store = house.open().await;
    let id = create_account(&*store, 1).await;
    create_key(&*store, "k", &id).await;
    let origin = origin();
    for (seq, plan, words) in
        [(3, Some("pro"), "plan: \"pro\""), (4, Some("free"), "\"free\""), (5, None, "plan: none")]
    {
        for _again in 0..2 {
            assert_eq!(store.set_account_plan(&id, plan, at(seq), &origin).await.unwrap(), Seq(seq));
        }
        let found = store.find_key(digest("k")).await.unwrap();
        assert_eq!((found.as_of, found.key.unwrap().1.plan.as_deref()), (Seq(seq), plan));
        let row = store.audit(Seq(seq - 1), 1).await.unwrap().remove(0);
        assert_eq!((&*row.action, row.subject, &*row.id), ("account.plan_set", Subject::Account, &*id));
        assert!(row.detail.contains(words), "{row:?}");
    }
    // Of another account nothing changes.
    let other = create_account(&*store, 2).await;
    store.set_account_plan(&id, Some("pro"), at(7), &origin).await.unwrap();
    assert_eq!(store.account(&other).await.unwrap().plan, None);
}

async fn revoking_is_idempotent(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    create_key(&*store, "k", &account).await;
    assert_eq!(store.revoke_key("k", at(5), &origin()).await.unwrap(), Seq(3));
    create_key(&*store, "another", &account).await;
    assert_eq!(store.revoke_key("k", at(9), &origin()).await.unwrap(), Seq(4));
    assert_eq!(store.key("k").await.unwrap().revoked_at, Some(at(5)));
    assert_eq!(store.key("another").await.unwrap().revoked_at, None);
    assert_eq!(store.latest().await.unwrap(), Seq(4));
}

async fn audit_agrees_with_changes(house: &dyn House) {
    let store = house.open().await;
    let id = create_account(&*store, 1).await;
    create_key(&*store, "k", &id).await;
    let origin = origin();
    store.set_account_status(&id, AccountStatus::Disabled, at(3), &origin).await.unwrap();
    store.set_account_status(&id, AccountStatus::Active, at(4), &origin).await.unwrap();
    store.set_account_scopes(&id, Some(&scopes("a b")), at(5), &origin).await.unwrap();
    store.revoke_key("k", at(6), &origin).await.unwrap();

    let log = store.audit(Seq(0), 100).await.unwrap();
    let told: Vec<_> = log.iter().map(|row| (row.seq.0, &*row.action, &*row.id, row.at.0)).collect();
    let expected = [
        (1, "account.created", &*id, 1_000),
        (2, "api_key.created", "k", 2_000),
        (3, "account.disabled", &*id, 3),
        (4, "account.enabled", &*id, 4),
        (5, "account.scopes_set", &*id, 5),
        (6, "api_key.revoked", "k", 6),
    ];
    assert_eq!(told, expected);
    assert!(log.iter().all(|row| row.origin == origin));
    assert!(log[4].detail.contains("a b") && log[1].detail.contains("10.0.0.0/8"));
    let secret = digest("k").hex();
    assert!(log.iter().all(|row| !row.detail.contains(&secret)));

    let changes = store.changes(Seq(0), 100).await.unwrap();
    for (row, change) in log.iter().zip(&changes) {
        assert_eq!((row.seq, row.subject, &row.id), (change.seq, change.subject, &change.id));
        assert_eq!(change.created, row.action.ends_with(".created"));
        assert_eq!(change.new_key, (row.seq == Seq(2)).then_some(digest("k")));
    }
    assert_eq!(changes.len(), log.len());
    assert_eq!(store.audit(Seq(4), 1).await.unwrap(), log[4..5]);
}

async fn digests_are_told(house: &dyn House) {
    let store = house.open().await;
    assert!(store.key_digests(None, 2).await.unwrap().items.is_empty());
    let account = create_account(&*store, 1).await;
    let ids: Vec<_> = (0..4).map(|number| format!("k{number}")).collect();
    for id in &ids {
        create_key(&*store, id, &account).await;
    }
    store.revoke_key("k1", at(6), &origin()).await.unwrap();
    for limit in 1..6 {
        let (mut seen, mut after) = (BTreeSet::new(), None);
        loop {
            let page = store.key_digests(after.as_deref(), limit).await.unwrap();
            assert!(page.items.len() <= limit as usize);
            seen.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, ids.iter().map(|id| digest(id).short()).collect(), "{limit} at once");
    }
    store.remove_dead_keys(at(7), 9, at(8), &origin()).await.unwrap();
    assert_eq!(store.key_digests(None, 9).await.unwrap().items.len(), 3);
    let created = store.changes(Seq(0), 9).await.unwrap().into_iter().filter(|change| change.created);
    let told: Vec<_> = created.map(|change| (change.id, change.new_key)).collect();
    assert_eq!(told[1..3], [("k0".to_owned(), Some(digest("k0"))), ("k1".to_owned(), None)]);
}

async fn feed_sees_other_handles(house: &dyn House) {
    let (here, there) = (house.open().await, house.open().await);
    let account = create_account(&*here, 1).await;
    assert_eq!(there.latest().await.unwrap(), Seq(1));
    create_key(&*there, "k", &account).await;
    let revoked = there.revoke_key("k", at(5), &origin()).await.unwrap();
    let changes = here.changes(Seq(1), 100).await.unwrap();
    let seen: Vec<_> = changes.iter().map(|c| (c.seq.0, c.subject, &*c.id, c.created)).collect();
    assert_eq!(seen, [(2, Subject::ApiKey, "k", true), (3, Subject::ApiKey, "k", false)]);
    assert_eq!(here.changes(Seq(1), 1).await.unwrap().len(), 1);
    let found = here.find_key(digest("k")).await.unwrap();
    assert_eq!(found.as_of, revoked);
    assert_eq!(found.key.unwrap().0.revoked_at, Some(at(5)));
}

async fn numbers_follow_commits(house: &dyn House) {
    const EACH: u32 = 25;
    let handles = [house.open().await, house.open().await];
    let account = create_account(&*handles[0], 1).await;
    let writer = |name: usize, store: SharedStore| {
        let account = account.clone();
        tokio::spawn(async move {
            let mut seen = Vec::new();
            for number in 0..EACH {
                let before = store.latest().await.unwrap();
                let seq = create_key(&*store, &format!("{name}-{number}"), &account).await;
                assert!(seq > before, "{seq} was seen before its change");
                seen.push(seq);
            }
            seen
        })
    };
    let writers = (0..4).map(|name| writer(name, SharedStore::clone(&handles[name % 2])));
    let numbers: Vec<Seq> = join_all(writers).await.into_iter().flat_map(Result::unwrap).collect();
    let distinct: BTreeSet<i64> = numbers.iter().map(|seq| seq.0).collect();
    assert_eq!(distinct.into_iter().collect::<Vec<_>>(), (2..=101).collect::<Vec<_>>());
    let log = handles[1].audit(Seq(0), 1_000).await.unwrap();
    assert!(log.iter().map(|row| row.seq.0).eq(1..=101));
}

async fn as_of_fits_its_snapshot(house: &dyn House) {
    const KEYS: usize = 30;
    let (here, there) = (house.open().await, house.open().await);
    let account = create_account(&*here, 1).await;
    for number in 0..KEYS {
        create_key(&*here, &format!("k{number}"), &account).await;
    }
    let revoking = async {
        let mut at_seq = Vec::new();
        for number in 0..KEYS {
            at_seq.push(here.revoke_key(&format!("k{number}"), at(5), &origin()).await.unwrap());
        }
        at_seq
    };
    let looking = async {
        let mut seen = Vec::new();
        for number in (0..KEYS).cycle().take(KEYS * 10) {
            let found = there.find_key(digest(&format!("k{number}"))).await.unwrap();
            seen.push((number, found.as_of, found.key.unwrap().0.revoked_at.is_some()));
        }
        seen
    };
    let (revoked, seen) = join(revoking, looking).await;
    for (number, as_of, is_revoked) in seen {
        assert_eq!(is_revoked, as_of >= revoked[number], "key {number} as of {as_of}");
    }
}

async fn dead_keys_are_removed(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    for (id, expires, revoked) in [
        ("alive", 900, None),
        ("expired-a", 100, None),
        ("expired-b", 199, None),
        ("revoked", 900, Some(150)),
        ("revoked-late", 900, Some(200)),
    ] {
        let mut new = key(id, &account);
        new.key.expires_at = at(expires);
        new.key.revoked_at = revoked.map(at);
        store.create_key(&new, &origin()).await.unwrap();
    }
    let remove = || async { store.remove_dead_keys(at(200), 2, at(1_000), &origin()).await.unwrap() };
    assert_eq!((remove().await, remove().await, remove().await), (2, 1, 0));
    let left = store.keys(None, None, 10).await.unwrap();
    let left: Vec<_> = left.items.iter().map(|key| &*key.id).collect();
    assert_eq!(left, ["alive", "revoked-late"]);
    assert_eq!(store.find_key(digest("expired-a")).await.unwrap().key, None);
    let removed = store.audit(Seq(6), 10).await.unwrap();
    assert!(removed.iter().all(|row| row.action == "api_key.removed" && row.at == at(1_000)));
    let ids: BTreeSet<_> = removed.iter().map(|row| &*row.id).collect();
    assert_eq!(ids, BTreeSet::from(["expired-a", "expired-b", "revoked"]));
}

fn assert_not_found<T: std::fmt::Debug>(what: &str, outcome: Result<T, StoreError>) {
    match outcome {
        Err(StoreError::NotFound(missing)) => assert_eq!(missing, what),
        other => panic!("expected that there is no such {what}, got {other:?}"),
    }
}

/// The port can be held as one object.
const _: fn(&dyn Store) = |_| ();
