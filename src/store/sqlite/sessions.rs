//! Sessions in SQLite.

use sqlx::{Row, SqliteConnection};

use super::audit::{self, Entry};
use super::connections::Connections;
use super::rows::{self, account_columns, session_columns};
use crate::clock::Timestamp;
use crate::store::{
    AccountStatus, Ending, FoundSession, NewSession, Origin, Page, Seq, Session, Started, StoreError, Subject,
};

/// The look-up of a first-seen access token. The position of the feed comes from the same snapshot.
pub(super) const FIND: &str = concat!(
    "SELECT latest.seq AS as_of, ",
    session_columns!(),
    ", ",
    account_columns!(),
    " FROM (SELECT coalesce(max(seq), 0) AS seq FROM audit_log) AS latest \
     LEFT JOIN sessions AS s ON s.id = $1 \
     LEFT JOIN accounts AS a ON a.id = s.account_id"
);

const OWNER: &str = "SELECT status, password IS $2 AS is_current FROM accounts WHERE id = $1";

const INSERT: &str = "INSERT INTO sessions (id, account_id, created_at, last_used_at, expires_at, ends_at, dead_at, \
     address, agent, subscriber) VALUES ($1, $2, $3, $3, $4, $5, $4, $6, $7, $8)";

const INSERT_TOKEN: &str = "INSERT INTO refresh_tokens (digest, session_id, created_at, expires_at) \
     VALUES ($1, $2, $3, $4)";

/// The conditions on the end are those of the index.
pub(super) const HAS_LOGGED_IN: &str = "SELECT 1 FROM sessions INDEXED BY sessions_by_place \
     WHERE account_id = $1 AND subscriber = $2 AND created_at > $3 \
     AND (ended_by IS NULL OR ended_by = 'logout' OR ended_by = 'too_many') LIMIT 1";

const BY_ID: &str = concat!("SELECT ", session_columns!(), " FROM sessions AS s WHERE s.id = $1");

const LIST: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM sessions AS s INDEXED BY sessions_by_death WHERE s.dead_at > $3 AND s.id > $1 ORDER BY s.id LIMIT $2"
);

pub(super) const LIST_OF_ACCOUNT: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM sessions AS s INDEXED BY sessions_of_account \
     WHERE s.account_id = $4 AND s.dead_at > $3 AND s.id > $1 ORDER BY s.id LIMIT $2"
);

pub(super) const NEWEST: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM sessions AS s INDEXED BY sessions_of_account \
     WHERE s.account_id = $1 AND s.dead_at > $2 ORDER BY s.id DESC LIMIT $3"
);

pub(super) const COUNT: &str = "SELECT count(*) FROM sessions INDEXED BY sessions_of_account \
     WHERE account_id = $1 AND dead_at > $2";

pub(super) const UNUSED: &str = "SELECT id FROM sessions INDEXED BY sessions_of_account \
     WHERE account_id = $1 AND dead_at > $2 ORDER BY last_used_at, id LIMIT $3";

/// Sessions that one login ends at most: a store from before there was a bound comes down to it step by step, and no
/// login holds the others up for long.
const ENDED_AT_ONCE: u32 = 100;

const END: &str = "UPDATE sessions SET ended_at = $2, ended_by = $3, dead_at = min(dead_at, $2) \
     WHERE id = $1 AND ended_at IS NULL";

const IS_THERE: &str = "SELECT count(*) FROM sessions WHERE id = $1";

pub(super) const DEAD: &str = "SELECT id FROM sessions WHERE dead_at < $1 ORDER BY dead_at LIMIT $2";

pub(super) const REMOVE_TOKENS: &str = "DELETE FROM refresh_tokens WHERE digest IN \
     (SELECT digest FROM refresh_tokens WHERE session_id = $1 LIMIT $2)";

const REMOVE: &str = "DELETE FROM sessions WHERE id = $1";

