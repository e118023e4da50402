//! Passwords, reset links and secrets in SQLite.

use sqlx::{Row, SqliteConnection};
use zeroize::Zeroizing;

use super::accounts::entry;
use super::audit::Entry;
use super::connections::Connections;
use super::rows::{self, account_columns, by_email};
use super::sessions::start_in;
use crate::auth::token::HashedToken;
use crate::auth::unicode;
use crate::clock::Timestamp;
use crate::store::{
    Account, Ending, Login, Origin, PasswordChange, PrivateKey, Proof, ResetLink, Seq, StoreError, Subject,
};

pub(super) const LOGIN: &str =
    concat!("SELECT a.password, ", account_columns!(), " FROM accounts AS a WHERE ", by_email!());

const SET: &str = "UPDATE accounts SET password = $2 WHERE id = $1";

const SET_IF: &str = "UPDATE accounts SET password = $2 WHERE id = $1 AND password IS $3";

const IS_THERE: &str = "SELECT count(*) FROM accounts WHERE id = $1";

const USE_LINK: &str = "DELETE FROM reset_links WHERE digest = $1 AND account_id = $2 AND expires_at > $3";

const END_LINKS: &str = "DELETE FROM reset_links WHERE account_id = $1";

/// One row of the feed tells of all of them: whoever serves a session looks at its account's changes too.
///
/// Those that nobody refreshed in time are ended too: a clock that is set back would bring them to life.
pub(super) const END_SESSIONS: &str = "UPDATE sessions INDEXED BY sessions_not_ended \
     SET ended_at = $2, ended_by = $3, dead_at = min(dead_at, $2) \
     WHERE account_id = $1 AND ended_at IS NULL";

const PUT_LINK: &str = "INSERT INTO reset_links (account_id, digest, created_at, expires_at) \
     SELECT id, $2, $3, $4 FROM accounts WHERE id = $1 AND status = 'active' \
     ON CONFLICT (account_id) DO UPDATE SET digest = $2, created_at = $3, expires_at = $4";

pub(super) const FIND_LINK: &str = concat!(
    "SELECT l.created_at AS l_created_at, l.expires_at AS l_expires_at, ",
    account_columns!(),
    " FROM reset_links AS l JOIN accounts AS a ON a.id = l.account_id WHERE l.digest = $1"
);

const SECRET: &str = "SELECT value FROM secrets WHERE name = $1";

const PUT_SECRET: &str = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";

pub(super) const REMOVE_LINKS: &str = "DELETE FROM reset_links WHERE account_id IN \
     (SELECT account_id FROM reset_links WHERE expires_at < $1 LIMIT $2)";

pub(super) const REMOVE_ANSWERED: &str = "DELETE FROM answered_requests WHERE (account_id, key) IN \
     (SELECT account_id, key FROM answered_requests WHERE created_at < $1 LIMIT $2)";

pub(super) async fn login(store: &Connections, email: &str) -> Result<Option<Login>, StoreError> {
    let mut conn = store.read().await?;
    let [folded, as_it_is, ascii, apart] = unicode::spellings(email);
    let query = sqlx::query(LOGIN).bind(folded).bind(as_it_is).bind(ascii).bind(apart);
    let row = query.fetch_optional(&mut *conn).await?;
    let read = |row| Ok(Login { account: rows::account(&row)?, password: row.try_get("password")? });
    row.map(read).transpose()
}

pub(super) async fn set(
    store: &Connections,
    change: &PasswordChange,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let mut writing = store.begin().await?;
    let outcome = replace(&mut writing, change, at, origin).await;
    writing.end(outcome).await
}

async fn replace(
    conn: &mut SqliteConnection,
    change: &PasswordChange,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let id = &*change.account_id;
    if sqlx::query_scalar::<_, i64>(IS_THERE).bind(id).fetch_one(&mut *conn).await? == 0 {
        return Err(StoreError::NotFound("account"));
    }
    let by = match &change.proof {
        Proof::Operator => "an operator",
        Proof::Old(_) => "its owner",
        Proof::Link(_) => "a reset link",
    };
    put(conn, change, at).await?;
    end_links(conn, id).await?;
    let ended = end_sessions(conn, id, Ending::PasswordChanged, at).await?;
    if let Some(new) = &change.begins {
        start_in(conn, new, origin).await?;
    }
    let detail = format!("by: {by}; sessions ended: {ended}");
    entry("account.password_set", id, at, origin, detail).append(conn).await
}

