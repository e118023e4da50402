//! Accounts and keys to store.

use keyward::auth::scope::ScopeSet;
use keyward::auth::token::HashedToken;
use keyward::clock::Timestamp;
use keyward::store::{ApiKey, Key, NewAccount, Origin, Seq, Store};

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
        created_at: at(2_000),
        expires_at: at(1_000_000),
        last_used_at: None,
        revoked_at: None,
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
