//! Passwords, reset links and secrets.

use keyward::store::{
    AccountStatus, Ending, NewSession, PasswordChange, PrivateKey, Proof, ResetLink, Seq, SharedStore,
};

use super::super::sample::{at, create_account, digest, origin, session, start_session};
use super::sessions::assert_conflict;
use super::{Case, House, assert_not_found};

pub const CASES: &[(&str, Case)] = &[
    ("who logs in is found with what its password is held against", |h| Box::pin(logins_are_found(h))),
    ("a new password ends the account's sessions, and begins one in their place", |h| {
        Box::pin(sessions_end(h))
    }),
    ("a password is set only while its proof holds", |h| Box::pin(proofs_must_hold(h))),
    ("a reset link works once, and the newest alone", |h| Box::pin(links_work_once(h))),
    ("a secret is made once", |h| Box::pin(secrets_are_made_once(h))),
    ("leftovers are removed in bounded batches", |h| Box::pin(leftovers_are_removed(h))),
];

fn change(account: &str, password: &str, proof: Proof) -> PasswordChange {
    let (account_id, password) = (account.to_owned(), password.to_owned());
    PasswordChange { account_id, password, proof, begins: None }
}

fn link(account: &str, name: &str, expires: i64) -> ResetLink {
    ResetLink {
        digest: digest(name),
        account_id: account.to_owned(),
        created_at: at(3_000),
        expires_at: at(expires),
    }
}

async fn password(store: &SharedStore) -> Option<String> {
    store.login("a1@example.com").await.unwrap().unwrap().password
}

async fn logins_are_found(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    assert_eq!(store.login("nobody@example.com").await.unwrap(), None);
    assert_eq!(password(&store).await, None);
    let seq = store.set_password(&change(&account, "$first", Proof::Operator), at(4_000), &origin()).await;
    assert_eq!(seq.unwrap(), Seq(2));
    let login = store.login("A1@EXAMPLE.com").await.unwrap().unwrap();
    assert_eq!((&*login.account.id, login.password.as_deref()), (&*account, Some("$first")));
    let row = &store.audit(Seq(1), 9).await.unwrap()[0];
    assert_eq!((&*row.action, &*row.id, row.at), ("account.password_set", &*account, at(4_000)));
    assert!(!row.detail.contains("$first"), "{}", row.detail);
    assert_not_found(
        "account",
        store.set_password(&change("x", "y", Proof::Operator), at(1), &origin()).await,
    );
}

async fn sessions_end(house: &dyn House) {
    let store = house.open().await;
    let (one, two) = (create_account(&*store, 1).await, create_account(&*store, 2).await);
    for (id, account) in [("a", &one), ("b", &one), ("c", &one), ("other", &two)] {
        start_session(&*store, id, account).await;
    }
    store.end_session("c", Ending::Logout, at(3_500), &origin()).await.unwrap();
    store.set_password(&change(&one, "$1", Proof::Operator), at(3_600), &origin()).await.unwrap();
    let again = NewSession { password: Some("$1".to_owned()), ..session("d", &one) };
    store.start_session(&again, &origin()).await.unwrap();
    let more = NewSession { password: Some("$1".to_owned()), ..session("e", &one) };
    store.start_session(&more, &origin()).await.unwrap();
    let begins = NewSession { password: Some("$2".to_owned()), ..session("f", &one) };
    let with = PasswordChange { begins: Some(begins), ..change(&one, "$2", Proof::Old("$1".to_owned())) };
    store.set_password(&with, at(4_000), &origin()).await.unwrap();
    let expected = [
        ("a", Some((at(3_600), Ending::PasswordChanged))),
        ("b", Some((at(3_600), Ending::PasswordChanged))),
        ("c", Some((at(3_500), Ending::Logout))),
        ("d", Some((at(4_000), Ending::PasswordChanged))),
        ("e", Some((at(4_000), Ending::PasswordChanged))),
        ("f", None),
        ("other", None),
    ];
    for (id, ended) in expected {
        assert_eq!(store.session(id).await.unwrap().ended, ended, "{id}");
    }
    // Whoever had waited too long does not come back with a clock that is set back.
    let mut idle = NewSession { password: Some("$2".to_owned()), ..session("idle", &one) };
    idle.session.expires_at = at(4_500);
    store.start_session(&idle, &origin()).await.unwrap();
    store.set_password(&change(&one, "$3", Proof::Operator), at(5_000), &origin()).await.unwrap();
    let idle = store.session("idle").await.unwrap();
    assert!(!idle.is_alive(at(4_400)), "{idle:?}");
    let told = store.audit(Seq(0), 99).await.unwrap();
    let ended = told.iter().filter(|row| row.detail.contains("sessions ended: 2")).count();
    assert_eq!(ended, 3, "{told:?}");
}

