//! A worker's own table of what is good: eight-way set-associative, two neighbouring cache lines a set, no lock.
//!
//! It is as large as what it holds wants it, so that a hit among few keys reads few pages. Only what the store vouched
//! for gets in, so nobody can choose keys that collide.

use std::array;
use std::sync::Arc;

use super::entry::Valid;
use crate::auth::token::HashedToken;

const WAYS: usize = 8;
/// Sets of an empty table, and as many as are cleaned at a time: 4 KiB.
const FEWEST: usize = 32;

/// The digest's first eight bytes tell entries apart without touching them.
#[derive(Debug, Default)]
struct Slot {
    tag: u64,
    entry: Option<Arc<Valid>>,
}

impl Slot {
    #[inline]
    fn holds(&self, tag: u64, digest: &HashedToken) -> Option<&Arc<Valid>> {
        self.entry.as_ref().filter(|entry| self.tag == tag && entry.digest() == digest)
    }
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Set([Slot; WAYS]);

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    /// A power of two of them.
    sets: Vec<Set>,
    /// As many as there may be.
    most: usize,
    victim: usize,
    /// The next set that is cleaned.
    cleaning: usize,
}

impl Table {
    /// Room for `capacity` entries and half as many again, lest they crowd each other out.
    pub(super) fn new(capacity: u64) -> Self {
        const LARGEST: usize = 1 << 26;
        let capacity = usize::try_from(capacity).unwrap_or(LARGEST).min(LARGEST);
        let slots = (capacity + capacity / 2).next_power_of_two();
        Self { sets: empty(FEWEST), most: (slots / WAYS).max(FEWEST), victim: 0, cleaning: 0 }
    }

    /// The entry of `digest`.
    #[inline]
    pub(super) fn get(&self, digest: &HashedToken) -> Option<&Arc<Valid>> {
        let tag = digest.short();
        self.sets.get(self.place(tag))?.0.iter().find_map(|slot| slot.holds(tag, digest))
    }

    /// Puts `entry` in: over the one it replaces, into an empty slot, or over another when there can be no more.
    pub(super) fn insert(&mut self, entry: Arc<Valid>) {
        let tag = entry.digest().short();
        loop {
            let at = self.place(tag);
            let Some(Set(slots)) = self.sets.get_mut(at) else { return };
            let free = slots
                .iter()
                .position(|slot| slot.holds(tag, entry.digest()).is_some())
                .or_else(|| slots.iter().position(|slot| slot.entry.is_none()));
            if free.is_none() && self.sets.len() < self.most {
                self.grow();
                continue;
            }
            self.victim = (self.victim + 1) % WAYS;
            let victim = self.victim;
            if let Some(slot) = self.sets.get_mut(at).and_then(|set| set.0.get_mut(free.unwrap_or(victim))) {
                *slot = Slot { tag, entry: Some(entry) };
            }
            return;
        }
    }

    /// Takes the entry of `digest` out.
    pub(super) fn remove(&mut self, digest: &HashedToken) {
        let tag = digest.short();
        let at = self.place(tag);
        let Some(Set(slots)) = self.sets.get_mut(at) else { return };
        for slot in slots.iter_mut().filter(|slot| slot.holds(tag, digest).is_some()) {
            *slot = Slot::default();
        }
    }

    /// Drops what is waste in the next sets; called again and again it goes round.
    pub(super) fn clean_some(&mut self, is_waste: impl Fn(&Valid) -> bool) {
        let from = self.cleaning % self.sets.len().max(1);
        self.cleaning = from + FEWEST;
        for slot in self.sets.iter_mut().skip(from).take(FEWEST).flat_map(|set| &mut set.0) {
            if slot.entry.as_deref().is_some_and(&is_waste) {
                *slot = Slot::default();
            }
        }
    }

    #[inline]
    fn place(&self, tag: u64) -> usize {
        tag as usize & (self.sets.len() - 1)
    }

    /// Doubles the table: each set becomes two, which one more bit of the tag tells apart.
    #[cold]
    fn grow(&mut self) {
        let half = self.sets.len();
        self.sets.extend(empty(half));
        let (old, new) = self.sets.split_at_mut(half);
        for (Set(old), Set(new)) in old.iter_mut().zip(new) {
            for (slot, room) in old.iter_mut().zip(new) {
                if slot.tag as usize & half != 0 {
                    std::mem::swap(slot, room);
                }
            }
        }
    }
}

fn empty(sets: usize) -> Vec<Set> {
    (0..sets).map(|_| Set(array::from_fn(|_| Slot::default()))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::principal::{Identity, Method, Networks, Principal};
    use crate::auth::scope::ScopeSet;
    use crate::authenticator::entry::Vouched;
    use crate::authenticator::marks::{About, Marks};
    use crate::authenticator::meter::Meter;
    use crate::authenticator::question::Finds;
    use crate::clock::{Tick, Timestamp};
    use crate::limits;
    use crate::store::Seq;

    fn entry(number: u32) -> Arc<Valid> {
        let marks = Marks::new(1);
        let footing = marks.attach(0, Seq(0), About::Nothing).unwrap();
        let scopes = ScopeSet::default();
        let principal = Principal {
            identity: Identity::new("a", "c", None, &scopes),
            scopes,
            issued_at: Timestamp(0),
            expires_at: Timestamp(0),
            method: Method::ApiKey,
            allowed_addresses: Networks::default(),
        };
        let digest = HashedToken::of(&number.to_be_bytes());
        let meter = Meter { account: limits::Table::default().account(0), rates: Arc::default(), key: None };
        Arc::new(Valid::new(
            digest,
            footing,
            Tick(0),
            Duration::ZERO,
            (Vouched { principal, finds: Finds::Key, meter }, Timestamp(0)),
        ))
    }

    #[test]
    fn it_grows_with_what_it_holds_and_loses_nothing_on_the_way() {
        let mut table = Table::new(10_000);
        let entries: Vec<_> = (0..4000).map(entry).collect();
        for (count, entry) in entries.iter().enumerate() {
            table.insert(Arc::clone(entry));
            assert!(
                table.sets.len() * WAYS <= (count + 1) * 16 + FEWEST * WAYS,
                "{count} in {}",
                table.sets.len()
            );
        }
        for entry in &entries {
            assert!(table.get(entry.digest()).is_some_and(|found| Arc::ptr_eq(found, entry)));
        }
        table.remove(entries[7].digest());
        assert!(table.get(entries[7].digest()).is_none() && table.get(entries[8].digest()).is_some());
    }

    #[test]
    fn it_never_grows_past_its_capacity() {
        let mut table = Table::new(200);
        let room = table.most * WAYS;
        for number in 0..2000 {
            let entry = entry(number);
            table.insert(Arc::clone(&entry));
            assert!(table.get(entry.digest()).is_some(), "the newest is always there");
        }
        let held = table.sets.iter().flat_map(|set| &set.0).filter(|slot| slot.entry.is_some()).count();
        assert!(table.sets.len() == table.most && held <= room, "{held} of {room}");
    }

    #[test]
    fn cleaning_goes_round() {
        let mut table = Table::new(10_000);
        (0..4000).for_each(|number| table.insert(entry(number)));
        for _ in 0..table.sets.len() / FEWEST {
            table.clean_some(|_| true);
        }
        assert!(table.sets.iter().flat_map(|set| &set.0).all(|slot| slot.entry.is_none()));
    }
}
