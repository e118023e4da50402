//! Chance, for tests that strike at any moment.

use std::ops::Range;
use std::time::Duration;

use keyward::auth::random::{Random as _, System};

/// How many rounds to run: `KEYWARD_KILL_ROUNDS`, or so many.
pub fn rounds(by_default: u32) -> u32 {
    std::env::var("KEYWARD_KILL_ROUNDS")
        .map_or(by_default, |rounds| rounds.parse().expect("a number of rounds"))
}

/// How many rounds of fifty refreshes at once to run: `KEYWARD_REFRESH_ROUNDS`, or so many.
pub fn refresh_rounds(by_default: u32) -> u32 {
    std::env::var("KEYWARD_REFRESH_ROUNDS")
        .map_or(by_default, |rounds| rounds.parse().expect("a number of rounds"))
}

/// Any whole number within the range.
pub fn number(within: Range<u64>) -> u64 {
    let mut bytes = [0; 8];
    System::default().fill(&mut bytes).unwrap();
    within.start + u64::from_le_bytes(bytes) % (within.end - within.start)
}

/// So many microseconds.
pub fn moment(within: Range<u64>) -> Duration {
    Duration::from_micros(number(within))
}
