//! What the store keeps, as plain values.

use std::fmt;

use ipnet::IpNet;

use crate::auth::scope::ScopeSet;
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;
use crate::limits::Overrides;

/// A position in the audit log and change feed. Grows by one with every change, in the order of commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub i64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether an account's credentials are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// They are.
    Active,
    /// They are refused as revoked.
    Disabled,
}

impl AccountStatus {
    /// The wire and store name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// A person or service that owns keys and is limited as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// UUIDv7.
    pub id: String,
    /// As given, composed (NFC); compared without letter case.
    pub email: String,
    /// Whether its credentials are good.
    pub status: AccountStatus,
    /// What its keys may have; `None` = the catalogue's defaults.
    pub scopes: Option<ScopeSet>,
    /// The plan that says how much it may, by its name in the configuration; `None` = what accounts without one may.
    pub plan: Option<String>,
    /// What is said of how much it may, over its plan.
    pub limits: Overrides,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An account to be made, without a plan or limits of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// UUIDv7.
    pub id: String,
    /// As given, already checked.
    pub email: String,
    /// `None` = the catalogue's defaults.
    pub scopes: Option<ScopeSet>,
    /// The stored form of its password, a PHC string; `None` = it cannot log in.
    pub password: Option<String>,
    /// Now.
    pub created_at: Timestamp,
}

/// What is known of a key besides its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// UUIDv7.
    pub id: String,
    /// The owner.
    pub account_id: String,
    /// What its owner calls it.
    pub name: String,
    /// The part that may be shown: `kw_sk_`.
    pub prefix: String,
    /// The last four characters.
    pub last4: String,
    /// As asked for; cut down to the account's when validated.
    pub scopes: ScopeSet,
    /// Networks it may be used from; empty = anywhere.
    pub allowed_addresses: Vec<IpNet>,
    /// Limits of its own, which hold beside its account's.
    pub limits: Overrides,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, as far as has been noted; `None` = nobody noted it.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The key that replaced it, by id.
    pub replaced_by: Option<String>,
    /// The first of those that it replaced, by id: what counts for that key counts for this. `None` = it replaced none.
    pub counts_as: Option<String>,
}

/// A key to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// What is known of it.
    pub key: Key,
    /// What is kept of its secret.
    pub digest: HashedToken,
}

/// What looking a digest up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The newest change that the look-up's snapshot holds.
    pub as_of: Seq,
    /// The key and its account, if there is one. When the key was last used is not read.
    pub key: Option<(Key, Account)>,
}

/// What a change was made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An account.
    Account,
    /// An API key.
    ApiKey,
    /// A session.
    Session,
    /// A signing key.
    SigningKey,
    /// What imported keys look like.
    KeyForm,
}

impl Subject {
    /// Every kind there is.
    pub const ALL: [Self; 5] = [Self::Account, Self::ApiKey, Self::Session, Self::SigningKey, Self::KeyForm];

    /// The store name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::ApiKey => "api_key",
            Self::Session => "session",
            Self::SigningKey => "signing_key",
            Self::KeyForm => "key_form",
        }
    }
}

/// One row of the change feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its position.
    pub seq: Seq,
    /// What kind of thing changed.
    pub subject: Subject,
    /// Its id.
    pub id: String,
    /// Whether the thing is new: look-ups that found nothing may now find it.
    pub created: bool,
    /// What is kept of the secret of an API key that is new, while the key is there.
    pub new_key: Option<HashedToken>,
}

/// Who asked for a change, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The person or account, such as `root`.
    pub actor: String,
    /// The door, such as `cli` or `api 192.0.2.1`.
    pub via: String,
}

impl Origin {
    /// The same door, and who came through it, as has been proved by now.
    #[must_use]
    pub fn by(&self, actor: &str) -> Self {
        Self { actor: actor.to_owned(), via: self.via.clone() }
    }
}

/// One row of the audit log: who, what, when, from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its position.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// Who, from where.
    pub origin: Origin,
    /// What was done, such as `api_key.revoked`.
    pub action: String,
    /// To what kind of thing.
    pub subject: Subject,
    /// To which.
    pub id: String,
    /// What it was set to, in words; no secret.
    pub detail: String,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In order of id.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<String>,
}
