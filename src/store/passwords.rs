//! What the store keeps of passwords, and how an account gets one.

use crate::auth::token::HashedToken;
use crate::clock::Timestamp;

use super::{Account, NewSession};

/// Who logs in with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account.
    pub account: Account,
    /// The stored form of its password, a PHC string; `None` = it has none.
    pub password: Option<String>,
}

/// An account's new password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordChange {
    /// Whose.
    pub account_id: String,
    /// Its stored form, a PHC string.
    pub password: String,
    /// Why it may be set.
    pub proof: Proof,
    /// The session that takes the place of all that end with the old one.
    pub begins: Option<NewSession>,
}

/// Why a password may be set. It must still hold when it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// An operator says so.
    Operator,
    /// The owner knew the old one, of which this is the stored form.
    Old(String),
    /// The owner has the reset link with this digest, which is used up.
    Link(HashedToken),
}

/// A link under which an account can get a new password once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetLink {
    /// What is kept of its secret.
    pub digest: HashedToken,
    /// Whose.
    pub account_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}
