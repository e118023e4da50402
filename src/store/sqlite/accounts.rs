//! Accounts in SQLite.

use sqlx::SqliteConnection;

use super::audit::{self, Entry};
use super::connections::Connections;
use super::passwords::{end_links, end_sessions};
use super::rows::{self, account_columns, by_email};
use crate::auth::scope::ScopeSet;
use crate::auth::unicode;
use crate::clock::Timestamp;
use crate::store::{Account, AccountStatus, Ending, NewAccount, Origin, Page, Seq, StoreError, Subject};

const INSERT: &str = "INSERT INTO accounts (id, email, email_folded, status, scopes, created_at, password) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

const BY_ID: &str = concat!("SELECT ", account_columns!(), " FROM accounts AS a WHERE a.id = $1");

const BY_EMAIL: &str = concat!("SELECT ", account_columns!(), " FROM accounts AS a WHERE ", by_email!());

const IS_TAKEN: &str = concat!("SELECT EXISTS (SELECT 1 FROM accounts AS a WHERE ", by_email!(), ")");

const LIST: &str =
    concat!("SELECT ", account_columns!(), " FROM accounts AS a WHERE a.id > $1 ORDER BY a.id LIMIT $2");

const SET_STATUS: &str = "UPDATE accounts SET status = $2 WHERE id = $1";

const SET_SCOPES: &str = "UPDATE accounts SET scopes = $2 WHERE id = $1";

const SET_PLAN: &str = "UPDATE accounts SET plan = $2 WHERE id = $1 AND plan IS NOT $2";

const IS_THERE: &str = "SELECT EXISTS (SELECT 1 FROM accounts WHERE id = $1)";

const TAKEN: StoreError = StoreError::Conflict("there is an account with this email already");

pub(super) async fn create(
    store: &Connections,
    account: &NewAccount,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let mut change = store.begin().await?;
    let outcome = insert(&mut change, account, origin).await;
    change.end(outcome).await
}

async fn insert(
    conn: &mut SqliteConnection,
    account: &NewAccount,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let [folded, as_it_is, ascii, apart] = unicode::spellings(&account.email);
    let taken = sqlx::query_scalar::<_, bool>(IS_TAKEN).bind(&folded).bind(as_it_is);
    if taken.bind(ascii).bind(apart).fetch_one(&mut *conn).await? {
        return Err(TAKEN);
    }
    let inserted = sqlx::query(INSERT)
        .bind(&account.id)
        .bind(&account.email)
        .bind(folded)
        .bind(AccountStatus::Active.as_str())
        .bind(account.scopes.as_ref().map(ScopeSet::as_str))
        .bind(account.created_at.millis())
        .bind(&account.password)
        .execute(&mut *conn)
        .await;
    match inserted {
        Err(sqlx::Error::Database(refusal)) if refusal.is_unique_violation() => {
            return Err(TAKEN);
        }
        other => other?,
    };
    let password = if account.password.is_some() { "set" } else { "none" };
    let scopes = in_words(account.scopes.as_ref());
    let detail = format!("email: {}; {scopes}; password: {password}", account.email);
    entry("account.created", &account.id, account.created_at, origin, detail).append(conn).await
}

pub(super) async fn find(store: &Connections, id_or_email: &str) -> Result<Account, StoreError> {
    let mut conn = store.read().await?;
    let query = if id_or_email.contains('@') {
        let [folded, as_it_is, ascii, apart] = unicode::spellings(id_or_email);
        sqlx::query(BY_EMAIL).bind(folded).bind(as_it_is).bind(ascii).bind(apart)
    } else {
        sqlx::query(BY_ID).bind(id_or_email.to_lowercase())
    };
    let row = query.fetch_optional(&mut *conn).await?;
    row.as_ref().map_or(Err(StoreError::NotFound("account")), rows::account)
}

