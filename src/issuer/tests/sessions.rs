//! Refreshing, logging out, new passwords.

use super::login::{EMAIL, PASSWORD, home, plain, visitor};
use super::*;
use crate::auth::refresh_token::Beginning;
use crate::auth::token::{HashedToken, PlainToken};
use crate::issuer::Pair;
use crate::store::Ending;

const NEW: &str = "another horse entirely";

impl Desk {
    async fn refresh(&self, token: &str) -> Result<Pair, IssueError> {
        self.refresh_from("198.51.100.7", token).await
    }

    async fn refresh_from(&self, address: &str, token: &str) -> Result<Pair, IssueError> {
        self.issuer.refresh(token, address.parse().unwrap(), &self.origin).await
    }

    async fn begin(&self) -> Pair {
        self.login(EMAIL, PASSWORD, &home()).await.unwrap()
    }

    pub async fn ended(&self, session: &str) -> Option<Ending> {
        self.issuer.session(session).await.unwrap().ended.map(|(_, by)| by)
    }

    fn reuse_window(&mut self, window: Duration) {
        let mut identity = identity();
        identity.refresh.reuse_window = window;
        self.issuer.identity = Some(Arc::new(identity));
    }
}

fn invalid(outcome: Result<Pair, IssueError>) {
    let refused = outcome.unwrap_err();
    assert!(matches!(refused, IssueError::InvalidGrant), "{refused}");
}

#[tokio::test]
async fn each_refresh_token_gives_the_next() {
    let desk = desk().await;
    desk.person(EMAIL).await;
    let mut pair = desk.begin().await;
    for day in 1..=3 {
        desk.clock.set_wall(NOW.after(day * 29 * DAY));
        let next = desk.refresh(pair.refresh.expose()).await.unwrap();
        assert_eq!(next.session.id, pair.session.id);
        assert_ne!(next.refresh.expose(), pair.refresh.expose());
        assert_eq!(
            (desk.last_told().subject, desk.last_told().id),
            (Subject::Session, next.session.id.clone())
        );
        pair = next;
    }
    assert_eq!(pair.session.expires_at, NOW.after(90 * DAY));
    desk.clock.set_wall(NOW.after(90 * DAY - Duration::from_mins(1)));
    let last = desk.refresh(pair.refresh.expose()).await.unwrap();
    assert_eq!(last.access_expires_at, NOW.after(90 * DAY), "an access token outlives no session");
    desk.clock.set_wall(NOW.after(90 * DAY));
    invalid(desk.refresh(last.refresh.expose()).await);
}

/// Refresh tokens were kept by another digest once.
#[tokio::test]
async fn a_token_that_is_stored_as_before_is_exchanged_once() {
    let desk = desk().await;
    let account = desk.person(EMAIL).await;
    let stored = desk.issuer.store.login(EMAIL).await.unwrap().unwrap().password;
    let (mut new, token) = desk.issuer.new_session(&account, stored, &home()).unwrap();
    new.refresh = HashedToken::of(token.expose().as_bytes());
    desk.issuer.store.start_session(&new, &desk.origin).await.unwrap();
    let next = desk.refresh(token.expose()).await.unwrap();
    let last = desk.refresh(next.refresh.expose()).await.unwrap();
    assert_eq!(last.session.id, new.session.id);
    invalid(desk.refresh(token.expose()).await);
    assert_eq!(desk.ended(&new.session.id).await, Some(Ending::Reuse));
}

#[tokio::test]
async fn a_token_used_twice_ends_the_session_at_once() {
    let desk = desk().await;
    desk.person(EMAIL).await;
    let first = desk.begin().await;
    let second = desk.refresh(first.refresh.expose()).await.unwrap();
    let before = desk.told.0.lock().unwrap().len();
    invalid(desk.refresh(first.refresh.expose()).await);
    assert_eq!(desk.told.0.lock().unwrap().len(), before + 1, "whoever serves the session must hear of it");
    assert_eq!(desk.last_told().id, first.session.id);
    assert_eq!(desk.ended(&first.session.id).await, Some(Ending::Reuse));
    invalid(desk.refresh(second.refresh.expose()).await);
}

