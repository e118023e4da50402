//! Writes down what was used, behind everybody's back: last uses of keys, and what accounts have counted of a day.
//!
//! A store that is slow or away keeps nobody waiting and loses nothing: what could not be written is merged with what
//! comes, the newest of each, and written when it is back. What is kept for it does not grow with requests: a number for
//! each account, which is there to count by anyway, and a time for each key, of so many keys at most.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::days;
use super::shared::Shared;
use super::uses::Used;
use crate::clock::Timestamp;
use crate::limits::{Account, DayCount};
use crate::store::{KeyUse, SharedStore, StoreError};

/// Keys that wait for the store.
pub(super) const WAITING_MOST: usize = 1 << 16;
/// Counts, and uses, in one transaction: short enough that no other writer waits long.
pub(super) const BATCH: usize = 500;
/// From one writing to the next. With a worker's tick before it and the writing itself it is a second at most until what
/// was used is written down.
pub(super) const PERIOD: Duration = Duration::from_millis(750);
/// Writings between two looks for accounts that nobody counts on any more: about a minute.
pub(super) const SWEPT_EVERY: u32 = 80;
/// How long one transaction may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Writer {
    lists: mpsc::Receiver<Vec<Used>>,
    store: SharedStore,
    shared: Arc<Shared>,
    /// By key, the newest.
    waiting: BTreeMap<String, Timestamp>,
    /// Lists that were taken so far.
    taken: u64,
    fails: bool,
    rounds: u32,
    /// Days that the clock jumped to.
    jumped_to: BTreeSet<u32>,
}

impl Writer {
    pub(super) fn new(lists: mpsc::Receiver<Vec<Used>>, store: SharedStore, shared: Arc<Shared>) -> Self {
        Self {
            lists,
            store,
            shared,
            waiting: BTreeMap::new(),
            taken: 0,
            fails: false,
            rounds: 0,
            jumped_to: BTreeSet::new(),
        }
    }

    /// Writes again and again until `stop`, and then once more.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut periods = tokio::time::interval(PERIOD);
        periods.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(self.merge_until(periods.tick())).await.is_some() {
            self.write().await;
        }
        self.write().await;
        let accounts = self.shared.accounts.take_changed().len();
        if accounts > 0 || !self.waiting.is_empty() {
            let keys = self.waiting.len();
            tracing::error!(accounts, keys, "counts of days and last uses could not be written and are lost");
        }
    }

    /// Takes what is handed over, until `what` is done.
    async fn merge_until<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = pin!(what);
        loop {
            tokio::select! {
                biased;
                done = what.as_mut() => return done,
                Some(list) = self.lists.recv() => self.take(list),
            }
        }
    }

    /// Writes all that there is, or as much as the store takes.
    pub(super) async fn write(&mut self) {
        let since = self.shared.clock.tick();
        while let Ok(list) = self.lists.try_recv() {
            self.take(list);
        }
        let lists = self.taken;
        if !self.waiting.is_empty() || self.shared.accounts.has_changed() {
            self.shared.unwritten.taking();
            if let Err(error) = self.write_all().await {
                self.failed(&error);
                return;
            }
            self.worked();
        }
        self.shared.unwritten.all_written(since, lists);
        self.sweep_now_and_then();
    }

    fn sweep_now_and_then(&mut self) {
        self.rounds = self.rounds.wrapping_add(1);
        if self.rounds.is_multiple_of(SWEPT_EVERY) {
            self.shared.accounts.sweep(self.shared.moment());
        }
    }

    /// Batch by batch. What is not written, of the batch that failed on, waits.
    async fn write_all(&mut self) -> Result<(), StoreError> {
        self.follow_the_clock().await?;
        let mut accounts = self.shared.accounts.take_changed();
        let mut uses = std::mem::take(&mut self.waiting);
        while !accounts.is_empty() || !uses.is_empty() {
            let batch = accounts.split_off(accounts.len().saturating_sub(BATCH));
            let rest = nth(&uses, BATCH).map(|key| uses.split_off(&key)).unwrap_or_default();
            if let Err(error) = self.write_batch(&batch, &uses).await {
                self.shared.accounts.not_written(batch);
                self.shared.accounts.not_written(accounts);
                for (id, at) in uses.into_iter().chain(rest) {
                    self.wait(&id, at);
                }
                return Err(error);
            }
            uses = rest;
        }
        Ok(())
    }

    /// Where the clock on the wall has jumped to another day, what the store knows of that day is added first: the process
    /// may have begun under a clock that was wrong.
    async fn follow_the_clock(&mut self) -> Result<(), StoreError> {
        let now = self.shared.moment();
        let day = self.shared.accounts.jumped_to(self.shared.clock.now());
        if let Some(day) = day.filter(|day| !self.jumped_to.contains(day)) {
            tracing::warn!(
                next_day_in_seconds = now.today.left().as_secs(),
                "the clock has jumped to another day; what accounts may use of a day begins anew later"
            );
            days::add_of(day, &self.store, &self.shared).await?;
            self.jumped_to.insert(day);
        }
        Ok(())
    }

    async fn write_batch(
        &mut self,
        accounts: &[Arc<Account>],
        uses: &BTreeMap<String, Timestamp>,
    ) -> Result<(), StoreError> {
        let mut days = self.shared.accounts.days(accounts, self.shared.clock.now());
        days.sort_unstable_by_key(|count| count.account);
        let uses: Vec<_> = uses.iter().map(|(id, at)| KeyUse { id: id.clone(), at: *at }).collect();
        // An account may have counts of many keys and routes.
        let mut parts = days.chunks(BATCH);
        self.note(&uses, parts.next().unwrap_or_default()).await?;
        for part in parts {
            self.note(&[], part).await?;
        }
        Ok(())
    }

    async fn note(&mut self, uses: &[KeyUse], days: &[DayCount]) -> Result<(), StoreError> {
        let store = Arc::clone(&self.store);
        let written = tokio::time::timeout(WRITE_TIMEOUT, store.note(uses, days));
        match self.merge_until(written).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
        }
    }

    fn take(&mut self, list: Vec<Used>) {
        self.taken += 1;
        for (entry, at) in list {
            self.wait(entry.principal().identity.credential(), at);
        }
    }

    fn wait(&mut self, id: &str, at: Timestamp) {
        if let Some(newest) = self.waiting.get_mut(id) {
            *newest = at.max(*newest);
        } else if self.waiting.len() < WAITING_MOST {
            self.waiting.insert(id.to_owned(), at);
        }
    }

    /// How many lists are on their way.
    #[cfg(test)]
    pub(super) fn lists(&self) -> usize {
        self.lists.len()
    }

    /// Has so many keys wait.
    #[cfg(test)]
    pub(super) fn fill(&mut self, keys: usize) {
        self.waiting.extend((0..keys).map(|number| (number.to_string(), Timestamp(0))));
    }

    fn failed(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.fails, true) {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "what is used cannot be written down; counting goes on in memory");
        }
    }

    fn worked(&mut self) {
        if std::mem::replace(&mut self.fails, false) {
            tracing::info!("what is used is written down again");
        }
    }
}

/// The key in that place, if there are more.
fn nth(uses: &BTreeMap<String, Timestamp>, place: usize) -> Option<String> {
    uses.keys().nth(place).cloned()
}
