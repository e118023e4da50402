//! What is known of one connection of HTTP/2: its limits of time, and how much trouble it makes.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::credit::{Credit, Fit};
use super::frames::Frames;
use super::room::Room;
use crate::clock::Tick;
use crate::server::conn::{Conn, Limits};
use crate::server::follow::Head;
use crate::server::watched::Watch;

/// How long the client may take to take what it is told last.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A request that is taken back sooner than this was hardly meant.
const EARLY: Duration = Duration::from_secs(1);
/// So many more requests may be taken back early than are answered.
const TAKEN_BACK: u32 = 100;

/// One connection. Lives on one worker.
#[derive(Debug)]
pub struct Session {
    conn: Rc<Conn>,
    frames: RefCell<Frames>,
    /// Streams that are not over.
    open: Cell<usize>,
    /// Bytes read in this turn.
    read: Cell<usize>,
    /// How many more requests were taken back early than answered.
    taken_back: Cell<u32>,
    credit: Credit,
    /// Whether the end is being told.
    ending: Cell<bool>,
    /// For what its answers have to be written.
    room: Room,
}

impl Session {
    /// A connection that has begun with `ahead`.
    pub(super) fn open(conn: Rc<Conn>, ahead: &[u8]) -> Rc<Self> {
        let session = Rc::new(Self {
            conn,
            frames: RefCell::default(),
            open: Cell::new(0),
            read: Cell::new(0),
            taken_back: Cell::new(0),
            credit: Credit::default(),
            ending: Cell::new(false),
            room: Room::default(),
        });
        session.came(ahead);
        session.settle();
        session
    }

    pub(super) fn conn(&self) -> &Conn {
        &self.conn
    }

    /// Goes by these limits from now on.
    pub(super) fn limit(&self, limits: Limits) {
        self.conn.limit(limits);
    }

    /// Sets the time for what the connection waits for now. Streams have limits of their own; without any, it is the rest
    /// of a head, or the next.
    fn settle(&self) {
        if self.ending.get() {
            return;
        }
        let limits = self.conn.limits();
        let timer = self.conn.timer();
        if self.open.get() > 0 {
            timer.clear();
        } else if self.frames.borrow().is_in_head() {
            timer.set(limits.request_head);
        } else {
            timer.set(limits.idle);
        }
    }

    /// The client has taken some of what waited for it. Without any stream that may be the end of its last answer, for which
    /// it has as long as for the next request.
    pub(super) fn took(&self) {
        if self.open.get() == 0 && !self.frames.borrow().is_in_head() {
            self.settle();
        }
    }

    pub(super) fn stream_opened(&self) {
        self.open.set(self.open.get() + 1);
        self.credit.earns_by_request();
        self.settle();
    }

    pub(super) fn stream_closed(&self, id: u32) {
        self.open.set(self.open.get().saturating_sub(1));
        self.frames.borrow_mut().forget(id);
        self.room.forget(id);
        self.settle();
    }

    /// What the head of a stream's request has that its parsed form does not show; `None` when it was not followed. Streams
    /// are asked for in their order.
    pub(super) fn head(&self, id: u32) -> Option<Head> {
        let fragment = self.frames.borrow_mut().had_fragment(id)?;
        Some(Head { fragment, ..Head::default() })
    }

    /// Whether a stream's trailers have what only heads have.
    pub(super) fn had_pseudo_trailers(&self, id: u32) -> bool {
        self.frames.borrow().had_pseudo_trailers(id)
    }

    /// A piece of an answer goes out: all that there was, or as much as there was room for.
    pub(super) fn sends(&self, bytes: usize, fit: Fit) {
        self.room.take(bytes);
        self.credit.earns_by_answer(bytes, fit);
    }

    pub(super) const fn room(&self) -> &Room {
        &self.room
    }

    pub(super) fn stream_delivered(&self) {
        self.taken_back.set(self.taken_back.get().saturating_sub(1));
    }

    pub(super) fn stream_taken_back(&self, began: Tick) {
        if self.conn.deadlines().coarse_now().since(began) < EARLY {
            self.taken_back.set(self.taken_back.get().saturating_add(1));
        }
    }

    /// Whether what the client sends could be read in another way than h2 does: nothing more of it is served.
    pub(super) fn is_lost(&self) -> bool {
        self.frames.borrow().is_lost()
    }

    /// Whether the client takes back what it asks for, over and over, or sends what nobody needs.
    pub(super) fn is_abused(&self) -> bool {
        self.taken_back.get() > TAKEN_BACK || self.credit.is_gone()
    }

    /// Whether the worker ends and nothing is lost when the connection does, once all that was said is written.
    pub(super) fn is_to_end(&self) -> bool {
        self.open.get() == 0 && self.conn.ends_idle()
    }

    /// The end is being told.
    pub(super) fn says_the_end(&self) {
        self.ending.set(true);
        self.conn.timer().set(LAST_WORDS);
    }

    /// Ready once what the connection waits for did not come in time.
    pub(super) fn poll_overdue(&self, cx: &Context<'_>) -> Poll<()> {
        self.conn.poll_overdue(cx)
    }

    pub(super) fn begin_turn(&self) {
        self.read.set(0);
    }

    pub(super) fn reads(&self, bytes: usize) {
        self.read.set(self.read.get() + bytes);
    }

    pub(super) fn has_read(&self) -> usize {
        self.read.get()
    }
}

impl Watch for Session {
    fn came(&self, bytes: &[u8]) {
        let mut frames = self.frames.borrow_mut();
        let before = frames.head_number();
        frames.take(bytes);
        let after = frames.head_number();
        let idle = frames.take_idle();
        drop(frames);
        if idle > 0 {
            self.credit.spend(idle, self.conn.deadlines().coarse_now());
        }
        if before != after {
            self.settle();
        }
    }

    fn wrote(&self, _: &Poll<io::Result<usize>>) {}
}
