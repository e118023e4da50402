//! The store's signing keys as a key ring.

use crate::auth::jwt::{Keyring, RingKey, SigningKey};
use crate::store;

/// Those of `keys` that can be used. One that cannot spoils none of the others.
pub(super) fn ring(keys: &[store::SigningKey]) -> Keyring {
    Keyring::new(keys.iter().filter_map(|key| {
        match SigningKey::from_text(key.algorithm, key.private_key.expose()) {
            Ok(opened) if opened.kid() == key.id => Some(RingKey {
                key: opened,
                purpose: key.purpose,
                signs_from: key.signs_from,
                retires_at: key.retires_at,
            }),
            _ => {
                tracing::error!(
                    kid = key.id,
                    "a signing key in the store is damaged; what it signed is refused"
                );
                None
            }
        }
    }))
}
