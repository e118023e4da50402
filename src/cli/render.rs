//! Accounts, keys and sessions as text for people, and objects as JSON.

use serde::Serialize;

use super::table::{self, members, terminal_width};
use super::{Exit, Failure};
use crate::issuer::{AccountView, KeyView, MadeLink, SessionView};

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
                plan(account),
                listed(&account.scopes, "none"),
                account.created_at.clone(),
            ]
        })
        .collect();
    table::rows(["ID", "EMAIL", "STATUS", "PLAN", "SCOPES", "CREATED"], &rows, terminal_width())
}

pub(super) fn account(account: &AccountView) -> String {
    members(&[
        ("id", account.id.clone()),
        ("email", account.email.clone()),
        ("status", account.status.to_owned()),
        ("plan", plan(account) + if account.plan_is_gone { GONE } else { "" }),
        ("own limits", account.limits.words()),
        ("limits", account.effective_limits.words()),
        ("scopes", listed(&account.scopes, "none")),
        ("created", account.created_at.clone()),
    ])
}

/// What is said beside a plan that is not in the configuration.
const GONE: &str = ", which `limits.plans` does not have; `limits.account` holds";

fn plan(account: &AccountView) -> String {
    account.plan.clone().unwrap_or_else(|| "none".to_owned())
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
                last_used(key),
                listed(&key.scopes, "none"),
            ]
        })
        .collect();
    let head = ["ID", "NAME", "ACCOUNT", "KEY", "STATUS", "EXPIRES", "LAST USED", "SCOPES"];
    table::rows(head, &rows, terminal_width())
}

/// A key, with the id of the one that replaced it.
pub(super) fn key(key: &KeyView, email: &str, replaced_by: Option<&str>) -> String {
    let mut all = vec![
        ("id", key.id.clone()),
        ("name", key.name.clone()),
        ("account", format!("{email} ({})", key.account_id)),
        ("key", shown(key)),
        ("status", key.status.as_str().to_owned()),
        ("scopes", listed(&key.scopes, "none")),
        ("addresses", listed(&key.allowed_addresses, "any")),
        ("limits", key.limits.words()),
        ("created", key.created_at.clone()),
        ("expires", key.expires_at.clone()),
        ("last used", last_used(key)),
    ];
    all.extend(key.revoked_at.clone().map(|at| ("revoked", at)));
    all.extend(replaced_by.map(|id| ("replaced by", id.to_owned())));
    members(&all)
}

/// As far as is known: to the minute, and less what a server that was killed had not written down.
fn last_used(key: &KeyView) -> String {
    key.last_used_at.clone().unwrap_or_else(|| "not yet".to_owned())
}

/// A key just made; the one time that its secret is shown.
pub(super) fn made_key(view: &KeyView, email: &str, secret: &str) -> String {
    format!("The key is shown only now; keep it safe:\n\n    {secret}\n\n{}", key(view, email, None))
}

/// A reset link just made; the one time that it is shown.
pub(super) fn reset_link(link: &MadeLink) -> String {
    let url = &*link.url;
    let about = members(&[
        ("account", format!("{} ({})", link.account.email, link.account.id)),
        ("expires", link.expires_at.rfc3339()),
    ]);
    format!("The link works once and is shown only now:\n\n    {url}\n\n{about}")
}

/// Sessions, each with its account's address.
pub(super) fn sessions(sessions: &[(SessionView, String)]) -> String {
    if sessions.is_empty() {
        return "Nobody is logged in.\n".to_owned();
    }
    let rows: Vec<_> = sessions
        .iter()
        .map(|(session, email)| {
            [
                session.id.clone(),
                email.clone(),
                session.address.clone(),
                session.created_at.clone(),
                session.last_used_at.clone(),
                session.expires_at.clone(),
                session.agent.clone(),
            ]
        })
        .collect();
    let head = ["ID", "ACCOUNT", "ADDRESS", "BEGAN", "LAST USED", "EXPIRES", "PROGRAM"];
    table::rows(head, &rows, terminal_width())
}

pub(super) fn session(session: &SessionView, email: &str) -> String {
    let mut all = vec![
        ("id", session.id.clone()),
        ("account", format!("{email} ({})", session.account_id)),
        ("address", session.address.clone()),
        ("program", session.agent.clone()),
        ("began", session.created_at.clone()),
        ("last used", session.last_used_at.clone()),
    ];
    let ended = session.ended_at.clone().zip(session.ended_by);
    all.push(match ended {
        Some((at, by)) => ("ended", format!("{at} ({})", by.replace('_', " "))),
        None => ("expires", session.expires_at.clone()),
    });
    members(&all)
}

fn shown(key: &KeyView) -> String {
    format!("{}…{}", key.prefix, key.last4)
}

fn listed(words: &[String], none: &str) -> String {
    if words.is_empty() { none.to_owned() } else { words.join(" ") }
}
