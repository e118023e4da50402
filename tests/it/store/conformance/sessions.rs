//! Sessions and their ends.

use std::time::Duration;

use keyward::store::{AccountStatus, Ending, NewSession, Refresh, Seq, Started, StoreError, Subject};

use super::super::sample::{at, create_account, create_key, digest, origin, session, start_session};
use super::{Case, House, assert_not_found};

pub const CASES: &[(&str, Case)] = &[
    ("a session is found by its id, with its account", |h| Box::pin(sessions_are_found(h))),
    ("what is no session is not found", |h| Box::pin(unknown_sessions(h))),
    ("an account that may not log in gets no session", |h| Box::pin(who_may_not_log_in(h))),
    ("where an account lately logged in from is known, however many sessions it has", |h| {
        Box::pin(places(h))
    }),
    ("ending a session again keeps the first time and writes nothing", |h| Box::pin(ending_is_idempotent(h))),
    ("an account has so many sessions at most; the one used longest ago makes room", |h| {
        Box::pin(a_bound(h))
    }),
    ("the newest of an account's living sessions are told, the newest first", |h| Box::pin(the_newest(h))),
    ("lists hold the living, in pages", |h| Box::pin(lists_hold_the_living(h))),
    ("every start and end of a session is in the audit log and the feed", |h| Box::pin(all_is_audited(h))),
];

async fn sessions_are_found(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    let new = session("s", &account);
    assert_eq!(store.start_session(&new, &origin()).await.unwrap().seq, Seq(2));
    let found = store.find_session("s").await.unwrap();
    assert_eq!(found.as_of, Seq(2));
    let (session, owner) = found.session.unwrap();
    assert_eq!(session, new.session);
    assert_eq!(owner, store.account(&account).await.unwrap());
    assert_eq!(store.session("s").await.unwrap(), new.session);
    store.set_account_status(&account, AccountStatus::Active, at(4), &origin()).await.unwrap();
    assert_eq!(store.find_session("s").await.unwrap().as_of, Seq(3));
    store.set_account_plan(&account, Some("pro"), at(5), &origin()).await.unwrap();
    let found = store.find_session("s").await.unwrap();
    assert_eq!((found.as_of, found.session.unwrap().1.plan.as_deref()), (Seq(4), Some("pro")));
}

async fn unknown_sessions(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    start_session(&*store, "s", &account).await;
    let found = store.find_session("another").await.unwrap();
    assert_eq!((found.as_of, found.session), (Seq(2), None));
    assert_not_found("session", store.session("another").await);
    assert_not_found("session", store.end_session("another", Ending::Logout, at(1), &origin()).await);
    assert_eq!(store.latest().await.unwrap(), Seq(2));
}

async fn who_may_not_log_in(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    assert_not_found("account", store.start_session(&session("s", "nobody"), &origin()).await);
    let other = NewSession { password: Some("$argon2id$another".to_owned()), ..session("s", &account) };
    assert_conflict(&store.start_session(&other, &origin()).await);
    store.set_account_status(&account, AccountStatus::Disabled, at(4), &origin()).await.unwrap();
    assert_conflict(&store.start_session(&session("s", &account), &origin()).await);
    assert_not_found("session", store.session("s").await);
    assert_eq!(store.latest().await.unwrap(), Seq(2));
}

async fn places(house: &dyn House) {
    let store = house.open().await;
    let (one, two) = (create_account(&*store, 1).await, create_account(&*store, 2).await);
    for (id, from, ending) in [
        ("home", "home", None),
        ("over", "over", Some(Ending::Logout)),
        ("crowded", "crowded", Some(Ending::TooMany)),
        ("thief", "thief", Some(Ending::PasswordChanged)),
        ("ended", "ended", Some(Ending::Revoked)),
    ] {
        let new = NewSession { subscriber: from.to_owned(), ..session(id, &one) };
        store.start_session(&new, &origin()).await.unwrap();
        if let Some(ending) = ending {
            store.end_session(id, ending, at(4_000), &origin()).await.unwrap();
        }
    }
    // The hundred oldest and more are from elsewhere.
    for number in 0..150 {
        start_session(&*store, &format!("0{number}"), &one).await;
    }
    for (account, from, since, known) in [
        (&*one, "home", 2_999, true),
        (&*one, "home", 3_000, false),
        (&*one, "over", 0, true),
        (&*one, "crowded", 0, true),
        (&*one, "thief", 0, false),
        (&*one, "ended", 0, false),
        (&*one, "elsewhere", 0, false),
        (&*two, "home", 0, false),
        ("", "home", 0, false),
    ] {
        assert_eq!(store.has_logged_in(account, from, at(since)).await.unwrap(), known, "{account} {from}");
    }
}

async fn ending_is_idempotent(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    start_session(&*store, "s", &account).await;
    let end = |ending, millis| {
        let store = store.clone();
        async move { store.end_session("s", ending, at(millis), &origin()).await.unwrap() }
    };
    assert_eq!(end(Ending::Logout, 5_000).await, Seq(3));
    create_key(&*store, "k", &account).await;
    assert_eq!(end(Ending::Revoked, 9_000).await, Seq(4));
    let (session, _) = store.find_session("s").await.unwrap().session.unwrap();
    assert_eq!(session.ended, Some((at(5_000), Ending::Logout)));
    assert!(!session.is_alive(at(4_000)));
    assert_eq!(store.latest().await.unwrap(), Seq(4));
}

