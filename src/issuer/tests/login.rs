//! Logging in, and what nobody can tell from being refused.

use zeroize::Zeroizing;

use super::*;
use crate::issuer::{Pair, Visitor};
use crate::store::{Ending, PasswordChange, Proof};

pub const EMAIL: &str = "a@example.com";
pub const PASSWORD: &str = "correct horse battery staple";

pub fn plain(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

pub fn visitor(address: &str) -> Visitor {
    Visitor { address: address.parse().unwrap(), browser: None, agent: "curl/8\u{202e}\n".to_owned() }
}

pub fn home() -> Visitor {
    visitor("198.51.100.7")
}

impl Desk {
    /// An account with a password.
    pub async fn person(&self, email: &str) -> crate::store::Account {
        let account = self.account(email).await;
        self.issuer.set_password(&account.id, plain(PASSWORD), &self.origin).await.unwrap()
    }

    pub async fn login(&self, email: &str, password: &str, from: &Visitor) -> Result<Pair, IssueError> {
        self.issuer.login(email, plain(password), from, &self.origin).await
    }

    /// A session from elsewhere, without the work of a login.
    async fn begin_elsewhere(&self, account: &crate::store::Account) {
        let elsewhere = visitor("203.0.113.200");
        let stored = self.issuer.store.login(&account.email).await.unwrap().unwrap().password;
        let begun = self.issuer.start_session(account.clone(), stored, &elsewhere, &self.origin).await;
        begun.unwrap();
    }

    /// What is left after a restart: the store.
    fn restarted(mut self) -> Self {
        self.issuer.door = Arc::new(Door::new(None, &self.issuer.clock));
        self
    }

    fn runs(&self) -> u64 {
        self.issuer.door.hasher.runs()
    }
}

#[tokio::test]
async fn who_knows_the_password_gets_a_session_and_its_first_tokens() {
    let desk = desk().await;
    let account = desk.person(EMAIL).await;
    let pair = desk.login("A@Example.COM", PASSWORD, &home()).await.unwrap();
    assert_eq!((&pair.account, pair.scopes.as_str()), (&account, "orders:read"));
    let minutes = |minutes| NOW.after(Duration::from_mins(minutes));
    assert_eq!((pair.issued_at, pair.access_expires_at), (NOW, minutes(15)));
    let session = &pair.session;
    assert_eq!((session.expires_at, session.ends_at), (NOW.after(30 * DAY), NOW.after(90 * DAY)));
    assert_eq!((&*session.address, &*session.agent), ("198.51.100.7", "curl/8"));
    assert!(is_well_formed(&Prefix::default(), Kind::RefreshToken, pair.refresh.expose()));
    let told = desk.last_told();
    assert_eq!((told.subject, &told.id), (Subject::Session, &session.id));
    assert_eq!(desk.issuer.session(&session.id).await.unwrap(), *session);
}

#[tokio::test]
async fn a_scope_that_is_taken_out_of_the_catalogue_is_in_no_pair() {
    let mut desk = desk().await;
    desk.person(EMAIL).await;
    let both = ScopesChoice::These(vec!["orders:read".to_owned(), "orders:write".to_owned()]);
    desk.issuer.set_account_scopes(EMAIL, &both, &desk.origin).await.unwrap();
    let pair = desk.login(EMAIL, PASSWORD, &home()).await.unwrap();
    assert_eq!(pair.scopes.as_str(), "orders:read orders:write");
    let read = ScopeSet::parse("orders:read").unwrap();
    desk.issuer.catalogue = Arc::new(Catalogue::new(read.clone(), read));
    let later = desk.login(EMAIL, PASSWORD, &home()).await.unwrap();
    let address = "198.51.100.7".parse().unwrap();
    let refreshed = desk.issuer.refresh(pair.refresh.expose(), address, &desk.origin).await.unwrap();
    assert_eq!((later.scopes.as_str(), refreshed.scopes.as_str()), ("orders:read", "orders:read"));
}

#[tokio::test]
async fn how_logins_end_is_counted_and_whom_they_aim_at_under_any_configuration() {
    use crate::telemetry::metrics::LoginOutcome;
    let desk = desk().await;
    let (one, two) = (desk.person(EMAIL).await, desk.person("b@example.com").await);
    let yaml = "identity: { public_url: https://other.example.com }";
    let loaded = config::parse(yaml, "test", std::path::Path::new("/"), &|_| None).unwrap();
    let later = desk.issuer.under(&loaded.config);
    desk.login(EMAIL, PASSWORD, &home()).await.unwrap();
    for _ in 0..2 {
        desk.login("B@Example.com", "wrong", &visitor("203.0.113.1")).await.unwrap_err();
    }
    desk.login("nobody@example.com", "wrong", &visitor("203.0.113.2")).await.unwrap_err();
    while !matches!(desk.login(EMAIL, "wrong", &visitor("203.0.113.3")).await, Err(IssueError::Wait(_))) {}
    let logins = later.logins();
    let failures = logins.take_failures().unwrap();
    assert_eq!((failures.accounts, failures.delayed), (2, 1));
    assert_eq!(failures.most, [one.id, two.id]);
    let totals = LoginOutcome::ALL.map(|outcome| logins.total(outcome));
    assert_eq!(totals, [1, failures.wrong, 1]);
    assert!(failures.wrong > 3, "{failures:?}");
}

#[tokio::test]
async fn an_account_is_made_with_its_password_in_one_change() {
    let desk = desk().await;
    let asked = NewAccount { email: EMAIL.to_owned(), scopes: ScopesChoice::Defaults };
    let made = desk.issuer.create_person(&asked, plain(PASSWORD), &desk.origin).await.unwrap();
    let told = desk.told.0.lock().unwrap().clone();
    assert_eq!(
        told,
        [Change { seq: Seq(1), subject: Subject::Account, id: made.id, created: true, new_key: None }]
    );
    assert_eq!(desk.issuer.store.latest().await.unwrap(), Seq(1), "no moment in between, without a password");
    desk.login(EMAIL, PASSWORD, &home()).await.unwrap();
}

#[tokio::test]
async fn letters_are_the_same_however_they_are_written() {
    const COMPOSED: &str = "gr\u{fc}n und blau und rot";
    const DECOMPOSED: &str = "gru\u{308}n und blau und rot";
    let desk = desk().await;
    let asked = NewAccount { email: "Ju\u{308}rgen@example.com".to_owned(), scopes: ScopesChoice::Defaults };
    let account = desk.issuer.create_person(&asked, plain(DECOMPOSED), &desk.origin).await.unwrap();
    assert_eq!(account.email, "J\u{fc}rgen@example.com");
    for email in ["j\u{fc}rgen@example.com", "JU\u{308}RGEN@example.com"] {
        for password in [COMPOSED, DECOMPOSED] {
            desk.login(email, password, &home()).await.unwrap();
        }
        assert_eq!(desk.issuer.account(email).await.unwrap().id, account.id);
    }
    let again = NewAccount { email: "J\u{fc}rgen@example.com".to_owned(), scopes: ScopesChoice::Defaults };
    let refused = desk.issuer.create_account(&again, &desk.origin).await.unwrap_err();
    assert!(matches!(refused, IssueError::Conflict(_)), "{refused}");
    let before = desk.runs();
    desk.login("j\u{fc}rgen@example.com", "wrong", &home()).await.unwrap_err();
    assert_eq!(desk.runs(), before + 1, "no second look at what is normal");
    let common = desk.issuer.check_password(EMAIL, "\u{ff50}\u{ff41}\u{ff53}\u{ff53}word").unwrap_err();
    assert_eq!(common.to_string(), "the password is one of the most common; choose another");
}

/// Neither can a second account be made that looks like the first, nor is anybody kept out by how an address is written.
#[tokio::test]
async fn an_address_is_one_account_in_whatever_alphabet_its_domain_is_written() {
    const TWINS: [&str; 5] = [
        "ann@m\u{fc}ller.example",
        "ann@mu\u{308}ller.example",
        "ann@xn--mller-kva.example",
        "ANN@XN--MLLER-KVA.example",
        "\u{ff41}nn@m\u{fc}ller.example",
    ];
    for first in TWINS {
        let desk = desk().await;
        let account = desk.person(first).await;
        for twin in TWINS {
            let again = NewAccount { email: twin.to_owned(), scopes: ScopesChoice::Defaults };
            let refused = desk.issuer.create_account(&again, &desk.origin).await.unwrap_err();
            assert!(matches!(refused, IssueError::Conflict(_)), "{first} {twin}: {refused}");
            assert_eq!(desk.issuer.account(twin).await.unwrap().id, account.id, "{first} {twin}");
        }
        desk.login(TWINS[0], PASSWORD, &home()).await.unwrap();
        desk.login(TWINS[2], PASSWORD, &home()).await.unwrap();
    }
}

#[tokio::test]
async fn a_password_that_was_kept_as_it_was_sent_goes_on_working() {
    const DECOMPOSED: &str = "gru\u{308}n und blau und rot";
    let desk = desk().await;
    let account = desk.person(EMAIL).await;
    let password = desk.issuer.door.hasher.hash(plain(DECOMPOSED), &System::default()).await.unwrap();
    let (account_id, proof) = (account.id, Proof::Operator);
    let change = PasswordChange { account_id, password, proof, begins: None };
    desk.issuer.store.set_password(&change, NOW, &desk.origin).await.unwrap();
    desk.login(EMAIL, DECOMPOSED, &home()).await.unwrap();
    let refused = desk.login(EMAIL, "gr\u{fc}n und blau und rot", &home()).await;
    assert!(matches!(refused, Err(IssueError::WrongLogin)), "{refused:?}");
}

#[tokio::test]
async fn the_refused_are_told_the_same_after_the_same_work() {
    let desk = desk().await;
    desk.person(EMAIL).await;
    desk.account("nopassword@example.com").await;
    let disabled = desk.person("disabled@example.com").await;
    desk.issuer.set_account_status(&disabled.id, AccountStatus::Disabled, &desk.origin).await.unwrap();
    for (number, (email, password)) in [
        (EMAIL, "wrong password"),
        (EMAIL, ""),
        ("nobody@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("nopassword@example.com", PASSWORD),
        ("disabled@example.com", PASSWORD),
        ("disabled@example.com", "wrong password"),
    ]
    .into_iter()
    .enumerate()
    {
        let before = desk.runs();
        let refused = desk.login(email, password, &visitor(&format!("192.0.2.{number}"))).await.unwrap_err();
        assert_eq!(refused.to_string(), "email or password is wrong", "{email}");
        assert_eq!(desk.runs(), before + 1, "{email}");
    }
    assert_eq!(desk.issuer.sessions(None, None, 9).await.unwrap().items, []);
}

#[tokio::test]
async fn a_wait_is_told_the_same_for_whom_there_is_and_for_nobody() {
    let desk = desk().await;
    desk.person(EMAIL).await;
    for email in [EMAIL, "nobody@example.com"] {
        for number in 0..6 {
            let from = visitor(&format!("192.0.2.{number}"));
            let refused = desk.login(email, "wrong", &from).await.unwrap_err();
            assert!(matches!(refused, IssueError::WrongLogin), "{refused}");
        }
        let before = desk.runs();
        let refused = desk.login(email, PASSWORD, &visitor("192.0.2.99")).await.unwrap_err();
        assert_eq!(refused.to_string(), "too many logins failed; try again in 1s", "{email}");
        assert_eq!(desk.runs(), before, "a password was looked at");
    }
    desk.clock.advance(Duration::from_secs(1));
    desk.login(EMAIL, PASSWORD, &visitor("192.0.2.99")).await.unwrap();
}

#[tokio::test]
async fn an_attacker_cannot_lock_the_owner_out_not_even_over_a_restart() {
    let desk = desk().await;
    desk.person(EMAIL).await;
    desk.login(EMAIL, PASSWORD, &home()).await.unwrap();
    let attack = async |desk: &Desk| {
        for number in 0..20 {
            // Refused either way.
            let from = visitor(&format!("192.0.2.{number}"));
            desk.login(EMAIL, "wrong", &from).await.unwrap_err();
        }
    };
    attack(&desk).await;
    desk.login(EMAIL, PASSWORD, &home()).await.unwrap();
    let desk = desk.restarted();
    attack(&desk).await;
    let refused = desk.login(EMAIL, PASSWORD, &visitor("203.0.113.9")).await.unwrap_err();
    assert!(matches!(refused, IssueError::Wait(_)), "{refused}");
    desk.login(EMAIL, PASSWORD, &home()).await.unwrap();
}

#[tokio::test]
async fn the_store_tells_where_the_owner_lately_logged_in_however_many_sessions_there_are() {
    let desk = desk().await;
    let account = desk.person(EMAIL).await;
    let (office, neighbour) = (visitor("2001:db8:0:1::7"), visitor("2001:db8:0:1:ffff::1"));
    for _ in 0..120 {
        desk.begin_elsewhere(&account).await;
    }
    desk.login(EMAIL, PASSWORD, &office).await.unwrap();
    let desk = desk.restarted();
    let attack = async |desk: &Desk| {
        for number in 0..20 {
            // Refused either way.
            desk.login(EMAIL, "wrong", &visitor(&format!("192.0.2.{number}"))).await.unwrap_err();
        }
    };
    attack(&desk).await;
    let refused = desk.login(EMAIL, PASSWORD, &visitor("2001:db8:0:2::7")).await.unwrap_err();
    assert!(matches!(refused, IssueError::Wait(_)), "{refused}");
    desk.login(EMAIL, PASSWORD, &neighbour).await.unwrap();
    // A month later it is no longer lately.
    let desk = desk.restarted();
    desk.clock.set_wall(NOW.after(30 * DAY));
    attack(&desk).await;
    let refused = desk.login(EMAIL, PASSWORD, &office).await.unwrap_err();
    assert!(matches!(refused, IssueError::Wait(_)), "{refused}");
}

#[tokio::test]
async fn a_login_beyond_the_most_ends_the_session_that_was_used_longest_ago_and_tells_it() {
    let desk = desk().await;
    let account = desk.person(EMAIL).await;
    let first = desk.login(EMAIL, PASSWORD, &home()).await.unwrap();
    desk.clock.advance(Duration::from_secs(1));
    for _ in 1..super::super::login::SESSIONS_MAX {
        desk.begin_elsewhere(&account).await;
    }
    assert_eq!(desk.issuer.session(&first.session.id).await.unwrap().ended, None);
    desk.told.0.lock().unwrap().clear();
    desk.login(EMAIL, PASSWORD, &home()).await.unwrap();
    assert_eq!(desk.ended(&first.session.id).await, Some(Ending::TooMany));
    let told = desk.told.0.lock().unwrap().iter().any(|change| change.id == first.session.id);
    assert!(told, "whoever serves the session must hear of it");
}

#[tokio::test]
async fn a_new_configuration_forgets_no_failure() {
    let mut desk = desk().await;
    desk.person(EMAIL).await;
    for _ in 0..6 {
        desk.login(EMAIL, "wrong", &home()).await.unwrap_err();
    }
    let yaml = "identity: { public_url: https://other.example.com, access_token_ttl: 60s }";
    let loaded = config::parse(yaml, "test", std::path::Path::new("/"), &|_| None).unwrap();
    desk.issuer = desk.issuer.under(&loaded.config);
    let refused = desk.login(EMAIL, PASSWORD, &home()).await.unwrap_err();
    assert!(matches!(refused, IssueError::Wait(_)), "{refused}");
    desk.clock.advance(Duration::from_secs(1));
    let pair = desk.login(EMAIL, PASSWORD, &home()).await.unwrap();
    assert_eq!(pair.access_expires_at, pair.issued_at.after(Duration::from_mins(1)));
}

#[tokio::test]
async fn what_checked_nothing_counts_as_no_failure() {
    let desk = desk().await;
    desk.person(EMAIL).await;
    let busy = desk.issuer.door.hasher.occupy().await;
    // A queue of 65 per place at work, all taken; the rest is told to come back.
    let waiting: Vec<_> = (0..65)
        .map(|number| {
            let (issuer, origin) = (desk.issuer.clone(), desk.origin.clone());
            let email = format!("{number}@example.com");
            let from = visitor(&format!("203.0.113.{number}"));
            tokio::spawn(async move { issuer.login(&email, plain("x"), &from, &origin).await })
        })
        .collect();
    while !desk.issuer.door.hasher.is_full() {
        tokio::task::yield_now().await;
    }
    for _ in 0..50 {
        let refused = desk.login(EMAIL, PASSWORD, &home()).await.unwrap_err();
        assert!(matches!(refused, IssueError::Busy), "{refused}");
    }
    drop(busy);
    for waited in waiting {
        assert!(matches!(waited.await.unwrap(), Err(IssueError::WrongLogin)));
    }
    desk.login(EMAIL, PASSWORD, &home()).await.unwrap();
}

/// The change comes after the look-up of the account and before the session begins.
async fn overtaken(change: impl AsyncFnOnce(&Desk, &str)) {
    let desk = desk().await;
    let account = desk.person(EMAIL).await;
    let busy = desk.issuer.door.hasher.occupy().await;
    let (issuer, origin) = (desk.issuer.clone(), desk.origin.clone());
    let login = tokio::spawn(async move { issuer.login(EMAIL, plain(PASSWORD), &home(), &origin).await });
    while !desk.issuer.door.hasher.is_awaited() {
        tokio::task::yield_now().await;
    }
    change(&desk, &account.id).await;
    drop(busy);
    let refused = login.await.unwrap().unwrap_err();
    assert!(matches!(refused, IssueError::WrongLogin), "{refused}");
    assert_eq!(desk.issuer.sessions(None, None, 9).await.unwrap().items, []);
}

#[tokio::test]
async fn a_login_that_a_change_of_the_password_overtakes_begins_no_session() {
    overtaken(async |desk, account| {
        let change = PasswordChange {
            account_id: account.to_owned(),
            password: "another".to_owned(),
            proof: Proof::Operator,
            begins: None,
        };
        desk.issuer.store.set_password(&change, NOW, &desk.origin).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_login_that_disabling_overtakes_begins_no_session() {
    overtaken(async |desk, account| {
        desk.issuer.set_account_status(account, AccountStatus::Disabled, &desk.origin).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn without_the_section_identity_nobody_logs_in() {
    let mut desk = desk().await;
    desk.person(EMAIL).await;
    desk.issuer.identity = None;
    let refused = desk.login(EMAIL, PASSWORD, &home()).await.unwrap_err();
    assert!(matches!(refused, IssueError::NoIdentity), "{refused}");
}
