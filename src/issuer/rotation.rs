//! Keys made once per request, replaced with an overlap, and changed.

use std::time::Duration;

use super::error::{IssueError, Problem};
use super::keys::{Expiry, KEYS_MAX, MadeKey, NewKey, kept};
use super::{Issuer, address, text};
use crate::auth::token::{HashedToken, Kind, PlainToken};
use crate::clock::Timestamp;
use crate::store::{
    self, Account, AccountStatus, ApiKey, Kept, Key, KeyPatch, OVERTAKEN, Once, Origin, Rotated, StoreError,
    Subject,
};

/// How long an `Idempotency-Key` is remembered.
pub const REMEMBERED: Duration = Duration::from_hours(24);
/// How long the old key lives on where nobody says.
pub const OVERLAP: Duration = Duration::from_hours(24);
/// The longest overlap: two keys of one purpose are one too many.
pub const OVERLAP_MAX: Duration = Duration::from_hours(30 * 24);
/// How often a key is looked at anew that changes while another is made of it.
const TRIES: usize = 3;
/// Most characters of an `Idempotency-Key`.
pub const REQUEST_KEY_MAX: usize = 255;

/// A request that is answered once, however often it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its `Idempotency-Key`.
    pub key: &'a str,
    /// What it asks for, byte for byte.
    pub body: &'a [u8],
}

/// What a request for a key got.
#[derive(Debug)]
pub enum MadeOnce {
    /// A key.
    Made(MadeKey),
    /// It was answered before: the key it got then, whose secret nobody can tell again.
    Before(Key),
}

/// How a key is replaced.
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a> {
    /// The key as it was when it was found that this one may be made of it; `None` = of whatever it is.
    pub judged: Option<&'a Key>,
    /// How long the old one lives on.
    pub overlap: Duration,
    /// When the new one ends at the latest, whatever the old one's life was.
    pub latest: Option<Timestamp>,
    /// Most living keys of the account, the new one among them; `None` = any number.
    pub most: Option<u32>,
}

impl From<Duration> for Rotation<'_> {
    /// As the operator replaces keys.
    fn from(overlap: Duration) -> Self {
        Self { judged: None, overlap, latest: None, most: None }
    }
}

/// What is to change of a key; `None` = nothing of this.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "each is named for what it sets")]
pub struct Changes {
    pub name: Option<String>,
    pub scopes: Option<Vec<String>>,
    pub allowed_addresses: Option<Vec<String>>,
    pub expires_at: Option<Timestamp>,
}

impl Issuer {
    /// Makes a key for the owner of its account, once for a request that says which it is.
    ///
    /// # Errors
    /// As [`create_key`](Self::create_key), [`IssueError::TooManyKeys`] and [`IssueError::IdempotencyMismatch`].
    pub async fn create_key_once(
        &self,
        asked: &NewKey,
        request: Option<Request<'_>>,
        origin: &Origin,
    ) -> Result<MadeOnce, IssueError> {
        let account = self.owner(&asked.account).await?;
        let now = self.clock.now();
        let once = request.map(|request| once(&account, request, "create", now)).transpose()?;
        let token = PlainToken::generate(&self.keys.prefix, Kind::ApiKey, &*self.random)?;
        let key = match self.checked(asked, account, &token, now) {
            Ok(key) => key,
            // What was right when it was first asked for need not be so now; its answer stays. And what is wrong may be
            // another request than the one that was answered.
            Err(error) => return self.answered(once.as_ref()).await?.ok_or(error),
        };
        let kept = self.keep((key, token), None, Some(KEYS_MAX), once, origin).await?;
        kept.ok_or(IssueError::Conflict(OVERTAKEN))
    }

