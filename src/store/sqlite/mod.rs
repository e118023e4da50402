//! SQLite behind the port: an embedded store that processes on one machine share.
//!
//! Every call ends within its deadline. Whatever SQLite cannot do now (locked, full, broken, gone) is
//! [`StoreError::Unavailable`]; nothing that was answered is ever lost, and nothing is half written.

mod accounts;
mod audit;
mod connections;
mod key_changes;
mod keys;
mod migrate;
mod open;
mod open_error;
mod own_limits;
mod passwords;
mod place;
mod refresh;
mod rows;
mod sessions;
mod signing;
mod trouble;
mod usage;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{ConnectOptions, Connection};

pub use open::{Open, Opened, Opening, PATIENCE, Whole};
pub use open_error::OpenError;
pub use place::effective_user;

use super::{
    Account, AccountStatus, Answer, ApiKey, AuditEntry, Change, Ending, Found, FoundSession, Handover,
    ImportedKey, Imports, Kept, Key, KeyForm, KeyPatch, KeyUse, Login, NewAccount, NewKey, NewSession, Once,
    Origin, Page, PasswordChange, PrivateKey, Refresh, Refreshed, ResetLink, Seq, Session, SigningKey,
    Started, Store, StoreError,
};
use crate::auth::scope::ScopeSet;
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;
use crate::config::Synchronous;
use crate::limits::{DayCount, Overrides};
use connections::Connections;
use trouble::Trouble;

/// The embedded store.
pub struct SqliteStore {
    path: PathBuf,
    connections: Connections,
    patience: Duration,
    opened: Opened,
    whole: Whole,
}

impl SqliteStore {
    /// Opens the store at `path`; with [`Open::Create`] makes and migrates it where needed.
    ///
    /// # Errors
    /// See [`OpenError`]. A store that is refused was not changed.
    pub async fn open(path: &Path, synchronous: Synchronous, open: Open) -> Result<Self, OpenError> {
        Opening::new(path, synchronous, open).open().await
    }

    /// The full path of its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What opening did to it.
    #[must_use]
    pub const fn opened(&self) -> Opened {
        self.opened
    }

    /// Whether opening it read all of it.
    #[must_use]
    pub const fn whole(&self) -> Whole {
        self.whole
    }

    /// Reads the whole database and checks that its pages fit together. Takes about a second per 300 MB, on a
    /// connection of its own, so that it holds up no look-up and no end.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] with what was found, or why it could not be read.
    pub async fn verify(&self) -> Result<(), OpenError> {
        let options = connections::options(&self.path, self.patience).read_only(true);
        let conn = options.connect().await.map_err(|error| OpenError::from_sqlite(&self.path, &error));
        let mut conn = conn?;
        let verdict = open::read_through(&mut conn, &self.path).await;
        // A connection that only read has nothing to lose.
        let _ = conn.close().await;
        verdict
    }

    /// Ends all connections and folds the journal into the database. Calls after it fail.
    pub async fn close(&self) {
        self.connections.close().await;
    }

    /// Gives `work` its deadline.
    fn within<'a, T>(&self, work: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Answer<'a, T>
    where
        T: Send + 'a,
    {
        let patience = self.patience;
        Box::pin(async move {
            tokio::time::timeout(patience, work).await.unwrap_or_else(|_late| Err(Trouble::Late.into()))
        })
    }
}

