//! On a real store in a temporary directory, with a clock that stands still.

use std::path::Path;

use super::*;
use crate::auth::random::System;
use crate::config::{self, Synchronous};
use crate::store::signing::ring;
use crate::store::sqlite::{Open, SqliteStore};

const NOW: Timestamp = Timestamp(1_793_491_200_000);
const DAY: Duration = Duration::from_hours(24);
const TTL: Duration = Duration::from_mins(15);

struct Desk {
    store: SharedStore,
    clock: Clock,
    config: Config,
    origin: Origin,
    _place: tempfile::TempDir,
}

async fn desk(more: &str) -> Desk {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keyward.db");
    let store = SqliteStore::open(&path, Synchronous::Normal, Open::Create).await.unwrap();
    let origin = Origin { actor: "test".to_owned(), via: "test".to_owned() };
    Desk {
        store: Arc::new(store),
        clock: Clock::manual(NOW),
        config: configured(more),
        origin,
        _place: place,
    }
}

fn configured(more: &str) -> Config {
    let text = format!("identity: {{ public_url: \"https://auth.example.com\"{more} }}\nroutes: []\n");
    config::parse(&text, "test", Path::new(""), &|_| None).unwrap().config
}

impl Desk {
    fn signing(&self) -> Signing {
        Signing::new(Arc::clone(&self.store), self.clock.clone(), &self.config).unwrap()
    }

    async fn keep_up(&self) {
        self.signing().keep_up(&self.origin).await.unwrap();
    }

    /// Access token keys with what they do now, the oldest first.
    async fn stages(&self) -> Vec<(String, Stage)> {
        let all = self.store.signing_keys().await.unwrap();
        let of = |key: &SigningKey| (key.id.clone(), Stage::of(key, &all, self.clock.now()));
        all.iter().filter(|key| key.purpose == Purpose::AccessToken).map(of).collect()
    }

    /// What a process that has read the store would make.
    async fn mint(&self, session: &Session) -> Result<Minted, NotMinted> {
        let known = Arc::new(Ring::default());
        known.set(ring(&self.store.signing_keys().await.unwrap()));
        let mint = Mint::new(known, Arc::new(System::default()), &self.config).unwrap();
        let holder = Holder { session, client: None, scopes: &ScopeSet::default() };
        mint.access_token(holder, self.clock.now())
    }

    async fn judge(&self, token: &str) -> Result<access_token::Verified, jwt::Flaw> {
        let keys = ring(&self.store.signing_keys().await.unwrap());
        access_token::read(token, &keys, &self.config.parties().unwrap(), self.clock.now())?.verify()
    }
}

fn session(ends: Timestamp) -> Session {
    Session {
        id: "ses".to_owned(),
        account_id: "acc".to_owned(),
        created_at: NOW,
        last_used_at: NOW,
        expires_at: ends,
        ends_at: ends,
        ended: None,
        address: String::new(),
        agent: String::new(),
    }
}

fn stages(all: &[(String, Stage)]) -> Vec<Stage> {
    all.iter().map(|(_, stage)| *stage).collect()
}

#[tokio::test]
async fn the_first_start_makes_a_key_for_each_purpose_and_the_next_makes_none() {
    let desk = desk("").await;
    desk.keep_up().await;
    let made = desk.store.signing_keys().await.unwrap();
    let purposes: Vec<_> = made.iter().map(|key| key.purpose).collect();
    assert_eq!((purposes.len(), purposes.contains(&Purpose::Assertion)), (2, true));
    assert!(made.iter().all(|key| key.signs_from == NOW && key.retires_at.is_none()));
    desk.keep_up().await;
    assert_eq!(desk.store.signing_keys().await.unwrap(), made);
}