    /// Replaces a key by another of the same name, scopes, addresses and length of life; the old one lives on for the
    /// overlap, unless it ends before.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] for too long an overlap, [`IssueError::NotFound`], [`IssueError::Conflict`] when the
    /// key is revoked or expired or was replaced before, or is changed at this moment, [`IssueError::TooManyKeys`],
    /// [`IssueError::AccountDisabled`], [`IssueError::IdempotencyMismatch`], or the store's.
    pub async fn rotate_key<'a>(
        &self,
        id: &str,
        rotation: impl Into<Rotation<'a>>,
        request: Option<Request<'_>>,
        origin: &Origin,
    ) -> Result<MadeOnce, IssueError> {
        let rotation = rotation.into();
        let tries = if rotation.judged.is_some() { 1 } else { TRIES };
        for _ in 0..tries {
            let old = match rotation.judged {
                Some(key) => key.clone(),
                None => self.store.key(id).await?,
            };
            if let Some(made) = self.replace(old, rotation, request, origin).await? {
                return Ok(made);
            }
        }
        Err(IssueError::Conflict(OVERTAKEN))
    }

    /// Makes another of a key, or nothing when that has become another meanwhile.
    async fn replace(
        &self,
        old: Key,
        Rotation { overlap, latest, most, .. }: Rotation<'_>,
        request: Option<Request<'_>>,
        origin: &Origin,
    ) -> Result<Option<MadeOnce>, IssueError> {
        let account = self.owner(&old.account_id).await?;
        let now = self.clock.now();
        let once = request.map(|request| once(&account, request, &old.id, now)).transpose()?;
        if overlap > OVERLAP_MAX {
            let wrong = IssueError::Invalid(vec![Problem::OverlapTooLong]);
            return self.answered(once.as_ref()).await?.ok_or(wrong).map(Some);
        }
        let token = PlainToken::generate(&self.keys.prefix, Kind::ApiKey, &*self.random)?;
        let life = old.created_at.until(old.expires_at).min(self.keys.max_lifetime);
        let ends = now.after(life);
        let grantable = self.catalogue.grantable(account.scopes.as_ref());
        let key = Key {
            id: self.id(now)?,
            // The account may have lost some since, and a key from elsewhere may have another prefix.
            scopes: old.scopes.intersection(grantable),
            prefix: self.keys.prefix.shown(Kind::ApiKey),
            last4: token.last4().to_owned(),
            created_at: now,
            expires_at: latest.map_or(ends, |latest| ends.min(latest)),
            last_used_at: None,
            revoked_at: None,
            replaced_by: None,
            // Or each replacement would bring the limits of its own anew.
            counts_as: old.counts_as.clone().or_else(|| Some(old.id.clone())),
            ..old.clone()
        };
        let rotated = Rotated { old: old.into(), account: account.into(), expires_at: now.after(overlap) };
        self.keep((key, token), Some(rotated), most, once, origin).await
    }

    /// Changes what is named of a key that is good: as it was `judged` when it was found that it may be changed so, or
    /// whatever it is.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with all that is wrong, [`IssueError::NotFound`], [`IssueError::Conflict`] when it is
    /// revoked or expired, or another than it was judged as, [`IssueError::Replaced`] when it was replaced and would outlive its overlap, or the store's.
    pub async fn change_key(
        &self,
        id: &str,
        changes: &Changes,
        judged: Option<&Key>,
        origin: &Origin,
    ) -> Result<Key, IssueError> {
        let key = self.store.key(id).await?;
        let account = self.store.account(&key.account_id).await?;
        let now = self.clock.now();
        let judged = judged.cloned().map(Box::new);
        let patch = KeyPatch { judged, ..self.patch(changes, &account, now)? };
        let seq = match self.store.patch_key(&key.id, &patch, now, origin).await {
            Err(why) => return Err(self.not_changed(&key.id, why).await),
            Ok(seq) => seq,
        };
        self.tell(seq, Subject::ApiKey, &key.id, false);
        Ok(self.store.key(&key.id).await?)
    }

    /// Why a key could not be changed; of one that was replaced, until when it works and what does in its place.
    pub(super) async fn not_changed(&self, id: &str, why: StoreError) -> IssueError {
        let StoreError::Conflict(told) = why else { return why.into() };
        if told == OVERTAKEN {
            return why.into();
        }
        match self.store.key(id).await {
            Ok(Key { replaced_by: Some(by), revoked_at: None, expires_at: until, .. })
                if self.clock.now() < until =>
            {
                IssueError::Replaced { by, until }
            }
            _ => why.into(),
        }
    }

    /// The key with this id if it is the account's, which otherwise does not exist for it.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], or the store's.
    pub async fn key_of(&self, account: &str, id: &str) -> Result<Key, IssueError> {
        let key = self.store.key(id).await?;
        if key.account_id == account { Ok(key) } else { Err(IssueError::NotFound("key")) }
    }

    /// An account that may get keys.
    pub(super) async fn owner(&self, id_or_email: &str) -> Result<Account, IssueError> {
        let account = self.store.account(id_or_email).await?;
        match account.status {
            AccountStatus::Active => Ok(account),
            AccountStatus::Disabled => Err(IssueError::AccountDisabled),
        }
    }

    async fn answered(&self, once: Option<&Once>) -> Result<Option<MadeOnce>, IssueError> {
        let Some(once) = once else { return Ok(None) };
        match self.store.answered(once).await? {
            Some(Kept::Before(id)) => Ok(Some(MadeOnce::Before(self.store.key(&id).await?))),
            Some(Kept::Mismatch) => Err(IssueError::IdempotencyMismatch),
            _ => Ok(None),
        }
    }

    /// Keeps a key; `None` when what it replaces has become another.
    async fn keep(
        &self,
        (key, token): (Key, PlainToken),
        rotates: Option<Rotated>,
        most: Option<u32>,
        once: Option<Once>,
        origin: &Origin,
    ) -> Result<Option<MadeOnce>, IssueError> {
        let new = store::NewKey { key: ApiKey { key, digest: token.hashed() }, rotates, once, most };
        match self.store.make_key(&new, origin).await? {
            Kept::New(seq) => {
                if let Some(rotated) = &new.rotates {
                    self.tell(seq, Subject::ApiKey, &rotated.old.id, false);
                }
                self.tell_of_key(seq, &new.key);
                Ok(Some(MadeOnce::Made(MadeKey { key: new.key.key, token })))
            }
            Kept::Before(id) => Ok(Some(MadeOnce::Before(self.store.key(&id).await?))),
            Kept::Overtaken => Ok(None),
            Kept::Mismatch => Err(IssueError::IdempotencyMismatch),
            Kept::TooMany => Err(IssueError::TooManyKeys),
        }
    }

    fn patch(&self, changes: &Changes, account: &Account, now: Timestamp) -> Result<KeyPatch, IssueError> {
        let mut problems = Vec::new();
        let name = changes.name.as_deref().map(|name| kept(text::name(name), &mut problems));
        let scopes = changes.scopes.as_deref().map(|asked| kept(self.granted(asked, account), &mut problems));
        let allowed_addresses =
            changes.allowed_addresses.as_deref().map(|given| address::read(given, &mut problems));
        let expires_at =
            changes.expires_at.and_then(|at| kept(self.expiry(Expiry::At(at), now).map(Some), &mut problems));
        if !problems.is_empty() {
            return Err(IssueError::Invalid(problems));
        }
        Ok(KeyPatch { name, scopes, allowed_addresses, expires_at, judged: None })
    }
}

/// What is kept of a request. `about` tells the same body for one thing from that for another.
fn once(account: &Account, request: Request<'_>, about: &str, now: Timestamp) -> Result<Once, IssueError> {
    let good = (1..=REQUEST_KEY_MAX).contains(&request.key.len())
        && request.key.bytes().all(|byte| byte.is_ascii_graphic());
    if !good {
        return Err(IssueError::Invalid(vec![Problem::RequestKey]));
    }
    let body = [about.as_bytes(), b"\0", request.body].concat();
    let remembered = i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
    Ok(Once {
        account_id: account.id.clone(),
        key: HashedToken::of(request.key.as_bytes()),
        body: HashedToken::of(&body),
        since: Timestamp(now.millis().saturating_sub(remembered)),
    })
}
