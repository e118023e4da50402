//! How a command fails: one line, hints under it, an exit code.

use std::fmt;
use std::io;

use crate::auth::scope::Scope;
use crate::issuer::{IssueError, LineProblem, Problem};
use crate::store::StoreError;
use crate::store::sqlite::OpenError;

/// Exit codes of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Refused, or the input is invalid.
    Refused = 1,
    /// The words of the command are wrong.
    Usage = 2,
    /// The store or the server cannot be reached.
    Unreachable = 3,
}

/// Why a command did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// One line.
    pub line: String,
    /// What to do about it, a line each.
    pub hints: Vec<String>,
    /// What was found, set in lines of its own; printed as it is.
    pub report: String,
}

impl Failure {
    /// A failure without hints.
    #[must_use]
    pub fn new(exit: Exit, line: impl Into<String>) -> Self {
        Self { exit, line: line.into(), hints: Vec::new(), report: String::new() }
    }

    /// A failure whose reason the output has told already.
    #[must_use]
    pub const fn told() -> Self {
        Self { exit: Exit::Refused, line: String::new(), hints: Vec::new(), report: String::new() }
    }

    /// The same with a report.
    #[must_use]
    pub fn report(mut self, report: impl Into<String>) -> Self {
        self.report = report.into();
        self
    }

    /// The same with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(super) fn output(error: &io::Error) -> Self {
        Self::new(Exit::Refused, format!("the output could not be written: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.line)?;
        self.hints.iter().try_for_each(|hint| write!(f, "\n  {hint}"))?;
        if self.report.is_empty() { Ok(()) } else { write!(f, "\n\n{}", self.report.trim_end()) }
    }
}

impl std::error::Error for Failure {}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(Exit::Unreachable, error.to_string()).hint(error.hint())
    }
}

impl From<IssueError> for Failure {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Invalid(problems) => {
                let failure = several(problems.iter().map(ToString::to_string).collect());
                problems.iter().filter_map(remedy).fold(failure, Failure::hint)
            }
            IssueError::NotFound("account") => {
                Self::new(Exit::Refused, error.to_string()).hint("`keyward accounts list` shows them")
            }
            IssueError::NotFound("session") => {
                Self::new(Exit::Refused, error.to_string()).hint("`keyward sessions list` shows them")
            }
            IssueError::NotFound(_) => {
                Self::new(Exit::Refused, error.to_string()).hint("`keyward keys list` shows them")
            }
            IssueError::AccountDisabled => Self::new(Exit::Refused, "the account is disabled")
                .hint("`keyward accounts enable` comes first"),
            IssueError::NoIdentity => Self::new(Exit::Refused, error.to_string())
                .hint("`identity: { public_url: https://auth.example.com }` is the least of one"),
            IssueError::NoConsole => Self::new(Exit::Refused, error.to_string())
                .hint("turn the console on, or set a password: keyward accounts set-password ACCOUNT < FILE"),
            IssueError::Replaced { ref by, .. } => {
                Self::new(Exit::Refused, error.to_string()).hint(format!("the key to change is now {by}"))
            }
            IssueError::Import { problems, more } => lines(&problems, more),
            IssueError::WrongLogin
            | IssueError::IdempotencyMismatch
            | IssueError::Wait(_)
            | IssueError::Busy
            | IssueError::InvalidGrant
            | IssueError::InvalidLink
            | IssueError::Conflict(_)
            | IssueError::TooManyKeys
            | IssueError::NoRandomness => Self::new(Exit::Refused, error.to_string()),
            IssueError::Store(error) => unreachable_store(&error),
        }
    }
}

/// What makes the same request right.
fn remedy(problem: &Problem) -> Option<String> {
    match problem {
        Problem::ScopesNotGrantable { denied, grantable } => {
            let scopes: Vec<_> = grantable.iter().chain(denied.iter()).map(Scope::as_str).collect();
            Some(format!("give it them first: keyward accounts set-scopes ACCOUNT {}", scopes.join(",")))
        }
        Problem::UnknownPlan { .. } => Some(
            "plans are named under `limits.plans` in the configuration; `--none` takes a plan away"
                .to_owned(),
        ),
        Problem::Limit(_) => Some("`--none` takes all limits of its own away".to_owned()),
        _ => None,
    }
}

/// The first problem on the line, the others under it.
fn several(mut problems: Vec<String>) -> Failure {
    let rest = problems.split_off(problems.len().min(1));
    Failure { hints: rest, ..Failure::new(Exit::Refused, problems.concat()) }
}

fn lines(problems: &[LineProblem], more: usize) -> Failure {
    let failure = Failure::new(Exit::Refused, "nothing was imported, because not every line is right");
    let hints = problems.iter().map(ToString::to_string);
    let rest = (more > 0).then(|| format!("and {more} more"));
    Failure { hints: hints.chain(rest).collect(), ..failure }
}

fn unreachable_store(error: &StoreError) -> Failure {
    let line = match error {
        StoreError::Unavailable(cause) => format!("{error}: {cause}"),
        _ => error.to_string(),
    };
    Failure::new(Exit::Unreachable, line)
}
