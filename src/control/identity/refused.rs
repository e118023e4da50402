//! What the issuer refuses, as the client is told.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::principal::Method;
use crate::auth::refusal::{BodyFault, MemberFault, Refusal};
use crate::issuer::{IssueError, Problem};

impl From<IssueError> for Refusal {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Invalid(problems) => {
                Self::Body(Arc::new(BodyFault::Members(problems.iter().map(member).collect())))
            }
            IssueError::NotFound(what) => Self::NotFound(what),
            IssueError::Conflict(why) => Self::Conflict(sentences(why).into()),
            IssueError::TooManyKeys | IssueError::Replaced { .. } => {
                Self::Conflict(sentences(&error.to_string()).into())
            }
            IssueError::AccountDisabled => Self::AccountDisabled { of: Method::AccessToken },
            IssueError::IdempotencyMismatch => Self::IdempotencyMismatch,
            IssueError::WrongLogin => Self::InvalidLogin,
            IssueError::Wait(wait) => Self::TooManyFailures { retry_after: seconds(wait) },
            IssueError::Busy => Self::TooManyPasswords,
            IssueError::InvalidGrant => Self::InvalidGrant,
            // Not reached from an endpoint: no link, no import, and none without the section.
            IssueError::InvalidLink
            | IssueError::Import { .. }
            | IssueError::NoIdentity
            | IssueError::NoConsole => Self::NoRoute,
            IssueError::NoRandomness | IssueError::Store(_) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an identity endpoint cannot answer"
                );
                Self::NotNow
            }
        }
    }
}

/// Whole seconds, at least one and never less than there are.
fn seconds(wait: Duration) -> u32 {
    let up = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(up).unwrap_or(u32::MAX).max(1)
}

fn member(problem: &Problem) -> MemberFault {
    MemberFault { pointer: format!("/{}", problem.member()), detail: sentence(problem) }
}

/// A problem as a sentence of its own.
pub(in crate::control) fn sentence(problem: &Problem) -> String {
    capital(&problem.to_string())
}

/// What a command tells in one line, as whole sentences.
fn sentences(line: &str) -> String {
    line.split("; ").map(capital).collect::<Vec<_>>().join(" ")
}

/// A line as a sentence of its own.
pub(in crate::control) fn capital(line: &str) -> String {
    let mut letters = line.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}
