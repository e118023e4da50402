//! What is used, in SQLite: last uses of keys and counts of days, many rows in one statement.

use std::ops::RangeInclusive;

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::connections::Connections;
use crate::limits::{self, DayCount, Subject};
use crate::store::{KeyUse, Page, StoreError};

/// Only forward: workers and processes tell in no order, and clocks are set back. Keys that are gone are passed over.
pub(super) const NOTE_USES: &str = "INSERT INTO key_uses (key_id, at) \
     SELECT k.id, used.value ->> 1 FROM json_each($1) AS used CROSS JOIN api_keys AS k \
     WHERE k.id = used.value ->> 0 \
     ON CONFLICT (key_id) DO UPDATE SET at = excluded.at WHERE excluded.at > at";

/// Only up: what is counted never gets less.
pub(super) const NOTE_DAYS: &str = "INSERT INTO day_counts (day, account_id, subject, used) \
     SELECT count.value ->> 0, count.value ->> 1, count.value ->> 2, count.value ->> 3 \
     FROM json_each($1) AS count WHERE true \
     ON CONFLICT (day, account_id, subject) DO UPDATE SET used = excluded.used WHERE excluded.used > used";

pub(super) const DAYS: &str = "SELECT day, account_id, subject, used FROM day_counts \
     WHERE (day, account_id, subject) > ($1, $2, $3) ORDER BY day, account_id, subject LIMIT $4";

/// From the first on, up to the last of as many as there may be: none is looked for by itself. (Without the signs SQLite
/// compares days alone at first, and walks over all of the last.)
pub(super) const REMOVE_BEFORE: &str = "DELETE FROM day_counts WHERE (day, account_id, subject) <= \
     (SELECT day, +account_id, +subject FROM (SELECT day, account_id, subject FROM day_counts WHERE day < $1 \
     ORDER BY day, account_id, subject LIMIT $2) ORDER BY day DESC, account_id DESC, subject DESC LIMIT 1)";

/// The same from the last on.
pub(super) const REMOVE_AFTER: &str = "DELETE FROM day_counts WHERE (day, account_id, subject) >= \
     (SELECT day, +account_id, +subject FROM (SELECT day, account_id, subject FROM day_counts WHERE day > $1 \
     ORDER BY day DESC, account_id DESC, subject DESC LIMIT $2) ORDER BY day, account_id, subject LIMIT 1)";

const KEY: &str = "key:";
const ROUTE: &str = "route:";

pub(super) async fn note(store: &Connections, uses: &[KeyUse], days: &[DayCount]) -> Result<(), StoreError> {
    let mut change = store.begin().await?;
    let outcome = note_in(&mut change, uses, days).await;
    change.end(outcome).await
}

async fn note_in(conn: &mut SqliteConnection, uses: &[KeyUse], days: &[DayCount]) -> Result<(), StoreError> {
    if !uses.is_empty() {
        note_uses(conn, uses).await?;
    }
    if !days.is_empty() {
        let rows: Vec<_> = days.iter().map(row).collect();
        sqlx::query(NOTE_DAYS).bind(json(&rows)?).execute(conn).await?;
    }
    Ok(())
}

/// Notes uses inside the transaction that `conn` is in.
pub(super) async fn note_uses(conn: &mut SqliteConnection, uses: &[KeyUse]) -> Result<(), StoreError> {
    let rows: Vec<_> = uses.iter().map(|KeyUse { id, at }| (id, at.millis())).collect();
    sqlx::query(NOTE_USES).bind(json(&rows)?).execute(conn).await?;
    Ok(())
}

fn row(count: &DayCount) -> (u32, String, String, i64) {
    let account = Uuid::from_u128(count.account).to_string();
    (count.day, account, subject_text(&count.subject), i64::try_from(count.used).unwrap_or(i64::MAX))
}

fn json(rows: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| StoreError::Unavailable(error.into()))
}

pub(super) async fn days(
    store: &Connections,
    from: u32,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<DayCount>, StoreError> {
    let mut conn = store.read().await?;
    let (day, account, subject) = after.and_then(place).unwrap_or((from, "", ""));
    let rows = sqlx::query(DAYS).bind(day).bind(account).bind(subject).bind(limit).fetch_all(&mut *conn);
    let rows = rows.await?;
    let last = rows.last().filter(|_| rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX));
    let next = last.map(next).transpose()?;
    let items: Vec<_> = rows.iter().filter_map(|row| count(row).ok()).collect();
    if items.len() < rows.len() {
        let unread = rows.len() - items.len();
        tracing::error!(unread, "counts of days in the store cannot be read; they begin anew");
    }
    Ok(Page { items, next })
}

/// Where a page ends, as text; the subject comes last, for it may have spaces.
fn next(row: &SqliteRow) -> Result<String, StoreError> {
    let (day, account, subject): (u32, String, String) =
        (row.try_get("day")?, row.try_get("account_id")?, row.try_get("subject")?);
    Ok(format!("{day} {account} {subject}"))
}

fn place(text: &str) -> Option<(u32, &str, &str)> {
    let (day, rest) = text.split_once(' ')?;
    let (account, subject) = rest.split_once(' ')?;
    Some((day.parse().ok()?, account, subject))
}

fn count(row: &SqliteRow) -> Result<DayCount, StoreError> {
    const UNREADABLE: &str = "day_counts";
    let (subject, used): (String, i64) = (row.try_get("subject")?, row.try_get("used")?);
    let unreadable = || StoreError::Corrupt(UNREADABLE.to_owned());
    Ok(DayCount {
        account: limits::number(row.try_get("account_id")?),
        subject: subject_of(&subject).ok_or_else(unreadable)?,
        day: row.try_get("day")?,
        used: u64::try_from(used).map_err(|_| unreadable())?,
    })
}

fn subject_text(subject: &Subject) -> String {
    match subject {
        Subject::Account => String::new(),
        Subject::Key(id) => format!("{KEY}{id}"),
        Subject::Route(name) => format!("{ROUTE}{name}"),
    }
}

fn subject_of(text: &str) -> Option<Subject> {
    if text.is_empty() {
        return Some(Subject::Account);
    }
    let key = text.strip_prefix(KEY).map(|id| Subject::Key(id.into()));
    key.or_else(|| text.strip_prefix(ROUTE).map(|name| Subject::Route(name.into())))
}

pub(super) async fn remove_days(
    store: &Connections,
    kept: RangeInclusive<u32>,
    limit: u32,
) -> Result<u32, StoreError> {
    let mut change = store.begin().await?;
    let mut most = 0;
    for (statement, day) in [(REMOVE_BEFORE, kept.start()), (REMOVE_AFTER, kept.end())] {
        let removed = sqlx::query(statement).bind(day).bind(limit).execute(&mut *change).await?;
        most = most.max(removed.rows_affected());
    }
    change.end(Ok(u32::try_from(most).unwrap_or(u32::MAX))).await
}
