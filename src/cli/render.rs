//! Accounts and keys as text for people, and objects as JSON.

use serde::Serialize;

use super::table::{self, members, terminal_width};
use super::{Exit, Failure};
use crate::issuer::{AccountView, KeyView};

pub(super) fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| Failure::new(Exit::Refused, error.to_string()))
}

pub(super) fn accounts(accounts: &[AccountView]) -> String {
    if accounts.is_empty() {
        return "There are no accounts yet. `keyward accounts create --email …` makes one.\n".to_owned();
    }
    let rows: Vec<_> = accounts
        .iter()
        .map(|account| {
            [
                account.id.clone(),
                account.email.clone(),
                account.status.to_owned(),
                listed(&account.scopes, "none"),
                account.created_at.clone(),
            ]
        })
        .collect();
    table::rows(["ID", "EMAIL", "STATUS", "SCOPES", "CREATED"], &rows, terminal_width())
}

pub(super) fn account(account: &AccountView) -> String {
    members(&[
        ("id", account.id.clone()),
        ("email", account.email.clone()),
        ("status", account.status.to_owned()),
        ("scopes", listed(&account.scopes, "none")),
        ("created", account.created_at.clone()),
    ])
}

/// Keys, each with its account's address.
pub(super) fn keys(keys: &[(KeyView, String)]) -> String {
    if keys.is_empty() {
        return "There are no keys. `keyward keys create --account … --name …` makes one.\n".to_owned();
    }
    let rows: Vec<_> = keys
        .iter()
        .map(|(key, email)| {
            [
                key.id.clone(),
                key.name.clone(),
                email.clone(),
                shown(key),
                key.status.as_str().to_owned(),
                key.expires_at.clone(),
                listed(&key.scopes, "none"),
            ]
        })
        .collect();
    let head = ["ID", "NAME", "ACCOUNT", "KEY", "STATUS", "EXPIRES", "SCOPES"];
    table::rows(head, &rows, terminal_width())
}

pub(super) fn key(key: &KeyView, email: &str) -> String {
    let mut all = vec![
        ("id", key.id.clone()),
        ("name", key.name.clone()),
        ("account", format!("{email} ({})", key.account_id)),
        ("key", shown(key)),
        ("status", key.status.as_str().to_owned()),
        ("scopes", listed(&key.scopes, "none")),
        ("addresses", listed(&key.allowed_addresses, "any")),
        ("created", key.created_at.clone()),
        ("expires", key.expires_at.clone()),
    ];
    let when_known = [("last used", &key.last_used_at), ("revoked", &key.revoked_at)];
    all.extend(when_known.into_iter().filter_map(|(name, at)| Some((name, at.clone()?))));
    members(&all)
}

/// A key just made; the one time that its secret is shown.
pub(super) fn made_key(view: &KeyView, email: &str, secret: &str) -> String {
    format!("The key is shown only now; keep it safe:\n\n    {secret}\n\n{}", key(view, email))
}

fn shown(key: &KeyView) -> String {
    format!("{}…{}", key.prefix, key.last4)
}

fn listed(words: &[String], none: &str) -> String {
    if words.is_empty() { none.to_owned() } else { words.join(" ") }
}
