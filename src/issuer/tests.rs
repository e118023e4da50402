//! The use cases on a real store in a temporary directory, with a clock that stands still.

mod import;
mod limits;
mod login;
mod rotation;
mod sessions;

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::auth::random::System;
use crate::auth::token::{Kind, Prefix, is_well_formed};
use crate::config::{Keys, Synchronous};
use crate::store::sqlite::{Open, SqliteStore};
use crate::store::{AccountStatus, KeyForm, Origin};

const DAY: Duration = Duration::from_hours(24);
/// 2026-11-01T00:00:00Z.
const NOW: Timestamp = Timestamp(1_793_491_200_000);

#[derive(Default)]
struct Told(Mutex<Vec<Change>>, Mutex<Vec<KeyForm>>);

impl ChangeSink for Told {
    fn changed(&self, change: &Change) {
        self.0.lock().unwrap().push(change.clone());
    }

    fn imported(&self, forms: &[KeyForm]) {
        self.1.lock().unwrap().extend(forms.iter().cloned());
    }
}

struct Desk {
    issuer: Issuer,
    clock: Clock,
    told: Arc<Told>,
    origin: Origin,
    _place: tempfile::TempDir,
}

fn identity() -> config::Identity {
    let yaml = "identity: { public_url: https://auth.example.com }";
    let loaded = config::parse(yaml, "test", std::path::Path::new("/"), &|_| None).unwrap();
    loaded.config.identity.unwrap()
}

fn limits() -> config::Limits {
    let yaml = "limits: { account: { per_minute: 60 }, plans: { free: { per_day: 100 }, pro: { per_minute: 0, per_day: 9999 } } }";
    config::parse(yaml, "test", std::path::Path::new("/"), &|_| None).unwrap().config.limits
}

async fn desk() -> Desk {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keyward.db");
    let store = SqliteStore::open(&path, Synchronous::Normal, Open::Create).await.unwrap();
    let set = |scopes| ScopeSet::parse(scopes).unwrap();
    let keys = Keys {
        prefix: Prefix::default(),
        default_lifetime: 90 * DAY,
        max_lifetime: 365 * DAY,
        keep_dead: 90 * DAY,
    };
    let clock = Clock::manual(NOW);
    let told = Arc::new(Told::default());
    let issuer = Issuer {
        store: Arc::new(store),
        clock: clock.clone(),
        random: Arc::new(System::default()),
        catalogue: Arc::new(Catalogue::new(set("orders:read orders:write"), set("orders:read"))),
        keys: Arc::new(keys),
        limits: Arc::new(limits()),
        identity: Some(Arc::new(identity())),
        door: Arc::new(Door::new(None, &clock)),
        changes: Arc::<Told>::clone(&told),
    };
    let origin = Origin { actor: "test".to_owned(), via: "test".to_owned() };
    Desk { issuer, clock, told, origin, _place: place }
}

impl Desk {
    async fn account(&self, email: &str) -> crate::store::Account {
        let asked = NewAccount { email: email.to_owned(), scopes: ScopesChoice::Defaults };
        self.issuer.create_account(&asked, &self.origin).await.unwrap()
    }

    async fn key(&self, asked: &NewKey) -> Result<MadeKey, IssueError> {
        self.issuer.create_key(asked, &self.origin).await
    }

    fn last_told(&self) -> Change {
        self.told.0.lock().unwrap().last().unwrap().clone()
    }
}

