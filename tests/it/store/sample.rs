//! Accounts, keys and sessions to store.

use keyward::auth::algorithm::SigningAlgorithm;
use keyward::auth::scope::ScopeSet;
use keyward::auth::token::HashedToken;
use keyward::clock::Timestamp;
use keyward::limits::Overrides;
use keyward::store::{
    ApiKey, Key, NewAccount, NewSession, Origin, PrivateKey, Purpose, Seq, Session, SigningKey, Store,
};

pub fn at(millis: i64) -> Timestamp {
    Timestamp(millis)
}

pub fn origin() -> Origin {
    Origin { actor: "jane".to_owned(), via: "test".to_owned() }
}

pub fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

/// The account with this number; numbers below 1000 are in order of id.
pub fn account(number: u32) -> NewAccount {
    NewAccount {
        id: format!("account-{number:03}"),
        email: format!("a{number}@example.com"),
        scopes: None,
        password: None,
        created_at: at(1_000),
    }
}

pub fn digest(name: &str) -> HashedToken {
    HashedToken::of(name.as_bytes())
}

/// A key that lives until 1,000,000; its digest is that of its id.
pub fn key(id: &str, account: &str) -> ApiKey {
    let key = Key {
        id: id.to_owned(),
        account_id: account.to_owned(),
        name: format!("the key {id}"),
        prefix: "kw_sk_".to_owned(),
        last4: "wxyz".to_owned(),
        scopes: scopes("orders:read orders:write"),
        allowed_addresses: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        limits: Overrides { per_minute: Some(60), ..Overrides::default() },
        created_at: at(2_000),
        expires_at: at(1_000_000),
        last_used_at: None,
        revoked_at: None,
        replaced_by: None,
        counts_as: None,
    };
    ApiKey { key, digest: digest(id) }
}

pub async fn create_account(store: &dyn Store, number: u32) -> String {
    let new = account(number);
    store.create_account(&new, &origin()).await.unwrap();
    new.id
}

pub async fn create_key(store: &dyn Store, id: &str, account: &str) -> Seq {
    store.create_key(&key(id, account), &origin()).await.unwrap()
}

/// Account 1 with this many keys.
pub async fn fill(store: &dyn Store, keys: u32) {
    let account = create_account(store, 1).await;
    for number in 0..keys {
        create_key(store, &format!("key-{number:04}"), &account).await;
    }
}

/// A session that lives until 10,000, or 100,000 when it is refreshed; its refresh token's digest is that of its id.
pub fn session(id: &str, account: &str) -> NewSession {
    let session = Session {
        id: id.to_owned(),
        account_id: account.to_owned(),
        created_at: at(3_000),
        last_used_at: at(3_000),
        expires_at: at(10_000),
        ends_at: at(100_000),
        ended: None,
        address: "192.0.2.7".to_owned(),
        agent: "curl/8.0".to_owned(),
    };
    let subscriber = session.address.clone();
    NewSession { session, refresh: digest(id), password: None, subscriber, most: 1_000 }
}

pub async fn start_session(store: &dyn Store, id: &str, account: &str) -> Seq {
    store.start_session(&session(id, account), &origin()).await.unwrap().seq
}

pub fn signing_key(id: &str, purpose: Purpose) -> SigningKey {
    SigningKey {
        id: id.to_owned(),
        purpose,
        algorithm: SigningAlgorithm::EdDsa,
        private_key: PrivateKey::new("not a real one".to_owned().into()),
        created_at: at(1_000),
        signs_from: at(2_000),
        retires_at: None,
    }
}
