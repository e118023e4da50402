//! New passwords: set by an operator, changed by the owner, set under a link.

use std::time::Duration;

use zeroize::Zeroizing;

use super::login::{Pair, Visitor};
use super::{IssueError, Issuer, passwords};
use crate::auth::token::{HashedToken, Kind, PlainToken, is_well_formed};
use crate::auth::unicode;
use crate::clock::Timestamp;
use crate::config;
use crate::store::{Account, AccountStatus, Origin, PasswordChange, Proof, ResetLink, Subject};

/// The life of a link.
const LINK_LIFE: Duration = Duration::from_secs(3600);
/// Where the console takes it. The secret stands in the query, which no log keeps.
const LINK_PATH: &str = "/console/reset?token=";

/// The rules where the configuration has none.
const RULES: config::Passwords = config::Passwords { min_length: 8, concurrent: 1 };

/// A reset link just made.
#[derive(Debug)]
pub struct MadeLink {
    /// Whose.
    pub account: Account,
    /// The whole URL, to be handed to its owner once.
    pub url: Zeroizing<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Whether `password` may become that of the account with this address, for who must know before there is a store.
///
/// # Errors
/// [`IssueError::Invalid`].
pub fn check_password(email: &str, password: &str, config: &config::Config) -> Result<(), IssueError> {
    judge(email, password, config.identity.as_ref())
}

fn judge(email: &str, password: &str, identity: Option<&config::Identity>) -> Result<(), IssueError> {
    let rules = identity.map_or(&RULES, |identity| &identity.passwords);
    passwords::judge(password, email, rules).map_err(|problem| IssueError::Invalid(vec![problem]))
}

impl Issuer {
    /// Whether `password` may become that of the account with this address.
    ///
    /// # Errors
    /// [`IssueError::Invalid`].
    pub fn check_password(&self, email: &str, password: &str) -> Result<(), IssueError> {
        judge(email, password, self.identity.as_deref())
    }

    /// Gives an account a password, because an operator says so. Ends all its sessions.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::NotFound`], or the store's.
    pub async fn set_password(
        &self,
        id_or_email: &str,
        password: Zeroizing<String>,
        origin: &Origin,
    ) -> Result<Account, IssueError> {
        let account = self.store.account(id_or_email).await?;
        self.put_password(account, password, Proof::Operator, origin).await
    }

    /// Gives the owner another password, who knows the old one. Ends all sessions, the one it is said in too: whoever else
    /// has that one's tokens is shut out with all the others. Begins another in the same step.
    ///
    /// # Errors
    /// [`IssueError::WrongLogin`] when the old one is wrong, [`IssueError::Wait`] after failures,
    /// [`IssueError::Invalid`], [`IssueError::Busy`], [`IssueError::NotFound`], or the store's.
    pub async fn change_password(
        &self,
        account_id: &str,
        [old, new]: [Zeroizing<String>; 2],
        visitor: &Visitor,
        origin: &Origin,
    ) -> Result<Pair, IssueError> {
        let account = self.store.account(account_id).await?;
        self.check_password(&account.email, &new)?;
        let stored = self.confirmed(&account, old, visitor).await?.ok_or(IssueError::WrongLogin)?;
        let password = self.hashed(&new).await?;
        let (begins, refresh) = self.new_session(&account, Some(password.clone()), visitor)?;
        let (account_id, proof) = (account.id.clone(), Proof::Old(stored));
        let change = PasswordChange { account_id, password, proof, begins: Some(begins.clone()) };
        self.put(&change, origin).await?;
        self.first_pair(begins, account, refresh)
    }

    /// Makes a link under which an account can get a new password, once and within an hour. Ends an older one.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], [`IssueError::AccountDisabled`], [`IssueError::NoIdentity`], [`IssueError::NoConsole`],
    /// or the store's.
    pub async fn make_reset_link(&self, id_or_email: &str, origin: &Origin) -> Result<MadeLink, IssueError> {
        let identity = self.identity()?;
        if !identity.console {
            return Err(IssueError::NoConsole);
        }
        let base = identity.public_url.as_str();
        let account = self.store.account(id_or_email).await?;
        if account.status == AccountStatus::Disabled {
            return Err(IssueError::AccountDisabled);
        }
        let token = PlainToken::generate(&self.keys.prefix, Kind::ResetLink, &*self.random)?;
        let now = self.clock.now();
        let link = ResetLink {
            digest: token.hashed(),
            account_id: account.id.clone(),
            created_at: now,
            expires_at: now.after(LINK_LIFE),
        };
        let seq = self.store.create_reset_link(&link, origin).await?;
        self.tell(seq, Subject::Account, &account.id, false);
        let url = Zeroizing::new(format!("{base}{LINK_PATH}{}", token.expose()));
        Ok(MadeLink { account, url, expires_at: link.expires_at })
    }

    /// Whose link this is, for the page that asks for the new password. The link stays as it is.
    ///
    /// # Errors
    /// [`IssueError::InvalidLink`], or the store's.
    pub async fn reset_link(&self, token: &str) -> Result<Account, IssueError> {
        if !is_well_formed(&self.keys.prefix, Kind::ResetLink, token) {
            return Err(IssueError::InvalidLink);
        }
        let found = self.store.reset_link(HashedToken::of(token.as_bytes())).await?;
        let good = found.filter(|(link, account)| {
            self.clock.now() < link.expires_at && account.status == AccountStatus::Active
        });
        good.map(|(_, account)| account).ok_or(IssueError::InvalidLink)
    }

    /// Gives the owner of a link a new password, and uses it up. Ends all sessions.
    ///
    /// # Errors
    /// [`IssueError::InvalidLink`], [`IssueError::Invalid`], which leaves the link as it is, [`IssueError::Busy`], or
    /// the store's.
    pub async fn reset_password(
        &self,
        token: &str,
        password: Zeroizing<String>,
        origin: &Origin,
    ) -> Result<Account, IssueError> {
        let account = self.reset_link(token).await?;
        let proof = Proof::Link(HashedToken::of(token.as_bytes()));
        let owner = origin.by(&account.id);
        match self.put_password(account, password, proof, &owner).await {
            Err(IssueError::Conflict(_)) => Err(IssueError::InvalidLink),
            other => other,
        }
    }

    async fn put_password(
        &self,
        account: Account,
        password: Zeroizing<String>,
        proof: Proof,
        origin: &Origin,
    ) -> Result<Account, IssueError> {
        self.check_password(&account.email, &password)?;
        let password = self.hashed(&password).await?;
        let change = PasswordChange { account_id: account.id.clone(), password, proof, begins: None };
        self.put(&change, origin).await?;
        Ok(account)
    }

    /// What is kept of a password, however its letters are written.
    pub(super) async fn hashed(&self, password: &str) -> Result<String, IssueError> {
        self.door.hasher.hash(unicode::password(password), &*self.random).await
    }

    async fn put(&self, change: &PasswordChange, origin: &Origin) -> Result<(), IssueError> {
        let seq = self.store.set_password(change, self.clock.now(), origin).await?;
        self.tell(seq, Subject::Account, &change.account_id, false);
        Ok(())
    }
}
