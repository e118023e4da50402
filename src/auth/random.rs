//! Randomness, passed in.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// The source gave no bytes; nothing secret can be made.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random generator failed")]
pub struct RandomFailed;

/// A source of unpredictable bytes.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// When the source fails; `bytes` must then not be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailed>;
}

/// The operating system's generator.
#[derive(Debug, Default)]
pub struct System(SystemRandom);

impl Random for System {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailed> {
        self.0.fill(bytes).map_err(|_| RandomFailed)
    }
}
