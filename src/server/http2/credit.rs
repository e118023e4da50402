//! How many frames that carry nothing a client may send: settings, pings, priorities, window updates, resets, empty data.
//! Each costs its reader more than its sender. A client earns them by requests and by answers that it takes, and some by
//! waiting.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::Tick;

/// What a client has to begin with, and at most by waiting.
const BY_WAITING: u32 = 1000;
/// What it earns by waiting so long.
const ONE_EACH: Duration = Duration::from_millis(10);
/// What it has at most.
const MOST: u32 = 50_000;
/// What it earns by a request: its priority, its reset, some window updates.
const BY_REQUEST: u32 = 10;
/// What it earns by a piece of an answer for which it had room: two windows updated, and as much again.
const BY_PIECE: u32 = 4;
/// Bytes of an answer by which it earns one, however small the pieces are that it has room for.
const BYTES_EACH: usize = 512;

/// How much of a piece of an answer its client had room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Whole,
    Cut,
}

/// What one client may send.
#[derive(Debug)]
pub(super) struct Credit {
    left: Cell<u32>,
    gone: Cell<bool>,
    /// When it was counted last what was earned by waiting.
    counted: Cell<Tick>,
}

impl Default for Credit {
    fn default() -> Self {
        Self { left: Cell::new(BY_WAITING), gone: Cell::new(false), counted: Cell::new(Tick(0)) }
    }
}

impl Credit {
    pub(super) fn earns_by_request(&self) {
        self.earn(BY_REQUEST);
    }

    pub(super) fn earns_by_answer(&self, bytes: usize, fit: Fit) {
        let by_bytes = u32::try_from(bytes / BYTES_EACH).unwrap_or(u32::MAX);
        self.earn(by_bytes.saturating_add(if fit == Fit::Whole { BY_PIECE } else { 0 }));
    }

    fn earn(&self, frames: u32) {
        self.left.set(self.left.get().saturating_add(frames).min(MOST));
    }

    /// So many frames came.
    pub(super) fn spend(&self, frames: u32, now: Tick) {
        if frames > self.left.get() {
            self.count_waiting(now);
        }
        match self.left.get().checked_sub(frames) {
            Some(left) => self.left.set(left),
            None => self.gone.set(true),
        }
    }

    fn count_waiting(&self, now: Tick) {
        let waited = now.since(self.counted.replace(now)).as_micros() / ONE_EACH.as_micros();
        let earned = u32::try_from(waited).unwrap_or(u32::MAX);
        let most = self.left.get().max(BY_WAITING);
        self.left.set(self.left.get().saturating_add(earned).min(most));
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick(0).after(Duration::from_secs(seconds))
    }

    #[test]
    fn nobody_may_send_nothing_without_end() {
        let credit = Credit::default();
        credit.spend(BY_WAITING, at(0));
        assert!(!credit.is_gone());
        credit.spend(1, at(0));
        assert!(credit.is_gone());
    }

    #[test]
    fn who_waits_between_pings_may_go_on_for_ever() {
        let credit = Credit::default();
        for second in 0..100_000 {
            credit.spend(50, at(second));
        }
        assert!(!credit.is_gone());
    }

    #[test]
    fn waiting_earns_so_much_and_no_more() {
        let credit = Credit::default();
        credit.spend(BY_WAITING, at(1000));
        credit.spend(BY_WAITING, at(2000));
        credit.spend(1, at(2000));
        assert!(credit.is_gone());
    }

    #[test]
    fn who_takes_an_answer_may_say_so_but_not_for_every_byte() {
        let (eager, dribbling) = (Credit::default(), Credit::default());
        for _ in 0..100_000 {
            eager.earns_by_answer(50, Fit::Whole);
            eager.spend(2, at(0));
            dribbling.earns_by_answer(50, Fit::Cut);
            dribbling.spend(2, at(0));
        }
        assert_eq!((eager.is_gone(), dribbling.is_gone()), (false, true));
    }
}
