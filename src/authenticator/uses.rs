//! When keys were last used, as a worker notes it: once a second for each key, whatever worker is first.
//!
//! ```text
//! hit → the entry's second is another → the worker's list → its tick → channel → Writer → store
//! ```
//!
//! Nothing here may hold a request up or grow without bound: a list that is full goes on its way at once, and where the
//! channel is full too the second stays, so that the next use of the key tries again.

use std::cell::RefCell;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::entry::Valid;
use super::shared::Shared;
use crate::auth::principal::Method;
use crate::clock::Timestamp;

/// Uses that a worker keeps until its tick, ten of which are a second, or until there are so many.
pub(super) const LIST_MOST: usize = 1024;
/// Lists on their way.
pub(super) const LISTS_MOST: usize = 64;

/// One use of a key, which its entry names.
pub(super) type Used = (Arc<Valid>, Timestamp);

/// The second of a moment, as entries remember it.
#[inline]
pub(super) const fn second(wall: Timestamp) -> u32 {
    (wall.0 as u64 / 1000) as u32
}

/// What one worker has noted and not handed over.
#[derive(Debug)]
pub(super) struct Notes {
    list: RefCell<Vec<Used>>,
    lists: mpsc::Sender<Vec<Used>>,
    shared: Arc<Shared>,
}

impl Notes {
    pub(super) fn new(lists: mpsc::Sender<Vec<Used>>, shared: Arc<Shared>) -> Self {
        Self { list: RefCell::default(), lists, shared }
    }

    /// Notes that `entry` was used, whose second says that it is time.
    #[cold]
    pub(super) fn note(&self, entry: &Arc<Valid>, wall: Timestamp) {
        if entry.principal().method != Method::ApiKey {
            entry.claim_use(second(wall));
            return;
        }
        if self.list.borrow().len() >= LIST_MOST {
            self.hand_over();
        }
        let mut list = self.list.borrow_mut();
        if list.len() < LIST_MOST && entry.claim_use(second(wall)) {
            if list.is_empty() {
                self.shared.unwritten.list_begun();
            }
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
