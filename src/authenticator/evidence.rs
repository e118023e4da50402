//! What a look-up found, and what follows from it: a principal or a reason for refusal.

use std::sync::Arc;

use super::entry::{Refused, Vouched};
use super::marks::About;
use super::question::Finds;
use super::shared::Shared;
use crate::auth::catalogue::Catalogue;
use crate::auth::certificate::Claim;
use crate::auth::jwt::access_token::Verified;
use crate::auth::principal::{Identity, Method, Networks, Principal};
use crate::auth::scope::ScopeSet;
use crate::clock::Timestamp;
use crate::store::{Account, AccountStatus, Ending, Found, FoundSession, Key, Seq, Session};

/// What was found about one credential.
pub(super) enum Evidence {
    /// By the digest of an API key.
    Key(Found),
    /// By the session of an access token.
    Session {
        token: Arc<Verified>,
        /// When its key vouches no more.
        retires_at: Option<Timestamp>,
        found: FoundSession,
    },
    /// By the account that a client certificate stands for.
    Certificate { claim: Arc<Claim>, found: FoundAccount },
    /// A token that is not ours; the store was not asked.
    Forged,
}

/// What looking an account up found.
pub(super) struct FoundAccount {
    /// A position of the feed that the look-up is no older than.
    pub as_of: Seq,
    /// The account, if there is one.
    pub account: Option<Account>,
}

impl Evidence {
    /// The newest change that it knows of.
    pub(super) const fn as_of(&self) -> Seq {
        match self {
            Self::Key(found) => found.as_of,
            Self::Session { found, .. } => found.as_of,
            Self::Certificate { found, .. } => found.as_of,
            // No change makes it one of ours.
            Self::Forged => Seq(i64::MAX),
        }
    }

    /// What can contradict it.
    pub(super) fn about(&self) -> About<'_> {
        match self {
            Self::Key(Found { key: None, .. }) => About::Nothing,
            Self::Key(Found { key: Some((key, account)), .. }) => {
                About::ApiKey { key: &key.id, account: &account.id }
            }
            Self::Session { token, .. } => {
                About::Session { session: &token.claims.session, account: &token.claims.account }
            }
            Self::Certificate { found, .. } => {
                found.account.as_ref().map_or(About::Nothing, |account| About::Account(&account.id))
            }
            Self::Forged => About::Signature,
        }
    }

    /// Whether a refusal for this reason says that what was found before is good no more. The end of one token says
    /// nothing of its session's others, that of a certificate nothing of its account's.
    pub(super) const fn is_no_longer_good(&self, refused: Refused) -> bool {
        !matches!((self, refused), (Self::Session { .. } | Self::Certificate { .. }, Refused::Expired { .. }))
    }

    /// Who held the secret. What they may do is nobody's concern any more.
    pub(super) fn whose(&self) -> Option<Identity> {
        let nothing = ScopeSet::default();
        match self {
            Self::Key(found) => {
                let (key, account) = found.key.as_ref()?;
                Some(Identity::new(&account.id, &key.id, None, &nothing))
            }
            Self::Session { token, found, .. } => {
                let (session, account) = found.session.as_ref()?;
                let ours = *account.id == *token.claims.account;
                let client = Some(&*token.claims.client);
                ours.then(|| Identity::new(&account.id, &session.id, client, &nothing))
            }
            Self::Certificate { claim, found } => {
                let account = found.account.as_ref()?;
                Some(Identity::new(&account.id, &claim.fingerprint.hex(), None, &nothing))
            }
            Self::Forged => None,
        }
    }

    /// Whom the credential speaks for, and until when.
    pub(super) fn judge(&self, shared: &Shared, now: Timestamp) -> Result<(Vouched, Timestamp), Refused> {
        let catalogue = &shared.catalogue.load();
        let (principal, account, key) = match self {
            Self::Key(found) => {
                let (key, account) = found.key.as_ref().ok_or(Refused::Unknown)?;
                (judge_key(key, account, catalogue, now)?, account, Some(key))
            }
            Self::Session { token, retires_at, found } => {
                let (session, account) = found.session.as_ref().ok_or(Refused::Unknown)?;
                let ends = token.claims.expires_at.min(session.expires_at);
                let ends = retires_at.map_or(ends, |retires| ends.min(retires));
                (judge_token(token, ends, (session, account), catalogue, now)?, account, None)
            }
            Self::Certificate { claim, found } => {
                let account = found.account.as_ref().ok_or(Refused::Unknown)?;
                (judge_certificate(claim, account, catalogue, now)?, account, None)
            }
            Self::Forged => return Err(Refused::Forged),
        };
        let ends = principal.expires_at;
        let finds = match self {
            Self::Session { token, .. } => Finds::Session(Arc::clone(token)),
            Self::Certificate { claim, .. } => Finds::Certificate(Arc::clone(claim)),
            Self::Key(_) | Self::Forged => Finds::Key,
        };
        let meter = shared.meter(account, key);
        Ok((Vouched { principal, finds, meter }, ends))
    }
}

