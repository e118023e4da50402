//! Keys in SQLite that replace others, answer a request once, come from elsewhere, or change.

use sqlx::{Row, SqliteConnection};

use super::audit::{self, Entry};
use super::connections::Connections;
use super::keys::{entry, insert, none_is};
use super::rows::{self, account_columns, key_columns};
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;
use crate::store::{
    ImportedKey, Imports, Kept, KeyForm, KeyPatch, NewKey, OVERTAKEN, Once, Origin, Rotated, Seq, StoreError,
    Subject,
};

const ANSWERED: &str = "SELECT body, made FROM answered_requests \
     WHERE account_id = $1 AND key = $2 AND created_at > $3";

/// An older note of the same request counts no longer, and gives way.
const NOTE: &str = "INSERT INTO answered_requests (account_id, key, body, made, created_at) \
     VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (account_id, key) DO UPDATE SET body = $3, made = $4, created_at = $5";

const REPLACE: &str = "UPDATE api_keys SET expires_at = min(expires_at, $2), replaced_by = $4 \
     WHERE id = $1 AND revoked_at IS NULL AND expires_at > $3 AND replaced_by IS NULL";

/// A key that can be replaced, and its account. It may be in use.
const TO_BE_REPLACED: &str = concat!(
    "SELECT ",
    key_columns!(),
    ", NULL AS k_last_used_at, ",
    account_columns!(),
    " FROM api_keys AS k JOIN accounts AS a ON a.id = k.account_id \
     WHERE k.id = $1 AND k.revoked_at IS NULL AND k.expires_at > $2 AND k.replaced_by IS NULL"
);

const IS_REPLACED: &str = "SELECT replaced_by IS NOT NULL FROM api_keys WHERE id = $1";

const REPLACED: StoreError =
    StoreError::Conflict("this key was replaced already; rotate the key that replaced it, or make a new one");

/// Whether there are so many living keys of an account and one more. Looks at no more of them than matter.
pub(super) const IS_BEYOND: &str = "SELECT 1 FROM api_keys INDEXED BY api_keys_living \
     WHERE account_id = $1 AND revoked_at IS NULL AND expires_at > $2 LIMIT 1 OFFSET $3";

const IS_KNOWN: &str = "SELECT count(*) FROM api_keys WHERE digest = $1";

const IMPORTED: &str = "UPDATE api_keys SET provenance = 'imported' WHERE id = $1";

const PUT_FORM: &str = "INSERT INTO key_forms (prefix, length) VALUES ($1, $2) ON CONFLICT DO NOTHING";

const FORMS: &str = "SELECT prefix, length FROM key_forms ORDER BY prefix, length";

/// Only where something becomes another.
const PATCH: &str = "UPDATE api_keys SET name = coalesce($2, name), scopes = coalesce($3, scopes), \
     allowed_addresses = coalesce($4, allowed_addresses), expires_at = coalesce($5, expires_at) \
     WHERE id = $1 AND revoked_at IS NULL AND expires_at > $6 \
     AND (name, scopes, allowed_addresses, expires_at) IS NOT (coalesce($2, name), coalesce($3, scopes), \
     coalesce($4, allowed_addresses), coalesce($5, expires_at))";

/// A key that can be changed. It may be in use.
const TO_BE_CHANGED: &str = concat!(
    "SELECT ",
    key_columns!(),
    ", NULL AS k_last_used_at FROM api_keys AS k \
     WHERE k.id = $1 AND k.revoked_at IS NULL AND k.expires_at > $2"
);

const WOULD_OUTLIVE: &str = "SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = $1 AND replaced_by IS NOT NULL \
     AND revoked_at IS NULL AND expires_at > $2 AND expires_at < $3)";

const IS_GOOD: &str =
    "SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = $1 AND revoked_at IS NULL AND expires_at > $2)";

pub(super) async fn answered_before(store: &Connections, once: &Once) -> Result<Option<Kept>, StoreError> {
    answered(&mut *store.read().await?, once).await
}

pub(super) async fn make(store: &Connections, new: &NewKey, origin: &Origin) -> Result<Kept, StoreError> {
    let mut change = store.begin().await?;
    let outcome = make_in(&mut change, new, origin).await;
    change.end(outcome).await
}

async fn make_in(conn: &mut SqliteConnection, new: &NewKey, origin: &Origin) -> Result<Kept, StoreError> {
    let NewKey { key, rotates, once, .. } = new;
    let at = key.key.created_at;
    if let Some(once) = once
        && let Some(before) = answered(conn, once).await?
    {
        return Ok(before);
    }
    if let Some(rotated) = rotates
        && is_overtaken(conn, rotated, at).await?
    {
        return Ok(Kept::Overtaken);
    }
    if is_one_too_many(conn, new).await? {
        return Ok(Kept::TooMany);
    }
    if let Some(once) = once {
        note(conn, once, &key.key.id, at).await?;
    }
    if let Some(rotated) = rotates {
        replace(conn, rotated, &key.key.id, at, origin).await?;
    }
    insert(conn, key, origin).await.map(Kept::New)
}

