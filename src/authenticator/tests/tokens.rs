//! Access tokens: one signature check and one look-up when first seen, none of the first afterwards, and everything that
//! ends a key ends them.

use std::time::Duration;

use zeroize::Zeroizing;

use super::bed::{Bed, NEVER, START, TTL, denied, digest, good, parties, refused, rules, terms, until};
use super::store::Mode;
use crate::auth::algorithm::SigningAlgorithm;
use crate::auth::jwt::access_token::{self, Claims};
use crate::auth::jwt::{Purpose, SigningKey};
use crate::auth::principal::Method;
use crate::auth::scope::ScopeSet;
use crate::authenticator::question::Finds;
use crate::authenticator::{Denied, Layer, Outcome, Question, Refused, Rules, Verdict};
use crate::clock::Timestamp;
use crate::store::{self, AccountStatus, Ending, PrivateKey};

/// The bed of keys, with a session `s` of the account `a` and a signing key.
struct Tokens {
    bed: Bed,
    key: SigningKey,
}

fn stored(key: &SigningKey, retires_at: Option<Timestamp>) -> store::SigningKey {
    store::SigningKey {
        id: key.kid().to_owned(),
        purpose: Purpose::AccessToken,
        algorithm: key.algorithm(),
        private_key: PrivateKey::new(Zeroizing::new(key.text().to_string())),
        created_at: Timestamp(0),
        signs_from: Timestamp(0),
        retires_at,
    }
}

fn claims() -> Claims {
    Claims {
        account: "a".into(),
        session: "s".into(),
        client: "keyward".into(),
        id: "t".into(),
        scopes: ScopeSet::parse("orders:read orders:write").unwrap(),
        issued_at: START,
        expires_at: START.after(Duration::from_secs(900)),
    }
}

impl Tokens {
    async fn new() -> Self {
        let bed = Bed::silent(&terms());
        let key = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
        bed.store.put_account("a", None);
        bed.store.put_session("s", "a", NEVER);
        bed.store.put_signing_keys(vec![stored(&key, None)]);
        let mut tokens = Self { bed, key };
        tokens.bed.feed.poll().await;
        tokens
    }

    fn mint(&self, change: impl FnOnce(&mut Claims)) -> String {
        let mut claims = claims();
        change(&mut claims);
        access_token::mint(&self.key, &parties(), &claims).unwrap()
    }

    /// What a request gets.
    async fn judge(&self, token: &str) -> Verdict {
        let front = &self.bed.front;
        if let Some(verdict) = self.bed.cached(token) {
            return verdict;
        }
        match front.question(digest(token), token, self.bed.clock.now()) {
            Ok(question) => front.load(question).await,
            Err(denied) => Err(denied),
        }
    }

    fn lookups(&self, layer: Layer, outcome: Outcome) -> u64 {
        self.bed.front.flush();
        self.bed.authenticator.stats().lookups.get(layer, outcome)
    }
}

/// The same text with a signature that nobody made.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{first}{}", &signature[1..])
}

#[tokio::test]
async fn a_token_says_who_it_is_for_and_is_looked_up_once() {
    let tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    let entry = tokens.judge(&token).await.unwrap();
    let principal = entry.principal();
    let identity = &principal.identity;
    assert_eq!((identity.account(), identity.credential(), identity.client()), ("a", "s", Some("keyward")));
    // Within what the account may have now, whatever the token was made with.
    assert_eq!((identity.scopes(), principal.method), ("orders:read", Method::AccessToken));
    assert_eq!(principal.expires_at, claims().expires_at);
    for _ in 0..3 {
        good(&tokens.judge(&token).await);
    }
    assert_eq!(tokens.bed.store.finds(), 1);
    assert_eq!(tokens.lookups(Layer::Front, Outcome::Hit), 3);
}

#[tokio::test]
async fn no_token_is_noted_as_a_key_that_was_used() {
    let mut tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    good(&tokens.judge(&token).await);
    good(&tokens.judge(&token).await);
    assert_eq!(tokens.bed.write().await, []);
}

