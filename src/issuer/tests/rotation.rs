//! Keys replaced, made once per request, changed.

use super::*;
use crate::issuer::{Changes, MadeOnce, Request, Rotation};
use crate::limits::Overrides;
use crate::store::Key;

const EMAIL: &str = "a@example.com";
const HOUR: Duration = Duration::from_hours(1);

fn made(outcome: Result<MadeOnce, IssueError>) -> MadeKey {
    match outcome.unwrap() {
        MadeOnce::Made(made) => made,
        MadeOnce::Before(key) => panic!("it was made before: {key:?}"),
    }
}

#[tokio::test]
async fn a_rotated_key_lives_on_for_the_overlap_beside_one_like_it() {
    let desk = desk().await;
    desk.account(EMAIL).await;
    let mut new = asked("ci", &["orders:read"]);
    new.expiry = Expiry::In(10 * DAY);
    new.allowed_addresses = vec!["10.0.0.0/8".to_owned()];
    let old = desk.key(&new).await.unwrap();
    desk.clock.set_wall(NOW.after(DAY));
    let next = made(desk.issuer.rotate_key(&old.key.id, HOUR, None, &desk.origin).await);
    assert_ne!((&next.key.id, next.token.expose()), (&old.key.id, old.token.expose()));
    assert_eq!((&*next.key.name, &next.key.scopes), ("ci", &old.key.scopes));
    assert_eq!(next.key.allowed_addresses, old.key.allowed_addresses);
    assert_eq!(next.key.expires_at, NOW.after(11 * DAY), "the same length of life, from now");
    assert_eq!(next.key.last4, next.token.last4());
    assert_eq!(desk.issuer.key(&old.key.id).await.unwrap().expires_at, NOW.after(DAY + HOUR));
    let told =
        desk.told.0.lock().unwrap().iter().rev().take(2).map(|change| change.id.clone()).collect::<Vec<_>>();
    assert_eq!(told, [next.key.id.clone(), old.key.id.clone()]);
    let long = desk.issuer.rotate_key(&old.key.id, 31 * DAY, None, &desk.origin).await.unwrap_err();
    assert_eq!(long.to_string(), "the longest overlap is 30d");
    desk.issuer.revoke_key(&old.key.id, &desk.origin).await.unwrap();
    let dead = desk.issuer.rotate_key(&old.key.id, HOUR, None, &desk.origin).await.unwrap_err();
    assert!(dead.to_string().starts_with("this key was replaced already; "), "{dead}");
    desk.issuer.revoke_key(&next.key.id, &desk.origin).await.unwrap();
    let dead = desk.issuer.rotate_key(&next.key.id, HOUR, None, &desk.origin).await.unwrap_err();
    assert!(dead.to_string().starts_with("the key is revoked or expired; "), "{dead}");
}

#[tokio::test]
async fn without_an_overlap_the_old_key_ends_at_once_and_no_key_gets_stronger() {
    let desk = desk().await;
    let account = desk.account(EMAIL).await;
    let old = desk.key(&asked("ci", &["orders:read"])).await.unwrap();
    let none = ScopesChoice::These(Vec::new());
    desk.issuer.set_account_scopes(&account.id, &none, &desk.origin).await.unwrap();
    let next = made(desk.issuer.rotate_key(&old.key.id, Duration::ZERO, None, &desk.origin).await);
    assert_eq!(next.key.scopes.as_str(), "");
    let old = desk.issuer.key(&old.key.id).await.unwrap();
    assert_eq!(KeyStatus::of(&old, desk.clock.now()), KeyStatus::Expired);
}

#[tokio::test]
async fn a_request_gets_one_key_however_often_it_is_sent() {
    let desk = desk().await;
    desk.account(EMAIL).await;
    desk.account("b@example.com").await;
    let new = asked("ci", &[]);
    let send = async |new: &NewKey, key: &str, body: &str| {
        let request = Request { key, body: body.as_bytes() };
        desk.issuer.create_key_once(new, Some(request), &desk.origin).await
    };
    let first = made(send(&new, "r1", "{}").await);
    let MadeOnce::Before(again) = send(&new, "r1", "{}").await.unwrap() else { panic!("another was made") };
    assert_eq!(again.id, first.key.id);
    assert!(matches!(send(&new, "r1", "{ }").await, Err(IssueError::IdempotencyMismatch)));
    made(send(&new, "r2", "{}").await);
    let other = NewKey { account: "b@example.com".to_owned(), ..new.clone() };
    made(send(&other, "r1", "{}").await);
    for bad in ["", "a\nb", "a b", "é", &"x".repeat(256)] {
        assert!(matches!(send(&new, bad, "{}").await, Err(IssueError::Invalid(_))), "{bad:?}");
    }
    let rotate = async |id: &str| {
        let request = Some(Request { key: "rotation", body: b"{}" });
        desk.issuer.rotate_key(id, HOUR, request, &desk.origin).await
    };
    let next = made(rotate(&first.key.id).await);
    let MadeOnce::Before(again) = rotate(&first.key.id).await.unwrap() else { panic!("rotated twice") };
    assert_eq!(again.id, next.key.id);
    assert!(matches!(rotate(&next.key.id).await, Err(IssueError::IdempotencyMismatch)));
    desk.clock.set_wall(NOW.after(DAY));
    made(send(&new, "r1", "{ }").await);
}

