//! Rows ↔ records. What cannot be read is named by column, never shown.

use ipnet::IpNet;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use zeroize::Zeroizing;

use super::own_limits;
use crate::auth::algorithm::SigningAlgorithm;
use crate::auth::scope::ScopeSet;
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;
use crate::store::{
    Account, AccountStatus, AuditEntry, Change, Ending, Key, Origin, Page, PrivateKey, Purpose, Seq, Session,
    SigningKey, StoreError, Subject,
};

/// The columns that [`account`] reads, of a table called `a`.
macro_rules! account_columns {
    () => {
        "a.id AS a_id, a.email AS a_email, a.status AS a_status, a.scopes AS a_scopes, a.plan AS a_plan, \
         a.limits AS a_limits, a.created_at AS a_created_at"
    };
}

/// Finds an account of a table called `a` by the forms of its address; what is written just so goes before.
macro_rules! by_email {
    () => {
        "a.email_folded IN ($1, $2, $3, $4) ORDER BY a.email_folded = $2 DESC, a.email_folded = $1 DESC LIMIT 1"
    };
}

/// The columns that [`key`] reads, of a table called `k`, without its last use.
macro_rules! key_columns {
    () => {
        "k.id AS k_id, k.account_id AS k_account_id, k.name AS k_name, k.prefix AS k_prefix, k.last4 AS k_last4, \
         k.scopes AS k_scopes, k.allowed_addresses AS k_allowed_addresses, k.limits AS k_limits, k.created_at AS k_created_at, \
         k.expires_at AS k_expires_at, k.revoked_at AS k_revoked_at, k.replaced_by AS k_replaced_by, \
         k.counts_as AS k_counts_as"
    };
}

/// The last use of a key of a table called `k`, the column that [`key`] reads besides.
macro_rules! key_use {
    () => {
        "(SELECT u.at FROM key_uses AS u WHERE u.key_id = k.id) AS k_last_used_at"
    };
}

/// The columns that [`session`] reads, of a table called `s`.
macro_rules! session_columns {
    () => {
        "s.id AS s_id, s.account_id AS s_account_id, s.created_at AS s_created_at, \
         s.last_used_at AS s_last_used_at, s.expires_at AS s_expires_at, s.ends_at AS s_ends_at, \
         s.ended_at AS s_ended_at, s.ended_by AS s_ended_by, s.address AS s_address, s.agent AS s_agent"
    };
}

pub(super) use {account_columns, by_email, key_columns, key_use, session_columns};

/// Past tense of making, as the last word of an action: what look-ups that found nothing may now find.
const CREATED: &str = ".created";

pub(super) fn account(row: &SqliteRow) -> Result<Account, StoreError> {
    let scopes: Option<String> = row.try_get("a_scopes")?;
    let status: String = row.try_get("a_status")?;
    Ok(Account {
        id: row.try_get("a_id")?,
        email: row.try_get("a_email")?,
        status: account_status(&status)?,
        scopes: scopes.map(|text| scope_set(&text, "accounts.scopes")).transpose()?,
        plan: row.try_get("a_plan")?,
        limits: own_limits::read(row.try_get("a_limits")?, "accounts.limits")?,
        created_at: Timestamp(row.try_get("a_created_at")?),
    })
}

pub(super) fn key(row: &SqliteRow) -> Result<Key, StoreError> {
    let scopes: String = row.try_get("k_scopes")?;
    let addresses: String = row.try_get("k_allowed_addresses")?;
    let last_used_at: Option<i64> = row.try_get("k_last_used_at")?;
    let revoked_at: Option<i64> = row.try_get("k_revoked_at")?;
    Ok(Key {
        id: row.try_get("k_id")?,
        account_id: row.try_get("k_account_id")?,
        name: row.try_get("k_name")?,
        prefix: row.try_get("k_prefix")?,
        last4: row.try_get("k_last4")?,
        scopes: scope_set(&scopes, "api_keys.scopes")?,
        allowed_addresses: networks(&addresses)?,
        limits: own_limits::read(row.try_get("k_limits")?, "api_keys.limits")?,
        created_at: Timestamp(row.try_get("k_created_at")?),
        expires_at: Timestamp(row.try_get("k_expires_at")?),
        last_used_at: last_used_at.map(Timestamp),
        revoked_at: revoked_at.map(Timestamp),
        replaced_by: row.try_get("k_replaced_by")?,
        counts_as: row.try_get("k_counts_as")?,
    })
}

