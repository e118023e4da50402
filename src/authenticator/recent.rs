//! The newest changes, so that a look-up which began before one of them is noticed when it ends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::store::{Change, Seq, Subject};

/// What a change or a validation is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id {
    subject: Subject,
    id: Arc<str>,
}

impl Id {
    pub(super) fn new(subject: Subject, id: &str) -> Self {
        Self { subject, id: id.into() }
    }

    pub(super) fn of(change: &Change) -> Self {
        Self::new(change.subject, &change.id)
    }
}

/// A bounded number of changes. Of what came before its floor it knows nothing.
#[derive(Debug)]
pub(super) struct Recent {
    capacity: usize,
    newest: HashMap<Id, Seq>,
    order: VecDeque<(Id, Seq)>,
    floor: Seq,
}

impl Recent {
    /// Remembers `capacity` changes after `floor`.
    pub(super) fn new(capacity: usize, floor: Seq) -> Self {
        Self { capacity, newest: HashMap::new(), order: VecDeque::new(), floor }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds a change. The same change comes twice when it was made here: announced, and read from the feed.
    pub(super) fn push(&mut self, id: Id, seq: Seq) {
        if self.newest.get(&id).is_some_and(|known| *known >= seq) {
            return;
        }
        self.newest.insert(id.clone(), seq);
        self.order.push_back((id, seq));
        while self.order.len() > self.capacity {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((id, seq)) = self.order.pop_front() else { return };
        self.floor = self.floor.max(seq);
        if self.newest.get(&id) == Some(&seq) {
            self.newest.remove(&id);
        }
    }

    /// Whether every change after `as_of` is still known.
    pub(super) fn reaches_back_to(&self, as_of: Seq) -> bool {
        as_of >= self.floor
    }

    /// The newest change to `id` that is known.
    pub(super) fn newest(&self, id: &Id) -> Option<Seq> {
        self.newest.get(id).copied()
    }
}
