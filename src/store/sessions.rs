//! What the store keeps of sessions: a login and every token that came of it.

use crate::auth::token::HashedToken;
use crate::clock::Timestamp;

use super::{Account, Seq};

/// A login, alive until it ends or nobody refreshes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// UUIDv7; access tokens name it.
    pub id: String,
    /// Who logged in.
    pub account_id: String,
    /// The login.
    pub created_at: Timestamp,
    /// The last refresh, or the login.
    pub last_used_at: Timestamp,
    /// When it is over unless it is refreshed: the expiry of its newest refresh token.
    pub expires_at: Timestamp,
    /// When it is over however often it is refreshed.
    pub ends_at: Timestamp,
    /// When and why it was ended before its time.
    pub ended: Option<(Timestamp, Ending)>,
    /// Where the login came from.
    pub address: String,
    /// What the login said of its browser or program; may be empty.
    pub agent: String,
}

impl Session {
    /// Whether its tokens are good at `now`, as far as the session alone can tell.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.expires_at
    }
}

/// Why a session was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its owner logged out.
    Logout,
    /// Its owner or an operator ended it from elsewhere.
    Revoked,
    /// A dead refresh token of it was presented: two parties have its tokens.
    Reuse,
    /// The account got another password.
    PasswordChanged,
    /// The account was disabled.
    AccountDisabled,
    /// The account began more than it may have, and this one was used longest ago.
    TooMany,
}

impl Ending {
    /// Every reason there is.
    pub const ALL: [Self; 6] = [
        Self::Logout,
        Self::Revoked,
        Self::Reuse,
        Self::PasswordChanged,
        Self::AccountDisabled,
        Self::TooMany,
    ];

    /// The store name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Revoked => "revoked",
            Self::Reuse => "reuse",
            Self::PasswordChanged => "password_changed",
            Self::AccountDisabled => "account_disabled",
            Self::TooMany => "too_many",
        }
    }
}

/// A session to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// What is known of it.
    pub session: Session,
    /// What is kept of its first refresh token, which lives as long as the session.
    pub refresh: HashedToken,
    /// The stored form of the password that was checked; the account must still have it.
    pub password: Option<String>,
    /// The network that one subscriber has, where the login came from.
    pub subscriber: String,
    /// How many living sessions the account may have, this one included. Beyond it the one that was used longest ago ends.
    pub most: u32,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its change.
    pub seq: Seq,
    /// The sessions that made room for it.
    pub ended: Vec<String>,
}

/// What looking a session up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSession {
    /// The newest change that the look-up's snapshot holds.
    pub as_of: Seq,
    /// The session and its account, if there is one.
    pub session: Option<(Session, Account)>,
}
