//! Limits of an account's or a key's own, as words of a command.

use clap::Args;

use super::Streams;
use crate::limits::{Overrides, Rates};

/// All that is said of them: what is not named is not said.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct OwnLimits {
    /// Requests a minute; 0 for no limit
    #[arg(long, value_name = "N")]
    per_minute: Option<u64>,
    /// Instead of a window of a minute an even pace, with so many at once
    #[arg(long, value_name = "N")]
    burst: Option<u64>,
    /// Requests a day (UTC); 0 for no limit
    #[arg(long, value_name = "N")]
    per_day: Option<u64>,
    /// Requests at once; 0 for no limit
    #[arg(long, value_name = "N")]
    in_flight: Option<u32>,
    /// No limits of its own
    #[arg(long, conflicts_with_all = ["per_minute", "burst", "per_day", "in_flight"])]
    none: bool,
}

impl OwnLimits {
    /// What is said of them.
    pub(super) const fn said(&self) -> Overrides {
        let Self { per_minute, burst: smooth, per_day, in_flight, none: _ } = *self;
        Overrides { per_minute, smooth, per_day, in_flight }
    }
}

/// A pace without a minute to keep it over is set all the same: a plan may yet say how many.
pub(super) fn tell_of_no_effect(said: &Overrides, holds: &Rates, streams: &mut Streams<'_>) {
    if said.smooth.is_some() && holds.per_minute.is_none() {
        streams.say("--burst has no effect now: nothing limits the requests of a minute");
    }
}