#[tokio::test]
async fn within_the_window_the_same_token_gives_the_same_successor() {
    let mut desk = desk().await;
    desk.reuse_window(Duration::from_secs(10));
    desk.person(EMAIL).await;
    let first = desk.begin().await;
    let second = desk.refresh(first.refresh.expose()).await.unwrap();
    desk.clock.set_wall(NOW.after(Duration::from_secs(9)));
    let again = desk.refresh(first.refresh.expose()).await.unwrap();
    assert_eq!(again.refresh.expose(), second.refresh.expose());
    assert!(is_well_formed(&Prefix::default(), Kind::RefreshToken, again.refresh.expose()));
    let third = desk.refresh(second.refresh.expose()).await.unwrap();
    assert_ne!(third.refresh.expose(), second.refresh.expose());
    // A part of the client that was slow is told what the others were told, and can go on as they did.
    let slow = desk.refresh(first.refresh.expose()).await.unwrap();
    assert_eq!(slow.refresh.expose(), second.refresh.expose());
    let next = desk.refresh(slow.refresh.expose()).await.unwrap();
    assert_eq!(next.refresh.expose(), third.refresh.expose());
    assert_eq!(desk.ended(&first.session.id).await, None);
    desk.clock.set_wall(NOW.after(Duration::from_secs(19)));
    invalid(desk.refresh(second.refresh.expose()).await);
    assert_eq!(desk.ended(&first.session.id).await, Some(Ending::Reuse));
}

#[tokio::test]
async fn within_the_window_another_client_is_a_thief() {
    let mut desk = desk().await;
    desk.reuse_window(Duration::from_secs(10));
    desk.person(EMAIL).await;
    for (first, second, same) in [
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("2001:db8:0:1::7", "2001:db8:0:1:ffff::1", true),
        ("2001:db8:0:1::7", "2001:db8:0:2::7", false),
    ] {
        let pair = desk.begin().await;
        desk.refresh_from(first, pair.refresh.expose()).await.unwrap();
        let again = desk.refresh_from(second, pair.refresh.expose()).await;
        assert_eq!(again.is_ok(), same, "{first} {second}");
        let ended = (!same).then_some(Ending::Reuse);
        assert_eq!(desk.ended(&pair.session.id).await, ended, "{first} {second}");
    }
    let pair = desk.begin().await;
    let next = desk.refresh_from("192.0.2.1", pair.refresh.expose()).await.unwrap();
    desk.refresh_from("192.0.2.2", next.refresh.expose()).await.unwrap();
    invalid(desk.refresh_from("192.0.2.1", pair.refresh.expose()).await);
    assert_eq!(desk.ended(&pair.session.id).await, Some(Ending::Reuse), "its successor is elsewhere too");
}

#[tokio::test]
async fn without_a_window_a_successor_follows_from_nothing() {
    let desk = desk().await;
    desk.person(EMAIL).await;
    let first = desk.begin().await;
    let second = desk.refresh(first.refresh.expose()).await.unwrap();
    let derived = desk.issuer.derived(first.refresh.expose(), &desk.origin).await.unwrap();
    assert_ne!(second.refresh.expose(), derived.expose());
    let again = desk.issuer.derived(first.refresh.expose(), &desk.origin).await.unwrap();
    assert_eq!(derived.expose(), again.expose());
}

