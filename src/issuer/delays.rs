//! How long whoever failed to log in has to wait, in bounded memory.
//!
//! Failures are counted for the account and for the address they come from, and each further one doubles the wait.
//! Where the account lately logged in from (an address, a browser) only the failures from there count, so that nobody
//! else's failures lock the owner out. Of such an address those of all its accounts count too, from a greater number on
//! and with short waits: whoever tries a word on each colleague of an office is slowed, and nobody there is shut out.
//! Of many attempts at once no more get through than of as many in a row: before one that may be one failure too many the
//! others have to end.

mod attempt;
mod gates;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

pub(super) use self::attempt::Attempt;
use self::gates::Gates;
use super::IssueError;
use crate::auth::subscriber;
use crate::clock::{Clock, Tick};

/// How failures in a cell bring waits.
#[derive(Clone, Copy)]
struct Rule {
    /// Failures without a wait: people mistype.
    free: u32,
    /// The longest wait.
    longest: Duration,
    /// After each such time one failure is forgotten; `None` = all or none are.
    drain: Option<Duration>,
}

/// A guess every quarter of an hour finds no password, and an owner comes back in time.
const LONGEST: Duration = Duration::from_secs(900);
const OF_ACCOUNT: Rule = Rule { free: 5, longest: LONGEST, drain: None };
/// Of an address, which a whole office may share.
const OF_ADDRESS: Rule = Rule { free: 20, ..OF_ACCOUNT };
/// Of an address that several accounts log in from, all together. There is always somebody in a large office who mistypes,
/// so failures drain away one by one; and whoever has no browser that is known waits a minute at most.
const OF_HOME: Rule =
    Rule { free: 50, longest: Duration::from_secs(60), drain: Some(Duration::from_secs(600)) };
/// The first wait; each further failure doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// After this long without a failure all is forgotten.
const FORGET: Duration = Duration::from_secs(24 * 3600);
/// So long it is where a login from there succeeded since. Somebody else behind that address who waits for the owner's
/// logins so as to begin anew gets fewer guesses than who does not (one every [`LONGEST`]).
const FORGIVE: Duration = Duration::from_secs(4 * 3600);
/// How long somebody who logged in counts as known there.
pub(super) const LATELY: Duration = Duration::from_secs(30 * 24 * 3600);
/// Most cells, some 5 MB.
const CELLS: usize = 65_536;
/// Most places that accounts lately logged in from.
const PLACES: usize = 65_536;
/// Cells looked at for one that can go.
const SAMPLE: usize = 16;

/// Counts failures; clones count together.
#[derive(Clone, Default)]
pub(super) struct Delays(Arc<Inner>);

#[derive(Default)]
struct Inner {
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cells: HashMap<u64, Cell>,
    places: HashMap<u64, Tick>,
    gates: Gates,
}

#[derive(Clone, Copy)]
struct Cell {
    failures: u32,
    last: Tick,
    until: Tick,
    /// Whether the owner came in since.
    forgiven: bool,
}

impl Cell {
    fn is_forgotten(&self, now: Tick) -> bool {
        now.since(self.last) >= if self.forgiven { FORGIVE } else { FORGET }
    }

    /// The failures that are left, and from when on the next ones drain.
    fn drained(&self, rule: Rule, now: Tick) -> (u32, Tick) {
        let Some(drain) = rule.drain else { return (self.failures, now) };
        let gone = now.since(self.last).as_secs() / drain.as_secs().max(1);
        let gone = u32::try_from(gone).unwrap_or(u32::MAX);
        match self.failures.saturating_sub(gone) {
            0 => (0, now),
            left => (left, self.last.after(drain.saturating_mul(gone))),
        }
    }
}

/// Where somebody tries to log in from.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) address: IpAddr,
    /// What only a browser that logged in before can say: that it says it is proof.
    pub(super) browser: Option<&'a str>,
}

/// What of it the account lately logged in from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// This browser, from whatever address.
    Browser,
    /// This address, from a browser that has no mark.
    Address,
    /// Nothing.
    Unknown,
}

impl Delays {
    /// What `account` lately logged in from, as far as this process remembers.
    pub(super) fn place(&self, account: &str, from: From<'_>, now: Tick) -> Place {
        if from.browser.is_some() {
            return Place::Browser;
        }
        let seen = self.lock().places.get(&self.address(account, from)).copied();
        match seen.is_some_and(|seen| now.since(seen) < LATELY) {
            true => Place::Address,
            false => Place::Unknown,
        }
    }

    /// Begins an attempt, once as many others have ended as must have.
    ///
    /// # Errors
    /// [`IssueError::Wait`] after failures, also those of others that it waited for; [`IssueError::Busy`] when too many
    /// wait already.
    pub(super) async fn begin(
        &self,
        account: &str,
        from: From<'_>,
        place: Place,
        clock: &Clock,
    ) -> Result<Attempt, IssueError> {
        let cells = self.cells(account, from, place);
        let may_count = loop {
            if let Some(turns) = self.turns(&cells, clock).await? {
                break turns;
            }
        };
        // Others may have failed while it waited.
        let began = clock.tick();
        self.lock().refuse_early(&cells, began)?;
        Ok(Attempt { delays: self.clone(), began, may_count, address: self.address(account, from), place })
    }

