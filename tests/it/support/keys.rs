//! The one place of the tests that makes accounts and keys through the issuer.

use keyward::auth::scope::Scope;
use keyward::issuer::Issuer;

use super::gateway::Key;

/// Makes an account; its id.
pub async fn account(issuer: &Issuer, email: &str) -> String {
    issuer.create_account(email, None, &origin()).await.expect("an account is made").id
}

/// Makes a key of this account with these scopes and the default life.
pub async fn key(issuer: &Issuer, account: &str, scopes: &[&str]) -> Key {
    let scopes = scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
    let made = issuer.create_key(account, "test", scopes, &origin()).await.expect("a key is made");
    Key { id: made.key.id, secret: made.secret.expose().to_owned() }
}

fn origin() -> keyward::store::Origin {
    keyward::store::Origin { actor: "test".to_owned(), via: "test".to_owned() }
}