#[tokio::test]
async fn no_signature_is_checked_twice() {
    let mut tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    let entry = tokens.judge(&token).await.unwrap();
    assert!(matches!(entry.question().finds, Finds::Session(_)));
    // Read again before its end, as a key is.
    tokens.bed.advance(TTL.mul_f64(0.9)).await;
    good(&tokens.judge(&token).await);
    until("read again", || tokens.bed.store.finds() == 2).await;
    tokens.bed.advance(TTL.mul_f64(0.2)).await;
    good(&tokens.judge(&token).await);
    assert_eq!(tokens.bed.store.finds(), 2);
}

#[tokio::test]
async fn a_token_ends_at_its_own_end_without_leeway() {
    let mut tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    good(&tokens.judge(&token).await);
    let at = claims().expires_at;
    tokens.bed.advance(Duration::from_millis(899_999)).await;
    good(&tokens.judge(&token).await);
    tokens.bed.advance(Duration::from_millis(1)).await;
    refused(tokens.judge(&token).await, Refused::Expired { at });
    // First seen after its end.
    let other = tokens.mint(|claims| claims.id = "other".into());
    refused(tokens.judge(&other).await, Refused::Expired { at });
    refused(tokens.judge(&forged(&other)).await, Refused::Forged);
}

#[tokio::test]
async fn the_end_of_one_token_leaves_the_others_of_its_session() {
    let tokens = Tokens::new().await;
    let good_one = tokens.mint(|_| {});
    good(&tokens.judge(&good_one).await);
    tokens.bed.store.unrelated("x");
    let old = tokens.mint(|claims| {
        claims.issued_at = Timestamp(0);
        claims.expires_at = Timestamp(1000);
    });
    refused(tokens.judge(&old).await, Refused::Expired { at: Timestamp(1000) });
    good(&tokens.judge(&good_one).await);
    assert_eq!(tokens.bed.store.finds(), 2);
}

#[tokio::test]
async fn whatever_ends_a_session_ends_its_tokens_at_once() {
    for ending in Ending::ALL {
        let tokens = Tokens::new().await;
        let token = tokens.mint(|_| {});
        good(&tokens.judge(&token).await);
        tokens.bed.changed(&tokens.bed.store.end("s", ending));
        let why = if ending == Ending::AccountDisabled { Refused::AccountDisabled } else { Refused::Revoked };
        refused(tokens.judge(&token).await, why);
        // Told before expiry, and to the first sight of another one too.
        let old = tokens.mint(|claims| {
            claims.issued_at = Timestamp(0);
            claims.expires_at = Timestamp(1000);
        });
        refused(tokens.judge(&old).await, why);
    }
}

#[tokio::test]
async fn disabling_the_account_ends_its_tokens_at_once() {
    let tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    good(&tokens.judge(&token).await);
    tokens.bed.changed(&tokens.bed.store.set_status("a", AccountStatus::Disabled));
    refused(tokens.judge(&token).await, Refused::AccountDisabled);
}

#[tokio::test]
async fn an_end_beside_this_process_comes_by_the_feed() {
    let mut tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    good(&tokens.judge(&token).await);
    tokens.bed.store.end("s", Ending::Logout);
    good(&tokens.judge(&token).await);
    tokens.bed.feed.poll().await;
    refused(tokens.judge(&token).await, Refused::Revoked);
}

#[tokio::test]
async fn a_look_up_that_began_before_a_logout_brings_nothing_back() {
    tokio::task::LocalSet::new()
        .run_until(async {
            let tokens = Tokens::new().await;
            let token = tokens.mint(|_| {});
            let mut held = tokens.bed.store.hold_next();
            let front = std::rc::Rc::clone(&tokens.bed.front);
            let question = front.question(digest(&token), &token, START).unwrap();
            let asking = tokio::task::spawn_local(async move { front.load(question).await });
            held.reached().await;
            tokens.bed.changed(&tokens.bed.store.end("s", Ending::Logout));
            held.release();
            refused(asking.await.unwrap(), Refused::Revoked);
            refused(tokens.judge(&token).await, Refused::Revoked);
        })
        .await;
}

