//! One step of a refresh token's life.
//!
//! ```text
//! alive ── presented ──▶ used, its successor alive                             Refreshed::Fresh
//! used  ── again within the window by who used it, and
//!          its successor, if used at all, by the same ──▶ the same successor   Refreshed::Again
//! used  ── presented ──▶ the session ends, and every token of it               RefreshRefusal::Reused
//! ```
//!
//! Of a session's tokens one at most is alive at any time. The window forgives a client that asks more than once, because
//! an answer was lost or because several of its parts ask: each is told what the first was told, also where one of them has
//! gone on meanwhile. It gets nothing that it could not get by the successor, whose own window is open as long at least.
//! Where the successor was used from elsewhere two have it, and nobody knows who is the owner.

use std::time::Duration;

use crate::auth::token::HashedToken;
use crate::clock::Timestamp;

use super::{Account, Seq, Session};

/// A refresh token that is presented, and what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// What was presented.
    pub presented: HashedToken,
    /// As tokens were stored before those of one session began alike. Such a token is exchanged like any other.
    pub presented_plain: HashedToken,
    /// What it is exchanged for.
    pub successor: HashedToken,
    /// How long the successor may wait for its use; never past the session's end.
    pub idle: Duration,
    /// How long after its use the token may be presented again, by who used it, for the same successor.
    pub reuse_window: Duration,
    /// Who presents it: the network of one subscriber. Whoever comes from another is not the same client.
    pub from: String,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// It was exchanged.
    Fresh(Seq, Session, Account),
    /// It had been, just now, for this very successor; nothing changed.
    Again(Session, Account),
    /// It was not.
    Refused(RefreshRefusal),
}

/// Why a refresh token is not exchanged. Who presents it is told the same for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshRefusal {
    /// Nobody knows it.
    Unknown,
    /// It waited too long, its session is over or its account disabled.
    Over,
    /// It had been used, and its session is now ended: the id, and the change.
    Reused(String, Seq),
}
