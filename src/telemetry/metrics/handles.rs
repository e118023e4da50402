//! Single metrics for those who keep them up themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{IntCounter, IntGauge};

/// The connections of one listener, or the tunnels of one route.
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

/// A connection or a tunnel that counts as open while this lives.
#[derive(Debug)]
pub struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Lines of one log that were dropped. Clones count together.
#[derive(Clone, Debug)]
pub struct Dropped {
    all_logs: IntCounter,
    this_log: Arc<AtomicU64>,
}

impl Dropped {
    pub(super) fn new(all_logs: IntCounter) -> Self {
        Self { all_logs, this_log: Arc::default() }
    }

    /// So many more.
    pub fn add(&self, lines: u64) {
        self.all_logs.inc_by(lines);
        self.this_log.fetch_add(lines, Ordering::Relaxed);
    }

    /// All of this log so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.this_log.load(Ordering::Relaxed)
    }
}
