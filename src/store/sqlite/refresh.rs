//! Refresh tokens in SQLite: one step is one transaction.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::connections::Connections;
use super::open::PATIENCE;
use super::rows::{self, account_columns, session_columns};
use super::sessions::{end_in, entry};
use crate::clock::Timestamp;
use crate::store::{
    Account, AccountStatus, Ending, Origin, Refresh, RefreshRefusal, Refreshed, Session, StoreError,
};

/// The token that is presented, its successor, its session and its account.
pub(super) const FIND: &str = concat!(
    "SELECT t.expires_at AS t_expires_at, t.used_at AS t_used_at, t.successor AS t_successor, \
     t.used_from AS t_used_from, n.used_at AS n_used_at, n.used_from AS n_used_from, ",
    session_columns!(),
    ", ",
    account_columns!(),
    " FROM refresh_tokens AS t \
     JOIN sessions AS s ON s.id = t.session_id \
     JOIN accounts AS a ON a.id = s.account_id \
     LEFT JOIN refresh_tokens AS n ON n.digest = t.successor \
     WHERE t.digest = $1"
);

/// Nobody needs the one writer to be told that a token is unknown. The second is not looked for when there is the first.
pub(super) const KNOWN_AS: &str = "SELECT digest FROM refresh_tokens WHERE digest = $1 \
     UNION ALL SELECT digest FROM refresh_tokens WHERE digest = $2 LIMIT 1";

const USE: &str = "UPDATE refresh_tokens SET used_at = $2, successor = $3, used_from = $4 WHERE digest = $1";

const INSERT: &str = "INSERT INTO refresh_tokens (digest, session_id, created_at, expires_at) \
     VALUES ($1, $2, $3, $4)";

const PROLONG: &str = "UPDATE sessions SET last_used_at = $2, expires_at = $3, dead_at = $3 WHERE id = $1";

/// What is known of the token that was presented.
struct Presented {
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
    used_from: Option<String>,
    successor: Option<String>,
    /// When and by whom that was used.
    successor_used: Option<(Timestamp, Option<String>)>,
    session: Session,
    account: Account,
}

impl Presented {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            expires_at: Timestamp(row.try_get("t_expires_at")?),
            used_at: row.try_get::<Option<i64>, _>("t_used_at")?.map(Timestamp),
            used_from: row.try_get("t_used_from")?,
            successor: row.try_get("t_successor")?,
            successor_used: match row.try_get::<Option<i64>, _>("n_used_at")? {
                Some(at) => Some((Timestamp(at), row.try_get("n_used_from")?)),
                None => None,
            },
            session: rows::session(row)?,
            account: rows::account(row)?,
        })
    }

    fn is_over(&self, at: Timestamp) -> bool {
        self.session.ended.is_some()
            || self.session.ends_at <= at
            || self.account.status == AccountStatus::Disabled
    }

    /// Whether it was used just now by the same client for this very successor, which nobody else has used since. Of two
    /// uses at once the one that was sent later may have come first, so that it lies ahead, by no longer than a call takes.
    /// One that lies further ahead was not just now: the clock was set back, and nobody knows how long ago it was.
    fn may_come_again(&self, used_at: Timestamp, step: &Refresh) -> bool {
        let just_now =
            |at: Timestamp| at <= step.at.after(PATIENCE) && step.at.max(at) < at.after(step.reuse_window);
        let by_same = |from: &Option<String>| from.as_ref() == Some(&step.from);
        just_now(used_at)
            && by_same(&self.used_from)
            && self.successor_used.as_ref().is_none_or(|(at, from)| just_now(*at) && by_same(from))
            && self.successor.as_deref() == Some(&*step.successor.hex())
            && self.session.is_alive(step.at)
    }
}

pub(super) async fn step(
    store: &Connections,
    step: &Refresh,
    origin: &Origin,
) -> Result<Refreshed, StoreError> {
    let Some(presented) = known_as(store, step).await? else {
        return Ok(Refreshed::Refused(RefreshRefusal::Unknown));
    };
    let mut change = store.begin().await?;
    let outcome = take(&mut change, &presented, step, origin).await;
    change.end(outcome).await
}

/// As what the token is stored. It was before its holder had it, and this reads at least what was committed by then.
async fn known_as(store: &Connections, step: &Refresh) -> Result<Option<String>, StoreError> {
    let mut conn = store.read().await?;
    let digest = sqlx::query_scalar(KNOWN_AS).bind(step.presented.hex()).bind(step.presented_plain.hex());
    Ok(digest.fetch_optional(&mut *conn).await?)
}

async fn take(
    conn: &mut SqliteConnection,
    digest: &str,
    step: &Refresh,
    origin: &Origin,
) -> Result<Refreshed, StoreError> {
    let row = sqlx::query(FIND).bind(digest).fetch_optional(&mut *conn).await?;
    let Some(row) = row else {
        return Ok(Refreshed::Refused(RefreshRefusal::Unknown));
    };
    let presented = Presented::read(&row)?;
    if presented.is_over(step.at) {
        return Ok(Refreshed::Refused(RefreshRefusal::Over));
    }
    match presented.used_at {
        None if presented.expires_at <= step.at => Ok(Refreshed::Refused(RefreshRefusal::Over)),
        None => exchange(conn, digest, step, presented, origin).await,
        Some(used_at) if presented.may_come_again(used_at, step) => {
            Ok(Refreshed::Again(presented.session, presented.account))
        }
        Some(_) => {
            let id = presented.session.id;
            let seq = end_in(conn, &id, Ending::Reuse, step.at, origin).await?;
            Ok(Refreshed::Refused(RefreshRefusal::Reused(id, seq)))
        }
    }
}

async fn exchange(
    conn: &mut SqliteConnection,
    digest: &str,
    step: &Refresh,
    Presented { mut session, account, .. }: Presented,
    origin: &Origin,
) -> Result<Refreshed, StoreError> {
    session.last_used_at = step.at;
    session.expires_at = step.at.after(step.idle).min(session.ends_at);
    sqlx::query(USE)
        .bind(digest)
        .bind(step.at.millis())
        .bind(step.successor.hex())
        .bind(&step.from)
        .execute(&mut *conn)
        .await?;
    sqlx::query(INSERT)
        .bind(step.successor.hex())
        .bind(&session.id)
        .bind(step.at.millis())
        .bind(session.expires_at.millis())
        .execute(&mut *conn)
        .await?;
    sqlx::query(PROLONG)
        .bind(&session.id)
        .bind(step.at.millis())
        .bind(session.expires_at.millis())
        .execute(&mut *conn)
        .await?;
    // Who has the token is its owner, until it is seen twice.
    let owner = origin.by(&account.id);
    let seq = entry("session.refreshed", &session.id, step.at, &owner, String::new()).append(conn).await?;
    Ok(Refreshed::Fresh(seq, session, account))
}
