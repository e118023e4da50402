//! The marks of everything that a living validation is about, by id.
//!
//! A change touches a mark here, never a cache: so it holds for validations that moka evicted and a worker still has.
//! The mutex is taken by changes and by look-ups that end, never by a hit.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::footing::{Footing, Mark};
use super::recent::{Id, Recent};
use crate::store::{Change, Seq};

/// Changes that are remembered for look-ups in flight.
pub(super) const REMEMBERED: usize = 4096;

/// Marks that are checked for being unused whenever one is made; more than one, so that the dead cannot pile up.
const SWEEP_STEP: usize = 4;

/// What a look-up found, as far as changes can contradict it.
#[derive(Debug)]
pub(super) enum About {
    /// Nothing: whatever is made may contradict it.
    Nothing,
    /// A credential and its account.
    Credential { credential: Id, account: Id },
}

/// A change came between a look-up's snapshot and its end; look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overtaken;

/// Marks by id.
#[derive(Debug)]
pub(super) struct Registry {
    epoch: Epoch,
    state: Mutex<State>,
}

/// Read by every hit: not on a cache line with what changes write.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Epoch(AtomicU64);

#[derive(Debug)]
struct State {
    recent: Recent,
    marks: HashMap<Id, Weak<Mark>>,
    /// The ids of `marks` in the order of the next sweep.
    sweep: VecDeque<Id>,
    /// Touched by whatever is made.
    made: Arc<Mark>,
}

impl State {
    fn new(remembered: usize, floor: Seq) -> Self {
        Self {
            recent: Recent::new(remembered, floor),
            marks: HashMap::new(),
            sweep: VecDeque::new(),
            made: Arc::new(Mark::at(floor)),
        }
    }
}

impl Registry {
    /// An empty registry that remembers `remembered` changes.
    pub(super) fn new(remembered: usize) -> Self {
        Self { epoch: Epoch::default(), state: Mutex::new(State::new(remembered, Seq(0))) }
    }

    /// The age that validations must be of. Read before whatever a look-up reads.
    #[inline]
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.0.load(Ordering::Acquire)
    }

    /// Ends every validation there is, and those that look-ups in flight will bring.
    pub(super) fn end_all(&self) {
        self.epoch.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Starts over at `position` without knowing what changed before: ends everything.
    pub(super) fn start_over(&self, position: Seq) {
        let mut state = self.lock();
        self.end_all();
        let remembered = state.recent.capacity();
        *state = State::new(remembered, position);
    }

    /// Ends every validation that `change` contradicts, now and of look-ups that began before it.
    pub(super) fn changed(&self, change: &Change) {
        let id = Id::of(change);
        let mut state = self.lock();
        if change.created {
            state.made.touch(change.seq);
        }
        if let Some(mark) = state.marks.get(&id).and_then(Weak::upgrade) {
            mark.touch(change.seq);
        }
        state.recent.push(id, change.seq);
    }

    /// Ends what is held of `credential` from before `as_of`: a look-up has just seen that it is no longer good.
    pub(super) fn refused(&self, credential: &Id, as_of: Seq) {
        if let Some(mark) = self.lock().marks.get(credential).and_then(Weak::upgrade) {
            mark.touch(as_of);
        }
    }

    /// Gives what a look-up found its footing, unless a change has overtaken it.
    ///
    /// `epoch` is what [`epoch`](Self::epoch) was before the look-up began.
    pub(super) fn attach(&self, epoch: u64, as_of: Seq, about: &About) -> Result<Footing, Overtaken> {
        let mut state = self.lock();
        if epoch != self.epoch() || !state.recent.reaches_back_to(as_of) {
            return Err(Overtaken);
        }
        let marks = match about {
            About::Nothing => [Arc::clone(&state.made), Arc::clone(&state.made)],
            About::Credential { credential, account } => [state.mark(credential), state.mark(account)],
        };
        let footing = Footing::new(as_of, epoch, marks);
        if footing.holds(epoch) { Ok(footing) } else { Err(Overtaken) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn marks(&self) -> usize {
        self.lock().marks.len()
    }
}

impl State {
    /// The living mark of `id`, or a new one that knows what changed lately.
    fn mark(&mut self, id: &Id) -> Arc<Mark> {
        if let Some(mark) = self.marks.get(id).and_then(Weak::upgrade) {
            return mark;
        }
        let mark = Arc::new(Mark::at(self.recent.newest(id).unwrap_or_default()));
        if self.marks.insert(id.clone(), Arc::downgrade(&mark)).is_none() {
            self.sweep.push_back(id.clone());
        }
        self.sweep_some();
        mark
    }

    fn sweep_some(&mut self) {
        for _ in 0..SWEEP_STEP.min(self.sweep.len()) {
            let Some(id) = self.sweep.pop_front() else { return };
            if self.marks.get(&id).is_some_and(|mark| mark.strong_count() > 0) {
                self.sweep.push_back(id);
            } else {
                self.marks.remove(&id);
            }
        }
    }
}
