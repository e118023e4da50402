//! Limits of time without a timer each: one coarse tick a worker looks at all of them.
//!
//! A request sets and clears several limits; re-arming a runtime timer for each costs system calls, setting a
//! [`Timer`] costs one store. The price is precision: a limit fires up to two periods late, never early.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::{Clock, Tick};

/// How often a worker looks at its limits.
pub const PERIOD: Duration = Duration::from_millis(100);

const NEVER: Tick = Tick(u64::MAX);

/// All limits of one worker.
#[derive(Debug)]
pub struct Deadlines {
    clock: Clock,
    now: Cell<Tick>,
    /// No armed limit is earlier than this.
    earliest: Cell<Tick>,
    slots: RefCell<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    all: Vec<Option<Rc<Slot>>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Slot {
    at: Cell<Tick>,
    /// When whoever waits is woken although nothing is over.
    glance: Cell<Tick>,
    waker: RefCell<Option<Waker>>,
}

impl Deadlines {
    /// No limits yet.
    #[must_use]
    pub fn new(clock: Clock) -> Rc<Self> {
        let now = Cell::new(clock.tick());
        Rc::new(Self { clock, now, earliest: Cell::new(NEVER), slots: RefCell::default() })
    }

    /// The time that was read last: up to one [`PERIOD`] old, and free.
    #[must_use]
    pub fn coarse_now(&self) -> Tick {
        self.now.get()
    }

    /// Reads the clock. Whatever begins does this first: a worker that stood still would give it limits that are over
    /// at its next tick.
    pub fn now(&self) -> Tick {
        let now = self.clock.tick();
        self.now.set(now);
        now
    }

    /// A limit that is not armed yet.
    #[must_use]
    pub fn timer(self: &Rc<Self>) -> Timer {
        let slot =
            Rc::new(Slot { at: Cell::new(NEVER), glance: Cell::new(NEVER), waker: RefCell::new(None) });
        let mut slots = self.slots.borrow_mut();
        let index = slots.free.pop().unwrap_or_else(|| {
            slots.all.push(None);
            slots.all.len() - 1
        });
        if let Some(place) = slots.all.get_mut(index) {
            *place = Some(Rc::clone(&slot));
        }
        Timer { slot, index, owner: Rc::clone(self) }
    }

    /// Wakes whoever waits for a limit that has passed. The worker calls it every [`PERIOD`].
    pub fn tick(&self) {
        let now = self.now();
        if self.earliest.get() > now {
            return;
        }
        let mut earliest = NEVER;
        for slot in self.slots.borrow().all.iter().flatten() {
            earliest = earliest.min(slot.comes_to(now));
        }
        self.earliest.set(earliest);
    }

    /// Wakes everything that ever waited, so that it sees a flag that was set.
    pub fn wake_all(&self) {
        for slot in self.slots.borrow().all.iter().flatten() {
            slot.wake();
        }
    }

