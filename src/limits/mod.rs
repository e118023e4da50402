//! The counting: how many requests an account may make, over all its keys, tokens and routes.
//!
//! Pure: the time is passed in. All that counts for one account lies behind one lock, so that a request is judged by all
//! its limits at once and counted by all of them or by none; two accounts share nothing. Whoever holds an [`Account`]
//! counts on it; the [`Table`] knows each by its id, so that all of its credentials count on the same.

mod account;
mod calendar;
mod counter;
mod failures;
mod fields;
mod overrides;
mod plans;
mod subject;
mod table;
#[cfg(test)]
mod tests;

pub use self::account::{Account, Asked, InFlight, Report, Verdict};
pub use self::calendar::{SOON, Today, day, kept};
pub use self::counter::Standing;
pub use self::failures::{FailureCounts, FailureLimit, Failures};
pub use self::fields::{Fields, Told, fields, seconds};
pub use self::overrides::{BURST, Beyond, IN_FLIGHT, Overrides, PER_DAY, PER_MINUTE};
pub use self::plans::{Plan, Plans};
pub use self::subject::Subject;
pub use self::table::{DayCount, Table};
use crate::clock::Tick;

/// How much a subject may: an account, or a key or a route of one. `None` = as much as it likes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rates {
    /// Requests in a minute: in a window of 60 s that opens with the first.
    pub per_minute: Option<u64>,
    /// Instead of that window: at an even pace, and so many at once (GCRA).
    pub smooth: Option<u64>,
    /// Requests in a day of UTC.
    pub per_day: Option<u64>,
    /// Requests at once.
    pub in_flight: Option<u32>,
}

impl Rates {
    /// Whether nothing is limited.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.per_minute.is_none() && self.per_day.is_none() && self.in_flight.is_none()
    }
}

/// Over which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// A minute.
    Minute,
    /// A day of UTC.
    Day,
    /// Any: how many at once.
    Now,
}

/// One limit: a name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The account's, of a minute.
    Minute,
    /// The account's, of a day.
    Day,
    /// The account's, at once.
    InFlight,
    /// A key's, of a minute.
    KeyMinute,
    /// A key's, of a day.
    KeyDay,
    /// A key's, at once.
    KeyInFlight,
    /// The account's on a route, of a minute.
    RouteMinute,
    /// The account's on a route, of a day.
    RouteDay,
    /// The account's on a route, at once.
    RouteInFlight,
}

impl Policy {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Minute,
        Self::Day,
        Self::InFlight,
        Self::KeyMinute,
        Self::KeyDay,
        Self::KeyInFlight,
        Self::RouteMinute,
        Self::RouteDay,
        Self::RouteInFlight,
    ];

    /// The name in the RateLimit fields, in metrics and in refusals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
            Self::InFlight => "in_flight",
            Self::KeyMinute => "key_minute",
            Self::KeyDay => "key_day",
            Self::KeyInFlight => "key_in_flight",
            Self::RouteMinute => "route_minute",
            Self::RouteDay => "route_day",
            Self::RouteInFlight => "route_in_flight",
        }
    }

    /// Over which time it counts.
    #[must_use]
    pub const fn span(self) -> Span {
        match self {
            Self::Minute | Self::KeyMinute | Self::RouteMinute => Span::Minute,
            Self::Day | Self::KeyDay | Self::RouteDay => Span::Day,
            Self::InFlight | Self::KeyInFlight | Self::RouteInFlight => Span::Now,
        }
    }

    const fn of_account(span: Span) -> Self {
        match span {
            Span::Minute => Self::Minute,
            Span::Day => Self::Day,
            Span::Now => Self::InFlight,
        }
    }

    const fn of_key(span: Span) -> Self {
        match span {
            Span::Minute => Self::KeyMinute,
            Span::Day => Self::KeyDay,
            Span::Now => Self::KeyInFlight,
        }
    }

    const fn of_route(span: Span) -> Self {
        match span {
            Span::Minute => Self::RouteMinute,
            Span::Day => Self::RouteDay,
            Span::Now => Self::RouteInFlight,
        }
    }
}

/// The number of an account by its id; all of ours are UUIDs. Another text has one too.
#[must_use]
pub fn number(id: &str) -> u128 {
    uuid::Uuid::parse_str(id).map_or_else(|_| digits(id), |id| id.as_u128())
}

/// As many bytes of it as there is room for.
fn digits(id: &str) -> u128 {
    id.bytes().fold(0, |number, byte| number << 8 | u128::from(byte))
}

/// A moment: minutes run by the clock that never jumps, days as [`Table::moment`] has them.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the monotonic clock.
    pub tick: Tick,
    /// The day.
    pub today: Today,
}
