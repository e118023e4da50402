//! Limits of an account's or a key's own in SQLite: one column, of what is said.

use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

use super::connections::Connections;
use super::{accounts, key_changes, keys};
use crate::clock::Timestamp;
use crate::limits::Overrides;
use crate::store::{Origin, Seq, StoreError};

const OF_ACCOUNT: &str = "UPDATE accounts SET limits = $2 WHERE id = $1 AND limits IS NOT $2";

const OF_KEY: &str = "UPDATE api_keys SET limits = $2 \
     WHERE id = $1 AND revoked_at IS NULL AND expires_at > $3 AND limits IS NOT $2";

/// As it is written. A member that is not known is an error: the limit that it means would be lifted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    per_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<u32>,
}

/// What the column holds; `None` where nothing is said.
pub(super) fn written(limits: &Overrides) -> Option<String> {
    let Overrides { per_minute, smooth: burst, per_day, in_flight } = *limits;
    // Numbers are always written.
    let text =
        || serde_json::to_string(&Written { per_minute, burst, per_day, in_flight }).unwrap_or_default();
    (!limits.is_empty()).then(text)
}

/// What the column says. What cannot be read is never taken for no limit.
pub(super) fn read(text: Option<String>, column: &str) -> Result<Overrides, StoreError> {
    let Some(text) = text else { return Ok(Overrides::default()) };
    let unreadable = || StoreError::Corrupt(column.to_owned());
    let Written { per_minute, burst, per_day, in_flight } =
        serde_json::from_str(&text).map_err(|_| unreadable())?;
    let limits = Overrides { per_minute, smooth: burst, per_day, in_flight };
    if limits.is_empty() || limits.beyond().next().is_some() { Err(unreadable()) } else { Ok(limits) }
}

pub(super) async fn set_of_account(
    store: &Connections,
    id: &str,
    limits: &Overrides,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let mut change = store.begin().await?;
    let set = sqlx::query(OF_ACCOUNT).bind(id).bind(written(limits)).execute(&mut *change).await?;
    let outcome = match set.rows_affected() {
        0 => accounts::unchanged(&mut change, id).await,
        _ => {
            accounts::entry("account.limits_set", id, at, origin, in_words(limits)).append(&mut change).await
        }
    };
    change.end(outcome).await
}

pub(super) async fn set_of_key(
    store: &Connections,
    id: &str,
    limits: &Overrides,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let mut change = store.begin().await?;
    let outcome = set_of_key_in(&mut change, id, limits, at, origin).await;
    change.end(outcome).await
}

async fn set_of_key_in(
    conn: &mut SqliteConnection,
    id: &str,
    limits: &Overrides,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    // Its successor has the limits of then, and would go on with them.
    key_changes::refuse_replaced(conn, id, at, Timestamp(i64::MAX)).await?;
    let query = sqlx::query(OF_KEY).bind(id).bind(written(limits)).bind(at.millis());
    match query.execute(&mut *conn).await?.rows_affected() {
        0 => key_changes::unchanged(conn, id, at).await,
        _ => keys::entry("api_key.limits_set", id, at, origin, in_words(limits)).append(conn).await,
    }
}

fn in_words(limits: &Overrides) -> String {
    format!("limits: {limits}")
}
