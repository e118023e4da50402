//! The port to the home of accounts, key digests, sessions, signing keys and the audit log: one trait, plain records, [`StoreError`].
//!
//! Every change is one transaction that also writes one audit row. The rows' sequence numbers follow the order of
//! commits, so the audit log is the change feed too: whoever has seen row n knows every change up to n.
//! Nothing here knows SQL; [`sqlite`] does.

pub mod key_changes;
pub mod passwords;
pub mod records;
pub mod refresh;
pub mod sessions;
pub mod signing;
pub mod sqlite;

use std::ops::RangeInclusive;
use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use key_changes::{
    ImportedKey, Imports, Kept, KeyForm, KeyPatch, KeyUse, NewKey, OVERTAKEN, Once, Rotated,
};
pub use passwords::{Login, PasswordChange, Proof, ResetLink};
pub use records::{
    Account, AccountStatus, ApiKey, AuditEntry, Change, Found, Key, NewAccount, Origin, Page, Seq, Subject,
};
pub use refresh::{Refresh, RefreshRefusal, Refreshed};
pub use sessions::{Ending, FoundSession, NewSession, Session, Started};
pub use signing::{Handover, PrivateKey, Purpose, Retiring, SigningKey};

use crate::auth::scope::ScopeSet;
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;
use crate::limits::{DayCount, Overrides};

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is locked, full, or broken; the same call may succeed later.
    #[error("the store is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It would contradict what is there, such as a second account with one address.
    #[error("{0}")]
    Conflict(&'static str),
    /// What was read is not what this version writes.
    #[error("the store holds a value this version cannot read: {0}")]
    Corrupt(String),
}

/// What a store call gives.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A store that threads share.
pub type SharedStore = Arc<dyn Store>;

