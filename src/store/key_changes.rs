//! How keys come to be otherwise than by themselves: in place of another, once per request, from elsewhere.

use ipnet::IpNet;

use crate::auth::scope::ScopeSet;
use crate::auth::token::HashedToken;
use crate::clock::Timestamp;

use super::{Account, ApiKey, Key, Seq};

/// A key to be kept, and what its making brings about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The key.
    pub key: ApiKey,
    /// The one that it replaces.
    pub rotates: Option<Rotated>,
    /// The request that it answers.
    pub once: Option<Once>,
    /// Most living keys of its account, this one among them; `None` = any number.
    pub most: Option<u32>,
}

/// A key that another replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// It, as it was when the new one was made after it.
    pub old: Box<Key>,
    /// Its account, likewise.
    pub account: Box<Account>,
    /// When it ends, unless it ends before.
    pub expires_at: Timestamp,
}

impl Rotated {
    /// Whether the key and its account are what they were, as far as the new key follows from them.
    #[must_use]
    pub fn is_up_to_date(&self, key: &Key, account: &Account) -> bool {
        is_still(&self.old, key)
            && (self.account.status, &self.account.scopes) == (account.status, &account.scopes)
    }
}

/// Whether `key` is what it was, but for being used.
fn is_still(before: &Key, key: &Key) -> bool {
    Key { last_used_at: key.last_used_at, ..before.clone() } == *key
}

/// What is told where a key was to be made or changed after another that it has ceased to be.
pub const OVERTAKEN: &str = "the key or its account was changed at this moment; look at it and try again";

/// A request that is answered once, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Who sent it.
    pub account_id: String,
    /// The SHA-256 of its `Idempotency-Key`.
    pub key: HashedToken,
    /// The SHA-256 of what it asked for.
    pub body: HashedToken,
    /// Notes that were made before do not count.
    pub since: Timestamp,
}

/// What became of a key that was to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is.
    New(Seq),
    /// The request was answered before, with the key of this id.
    Before(String),
    /// The request was answered before, and asked for something else.
    Mismatch,
    /// It is not, because the key that it replaces, or its account, has become another meanwhile.
    Overtaken,
    /// It is not, because the account has as many as it may have.
    TooMany,
}

/// A key that was made elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedKey {
    /// The key.
    pub key: ApiKey,
    /// What others of its kind look like.
    pub form: KeyForm,
}

/// What imported keys look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyForm {
    /// What they begin with; may be empty.
    pub prefix: String,
    /// Their length in bytes; `None` = any.
    pub length: Option<u32>,
}

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imports {
    /// All are kept. The numbers of their changes end with this one, in the order given.
    Kept(Seq),
    /// None is, because the digests at these positions are known already.
    Taken(Vec<usize>),
}

/// A use of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The key's id.
    pub id: String,
    /// When.
    pub at: Timestamp,
}

/// What is to change of a key; `None` = nothing of this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named for what it sets")]
pub struct KeyPatch {
    pub name: Option<String>,
    pub scopes: Option<ScopeSet>,
    pub allowed_addresses: Option<Vec<IpNet>>,
    pub expires_at: Option<Timestamp>,
    /// The key as it was when it was found that it may change so; `None` = whatever it is.
    pub judged: Option<Box<Key>>,
}

impl KeyPatch {
    /// Whether the key is what it was judged as.
    #[must_use]
    pub fn is_up_to_date(&self, key: &Key) -> bool {
        self.judged.as_ref().is_none_or(|judged| is_still(judged, key))
    }
}