#[tokio::test]
async fn a_key_changes_within_what_its_account_may_have() {
    let desk = desk().await;
    let account = desk.account(EMAIL).await;
    let other = desk.account("b@example.com").await;
    let key = desk.key(&asked("ci", &["orders:read"])).await.unwrap().key;
    let change = async |changes: Changes| desk.issuer.change_key(&key.id, &changes, None, &desk.origin).await;
    let renamed = change(Changes { name: Some(" cd ".to_owned()), ..Changes::default() }).await.unwrap();
    assert_eq!((&*renamed.name, &renamed.scopes), ("cd", &key.scopes));
    assert_eq!((desk.last_told().subject, &desk.last_told().id), (Subject::ApiKey, &key.id));
    let wrong = Changes {
        name: Some("a\u{202e}".to_owned()),
        scopes: Some(vec!["orders:write".to_owned()]),
        allowed_addresses: Some(vec!["office".to_owned()]),
        expires_at: Some(NOW.after(366 * DAY)),
    };
    let IssueError::Invalid(problems) = change(wrong).await.unwrap_err() else { panic!("it was taken") };
    let members: Vec<_> = problems.iter().map(Problem::member).collect();
    assert_eq!(members, ["name", "scopes", "allowed_addresses", "expires_at"]);
    let none = Changes { scopes: Some(Vec::new()), expires_at: Some(NOW.after(DAY)), ..Changes::default() };
    let less = change(none).await.unwrap();
    assert_eq!((less.scopes.as_str(), less.expires_at), ("", NOW.after(DAY)));
    assert_eq!(desk.issuer.key_of(&account.id, &key.id).await.unwrap(), less);
    let theirs = desk.issuer.key_of(&other.id, &key.id).await.unwrap_err();
    assert!(matches!(theirs, IssueError::NotFound("key")), "{theirs}");
    desk.clock.set_wall(NOW.after(DAY));
    assert!(matches!(change(Changes::default()).await, Err(IssueError::Conflict(_))));
}

/// Something else happens between what a use case reads and what it writes: when it asks for its first random bytes.
struct Meanwhile(std::sync::Mutex<Option<futures_util::future::BoxFuture<'static, ()>>>);

impl Random for Meanwhile {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailed> {
        if let Some(happens) = self.0.lock().unwrap().take() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            std::thread::spawn(move || runtime.block_on(happens)).join().unwrap();
        }
        System::default().fill(bytes)
    }
}

/// A key with all that there is, and what becomes of its rotation while somebody does something else with it.
async fn rotated_while<F>(
    terms: impl Fn(&Key) -> Rotation<'_>,
    happens: impl FnOnce(Issuer, String, Origin) -> F,
) -> (Desk, Key, Result<MadeOnce, IssueError>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let desk = desk().await;
    desk.account(EMAIL).await;
    let old = desk.key(&asked("ci", &["orders:read"])).await.unwrap().key;
    let happens = happens(desk.issuer.clone(), old.id.clone(), desk.origin.clone());
    let overtaken = Issuer {
        random: Arc::new(Meanwhile(std::sync::Mutex::new(Some(Box::pin(happens))))),
        ..desk.issuer.clone()
    };
    let outcome = overtaken.rotate_key(&old.id, terms(&old), None, &desk.origin).await;
    (desk, old, outcome)
}

fn unjudged(_: &Key) -> Rotation<'_> {
    HOUR.into()
}

#[tokio::test]
async fn a_key_that_is_revoked_while_another_is_made_of_it_stays_the_last() {
    let (desk, old, refused) = rotated_while(unjudged, async |issuer: Issuer, id: String, origin: Origin| {
        issuer.revoke_key(&id, &origin).await.unwrap();
    })
    .await;
    assert!(refused.unwrap_err().to_string().starts_with("the key is revoked or expired; "));
    let all = desk.issuer.keys(None, None, 9).await.unwrap().items;
    assert_eq!(all.iter().map(|key| (&key.id, key.revoked_at)).collect::<Vec<_>>(), [(&old.id, Some(NOW))]);
}