pub(super) async fn list(
    store: &Connections,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Account>, StoreError> {
    let mut conn = store.read().await?;
    let rows = sqlx::query(LIST)
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(&mut *conn)
        .await?;
    let items = rows.iter().map(rows::account).collect::<Result<_, _>>()?;
    Ok(rows::page(items, limit, |account| &account.id))
}

pub(super) async fn set_status(
    store: &Connections,
    id: &str,
    status: AccountStatus,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let action = match status {
        AccountStatus::Active => "account.enabled",
        AccountStatus::Disabled => "account.disabled",
    };
    let mut change = store.begin().await?;
    let updated = sqlx::query(SET_STATUS).bind(id).bind(status.as_str()).execute(&mut *change).await?;
    let outcome = match (updated.rows_affected(), status) {
        (0, _) => Err(StoreError::NotFound("account")),
        (_, AccountStatus::Active) => {
            entry(action, id, at, origin, "status: active".to_owned()).append(&mut change).await
        }
        (_, AccountStatus::Disabled) => disabled(&mut change, action, id, at, origin).await,
    };
    change.end(outcome).await
}

/// Sessions and the reset link end with it, so that enabling the account again does not bring back who was shut out.
async fn disabled(
    conn: &mut SqliteConnection,
    action: &'static str,
    id: &str,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    end_links(conn, id).await?;
    let ended = end_sessions(conn, id, Ending::AccountDisabled, at).await?;
    let detail = format!("status: disabled; sessions ended: {ended}");
    entry(action, id, at, origin, detail).append(conn).await
}

pub(super) async fn set_scopes(
    store: &Connections,
    id: &str,
    scopes: Option<&ScopeSet>,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let entry = entry("account.scopes_set", id, at, origin, in_words(scopes));
    update(store, SET_SCOPES, scopes.map(ScopeSet::as_str), entry).await
}

pub(super) async fn set_plan(
    store: &Connections,
    id: &str,
    plan: Option<&str>,
    at: Timestamp,
    origin: &Origin,
) -> Result<Seq, StoreError> {
    let mut change = store.begin().await?;
    let updated = sqlx::query(SET_PLAN).bind(id).bind(plan).execute(&mut *change).await?;
    let outcome = match updated.rows_affected() {
        0 => unchanged(&mut change, id).await,
        _ => {
            let detail = plan.map_or_else(|| "plan: none".to_owned(), |plan| format!("plan: {plan:?}"));
            entry("account.plan_set", id, at, origin, detail).append(&mut change).await
        }
    };
    change.end(outcome).await
}

/// It is what it was to become, if it is there.
pub(super) async fn unchanged(conn: &mut SqliteConnection, id: &str) -> Result<Seq, StoreError> {
    match sqlx::query_scalar::<_, bool>(IS_THERE).bind(id).fetch_one(&mut *conn).await? {
        false => Err(StoreError::NotFound("account")),
        true => audit::latest_in(conn).await,
    }
}

/// Sets one column of one account and writes it down.
async fn update(
    store: &Connections,
    statement: &'static str,
    value: Option<&str>,
    entry: Entry<'_>,
) -> Result<Seq, StoreError> {
    let mut change = store.begin().await?;
    let updated = sqlx::query(statement).bind(entry.id).bind(value).execute(&mut *change).await?;
    let outcome = match updated.rows_affected() {
        0 => Err(StoreError::NotFound("account")),
        _ => entry.append(&mut change).await,
    };
    change.end(outcome).await
}

pub(super) fn entry<'a>(
    action: &'static str,
    id: &'a str,
    at: Timestamp,
    origin: &'a Origin,
    detail: String,
) -> Entry<'a> {
    Entry { at, origin, action, subject: Subject::Account, id, detail }
}

fn in_words(scopes: Option<&ScopeSet>) -> String {
    match scopes {
        None => "scopes: the defaults".to_owned(),
        Some(none) if none.is_empty() => "scopes: none".to_owned(),
        Some(some) => format!("scopes: {some}"),
    }
}
