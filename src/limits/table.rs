//! Every account that counts, by id, in bounded shards; and those whose counts of the day are to be written down.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::account::Account;
use super::calendar::Calendar;
use super::counter::Day;
use super::{Moment, Subject};
use crate::clock::{Tick, Timestamp};

/// A power of two; look-ups of different accounts seldom meet.
const SHARDS: usize = 64;

type Shard = HashSet<ById>;

/// An account that is found by its id, which lies in it alone: beside it as well, it would take half as much memory again.
#[derive(Debug)]
struct ById(Arc<Account>);

impl Borrow<u128> for ById {
    fn borrow(&self) -> &u128 {
        self.0.id()
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.id().hash(hasher);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl Eq for ById {}

/// All accounts.
#[derive(Debug)]
pub struct Table {
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    changed: Changed,
    calendar: Calendar,
}

/// Accounts whose count of the day has changed since it was written down.
#[derive(Debug, Default)]
pub struct Changed(Mutex<Vec<Arc<Account>>>);

/// What an account, or a key or a route of one, has used of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCount {
    /// The account.
    pub account: u128,
    /// Of what of it.
    pub subject: Subject,
    /// Days since 1970.
    pub day: u32,
    /// How much.
    pub used: u64,
}

impl Default for Table {
    fn default() -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self {
            hasher: RandomState::new(),
            shards,
            changed: Changed::default(),
            calendar: Calendar::default(),
        }
    }
}

impl Table {
    /// The moment that it is by these clocks.
    pub fn moment(&self, tick: Tick, wall: Timestamp) -> Moment {
        self.calendar.moment(tick, wall)
    }

    /// The day by whose name today's counts are written down, where it is another than that which today began with: the
    /// clock on the wall has jumped.
    #[must_use]
    pub fn jumped_to(&self, wall: Timestamp) -> Option<u32> {
        self.calendar.jumped_to(wall)
    }

    /// The account of that id.
    pub fn account(&self, id: u128) -> Arc<Account> {
        let mut shard = self.shard(id);
        if let Some(ById(known)) = shard.get(&id) {
            return Arc::clone(known);
        }
        let account = Arc::new(Account::new(id));
        shard.insert(ById(Arc::clone(&account)));
        account
    }

    /// Adds what was used of today before this process began, or by it under another name of the day.
    pub fn add<'a>(&self, counts: impl IntoIterator<Item = &'a DayCount>, now: Moment) {
        for count in counts {
            self.account(count.account).add(&count.subject, count.used, now);
        }
    }

    /// The account of that id, if somebody counts on it.
    #[must_use]
    pub fn known(&self, id: u128) -> Option<Arc<Account>> {
        self.shard(id).get(&id).map(|ById(account)| Arc::clone(account))
    }

    /// The account of that id, or one that has used nothing and is not kept: for whoever only looks.
    #[must_use]
    pub fn look_at(&self, id: u128) -> Arc<Account> {
        self.known(id).unwrap_or_else(|| Arc::new(Account::new(id)))
    }

    /// Where accounts tell that they are to be written down.
    #[must_use]
    pub const fn changed(&self) -> &Changed {
        &self.changed
    }

    /// Whether something is to be written down.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        !self.changed.lock().is_empty()
    }

    /// What is to be written down now. Whoever cannot write it gives it back by [`Table::not_written`].
    pub fn take_changed(&self) -> Vec<Arc<Account>> {
        let taken = std::mem::take(&mut *self.changed.lock());
        // What is counted from now on is told again: it may come after their counts were read.
        for account in &taken {
            account.lock().told = false;
        }
        taken
    }

    /// What they used of today and of the day before, as it is written down at `wall`.
    #[must_use]
    pub fn days(&self, accounts: &[Arc<Account>], wall: Timestamp) -> Vec<DayCount> {
        let names = self.calendar.names(wall);
        let of = |account: &Arc<Account>| {
            let id = *account.id();
            let count = move |(subject, day): (Subject, Day)| {
                Some(DayCount { account: id, subject, day: names.of(day.number)?, used: day.used })
            };
            account.days().into_iter().filter_map(count)
        };
        accounts.iter().flat_map(of).collect()
    }

    /// They are to be written down later.
    pub fn not_written(&self, accounts: Vec<Arc<Account>>) {
        for account in accounts {
            if !std::mem::replace(&mut account.lock().told, true) {
                self.changed.add(account);
            }
        }
    }

    /// Forgets accounts that nobody holds and that have used nothing of what lasts.
    pub fn sweep(&self, now: Moment) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            // Whoever takes one does so under this lock.
            shard.retain(|ById(account)| Arc::strong_count(account) > 1 || !account.is_idle(now));
            if shard.capacity() > 4 * shard.len().max(16) {
                shard.shrink_to_fit();
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: u128) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(self.hasher.hash_one(id) >> 32).unwrap_or(0) % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "a remainder of their number")]
        lock(&self.shards[index])
    }
}

impl Changed {
    pub(super) fn add(&self, account: Arc<Account>) {
        self.lock().push(account);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Account>>> {
        lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in them panics halfway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