    fn forget(&self, index: usize) {
        let mut slots = self.slots.borrow_mut();
        if let Some(place) = slots.all.get_mut(index) {
            *place = None;
            slots.free.push(index);
        }
    }
}

impl Slot {
    /// Wakes whoever waits for what has come; gives when the next comes.
    fn comes_to(&self, now: Tick) -> Tick {
        let (at, glance) = (self.at.get(), self.glance.get());
        if at.min(glance) <= now {
            self.wake();
        }
        if glance <= now {
            self.glance.set(NEVER);
        }
        let ahead = |tick: Tick| if tick > now { tick } else { NEVER };
        ahead(at).min(ahead(glance))
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// One limit of time: armed, re-armed and cleared at no cost, waited for in a poll function.
#[derive(Debug)]
pub struct Timer {
    slot: Rc<Slot>,
    index: usize,
    owner: Rc<Deadlines>,
}

impl Timer {
    /// All limits that it is one of.
    #[must_use]
    pub const fn owner(&self) -> &Rc<Deadlines> {
        &self.owner
    }

    /// Arms it: it fires once `after` has passed.
    pub fn set(&self, after: Duration) {
        self.slot.at.set(self.ahead(after));
        self.slot.glance.set(NEVER);
    }

    /// Arms it, and has the task that waits woken once before that, when `glance` has passed: nothing is over then, but it
    /// can look around.
    pub fn set_with_glance(&self, after: Duration, glance: Duration) {
        self.slot.at.set(self.ahead(after));
        self.slot.glance.set(self.ahead(glance));
    }

    fn ahead(&self, after: Duration) -> Tick {
        // The coarse now may be a period old; adding one keeps a limit from firing early.
        let at = self.owner.now.get().after(after + PERIOD);
        if at < self.owner.earliest.get() {
            self.owner.earliest.set(at);
        }
        at
    }

    /// Disarms it.
    pub fn clear(&self) {
        self.slot.at.set(NEVER);
        self.slot.glance.set(NEVER);
    }

    /// Whether it has fired.
    #[must_use]
    pub fn fired(&self) -> bool {
        self.slot.at.get() <= self.owner.now.get()
    }

    /// Ready once it has fired; else the task is woken when it does, or when the worker drains.
    pub fn poll_fired(&self, cx: &Context<'_>) -> Poll<()> {
        if self.fired() {
            return Poll::Ready(());
        }
        let mut waker = self.slot.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.owner.forget(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_timer_fires_after_its_time_and_never_before() {
        let clock = Clock::manual(Timestamp(0));
        let deadlines = Deadlines::new(clock.clone());
        let timer = deadlines.timer();
        timer.set(Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        deadlines.tick();
        assert!(!timer.fired());
        clock.advance(PERIOD);
        deadlines.tick();
        assert!(timer.fired());
    }

    #[test]
    fn what_begins_after_a_stand_still_has_its_whole_time() {
        let clock = Clock::manual(Timestamp(0));
        let deadlines = Deadlines::new(clock.clone());
        let timer = deadlines.timer();
        clock.advance(Duration::from_secs(60));
        deadlines.now();
        timer.set(Duration::from_secs(30));
        deadlines.tick();
        assert!(!timer.fired());
    }

    #[test]
    fn clearing_and_arming_again_hold() {
        let clock = Clock::manual(Timestamp(0));
        let deadlines = Deadlines::new(clock.clone());
        let (first, second) = (deadlines.timer(), deadlines.timer());
        first.set(Duration::from_secs(5));
        second.set(Duration::from_secs(1));
        second.clear();
        clock.advance(Duration::from_secs(3));
        deadlines.tick();
        assert!(!first.fired() && !second.fired());
        second.set(Duration::from_secs(1));
        clock.advance(Duration::from_secs(2));
        deadlines.tick();
        assert!(!first.fired() && second.fired());
    }

    #[test]
    fn who_waits_is_woken_once_to_look_around_and_then_when_it_is_over() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        struct Count(AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }

        let clock = Clock::manual(Timestamp(0));
        let deadlines = Deadlines::new(clock.clone());
        let timer = deadlines.timer();
        let woken = std::sync::Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        timer.set_with_glance(Duration::from_secs(9), Duration::from_secs(1));
        assert!(timer.poll_fired(&Context::from_waker(&waker)).is_pending());
        let mut seen = Vec::new();
        for _ in 0..10 {
            clock.advance(Duration::from_secs(1));
            deadlines.tick();
            seen.push((woken.0.load(Ordering::Relaxed), timer.fired()));
        }
        assert_eq!(seen[..2], [(0, false), (1, false)]);
        assert_eq!(seen[2..], [[(1, false); 7].as_slice(), &[(2, true)]].concat());
        timer.set_with_glance(Duration::from_secs(9), Duration::from_secs(1));
        timer.clear();
        clock.advance(Duration::from_secs(60));
        deadlines.tick();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_dropped_timer_leaves_its_place_to_the_next() {
        let deadlines = Deadlines::new(Clock::manual(Timestamp(0)));
        for _ in 0..100 {
            drop(deadlines.timer());
        }
        assert_eq!(deadlines.slots.borrow().all.len(), 1);
    }
}