#[tokio::test]
async fn of_two_rotations_of_a_key_at_once_one_makes_another() {
    let (desk, old, refused) = rotated_while(unjudged, async |issuer: Issuer, id: String, origin: Origin| {
        issuer.rotate_key(&id, HOUR, None, &origin).await.unwrap();
    })
    .await;
    assert!(refused.unwrap_err().to_string().starts_with("this key was replaced already; "));
    let all = desk.issuer.keys(None, None, 9).await.unwrap().items;
    // Made in the same moment, they are in no order.
    let (first, second) = all.iter().partition::<Vec<_>, _>(|key| key.id == old.id);
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(first[0].replaced_by.as_ref(), Some(&second[0].id));
}

#[tokio::test]
async fn what_is_changed_of_a_key_while_another_is_made_of_it_holds_for_that_too() {
    let (_desk, _, next) = rotated_while(unjudged, async |issuer: Issuer, id: String, origin: Origin| {
        let less = Changes {
            name: Some("cd".to_owned()),
            scopes: Some(Vec::new()),
            allowed_addresses: Some(vec!["192.0.2.0/24".to_owned()]),
            expires_at: Some(NOW.after(DAY)),
        };
        issuer.change_key(&id, &less, None, &origin).await.unwrap();
        let limits = Overrides { per_minute: Some(7), ..Overrides::default() };
        issuer.set_key_limits(&id, &limits, &origin).await.unwrap();
    })
    .await;
    let next = made(next).key;
    assert_eq!((&*next.name, next.scopes.as_str(), next.expires_at), ("cd", "", NOW.after(DAY)));
    assert_eq!(next.allowed_addresses, ["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(next.limits.per_minute, Some(7));
}

#[tokio::test]
async fn an_account_that_loses_a_scope_or_is_disabled_meanwhile_gets_no_stronger_key() {
    let (_desk, _, next) = rotated_while(unjudged, async |issuer: Issuer, _: String, origin: Origin| {
        let none = ScopesChoice::These(Vec::new());
        issuer.set_account_scopes(EMAIL, &none, &origin).await.unwrap();
    })
    .await;
    assert_eq!(made(next).key.scopes.as_str(), "");
    let (_desk, _, refused) = rotated_while(unjudged, async |issuer: Issuer, _: String, origin: Origin| {
        issuer.set_account_status(EMAIL, AccountStatus::Disabled, &origin).await.unwrap();
    })
    .await;
    assert!(matches!(refused, Err(IssueError::AccountDisabled)), "{refused:?}");
}

/// Who may make the key of what it is may not make it of what it has become.
#[tokio::test]
async fn a_key_is_rotated_as_it_was_judged_or_not_at_all() {
    fn judged(key: &Key) -> Rotation<'_> {
        Rotation { judged: Some(key), ..HOUR.into() }
    }
    let (desk, old, refused) = rotated_while(judged, async |issuer: Issuer, id: String, origin: Origin| {
        let other = Changes { scopes: Some(vec!["orders:read".to_owned()]), ..Changes::default() };
        issuer.change_key(&id, &other, None, &origin).await.unwrap();
        let more = Changes { name: Some("stronger".to_owned()), ..Changes::default() };
        issuer.change_key(&id, &more, None, &origin).await.unwrap();
    })
    .await;
    let told = "the key or its account was changed at this moment; look at it and try again";
    assert_eq!(refused.unwrap_err().to_string(), told);
    assert_eq!(desk.issuer.keys(None, None, 9).await.unwrap().items.len(), 1);
    let now = desk.issuer.key(&old.id).await.unwrap();
    made(desk.issuer.rotate_key(&old.id, judged(&now), None, &desk.origin).await);
}

/// Who may give a key these networks may not give them to what its owner has made of it.
#[tokio::test]
async fn a_key_is_changed_as_it_was_judged_or_not_at_all() {
    let desk = desk().await;
    desk.account(EMAIL).await;
    let weak = desk.key(&asked("ci", &[])).await.unwrap().key;
    let change = async |changes: &Changes, judged: Option<&Key>| {
        desk.issuer.change_key(&weak.id, changes, judged, &desk.origin).await
    };
    let stronger = Changes { scopes: Some(vec!["orders:read".to_owned()]), ..Changes::default() };
    let strong = change(&stronger, None).await.unwrap();
    let longer = Changes { expires_at: Some(NOW.after(300 * DAY)), ..Changes::default() };
    let told = "the key or its account was changed at this moment; look at it and try again";
    assert_eq!(change(&longer, Some(&weak)).await.unwrap_err().to_string(), told);
    assert_eq!(desk.issuer.key(&weak.id).await.unwrap(), strong);
    let used = Key { last_used_at: Some(NOW), ..strong.clone() };
    assert_eq!(change(&longer, Some(&used)).await.unwrap().expires_at, NOW.after(300 * DAY));
    // What has ended is told to have, whatever else has become of it.
    desk.issuer.revoke_key(&weak.id, &desk.origin).await.unwrap();
    let dead = change(&longer, Some(&used)).await.unwrap_err();
    assert!(dead.to_string().starts_with("the key is revoked or expired; "), "{dead}");
}
