//! Where the requests of a credential are counted, and by which limits.

use std::sync::Arc;

use crate::limits::{Account, Asked, Moment, Rates, Report};

/// The account that they count for, over all its credentials, and the credential where it has limits of its own.
#[derive(Clone, Debug)]
pub struct Meter {
    /// What counts.
    pub account: Arc<Account>,
    /// How much the account may. One for all accounts of a plan, but those with limits of their own.
    pub rates: Arc<Rates>,
    /// How much a key may that has limits of its own. Few have: for all others it is one word.
    pub key: Option<Box<OfKey>>,
}

/// A key with limits of its own.
#[derive(Clone, Debug)]
pub struct OfKey {
    /// Its id, or that of the first key that it replaced.
    pub id: Arc<str>,
    /// How much it may.
    pub rates: Rates,
}

impl Meter {
    /// What is asked for a request of `cost` on a route with these limits; `None` where nothing is limited.
    #[must_use]
    pub fn asked<'a>(&'a self, cost: u32, route: Option<(&'a Arc<str>, &'a Rates)>) -> Option<Asked<'a>> {
        let account = &*self.rates;
        let key = self.key.as_deref().map(|OfKey { id, rates }| (id, rates));
        let route = route.filter(|(_, rates)| !rates.is_empty());
        let nothing = account.is_empty() && key.is_none() && route.is_none();
        (!nothing).then_some(Asked { cost, account, key, route })
    }

    /// How the account stands now, and the key where it has limits of its own; `None` where nothing is limited.
    #[must_use]
    pub fn standing(&self, now: Moment) -> Option<Report> {
        Some(self.account.standing(&self.asked(0, None)?, now))
    }
}
