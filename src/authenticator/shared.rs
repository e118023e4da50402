//! What workers and the control runtime both see. Nothing in it makes a hit wait.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::Rules;
use super::allowances::Allowances;
use super::cache::Caches;
use super::contact::Contact;
use super::entry::{Denied, Refused, View};
use super::forms::Forms;
use super::lately::Lately;
use super::marks::Marks;
use super::meter::{Meter, OfKey};
use super::question::Question;
use super::roll::Roll;
use super::stats::{Stats, Totals};
use super::unwritten::Unwritten;
use crate::auth::catalogue::Catalogue;
use crate::auth::jwt::access_token::{self, Parties};
use crate::auth::jwt::{Keyring, Ring};
use crate::auth::token::HashedToken;
use crate::clock::{Clock, Tick, Timestamp};
use crate::config;
use crate::limits::{self, Moment, Rates};
use crate::store::{Account, Change, Key};

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) marks: Marks,
    pub(super) contact: Contact,
    pub(super) caches: ArcSwap<Caches>,
    pub(super) catalogue: ArcSwap<Catalogue>,
    /// Who issues access tokens and for whom; `None` = nobody does.
    pub(super) parties: ArcSwapOption<Parties>,
    /// How much each account may.
    allowances: Allowances,
    /// What accounts have used of it.
    pub(super) accounts: limits::Table,
    /// How often addresses sent what is not valid.
    pub(super) failures: limits::Failures,
    /// What of it the store does not know.
    pub(super) unwritten: Unwritten,
    /// The keys that they are signed with.
    pub(super) ring: Arc<Ring>,
    /// What imported keys look like.
    pub(super) forms: Forms,
    /// Which keys there are.
    pub(super) roll: Roll,
    /// What else was good.
    pub(super) lately: Lately,
    pub(super) totals: Totals,
}

impl Shared {
    /// The moment that it is for limits.
    pub(super) fn moment(&self) -> Moment {
        self.accounts.moment(self.clock.tick(), self.clock.now())
    }

    pub(super) fn new(clock: Clock, terms: &config::Cache, rules: Rules) -> Self {
        Self {
            clock,
            marks: Marks::new(terms.capacity),
            contact: Contact::new(terms.stale_while_unavailable),
            caches: ArcSwap::from_pointee(Caches::new(terms)),
            catalogue: ArcSwap::from_pointee(rules.catalogue),
            parties: ArcSwapOption::from_pointee(rules.parties),
            allowances: Allowances::new(rules.plans),
            accounts: limits::Table::default(),
            failures: limits::Failures::default(),
            unwritten: Unwritten::default(),
            ring: Arc::default(),
            forms: Forms::default(),
            roll: Roll::default(),
            lately: Lately::default(),
            totals: Totals::default(),
        }
    }

    /// Takes what a reload changed. What was validated under other terms ends.
    pub(super) fn reload(&self, terms: &config::Cache, rules: Rules) {
        let same_terms = self.caches.load().terms == *terms;
        let same_parties = self.parties.load().as_deref() == rules.parties.as_ref();
        let same_plans = self.allowances.are(&rules.plans);
        if same_terms && same_parties && same_plans && **self.catalogue.load() == rules.catalogue {
            return;
        }
        if !same_terms {
            self.caches.store(Caches::new(terms).into());
            self.contact.allow(terms.stale_while_unavailable);
        }
        self.catalogue.store(rules.catalogue.into());
        self.parties.store(rules.parties.map(Arc::new));
        if !same_plans {
            self.allowances.set(rules.plans);
        }
        // Last: a look-up that reads the new epoch must read the new rules after it.
        self.marks.end_all();
    }

    /// Takes note of what changed in the store.
    pub(super) fn changed(&self, change: &Change) {
        if let Some(digest) = &change.new_key {
            self.roll.add(digest);
        }
        self.marks.changed(change);
    }

    /// Takes the signing keys as they are now. What a key vouched for that does so no more ends with it.
    pub(super) fn take_keys(&self, keys: Keyring) {
        let now = self.clock.now();
        let shrinks = self.ring.keys().is_some_and(|before| !before.is_within(&keys, now));
        self.ring.set(keys);
        if shrinks {
            self.marks.end_all();
        }
    }

    /// What a look-up is asked about an access token that nothing is known of.
    pub(super) fn question(
        &self,
        digest: HashedToken,
        token: &str,
        wall: Timestamp,
    ) -> Result<Question, Denied> {
        const UNKNOWN: Denied = Denied::Refused(Refused::Unknown);
        let parties = self.parties.load();
        let parties = parties.as_ref().ok_or(UNKNOWN)?;
        let keys = self.ring.keys().ok_or(Denied::Unavailable)?;
        match access_token::read(token, &keys, parties, wall) {
            Ok(token) => Ok(Question::token(digest, token)),
            Err(_flaw) => Err(UNKNOWN),
        }
    }

    /// Where the requests of this account's credentials are counted, and by which limits; for a key, by its own as well.
    pub(super) fn meter(&self, account: &Account, key: Option<&Key>) -> Meter {
        self.measured(self.accounts.account(limits::number(&account.id)), account, key)
    }

    /// The same for whoever only looks: nobody is made to begin by it.
    pub(super) fn look(&self, account: &Account, key: Option<&Key>) -> Meter {
        self.measured(self.accounts.look_at(limits::number(&account.id)), account, key)
    }

    fn measured(&self, counts: Arc<limits::Account>, account: &Account, key: Option<&Key>) -> Meter {
        let own = key.map(|key| (key, key.limits.over(&Rates::default())));
        let own = own.filter(|(_, rates)| !rates.is_empty());
        let of_key = |(key, rates): (&Key, Rates)| {
            let id = key.counts_as.as_ref().unwrap_or(&key.id).as_str().into();
            Box::new(OfKey { id, rates })
        };
        Meter { account: counts, rates: self.allowances.of(account), key: own.map(of_key) }
    }

    /// What a request at `now` and `wall` sees. Contact is read before the marks that entries are held against.
    #[inline]
    pub(super) fn view(&self, now: Tick, wall: Timestamp) -> View {
        let reach = self.contact.reach(now);
        View { now, wall, reach, epoch: self.marks.epoch() }
    }

    pub(super) fn stats(&self) -> Stats {
        let (positive_entries, negative_entries) = self.caches.load().entries();
        let now = self.clock.tick();
        Stats {
            lookups: self.totals.snapshot(),
            failures: self.failures.counts(),
            positive_entries,
            negative_entries,
            feed_age: self.contact.age(now),
            store_up: self.contact.is_up(),
            unwritten: self.unwritten.age(|| self.accounts.has_changed(), now),
        }
    }
}