#[tokio::test]
async fn many_that_present_one_new_token_cost_one_look_up() {
    tokio::task::LocalSet::new()
        .run_until(async {
            let tokens = Tokens::new().await;
            let token = tokens.mint(|_| {});
            let mut held = tokens.bed.store.hold_next();
            let asking: Vec<_> = (0..50)
                .map(|_| {
                    let front = std::rc::Rc::clone(&tokens.bed.front);
                    let question = front.question(digest(&token), &token, START).unwrap();
                    tokio::task::spawn_local(async move { front.load(question).await })
                })
                .collect();
            held.reached().await;
            until("joined", || tokens.bed.joined() == 49).await;
            held.release();
            for one in asking {
                good(&one.await.unwrap());
            }
            assert_eq!(tokens.bed.store.finds(), 1);
        })
        .await;
}

#[tokio::test]
async fn without_the_store_what_is_held_serves_and_what_is_new_cannot_be_told() {
    let mut tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    good(&tokens.judge(&token).await);
    tokens.bed.cut().await;
    tokens.bed.advance(TTL * 2).await;
    good(&tokens.judge(&token).await);
    assert_eq!(tokens.lookups(Layer::Front, Outcome::Stale), 1);
    let new = tokens.mint(|claims| claims.id = "new".into());
    denied(tokens.judge(&new).await, Denied::Unavailable);
    tokens.bed.mend().await;
    good(&tokens.judge(&new).await);
    // Never past its own end.
    tokens.bed.cut().await;
    tokens.bed.advance(Duration::from_secs(800)).await;
    denied(tokens.judge(&token).await, Denied::Unavailable);
}

#[tokio::test]
async fn a_store_that_fails_before_the_feed_notices_is_no_refusal() {
    let tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    for mode in [Mode::Fails, Mode::Panics] {
        tokens.bed.store.set(mode);
        denied(tokens.judge(&token).await, Denied::Unavailable);
    }
    tokens.bed.store.set(Mode::Answers);
}

#[tokio::test]
async fn before_the_keys_were_read_nobody_can_tell() {
    let tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    let early = Bed::silent(&terms());
    denied(early.front.question(digest(&token), &token, START).map(|_| unreachable!()), Denied::Unavailable);
}

#[tokio::test]
async fn forged_tokens_are_remembered_without_asking_the_store_and_push_nothing_out() {
    let tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    good(&tokens.judge(&token).await);
    // A refusal that the store was asked for.
    refused(tokens.bed.judge("unknown").await, Refused::Unknown);
    let finds = tokens.bed.store.finds();
    let first = forged(&token);
    refused(tokens.judge(&first).await, Refused::Forged);
    let hits = tokens.lookups(Layer::Negative, Outcome::Hit);
    refused(tokens.judge(&first).await, Refused::Forged);
    assert_eq!(tokens.lookups(Layer::Negative, Outcome::Hit), hits + 1);
    // Three times what a cache holds.
    for number in 0..3000 {
        let junk = forged(&tokens.mint(|claims| claims.id = number.to_string().into()));
        refused(tokens.judge(&junk).await, Refused::Forged);
    }
    tokens.bed.authenticator.shared.caches.load().settle();
    assert!(tokens.bed.authenticator.stats().negative_entries <= 2000);
    good(&tokens.judge(&token).await);
    refused(tokens.bed.judge("unknown").await, Refused::Unknown);
    assert_eq!(tokens.bed.store.finds(), finds);
}

#[tokio::test]
async fn what_is_made_meanwhile_makes_no_forged_token_good() {
    let tokens = Tokens::new().await;
    let junk = forged(&tokens.mint(|_| {}));
    refused(tokens.judge(&junk).await, Refused::Forged);
    let hits = tokens.lookups(Layer::Negative, Outcome::Hit);
    tokens.bed.changed(&tokens.bed.store.put_account("b", None));
    refused(tokens.judge(&junk).await, Refused::Forged);
    // And costs no signature check either.
    assert_eq!(tokens.lookups(Layer::Negative, Outcome::Hit), hits + 1);
}

