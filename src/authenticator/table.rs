//! A worker's own table of what is good: eight-way set-associative, two neighbouring cache lines a set, no lock.
//!
//! Only what the store vouched for gets in, so nobody can choose keys that collide.

use std::array;
use std::sync::Arc;

use super::entry::Valid;
use crate::auth::token::HashedToken;

const WAYS: usize = 8;
/// Sets that are allocated together: 4 KiB. Pages nothing fell on cost nothing.
const PAGE: usize = 32;

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

#[derive(Debug)]
struct Page([Set; PAGE]);

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    pages: Box<[Option<Box<Page>>]>,
    /// Number of sets less one; that number is a power of two.
    mask: usize,
    victim: usize,
    /// The next page that is cleaned.
    cleaning: usize,
}

impl Table {
    /// Room for `capacity` entries and half as many again, lest they crowd each other out.
    pub(super) fn new(capacity: u64) -> Self {
        const LARGEST: usize = 1 << 26;
        let capacity = usize::try_from(capacity).unwrap_or(LARGEST).min(LARGEST);
        let slots = (capacity + capacity / 2).next_power_of_two();
        let sets = (slots / WAYS).max(PAGE);
        Self { pages: (0..sets / PAGE).map(|_| None).collect(), mask: sets - 1, victim: 0, cleaning: 0 }
    }

    /// The entry of `digest`.
    #[inline]
    pub(super) fn get(&self, digest: &HashedToken) -> Option<&Arc<Valid>> {
        let tag = digest.short();
        let (page, set) = self.place(tag);
        let page = self.pages.get(page)?.as_ref()?;
        page.0.get(set)?.0.iter().find_map(|slot| slot.holds(tag, digest))
    }

    /// Puts `entry` in: over the one it replaces, into an empty slot, or over another.
    pub(super) fn insert(&mut self, entry: Arc<Valid>) {
        let digest = entry.digest();
        let tag = digest.short();
        self.victim = (self.victim + 1) % WAYS;
        let victim = self.victim;
        let Some(Set(slots)) = self.set_mut(tag) else { return };
        let at = slots
            .iter()
            .position(|slot| slot.holds(tag, digest).is_some())
            .or_else(|| slots.iter().position(|slot| slot.entry.is_none()))
            .unwrap_or(victim);
        if let Some(slot) = slots.get_mut(at) {
            *slot = Slot { tag, entry: Some(entry) };
        }
    }

    /// Takes the entry of `digest` out.
    pub(super) fn remove(&mut self, digest: &HashedToken) {
        let tag = digest.short();
        let Some(Set(slots)) = self.set_mut(tag) else { return };
        for slot in slots.iter_mut().filter(|slot| slot.holds(tag, digest).is_some()) {
            *slot = Slot::default();
        }
    }

    /// Drops what is waste in the next page; called again and again it goes round.
    pub(super) fn clean_some(&mut self, is_waste: impl Fn(&Valid) -> bool) {
        let at = self.cleaning % self.pages.len().max(1);
        self.cleaning = at + 1;
        let Some(Some(page)) = self.pages.get_mut(at) else { return };
        for slot in page.0.iter_mut().flat_map(|set| &mut set.0) {
            if slot.entry.as_deref().is_some_and(&is_waste) {
                *slot = Slot::default();
            }
        }
    }

    #[inline]
    const fn place(&self, tag: u64) -> (usize, usize) {
        let set = tag as usize & self.mask;
        (set / PAGE, set % PAGE)
    }

    fn set_mut(&mut self, tag: u64) -> Option<&mut Set> {
        let (page, set) = self.place(tag);
        let page = self.pages.get_mut(page)?;
        let page = page.get_or_insert_with(|| Box::new(Page(array::from_fn(|_| Set::default()))));
        page.0.get_mut(set)
    }
}
