//! Time, passed in. Everything that asks what time it is holds a [`Clock`], so that a test can hold it still.
//!
//! Two kinds of time, never mixed: [`Timestamp`] is the wall clock (expiry, logs) and may jump; [`Tick`] is
//! monotonic (time-outs, cache lifetimes) and never does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Wall-clock time in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This time and `duration` more; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time less `duration`; stays at the beginning of time instead of wrapping.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How far `later` lies ahead, zero when it has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// Reads a time of RFC 3339, in whatever zone it is written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }

    /// RFC 3339 in UTC with `Z`, whole seconds: the wire form of every time.
    #[must_use]
    pub fn rfc3339(self) -> String {
        OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1000))
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .unwrap_or_else(|| "9999-12-31T23:59:59Z".to_owned())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Monotonic time in microseconds since the clock was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u64);

impl Tick {
    /// So many microseconds before this moment, or the first.
    #[must_use]
    pub const fn before(self, micros: u32) -> Self {
        Self(self.0.saturating_sub(micros as u64))
    }

    /// This moment and `duration` more.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Time since `earlier`, zero when that lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Where time comes from: the system, or a test's hand. Clones share it.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { origin: Instant },
    Manual(Arc<Hands>),
}

#[derive(Debug)]
struct Hands {
    wall: AtomicI64,
    tick: AtomicU64,
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn system() -> Self {
        Self(Source::System { origin: Instant::now() })
    }

    /// A clock that stands at `wall` until [`advance`](Self::advance) or [`set_wall`](Self::set_wall) moves it.
    #[must_use]
    pub fn manual(wall: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(Hands { wall: AtomicI64::new(wall.0), tick: AtomicU64::new(1) })))
    }

    /// Wall-clock time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Source::Manual(hands) => Timestamp(hands.wall.load(Ordering::SeqCst)),
        }
    }

    /// Monotonic time.
    #[must_use]
    pub fn tick(&self) -> Tick {
        match &self.0 {
            Source::System { origin } => {
                Tick(u64::try_from(origin.elapsed().as_micros()).unwrap_or(u64::MAX))
            }
            Source::Manual(hands) => Tick(hands.tick.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock on, both hands; a system clock goes its own way.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(hands) = &self.0 {
            hands.wall.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
            hands.tick.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }

    /// Makes a manual clock's wall hand jump, as an operator or NTP may; the monotonic hand stays.
    pub fn set_wall(&self, to: Timestamp) {
        if let Source::Manual(hands) = &self.0 {
            hands.wall.store(to.0, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_in_utc_with_z() {
        assert_eq!(Timestamp(1_793_491_200_000).rfc3339(), "2026-11-01T00:00:00Z");
        assert_eq!(Timestamp(i64::MAX).rfc3339(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = Clock::manual(Timestamp(5_000));
        let before = clock.tick();
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), Timestamp(7_000));
        assert_eq!(clock.tick().since(before), Duration::from_secs(2));
        clock.set_wall(Timestamp(0));
        assert_eq!(clock.tick().since(before), Duration::from_secs(2));
    }
}