#[tokio::test]
async fn what_cannot_be_ours_costs_neither_a_signature_check_nor_a_look_up() {
    let tokens = Tokens::new().await;
    let stranger = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
    let foreign = access_token::mint(&stranger, &parties(), &claims()).unwrap();
    for token in [foreign.as_str(), "e30.e30.e30", "eyJhbGciOiJub25lIn0.e30."] {
        let asked = tokens.bed.front.question(digest(token), token, START);
        denied(asked.map(|_| unreachable!()), Denied::Refused(Refused::Unknown));
    }
    assert_eq!(tokens.bed.store.finds(), 0);
}

#[tokio::test]
async fn a_token_of_no_session_or_anothers_account_is_unknown() {
    let tokens = Tokens::new().await;
    tokens.bed.store.put_account("b", None);
    let ghost = tokens.mint(|claims| claims.session = "ghost".into());
    refused(tokens.judge(&ghost).await, Refused::Unknown);
    let swapped = tokens.mint(|claims| claims.account = "b".into());
    refused(tokens.judge(&swapped).await, Refused::Unknown);
    // It was only that the session was not there yet.
    tokens.bed.changed(&tokens.bed.store.put_session("ghost", "a", NEVER));
    good(&tokens.judge(&ghost).await);
}

#[tokio::test]
async fn a_key_is_known_before_it_signs_and_forgotten_with_what_it_signed() {
    let mut tokens = Tokens::new().await;
    let old = tokens.mint(|_| {});
    good(&tokens.judge(&old).await);
    let next = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let token = access_token::mint(&next, &parties(), &claims()).unwrap();
    let ask = |tokens: &Tokens| tokens.bed.front.question(digest(&token), &token, START);
    assert_eq!(ask(&tokens).unwrap_err(), Denied::Refused(Refused::Unknown));
    tokens.bed.store.put_signing_keys(vec![stored(&tokens.key, None), stored(&next, None)]);
    tokens.bed.feed.poll().await;
    good(&tokens.bed.front.load(ask(&tokens).unwrap()).await);
    // The other one did not have to be looked up again for it.
    good(&tokens.judge(&old).await);
    assert_eq!(tokens.bed.store.finds(), 2);
    let before = tokens.bed.front.question(digest("x"), &tokens.mint(|claims| claims.id = "x".into()), START);
    tokens.bed.store.put_signing_keys(vec![stored(&next, None)]);
    tokens.bed.feed.poll().await;
    refused(tokens.judge(&old).await, Refused::Unknown);
    // Asked before the key was gone, answered after.
    refused(tokens.bed.front.load(before.unwrap()).await, Refused::Forged);
    good(&tokens.judge(&token).await);
}

#[tokio::test]
async fn what_lasts_is_judged_again_by_its_session() {
    let tokens = Tokens::new().await;
    let entry = tokens.judge(&tokens.mint(|_| {})).await.unwrap();
    tokens.bed.changed(&tokens.bed.store.unrelated("x"));
    assert!(tokens.bed.front.standing()(&entry));
    tokens.bed.changed(&tokens.bed.store.end("s", Ending::Logout));
    assert!(!tokens.bed.front.standing()(&entry));
    refused(tokens.bed.front.again(&entry).await, Refused::Revoked);
}

#[tokio::test]
async fn other_parties_end_what_was_validated() {
    let tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    good(&tokens.judge(&token).await);
    tokens.bed.authenticator.reload(&terms(), rules("orders:read"));
    good(&tokens.judge(&token).await);
    assert_eq!(tokens.bed.store.finds(), 1);
    let other = access_token::Parties { issuer: "https://other.test".into(), ..parties() };
    let rules = Rules { parties: Some(other), ..rules("orders:read") };
    tokens.bed.authenticator.reload(&terms(), rules);
    refused(tokens.judge(&token).await, Refused::Unknown);
}

#[tokio::test]
async fn a_key_and_a_token_are_never_taken_for_each_other() {
    let tokens = Tokens::new().await;
    let token = tokens.mint(|_| {});
    refused(tokens.bed.front.load(Question::key(digest(&token))).await, Refused::Unknown);
}