async fn proofs_must_hold(house: &dyn House) {
    let store = house.open().await;
    let account = create_account(&*store, 1).await;
    store.set_password(&change(&account, "$1", Proof::Operator), at(3_000), &origin()).await.unwrap();
    let begins = NewSession { password: Some("$2".to_owned()), ..session("begun", &account) };
    let stale =
        PasswordChange { begins: Some(begins), ..change(&account, "$2", Proof::Old("$0".to_owned())) };
    assert_conflict(&store.set_password(&stale, at(4_000), &origin()).await);
    assert_not_found("session", store.session("begun").await);
    let unknown = Proof::Link(digest("no such link"));
    assert_conflict(&store.set_password(&change(&account, "$2", unknown), at(4_000), &origin()).await);
    assert_eq!((password(&store).await.as_deref(), store.latest().await.unwrap()), (Some("$1"), Seq(2)));
    // Between the check of the old password and the start of the session.
    let late = NewSession { password: Some("$0".to_owned()), ..session("s", &account) };
    assert_conflict(&store.start_session(&late, &origin()).await);
}

async fn links_work_once(house: &dyn House) {
    let store = house.open().await;
    let (one, two) = (create_account(&*store, 1).await, create_account(&*store, 2).await);
    let make = |new: ResetLink| {
        let store = store.clone();
        async move { store.create_reset_link(&new, &origin()).await.unwrap() }
    };
    let set = |account: String, name: &'static str, millis| {
        let store = store.clone();
        async move {
            let change = change(&account, "$new", Proof::Link(digest(name)));
            store.set_password(&change, at(millis), &origin()).await
        }
    };
    make(link(&one, "old", 9_000)).await;
    make(link(&one, "new", 9_000)).await;
    make(link(&two, "twos", 9_000)).await;
    assert_not_found("account", store.create_reset_link(&link("nobody", "x", 9_000), &origin()).await);
    let found = store.reset_link(digest("new")).await.unwrap().unwrap();
    assert_eq!((found.0, &*found.1.id), (link(&one, "new", 9_000), &*one));
    assert_conflict(&set(one.clone(), "old", 4_000).await);
    assert_conflict(&set(one.clone(), "twos", 4_000).await);
    assert_conflict(&set(one.clone(), "new", 9_000).await);
    set(one.clone(), "new", 8_999).await.unwrap();
    assert_conflict(&set(one.clone(), "new", 8_999).await);
    assert_eq!(store.reset_link(digest("new")).await.unwrap(), None);
    // A password that is set otherwise ends the link too.
    store.set_password(&change(&two, "$2", Proof::Operator), at(4_000), &origin()).await.unwrap();
    assert_conflict(&set(two, "twos", 5_000).await);
    make(link(&one, "last", 9_000)).await;
    store.set_account_status(&one, AccountStatus::Disabled, at(1), &origin()).await.unwrap();
    assert_eq!(store.reset_link(digest("last")).await.unwrap(), None);
    assert_conflict(&store.create_reset_link(&link(&one, "x", 9_000), &origin()).await);
    store.set_account_status(&one, AccountStatus::Active, at(1), &origin()).await.unwrap();
    assert_conflict(&set(one, "last", 5_000).await);
    let log = store.audit(Seq(0), 99).await.unwrap();
    assert_eq!(log.iter().filter(|row| row.action == "account.reset_link_made").count(), 4);
    assert!(log.iter().all(|row| !row.detail.contains(&digest("new").hex())));
}

async fn secrets_are_made_once(house: &dyn House) {
    let (here, there) = (house.open().await, house.open().await);
    let fresh = |text: &str| PrivateKey::new(text.to_owned().into());
    let first = here.secret("refresh", &fresh("one"), at(1), &origin()).await.unwrap();
    let second = there.secret("refresh", &fresh("two"), at(2), &origin()).await.unwrap();
    assert_eq!((first.expose(), second.expose()), ("one", "one"));
    let log = here.audit(Seq(0), 9).await.unwrap();
    assert_eq!((log.len(), &*log[0].action, &*log[0].detail), (1, "secret.created", ""));
}

async fn leftovers_are_removed(house: &dyn House) {
    let store = house.open().await;
    for number in 1..=3 {
        let account = create_account(&*store, number).await;
        let expires = i64::from(number) * 1_000;
        store.create_reset_link(&link(&account, &account, expires), &origin()).await.unwrap();
    }
    assert_eq!(store.remove_leftovers(at(3_000), 1).await.unwrap(), 1);
    assert_eq!(store.remove_leftovers(at(3_000), 9).await.unwrap(), 1);
    assert_eq!(store.remove_leftovers(at(3_000), 9).await.unwrap(), 0);
    assert!(store.reset_link(digest("account-003")).await.unwrap().is_some());
}
