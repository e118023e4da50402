//! The audit log, which is the change feed too.

use sqlx::SqliteConnection;

use super::connections::Connections;
use super::rows;
use crate::clock::Timestamp;
use crate::store::{AuditEntry, Change, Origin, Seq, StoreError, Subject};

/// The write lock is held, so nobody else can take the same number, and numbers follow the order of commits.
const APPEND: &str = "INSERT INTO audit_log (seq, at, actor, via, action, subject, subject_id, detail) \
     SELECT coalesce(max(seq), 0) + 1, $1, $2, $3, $4, $5, $6, $7 FROM audit_log RETURNING seq";

const LATEST: &str = "SELECT coalesce(max(seq), 0) FROM audit_log";

const CHANGES: &str = "SELECT seq, action, subject, subject_id, \
     (SELECT digest FROM api_keys WHERE id = subject_id AND action = 'api_key.created') AS digest \
     FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2";

const ENTRIES: &str = "SELECT seq, at, actor, via, action, subject, subject_id, detail FROM audit_log \
     WHERE seq > $1 ORDER BY seq LIMIT $2";

/// What was done to one thing, about to be written down.
pub(super) struct Entry<'a> {
    pub(super) at: Timestamp,
    pub(super) origin: &'a Origin,
    pub(super) action: &'static str,
    pub(super) subject: Subject,
    pub(super) id: &'a str,
    pub(super) detail: String,
}

impl Entry<'_> {
    /// Writes it down inside the transaction that `conn` is in.
    pub(super) async fn append(self, conn: &mut SqliteConnection) -> Result<Seq, StoreError> {
        let seq = sqlx::query_scalar(APPEND)
            .bind(self.at.millis())
            .bind(&self.origin.actor)
            .bind(&self.origin.via)
            .bind(self.action)
            .bind(self.subject.as_str())
            .bind(self.id)
            .bind(self.detail)
            .fetch_one(conn)
            .await?;
        Ok(Seq(seq))
    }
}

pub(super) async fn latest_in(conn: &mut SqliteConnection) -> Result<Seq, StoreError> {
    Ok(Seq(sqlx::query_scalar(LATEST).fetch_one(conn).await?))
}

pub(super) async fn latest(store: &Connections) -> Result<Seq, StoreError> {
    latest_in(&mut *store.read().await?).await
}

pub(super) async fn changes(store: &Connections, after: Seq, limit: u32) -> Result<Vec<Change>, StoreError> {
    let mut conn = store.read().await?;
    let rows = sqlx::query(CHANGES).bind(after.0).bind(limit).fetch_all(&mut *conn).await?;
    rows.iter().map(rows::change).collect()
}

pub(super) async fn entries(
    store: &Connections,
    after: Seq,
    limit: u32,
) -> Result<Vec<AuditEntry>, StoreError> {
    let mut conn = store.read().await?;
    let rows = sqlx::query(ENTRIES).bind(after.0).bind(limit).fetch_all(&mut *conn).await?;
    rows.iter().map(rows::audit_entry).collect()
}