pub(super) async fn find(store: &Connections, id: &str) -> Result<FoundSession, StoreError> {
    let mut conn = store.read().await?;
    let row = sqlx::query(FIND).bind(id).fetch_one(&mut *conn).await?;
    let as_of = Seq(row.try_get("as_of")?);
    let session = match row.try_get::<Option<String>, _>("s_id")? {
        Some(_) => Some((rows::session(&row)?, rows::account(&row)?)),
        None => None,
    };
    Ok(FoundSession { as_of, session })
}

pub(super) async fn start(
    store: &Connections,
    new: &NewSession,
    origin: &Origin,
) -> Result<Started, StoreError> {
    let mut change = store.begin().await?;
    let outcome = start_in(&mut change, new, origin).await;
    change.end(outcome).await
}

/// Begins a session inside the transaction that `conn` is in.
pub(super) async fn start_in(
    conn: &mut SqliteConnection,
    new: &NewSession,
    origin: &Origin,
) -> Result<Started, StoreError> {
    may_log_in(conn, new).await?;
    let ended = make_room(conn, new, origin).await?;
    let seq = insert(conn, new, origin).await?;
    Ok(Started { seq, ended })
}

/// Ends what the account has too many with the new one, and gives their ids.
async fn make_room(
    conn: &mut SqliteConnection,
    NewSession { session, most, .. }: &NewSession,
    origin: &Origin,
) -> Result<Vec<String>, StoreError> {
    let (account, now) = (&session.account_id, session.created_at);
    let room = most.saturating_sub(1);
    let count = sqlx::query_scalar::<_, u32>(COUNT).bind(account).bind(now.millis());
    let beyond = count.fetch_one(&mut *conn).await?.saturating_sub(room).min(ENDED_AT_ONCE);
    if beyond == 0 {
        return Ok(Vec::new());
    }
    let unused = sqlx::query_scalar::<_, String>(UNUSED).bind(account).bind(now.millis()).bind(beyond);
    let unused = unused.fetch_all(&mut *conn).await?;
    for id in &unused {
        end_in(conn, id, Ending::TooMany, now, origin).await?;
    }
    Ok(unused)
}

async fn insert(
    conn: &mut SqliteConnection,
    NewSession { session, refresh, subscriber, .. }: &NewSession,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    sqlx::query(INSERT)
        .bind(&session.id)
        .bind(&session.account_id)
        .bind(session.created_at.millis())
        .bind(session.expires_at.millis())
        .bind(session.ends_at.millis())
        .bind(&session.address)
        .bind(&session.agent)
        .bind(subscriber)
        .execute(&mut *conn)
        .await?;
    sqlx::query(INSERT_TOKEN)
        .bind(refresh.hex())
        .bind(&session.id)
        .bind(session.created_at.millis())
        .bind(session.expires_at.millis())
        .execute(&mut *conn)
        .await?;
    let detail = format!("account: {}; address: {}", session.account_id, session.address);
    entry("session.started", &session.id, session.created_at, origin, detail).append(conn).await
}

/// Between the check of a password and now the account may have been disabled or given another.
async fn may_log_in(conn: &mut SqliteConnection, new: &NewSession) -> Result<(), StoreError> {
    let owner =
        sqlx::query(OWNER).bind(&new.session.account_id).bind(&new.password).fetch_optional(conn).await?;
    let owner = owner.ok_or(StoreError::NotFound("account"))?;
    if owner.try_get::<String, _>("status")? != AccountStatus::Active.as_str() {
        return Err(StoreError::Conflict("the account is disabled"));
    }
    if !owner.try_get::<bool, _>("is_current")? {
        return Err(StoreError::Conflict("the account has another password by now"));
    }
    Ok(())
}

pub(super) async fn has_logged_in(
    store: &Connections,
    account: &str,
    subscriber: &str,
    since: Timestamp,
) -> Result<bool, StoreError> {
    let mut conn = store.read().await?;
    let query = sqlx::query(HAS_LOGGED_IN).bind(account).bind(subscriber).bind(since.millis());
    Ok(query.fetch_optional(&mut *conn).await?.is_some())
}

