//! One subject's counters. A limit is judged first and counted after all others have been judged too.

use std::time::Duration;

use super::{Moment, Rates, Today};
use crate::clock::Tick;

const MINUTE: Duration = Duration::from_secs(60);
const MINUTE_NANOS: u64 = 60_000_000_000;
const NANOS_PER_TICK: u64 = 1_000;

/// What one subject has used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    minute: Minute,
    pub(super) day: Day,
    in_flight: u32,
}

/// Of a minute. Which of the two it is follows from the rates that it was counted by; other rates go on with what was used.
#[derive(Clone, Copy, Debug)]
enum Minute {
    /// Requests since the window opened; none = it is not open.
    Window { opened: Tick, used: u32 },
    /// When all that was used is made up for, in nanoseconds of the monotonic clock (GCRA's theoretical arrival time), at
    /// so many a minute.
    Pace { even_at: u64, quota: u32 },
}

impl Default for Minute {
    fn default() -> Self {
        Self::Window { opened: Tick(0), used: 0 }
    }
}

/// Of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Day {
    /// As the calendar counts days.
    pub(super) number: u32,
    pub(super) used: u64,
}

/// How a request stands to one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many there may be.
    pub quota: u64,
    /// How many may come at once: what one request may count as.
    pub most: u64,
    /// How many more, this one counted if it passes.
    pub left: u64,
    /// How long until there are all again.
    pub reset: Duration,
    /// When it is refused: how long until it would not be; of what never passes, as long as the window lasts, or a minute.
    pub wait: Option<Duration>,
}

impl Standing {
    /// Whether this limit lets it pass.
    #[must_use]
    pub const fn passes(&self) -> bool {
        self.wait.is_none()
    }
}

impl Counters {
    /// How a request of `cost` stands to the limit of a minute, if there is one.
    pub(super) fn minute(&self, rates: &Rates, cost: u32, now: Moment) -> Option<Standing> {
        let quota = rates.per_minute?;
        Some(match rates.smooth {
            None => self.window(quota, cost, now.tick),
            Some(burst) => self.pace(quota, burst, cost, now.tick),
        })
    }

    fn window(&self, quota: u64, cost: u32, now: Tick) -> Standing {
        let (opened, used) = self.open_window(quota, now).unwrap_or((now, 0));
        let reset = MINUTE.saturating_sub(now.since(opened));
        judged(quota, u64::from(used), cost, reset)
    }

    /// When the window opened that is open now, and what was used in it. What is not made up for of a pace was used in one
    /// that opens now.
    fn open_window(&self, quota: u64, now: Tick) -> Option<(Tick, u32)> {
        match self.minute {
            Minute::Window { opened, used } if used > 0 && now.since(opened) < MINUTE => Some((opened, used)),
            Minute::Window { .. } => None,
            Minute::Pace { .. } => {
                let used = u32::try_from(self.owed(now).min(quota)).unwrap_or(u32::MAX);
                (used > 0).then_some((now, used))
            }
        }
    }

    /// How many requests are not made up for.
    fn owed(&self, now: Tick) -> u64 {
        match self.minute {
            Minute::Pace { even_at, quota } => {
                even_at.saturating_sub(nanos(now)).div_ceil(each(quota.into()))
            }
            Minute::Window { .. } => self.open_window(0, now).map_or(0, |(_, used)| used.into()),
        }
    }

    /// How long the pace takes to make up for what was used.
    fn behind(&self, quota: u64, burst: u64, now: Tick) -> u64 {
        match self.minute {
            Minute::Pace { even_at, quota: then } if u64::from(then) == quota => {
                even_at.saturating_sub(nanos(now))
            }
            _ => self.owed(now).min(burst).saturating_mul(each(quota)),
        }
    }

    /// Has what was used be made up for at the pace that holds now. Whoever is refused counts nothing: without this, he
    /// would wait at the pace of before.
    pub(super) fn keep_pace(&mut self, rates: &Rates, now: Tick) {
        if let (Minute::Pace { .. }, Some(quota), Some(burst)) = (self.minute, rates.per_minute, rates.smooth)
        {
            self.minute = pace(quota, nanos(now).saturating_add(self.behind(quota, burst, now)));
        }
    }

