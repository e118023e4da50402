//! Logging in: email and password → a session and its first tokens.
//!
//! Whoever may not is told the same after the same work, whether the password is wrong, there is none, the account is
//! disabled or there is no account.

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::delays::{Attempt, From, LATELY, Place};
use super::passwords::{Verdict, Whose};
use super::{IssueError, Issuer};
use crate::auth::refresh_token::{self, Beginning};
use crate::auth::scope::ScopeSet;
use crate::auth::subscriber;
use crate::auth::token::{HashedToken, PlainToken};
use crate::auth::unicode;
use crate::clock::Timestamp;
use crate::store::{Account, AccountStatus, Login, NewSession, Origin, Session, Started, Subject};

/// Most living sessions of an account: a program that logs in each time it runs fills no store, and all else that an
/// account has is bounded too.
pub const SESSIONS_MAX: u32 = 1_000;
/// Most characters kept of what a browser says of itself.
const AGENT_MAX: usize = 200;

/// Who stands at the door.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The client's address.
    pub address: IpAddr,
    /// The browser, where an earlier login left a mark in it; nobody else can say it.
    pub browser: Option<Browser>,
    /// What the program says of itself; for the list of sessions.
    pub agent: String,
}

/// A browser that somebody logged in from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browser {
    /// What it is called here: its failures are its own.
    pub name: String,
    /// The [`Pair::password`] of that login. Another password makes it a stranger: whoever gave the old one need not be
    /// the owner.
    pub password: String,
}

impl Visitor {
    /// Who it is to the account that was found.
    fn from(&self, found: Option<&Login>) -> From<'_> {
        let stored = found.and_then(|login| login.password.as_deref());
        let is_of = |browser: &&Browser| stored.is_some_and(|stored| digest(stored) == browser.password);
        let browser = self.browser.as_ref().filter(is_of);
        From { address: self.address, browser: browser.map(|browser| &*browser.name) }
    }
}

/// Tells one stored form of a password from another, and nothing of either.
fn digest(stored: &str) -> String {
    let mut hex = HashedToken::of(stored.as_bytes()).hex();
    hex.truncate(16);
    hex
}

/// A session, its newest refresh token, and what the access token beside it must say.
#[derive(Debug)]
pub struct Pair {
    /// The session; the access token names it.
    pub session: Session,
    /// Whose it is: the subject.
    pub account: Account,
    /// What the account may do.
    pub scopes: ScopeSet,
    /// Now.
    pub issued_at: Timestamp,
    /// When the access token ends; never after the session.
    pub access_expires_at: Timestamp,
    /// The refresh token, to be handed out once.
    pub refresh: PlainToken,
    /// A short digest of what is kept of the password that was given; `None` after a refresh.
    pub password: Option<String>,
}

impl Issuer {
    /// Begins a session for who knows the password.
    ///
    /// # Errors
    /// [`IssueError::WrongLogin`], [`IssueError::Wait`] after failures, [`IssueError::Busy`],
    /// [`IssueError::NoIdentity`], or the store's.
    pub async fn login(
        &self,
        email: &str,
        password: Zeroizing<String>,
        visitor: &Visitor,
        origin: &Origin,
    ) -> Result<Pair, IssueError> {
        self.identity()?;
        let found = self.store.login(email).await?;
        let account = found.as_ref().map(|login| login.account.id.clone());
        let outcome = self.attempt(email, found, password, visitor, origin).await;
        self.door.logins.ended(&outcome, account.as_deref());
        outcome
    }

    async fn attempt(
        &self,
        email: &str,
        found: Option<Login>,
        password: Zeroizing<String>,
        visitor: &Visitor,
        origin: &Origin,
    ) -> Result<Pair, IssueError> {
        let attempt = self.admit(email, found.as_ref(), visitor).await?;
        match self.judged(attempt.whose(), found, password, visitor, origin).await {
            Ok(pair) => {
                attempt.succeeded(self.clock.tick());
                Ok(pair)
            }
            Err(IssueError::WrongLogin) => {
                attempt.failed(self.clock.tick());
                Err(IssueError::WrongLogin)
            }
            Err(nothing_was_learnt) => {
                attempt.cancelled();
                Err(nothing_was_learnt)
            }
        }
    }

    /// Whether `password` is that of `account`, for who is logged in and about to change it.
    pub(super) async fn confirmed(
        &self,
        account: &Account,
        password: Zeroizing<String>,
        visitor: &Visitor,
    ) -> Result<Option<String>, IssueError> {
        let found = self.store.login(&account.email).await?;
        let attempt = self.admit(&account.email, found.as_ref(), visitor).await?;
        let stored = found.and_then(|login| login.password);
        match self.check(Whose::Known, password, stored.clone()).await {
            Ok(Verdict::Right) => {
                attempt.succeeded(self.clock.tick());
                Ok(stored)
            }
            Ok(Verdict::Wrong) => {
                attempt.failed(self.clock.tick());
                Err(IssueError::WrongLogin)
            }
            Err(nothing_was_learnt) => {
                attempt.cancelled();
                Err(nothing_was_learnt)
            }
        }
    }