/// A store has them side by side then, however many there are of others.
#[tokio::test]
async fn all_tokens_of_a_session_begin_with_when_it_began() {
    for window in [Duration::ZERO, Duration::from_secs(5)] {
        let mut desk = desk().await;
        desk.reuse_window(window);
        desk.person(EMAIL).await;
        let mut pair = desk.begin().await;
        let began = Beginning::at(pair.session.created_at);
        for _ in 0..3 {
            assert_eq!(Beginning::of(pair.refresh.expose()), began);
            pair = desk.refresh(pair.refresh.expose()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_no_refresh_token_is_told_the_same() {
    let desk = desk().await;
    desk.person(EMAIL).await;
    let made = desk.key(&asked("a key", &[])).await.unwrap();
    let unknown = PlainToken::generate(&Prefix::default(), Kind::RefreshToken, &System::default()).unwrap();
    for word in ["", "kw_rt_", "junk", made.token.expose(), unknown.expose(), "kw_rt_\u{0}"] {
        invalid(desk.refresh(word).await);
    }
}

#[tokio::test]
async fn logging_out_and_revoking_end_a_session_and_are_told() {
    let desk = desk().await;
    let account = desk.person(EMAIL).await;
    let (one, two) = (desk.begin().await, desk.begin().await);
    desk.issuer.logout(&one.session.id, &desk.origin).await.unwrap();
    assert_eq!((desk.last_told().subject, &*desk.last_told().id), (Subject::Session, &*one.session.id));
    desk.issuer.revoke_session(&two.session.id, &desk.origin).await.unwrap();
    assert_eq!(desk.last_told().id, two.session.id);
    for (pair, ending) in [(&one, Ending::Logout), (&two, Ending::Revoked)] {
        assert_eq!(desk.ended(&pair.session.id).await, Some(ending));
        invalid(desk.refresh(pair.refresh.expose()).await);
    }
    let other = desk.account("b@example.com").await;
    desk.issuer.session_of(&account.id, &one.session.id).await.unwrap();
    let refused = desk.issuer.session_of(&other.id, &one.session.id).await.unwrap_err();
    assert!(matches!(refused, IssueError::NotFound("session")), "{refused}");
}

#[tokio::test]
async fn another_password_ends_every_session_and_begins_one() {
    let desk = desk().await;
    let account = desk.person(EMAIL).await;
    let (here, there) = (desk.begin().await, desk.begin().await);
    let change = async |old: &str, new: &str| {
        let words = [plain(old), plain(new)];
        desk.issuer.change_password(&account.id, words, &home(), &desk.origin).await
    };
    let wrong = change("not the old one", NEW).await.unwrap_err();
    assert!(matches!(wrong, IssueError::WrongLogin), "{wrong}");
    let weak = change(PASSWORD, "password").await.unwrap_err();
    assert_eq!(weak.to_string(), "the password is one of the most common; choose another");
    assert_eq!(desk.ended(&there.session.id).await, None);
    let begun = change(PASSWORD, NEW).await.unwrap();
    assert_eq!((desk.last_told().subject, desk.last_told().id), (Subject::Account, account.id.clone()));
    for before in [&here, &there] {
        assert_eq!(desk.ended(&before.session.id).await, Some(Ending::PasswordChanged));
        invalid(desk.refresh(before.refresh.expose()).await);
    }
    assert_eq!(desk.ended(&begun.session.id).await, None);
    desk.refresh(begun.refresh.expose()).await.unwrap();
    desk.login(EMAIL, PASSWORD, &home()).await.unwrap_err();
    desk.login(EMAIL, NEW, &home()).await.unwrap();
    desk.issuer.set_password(EMAIL, plain(PASSWORD), &desk.origin).await.unwrap();
    assert_eq!(desk.ended(&begun.session.id).await, Some(Ending::PasswordChanged));
}

#[tokio::test]
async fn a_reset_link_sets_one_password_within_an_hour() {
    let desk = desk().await;
    let account = desk.person(EMAIL).await;
    let pair = desk.begin().await;
    let link = desk.issuer.make_reset_link(EMAIL, &desk.origin).await.unwrap();
    let token = link.url.strip_prefix("https://auth.example.com/console/reset?token=").unwrap();
    assert_eq!(link.expires_at, NOW.after(Duration::from_hours(1)));
    assert_eq!(desk.issuer.reset_link(token).await.unwrap().id, account.id);
    let reset =
        async |token: &str, word: &str| desk.issuer.reset_password(token, plain(word), &desk.origin).await;
    let weak = reset(token, "short").await.unwrap_err();
    assert!(matches!(weak, IssueError::Invalid(_)), "{weak}");
    reset(token, NEW).await.unwrap();
    assert_eq!(desk.ended(&pair.session.id).await, Some(Ending::PasswordChanged));
    desk.login(EMAIL, NEW, &home()).await.unwrap();
    let late = desk.issuer.make_reset_link(EMAIL, &desk.origin).await.unwrap();
    let late = late.url.rsplit('=').next().unwrap();
    desk.clock.set_wall(NOW.after(Duration::from_hours(1)));
    for dead in [token, late, "junk", pair.refresh.expose()] {
        assert!(matches!(reset(dead, PASSWORD).await, Err(IssueError::InvalidLink)), "{dead}");
        assert!(matches!(desk.issuer.reset_link(dead).await, Err(IssueError::InvalidLink)));
    }
    desk.login(EMAIL, NEW, &home()).await.unwrap();
}

#[tokio::test]
async fn disabling_an_account_ends_all_it_has() {
    let desk = desk().await;
    desk.person(EMAIL).await;
    let pair = desk.begin().await;
    let link = desk.issuer.make_reset_link(EMAIL, &desk.origin).await.unwrap();
    let set = async |status| desk.issuer.set_account_status(EMAIL, status, &desk.origin).await.unwrap();
    set(AccountStatus::Disabled).await;
    assert_eq!(desk.ended(&pair.session.id).await, Some(Ending::AccountDisabled));
    invalid(desk.refresh(pair.refresh.expose()).await);
    desk.login(EMAIL, PASSWORD, &home()).await.unwrap_err();
    let token = link.url.rsplit('=').next().unwrap();
    assert!(matches!(desk.issuer.reset_link(token).await, Err(IssueError::InvalidLink)));
    let refused = desk.issuer.make_reset_link(EMAIL, &desk.origin).await.unwrap_err();
    assert!(matches!(refused, IssueError::AccountDisabled));
    set(AccountStatus::Active).await;
    assert!(matches!(desk.issuer.reset_link(token).await, Err(IssueError::InvalidLink)), "nor afterwards");
    invalid(desk.refresh(pair.refresh.expose()).await);
    desk.login(EMAIL, PASSWORD, &visitor("203.0.113.1")).await.unwrap();
}
