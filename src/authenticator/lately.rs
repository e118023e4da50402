//! What was found good lately and is on no roll: access tokens, and imported keys that somebody might guess. Apart from
//! the caches and their terms: no reload, and no account that is disabled and enabled again, makes it forget.
//!
//! The room is fixed; where there is more, the newest takes the place of another.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::auth::token::HashedToken;

const WAYS: usize = 8;
/// Room for 65,536 credentials in 512 KiB, taken with the first.
const SETS: usize = 8192;

type Set = [AtomicU64; WAYS];

/// The first eight bytes of digests, zero where there is none.
#[derive(Debug, Default)]
pub(super) struct Lately {
    sets: OnceLock<Box<[Set]>>,
    victim: AtomicUsize,
}

impl Lately {
    /// Whether it was good.
    pub(super) fn has(&self, digest: &HashedToken) -> bool {
        let number = digest.short();
        self.sets.get().and_then(|sets| set_of(sets, number)).is_some_and(|set| holds(set, number))
    }

    /// Takes note that it is good.
    pub(super) fn add(&self, digest: &HashedToken) {
        let number = digest.short();
        let sets = self.sets.get_or_init(|| std::iter::repeat_with(Set::default).take(SETS).collect());
        let Some(set) = set_of(sets, number).filter(|set| !holds(set, number)) else { return };
        let free = set.iter().position(|slot| slot.load(Ordering::Relaxed) == 0);
        let at = free.unwrap_or_else(|| self.victim.fetch_add(1, Ordering::Relaxed) % WAYS);
        // Two at once may choose one place: then the one that lost it is forgotten.
        if let Some(slot) = set.get(at) {
            slot.store(number, Ordering::Relaxed);
        }
    }
}

fn set_of(sets: &[Set], number: u64) -> Option<&Set> {
    sets.get(usize::try_from(number).unwrap_or(usize::MAX) % SETS)
}

fn holds(set: &Set, number: u64) -> bool {
    set.iter().any(|slot| slot.load(Ordering::Relaxed) == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered_and_the_room_is_fixed() {
        let lately = Lately::default();
        let digest = |number: u32| HashedToken::of(&number.to_be_bytes());
        assert!(!lately.has(&digest(0)));
        for number in 0..200_000 {
            lately.add(&digest(number));
            assert!(lately.has(&digest(number)));
        }
        let kept = (0..200_000).filter(|number| lately.has(&digest(*number))).count();
        assert!((60_000..=SETS * WAYS).contains(&kept), "{kept}");
        assert!((190_000..200_000).filter(|number| lately.has(&digest(*number))).count() > 9_000);
    }
}
