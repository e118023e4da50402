//! Sessions: refreshed, listed, ended.

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::door::Derived;
use super::login::Pair;
use super::view::SessionView;
use super::{IssueError, Issuer};
use crate::auth::refresh_token::{self, Beginning};
use crate::auth::subscriber;
use crate::auth::token::{HashedToken, Kind, PlainToken, is_well_formed};
use crate::store::{Ending, Origin, Page, PrivateKey, Refresh, RefreshRefusal, Refreshed, Session, Subject};

/// The name of the secret in the store.
const SECRET: &str = "refresh";

impl Issuer {
    /// Exchanges a refresh token for a new pair. Of many uses of one exactly one gets it; one that was used before
    /// ends its session. `address` is the client's.
    ///
    /// # Errors
    /// [`IssueError::InvalidGrant`], [`IssueError::NoIdentity`], or the store's.
    pub async fn refresh(&self, token: &str, address: IpAddr, origin: &Origin) -> Result<Pair, IssueError> {
        let rules = self.identity()?.refresh.clone();
        if !is_well_formed(&self.keys.prefix, Kind::RefreshToken, token) {
            return Err(IssueError::InvalidGrant);
        }
        let successor = match rules.reuse_window.is_zero() {
            true => Beginning::of(token).token(&self.keys.prefix, &*self.random)?,
            false => self.derived(token, origin).await?,
        };
        let step = Refresh {
            presented: refresh_token::digest(token),
            presented_plain: HashedToken::of(token.as_bytes()),
            successor: refresh_token::digest(successor.expose()),
            idle: rules.idle,
            reuse_window: rules.reuse_window,
            from: subscriber(address).to_string(),
            at: self.clock.now(),
        };
        match self.store.refresh(&step, origin).await? {
            Refreshed::Fresh(seq, session, account) => {
                self.tell(seq, Subject::Session, &session.id, false);
                self.pair(session, account, successor, step.at)
            }
            Refreshed::Again(session, account) => self.pair(session, account, successor, step.at),
            Refreshed::Refused(refusal) => {
                if let RefreshRefusal::Reused(session, seq) = refusal {
                    self.tell(seq, Subject::Session, &session, false);
                    tracing::warn!(session, "a refresh token was used twice; its session is ended");
                }
                Err(IssueError::InvalidGrant)
            }
        }
    }

    /// The one successor that a token can have.
    pub(super) async fn derived(&self, token: &str, origin: &Origin) -> Result<PlainToken, IssueError> {
        let secret = self.door.secret.get_or_try_init(|| self.secret(origin)).await?;
        let source = Derived::new(secret, token);
        Ok(Beginning::of(token).token(&self.keys.prefix, &source)?)
    }

    async fn secret(&self, origin: &Origin) -> Result<PrivateKey, IssueError> {
        let mut bytes = Zeroizing::new([0; 32]);
        self.random.fill(&mut *bytes)?;
        // Read as text alone; what it is the digest of is gone.
        let fresh = PrivateKey::new(Zeroizing::new(HashedToken::of(&*bytes).hex()));
        Ok(self.store.secret(SECRET, &fresh, self.clock.now(), origin).await?)
    }

    /// Ends the session that an access token names, at its owner's wish.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], or the store's.
    pub async fn logout(&self, session: &str, origin: &Origin) -> Result<(), IssueError> {
        self.end_session(session, Ending::Logout, origin).await
    }

    /// Ends a session from elsewhere. Ending it again changes nothing.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], or the store's.
    pub async fn revoke_session(&self, session: &str, origin: &Origin) -> Result<Session, IssueError> {
        let session = self.store.session(session).await?;
        self.end_session(&session.id, Ending::Revoked, origin).await?;
        Ok(self.store.session(&session.id).await?)
    }

    async fn end_session(&self, id: &str, ending: Ending, origin: &Origin) -> Result<(), IssueError> {
        let seq = self.store.end_session(id, ending, self.clock.now(), origin).await?;
        // Told even when it had ended before, by another process perhaps, whose change has not arrived here yet.
        self.tell(seq, Subject::Session, id, false);
        Ok(())
    }

    /// The session with this id.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], or the store's.
    pub async fn session(&self, id: &str) -> Result<Session, IssueError> {
        Ok(self.store.session(id).await?)
    }

    /// The session with this id if it is the account's, which otherwise does not exist for it.
    ///
    /// # Errors
    /// [`IssueError::NotFound`], or the store's.
    pub async fn session_of(&self, account: &str, id: &str) -> Result<Session, IssueError> {
        let session = self.store.session(id).await?;
        if session.account_id == account { Ok(session) } else { Err(IssueError::NotFound("session")) }
    }

    /// Sessions that are alive, in the order they began, of the account with this id or address or of all, after the
    /// id `after`, at most `limit`.
    ///
    /// # Errors
    /// [`IssueError::NotFound`] for an unknown account, or the store's.
    pub async fn sessions(
        &self,
        account: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Session>, IssueError> {
        let now = self.clock.now();
        let Some(account) = account else {
            return Ok(self.store.sessions(None, now, after, limit).await?);
        };
        let account = self.store.account(account).await?;
        Ok(self.store.sessions(Some(&account.id), now, after, limit).await?)
    }

    /// The account's newest living sessions, the newest first, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    pub async fn newest_sessions(&self, account: &str, limit: u32) -> Result<Vec<Session>, IssueError> {
        Ok(self.store.newest_sessions(account, self.clock.now(), limit).await?)
    }

    /// A session as APIs show it.
    #[must_use]
    pub fn session_view(&self, session: &Session) -> SessionView {
        SessionView::new(session)
    }
}