    fn pace(&self, quota: u64, burst: u64, cost: u32, now: Tick) -> Standing {
        let each = each(quota);
        let most = each.saturating_mul(burst);
        let behind = self.behind(quota, burst, now);
        let then = behind.saturating_add(each.saturating_mul(u64::from(cost)));
        let passes = quota > 0 && then <= most;
        let behind_after = if passes { then } else { behind };
        Standing {
            quota,
            most: burst,
            left: most.saturating_sub(behind_after) / each,
            reset: Duration::from_nanos(behind_after),
            wait: (!passes).then(|| match each.saturating_mul(u64::from(cost)) > most {
                true => MINUTE,
                false => Duration::from_nanos(then.saturating_sub(most)),
            }),
        }
    }

    /// How a request of `cost` stands to the limit of a day, if there is one.
    pub(super) fn day(&self, rates: &Rates, cost: u32, now: Moment) -> Option<Standing> {
        let quota = rates.per_day?;
        Some(judged(quota, self.day.at(now.today).used, cost, now.today.left))
    }

    /// How one more at once stands to the limit, if there is one. Whatever it costs it is one; what costs nothing is none.
    pub(super) fn in_flight(&self, rates: &Rates, cost: u32) -> Option<Standing> {
        let quota = rates.in_flight?;
        let passes = self.in_flight < quota || cost == 0;
        let taken = self.in_flight.saturating_add(u32::from(passes && cost > 0));
        Some(Standing {
            quota: u64::from(quota),
            // Whatever it counts as over time, at once it is one.
            most: u64::MAX,
            left: u64::from(quota.saturating_sub(taken)),
            reset: Duration::ZERO,
            // Nobody can tell when one of them ends.
            wait: (!passes).then_some(Duration::from_secs(1)),
        })
    }

    /// Counts a request that all limits let pass. Tells whether a day's count has changed.
    pub(super) fn count(&mut self, rates: &Rates, cost: u32, now: Moment) -> bool {
        if let Some(quota) = rates.per_minute {
            self.minute = match rates.smooth {
                None => {
                    let (opened, used) = self.open_window(quota, now.tick).unwrap_or((now.tick, 0));
                    Minute::Window { opened, used: used.saturating_add(cost) }
                }
                Some(burst) => {
                    let from = nanos(now.tick).saturating_add(self.behind(quota, burst, now.tick));
                    pace(quota, from.saturating_add(each(quota).saturating_mul(u64::from(cost))))
                }
            };
        }
        if rates.in_flight.is_some() {
            self.in_flight = self.in_flight.saturating_add(1);
        }
        if rates.per_day.is_some() {
            self.day = self.day.at(now.today).and(u64::from(cost));
        }
        rates.per_day.is_some()
    }

    /// Adds what was used of today elsewhere.
    pub(super) fn add(&mut self, used: u64, today: Today) {
        self.day = self.day.at(today).and(used);
    }

    /// One of those at once has ended.
    pub(super) const fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Whether nothing is lost when it is forgotten.
    pub(super) fn is_idle(&self, now: Moment) -> bool {
        let even = match self.minute {
            Minute::Window { .. } => self.open_window(0, now.tick).is_none(),
            Minute::Pace { even_at, .. } => even_at <= nanos(now.tick),
        };
        let over = self.day.at(now.today).used == 0;
        even && self.in_flight == 0 && over
    }
}

impl Day {
    /// What was used of today; of the day after, where another worker saw it begin first: no day comes back.
    const fn at(self, today: Today) -> Self {
        match self.number >= today.number {
            true => self,
            false => Self { number: today.number, used: 0 },
        }
    }

    const fn and(self, used: u64) -> Self {
        Self { used: self.used.saturating_add(used), ..self }
    }
}

fn pace(quota: u64, even_at: u64) -> Minute {
    Minute::Pace { even_at, quota: u32::try_from(quota).unwrap_or(u32::MAX) }
}

/// What one of so many a minute takes, in nanoseconds.
fn each(quota: u64) -> u64 {
    MINUTE_NANOS.div_ceil(quota.max(1))
}

fn judged(quota: u64, used: u64, cost: u32, reset: Duration) -> Standing {
    let after = used.saturating_add(u64::from(cost));
    let passes = after <= quota;
    let left = quota.saturating_sub(if passes { after } else { used });
    Standing { quota, most: quota, left, reset, wait: (!passes).then_some(reset) }
}

const fn nanos(tick: Tick) -> u64 {
    tick.0.saturating_mul(NANOS_PER_TICK)
}
