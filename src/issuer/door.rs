//! What logins share across configurations: who failed, how many are being checked, how they ended, the secret of refresh
//! tokens.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::hmac;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::delays::Delays;
use super::logins::Logins;
use super::passwords::Hasher;
use crate::auth::random::{Random, RandomFailed};
use crate::clock::Clock;
use crate::config;
use crate::store::PrivateKey;

/// Passwords that are checked at once where no configuration says how many.
const CONCURRENT: usize = 1;

/// What stands between the world and the accounts.
pub(super) struct Door {
    pub(super) delays: Delays,
    pub(super) hasher: Hasher,
    pub(super) logins: Logins,
    /// What successors of refresh tokens are derived with; read from the store when first needed.
    pub(super) secret: OnceCell<PrivateKey>,
}

impl Door {
    pub(super) fn new(identity: Option<&config::Identity>, clock: &Clock) -> Self {
        let concurrent = identity.map_or(CONCURRENT, |identity| identity.passwords.concurrent);
        let hasher = Hasher::new(concurrent, clock.clone());
        Self { delays: Delays::default(), hasher, logins: Logins::default(), secret: OnceCell::new() }
    }
}

/// Bytes that follow from a secret and a token, and tell neither: the same token is always exchanged for the same
/// successor, which nobody without the secret can tell.
pub(super) struct Derived {
    key: hmac::Key,
    token: Zeroizing<String>,
    block: AtomicU32,
}

impl Derived {
    pub(super) fn new(secret: &PrivateKey, token: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        Self { key, token: Zeroizing::new(token.to_owned()), block: AtomicU32::new(0) }
    }
}

impl Random for Derived {
    /// HMAC-SHA256 in counter mode (NIST SP 800-108 §4.1).
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailed> {
        for chunk in bytes.chunks_mut(hmac::HMAC_SHA256.digest_algorithm().output_len()) {
            let mut context = hmac::Context::with_key(&self.key);
            context.update(&self.block.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            context.update(b"refresh successor\0");
            context.update(self.token.as_bytes());
            let tag = context.sign();
            chunk.iter_mut().zip(tag.as_ref()).for_each(|(byte, derived)| *byte = *derived);
        }
        Ok(())
    }
}
