//! The one place of the tests that makes accounts and keys through the issuer.

use keyward::issuer::{Expiry, Issuer, NewAccount, NewKey, ScopesChoice};

use super::gateway::Key;

/// Makes an account; its id.
pub async fn account(issuer: &Issuer, email: &str) -> String {
    let new = NewAccount { email: email.to_owned(), scopes: ScopesChoice::Defaults };
    issuer.create_account(&new, &origin()).await.expect("an account is made").id
}

/// Makes a key of this account with these scopes and the default life.
pub async fn key(issuer: &Issuer, account: &str, scopes: &[&str]) -> Key {
    let new = NewKey {
        account: account.to_owned(),
        name: "test".to_owned(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        expiry: Expiry::Default,
        allowed_addresses: Vec::new(),
    };
    let made = issuer.create_key(&new, &origin()).await.expect("a key is made");
    Key { id: made.key.id, secret: made.token.expose().to_owned() }
}

pub fn origin() -> keyward::store::Origin {
    keyward::store::Origin { actor: "test".to_owned(), via: "test".to_owned() }
}
