//! Which API keys there are, so that none has to wait for who shares its address: over the limit of failures a key that
//! is on the roll is looked up all the same, and only what nobody was ever given is not.
//!
//! The roll knows the first eight bytes of each digest, 8 MB for a million keys. It is read from the store when contact
//! begins, and again where as many keys came to be since as make it much longer; keys that are made meanwhile are added
//! when they are told of, here or by the feed. One that was removed stays until the next reading: it costs a look-up.
//! What was not read yet may be there: then everything is looked up.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwapOption;

use super::feed::in_time;
use crate::auth::token::HashedToken;
use crate::store::SharedStore;

/// Keys in one read.
const PAGE: u32 = 10_000;
/// Reads in a row, for which the feed waits: 25 ms.
const PAGES: usize = 5;
/// Keys that may be made before it is read again, however short it is.
const FEW: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// `None` = it was not read yet, or is not to be relied on.
    read: ArcSwapOption<Read>,
    /// What was made since the last reading began.
    made: RwLock<BTreeSet<u64>>,
}

/// What the last reading found.
#[derive(Debug)]
struct Read {
    /// In order.
    keys: Arc<[u64]>,
    /// What was made before the next reading began, until it ends.
    older: BTreeSet<u64>,
}

impl Roll {
    /// Whether there may be a key with this digest.
    pub(super) fn may_have(&self, digest: &HashedToken) -> bool {
        let key = digest.short();
        // In this order: what a reading takes over is there before it is gone here.
        self.made.read().unwrap_or_else(PoisonError::into_inner).contains(&key)
            || self.read.load().as_ref().is_none_or(|read| read.has(key))
    }

    /// Takes note of a key that was made.
    pub(super) fn add(&self, digest: &HashedToken) {
        self.made.write().unwrap_or_else(PoisonError::into_inner).insert(digest.short());
    }

    /// Relies on nothing until the next reading: nobody knows what was made.
    fn forget(&self) {
        self.read.store(None);
    }

    fn is_to_be_read(&self) -> bool {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner).len();
        self.read.load().as_ref().is_none_or(|read| made > FEW.max(read.keys.len() / 4))
    }

    /// Begins a reading. All that was told of by now is in the store for it to find.
    fn begin(&self) {
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        let older = mem::take(&mut *made);
        if let Some(read) = self.read.load_full() {
            self.read.store(Some(Arc::new(Read { keys: Arc::clone(&read.keys), older })));
        }
    }

    fn end(&self, mut keys: Vec<u64>) {
        keys.sort_unstable();
        self.read.store(Some(Arc::new(Read { keys: keys.into(), older: BTreeSet::new() })));
    }
}

impl Read {
    fn has(&self, key: u64) -> bool {
        self.keys.binary_search(&key).is_ok() || self.older.contains(&key)
    }
}

/// Reads the roll, a little at a time: whoever follows the feed has more to do.
#[derive(Debug, Default)]
pub(super) struct Reader {
    reading: Option<Reading>,
    /// Whether that the store does not tell was told of.
    failing: bool,
}

#[derive(Debug, Default)]
struct Reading {
    found: Vec<u64>,
    /// Where it goes on.
    after: Option<String>,
}

impl Reader {
    /// What was read is not to be relied on.
    pub(super) fn start_over(&mut self, roll: &Roll) {
        roll.forget();
        self.reading = None;
    }

    /// Reads on, if there is anything to read. A store that does not tell is asked again next time.
    pub(super) async fn read_on(&mut self, store: &SharedStore, roll: &Roll) {
        if self.reading.is_none() && roll.is_to_be_read() {
            roll.begin();
            self.reading = Some(Reading::default());
        }
        for _ in 0..PAGES {
            let Some(reading) = &mut self.reading else { return };
            match in_time(store.key_digests(reading.after.as_deref(), PAGE)).await {
                Ok(page) => {
                    self.failing = false;
                    reading.found.extend(page.items);
                    reading.after = page.next;
                }
                Err(error) => {
                    if !mem::replace(&mut self.failing, true) {
                        tracing::warn!(%error, "which keys there are cannot be read; any may be looked up from any address");
                    }
                    return;
                }
            }
            if reading.after.is_none() {
                roll.end(mem::take(&mut reading.found));
                self.reading = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn no_key_is_missed_while_a_reading_takes_over() {
        const KEYS: u32 = 3000;
        let digest = |number: u32| HashedToken::of(&number.to_be_bytes());
        let (roll, newest) = (Roll::default(), AtomicU32::new(0));
        roll.add(&digest(0));
        roll.end(Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut stored = vec![digest(0).short()];
                for number in 1..=KEYS {
                    roll.begin();
                    roll.end(stored.clone());
                    roll.add(&digest(number));
                    stored.push(digest(number).short());
                    newest.store(number, Ordering::Release);
                }
            });
            while newest.load(Ordering::Acquire) < KEYS {
                let number = newest.load(Ordering::Acquire);
                assert!(roll.may_have(&digest(number)), "{number}");
            }
        });
        assert!(!roll.may_have(&HashedToken::of(b"junk")));
    }
}
