//! What a use case refuses, one clear sentence each.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::random::RandomFailed;
use crate::auth::scope::ScopeSet;
use crate::clock::Timestamp;
use crate::limits::Beyond;
use crate::store::StoreError;

use super::text;

/// Why a use case did nothing.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// What was asked for is not right; all that is wrong with it, at least one problem.
    #[error("{}", sentences(.0))]
    Invalid(Vec<Problem>),
    /// Lines of an import that are not right; none of the others was taken either.
    #[error("{}; nothing was imported", lines(problems, *more))]
    Import {
        /// What is wrong, in the order of the lines.
        problems: Vec<LineProblem>,
        /// How many more there are.
        more: usize,
    },
    /// The request was answered before, and asked for something else then.
    #[error("this Idempotency-Key came with another request before; use a fresh one for each")]
    IdempotencyMismatch,
    /// No such account, key or session.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(&'static str),
    /// Another key took the place of this one, whose end is settled.
    #[error("this key was replaced; it works until {until} at the latest, and the key {by} in its place")]
    Replaced {
        /// The id of the other.
        by: String,
        /// When this one ends.
        until: Timestamp,
    },
    /// The account has as many keys as it may have.
    #[error("this account has {max} keys or more, and may make no further; revoke one first", max = super::keys::KEYS_MAX)]
    TooManyKeys,
    /// A disabled account gets no keys.
    #[error("the account is disabled; enable it before making keys for it")]
    AccountDisabled,
    /// No account with this address and this password may log in. Told the same for every cause.
    #[error("email or password is wrong")]
    WrongLogin,
    /// Too many logins failed; no password was looked at.
    #[error("too many logins failed; try again in {}", text::duration(text::whole_seconds(*.0)))]
    Wait(Duration),
    /// More passwords wait to be checked than ever can be in time.
    #[error("more passwords wait to be checked than there is room for; try again in a second")]
    Busy,
    /// A refresh token that is exchanged for nothing. Told the same for every cause.
    #[error("the refresh token is unknown, used or expired; log in again")]
    InvalidGrant,
    /// A reset link that sets nothing.
    #[error("the link is unknown, used or expired; ask for a new one")]
    InvalidLink,
    /// The configuration issues nothing to people.
    #[error("the configuration has no section `identity`")]
    NoIdentity,
    /// The configuration has the page behind reset links turned off.
    #[error("`identity.console` is false: nobody could open the link")]
    NoConsole,
    /// The operating system gave no random bytes.
    #[error("the operating system's random generator failed; nothing was made")]
    NoRandomness,
    /// The store could not be asked, or what it said could not be read.
    #[error("{0}")]
    Store(#[source] StoreError),
}