/// Whether a key that can be replaced is no longer what the new one was made after. Why another cannot is told where it is
/// tried.
async fn is_overtaken(
    conn: &mut SqliteConnection,
    rotated: &Rotated,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let found = sqlx::query(TO_BE_REPLACED).bind(&rotated.old.id).bind(at.millis());
    let Some(row) = found.fetch_optional(conn).await? else { return Ok(false) };
    Ok(!rotated.is_up_to_date(&rows::key(&row)?, &rows::account(&row)?))
}

/// Whether the account has as many keys as it may. One that takes the place of another at once makes them no more.
async fn is_one_too_many(
    conn: &mut SqliteConnection,
    NewKey { key, rotates, most, .. }: &NewKey,
) -> Result<bool, StoreError> {
    let (Some(most), at) = (*most, key.key.created_at) else { return Ok(false) };
    if rotates.as_ref().is_some_and(|rotated| rotated.expires_at <= at) {
        return Ok(false);
    }
    let beyond = sqlx::query(IS_BEYOND).bind(&key.key.account_id).bind(at.millis());
    Ok(beyond.bind(most.saturating_sub(1)).fetch_optional(conn).await?.is_some())
}

async fn answered(conn: &mut SqliteConnection, once: &Once) -> Result<Option<Kept>, StoreError> {
    let row = sqlx::query(ANSWERED)
        .bind(&once.account_id)
        .bind(once.key.hex())
        .bind(once.since.millis())
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let same = row.try_get::<String, _>("body")? == once.body.hex();
    Ok(Some(if same { Kept::Before(row.try_get("made")?) } else { Kept::Mismatch }))
}

async fn note(conn: &mut SqliteConnection, once: &Once, made: &str, at: Timestamp) -> Result<(), StoreError> {
    sqlx::query(NOTE)
        .bind(&once.account_id)
        .bind(once.key.hex())
        .bind(once.body.hex())
        .bind(made)
        .bind(at.millis())
        .execute(conn)
        .await?;
    Ok(())
}

async fn replace(
    conn: &mut SqliteConnection,
    Rotated { old, expires_at, .. }: &Rotated,
    successor: &str,
    at: Timestamp,
    origin: &Origin,
) -> Result<(), StoreError> {
    let id = &*old.id;
    let replaced = sqlx::query(REPLACE).bind(id).bind(expires_at.millis()).bind(at.millis()).bind(successor);
    if replaced.execute(&mut *conn).await?.rows_affected() == 0 {
        return Err(not_to_be_replaced(conn, id).await?);
    }
    let detail = format!("successor: {successor}; expires: {expires_at} at the latest");
    entry("api_key.rotated", id, at, origin, detail).append(conn).await?;
    Ok(())
}

/// Why a key could not be changed.
async fn not_good(conn: &mut SqliteConnection, id: &str) -> Result<StoreError, StoreError> {
    Ok(match is_replaced(conn, id).await? {
        None => StoreError::NotFound("key"),
        Some(_) => StoreError::Conflict("the key is revoked or expired; make a new one"),
    })
}

/// Why a key could not be replaced: where it was before, its successor is told of, whatever else it is.
async fn not_to_be_replaced(conn: &mut SqliteConnection, id: &str) -> Result<StoreError, StoreError> {
    match is_replaced(conn, id).await? {
        Some(true) => Ok(REPLACED),
        _ => not_good(conn, id).await,
    }
}

/// Whether a key has a successor; `None` when it is not there.
async fn is_replaced(conn: &mut SqliteConnection, id: &str) -> Result<Option<bool>, StoreError> {
    Ok(sqlx::query_scalar(IS_REPLACED).bind(id).fetch_optional(conn).await?)
}

pub(super) async fn import(
    store: &Connections,
    keys: &[ImportedKey],
    origin: &Origin,
) -> Result<Imports, StoreError> {
    let mut change = store.begin().await?;
    let outcome = import_in(&mut change, keys, origin).await;
    change.end(outcome).await
}

async fn import_in(
    conn: &mut SqliteConnection,
    keys: &[ImportedKey],
    origin: &Origin,
) -> Result<Imports, StoreError> {
    let mut taken = Vec::new();
    for (position, ImportedKey { key, .. }) in keys.iter().enumerate() {
        if is_known(conn, key.digest).await? {
            taken.push(position);
        }
    }
    if !taken.is_empty() {
        return Ok(Imports::Taken(taken));
    }
    for ImportedKey { key, form } in keys {
        put_form(conn, form, key.key.created_at, origin).await?;
    }
    let mut last = super::audit::latest_in(conn).await?;
    for ImportedKey { key, .. } in keys {
        last = insert(conn, key, origin).await?;
        sqlx::query(IMPORTED).bind(&key.key.id).execute(&mut *conn).await?;
    }
    Ok(Imports::Kept(last))
}