/// Home of accounts, keys, sessions and the audit log. Every method is one transaction.
///
/// Writing methods return the sequence number of their audit row, which no earlier [`find_key`](Self::find_key)
/// had seen.
pub trait Store: Send + Sync + 'static {
    /// The one indexed query of a cold validation: the key with this digest and its account, and the newest sequence
    /// number that the same snapshot holds.
    fn find_key(&self, digest: HashedToken) -> Answer<'_, Found>;

    /// What changed after `after`, oldest first, at most `limit` rows.
    fn changes(&self, after: Seq, limit: u32) -> Answer<'_, Vec<Change>>;

    /// The newest sequence number, 0 in an empty store.
    fn latest(&self) -> Answer<'_, Seq>;

    /// Makes an account. [`StoreError::Conflict`] when the address is taken (letter case aside).
    fn create_account<'a>(&'a self, account: &'a NewAccount, origin: &'a Origin) -> Answer<'a, Seq>;

    /// The account with this id or address.
    fn account<'a>(&'a self, id_or_email: &'a str) -> Answer<'a, Account>;

    /// Accounts by id, after the id `after`, at most `limit`.
    fn accounts<'a>(&'a self, after: Option<&'a str>, limit: u32) -> Answer<'a, Page<Account>>;

    /// Enables or disables an account. Setting what is already set is a change too, and audited.
    fn set_account_status<'a>(
        &'a self,
        id: &'a str,
        status: AccountStatus,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq>;

    /// Sets what an account's keys may have; `None` goes back to the catalogue's defaults.
    fn set_account_scopes<'a>(
        &'a self,
        id: &'a str,
        scopes: Option<&'a ScopeSet>,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq>;

    /// Sets the plan that says how much an account may; `None` = none. Where it is that already, there is no audit row; the
    /// answer is then the sequence number of the newest row.
    fn set_account_plan<'a>(
        &'a self,
        id: &'a str,
        plan: Option<&'a str>,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq>;

    /// Sets an account's own limits, all of them: what is not said is as its plan says. Where they are so already, there is
    /// no audit row; the answer is then the sequence number of the newest row.
    fn set_account_limits<'a>(
        &'a self,
        id: &'a str,
        limits: &'a Overrides,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq>;

    /// Keeps a key. [`StoreError::NotFound`] when its account is gone.
    fn create_key<'a>(&'a self, key: &'a ApiKey, origin: &'a Origin) -> Answer<'a, Seq>;

    /// The key with this id.
    fn key<'a>(&'a self, id: &'a str) -> Answer<'a, Key>;

    /// Keys by id, of one account or of all, after the id `after`, at most `limit`.
    fn keys<'a>(
        &'a self,
        account: Option<&'a str>,
        after: Option<&'a str>,
        limit: u32,
    ) -> Answer<'a, Page<Key>>;

    /// What became of a request that was answered before; `None` = it was not.
    fn answered<'a>(&'a self, once: &'a Once) -> Answer<'a, Option<Kept>>;

    /// Keeps a key, with what its making brings about: the end of the key it replaces, and the note that a request was
    /// answered. [`StoreError::NotFound`] when its account or the key it replaces is gone, [`StoreError::Conflict`]
    /// when the latter is no longer good, or was replaced before; nothing is kept when it is still good and not what the
    /// new one was made after.
    fn make_key<'a>(&'a self, new: &'a NewKey, origin: &'a Origin) -> Answer<'a, Kept>;

    /// Keeps all of these keys that were made elsewhere, or none of them when some digests are known already. Each form
    /// that is new has an audit row too, before those of the keys.
    /// [`StoreError::NotFound`] when an account is gone.
    fn import_keys<'a>(&'a self, keys: &'a [ImportedKey], origin: &'a Origin) -> Answer<'a, Imports>;

    /// What [`HashedToken::short`] gives of the digest of every key, dead ones too, after what `after` names, at most
    /// `limit`.
    fn key_digests<'a>(&'a self, after: Option<&'a str>, limit: u32) -> Answer<'a, Page<u64>>;

    /// The forms that imported keys have, a handful.
    fn key_forms(&self) -> Answer<'_, Vec<KeyForm>>;

    /// Changes what is known of a key. [`StoreError::Conflict`] when it is revoked or over, or was replaced and would
    /// live longer than it does. Where it is all so already, there is no audit row; the answer is then the sequence number
    /// of the newest row.
    fn patch_key<'a>(
        &'a self,
        id: &'a str,
        patch: &'a KeyPatch,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq>;

    /// Sets a key's own limits, all of them, as [`set_account_limits`](Self::set_account_limits) does an account's.
    /// [`StoreError::Conflict`] when the key is revoked or over, or was replaced.
    fn set_key_limits<'a>(
        &'a self,
        id: &'a str,
        limits: &'a Overrides,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq>;

    /// Keeps when keys were last used, where that is later than what is known, and what was used of days, where that is
    /// more; passes over keys that are gone. It changes no verdict and comes all the time, so there is no audit row.
    fn note<'a>(&'a self, uses: &'a [KeyUse], days: &'a [DayCount]) -> Answer<'a, ()>;

    /// What was used of the day `from` and of those after it, in order of days, after what `after` names, at most `limit`.
    fn day_counts<'a>(&'a self, from: u32, after: Option<&'a str>, limit: u32) -> Answer<'a, Page<DayCount>>;

    /// Removes what was used of days before and after those that are kept, at most `limit` of each, and gives the greater
    /// number. It counts for nothing, so there is no audit row.
    fn remove_day_counts(&self, kept: RangeInclusive<u32>, limit: u32) -> Answer<'_, u32>;

    /// Revokes a key for good. Revoking it again keeps the first time and writes no audit row; the answer is then the
    /// sequence number of the newest row.
    fn revoke_key<'a>(&'a self, id: &'a str, at: Timestamp, origin: &'a Origin) -> Answer<'a, Seq>;

    /// Removes keys that expired or were revoked before `before`, at most `limit`, each with its audit row; from then
    /// on they are unknown. Gives their number: as many as `limit` means that there may be more.
    fn remove_dead_keys<'a>(
        &'a self,
        before: Timestamp,
        limit: u32,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, u32>;

    /// The one indexed query of a first-seen access token: the session with this id and its account, and the newest
    /// sequence number that the same snapshot holds.
    fn find_session<'a>(&'a self, id: &'a str) -> Answer<'a, FoundSession>;

    /// Keeps a session with its first refresh token, and ends what the account has too many. [`StoreError::NotFound`] when its account is gone,
    /// [`StoreError::Conflict`] when the account is disabled or its password is no longer the one that was checked.
    fn start_session<'a>(&'a self, new: &'a NewSession, origin: &'a Origin) -> Answer<'a, Started>;

    /// Whether a session of this account began at this subscriber's after `since`, and was not ended for cause. Costs the
    /// same however many sessions there are, and for an account that there is not.
    fn has_logged_in<'a>(
        &'a self,
        account: &'a str,
        subscriber: &'a str,
        since: Timestamp,
    ) -> Answer<'a, bool>;

    /// The session with this id.
    fn session<'a>(&'a self, id: &'a str) -> Answer<'a, Session>;

    /// Sessions that are alive at `now`, by id, of one account or of all, after the id `after`, at most `limit`.
    fn sessions<'a>(
        &'a self,
        account: Option<&'a str>,
        now: Timestamp,
        after: Option<&'a str>,
        limit: u32,
    ) -> Answer<'a, Page<Session>>;

    /// The account's newest sessions that are alive at `now`, the newest first, at most `limit`.
    fn newest_sessions<'a>(
        &'a self,
        account: &'a str,
        now: Timestamp,
        limit: u32,
    ) -> Answer<'a, Vec<Session>>;

    /// Ends a session for good. Ending it again keeps the first time and writes no audit row; the answer is then the
    /// sequence number of the newest row.
    fn end_session<'a>(
        &'a self,
        id: &'a str,
        ending: Ending,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq>;

    /// Exchanges a refresh token for its successor, or ends the session of one that is dead: one step of the state
    /// machine that [`refresh`] describes. The exchange is the account's own doing, in the audit log too.
    fn refresh<'a>(&'a self, step: &'a Refresh, origin: &'a Origin) -> Answer<'a, Refreshed>;

    /// Removes sessions that were dead before `before`, with their refresh tokens, each session with its audit row. At
    /// most `limit` rows at once, so a session of many tokens takes several calls. Gives the number of rows: as many as
    /// `limit` means that there may be more.
    fn remove_dead_sessions<'a>(
        &'a self,
        before: Timestamp,
        limit: u32,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, u32>;

    /// Who logs in with this address, and what its password is held against; `None` for nobody.
    fn login<'a>(&'a self, email: &'a str) -> Answer<'a, Option<Login>>;

    /// Gives an account a password; ends its sessions and reset links, and begins the one that is to take their place. [`StoreError::NotFound`] when the account is
    /// gone, [`StoreError::Conflict`] when the proof no longer holds.
    fn set_password<'a>(
        &'a self,
        change: &'a PasswordChange,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, Seq>;

    /// Keeps a reset link, in place of any older one of its account. [`StoreError::NotFound`] when the account is gone,
    /// [`StoreError::Conflict`] when it is disabled.
    fn create_reset_link<'a>(&'a self, link: &'a ResetLink, origin: &'a Origin) -> Answer<'a, Seq>;

    /// The reset link with this digest and its account, whether or not it is over; `None` once it was used.
    fn reset_link(&self, digest: HashedToken) -> Answer<'_, Option<(ResetLink, Account)>>;

    /// The secret with this name, which is `fresh` when there was none.
    fn secret<'a>(
        &'a self,
        name: &'static str,
        fresh: &'a PrivateKey,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, PrivateKey>;

    /// Removes reset links and notes of answered requests that were over before `before`, at most `limit` of each, and
    /// gives the greater number. Nobody can tell that they are gone, so there is no audit row.
    fn remove_leftovers(&self, before: Timestamp, limit: u32) -> Answer<'_, u32>;

    /// Every signing key that can be read, the oldest first; of another the log tells.
    fn signing_keys(&self) -> Answer<'_, Vec<SigningKey>>;

    /// Keeps a signing key, the newest of its purpose from now on. [`StoreError::Conflict`] when the newest is not the
    /// one that it takes over from: somebody else was faster.
    fn add_signing_key<'a>(
        &'a self,
        key: &'a SigningKey,
        handover: Option<&'a Handover>,
        origin: &'a Origin,
    ) -> Answer<'a, Seq>;

    /// Removes the signing keys that retired, and that another took over from, before `before`, each with its audit row,
    /// and gives their number.
    fn remove_signing_keys<'a>(
        &'a self,
        before: Timestamp,
        at: Timestamp,
        origin: &'a Origin,
    ) -> Answer<'a, u32>;

    /// Lets go of files and connections; whatever is asked afterwards is unavailable.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// The audit log after `after`, oldest first, at most `limit`.
    fn audit(&self, after: Seq, limit: u32) -> Answer<'_, Vec<AuditEntry>>;
}

/// Whoever must know of a change before its writer is answered.
pub trait ChangeSink: Send + Sync {
    /// Takes note of a committed change. When this returns, nothing that contradicts the change is served.
    fn changed(&self, change: &Change);

    /// Takes note that there are imported keys of these forms. When this returns, none is refused for its form.
    fn imported(&self, forms: &[KeyForm]);
}
