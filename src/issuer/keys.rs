//! API keys: made, listed, revoked.

use std::time::Duration;

use super::error::{IssueError, Problem};
use super::view::KeyView;
use super::{Issuer, address, text};
use crate::auth::scope::ScopeSet;
use crate::auth::token::{Kind, PlainToken};
use crate::clock::Timestamp;
use crate::limits::Overrides;
use crate::store::{Account, AccountStatus, ApiKey, Key, Origin, Page, Subject};

/// Most living keys of an account, as far as its owner makes them: a program that makes one each time it runs fills no
/// store. What operators make and import is theirs to bound.
pub const KEYS_MAX: u32 = 1_000;
/// The shortest life of a key.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// A key that is asked for.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The id or address of its account.
    pub account: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may do; empty = nothing but be known.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expiry: Expiry,
    /// Addresses and networks it may be used from; empty = anywhere.
    pub allowed_addresses: Vec<String>,
}

/// When a key is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// After the configuration's default lifetime.
    Default,
    /// This long from now.
    In(Duration),
    /// Then.
    At(Timestamp),
}

/// A key just made, with its secret, which nobody can tell again.
#[derive(Debug)]
pub struct MadeKey {
    /// What is known of it.
    pub key: Key,
    /// The secret, to be handed to its owner once.
    pub token: PlainToken,
}

/// Whether a key is good, as far as the key alone can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    /// It is.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked, whether or not its time is over.
    Revoked,
}

impl KeyStatus {
    /// The status of `key` at `now`.
    #[must_use]
    pub fn of(key: &Key, now: Timestamp) -> Self {
        match key.revoked_at {
            Some(_) => Self::Revoked,
            None if key.expires_at <= now => Self::Expired,
            None => Self::Active,
        }
    }

    /// The wire name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Issuer {
    /// Makes a key.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with all that is wrong, [`IssueError::NotFound`], [`IssueError::AccountDisabled`], or
    /// the store's.
    pub async fn create_key(&self, asked: &NewKey, origin: &Origin) -> Result<MadeKey, IssueError> {
        let account = self.store.account(&asked.account).await?;
        if account.status == AccountStatus::Disabled {
            return Err(IssueError::AccountDisabled);
        }
        let now = self.clock.now();
        let token = PlainToken::generate(&self.keys.prefix, Kind::ApiKey, &*self.random)?;
        let key = self.checked(asked, account, &token, now)?;
        let kept = ApiKey { key, digest: token.hashed() };
        let seq = self.store.create_key(&kept, origin).await?;
        self.tell_of_key(seq, &kept);
        Ok(MadeKey { key: kept.key, token })
    }

    /// The key with this id.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], or the store's.
    pub async fn key(&self, id: &str) -> Result<Key, IssueError> {
        Ok(self.store.key(id).await?)
    }

    /// Keys in the order they were made, of the account with this id or address or of all, after the id `after`, at
    /// most `limit`.
    ///
    /// # Errors
    /// [`IssueError::NotFound`] for an unknown account, or the store's.
    pub async fn keys(
        &self,
        account: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Key>, IssueError> {
        let Some(account) = account else {
            return Ok(self.store.keys(None, after, limit).await?);
        };
        let account = self.store.account(account).await?;
        Ok(self.store.keys(Some(&account.id), after, limit).await?)
    }

    /// Revokes a key for good. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], or the store's.
    pub async fn revoke_key(&self, id: &str, origin: &Origin) -> Result<Key, IssueError> {
        let key = self.store.key(id).await?;
        let seq = self.store.revoke_key(&key.id, self.clock.now(), origin).await?;
        // Told even when it was revoked before, by another process perhaps, whose change has not arrived here yet.
        self.tell(seq, Subject::ApiKey, &key.id, false);
        Ok(self.store.key(&key.id).await?)
    }

    /// A key as APIs show it now.
    #[must_use]
    pub fn key_view(&self, key: &Key) -> KeyView {
        KeyView::new(key, self.clock.now())
    }

    pub(super) fn checked(
        &self,
        asked: &NewKey,
        account: Account,
        token: &PlainToken,
        now: Timestamp,
    ) -> Result<Key, IssueError> {
        let mut problems = Vec::new();
        let name = kept(text::name(&asked.name), &mut problems);
        let scopes = kept(self.granted(&asked.scopes, &account), &mut problems);
        let expires_at = kept(self.expiry(asked.expiry, now).map(Some), &mut problems);
        let allowed_addresses = address::read(&asked.allowed_addresses, &mut problems);
        let Some(expires_at) = expires_at.filter(|_| problems.is_empty()) else {
            return Err(IssueError::Invalid(problems));
        };
        Ok(Key {
            id: self.id(now)?,
            account_id: account.id,
            name,
            prefix: self.keys.prefix.shown(Kind::ApiKey),
            last4: token.last4().to_owned(),
            scopes,
            allowed_addresses,
            limits: Overrides::default(),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
            replaced_by: None,
            counts_as: None,
        })
    }

    pub(super) fn granted(&self, asked: &[String], account: &Account) -> Result<ScopeSet, Problem> {
        let scopes = self.known(asked)?;
        let grantable = self.catalogue.grantable(account.scopes.as_ref());
        let denied = scopes.without(grantable);
        if denied.is_empty() {
            return Ok(scopes);
        }
        Err(Problem::ScopesNotGrantable { denied, grantable: grantable.clone() })
    }

    pub(super) fn expiry(&self, asked: Expiry, now: Timestamp) -> Result<Timestamp, Problem> {
        let expires_at = match asked {
            Expiry::Default => now.after(self.keys.default_lifetime),
            Expiry::In(lifetime) => now.after(lifetime),
            Expiry::At(moment) if moment < now => return Err(Problem::ExpiryInThePast(moment)),
            Expiry::At(moment) => moment,
        };
        match now.until(expires_at) {
            life if life < SHORTEST_LIFE => Err(Problem::LifeTooShort),
            life if life > self.keys.max_lifetime => Err(Problem::LifeTooLong(self.keys.max_lifetime)),
            _ => Ok(expires_at),
        }
    }
}

/// What was read, or its problem set aside and nothing.
pub(super) fn kept<T: Default>(read: Result<T, Problem>, problems: &mut Vec<Problem>) -> T {
    read.unwrap_or_else(|problem| {
        problems.push(problem);
        T::default()
    })
}