/// What is not new was told before.
async fn put_form(
    conn: &mut SqliteConnection,
    form: &KeyForm,
    at: Timestamp,
    origin: &Origin,
) -> Result<(), StoreError> {
    let length = form.length.unwrap_or(0);
    let put = sqlx::query(PUT_FORM).bind(&form.prefix).bind(length).execute(&mut *conn).await?;
    if put.rows_affected() == 0 {
        return Ok(());
    }
    let detail = form.length.map_or_else(|| "length: any".to_owned(), |length| format!("length: {length}"));
    let (action, subject, id) = ("key_form.created", Subject::KeyForm, &*form.prefix);
    Entry { at, origin, action, subject, id, detail }.append(conn).await?;
    Ok(())
}

async fn is_known(conn: &mut SqliteConnection, digest: HashedToken) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar::<_, i64>(IS_KNOWN).bind(digest.hex()).fetch_one(conn).await? > 0)
}

pub(super) async fn forms(store: &Connections) -> Result<Vec<KeyForm>, StoreError> {
    let mut conn = store.read().await?;
    let rows = sqlx::query(FORMS).fetch_all(&mut *conn).await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let length: u32 = row.try_get("length")?;
        Ok(KeyForm { prefix: row.try_get("prefix")?, length: (length > 0).then_some(length) })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn patch(
    store: &Connections,
    id: &str,
    patch: &KeyPatch,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let mut change = store.begin().await?;
    let outcome = patch_in(&mut change, id, patch, at, origin).await;
    change.end(outcome).await
}

async fn patch_in(
    conn: &mut SqliteConnection,
    id: &str,
    patch: &KeyPatch,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    if let Some(until) = patch.expires_at {
        refuse_replaced(conn, id, at, until).await?;
    }
    refuse_overtaken(conn, id, patch, at).await?;
    let patched = sqlx::query(PATCH)
        .bind(id)
        .bind(&patch.name)
        .bind(patch.scopes.as_ref().map(ToString::to_string))
        .bind(patch.allowed_addresses.as_deref().map(rows::joined))
        .bind(patch.expires_at.map(Timestamp::millis))
        .bind(at.millis())
        .execute(&mut *conn)
        .await?;
    if patched.rows_affected() == 0 {
        return unchanged(conn, id, at).await;
    }
    entry("api_key.changed", id, at, origin, in_words(patch)).append(conn).await
}

/// Refuses what was judged of a good key as another than it is. Why one that is not cannot is told where it is tried.
async fn refuse_overtaken(
    conn: &mut SqliteConnection,
    id: &str,
    patch: &KeyPatch,
    at: Timestamp,
) -> Result<(), StoreError> {
    let row = sqlx::query(TO_BE_CHANGED).bind(id).bind(at.millis()).fetch_optional(conn).await?;
    match row.as_ref().map(rows::key).transpose()? {
        Some(key) if !patch.is_up_to_date(&key) => Err(StoreError::Conflict(OVERTAKEN)),
        _ => Ok(()),
    }
}

/// Refuses what a good key that was replaced no longer gets: a life until `until`, unless that is no longer than what was
/// left to it.
pub(super) async fn refuse_replaced(
    conn: &mut SqliteConnection,
    id: &str,
    at: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    let outlives = sqlx::query_scalar(WOULD_OUTLIVE).bind(id).bind(at.millis()).bind(until.millis());
    match outlives.fetch_one(conn).await? {
        true => Err(StoreError::Conflict("this key was replaced; change the key that replaced it")),
        false => Ok(()),
    }
}

/// A key that is good and is so already is answered as it is, and there is nothing to write down.
pub(super) async fn unchanged(
    conn: &mut SqliteConnection,
    id: &str,
    at: Timestamp,
) -> Result<Seq, StoreError> {
    match sqlx::query_scalar(IS_GOOD).bind(id).bind(at.millis()).fetch_one(&mut *conn).await? {
        true => audit::latest_in(conn).await,
        false => Err(not_good(conn, id).await?),
    }
}

fn in_words(patch: &KeyPatch) -> String {
    let parts = [
        patch.name.as_ref().map(|name| format!("name: {name:?}")),
        patch.scopes.as_ref().map(|scopes| format!("scopes: {}", none_is(scopes.to_string(), "none"))),
        patch
            .allowed_addresses
            .as_deref()
            .map(|networks| format!("addresses: {}", none_is(rows::joined(networks), "any"))),
        patch.expires_at.map(|at| format!("expires: {at}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
