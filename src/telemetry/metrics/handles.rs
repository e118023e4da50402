//! Single metrics for those who keep them up themselves.

use prometheus::{IntCounter, IntGauge};

/// The connections of one listener.
#[derive(Clone, Debug)]
pub struct Connections(pub(super) IntGauge);

impl Connections {
    /// One more, until the answer is dropped.
    #[must_use]
    pub fn open(&self) -> OpenConnection {
        self.0.inc();
        OpenConnection(self.0.clone())
    }
}

/// A connection that counts as open while this lives.
#[derive(Debug)]
pub struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Lines of the log that were dropped.
#[derive(Clone, Debug)]
pub struct Dropped(pub(super) IntCounter);

impl Dropped {
    /// So many more.
    pub fn add(&self, lines: u64) {
        self.0.inc_by(lines);
    }

    /// All so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.get()
    }
}