#[tokio::test]
async fn two_processes_that_start_at_once_make_one_key() {
    let desk = desk("").await;
    let (one, other) = (desk.signing(), desk.signing());
    let (one, other) = tokio::join!(one.keep_up(&desk.origin), other.keep_up(&desk.origin));
    one.unwrap();
    other.unwrap();
    assert_eq!(desk.store.signing_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn without_identity_nothing_is_signed() {
    let desk = desk("").await;
    let config = config::parse("routes: []", "test", Path::new(""), &|_| None).unwrap().config;
    assert!(Signing::new(Arc::clone(&desk.store), desk.clock.clone(), &config).is_none());
    assert!(Mint::new(Arc::default(), Arc::new(System::default()), &config).is_none());
}

#[tokio::test]
async fn a_key_is_replaced_when_it_is_due_and_published_before_it_signs() {
    let desk = desk(", signing_key_lifetime: 10d").await;
    desk.keep_up().await;
    let just_before = 10 * DAY - PUBLISHED_BEFORE - Duration::from_millis(1);
    desk.clock.advance(just_before);
    desk.keep_up().await;
    assert_eq!(stages(&desk.stages().await), [Stage::Signing]);
    desk.clock.advance(Duration::from_millis(1));
    desk.keep_up().await;
    assert_eq!(stages(&desk.stages().await), [Stage::Signing, Stage::Next]);
    let published = jwks(&desk.store, desk.clock.now()).await.unwrap();
    assert_eq!(published["keys"].as_array().unwrap().len(), 4, "{published}");
    desk.clock.advance(PUBLISHED_BEFORE);
    desk.keep_up().await;
    assert_eq!(stages(&desk.stages().await), [Stage::Verifying, Stage::Signing]);
    desk.clock.advance(TTL + CLOCKS_DIFFER);
    assert_eq!(stages(&desk.stages().await), [Stage::Retired, Stage::Signing]);
    let published = jwks(&desk.store, desk.clock.now()).await.unwrap();
    assert_eq!(published["keys"].as_array().unwrap().len(), 2, "{published}");
    desk.clock.advance(KEPT_RETIRED + Duration::from_millis(1));
    desk.keep_up().await;
    assert_eq!(stages(&desk.stages().await), [Stage::Signing]);
}

#[tokio::test]
async fn a_token_signed_just_before_the_change_verifies_to_its_end() {
    let desk = desk("").await;
    desk.keep_up().await;
    let rotated = desk.signing().rotate(Purpose::AccessToken, When::InTime, &desk.origin).await.unwrap();
    desk.clock.advance(PUBLISHED_BEFORE - Duration::from_millis(1));
    let minted = desk.mint(&session(Timestamp(i64::MAX))).await.unwrap();
    assert_eq!(minted.expires_at, Timestamp((desk.clock.now().after(TTL).millis() / 1000) * 1000));
    let judged = desk.judge(&minted.token).await.unwrap();
    assert_ne!(*judged.kid, *rotated.id);
    desk.clock.advance(Duration::from_millis(1));
    let after = desk.mint(&session(Timestamp(i64::MAX))).await.unwrap();
    assert_eq!(*desk.judge(&after.token).await.unwrap().kid, *rotated.id);
    desk.clock.advance(TTL);
    let keys = ring(&desk.store.signing_keys().await.unwrap());
    assert!(keys.named(Purpose::AccessToken, &judged.kid).unwrap().verifies(desk.clock.now()));
}

#[tokio::test]
async fn no_token_outlives_its_session_or_its_key() {
    let desk = desk("").await;
    desk.keep_up().await;
    let soon = NOW.after(Duration::from_millis(5_500));
    let minted = desk.mint(&session(soon)).await.unwrap();
    assert_eq!(minted.expires_at, Timestamp(NOW.millis() + 5000));
    assert!(matches!(desk.mint(&session(NOW)).await, Err(NotMinted::Over)));
    let mut ended = session(Timestamp(i64::MAX));
    ended.ended = Some((NOW, store::Ending::Logout));
    assert!(matches!(desk.mint(&ended).await, Err(NotMinted::Over)));
    // A configuration with a longer life came after the key was replaced.
    desk.signing().rotate(Purpose::AccessToken, When::InTime, &desk.origin).await.unwrap();
    let longer = Desk { config: configured(", access_token_ttl: 24h"), ..desk };
    let minted = longer.mint(&session(Timestamp(i64::MAX))).await.unwrap();
    assert_eq!(minted.expires_at, NOW.after(PUBLISHED_BEFORE + TTL + CLOCKS_DIFFER));
}

/// The clock was ahead, or somebody sets it back.
#[tokio::test]
async fn no_clock_brings_a_key_back_that_somebody_else_has() {
    let desk = desk("").await;
    desk.keep_up().await;
    desk.clock.advance(DAY);
    let forever = session(Timestamp(i64::MAX));
    let stolen = desk.mint(&forever).await.unwrap();
    let older = desk.judge(&stolen.token).await.unwrap().kid;
    let made = desk.signing().rotate(Purpose::AccessToken, When::Now, &desk.origin).await.unwrap();
    let at = desk.clock.now();
    for wall in [at, at.before(Duration::from_hours(1)), NOW.before(DAY), Timestamp(0)] {
        desk.clock.set_wall(wall);
        desk.keep_up().await;
        let keys = ring(&desk.store.signing_keys().await.unwrap());
        assert!(!keys.named(Purpose::AccessToken, &older).unwrap().verifies(wall), "{wall}");
        let minted = desk.mint(&forever).await.unwrap();
        assert_eq!(*desk.judge(&minted.token).await.unwrap().kid, *made.id, "{wall}");
        let published = jwks(&desk.store, wall).await.unwrap().to_string();
        assert!(published.contains(&*made.id) && !published.contains(&*older), "{published}");
        assert_eq!(stages(&desk.stages().await), [Stage::Retired, Stage::Signing], "{wall}");
    }
}

/// Whoever has a token of it is told that it has expired, and refreshes.
#[tokio::test]
async fn a_key_that_is_cut_off_is_known_as_long_as_any_other() {
    let desk = desk("").await;
    desk.keep_up().await;
    desk.clock.advance(30 * DAY);
    desk.signing().rotate(Purpose::AccessToken, When::Now, &desk.origin).await.unwrap();
    desk.clock.advance(KEPT_RETIRED);
    desk.keep_up().await;
    assert_eq!(stages(&desk.stages().await), [Stage::Retired, Stage::Signing]);
    desk.clock.advance(Duration::from_millis(1));
    desk.keep_up().await;
    assert_eq!(stages(&desk.stages().await), [Stage::Signing]);
}

#[tokio::test]
async fn another_algorithm_replaces_the_keys() {
    let desk = desk("").await;
    desk.keep_up().await;
    let desk = Desk { config: configured(", algorithm: es256"), ..desk };
    desk.keep_up().await;
    desk.keep_up().await;
    let keys = desk.store.signing_keys().await.unwrap();
    assert_eq!(keys.len(), 4);
    desk.clock.advance(PUBLISHED_BEFORE);
    let minted = desk.mint(&session(Timestamp(i64::MAX))).await.unwrap();
    desk.judge(&minted.token).await.unwrap();
    let kinds = jwks(&desk.store, desk.clock.now()).await.unwrap();
    let kinds: Vec<_> = kinds["keys"].as_array().unwrap().iter().map(|key| key["alg"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "ES256").count(), 2, "{kinds:?}");
}

#[tokio::test]
async fn the_published_set_holds_public_halves_alone() {
    for algorithm in ["eddsa", "es256"] {
        let desk = desk(&format!(", algorithm: {algorithm}")).await;
        desk.keep_up().await;
        let published = jwks(&desk.store, NOW).await.unwrap();
        for (key, stored) in
            published["keys"].as_array().unwrap().iter().zip(desk.store.signing_keys().await.unwrap())
        {
            let mut names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            let expected: &[_] = match algorithm {
                "eddsa" => &["alg", "crv", "kid", "kty", "use", "x"],
                _ => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            };
            assert_eq!(names, expected);
            assert_eq!((key["use"].as_str(), key["kid"].as_str()), (Some("sig"), Some(&*stored.id)));
        }
        let text = published.to_string();
        for stored in desk.store.signing_keys().await.unwrap() {
            assert!(!text.contains(stored.private_key.expose()));
        }
    }
}

#[tokio::test]
async fn before_there_are_keys_no_token_is_made() {
    let desk = desk("").await;
    assert!(matches!(desk.mint(&session(Timestamp(i64::MAX))).await, Err(NotMinted::NoKey)));
}
