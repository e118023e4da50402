//! The closed sets that labels come from.

use crate::clock::Timestamp;

/// A part of the validation cache: a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// A worker's own table of credentials that are good.
    Front,
    /// Credentials that are good, shared by all workers.
    Positive,
    /// Credentials that are not.
    Negative,
}

impl Cached {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::Front, Self::Positive, Self::Negative];

    pub(in crate::telemetry) const fn as_str(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Positive => "positive",
            Self::Negative => "negative",
        }
    }
}

/// How a look-up in the validation cache ended: a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Found.
    Hit,
    /// Not found; this request caused a look-up.
    Miss,
    /// Found, and served past its time because the store is away.
    Stale,
    /// Not found; waited for a look-up that another request had caused.
    Joined,
}

impl Lookup {
    /// Every end.
    pub const ALL: [Self; 4] = [Self::Hit, Self::Miss, Self::Stale, Self::Joined];

    pub(in crate::telemetry) const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Joined => "joined",
        }
    }
}

/// How a login ended: a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    /// It gave a session.
    Ok,
    /// Address and password do not belong together.
    Wrong,
    /// It came too soon after others that failed; no password was looked at.
    Delayed,
}

impl LoginOutcome {
    /// Every outcome, in this order.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Wrong, Self::Delayed];

    pub(in crate::telemetry) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Wrong => "wrong",
            Self::Delayed => "delayed",
        }
    }
}

/// How a reload ended: a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The new configuration is in force since then.
    Loaded(Timestamp),
    /// The old one stays in force.
    Refused,
}
