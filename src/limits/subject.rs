//! What limits are on.

use std::sync::Arc;

use super::{Policy, Span};

/// What is limited.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The account as a whole.
    Account,
    /// One of its keys, by id.
    Key(Arc<str>),
    /// The account on one route, by name.
    Route(Arc<str>),
}

/// A subject that a request names and does not keep. All workers ask about the same routes: each copy of a name would be
/// counted in memory that they share.
#[derive(Clone, Copy)]
pub(super) enum Of<'a> {
    Account,
    Key(&'a Arc<str>),
    Route(&'a Arc<str>),
}

impl Of<'_> {
    pub(super) fn is(self, subject: &Subject) -> bool {
        match (self, subject) {
            (Self::Account, Subject::Account) => true,
            (Self::Key(asked), Subject::Key(known)) | (Self::Route(asked), Subject::Route(known)) => {
                asked == known
            }
            _ => false,
        }
    }

    pub(super) fn policy(self, span: Span) -> Policy {
        match self {
            Self::Account => Policy::of_account(span),
            Self::Key(_) => Policy::of_key(span),
            Self::Route(_) => Policy::of_route(span),
        }
    }
}

impl<'a> From<&'a Subject> for Of<'a> {
    fn from(subject: &'a Subject) -> Self {
        match subject {
            Subject::Account => Self::Account,
            Subject::Key(id) => Self::Key(id),
            Subject::Route(name) => Self::Route(name),
        }
    }
}

impl From<Of<'_>> for Subject {
    fn from(of: Of<'_>) -> Self {
        match of {
            Of::Account => Self::Account,
            Of::Key(id) => Self::Key(Arc::clone(id)),
            Of::Route(name) => Self::Route(Arc::clone(name)),
        }
    }
}
