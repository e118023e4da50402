//! Keeps what fails often from flooding the log: a few lines a second, and a count of what was left out.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::Tick;

/// Lines are counted over this time.
const PERIOD: Duration = Duration::from_secs(1);
/// Lines in it.
const LINES: u32 = 5;

/// The lines about one thing that one worker writes.
#[derive(Debug)]
pub struct Pace {
    /// The end of the period that runs.
    until: Cell<Tick>,
    told: Cell<u32>,
    left_out: Cell<u64>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { until: Cell::new(Tick(0)), told: Cell::default(), left_out: Cell::default() }
    }
}

impl Pace {
    /// Whether a line may be written at `now`; else it is counted.
    #[must_use]
    pub fn admits(&self, now: Tick) -> bool {
        if now >= self.until.get() {
            self.until.set(now.after(PERIOD));
            self.told.set(0);
        }
        if self.told.get() < LINES {
            self.told.set(self.told.get() + 1);
            return true;
        }
        self.left_out.set(self.left_out.get() + 1);
        false
    }

    /// How many lines were left out, once for each period that is over.
    #[must_use]
    pub fn left_out(&self, now: Tick) -> Option<u64> {
        (self.left_out.get() > 0 && now >= self.until.get()).then(|| self.left_out.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_pass_in_each_period_and_the_rest_is_told_once() {
        let pace = Pace::default();
        let start = Tick(1);
        assert_eq!((0..1000).filter(|_| pace.admits(start)).count(), 5);
        assert_eq!(pace.left_out(start), None);
        let later = start.after(PERIOD);
        assert_eq!((pace.left_out(later), pace.left_out(later)), (Some(995), None));
        assert!(pace.admits(later));
    }

    #[test]
    fn what_is_left_out_in_several_periods_adds_up_until_it_is_told() {
        let pace = Pace::default();
        let times = [Tick(1), Tick(1).after(PERIOD), Tick(1).after(2 * PERIOD)];
        let told = times.map(|now| (0..10).filter(|_| pace.admits(now)).count());
        assert_eq!((told, pace.left_out(times[2].after(PERIOD))), ([5, 5, 5], Some(15)));
    }
}
