//! Limits of an account's or a key's own, as words of a command.

use std::ops::RangeInclusive;

use clap::Args;

use super::Streams;
use crate::limits::{BURST, IN_FLIGHT, Overrides, PER_DAY, PER_MINUTE, Rates};

/// All that is said of them: what is not named is not said.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct OwnLimits {
    /// Requests a minute; 0 for no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number(&PER_MINUTE))]
    per_minute: Option<u64>,
    /// Instead of a window of a minute an even pace, with so many at once
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number(&BURST))]
    burst: Option<u64>,
    /// Requests a day (UTC); 0 for no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number(&PER_DAY))]
    per_day: Option<u64>,
    /// Requests at once; 0 for no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number(&IN_FLIGHT))]
    in_flight: Option<u64>,
    /// No limits of its own
    #[arg(long, conflicts_with_all = ["per_minute", "burst", "per_day", "in_flight"])]
    none: bool,
}

impl OwnLimits {
    /// What is said of them.
    pub(super) fn said(&self) -> Overrides {
        let Self { per_minute, burst: smooth, per_day, in_flight, none: _ } = *self;
        let in_flight = in_flight.map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        Overrides { per_minute, smooth, per_day, in_flight }
    }
}

/// Reads a number that may be said of a limit.
fn number(bounds: &RangeInclusive<u64>) -> impl Fn(&str) -> Result<u64, String> + Clone + use<> {
    let bounds = bounds.clone();
    move |text| {
        let read = text.parse().ok().filter(|number| bounds.contains(number));
        read.ok_or_else(|| format!("write a whole number from {} to {}", bounds.start(), bounds.end()))
    }
}

/// A pace without a minute to keep it over is set all the same: a plan may yet say how many.
pub(super) fn tell_of_no_effect(said: &Overrides, holds: &Rates, streams: &mut Streams<'_>) {
    if said.smooth.is_some() && holds.per_minute.is_none() {
        streams.say("--burst has no effect now: nothing limits the requests of a minute");
    }
}