pub(super) async fn get(store: &Connections, id: &str) -> Result<Session, StoreError> {
    let mut conn = store.read().await?;
    let row = sqlx::query(BY_ID).bind(id.to_lowercase()).fetch_optional(&mut *conn).await?;
    row.as_ref().map_or(Err(StoreError::NotFound("session")), rows::session)
}

pub(super) async fn list(
    store: &Connections,
    account: Option<&str>,
    now: Timestamp,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Session>, StoreError> {
    let mut conn = store.read().await?;
    let query = sqlx::query(if account.is_some() { LIST_OF_ACCOUNT } else { LIST })
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .bind(now.millis());
    let query = match account {
        Some(account) => query.bind(account),
        None => query,
    };
    let rows = query.fetch_all(&mut *conn).await?;
    let items = rows.iter().map(rows::session).collect::<Result<_, _>>()?;
    Ok(rows::page(items, limit, |session| &session.id))
}

pub(super) async fn newest(
    store: &Connections,
    account: &str,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Session>, StoreError> {
    let mut conn = store.read().await?;
    let query = sqlx::query(NEWEST).bind(account).bind(now.millis()).bind(limit);
    let rows = query.fetch_all(&mut *conn).await?;
    rows.iter().map(rows::session).collect()
}

pub(super) async fn end(
    store: &Connections,
    id: &str,
    ending: Ending,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let mut change = store.begin().await?;
    let outcome = end_in(&mut change, id, ending, at, origin).await;
    change.end(outcome).await
}

/// Ends a session inside the transaction that `conn` is in.
pub(super) async fn end_in(
    conn: &mut SqliteConnection,
    id: &str,
    ending: Ending,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let ended = sqlx::query(END).bind(id).bind(at.millis()).bind(ending.as_str()).execute(&mut *conn).await?;
    match ended.rows_affected() {
        0 => already_ended(conn, id).await,
        _ => entry("session.ended", id, at, origin, format!("by: {}", ending.as_str())).append(conn).await,
    }
}

async fn already_ended(conn: &mut SqliteConnection, id: &str) -> Result<Seq, StoreError> {
    match sqlx::query_scalar::<_, i64>(IS_THERE).bind(id).fetch_one(&mut *conn).await? {
        0 => Err(StoreError::NotFound("session")),
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
    let outcome = remove_dead_in(&mut change, before, limit, at, origin).await;
    change.end(outcome).await
}

/// Each session's tokens first, as far as the limit goes; the session when it has none left.
async fn remove_dead_in(
    conn: &mut SqliteConnection,
    before: Timestamp,
    limit: u32,
    at: Timestamp,
    origin: &Origin,
) -> Result<u32, StoreError> {
    let dead: Vec<String> =
        sqlx::query_scalar(DEAD).bind(before.millis()).bind(limit).fetch_all(&mut *conn).await?;
    let mut left = limit;
    for id in &dead {
        let tokens = sqlx::query(REMOVE_TOKENS).bind(id).bind(left).execute(&mut *conn).await?;
        left = left.saturating_sub(u32::try_from(tokens.rows_affected()).unwrap_or(u32::MAX));
        if left == 0 {
            break;
        }
        sqlx::query(REMOVE).bind(id).execute(&mut *conn).await?;
        let detail = format!("dead since before {before}");
        entry("session.removed", id, at, origin, detail).append(&mut *conn).await?;
        left -= 1;
        if left == 0 {
            break;
        }
    }
    Ok(limit - left)
}

pub(super) fn entry<'a>(
    action: &'static str,
    id: &'a str,
    at: Timestamp,
    origin: &'a Origin,
    detail: String,
) -> Entry<'a> {
    Entry { at, origin, action, subject: Subject::Session, id, detail }
}