    /// Begins an attempt, unless too many failed or wait.
    async fn admit(
        &self,
        email: &str,
        found: Option<&Login>,
        visitor: &Visitor,
    ) -> Result<Attempt, IssueError> {
        let (delays, from) = (&self.door.delays, visitor.from(found));
        let name = unicode::folded(email);
        let place = delays.place(&name, from, self.clock.tick());
        match delays.begin(&name, from, place, &self.clock).await {
            // After a restart only the store knows where the owner is logged in from.
            Err(later) if place == Place::Unknown => match self.place(found, visitor).await? {
                Place::Unknown => Err(later),
                known => delays.begin(&name, from, known, &self.clock).await,
            },
            begun => begun,
        }
    }

    /// Whether the account lately logged in from this address. Asked for nobody too, and one search in either case, so
    /// that it takes as long.
    async fn place(&self, found: Option<&Login>, visitor: &Visitor) -> Result<Place, IssueError> {
        let account = found.map_or("", |login| &login.account.id);
        let from = subscriber(visitor.address).to_string();
        let known = self.store.has_logged_in(account, &from, self.clock.now().before(LATELY)).await?;
        Ok(if known { Place::Address } else { Place::Unknown })
    }

    /// Whether `password` is what `stored` was made of, however its letters are written. Before there was one form it was
    /// kept as it was sent, so that one is tried too: the time tells only what who sent it knows.
    async fn check(
        &self,
        whose: Whose,
        password: Zeroizing<String>,
        stored: Option<String>,
    ) -> Result<Verdict, IssueError> {
        let normal = unicode::password(&password);
        let is_normal = *normal == *password;
        match self.door.hasher.check(whose, normal, stored.clone()).await? {
            Verdict::Wrong if !is_normal => self.door.hasher.check(whose, password, stored).await,
            verdict => Ok(verdict),
        }
    }

    async fn judged(
        &self,
        whose: Whose,
        found: Option<Login>,
        password: Zeroizing<String>,
        visitor: &Visitor,
        origin: &Origin,
    ) -> Result<Pair, IssueError> {
        let (account, stored) = found.map_or((None, None), |login| (Some(login.account), login.password));
        let verdict = self.check(whose, password, stored.clone()).await?;
        let active = account.filter(|account| account.status == AccountStatus::Active);
        let (Verdict::Right, Some(account)) = (verdict, active) else {
            return Err(IssueError::WrongLogin);
        };
        match self.start_session(account, stored, visitor, origin).await {
            // Disabled, or given another password, while this one was checked.
            Err(IssueError::Conflict(_) | IssueError::NotFound(_)) => Err(IssueError::WrongLogin),
            other => other,
        }
    }

    /// What is handed out at the beginning of this session.
    pub(super) fn first_pair(
        &self,
        new: NewSession,
        account: Account,
        refresh: PlainToken,
    ) -> Result<Pair, IssueError> {
        let (now, password) = (new.session.created_at, new.password.as_deref().map(digest));
        Ok(Pair { password, ..self.pair(new.session, account, refresh, now)? })
    }

    pub(super) async fn start_session(
        &self,
        account: Account,
        password: Option<String>,
        visitor: &Visitor,
        origin: &Origin,
    ) -> Result<Pair, IssueError> {
        let (new, refresh) = self.new_session(&account, password, visitor)?;
        let Started { seq, ended } = self.store.start_session(&new, &origin.by(&account.id)).await?;
        for ended in &ended {
            self.tell(seq, Subject::Session, ended, false);
        }
        // No look-up can have missed it: nobody knew its id.
        self.tell(seq, Subject::Session, &new.session.id, false);
        self.first_pair(new, account, refresh)
    }

    /// A session of who gave the password of this stored form, to be kept, and its first refresh token.
    pub(super) fn new_session(
        &self,
        account: &Account,
        password: Option<String>,
        visitor: &Visitor,
    ) -> Result<(NewSession, PlainToken), IssueError> {
        let (identity, now) = (self.identity()?, self.clock.now());
        let ends_at = now.after(identity.session_max);
        let refresh = Beginning::at(now).token(&self.keys.prefix, &*self.random)?;
        let session = Session {
            id: self.id(now)?,
            account_id: account.id.clone(),
            created_at: now,
            last_used_at: now,
            expires_at: now.after(identity.refresh.idle).min(ends_at),
            ends_at,
            ended: None,
            address: visitor.address.to_string(),
            agent: visible(&visitor.agent),
        };
        let subscriber = subscriber(visitor.address).to_string();
        let most = SESSIONS_MAX;
        Ok((
            NewSession {
                session,
                refresh: refresh_token::digest(refresh.expose()),
                password,
                subscriber,
                most,
            },
            refresh,
        ))
    }

    /// What is handed out for `session` at `now`.
    pub(super) fn pair(
        &self,
        session: Session,
        account: Account,
        refresh: PlainToken,
        now: Timestamp,
    ) -> Result<Pair, IssueError> {
        let ends = now.after(self.identity()?.access_token_ttl).min(session.ends_at);
        let given = account.scopes.as_ref();
        // What was taken out of the catalogue is named by no token.
        let scopes = self.catalogue.granted(given, self.catalogue.grantable(given));
        Ok(Pair {
            session,
            account,
            scopes,
            issued_at: now,
            access_expires_at: ends,
            refresh,
            password: None,
        })
    }
}

/// What a stranger says of itself, short and without what changes how text is shown.
fn visible(agent: &str) -> String {
    agent.chars().filter(|c| !super::text::misleads(*c)).take(AGENT_MAX).collect()
}
