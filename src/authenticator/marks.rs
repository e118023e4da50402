//! The newest change that touched anything, by a hash of its id: how a change reaches what is cached.
//!
//! Ids that share a mark only end each other's validations now and then, never keep one alive; in return a mark
//! forgets nothing, needs no lock, and belongs to no cache: it holds for entries that moka evicted and a worker
//! still has, and for look-ups that began before the change.

use std::array;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::store::{Change, Seq, Subject};

/// Marks for each entry that may be cached: one change in `SPARSE` ends an entry it is not about.
const SPARSE: u64 = 4;
/// Marks that are allocated together: 4 KiB. Where nothing changed nothing is allocated, so what hits read is small.
const PAGE: usize = 512;
const PAGES_MAX: usize = 1 << 14;

/// Where the mark of an id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    /// Touched by whatever is made: what contradicts that a credential is unknown.
    const MADE: Self = Self(u32::MAX);
    /// Touched by nothing: what no change contradicts. There are far fewer marks.
    const NEVER: Self = Self(u32::MAX - 1);
}

/// What a validation is about, as far as changes can contradict it.
#[derive(Clone, Copy, Debug)]
pub(super) enum About<'a> {
    /// Nothing was found: whatever is made may contradict it.
    Nothing,
    /// An API key and its account.
    ApiKey { key: &'a str, account: &'a str },
    /// A session and its account.
    Session { session: &'a str, account: &'a str },
    /// An account alone: what vouches for it is in no store.
    Account(&'a str),
    /// A signature that is none, whatever the store holds.
    Signature,
}

/// A change came between a look-up's snapshot and its end; look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overtaken;

/// Why a validation may be believed: it was read as of `as_of`, and no change since then touched what it is about.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Footing {
    as_of: Seq,
    epoch: u64,
    places: [Place; 2],
}

/// Marks, and the epoch that ends them all at once.
#[derive(Debug)]
pub(super) struct Marks {
    epoch: Epoch,
    /// Look-ups as of before this know too little.
    floor: AtomicI64,
    made: AtomicI64,
    pages: Box<[OnceLock<Box<Page>>]>,
    hasher: RandomState,
}

/// Read by every hit: not on a cache line with what changes write. Odd while marks are lowered.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Epoch(AtomicU64);

#[derive(Debug)]
struct Page([AtomicI64; PAGE]);

impl Marks {
    /// Marks for about `capacity` entries.
    pub(super) fn new(capacity: u64) -> Self {
        let marks = usize::try_from(capacity.saturating_mul(SPARSE)).unwrap_or(usize::MAX);
        let pages = (marks / PAGE).clamp(1, PAGES_MAX).next_power_of_two();
        Self {
            epoch: Epoch::default(),
            floor: AtomicI64::new(0),
            made: AtomicI64::new(0),
            pages: (0..pages).map(|_| OnceLock::new()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The age that validations must be of. Read before whatever a look-up reads.
    #[inline]
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.0.load(Ordering::Acquire)
    }

    /// Ends every validation there is, and those that look-ups in flight will bring.
    pub(super) fn end_all(&self) {
        self.epoch.0.fetch_add(2, Ordering::AcqRel);
    }

    /// Starts over at `position` without knowing what changed before, perhaps further back: ends everything. For the
    /// feed alone.
    pub(super) fn start_over(&self, position: Seq) {
        // While the epoch is odd nothing is attached, so no lowered mark is missed.
        self.turn();
        self.floor.store(position.0, Ordering::Release);
        let pages = self.pages.iter().filter_map(OnceLock::get);
        for mark in pages.flat_map(|page| &page.0).chain([&self.made]) {
            mark.fetch_min(position.0, Ordering::AcqRel);
        }
        self.turn();
    }

    /// Half of an epoch: into lowering marks, or out of it.
    pub(super) fn turn(&self) {
        self.epoch.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends every validation that `change` contradicts, now and of look-ups that began before it. The same change may
    /// come twice, and changes may come out of order.
    pub(super) fn changed(&self, change: &Change) {
        self.touch(self.place(change.subject, &change.id), change.seq);
        if change.created {
            self.touch(Place::MADE, change.seq);
        }
    }

    /// Gives what a look-up found its footing, unless a change has overtaken it.
    ///
    /// `epoch` is what [`epoch`](Self::epoch) was before the look-up began.
    pub(super) fn attach(&self, epoch: u64, as_of: Seq, about: About<'_>) -> Result<Footing, Overtaken> {
        let places = match about {
            About::Nothing => [Place::MADE; 2],
            About::ApiKey { key, account } => {
                [self.place(Subject::ApiKey, key), self.place(Subject::Account, account)]
            }
            About::Session { session, account } => {
                [self.place(Subject::Session, session), self.place(Subject::Account, account)]
            }
            About::Account(account) => [self.place(Subject::Account, account); 2],
            About::Signature => [Place::NEVER; 2],
        };
        let footing = Footing { as_of, epoch, places };
        let settled = epoch.is_multiple_of(2) && as_of.0 >= self.floor.load(Ordering::Acquire);
        if settled && self.hold(&footing, self.epoch()) { Ok(footing) } else { Err(Overtaken) }
    }

    /// Ends what older look-ups brought of the same credential: this one saw that it is no longer good.
    pub(super) fn end_older(&self, footing: &Footing) {
        let [credential, _] = footing.places;
        self.touch(credential, footing.as_of);
    }

    /// Whether `footing` still stands. Takes no lock; `epoch` must be read before.
    #[inline]
    pub(super) fn hold(&self, footing: &Footing, epoch: u64) -> bool {
        let [credential, account] = footing.places;
        footing.epoch == epoch
            && self.newest(credential) <= footing.as_of
            && self.newest(account) <= footing.as_of
    }

    fn place(&self, subject: Subject, id: &str) -> Place {
        let marks = (self.pages.len() * PAGE) as u64;
        Place((self.hasher.hash_one((subject, id)) % marks) as u32)
    }

    fn touch(&self, place: Place, seq: Seq) {
        let mark = if place == Place::MADE { Some(&self.made) } else { self.mark_to_touch(place) };
        if let Some(mark) = mark {
            mark.fetch_max(seq.0, Ordering::AcqRel);
        }
    }

    fn mark_to_touch(&self, Place(at): Place) -> Option<&AtomicI64> {
        let page = self.pages.get(at as usize / PAGE)?;
        let page = page.get_or_init(|| Box::new(Page(array::from_fn(|_| AtomicI64::new(0)))));
        page.0.get(at as usize % PAGE)
    }

    #[inline]
    fn newest(&self, place: Place) -> Seq {
        if place == Place::MADE {
            return Seq(self.made.load(Ordering::Acquire));
        }
        let page = self.pages.get(place.0 as usize / PAGE).and_then(OnceLock::get);
        let mark = page.and_then(|page| page.0.get(place.0 as usize % PAGE));
        Seq(mark.map_or(0, |mark| mark.load(Ordering::Acquire)))
    }
}
