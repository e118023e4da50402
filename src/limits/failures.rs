//! Credentials that were looked up in vain, by the address that they came from.
//!
//! Over the limit an address has nothing looked up any more; what is known to be good passes all the same. A failure is
//! counted once its look-up has ended, never before: many who are good may come from one address at the same time. The
//! same few credentials again and again are one failure each, so that clients with a wrong key do not stop their neighbours.
//!
//! The room for addresses is fixed. Where there are more, the one that has failed least makes room.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::auth::subscriber;
use crate::clock::Tick;

/// In microseconds, as ticks are.
const MINUTE: u64 = 60_000_000;
/// However many look-ups were under way when an address came to its limit, it waits no longer than this.
const LONGEST: u64 = 2 * MINUTE;
/// Addresses are held in sets of so many.
const WAYS: usize = 8;
/// Credentials of an address that are known to have failed just now.
const RECENT: usize = 4;
/// A power of two: room for 65,536 addresses in 3.3 MB, taken when the first fails.
const SETS: usize = 8192;
/// How many failures an address may have, and what becomes of what it sends over that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimit {
    /// In a minute; besides, what was under way when there were as many.
    pub per_minute: u64,
    /// Whether more is refused, or only counted.
    pub refuses: bool,
}

/// What was decided on credentials that nothing was known of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureCounts {
    /// They were looked up.
    pub allowed: u64,
    /// They were not, for their address had failed too often.
    pub refused: u64,
    /// They were, though it had.
    pub shadowed: u64,
}

/// The failures of all addresses.
#[derive(Debug, Default)]
pub struct Failures {
    hasher: RandomState,
    sets: OnceLock<Box<[Mutex<Set>]>>,
    allowed: AtomicU64,
    refused: AtomicU64,
    shadowed: AtomicU64,
    /// When it may be told of again.
    tells_from: AtomicU64,
}

type Set = [Slot; WAYS];

/// One address.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    address: u64,
    /// The credentials that failed last.
    recent: [u64; RECENT],
    /// When all its failures are made up for (GCRA's theoretical arrival time).
    even_at: u64,
}

impl Failures {
    /// Whether a credential from `address` may be looked up at `now`.
    ///
    /// # Errors
    /// When it may not: how long until one may.
    pub fn may_look_up(&self, address: IpAddr, limit: FailureLimit, now: Tick) -> Result<(), Duration> {
        let wait = self.even_at(address).and_then(|even_at| wait(even_at, limit.per_minute, now));
        let (count, answer) = match wait {
            None => (&self.allowed, Ok(())),
            Some(_) if !limit.refuses => (&self.shadowed, Ok(())),
            Some(wait) => (&self.refused, Err(wait)),
        };
        count.fetch_add(1, Ordering::Relaxed);
        answer
    }

    /// A credential from `address` was looked up in vain.
    pub fn failed(&self, address: IpAddr, credential: u64, limit: FailureLimit, now: Tick) {
        let number = self.number(address);
        let sets = self.sets.get_or_init(|| std::iter::repeat_with(Mutex::default).take(SETS).collect());
        let Some(mut set) = set_of(sets, number) else { return };
        let known = set.iter().position(|slot| slot.address == number);
        let least = set.iter().enumerate().min_by_key(|(_, slot)| slot.even_at).map(|(index, _)| index);
        let Some(slot) = known.or(least).and_then(|index| set.get_mut(index)) else { return };
        if known.is_none() {
            *slot = Slot { address: number, ..Slot::default() };
        }
        if slot.recent.contains(&credential) && slot.even_at > now.0 {
            return;
        }
        let made_up = slot.even_at.max(now.0).saturating_add(each(limit.per_minute));
        // One that took long was begun when less had failed.
        slot.even_at = slot.even_at.max(made_up.min(now.0.saturating_add(LONGEST)));
        slot.recent.rotate_right(1);
        slot.recent[0] = credential;
    }

    /// Whether it may be told of at `now`; then not for a minute.
    pub fn may_tell(&self, now: Tick) -> bool {
        let from = self.tells_from.load(Ordering::Relaxed);
        let next = now.0.saturating_add(MINUTE);
        now.0 >= from
            && self.tells_from.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// What was decided so far.
    #[must_use]
    pub fn counts(&self) -> FailureCounts {
        let [allowed, refused, shadowed] =
            [&self.allowed, &self.refused, &self.shadowed].map(|count| count.load(Ordering::Relaxed));
        FailureCounts { allowed, refused, shadowed }
    }

    fn even_at(&self, address: IpAddr) -> Option<u64> {
        let sets = self.sets.get()?;
        let number = self.number(address);
        set_of(sets, number)?.iter().find(|slot| slot.address == number).map(|slot| slot.even_at)
    }

    /// What stands for an address. Nobody can choose addresses that meet.
    fn number(&self, address: IpAddr) -> u64 {
        self.hasher.hash_one(subscriber(address))
    }
}

fn set_of(sets: &[Mutex<Set>], number: u64) -> Option<MutexGuard<'_, Set>> {
    let index = usize::try_from(number >> 32).unwrap_or(0) % SETS;
    // Nothing in it panics halfway.
    sets.get(index).map(|set| set.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The time that makes up for one failure.
const fn each(per_minute: u64) -> u64 {
    MINUTE.div_ceil(if per_minute == 0 { 1 } else { per_minute })
}

/// How long until one more is allowed, if it is not now.
fn wait(even_at: u64, per_minute: u64, now: Tick) -> Option<Duration> {
    let behind = even_at.saturating_sub(now.0);
    let over = behind.saturating_add(each(per_minute)).saturating_sub(MINUTE.max(each(per_minute)));
    (over > 0).then(|| Duration::from_micros(over))
}
