//! What is known of one stream, and the limit of time for its answer to move.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use h2::{RecvStream, StreamId};
use http::header::EXPECT;
use http::{HeaderValue, Request};

use super::credit::Fit;
use super::room::Room;
use super::session::Session;
use crate::clock::Tick;
use crate::server::conn::{Conn, Limits};
use crate::server::deadline::Timer;
use crate::server::follow::Head;
use crate::server::takeover::{Forget, Slot, Takeover};

/// One stream, shared by its request, its answer and the pieces that are on their way.
#[derive(Debug)]
pub struct Stream {
    session: Rc<Session>,
    id: u32,
    /// What its request's head has that its parsed form does not show.
    head: Option<Head>,
    began: Tick,
    /// How long the answer may stand still.
    patience: Cell<Duration>,
    /// Whether it moved since somebody looked.
    moved: Cell<bool>,
    /// Only for an answer that has to wait for its client or its upstream.
    timer: OnceCell<Timer>,
    /// Pieces that are not written yet.
    pieces: Cell<usize>,
    waiting: RefCell<Option<Waker>>,
    /// How much of the answer can be passed on at once.
    offered: Cell<usize>,
    /// Whether its answer stood still for too long.
    late: Cell<bool>,
    /// Whether the body is being read.
    body_wanted: Cell<bool>,
    /// What nobody read of it.
    body_left: RefCell<Option<RecvStream>>,
    /// Whether its run has ended.
    over: Cell<bool>,
    /// Of a CONNECT that asks for one (RFC 8441 §4).
    protocol: Option<HeaderValue>,
    takeover: Slot,
    /// Whether it is to end in the middle of its answer.
    cut: Cell<bool>,
}

/// Whether a client waits before it sends its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expects {
    Nothing,
    /// `100 Continue`.
    Continue,
}

impl Stream {
    pub(super) fn open(session: &Rc<Session>, id: StreamId, protocol: Option<HeaderValue>) -> Rc<Self> {
        let id = id.as_u32();
        session.stream_opened();
        Rc::new(Self {
            session: Rc::clone(session),
            id,
            head: session.head(id),
            began: session.conn().deadlines().coarse_now(),
            patience: Cell::new(Duration::ZERO),
            moved: Cell::new(false),
            timer: OnceCell::new(),
            pieces: Cell::new(0),
            waiting: RefCell::new(None),
            offered: Cell::new(0),
            late: Cell::new(false),
            body_wanted: Cell::new(false),
            body_left: RefCell::new(None),
            over: Cell::new(false),
            protocol,
            takeover: Slot::default(),
            cut: Cell::new(false),
        })
    }

    pub(crate) fn conn(&self) -> &Conn {
        self.session.conn()
    }

    /// The service has the request.
    pub(crate) fn request_started(&self, limits: Limits) -> Option<Head> {
        self.patience.set(limits.response_idle);
        self.session.limit(limits);
        self.head
    }

    /// Its answer may pause for so long.
    pub(crate) fn may_pause(&self, idle: Duration) {
        self.patience.set(idle);
    }

    /// Whether the request's trailers have what only heads have.
    pub(super) fn had_pseudo_trailers(&self) -> bool {
        self.session.had_pseudo_trailers(self.id)
    }

    pub(crate) const fn protocol(&self) -> Option<&HeaderValue> {
        self.protocol.as_ref()
    }

    pub(crate) fn hand_over(&self, takeover: Takeover) {
        self.takeover.put(takeover);
    }

    pub(super) fn taken_over(&self) -> Option<Takeover> {
        self.takeover.take()
    }

    /// Keeps what [`hand_over`](Self::hand_over) was given until the answer is dropped, and no longer.
    pub(super) const fn forget_takeover(&self) -> Forget<'_> {
        Forget(&self.takeover)
    }

    pub(crate) fn cut(&self) {
        self.cut.set(true);
    }

    pub(super) const fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// A piece of the answer moved, or of the request's body.
    pub(crate) fn moved(&self) {
        self.moved.set(true);
    }

    pub(super) fn wants_body(&self) {
        self.body_wanted.set(true);
    }

    /// Whether `request` is one whose client waits to be told to go on.
    pub(super) fn expects_to_be_told(request: &Request<RecvStream>) -> Expects {
        let mut values = request.headers().get_all(EXPECT).iter();
        let expects = values.any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        if expects && !request.body().is_end_stream() { Expects::Continue } else { Expects::Nothing }
    }

    pub(super) fn is_body_wanted(&self) -> bool {
        self.body_wanted.get()
    }

    /// Nobody reads `body` any further. While its stream goes on it is kept: without it the stream ends with its answer.
    pub(super) fn leave_body(&self, body: RecvStream) {
        if !self.over.get() {
            *self.body_left.borrow_mut() = Some(body);
        }
    }

    /// What [`leave_body`](Self::leave_body) was given.
    pub(super) fn left_body(&self) -> Option<RecvStream> {
        self.body_left.take()
    }

    pub(super) fn piece_begun(&self, bytes: usize, fit: Fit) {
        self.session.sends(bytes, fit);
        self.pieces.set(self.pieces.get() + 1);
    }

    /// So much of a piece was written.
    pub(super) fn piece_moved(&self, bytes: usize) {
        self.room().give_back(bytes);
        self.moved();
    }

    /// A piece was written, or what is left of it never will be.
    pub(super) fn piece_ended(&self, left: usize) {
        self.room().give_back(left);
        self.pieces.set(self.pieces.get().saturating_sub(1));
        self.moved();
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// For what the answers of its connection have to be written.
    fn room(&self) -> &Room {
        self.session.room()
    }

    /// How much of all answers of its connection can be handed over now.
    pub(super) fn room_left(&self) -> usize {
        self.room().left()
    }

    /// Ready with how much that is, once it is anything.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<usize> {
        self.room().poll_left(self.id, cx)
    }

    /// So much of the answer could be passed on now, for all that is known.
    pub(super) fn offer(&self, bytes: usize) {
        self.offered.set(bytes);
    }

    pub(crate) const fn offered(&self) -> usize {
        self.offered.get()
    }

    /// Ready once every piece is written.
    pub(super) fn poll_written(&self, cx: &Context<'_>) -> Poll<()> {
        if self.pieces.get() == 0 {
            return Poll::Ready(());
        }
        *self.waiting.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready once the answer stood still for too long.
    pub(super) fn poll_overdue(&self, cx: &Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_init(|| {
            self.moved();
            self.conn().deadlines().timer()
        });
        if self.moved.take() {
            timer.set(self.patience.get());
        }
        let fired = timer.poll_fired(cx);
        self.late.set(fired.is_ready());
        fired
    }

    pub(in crate::server) const fn stood_still(&self) -> bool {
        self.late.get()
    }

    /// Its answer was delivered.
    pub(super) fn delivered(&self) {
        self.session.stream_delivered();
    }

    /// Its client took the request back.
    pub(super) fn taken_back(&self) {
        self.session.stream_taken_back(self.began);
    }

    pub(super) fn closed(&self) {
        self.over.set(true);
        drop(self.left_body());
        self.session.stream_closed(self.id);
    }
}
