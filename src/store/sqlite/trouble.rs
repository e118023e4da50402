//! Why an open store does not do what it is asked for now, in an operator's words.

use crate::store::StoreError;

/// What keeps the store from answering. `Display` is half a line, to follow "the store is not available: ".
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("another process holds its lock; try again when that is done")]
    Locked(#[source] sqlx::Error),
    #[error("the disk is full; free some space")]
    Full(#[source] sqlx::Error),
    #[error("it can only be read; its file and directory must be writable")]
    ReadOnly(#[source] sqlx::Error),
    #[error("it is damaged; restore it from a backup")]
    Damaged(#[source] sqlx::Error),
    #[error("{}; the system's log may say more", super::open_error::one_line(&.0.to_string()))]
    Other(#[source] sqlx::Error),
    #[error("it did not answer in time")]
    Late,
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        match super::open_error::primary_code(&error) {
            Some(5 | 6) => Self::Locked(error),
            Some(8) => Self::ReadOnly(error),
            Some(11 | 26) => Self::Damaged(error),
            Some(13) => Self::Full(error),
            _ => Self::Other(error),
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        Self::Unavailable(trouble.into())
    }
}

impl From<sqlx::Error> for StoreError {
    /// What a statement of ours fails with: the world, or a value that an alien hand has written.
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.to_string()),
            sqlx::Error::PoolTimedOut => Trouble::Late.into(),
            other => Trouble::from(other).into(),
        }
    }
}
