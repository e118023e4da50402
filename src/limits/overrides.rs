//! What is said of the limits of a subject, and what follows from it.

use std::fmt;
use std::ops::RangeInclusive;

use super::Rates;

/// What may be said of a minute; at most more than a request a microsecond, all day.
pub const PER_MINUTE: RangeInclusive<u64> = 0..=1_000_000_000;
/// Of a day.
pub const PER_DAY: RangeInclusive<u64> = 0..=1_000_000_000_000;
/// Of how many come at once, at an even pace.
pub const BURST: RangeInclusive<u64> = 1..=1_000_000;
/// Of how many there are at once.
pub const IN_FLIGHT: RangeInclusive<u64> = 0..=10_000_000;

/// What is said of the limits of a subject; what is not said, somebody else says. 0 = no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Overrides {
    /// Of a minute; it brings its pace with it.
    pub per_minute: Option<u64>,
    /// How many at once, at an even pace.
    pub smooth: Option<u64>,
    /// Of a day.
    pub per_day: Option<u64>,
    /// At once.
    pub in_flight: Option<u32>,
}

/// Something that may not be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// Of what.
    pub name: &'static str,
    /// What may be said of it.
    pub bounds: RangeInclusive<u64>,
}

impl Overrides {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These, and those of `base` where these say nothing.
    #[must_use]
    pub fn over(&self, base: &Rates) -> Rates {
        let minute = self.per_minute.map(|quota| (some(quota), self.smooth.and_then(some)));
        let (per_minute, smooth) = minute.unwrap_or((base.per_minute, self.smooth.map_or(base.smooth, some)));
        Rates {
            per_minute,
            smooth: smooth.filter(|_| per_minute.is_some()),
            per_day: self.per_day.map_or(base.per_day, some),
            in_flight: self.in_flight.map_or(base.in_flight, |most| (most > 0).then_some(most)),
        }
    }

    /// Of those over `base` the ones that are said here, wholly or in part.
    #[must_use]
    pub fn said_over(&self, base: &Rates) -> Rates {
        let Rates { per_minute, smooth, per_day, in_flight } = self.over(base);
        let paced = self.per_minute.or(self.smooth).is_some();
        Rates {
            per_minute: per_minute.filter(|_| paced),
            smooth: smooth.filter(|_| paced),
            per_day: per_day.filter(|_| self.per_day.is_some()),
            in_flight: in_flight.filter(|_| self.in_flight.is_some()),
        }
    }

    /// All that is said and may not be, whoever says it.
    pub fn beyond(&self) -> impl Iterator<Item = Beyond> {
        let said = [
            ("per_minute", self.per_minute, PER_MINUTE),
            ("burst", self.smooth, BURST),
            ("per_day", self.per_day, PER_DAY),
            ("in_flight", self.in_flight.map(u64::from), IN_FLIGHT),
        ];
        let beyond = |(_, said, bounds): &(_, Option<u64>, RangeInclusive<u64>)| {
            said.is_some_and(|number| !bounds.contains(&number))
        };
        said.into_iter().filter(beyond).map(|(name, _, bounds)| Beyond { name, bounds })
    }
}

fn some(quota: u64) -> Option<u64> {
    (quota > 0).then_some(quota)
}

/// The same, all said.
impl From<&Rates> for Overrides {
    fn from(rates: &Rates) -> Self {
        let Rates { per_minute, smooth, per_day, in_flight } = *rates;
        Self { per_minute, smooth, per_day, in_flight }
    }
}

/// In words, parted by commas.
impl fmt::Display for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quota = |said: Option<u64>, time| {
            said.map(|number| match number {
                0 => format!("no limit {time}"),
                _ => format!("{number} {time}"),
            })
        };
        let words = [
            quota(self.per_minute, "a minute"),
            self.smooth.map(|burst| format!("bursts of {burst}")),
            quota(self.per_day, "a day"),
            quota(self.in_flight.map(u64::from), "at a time"),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        f.write_str(if words.is_empty() { "none" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}
