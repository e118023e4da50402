//! When keys were last used: noted by workers once a minute for each key, written down behind them.
//!
//! ```text
//! hit → the entry's minute is another → the worker's list → its tick → channel → Writer, every few seconds → store
//! ```
//!
//! Nothing here may hold a request up or grow without bound: a list or channel that is full lets uses go, a store that
//! is slow or away finds the newest of each key when it is back. Whatever is lost is a time, to be noted anew with the
//! next minute.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::entry::Valid;
use crate::auth::principal::Method;
use crate::clock::Timestamp;
use crate::store::{KeyUse, SharedStore, StoreError};

/// Uses that a worker keeps between two of its ticks, ten of which are a second.
pub(super) const LIST_MOST: usize = 1024;
/// Lists on their way.
pub(super) const LISTS_MOST: usize = 64;
/// Keys that wait for the store.
pub(super) const WAITING_MOST: usize = 1 << 16;
/// Keys in one transaction: short enough that no other writer waits long.
const BATCH: usize = 500;
/// Between two transactions.
const PERIOD: Duration = Duration::from_secs(2);
/// How long one may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// One use of a key, which its entry names.
pub(super) type Used = (Arc<Valid>, Timestamp);

/// The minute of a moment, as entries remember it.
#[inline]
pub(super) const fn minute(wall: Timestamp) -> u32 {
    (wall.0 as u64 / 60_000) as u32
}

/// What one worker has noted and not handed over.
#[derive(Debug)]
pub(super) struct Notes {
    list: RefCell<Vec<Used>>,
    lists: mpsc::Sender<Vec<Used>>,
}

impl Notes {
    pub(super) fn new(lists: mpsc::Sender<Vec<Used>>) -> Self {
        Self { list: RefCell::default(), lists }
    }

    /// Notes that `entry` was used, whose minute says that it is time. Where there is no room the minute stays, so that
    /// the next use tries again.
    #[cold]
    pub(super) fn note(&self, entry: &Arc<Valid>, wall: Timestamp) {
        let mut list = self.list.borrow_mut();
        let is_key = entry.principal().method == Method::ApiKey;
        if list.len() < LIST_MOST && entry.claim_use(minute(wall)) && is_key {
            list.push((Arc::clone(entry), wall));
        }
    }

    /// Hands over what was noted; keeps it where the channel is full.
    pub(super) fn hand_over(&self) {
        let mut list = self.list.borrow_mut();
        if list.is_empty() {
            return;
        }
        if let Ok(place) = self.lists.try_reserve() {
            place.send(std::mem::take(&mut *list));
        }
    }
}

/// Writes down what workers hand over.
pub(super) struct Writer {
    lists: mpsc::Receiver<Vec<Used>>,
    store: SharedStore,
    /// By key, the newest.
    waiting: HashMap<String, Timestamp>,
    fails: bool,
}

impl Writer {
    pub(super) fn new(lists: mpsc::Receiver<Vec<Used>>, store: SharedStore) -> Self {
        Self { lists, store, waiting: HashMap::new(), fails: false }
    }

    /// Writes now and then until `stop`, and then once more.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.collect(PERIOD)).await.is_some() {
            self.write().await;
        }
        self.write().await;
    }

    /// Takes what is handed over, for so long.
    async fn collect(&mut self, period: Duration) {
        let taking = async {
            while let Some(list) = self.lists.recv().await {
                self.take(list);
            }
            // Nobody is left who could hand anything over.
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(period, taking).await;
    }

    /// Takes what was handed over and writes all that waits, or as much as the store takes.
    pub(super) async fn write(&mut self) {
        while let Ok(list) = self.lists.try_recv() {
            self.take(list);
        }
        let all = std::mem::take(&mut self.waiting).into_iter().map(|(id, at)| KeyUse { id, at });
        let all: Vec<_> = all.collect();
        for (done, batch) in all.chunks(BATCH).enumerate() {
            match in_time(self.store.note(batch, &[])).await {
                Ok(()) => self.fails = false,
                Err(error) => {
                    self.failed(&error);
                    let rest = all.into_iter().skip(done * BATCH);
                    self.waiting.extend(rest.map(|KeyUse { id, at }| (id, at)));
                    return;
                }
            }
        }
    }

    fn take(&mut self, list: Vec<Used>) {
        for (entry, at) in list {
            let id = entry.principal().identity.credential();
            if let Some(newest) = self.waiting.get_mut(id) {
                *newest = at.max(*newest);
            } else if self.waiting.len() < WAITING_MOST {
                self.waiting.insert(id.to_owned(), at);
            }
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
            tracing::warn!(error, "the last uses of keys cannot be written down; trying again");
        }
    }
}

async fn in_time<T>(write: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(WRITE_TIMEOUT, write).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
    }
}