impl Store for SqliteStore {
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(Self::close(self))
    }

    fn find_key(&self, digest: HashedToken) -> Answer<'_, Found> {
        self.within(keys::find(&self.connections, digest))
    }

    fn changes(&self, after: Seq, limit: u32) -> Answer<'_, Vec<Change>> {
        self.within(audit::changes(&self.connections, after, limit))
    }

    fn latest(&self) -> Answer<'_, Seq> {
        self.within(audit::latest(&self.connections))
    }

    fn create_account<'a>(&'a self, account: &'a NewAccount, origin: &'a Origin) -> Answer<'a, Seq> {
        self.within(accounts::create(&self.connections, account, origin))
    }

    fn account<'a>(&'a self, id_or_email: &'a str) -> Answer<'a, Account> {
        self.within(accounts::find(&self.connections, id_or_email))
    }

    fn accounts<'a>(&'a self, after: Option<&'a str>, limit: u32) -> Answer<'a, Page<Account>> {
        self.within(accounts::list(&self.connections, after, limit))
    }

    fn set_account_status<'a>(
        &'a self,
        id: &'a str,
        status: AccountStatus,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq> {
        self.within(accounts::set_status(&self.connections, id, status, at, origin))
    }

    fn set_account_scopes<'a>(
        &'a self,
        id: &'a str,
        scopes: Option<&'a ScopeSet>,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq> {
        self.within(accounts::set_scopes(&self.connections, id, scopes, at, origin))
    }

    fn set_account_plan<'a>(
        &'a self,
        id: &'a str,
        plan: Option<&'a str>,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq> {
        self.within(accounts::set_plan(&self.connections, id, plan, at, origin))
    }

    fn set_account_limits<'a>(
        &'a self,
        id: &'a str,
        limits: &'a Overrides,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq> {
        self.within(own_limits::set_of_account(&self.connections, id, limits, at, origin))
    }

    fn create_key<'a>(&'a self, key: &'a ApiKey, origin: &'a Origin) -> Answer<'a, Seq> {
        self.within(keys::create(&self.connections, key, origin))
    }

    fn key<'a>(&'a self, id: &'a str) -> Answer<'a, Key> {
        self.within(keys::get(&self.connections, id))
    }

    fn keys<'a>(
        &'a self,
        account: Option<&'a str>,
        after: Option<&'a str>,
        limit: u32,
    ) -> Answer<'a, Page<Key>> {
        self.within(keys::list(&self.connections, account, after, limit))
    }

    fn revoke_key<'a>(&'a self, id: &'a str, at: Timestamp, origin: &'a Origin) -> Answer<'a, Seq> {
        self.within(keys::revoke(&self.connections, id, at, origin))
    }

    fn remove_dead_keys<'a>(
        &'a self,
        before: Timestamp,
        limit: u32,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, u32> {
        self.within(keys::remove_dead(&self.connections, before, limit, at, origin))
    }

    fn find_session<'a>(&'a self, id: &'a str) -> Answer<'a, FoundSession> {
        self.within(sessions::find(&self.connections, id))
    }

    fn start_session<'a>(&'a self, new: &'a NewSession, origin: &'a Origin) -> Answer<'a, Started> {
        self.within(sessions::start(&self.connections, new, origin))
    }

    fn has_logged_in<'a>(
        &'a self,
        account: &'a str,
        subscriber: &'a str,
        since: Timestamp,
    ) -> Answer<'a, bool> {
        self.within(sessions::has_logged_in(&self.connections, account, subscriber, since))
    }

    fn session<'a>(&'a self, id: &'a str) -> Answer<'a, Session> {
        self.within(sessions::get(&self.connections, id))
    }

    fn sessions<'a>(
        &'a self,
        account: Option<&'a str>,
        now: Timestamp,
        after: Option<&'a str>,
        limit: u32,
    ) -> Answer<'a, Page<Session>> {
        self.within(sessions::list(&self.connections, account, now, after, limit))
    }

    fn newest_sessions<'a>(
        &'a self,
        account: &'a str,
        now: Timestamp,
        limit: u32,
    ) -> Answer<'a, Vec<Session>> {
        self.within(sessions::newest(&self.connections, account, now, limit))
    }

    fn end_session<'a>(
        &'a self,
        id: &'a str,
        ending: Ending,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq> {
        self.within(sessions::end(&self.connections, id, ending, at, origin))
    }

    fn answered<'a>(&'a self, once: &'a Once) -> Answer<'a, Option<Kept>> {
        self.within(key_changes::answered_before(&self.connections, once))
    }

    fn make_key<'a>(&'a self, new: &'a NewKey, origin: &'a Origin) -> Answer<'a, Kept> {
        self.within(key_changes::make(&self.connections, new, origin))
    }

    fn import_keys<'a>(&'a self, keys: &'a [ImportedKey], origin: &'a Origin) -> Answer<'a, Imports> {
        self.within(key_changes::import(&self.connections, keys, origin))
    }

    fn key_digests<'a>(&'a self, after: Option<&'a str>, limit: u32) -> Answer<'a, Page<u64>> {
        self.within(keys::digests(&self.connections, after, limit))
    }

    fn key_forms(&self) -> Answer<'_, Vec<KeyForm>> {
        self.within(key_changes::forms(&self.connections))
    }

    fn note<'a>(&'a self, uses: &'a [KeyUse], days: &'a [DayCount]) -> Answer<'a, ()> {
        self.within(usage::note(&self.connections, uses, days))
    }

    fn day_counts<'a>(&'a self, from: u32, after: Option<&'a str>, limit: u32) -> Answer<'a, Page<DayCount>> {
        self.within(usage::days(&self.connections, from, after, limit))
    }

    fn remove_day_counts(&self, kept: RangeInclusive<u32>, limit: u32) -> Answer<'_, u32> {
        self.within(usage::remove_days(&self.connections, kept, limit))
    }

    fn patch_key<'a>(
        &'a self,
        id: &'a str,
        patch: &'a KeyPatch,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq> {
        self.within(key_changes::patch(&self.connections, id, patch, at, origin))
    }

    fn set_key_limits<'a>(
        &'a self,
        id: &'a str,
        limits: &'a Overrides,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq> {
        self.within(own_limits::set_of_key(&self.connections, id, limits, at, origin))
    }

    fn refresh<'a>(&'a self, step: &'a Refresh, origin: &'a Origin) -> Answer<'a, Refreshed> {
        self.within(refresh::step(&self.connections, step, origin))
    }

    fn remove_dead_sessions<'a>(
        &'a self,
        before: Timestamp,
        limit: u32,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, u32> {
        self.within(sessions::remove_dead(&self.connections, before, limit, at, origin))
    }

    fn login<'a>(&'a self, email: &'a str) -> Answer<'a, Option<Login>> {
        self.within(passwords::login(&self.connections, email))
    }

    fn set_password<'a>(
        &'a self,
        change: &'a PasswordChange,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq> {
        self.within(passwords::set(&self.connections, change, at, origin))
    }

    fn create_reset_link<'a>(&'a self, link: &'a ResetLink, origin: &'a Origin) -> Answer<'a, Seq> {
        self.within(passwords::create_link(&self.connections, link, origin))
    }

    fn reset_link(&self, digest: HashedToken) -> Answer<'_, Option<(ResetLink, Account)>> {
        self.within(passwords::link(&self.connections, digest))
    }

    fn secret<'a>(
        &'a self,
        name: &'static str,
        fresh: &'a PrivateKey,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, PrivateKey> {
        self.within(passwords::secret(&self.connections, name, fresh, at, origin))
    }

    fn remove_leftovers(&self, before: Timestamp, limit: u32) -> Answer<'_, u32> {
        self.within(passwords::remove_leftovers(&self.connections, before, limit))
    }

    fn signing_keys(&self) -> Answer<'_, Vec<SigningKey>> {
        self.within(signing::list(&self.connections))
    }

    fn add_signing_key<'a>(
        &'a self,
        key: &'a SigningKey,
        handover: Option<&'a Handover>,
        origin: &'a Origin,
    ) -> Answer<'a, Seq> {
        self.within(signing::add(&self.connections, key, handover, origin))
    }

    fn remove_signing_keys<'a>(
        &'a self,
        before: Timestamp,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, u32> {
        self.within(signing::remove(&self.connections, before, at, origin))
    }

    fn audit(&self, after: Seq, limit: u32) -> Answer<'_, Vec<AuditEntry>> {
        self.within(audit::entries(&self.connections, after, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How SQLite means to do this, a step a line.
    async fn plan(store: &SqliteStore, statement: &str, values: usize) -> String {
        let mut conn = store.connections.read().await.unwrap();
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let query = (0..values).fold(sqlx::query(explain), |query, _| query.bind("0"));
        let rows = query.fetch_all(&mut *conn).await.unwrap();
        rows.iter().map(|row| sqlx::Row::get::<String, _>(row, "detail") + "\n").collect()
    }

    async fn fresh(place: &tempfile::TempDir) -> SqliteStore {
        let path = place.path().join("a.db");
        SqliteStore::open(&path, Synchronous::Normal, Open::Create).await.unwrap()
    }

    #[tokio::test]
    async fn the_cold_look_ups_are_one_indexed_statement_each() {
        let place = tempfile::tempdir().unwrap();
        let store = fresh(&place).await;
        let key = "SEARCH k USING INDEX sqlite_autoindex_api_keys_2 (digest=?)";
        let session = "SEARCH s USING INDEX sqlite_autoindex_sessions_1 (id=?)";
        for (statement, credential) in [(keys::FIND, key), (sessions::FIND, session)] {
            let plan = plan(&store, statement, 1).await;
            for step in [
                "SEARCH audit_log USING COVERING INDEX sqlite_autoindex_audit_log_1",
                credential,
                "SEARCH a USING INDEX sqlite_autoindex_accounts_1 (id=?)",
            ] {
                assert!(plan.contains(step), "{step} is missing in\n{plan}");
            }
            assert!(!["k", "s", "a"].iter().any(|table| plan.contains(&format!("SCAN {table}"))), "{plan}");
        }
    }

    #[tokio::test]
    async fn a_use_of_a_key_is_noted_by_one_search_each() {
        let place = tempfile::tempdir().unwrap();
        let store = fresh(&place).await;
        let plan = plan(&store, usage::NOTE_USES, 1).await;
        let search = "SEARCH k USING COVERING INDEX sqlite_autoindex_api_keys_1 (id=?)";
        assert!(plan.contains(search) && !plan.contains("SCAN k"), "{plan}");
    }

    #[tokio::test]
    async fn days_that_are_over_are_removed_from_their_end_on() {
        let place = tempfile::tempdir().unwrap();
        let store = fresh(&place).await;
        for (statement, from, among) in
            [(usage::REMOVE_BEFORE, '<', "(day<?)"), (usage::REMOVE_AFTER, '>', "(day>?)")]
        {
            let plan = plan(&store, statement, 2).await;
            for search in [&*format!("((day,account_id,subject){from}(?,?,?))"), among] {
                let step = format!("SEARCH day_counts USING PRIMARY KEY {search}");
                assert!(
                    plan.contains(&step) && !plan.contains("SCAN day_counts"),
                    "{step} is missing in\n{plan}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_page_of_digests_is_read_from_their_index_alone() {
        let place = tempfile::tempdir().unwrap();
        let plan = plan(&fresh(&place).await, keys::DIGESTS, 2).await;
        let search = "SEARCH api_keys USING COVERING INDEX sqlite_autoindex_api_keys_2 (digest>?)";
        assert!(plan.contains(search) && !plan.contains("SCAN api_keys"), "{plan}");
    }

    /// With a million dead rows a step that walks over them, or sorts them, would take seconds.
    #[tokio::test]
    async fn no_step_walks_over_what_is_dead() {
        let place = tempfile::tempdir().unwrap();
        let store = fresh(&place).await;
        for (statement, values, search) in [
            (
                key_changes::IS_BEYOND,
                3,
                "SEARCH api_keys USING COVERING INDEX api_keys_living (account_id=? AND expires_at>?)",
            ),
            (keys::LIST_OF_ACCOUNT, 3, "SEARCH u USING PRIMARY KEY (key_id=?)"),
            (keys::LIST_OF_ACCOUNT, 3, "SEARCH k USING INDEX api_keys_of_account (account_id=? AND id>?)"),
            (keys::REMOVE_DEAD, 2, "SEARCH api_keys USING INDEX api_keys_by_expiry (expires_at<?)"),
            (keys::REMOVE_DEAD, 2, "SEARCH api_keys USING INDEX api_keys_by_revocation (revoked_at<?)"),
            (usage::DAYS, 4, "SEARCH day_counts USING PRIMARY KEY ((day,account_id,subject)>(?,?,?))"),
            (refresh::KNOWN_AS, 2, "SEARCH refresh_tokens USING PRIMARY KEY (digest=?)"),
            (refresh::FIND, 1, "SEARCH t USING PRIMARY KEY (digest=?)"),
            (sessions::DEAD, 2, "SEARCH sessions USING INDEX sessions_by_death (dead_at<?)"),
            (
                sessions::REMOVE_TOKENS,
                2,
                "SEARCH refresh_tokens USING COVERING INDEX refresh_tokens_of_session",
            ),
            (
                sessions::HAS_LOGGED_IN,
                3,
                "USING INDEX sessions_by_place (account_id=? AND subscriber=? AND created_at>?)",
            ),
            (sessions::NEWEST, 3, "sessions_of_account (account_id=? AND dead_at>?)"),
            (sessions::COUNT, 2, "USING COVERING INDEX sessions_of_account (account_id=? AND dead_at>?)"),
            (sessions::UNUSED, 3, "sessions_of_account (account_id=? AND dead_at>?)"),
            (sessions::LIST_OF_ACCOUNT, 4, "sessions_of_account (account_id=? AND dead_at>?)"),
            (passwords::END_SESSIONS, 3, "sessions_not_ended (account_id=?)"),
            (passwords::LOGIN, 4, "SEARCH a USING INDEX sqlite_autoindex_accounts_2 (email_folded=?)"),
            (passwords::FIND_LINK, 1, "SEARCH l USING INDEX sqlite_autoindex_reset_links_2 (digest=?)"),
            (passwords::REMOVE_LINKS, 2, "reset_links_by_expiry (expires_at<?)"),
            (passwords::REMOVE_ANSWERED, 2, "answered_requests_by_age (created_at<?)"),
        ] {
            let plan = plan(&store, statement, values).await;
            assert!(plan.contains(search) && !plan.contains("SCAN"), "{statement}\n{plan}");
        }
    }
}
