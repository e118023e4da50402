//! What workers and the control runtime both see. Nothing in it makes a hit wait.

use arc_swap::ArcSwap;

use super::cache::Caches;
use super::contact::Contact;
use super::entry::View;
use super::marks::Marks;
use super::stats::{Stats, Totals};
use crate::auth::catalogue::Catalogue;
use crate::clock::{Clock, Tick, Timestamp};
use crate::config;

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) marks: Marks,
    pub(super) contact: Contact,
    pub(super) caches: ArcSwap<Caches>,
    pub(super) catalogue: ArcSwap<Catalogue>,
    pub(super) totals: Totals,
}

impl Shared {
    pub(super) fn new(clock: Clock, terms: &config::Cache, catalogue: Catalogue) -> Self {
        Self {
            clock,
            marks: Marks::new(terms.capacity),
            contact: Contact::new(terms.stale_while_unavailable),
            caches: ArcSwap::from_pointee(Caches::new(terms)),
            catalogue: ArcSwap::from_pointee(catalogue),
            totals: Totals::default(),
        }
    }

    /// Takes what a reload changed. What was validated under other terms ends.
    pub(super) fn reload(&self, terms: &config::Cache, catalogue: Catalogue) {
        let same_terms = self.caches.load().terms == *terms;
        if same_terms && **self.catalogue.load() == catalogue {
            return;
        }
        if !same_terms {
            self.caches.store(Caches::new(terms).into());
            self.contact.allow(terms.stale_while_unavailable);
        }
        self.catalogue.store(catalogue.into());
        // Last: a look-up that reads the new epoch must read the new catalogue after it.
        self.marks.end_all();
    }

    /// What a request at `now` and `wall` sees. Contact is read before the marks that entries are held against.
    #[inline]
    pub(super) fn view(&self, now: Tick, wall: Timestamp) -> View {
        let reach = self.contact.reach(now);
        View { now, wall, reach, epoch: self.marks.epoch() }
    }

    pub(super) fn stats(&self) -> Stats {
        let (positive_entries, negative_entries) = self.caches.load().entries();
        Stats {
            lookups: self.totals.snapshot(),
            positive_entries,
            negative_entries,
            feed_age: self.contact.age(self.clock.tick()),
            store_up: self.contact.is_up(),
        }
    }
}