    /// A turn at the gate of each of these cells; `None` when one was taken down meanwhile.
    async fn turns(
        &self,
        cells: &[(u64, Rule)],
        clock: &Clock,
    ) -> Result<Option<Vec<(u64, Rule, OwnedSemaphorePermit)>>, IssueError> {
        let mut turns = Vec::with_capacity(cells.len());
        for &(cell, rule) in cells {
            let line = {
                let (mut state, now) = (self.lock(), clock.tick());
                state.refuse_early(cells, now)?;
                let free = state.free(cell, rule, now);
                state.gates.line(cell, free).ok_or(IssueError::Busy)?
            };
            let Ok(turn) = line.acquire_owned().await else { return Ok(None) };
            turns.push((cell, rule, turn));
        }
        Ok(Some(turns))
    }

    fn cells(&self, account: &str, from: From<'_>, place: Place) -> Vec<(u64, Rule)> {
        let address = self.address(account, from);
        match place {
            Place::Browser => vec![(self.browser(account, from).unwrap_or(address), OF_ACCOUNT)],
            Place::Address => {
                vec![(address, OF_ACCOUNT), (self.hash(("home", subscriber(from.address))), OF_HOME)]
            }
            Place::Unknown => vec![
                (self.hash(("account", account)), OF_ACCOUNT),
                (self.hash(("address", subscriber(from.address))), OF_ADDRESS),
            ],
        }
    }

    fn address(&self, account: &str, from: From<'_>) -> u64 {
        self.hash(("from address", account, subscriber(from.address)))
    }

    fn browser(&self, account: &str, from: From<'_>) -> Option<u64> {
        from.browser.map(|browser| self.hash(("from browser", account, browser)))
    }

    fn hash(&self, what: impl Hash) -> u64 {
        self.0.hasher.hash_one(what)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in it panics halfway.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells how long to wait after those that failed in these cells.
    fn refuse_early(&self, cells: &[(u64, Rule)], now: Tick) -> Result<(), IssueError> {
        let until = cells.iter().filter_map(|(cell, _)| self.cells.get(cell)).map(|cell| cell.until).max();
        match until.map(|until| until.since(now)).filter(|wait| !wait.is_zero()) {
            None => Ok(()),
            Some(wait) => Err(IssueError::Wait(wait)),
        }
    }

    /// How many may fail from now on until there is a wait, that one included.
    fn free(&self, key: u64, rule: Rule, now: Tick) -> usize {
        let cell = self.cells.get(&key).filter(|cell| !cell.is_forgotten(now));
        let failures = cell.map_or(0, |cell| cell.drained(rule, now).0);
        let more = (rule.free + 1).saturating_sub(failures);
        usize::try_from(more).unwrap_or(usize::MAX)
    }

    /// Counts a failure.
    fn count(&mut self, key: u64, rule: Rule, now: Tick) {
        let before = self.cells.get(&key).copied().filter(|cell| !cell.is_forgotten(now));
        if before.is_none() && self.cells.len() >= CELLS {
            self.make_room(now);
        }
        let (failures, last) = before.map_or((0, now), |cell| cell.drained(rule, now));
        let failures = failures.saturating_add(1);
        let until = now.after(wait(failures, rule));
        self.cells.insert(key, Cell { failures, last, until, forgiven: false });
    }

    /// Failures in a row count (NIST SP 800-63B §3.2.2). A browser's are its owner's alone, so its row ends here; those
    /// of an address may be somebody else's, who must not begin anew with each of the owner's logins.
    fn forgive(&mut self, attempt: &Attempt) {
        let Some((own, ..)) = attempt.may_count.first() else { return };
        match attempt.place {
            Place::Browser => {
                self.cells.remove(own);
            }
            Place::Address => {
                if let Some(cell) = self.cells.get_mut(own) {
                    cell.forgiven = true;
                }
            }
            Place::Unknown => {}
        }
    }

    /// What is forgotten goes, or else of a few the one that failed least: whoever floods this with new names loses his
    /// own cells first.
    fn make_room(&mut self, now: Tick) {
        let sample: Vec<(u64, Cell)> =
            self.cells.iter().take(SAMPLE).map(|(key, cell)| (*key, *cell)).collect();
        let least = sample.iter().min_by_key(|(_, cell)| (!cell.is_forgotten(now), cell.failures, cell.last));
        if let Some((key, _)) = least {
            self.cells.remove(key);
        }
    }

    fn remember(&mut self, place: u64, now: Tick) {
        if self.places.len() >= PLACES && !self.places.contains_key(&place) {
            let oldest = self.places.iter().take(SAMPLE).min_by_key(|(_, at)| **at).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.places.remove(&oldest);
            }
        }
        self.places.insert(place, now);
    }
}

fn wait(failures: u32, rule: Rule) -> Duration {
    match failures.checked_sub(rule.free) {
        None | Some(0) => Duration::ZERO,
        Some(over) => FIRST.saturating_mul(1 << (over - 1).min(20)).min(rule.longest),
    }
}

#[cfg(test)]
mod tests;