async fn a_bound(house: &dyn House) {
    let store = house.open().await;
    let (one, two) = (create_account(&*store, 1).await, create_account(&*store, 2).await);
    let start = async |id: &str, account: &str, millis| {
        let mut new = NewSession { most: 3, ..session(id, account) };
        (new.session.created_at, new.session.last_used_at) = (at(millis), at(millis));
        store.start_session(&new, &origin()).await.unwrap()
    };
    for (id, account, millis) in [("a", &one, 3_000), ("b", &one, 3_001), ("other", &two, 3_000)] {
        assert_eq!(start(id, account, millis).await.ended, [""; 0]);
    }
    let mut over = NewSession { most: 3, ..session("over", &one) };
    over.session.expires_at = at(3_001);
    store.start_session(&over, &origin()).await.unwrap();
    assert_eq!(start("c", &one, 3_002).await.ended, [""; 0], "who is dead takes no room");
    let refreshed = Refresh {
        presented: digest("a"),
        presented_plain: digest("as before"),
        successor: digest("a2"),
        idle: Duration::from_secs(7),
        reuse_window: Duration::ZERO,
        from: "192.0.2.7".to_owned(),
        at: at(3_003),
    };
    store.refresh(&refreshed, &origin()).await.unwrap();
    let before = store.latest().await.unwrap();
    assert_eq!(
        start("d", &one, 4_000).await,
        Started { seq: Seq(before.0 + 2), ended: vec!["b".to_owned()] }
    );
    let log = store.audit(before, 9).await.unwrap();
    let told: Vec<_> = log.iter().map(|row| (&*row.action, &*row.id, &*row.detail)).collect();
    assert_eq!(told[0], ("session.ended", "b", "by: too_many"));
    assert_eq!((told[1].0, told[1].1), ("session.started", "d"));
    assert_eq!(store.session("b").await.unwrap().ended, Some((at(4_000), Ending::TooMany)));
    // Where there were more before there was a bound, they come down to it.
    for number in 0..5 {
        start_session(&*store, &format!("e{number}"), &one).await;
    }
    assert_eq!(start("f", &one, 5_000).await.ended, ["e0", "e1", "e2", "e3", "e4", "c"]);
    let living = store.sessions(Some(&one), at(5_000), None, 9).await.unwrap().items;
    assert_eq!(living.into_iter().map(|session| session.id).collect::<Vec<_>>(), ["a", "d", "f"]);
    // Whoever may not log in ends nothing.
    let refused = NewSession { most: 1, password: Some("$other".to_owned()), ..session("x", &one) };
    assert_conflict(&store.start_session(&refused, &origin()).await);
    assert!(store.session("a").await.unwrap().ended.is_none());
}

async fn the_newest(house: &dyn House) {
    let store = house.open().await;
    let (one, two) = (create_account(&*store, 1).await, create_account(&*store, 2).await);
    for (id, account) in [("a", &one), ("b", &one), ("c", &two), ("d", &one), ("e", &one)] {
        start_session(&*store, id, account).await;
    }
    store.end_session("d", Ending::Logout, at(3_500), &origin()).await.unwrap();
    for (limit, ids) in [(2, "eb"), (9, "eba")] {
        let newest = store.newest_sessions(&one, at(4_000), limit).await.unwrap();
        assert_eq!(newest.into_iter().map(|session| session.id).collect::<String>(), ids);
    }
    assert_eq!(store.newest_sessions("nobody", at(4_000), 9).await.unwrap(), []);
}

async fn lists_hold_the_living(house: &dyn House) {
    let store = house.open().await;
    let (one, two) = (create_account(&*store, 1).await, create_account(&*store, 2).await);
    for (id, account) in [("a", &one), ("b", &one), ("c", &two), ("d", &one), ("e", &one)] {
        start_session(&*store, id, account).await;
    }
    let mut over = session("over", &one);
    over.session.expires_at = at(4_000);
    store.start_session(&over, &origin()).await.unwrap();
    store.end_session("b", Ending::Logout, at(3_500), &origin()).await.unwrap();
    let list = |account, after, limit| {
        let store = store.clone();
        async move {
            let page = store.sessions(account, at(4_000), after, limit).await.unwrap();
            (page.items.into_iter().map(|session| session.id).collect::<Vec<_>>().concat(), page.next)
        }
    };
    assert_eq!(list(None, None, 9).await, ("acde".to_owned(), None));
    assert_eq!(list(Some(&*one), None, 2).await, ("ad".to_owned(), Some("d".to_owned())));
    assert_eq!(list(Some(&*one), Some("d"), 2).await, ("e".to_owned(), None));
    assert_eq!(list(Some("nobody"), None, 9).await, (String::new(), None));
}

async fn all_is_audited(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    start_session(&*store, "s", &account).await;
    store.end_session("s", Ending::Revoked, at(5_000), &origin()).await.unwrap();
    let log = store.audit(Seq(1), 10).await.unwrap();
    let told: Vec<_> = log.iter().map(|row| (&*row.action, &*row.id, row.at.0)).collect();
    assert_eq!(told, [("session.started", "s", 3_000), ("session.ended", "s", 5_000)]);
    assert!(log[0].detail.contains(&account) && log[1].detail.contains("revoked"), "{log:?}");
    let secret = digest("s").hex();
    assert!(log.iter().all(|row| row.origin == origin() && !row.detail.contains(&secret)));
    let changes = store.changes(Seq(1), 10).await.unwrap();
    assert!(changes.iter().all(|change| (change.subject, &*change.id) == (Subject::Session, "s")));
}

pub fn assert_conflict<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Conflict(_))), "{outcome:?}");
}
