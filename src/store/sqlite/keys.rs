//! API keys in SQLite.

use sqlx::{Row, SqliteConnection};

use super::audit::{self, Entry};
use super::connections::Connections;
use super::rows::{self, account_columns, key_columns, key_use};
use super::{own_limits, usage};
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;
use crate::store::{ApiKey, Found, Key, KeyUse, Origin, Page, Seq, StoreError, Subject};

/// The cold look-up. The position of the feed comes from the same statement, hence from the same snapshot. No request
/// asks when its key was used before.
pub(super) const FIND: &str = concat!(
    "SELECT latest.seq AS as_of, ",
    key_columns!(),
    ", NULL AS k_last_used_at, ",
    account_columns!(),
    " FROM (SELECT coalesce(max(seq), 0) AS seq FROM audit_log) AS latest \
     LEFT JOIN api_keys AS k ON k.digest = $1 \
     LEFT JOIN accounts AS a ON a.id = k.account_id"
);

const INSERT: &str = "INSERT INTO api_keys (id, account_id, digest, name, prefix, last4, scopes, \
     allowed_addresses, limits, created_at, expires_at, revoked_at, counts_as) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

const BY_ID: &str =
    concat!("SELECT ", key_columns!(), ", ", key_use!(), " FROM api_keys AS k WHERE k.id = $1");

const LIST: &str = concat!(
    "SELECT ",
    key_columns!(),
    ", ",
    key_use!(),
    " FROM api_keys AS k WHERE k.id > $1 ORDER BY k.id LIMIT $2"
);

pub(super) const LIST_OF_ACCOUNT: &str = concat!(
    "SELECT ",
    key_columns!(),
    ", ",
    key_use!(),
    " FROM api_keys AS k WHERE k.id > $1 AND k.account_id = $3 ORDER BY k.id LIMIT $2"
);

/// A page in one row: a million of them would take seconds to hand over.
pub(super) const DIGESTS: &str = "SELECT count(*) AS many, max(digest) AS last, \
     group_concat(substr(digest, 1, 16), '') AS firsts \
     FROM (SELECT digest FROM api_keys WHERE digest > $1 ORDER BY digest LIMIT $2)";

const REVOKE: &str = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";

const IS_THERE: &str = "SELECT count(*) FROM api_keys WHERE id = $1";

pub(super) const REMOVE_DEAD: &str = "DELETE FROM api_keys WHERE id IN \
     (SELECT id FROM api_keys WHERE expires_at < $1 OR revoked_at < $1 LIMIT $2) RETURNING id";

pub(super) async fn find(store: &Connections, digest: HashedToken) -> Result<Found, StoreError> {
    let mut conn = store.read().await?;
    let row = sqlx::query(FIND).bind(digest.hex()).fetch_one(&mut *conn).await?;
    let as_of = Seq(row.try_get("as_of")?);
    let key = match row.try_get::<Option<String>, _>("k_id")? {
        Some(_) => Some((rows::key(&row)?, rows::account(&row)?)),
        None => None,
    };
    Ok(Found { as_of, key })
}

pub(super) async fn create(store: &Connections, key: &ApiKey, origin: &Origin) -> Result<Seq, StoreError> {
    let mut change = store.begin().await?;
    let outcome = insert(&mut change, key, origin).await;
    change.end(outcome).await
}

pub(super) async fn insert(
    conn: &mut SqliteConnection,
    ApiKey { key, digest }: &ApiKey,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let inserted = sqlx::query(INSERT)
        .bind(&key.id)
        .bind(&key.account_id)
        .bind(digest.hex())
        .bind(&key.name)
        .bind(&key.prefix)
        .bind(&key.last4)
        .bind(key.scopes.as_str())
        .bind(rows::joined(&key.allowed_addresses))
        .bind(own_limits::written(&key.limits))
        .bind(key.created_at.millis())
        .bind(key.expires_at.millis())
        .bind(key.revoked_at.map(Timestamp::millis))
        .bind(&key.counts_as)
        .execute(&mut *conn)
        .await;
    match inserted {
        Err(sqlx::Error::Database(refusal)) if refusal.is_foreign_key_violation() => {
            return Err(StoreError::NotFound("account"));
        }
        Err(sqlx::Error::Database(refusal)) if refusal.is_unique_violation() => {
            return Err(StoreError::Conflict("there is such a key already"));
        }
        other => other?,
    };
    if let Some(at) = key.last_used_at {
        usage::note_uses(conn, &[KeyUse { id: key.id.clone(), at }]).await?;
    }
    entry("api_key.created", &key.id, key.created_at, origin, in_words(key)).append(conn).await
}

