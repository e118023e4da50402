//! Signing keys in SQLite.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::audit::Entry;
use super::connections::Connections;
use super::rows;
use crate::auth::algorithm::SigningAlgorithm;
use crate::clock::Timestamp;
use crate::store::{Handover, Origin, Purpose, Retiring, Seq, SigningKey, StoreError, Subject};

const LIST: &str = "SELECT id, purpose, algorithm, private_key, created_at, signs_from, retires_at FROM signing_keys \
     ORDER BY created_at, id";

/// The newest has no successor, so no end either.
const NEWEST: &str = "SELECT id, algorithm FROM signing_keys WHERE purpose = $1 AND retires_at IS NULL";

const INSERT: &str = "INSERT INTO signing_keys (id, purpose, algorithm, private_key, created_at, signs_from, retires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

const RETIRE: &str = "UPDATE signing_keys SET retires_at = $2 WHERE id = $1";

/// Those that cannot be read as well.
const OLDER: &str = "SELECT id FROM signing_keys \
     WHERE purpose = $1 AND id <> $2 AND (retires_at IS NULL OR retires_at > $3) ORDER BY created_at, id";

/// Those that another took over from so long ago: when one retired that did so at once, only that tells.
const REMOVE: &str = "DELETE FROM signing_keys WHERE retires_at < $1 AND EXISTS (SELECT 1 FROM signing_keys AS n \
     WHERE n.purpose = signing_keys.purpose AND n.id <> signing_keys.id \
     AND n.created_at >= signing_keys.created_at AND n.created_at < $1) RETURNING id";

pub(super) async fn list(store: &Connections) -> Result<Vec<SigningKey>, StoreError> {
    let mut conn = store.read().await?;
    let rows = sqlx::query(LIST).fetch_all(&mut *conn).await?;
    Ok(rows.iter().filter_map(readable).collect())
}

/// A key of a kind that this version does not know, or a damaged one, spoils none of the others.
fn readable(row: &SqliteRow) -> Option<SigningKey> {
    rows::signing_key(row)
        .inspect_err(|error| {
            let kid: String = row.try_get("id").unwrap_or_default();
            let error = error as &dyn std::error::Error;
            tracing::error!(
                kid,
                error,
                "a signing key in the store cannot be read; what it signed is refused"
            );
        })
        .ok()
}

pub(super) async fn add(
    store: &Connections,
    key: &SigningKey,
    handover: Option<&Handover>,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let mut change = store.begin().await?;
    let outcome = take_over(&mut change, key, handover, origin).await;
    change.end(outcome).await
}

async fn take_over(
    conn: &mut SqliteConnection,
    key: &SigningKey,
    handover: Option<&Handover>,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let newest = newest(conn, key.purpose).await?;
    if newest.as_deref() != handover.map(|handover| &*handover.from) {
        return Err(StoreError::Conflict("another signing key has taken over meanwhile"));
    }
    if let Some(handover) = handover {
        let at = key.created_at;
        if handover.with == Retiring::All {
            for id in older(conn, key.purpose, handover).await? {
                retire(conn, &id, handover.retires_at, at, origin).await?;
            }
        }
        retire(conn, &handover.from, handover.retires_at, at, origin).await?;
    }
    let inserted = sqlx::query(INSERT)
        .bind(&key.id)
        .bind(key.purpose.as_str())
        .bind(key.algorithm.as_str())
        .bind(key.private_key.expose())
        .bind(key.created_at.millis())
        .bind(key.signs_from.millis())
        .bind(key.retires_at.map(Timestamp::millis))
        .execute(&mut *conn)
        .await;
    match inserted {
        Err(sqlx::Error::Database(refusal)) if refusal.is_unique_violation() => {
            return Err(StoreError::Conflict("there is such a signing key already"));
        }
        other => other?,
    };
    let detail = format!(
        "purpose: {}; algorithm: {}; signs from: {}",
        key.purpose.as_str(),
        key.algorithm.as_str(),
        key.signs_from
    );
    entry("signing_key.created", &key.id, key.created_at, origin, detail).append(conn).await
}

/// Of those that can be read: a key that cannot is replaced as if it were not there.
async fn newest(conn: &mut SqliteConnection, purpose: Purpose) -> Result<Option<String>, StoreError> {
    let rows = sqlx::query(NEWEST).bind(purpose.as_str()).fetch_all(conn).await?;
    for row in rows {
        let algorithm: String = row.try_get("algorithm")?;
        if SigningAlgorithm::ALL.iter().any(|known| known.as_str() == algorithm) {
            return Ok(Some(row.try_get("id")?));
        }
    }
    Ok(None)
}

async fn older(
    conn: &mut SqliteConnection,
    purpose: Purpose,
    Handover { from, retires_at, .. }: &Handover,
) -> Result<Vec<String>, StoreError> {
    let older = sqlx::query_scalar(OLDER).bind(purpose.as_str()).bind(from).bind(retires_at.millis());
    Ok(older.fetch_all(conn).await?)
}

async fn retire(
    conn: &mut SqliteConnection,
    id: &str,
    retires_at: Timestamp,
    at: Timestamp,
    origin: &Origin,
) -> Result<(), StoreError> {
    sqlx::query(RETIRE).bind(id).bind(retires_at.millis()).execute(&mut *conn).await?;
    let detail = match retires_at {
        Retiring::AT_ONCE => "retires: at once".to_owned(),
        at => format!("retires: {at}"),
    };
    entry("signing_key.replaced", id, at, origin, detail).append(conn).await?;
    Ok(())
}

pub(super) async fn remove(
    store: &Connections,
    before: Timestamp,
    at: Timestamp,
    origin: &Origin,
) -> Result<u32, StoreError> {
    let mut change = store.begin().await?;
    let ids: Vec<String> = sqlx::query_scalar(REMOVE).bind(before.millis()).fetch_all(&mut *change).await?;
    for id in &ids {
        entry("signing_key.removed", id, at, origin, String::new()).append(&mut change).await?;
    }
    change.end(Ok(u32::try_from(ids.len()).unwrap_or(u32::MAX))).await
}

fn entry<'a>(
    action: &'static str,
    id: &'a str,
    at: Timestamp,
    origin: &'a Origin,
    detail: String,
) -> Entry<'a> {
    Entry { at, origin, action, subject: Subject::SigningKey, id, detail }
}