/// What is wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LineProblem {
    /// Which, from 1.
    pub line: usize,
    /// What.
    pub problem: Problem,
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
    /// A name of which nothing shows.
    #[error("the name has no character that can be seen")]
    NameInvisible,
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
    /// Not in the configuration.
    #[error("{}", unknown_plan(plan, known))]
    UnknownPlan {
        /// As asked for.
        plan: String,
        /// Those there are.
        known: Arc<[Arc<str>]>,
    },
    /// Of limits, what nobody may be given.
    #[error("`{}` is a whole number from {} to {}", .0.name, .0.bounds.start(), .0.bounds.end())]
    Limit(Beyond),
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
    /// Longer than a rotation may take.
    #[error("the longest overlap is {}", text::duration(super::rotation::OVERLAP_MAX))]
    OverlapTooLong,
    /// No key of a request.
    #[error("an Idempotency-Key has 1 to {max} visible ASCII characters", max = super::rotation::REQUEST_KEY_MAX)]
    RequestKey,
    /// No object of the form of a key.
    #[error("this is no key: {0}")]
    NotALine(String),
    /// No digest.
    #[error("`digest` is not a SHA-256 in 64 hexadecimal digits")]
    Digest,
    /// The same as in an earlier line.
    #[error("`digest` is that of line {0} too")]
    DigestTwice(usize),
    /// In the store already.
    #[error("a key with this digest is there already")]
    DigestKnown,
    /// What no key begins with.
    #[error("`prefix` is 32 visible ASCII characters at most, and not the whole key")]
    KeyPrefix,
    /// What keys made here begin with.
    #[error("`prefix` is that of keys that are made here; such a key would never be looked up")]
    OwnPrefix,
    /// Too much of a key to be shown.
    #[error("`last4` is not the last four characters of a key")]
    Last4,
    /// So much of a key that none of it is secret.
    #[error("`prefix` and `last4` are the whole key, which would be kept and shown in clear")]
    WholeKey,
    /// No length of a credential.
    #[error("`length` is 1 to 8192 bytes")]
    KeyLength,
    /// Not RFC 3339.
    #[error("{} is not a time such as 2027-01-31T00:00:00Z", text::quoted(.0))]
    NotATime(String),
    /// Nobody's.
    #[error("there is no account {}", text::quoted(.0))]
    UnknownAccount(String),
    /// More than one transaction should hold.
    #[error("at most {max} keys are imported at once; split the file", max = super::import::LINES_MAX)]
    TooManyLines,
    /// Too short a password.
    #[error("the password has {have} characters; at least {least} are needed")]
    PasswordTooShort {
        /// Its length.
        have: usize,
        /// What is asked for.
        least: usize,
    },
    /// What nobody types into a password on purpose, and no form can send.
    #[error("the password contains U+{:04X}, a control character", u32::from(*.0))]
    PasswordCharacter(char),
    /// Too long a password.
    #[error("the password has more than {max} bytes", max = super::passwords::BYTES_MAX)]
    PasswordTooLong,
    /// A password that everybody tries.
    #[error("the password is one of the most common; choose another")]
    PasswordCommon,
    /// A password that is the account's address, or the first half of it.
    #[error("the password is the email address; choose another")]
    PasswordIsEmail,
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
            Self::NameMissing | Self::NameInvisible | Self::NameTooLong(_) | Self::NameCharacter(_) => "name",
            Self::OverlapTooLong => "overlap_seconds",
            Self::RequestKey => "Idempotency-Key",
            Self::NotALine(_) | Self::TooManyLines => "",
            Self::Digest | Self::DigestTwice(_) | Self::DigestKnown => "digest",
            Self::KeyPrefix | Self::OwnPrefix | Self::WholeKey => "prefix",
            Self::Last4 => "last4",
            Self::KeyLength => "length",
            Self::UnknownAccount(_) => "account",
            Self::PasswordTooShort { .. }
            | Self::PasswordCharacter(_)
            | Self::PasswordTooLong
            | Self::PasswordCommon
            | Self::PasswordIsEmail => "password",
            Self::UnknownScopes { .. } | Self::ScopesNotGrantable { .. } => "scopes",
            Self::UnknownPlan { .. } => "plan",
            Self::Limit(beyond) => beyond.name,
            Self::ExpiryInThePast(_) | Self::LifeTooShort | Self::LifeTooLong(_) | Self::NotATime(_) => {
                "expires_at"
            }
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

fn lines(problems: &[LineProblem], more: usize) -> String {
    let told = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if more == 0 { told } else { format!("{told}; and {more} more") }
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

fn unknown_plan(plan: &str, known: &[Arc<str>]) -> String {
    let plan = text::quoted(plan);
    match known {
        [] => format!("there is no plan {plan}; the configuration has none"),
        [only] => format!("there is no plan {plan}; there is {only}"),
        many => format!("there is no plan {plan}; there are {}", many.join(", ")),
    }
}

fn grantable_scopes(grantable: &ScopeSet) -> String {
    if grantable.is_empty() {
        return "it can have none".to_owned();
    }
    format!("it can have {}", text::list(grantable))
}
