//! Which day it is for limits: that of the clock on the wall, as long as this clock goes as clocks do.
//!
//! A wall clock jumps: it is set right, the machine was suspended, a host clock is wrong. Would every jump over midnight
//! begin a day, clients had a day's quota for each. So days begin at least 23 hours apart by the clock that never jumps;
//! one that the wall calls for sooner begins when they are over. What clocks do when they are set right by less than an
//! hour never shows.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Moment;
use crate::clock::{Tick, Timestamp};

/// By how much a clock may be off without being called wrong.
pub const SOON: Duration = Duration::from_hours(1);
const APART: Duration = Duration::from_hours(23);
const DAY_MILLIS: i64 = 86_400_000;

/// The day that it is, and the one before. Every request reads it, so it is read without a lock and without a write. Who
/// reads in the moment in which a day begins may see of the old day that it goes on: he counts on that one.
#[derive(Debug)]
pub(super) struct Calendar {
    /// Of [`Current`], number and day.
    today: AtomicU64,
    before: AtomicU32,
    next_from: AtomicI64,
    /// Held by who begins a day.
    turning: Mutex<()>,
}

/// A day as it is counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Today {
    /// Days that began in this process. It never goes back.
    pub(super) number: u32,
    /// Until the next begins.
    pub(super) left: Duration,
}

impl Today {
    /// Until the next day begins.
    #[must_use]
    pub const fn left(&self) -> Duration {
        self.left
    }
}

/// By which days of UTC the store knows the two last days that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) number: u32,
    pub(super) today: u32,
    pub(super) before: u32,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    number: u32,
    /// The day of UTC that it was when it began.
    day: u32,
    /// The same of the day before.
    before: u32,
    /// When the next may begin, in microseconds of the monotonic clock; this one may have begun before the process did.
    next_from: i64,
}

impl Default for Current {
    fn default() -> Self {
        Self { number: 0, day: u32::MAX, before: u32::MAX, next_from: i64::MIN }
    }
}

impl Default for Calendar {
    fn default() -> Self {
        let Current { number, day, before, next_from } = Current::default();
        Self {
            today: packed(number, day).into(),
            before: before.into(),
            next_from: next_from.into(),
            turning: Mutex::default(),
        }
    }
}

impl Calendar {
    /// The moment that it is. It may begin a day.
    pub(super) fn moment(&self, tick: Tick, wall: Timestamp) -> Moment {
        let mut current = self.read();
        if current.next(tick, wall).is_some() {
            let _turning = self.turn();
            current = self.read();
            if let Some(next) = current.next(tick, wall) {
                self.write(next);
                current = next;
            }
        }
        Moment { tick, today: current.today(tick, wall) }
    }

    /// Nobody begins a day meanwhile.
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Current {
        let today = self.today.load(Ordering::Acquire);
        Current {
            number: (today >> 32) as u32,
            day: today as u32,
            before: self.before.load(Ordering::Acquire),
            next_from: self.next_from.load(Ordering::Acquire),
        }
    }

    fn write(&self, Current { number, day, before, next_from }: Current) {
        self.next_from.store(next_from, Ordering::Release);
        self.before.store(before, Ordering::Release);
        self.today.store(packed(number, day), Ordering::Release);
    }

    /// Under which names days are written down. Those that a wall clock calls by another name than they began with are
    /// written under that one: it is the one by which the next process asks for them.
    pub(super) fn names(&self, wall: Timestamp) -> Names {
        let _turning = self.turn();
        let Current { number, day: began, before, .. } = self.read();
        let today = if about(wall).contains(&began) { began } else { day(wall) };
        Names { number, today, before }
    }

    /// The name of today, where it is another than that which it began with.
    pub(super) fn jumped_to(&self, wall: Timestamp) -> Option<u32> {
        let today = self.names(wall).today;
        (today != self.read().day).then_some(today)
    }
}

impl Names {
    /// Of the day with that number; who counted on one that is longer over is not told.
    pub(super) fn of(self, number: u32) -> Option<u32> {
        match self.number.checked_sub(number)? {
            0 => Some(self.today),
            1 => Some(self.before),
            _ => None,
        }
    }
}

impl Current {
    fn next(&self, tick: Tick, wall: Timestamp) -> Option<Self> {
        let (now, day) = (micros(tick), day(wall));
        (day != self.day && now >= self.next_from).then(|| {
            let of_the_day = wall.0.rem_euclid(DAY_MILLIS) * 1000;
            // Nobody may have looked since midnight.
            let began = (now - of_the_day).max(self.next_from);
            let next_from = began.saturating_add(i64::try_from(APART.as_micros()).unwrap_or(i64::MAX));
            Self { number: self.number + 1, day, before: self.day, next_from }
        })
    }

    fn today(&self, tick: Tick, wall: Timestamp) -> Today {
        let apart = self.next_from.saturating_sub(micros(tick)).max(0);
        let apart = Duration::from_micros(apart.unsigned_abs());
        let midnight = wall.until(Timestamp((i64::from(self.day) + 1) * DAY_MILLIS));
        let by_midnight = day(wall.after(apart)) == self.day;
        Today { number: self.number, left: if by_midnight { midnight } else { apart } }
    }
}

/// The day of UTC that it is at `wall`, in days since 1970.
#[must_use]
pub fn day(wall: Timestamp) -> u32 {
    u32::try_from(wall.0.div_euclid(DAY_MILLIS)).unwrap_or(0)
}

/// The days whose counts are kept at `wall`: the last two. What was counted on one to come, by a clock that was wrong, shall
/// not be there when it comes.
#[must_use]
pub fn kept(wall: Timestamp) -> RangeInclusive<u32> {
    day(wall).saturating_sub(1)..=day(wall.after(SOON))
}

/// The days that it may be at `wall`, if the clock is a little off.
fn about(wall: Timestamp) -> RangeInclusive<u32> {
    day(wall.before(SOON))..=day(wall.after(SOON))
}

fn packed(number: u32, day: u32) -> u64 {
    u64::from(number) << 32 | u64::from(day)
}

fn micros(tick: Tick) -> i64 {
    i64::try_from(tick.0).unwrap_or(i64::MAX)
}
