//! The one place of the tests that makes accounts and keys through the issuer.

use std::time::Duration;

use keyward::auth::random::System;
use keyward::auth::scope::ScopeSet;
use keyward::auth::token::{HashedToken, Kind, PlainToken, Prefix};
use keyward::clock::{Clock, Timestamp};
use keyward::issuer::signing::{Holder, Signing};
use keyward::issuer::{Expiry, Issuer, NewAccount, NewKey, ScopesChoice};
use keyward::store::{NewSession, Session, SharedStore};

use super::gateway::{Gateway, Key};

/// Makes an account; its id.
pub async fn account(issuer: &Issuer, email: &str) -> String {
    let new = NewAccount { email: email.to_owned(), scopes: ScopesChoice::Defaults };
    issuer.create_account(&new, &origin()).await.expect("an account is made").id
}

/// Makes a key of this account with these scopes and the default life.
pub async fn key(issuer: &Issuer, account: &str, scopes: &[&str]) -> Key {
    make(issuer, account, scopes, &[]).await
}

/// The same without scopes, to be used from this network alone.
pub async fn key_from(issuer: &Issuer, account: &str, network: &str) -> Key {
    make(issuer, account, &[], &[network]).await
}

async fn make(issuer: &Issuer, account: &str, scopes: &[&str], networks: &[&str]) -> Key {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    let new = NewKey {
        account: account.to_owned(),
        name: "test".to_owned(),
        scopes: words(scopes),
        expiry: Expiry::Default,
        allowed_addresses: words(networks),
    };
    let made = issuer.create_key(&new, &origin()).await.expect("a key is made");
    Key { id: made.key.id, secret: made.token.expose().to_owned() }
}

/// A key that nobody made; only a look-up can tell.
pub fn unknown() -> String {
    let key = PlainToken::generate(&Prefix::default(), Kind::ApiKey, &System::default()).unwrap();
    key.expose().to_owned()
}

pub fn origin() -> keyward::store::Origin {
    keyward::store::Origin { actor: "test".to_owned(), via: "test".to_owned() }
}

/// How long a key lives that is imported by [`import_line`].
pub const IMPORTED_LIFE: Duration = Duration::from_hours(24 * 30);

/// What `keys import` takes for this key: of this account, of this form, from now on.
pub fn import_line(
    key: &str,
    account: &str,
    (prefix, length): (&str, Option<usize>),
    now: Timestamp,
) -> String {
    let line = serde_json::json!({
        "digest": HashedToken::of(key.as_bytes()).hex(),
        "prefix": prefix,
        "last4": key[key.len() - 4..],
        "name": "from elsewhere",
        "account": account,
        "scopes": [],
        "expires_at": now.after(IMPORTED_LIFE).rfc3339(),
        "length": length,
    });
    format!("{line}\n")
}

/// Begins a session of the gateway's account, as a login does.
pub async fn session(gateway: &Gateway, now: Timestamp) -> Session {
    let account = gateway.account().await.to_owned();
    session_of(gateway, &account, now).await
}

/// Begins a session of this account.
pub async fn session_of(gateway: &Gateway, account: &str, now: Timestamp) -> Session {
    let email = gateway.issuer().account(account).await.unwrap().email;
    let password = gateway.store().login(&email).await.unwrap().and_then(|login| login.password);
    let ends = now.after(Duration::from_hours(24 * 30));
    let random = System::default();
    let token = PlainToken::generate(&Prefix::default(), Kind::ApiKey, &random).unwrap();
    let session = Session {
        id: format!("ses-{}", &token.hashed().hex()[..16]),
        account_id: account.to_owned(),
        created_at: now,
        last_used_at: now,
        expires_at: ends,
        ends_at: ends,
        ended: None,
        address: "127.0.0.1".to_owned(),
        agent: String::new(),
    };
    let (refresh, subscriber) = (token.hashed(), session.address.clone());
    let new = NewSession { session: session.clone(), refresh, password, subscriber, most: u32::MAX };
    gateway.store().start_session(&new, &origin()).await.expect("a session begins");
    session
}

/// An access token of `session`.
pub fn access_token(gateway: &Gateway, session: &Session, scopes: &str, now: Timestamp) -> String {
    let scopes = ScopeSet::parse(scopes).unwrap();
    let holder = Holder { session, client: None, scopes: &scopes };
    gateway.mint().access_token(holder, now).expect("a token is made").token.to_string()
}

/// The keeping of signing keys in `store`, under the gateway's configuration.
pub fn signing(gateway: &Gateway, store: SharedStore, clock: &Clock) -> Signing {
    Signing::new(store, clock.clone(), &gateway.configured()).expect("tokens are issued")
}