pub(super) fn session(row: &SqliteRow) -> Result<Session, StoreError> {
    let ended_at: Option<i64> = row.try_get("s_ended_at")?;
    let ended_by: Option<String> = row.try_get("s_ended_by")?;
    Ok(Session {
        id: row.try_get("s_id")?,
        account_id: row.try_get("s_account_id")?,
        created_at: Timestamp(row.try_get("s_created_at")?),
        last_used_at: Timestamp(row.try_get("s_last_used_at")?),
        expires_at: Timestamp(row.try_get("s_expires_at")?),
        ends_at: Timestamp(row.try_get("s_ends_at")?),
        ended: ended_at
            .map(|at| Ok::<_, StoreError>((Timestamp(at), ending(ended_by.as_deref())?)))
            .transpose()?,
        address: row.try_get("s_address")?,
        agent: row.try_get("s_agent")?,
    })
}

pub(super) fn signing_key(row: &SqliteRow) -> Result<SigningKey, StoreError> {
    let retires_at: Option<i64> = row.try_get("retires_at")?;
    let purpose: String = row.try_get("purpose")?;
    let algorithm: String = row.try_get("algorithm")?;
    Ok(SigningKey {
        id: row.try_get("id")?,
        purpose: named(Purpose::ALL, Purpose::as_str, &purpose, "signing_keys.purpose")?,
        algorithm: named(
            SigningAlgorithm::ALL,
            SigningAlgorithm::as_str,
            &algorithm,
            "signing_keys.algorithm",
        )?,
        private_key: PrivateKey::new(Zeroizing::new(row.try_get("private_key")?)),
        created_at: Timestamp(row.try_get("created_at")?),
        signs_from: Timestamp(row.try_get("signs_from")?),
        retires_at: retires_at.map(Timestamp),
    })
}

pub(super) fn change(row: &SqliteRow) -> Result<Change, StoreError> {
    let action: String = row.try_get("action")?;
    let digest: Option<String> = row.try_get("digest")?;
    Ok(Change {
        seq: Seq(row.try_get("seq")?),
        subject: subject(&row.try_get::<String, _>("subject")?)?,
        id: row.try_get("subject_id")?,
        created: action.ends_with(CREATED),
        new_key: digest.as_deref().and_then(HashedToken::from_hex),
    })
}

pub(super) fn audit_entry(row: &SqliteRow) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        seq: Seq(row.try_get("seq")?),
        at: Timestamp(row.try_get("at")?),
        origin: Origin { actor: row.try_get("actor")?, via: row.try_get("via")? },
        action: row.try_get("action")?,
        subject: subject(&row.try_get::<String, _>("subject")?)?,
        id: row.try_get("subject_id")?,
        detail: row.try_get("detail")?,
    })
}

/// A page from one row more than it holds, so that the last page is known.
pub(super) fn page<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> &String) -> Page<T> {
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > size;
    items.truncate(size);
    let next = if more { items.last().map(|last| id(last).clone()) } else { None };
    Page { items, next }
}

pub(super) fn joined(networks: &[IpNet]) -> String {
    networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn networks(text: &str) -> Result<Vec<IpNet>, StoreError> {
    let parsed = text.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>();
    parsed.map_err(|_| unreadable("api_keys.allowed_addresses"))
}

fn scope_set(text: &str, column: &str) -> Result<ScopeSet, StoreError> {
    ScopeSet::parse(text).ok_or_else(|| unreadable(column))
}

fn account_status(text: &str) -> Result<AccountStatus, StoreError> {
    named([AccountStatus::Active, AccountStatus::Disabled], AccountStatus::as_str, text, "accounts.status")
}

fn ending(text: Option<&str>) -> Result<Ending, StoreError> {
    named(Ending::ALL, Ending::as_str, text.unwrap_or_default(), "sessions.ended_by")
}

fn subject(text: &str) -> Result<Subject, StoreError> {
    named(Subject::ALL, Subject::as_str, text, "audit_log.subject")
}

/// The value with this store name.
fn named<T: Copy, const N: usize>(
    all: [T; N],
    name: impl Fn(T) -> &'static str,
    text: &str,
    column: &str,
) -> Result<T, StoreError> {
    all.into_iter().find(|value| name(*value) == text).ok_or_else(|| unreadable(column))
}

fn unreadable(column: &str) -> StoreError {
    StoreError::Corrupt(column.to_owned())
}