pub(super) async fn get(store: &Connections, id: &str) -> Result<Key, StoreError> {
    let mut conn = store.read().await?;
    let row = sqlx::query(BY_ID).bind(id.to_lowercase()).fetch_optional(&mut *conn).await?;
    row.as_ref().map_or(Err(StoreError::NotFound("key")), rows::key)
}

pub(super) async fn list(
    store: &Connections,
    account: Option<&str>,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Key>, StoreError> {
    let mut conn = store.read().await?;
    let query = sqlx::query(if account.is_some() { LIST_OF_ACCOUNT } else { LIST })
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1);
    let query = match account {
        Some(account) => query.bind(account),
        None => query,
    };
    let rows = query.fetch_all(&mut *conn).await?;
    let items = rows.iter().map(rows::key).collect::<Result<_, _>>()?;
    Ok(rows::page(items, limit, |key| &key.id))
}

pub(super) async fn digests(
    store: &Connections,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<u64>, StoreError> {
    let mut conn = store.read().await?;
    let page = sqlx::query(DIGESTS).bind(after.unwrap_or_default()).bind(limit).fetch_one(&mut *conn).await?;
    let (many, firsts): (u32, Option<String>) = (page.try_get("many")?, page.try_get("firsts")?);
    let next = if many < limit { None } else { page.try_get("last")? };
    // One that cannot be read is found by no look-up either.
    let items = firsts.unwrap_or_default().as_bytes().chunks(16).filter_map(short).collect();
    Ok(Page { items, next })
}

/// The first eight bytes as a number, from their hexadecimal form.
fn short(hex: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok().map(u64::swap_bytes)
}

pub(super) async fn revoke(
    store: &Connections,
    id: &str,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let mut change = store.begin().await?;
    let revoked = sqlx::query(REVOKE).bind(id).bind(at.millis()).execute(&mut *change).await?;
    let outcome = match revoked.rows_affected() {
        0 => already_revoked(&mut change, id).await,
        _ => entry("api_key.revoked", id, at, origin, String::new()).append(&mut change).await,
    };
    change.end(outcome).await
}

async fn already_revoked(conn: &mut SqliteConnection, id: &str) -> Result<Seq, StoreError> {
    match sqlx::query_scalar::<_, i64>(IS_THERE).bind(id).fetch_one(&mut *conn).await? {
        0 => Err(StoreError::NotFound("key")),
        _ => audit::latest_in(conn).await,
    }
}

pub(super) async fn remove_dead(
    store: &Connections,
    before: Timestamp,
    limit: u32,
    at: Timestamp,
    origin: &Origin,
) -> Result<u32, StoreError> {
    let mut change = store.begin().await?;
    let ids: Vec<String> =
        sqlx::query_scalar(REMOVE_DEAD).bind(before.millis()).bind(limit).fetch_all(&mut *change).await?;
    for id in &ids {
        let detail = format!("dead since before {before}");
        entry("api_key.removed", id, at, origin, detail).append(&mut change).await?;
    }
    change.end(Ok(u32::try_from(ids.len()).unwrap_or(u32::MAX))).await
}

pub(super) fn entry<'a>(
    action: &'static str,
    id: &'a str,
    at: Timestamp,
    origin: &'a Origin,
    detail: String,
) -> Entry<'a> {
    Entry { at, origin, action, subject: Subject::ApiKey, id, detail }
}

fn in_words(key: &Key) -> String {
    format!(
        "account: {}; name: {:?}; scopes: {}; addresses: {}; limits: {}; expires: {}",
        key.account_id,
        key.name,
        none_is(key.scopes.to_string(), "none"),
        none_is(rows::joined(&key.allowed_addresses), "any"),
        key.limits,
        key.expires_at
    )
}

/// The text, or what to say when there is none.
pub(super) fn none_is(text: String, instead: &str) -> String {
    if text.is_empty() { instead.to_owned() } else { text }
}