fn asked(name: &str, scopes: &[&str]) -> NewKey {
    NewKey {
        account: "a@example.com".to_owned(),
        name: name.to_owned(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        expiry: Expiry::Default,
        allowed_addresses: Vec::new(),
    }
}

fn problems(outcome: Result<MadeKey, IssueError>) -> Vec<Problem> {
    match outcome {
        Err(IssueError::Invalid(problems)) => problems,
        other => panic!("expected problems, got {other:?}"),
    }
}

#[tokio::test]
async fn a_key_is_shown_with_all_its_members_and_its_secret_once() {
    let desk = desk().await;
    let account = desk.account("a@example.com").await;
    let made = desk.key(&asked("CI", &["orders:read"])).await.unwrap();
    assert!(is_well_formed(&Prefix::default(), Kind::ApiKey, made.token.expose()));
    let shown = serde_json::to_value(MadeKeyView::new(&made, NOW)).unwrap();
    let expected = serde_json::json!({
        "id": made.key.id, "account_id": account.id, "name": "CI", "prefix": "kw_sk_", "last4": made.token.last4(),
        "scopes": ["orders:read"], "allowed_addresses": [],
        "created_at": "2026-11-01T00:00:00Z", "expires_at": "2027-01-30T00:00:00Z", "last_used_at": null, "revoked_at": null, "status": "active",
        "key": made.token.expose(),
    });
    assert_eq!(shown, expected);
    let listed = desk.issuer.keys(Some("A@example.com"), None, 10).await.unwrap();
    assert_eq!(listed.items, [made.key]);
}

#[tokio::test]
async fn an_id_is_a_uuid_of_the_clocks_time() {
    let desk = desk().await;
    let id: uuid::Uuid = desk.account("a@example.com").await.id.parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let (seconds, _) = id.get_timestamp().unwrap().to_unix();
    assert_eq!(i64::try_from(seconds).unwrap() * 1000, NOW.millis());
}

#[tokio::test]
async fn every_change_is_told_before_it_is_answered() {
    let desk = desk().await;
    let account = desk.account("a@example.com").await;
    let change = |seq, subject, id: &str, created| {
        let new_key = None;
        Change { seq: Seq(seq), subject, id: id.to_owned(), created, new_key }
    };
    assert_eq!(desk.last_told(), change(1, Subject::Account, &account.id, true));
    let made = desk.key(&asked("CI", &[])).await.unwrap();
    let new_key = Some(made.token.hashed());
    assert_eq!(desk.last_told(), Change { new_key, ..change(2, Subject::ApiKey, &made.key.id, true) });
    desk.issuer.revoke_key(&made.key.id, &desk.origin).await.unwrap();
    assert_eq!(desk.last_told(), change(3, Subject::ApiKey, &made.key.id, false));
    let disabled = AccountStatus::Disabled;
    desk.issuer.set_account_status("a@example.com", disabled, &desk.origin).await.unwrap();
    assert_eq!(desk.last_told(), change(4, Subject::Account, &account.id, false));
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let mut bad = asked("", &["orders:read", "orders:wite", "x y"]);
    bad.expiry = Expiry::At(Timestamp(0));
    bad.allowed_addresses = vec!["office".to_owned()];
    let problems = problems(desk.key(&bad).await);
    let told: Vec<_> = problems.iter().map(|p| (p.member(), p.to_string())).collect();
    let expected = [
        ("name", "a key needs a name"),
        ("scopes", "unknown scopes \"orders:wite\", \"x y\"; there are orders:read, orders:write"),
        ("expires_at", "the expiry 1970-01-01T00:00:00Z is in the past"),
        ("allowed_addresses", "\"office\" is neither an IP address nor a network such as 10.0.0.0/8"),
    ];
    assert_eq!(told, expected.map(|(member, sentence)| (member, sentence.to_owned())));
}

#[tokio::test]
async fn a_key_has_no_scope_that_its_account_cannot_have() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let refused = problems(desk.key(&asked("CI", &["orders:write"])).await);
    assert_eq!(refused[0].to_string(), "this account cannot have orders:write; it can have orders:read");

    let both = ScopesChoice::These(vec!["orders:read".to_owned(), "orders:write".to_owned()]);
    desk.issuer.set_account_scopes("a@example.com", &both, &desk.origin).await.unwrap();
    desk.key(&asked("CI", &["orders:write"])).await.unwrap();

    let none = ScopesChoice::These(Vec::new());
    let account = desk.issuer.set_account_scopes("a@example.com", &none, &desk.origin).await.unwrap();
    assert!(desk.issuer.account_view(&account).scopes.is_empty());
    let refused = problems(desk.key(&asked("CI", &["orders:read"])).await);
    assert_eq!(refused[0].to_string(), "this account cannot have orders:read; it can have none");
}