/// Sets the password if what permits it still holds.
async fn put(conn: &mut SqliteConnection, change: &PasswordChange, at: Timestamp) -> Result<(), StoreError> {
    let (id, password) = (&change.account_id, &change.password);
    let held = match &change.proof {
        Proof::Operator => sqlx::query(SET).bind(id).bind(password).execute(conn).await?,
        Proof::Old(old) => sqlx::query(SET_IF).bind(id).bind(password).bind(old).execute(conn).await?,
        Proof::Link(digest) => {
            let used = sqlx::query(USE_LINK)
                .bind(digest.hex())
                .bind(id)
                .bind(at.millis())
                .execute(&mut *conn)
                .await?;
            match used.rows_affected() {
                0 => used,
                _ => sqlx::query(SET).bind(id).bind(password).execute(conn).await?,
            }
        }
    };
    match held.rows_affected() {
        0 => Err(StoreError::Conflict("what permitted the new password no longer holds")),
        _ => Ok(()),
    }
}

/// Ends the reset link of an account, if it has one.
pub(super) async fn end_links(conn: &mut SqliteConnection, account: &str) -> Result<(), StoreError> {
    sqlx::query(END_LINKS).bind(account).execute(conn).await?;
    Ok(())
}

/// Ends all sessions of an account, and gives their number; the caller writes it down.
pub(super) async fn end_sessions(
    conn: &mut SqliteConnection,
    account: &str,
    ending: Ending,
    at: Timestamp,
) -> Result<u64, StoreError> {
    let ended =
        sqlx::query(END_SESSIONS).bind(account).bind(at.millis()).bind(ending.as_str()).execute(conn).await?;
    Ok(ended.rows_affected())
}

pub(super) async fn create_link(
    store: &Connections,
    link: &ResetLink,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let mut change = store.begin().await?;
    let put = sqlx::query(PUT_LINK)
        .bind(&link.account_id)
        .bind(link.digest.hex())
        .bind(link.created_at.millis())
        .bind(link.expires_at.millis())
        .execute(&mut *change)
        .await?;
    let outcome = match put.rows_affected() {
        0 => no_link(&mut change, &link.account_id).await,
        _ => {
            let detail = format!("expires: {}", link.expires_at);
            let entry = entry("account.reset_link_made", &link.account_id, link.created_at, origin, detail);
            entry.append(&mut change).await
        }
    };
    change.end(outcome).await
}

/// Why an account gets no link.
async fn no_link(conn: &mut SqliteConnection, account: &str) -> Result<Seq, StoreError> {
    Err(match sqlx::query_scalar::<_, i64>(IS_THERE).bind(account).fetch_one(conn).await? {
        0 => StoreError::NotFound("account"),
        _ => StoreError::Conflict("the account is disabled"),
    })
}

pub(super) async fn link(
    store: &Connections,
    digest: HashedToken,
) -> Result<Option<(ResetLink, Account)>, StoreError> {
    let mut conn = store.read().await?;
    let row = sqlx::query(FIND_LINK).bind(digest.hex()).fetch_optional(&mut *conn).await?;
    let read = |row| {
        let account = rows::account(&row)?;
        let link = ResetLink {
            digest,
            account_id: account.id.clone(),
            created_at: Timestamp(row.try_get("l_created_at")?),
            expires_at: Timestamp(row.try_get("l_expires_at")?),
        };
        Ok((link, account))
    };
    row.map(read).transpose()
}

pub(super) async fn secret(
    store: &Connections,
    name: &'static str,
    fresh: &PrivateKey,
    at: Timestamp,
    origin: &Origin,
) -> Result<PrivateKey, StoreError> {
    let known: Option<String> =
        sqlx::query_scalar(SECRET).bind(name).fetch_optional(&mut *store.read().await?).await?;
    if let Some(known) = known {
        return Ok(PrivateKey::new(Zeroizing::new(known)));
    }
    let mut change = store.begin().await?;
    let outcome = put_secret(&mut change, name, fresh, at, origin).await;
    change.end(outcome).await
}

async fn put_secret(
    conn: &mut SqliteConnection,
    name: &'static str,
    fresh: &PrivateKey,
    at: Timestamp,
    origin: &Origin,
) -> Result<PrivateKey, StoreError> {
    let put = sqlx::query(PUT_SECRET).bind(name).bind(fresh.expose()).execute(&mut *conn).await?;
    if put.rows_affected() > 0 {
        let detail = String::new();
        let subject = Subject::SigningKey;
        Entry { at, origin, action: "secret.created", subject, id: name, detail }.append(conn).await?;
    }
    let value = sqlx::query_scalar(SECRET).bind(name).fetch_one(conn).await?;
    Ok(PrivateKey::new(Zeroizing::new(value)))
}

pub(super) async fn remove_leftovers(
    store: &Connections,
    before: Timestamp,
    limit: u32,
) -> Result<u32, StoreError> {
    let mut change = store.begin().await?;
    let mut most = 0;
    for statement in [REMOVE_LINKS, REMOVE_ANSWERED] {
        let removed = sqlx::query(statement).bind(before.millis()).bind(limit).execute(&mut *change).await?;
        most = most.max(removed.rows_affected());
    }
    change.end(Ok(u32::try_from(most).unwrap_or(u32::MAX))).await
}