fn judge_key(
    key: &Key,
    account: &Account,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<Principal, Refused> {
    if key.revoked_at.is_some() {
        return Err(Refused::Revoked);
    }
    if account.status == AccountStatus::Disabled {
        return Err(Refused::AccountDisabled);
    }
    if now >= key.expires_at {
        return Err(Refused::Expired { at: key.expires_at });
    }
    let scopes = catalogue.granted(account.scopes.as_ref(), &key.scopes);
    Ok(Principal {
        identity: Identity::new(&account.id, &key.id, None, &scopes),
        scopes,
        issued_at: key.created_at,
        expires_at: key.expires_at,
        method: Method::ApiKey,
        allowed_addresses: key.allowed_addresses.iter().copied().collect(),
    })
}

fn judge_token(
    Verified { claims, .. }: &Verified,
    expires_at: Timestamp,
    (session, account): (&Session, &Account),
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<Principal, Refused> {
    if *account.id != *claims.account {
        return Err(Refused::Unknown);
    }
    match &session.ended {
        Some((_, Ending::AccountDisabled)) => return Err(Refused::AccountDisabled),
        Some((
            _,
            Ending::Logout | Ending::Revoked | Ending::Reuse | Ending::PasswordChanged | Ending::TooMany,
        )) => {
            return Err(Refused::Revoked);
        }
        None if account.status == AccountStatus::Disabled => return Err(Refused::AccountDisabled),
        None => {}
    }
    if now >= expires_at {
        return Err(Refused::Expired { at: expires_at });
    }
    let scopes = catalogue.granted(account.scopes.as_ref(), &claims.scopes);
    Ok(Principal {
        // The session, not the token: it is what can be revoked, and what stays the same when tokens are refreshed.
        identity: Identity::new(&account.id, &session.id, Some(&claims.client), &scopes),
        scopes,
        issued_at: claims.issued_at,
        expires_at,
        method: Method::AccessToken,
        allowed_addresses: Networks::default(),
    })
}

/// It was verified by its connection, and the configuration says whom it stands for.
fn judge_certificate(
    claim: &Claim,
    account: &Account,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<Principal, Refused> {
    if account.status == AccountStatus::Disabled {
        return Err(Refused::AccountDisabled);
    }
    if now >= claim.ends {
        return Err(Refused::Expired { at: claim.ends });
    }
    // As a login gets: all that the account may have.
    let scopes = catalogue.granted(account.scopes.as_ref(), catalogue.known());
    Ok(Principal {
        identity: Identity::new(&account.id, &claim.fingerprint.hex(), None, &scopes),
        scopes,
        issued_at: claim.begins,
        expires_at: claim.ends,
        method: Method::Certificate,
        allowed_addresses: Networks::default(),
    })
}
