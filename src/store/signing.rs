//! What the store keeps of the keys that tokens are signed with.

use std::fmt;

use zeroize::Zeroizing;

use crate::auth::algorithm::SigningAlgorithm;
pub use crate::auth::jwt::Purpose;
use crate::auth::jwt::{self, Keyring, RingKey, Unusable};
use crate::clock::Timestamp;

/// A key that tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// The key id: `kid` of what it signs.
    pub id: String,
    /// What it signs; one purpose's tokens are never another's.
    pub purpose: Purpose,
    /// How.
    pub algorithm: SigningAlgorithm,
    /// The secret half.
    pub private_key: PrivateKey,
    /// When it was made, and published from.
    pub created_at: Timestamp,
    /// When it begins to sign.
    pub signs_from: Timestamp,
    /// When what it signed is no longer believed, and it no longer published; `None` while no other takes over.
    pub retires_at: Option<Timestamp>,
}

/// The secret half of a signing key: PKCS#8 as text. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(Zeroizing<String>);

impl PrivateKey {
    /// Takes what was made or read.
    #[must_use]
    pub const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text, for who signs and for the store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// Which key a new one takes over from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The newest key of the purpose, as the maker of the new one saw it.
    pub from: String,
    /// When that one retires.
    pub retires_at: Timestamp,
    /// Which others retire then, too.
    pub with: Retiring,
}

/// Which keys of a purpose a handover retires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retiring {
    /// The newest, from which the new one takes over; older ones have their time.
    Newest,
    /// Every older one, too: somebody else has what they sign with.
    All,
}

impl Retiring {
    /// When a key retires that is good by no clock any more, however far that is set back.
    pub const AT_ONCE: Timestamp = Timestamp(0);
}

impl SigningKey {
    /// The key, ready to sign and verify.
    ///
    /// # Errors
    /// When what is kept is damaged.
    pub fn open(&self) -> Result<RingKey, Unusable> {
        let key = jwt::SigningKey::from_text(self.algorithm, self.private_key.expose())?;
        if key.kid() != self.id {
            return Err(Unusable);
        }
        Ok(RingKey { key, purpose: self.purpose, signs_from: self.signs_from, retires_at: self.retires_at })
    }
}

/// Those of `keys` that can be used. One that cannot spoils none of the others.
#[must_use]
pub fn ring(keys: &[SigningKey]) -> Keyring {
    Keyring::new(keys.iter().filter_map(|key| match key.open() {
        Ok(opened) => Some(opened),
        Err(error) => {
            tracing::error!(kid = key.id, %error, "a signing key in the store is damaged; what it signed is refused");
            None
        }
    }))
}
