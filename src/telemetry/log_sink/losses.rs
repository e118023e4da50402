//! Lines of the access log that were lost: counted, and told now and then in the application's log.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::{Clock, Tick};
use crate::telemetry::metrics::Dropped;

/// How often lost lines are told.
pub(super) const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Shared by those who may lose lines: workers, and the thread that writes.
#[derive(Debug)]
pub(super) struct Losses {
    dropped: Dropped,
    clock: Clock,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    lines: u64,
    at: Option<Tick>,
}

impl Losses {
    pub(super) fn new(dropped: Dropped, clock: Clock) -> Self {
        Self { dropped, clock, told: Mutex::default() }
    }

    /// So many more, because of `failure` or for want of room.
    pub(super) fn add(&self, lines: u64, failure: Option<&io::Error>) {
        self.dropped.add(lines);
        self.tell(failure);
    }

    /// Says what has not been said yet, unless that would be too often.
    pub(super) fn tell(&self, failure: Option<&io::Error>) {
        // Whoever holds it is telling.
        let Ok(mut told) = self.told.try_lock() else { return };
        let total = self.dropped.total();
        let now = self.clock.tick();
        let too_soon = told.at.is_some_and(|last| now.since(last) < COMPLAIN_EVERY);
        if total == told.lines || too_soon {
            return;
        }
        let lines = total.saturating_sub(told.lines);
        match failure {
            Some(error) => tracing::warn!(
                lines,
                error = error as &dyn std::error::Error,
                "lines of the access log are lost: its destination cannot be written"
            ),
            None => {
                tracing::warn!(lines, "lines of the access log are lost: its destination is too slow");
            }
        }
        *told = Told { lines: total, at: Some(now) };
    }
}
