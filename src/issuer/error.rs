//! What a use case refuses, one clear sentence each.

use std::time::Duration;

use crate::auth::random::RandomFailed;
use crate::auth::scope::ScopeSet;
use crate::clock::Timestamp;
use crate::store::StoreError;

use super::text;

/// Why a use case did nothing.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// What was asked for is not right; all that is wrong with it, at least one problem.
    #[error("{}", sentences(.0))]
    Invalid(Vec<Problem>),
    /// No such account or key.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(&'static str),
    /// A disabled account gets no keys.
    #[error("the account is disabled; enable it before making keys for it")]
    AccountDisabled,
    /// The operating system gave no random bytes.
    #[error("the operating system's random generator failed; nothing was made")]
    NoRandomness,
    /// The store could not be asked, or what it said could not be read.
    #[error("{0}")]
    Store(#[source] StoreError),
}

/// One thing that is wrong with what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not the form of an email address.
    #[error("{} is not an email address", text::quoted(.0))]
    Email(String),
    /// No name.
    #[error("a key needs a name")]
    NameMissing,
    /// Too long a name.
    #[error("the name has {0} characters, at most {max} are allowed", max = text::NAME_MAX)]
    NameTooLong(usize),
    /// A name that would not show as what it is.
    #[error("the name contains U+{:04X}, which is invisible or changes how text is shown", u32::from(*.0))]
    NameCharacter(char),
    /// Not in the catalogue.
    #[error("{}", unknown_scopes(unknown, known))]
    UnknownScopes {
        /// As asked for.
        unknown: Vec<String>,
        /// The catalogue.
        known: ScopeSet,
    },
    /// In the catalogue, and not for this account.
    #[error("this account cannot have {}; {}", text::list(.denied), grantable_scopes(.grantable))]
    ScopesNotGrantable {
        /// Those asked for in excess.
        denied: ScopeSet,
        /// What it can have.
        grantable: ScopeSet,
    },
    /// Already over.
    #[error("the expiry {0} is in the past")]
    ExpiryInThePast(Timestamp),
    /// Under a second.
    #[error("the shortest life of a key is one second")]
    LifeTooShort,
    /// Over the maximum.
    #[error("the longest life of a key is {}", text::duration(*.0))]
    LifeTooLong(Duration),
    /// Neither address nor network.
    #[error("{} is neither an IP address nor a network such as 10.0.0.0/8", text::quoted(.0))]
    Address(String),
    /// A network with bits set behind its length.
    #[error("{written} sets bits behind its length; the network is {network}")]
    HostBits {
        /// As written.
        written: String,
        /// What was probably meant.
        network: String,
    },
    /// Too many networks.
    #[error("{0} networks are listed, at most {max} are allowed", max = super::address::NETWORKS_MAX)]
    TooManyNetworks(usize),
}

impl Problem {
    /// The member of the request that it is about, as the APIs name it.
    #[must_use]
    pub const fn member(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::NameMissing | Self::NameTooLong(_) | Self::NameCharacter(_) => "name",
            Self::UnknownScopes { .. } | Self::ScopesNotGrantable { .. } => "scopes",
            Self::ExpiryInThePast(_) | Self::LifeTooShort | Self::LifeTooLong(_) => "expires_at",
            Self::Address(_) | Self::HostBits { .. } | Self::TooManyNetworks(_) => "allowed_addresses",
        }
    }
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::NotFound(what),
            StoreError::Conflict(why) => Self::Conflict(why),
            StoreError::Unavailable(_) | StoreError::Corrupt(_) => Self::Store(error),
        }
    }
}

impl From<RandomFailed> for IssueError {
    fn from(_: RandomFailed) -> Self {
        Self::NoRandomness
    }
}

fn sentences(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn unknown_scopes(unknown: &[String], known: &ScopeSet) -> String {
    let many = if unknown.len() == 1 { "" } else { "s" };
    let unknown = unknown.iter().map(|scope| text::quoted(scope)).collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() {
        "there are none".to_owned()
    } else {
        format!("there are {}", text::list(known))
    };
    format!("unknown scope{many} {unknown}; {known}")
}

fn grantable_scopes(grantable: &ScopeSet) -> String {
    if grantable.is_empty() {
        return "it can have none".to_owned();
    }
    format!("it can have {}", text::list(grantable))
}