#[tokio::test]
async fn a_plan_is_one_of_those_that_there_are() {
    let desk = desk().await;
    let account = desk.account("a@example.com").await;
    let set = async |plan| desk.issuer.set_plan("a@example.com", plan, &desk.origin).await;
    assert_eq!(
        set(Some("pro")).await.unwrap(),
        crate::store::Account { plan: Some("pro".to_owned()), ..account.clone() }
    );
    let told = desk.last_told();
    assert_eq!((told.subject, &*told.id, told.created), (Subject::Account, &*account.id, false));
    let Err(refused) = set(Some("gold")).await else { panic!("there is no such plan") };
    assert_eq!(refused.to_string(), "there is no plan \"gold\"; there are free, pro");
    assert_eq!(desk.issuer.account(&account.id).await.unwrap().plan.as_deref(), Some("pro"));
    assert_eq!(desk.issuer.account_view(&set(None).await.unwrap()).plan, None);
    let unknown = desk.issuer.set_plan("b@example.com", Some("pro"), &desk.origin).await;
    assert!(matches!(unknown, Err(IssueError::NotFound("account"))), "{unknown:?}");
}

#[tokio::test]
async fn a_life_is_between_a_second_and_the_maximum() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let refused = [
        (Expiry::In(Duration::from_millis(999)), Problem::LifeTooShort),
        (Expiry::At(NOW), Problem::LifeTooShort),
        (Expiry::In(365 * DAY + Duration::from_millis(1)), Problem::LifeTooLong(365 * DAY)),
        (Expiry::In(Duration::MAX), Problem::LifeTooLong(365 * DAY)),
        (Expiry::At(Timestamp(NOW.0 - 1)), Problem::ExpiryInThePast(Timestamp(NOW.0 - 1))),
    ];
    for (expiry, problem) in refused {
        assert_eq!(problems(desk.key(&NewKey { expiry, ..asked("CI", &[]) }).await), [problem]);
    }
    for life in [Duration::from_secs(1), 365 * DAY] {
        let made = desk.key(&NewKey { expiry: Expiry::In(life), ..asked("CI", &[]) }).await.unwrap();
        assert_eq!(made.key.expires_at, NOW.after(life));
    }
}

#[tokio::test]
async fn a_disabled_account_gets_no_keys() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let set = |status| desk.issuer.set_account_status("a@example.com", status, &desk.origin);
    assert_eq!(set(AccountStatus::Disabled).await.unwrap().status, AccountStatus::Disabled);
    assert!(matches!(desk.key(&asked("CI", &[])).await, Err(IssueError::AccountDisabled)));
    set(AccountStatus::Active).await.unwrap();
    desk.key(&asked("CI", &[])).await.unwrap();
}

#[tokio::test]
async fn revoking_is_for_good_and_outlives_expiry() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let made = desk.key(&asked("CI", &[])).await.unwrap();
    let first = desk.issuer.revoke_key(&made.key.id, &desk.origin).await.unwrap();
    desk.clock.advance(100 * DAY);
    let again = desk.issuer.revoke_key(&made.key.id, &desk.origin).await.unwrap();
    assert_eq!((first.revoked_at, again.revoked_at), (Some(NOW), Some(NOW)));
    assert_eq!(KeyStatus::of(&again, desk.clock.now()), KeyStatus::Revoked);
    assert_eq!(KeyStatus::of(&made.key, desk.clock.now()), KeyStatus::Expired);
    assert_eq!(KeyStatus::of(&made.key, NOW), KeyStatus::Active);
    assert_eq!(KeyStatus::of(&made.key, made.key.expires_at), KeyStatus::Expired);
    let unknown = desk.issuer.revoke_key("nope", &desk.origin).await;
    assert!(matches!(unknown, Err(IssueError::NotFound("key"))));
}

#[tokio::test]
async fn one_address_has_one_account() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let again = NewAccount { email: "A@Example.com".to_owned(), scopes: ScopesChoice::Defaults };
    let refused = desk.issuer.create_account(&again, &desk.origin).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is an account with this email already");
    let bad = NewAccount { email: "nobody".to_owned(), scopes: ScopesChoice::These(vec!["x".to_owned()]) };
    let refused = desk.issuer.create_account(&bad, &desk.origin).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "\"nobody\" is not an email address; unknown scope \"x\"; there are orders:read, orders:write"
    );
}
