//! What is known of one client connection: its phase, and the limit of time that each phase has.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::ahead::Ahead;
use super::deadline::{Deadlines, Timer};
use super::follow::{Follower, Head};
use super::takeover::{Forget, Slot, Takeover};
use super::tls::Shown;
use super::watched::Watch;
use crate::web::client_address::AddressText;
use crate::web::forwarded::{PortText, Scheme};

/// How long each phase of a connection may last.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Accepted → first byte.
    pub first_byte: Duration,
    /// First byte of a request → end of its fields.
    pub request_head: Duration,
    /// Between requests.
    pub idle: Duration,
    /// Between pieces of an answer.
    pub response_idle: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Accepted, nothing received.
    FirstByte,
    /// Part of a request's fields received.
    Head,
    /// The service has the request and watches the time itself.
    Busy,
    /// The answer is being sent.
    Answer,
    /// Between requests.
    Idle,
}

/// What a connection's driver, its socket and the service share. Lives on one worker.
#[derive(Debug)]
pub struct Conn {
    /// The socket's other end.
    pub peer: SocketAddr,
    /// The address of the socket's other end as upstreams are told it, made once.
    pub peer_text: AddressText,
    /// The port of the socket's own end, likewise.
    pub port_text: PortText,
    /// How it is secured.
    pub scheme: Scheme,
    /// The certificate of its client. Apart, lest every connection has room for it.
    pub(super) shown: OnceCell<Rc<Shown>>,
    phase: Cell<Phase>,
    limits: Cell<Limits>,
    timer: Timer,
    body_left: Cell<bool>,
    follower: RefCell<Follower>,
    /// Whether the end of the connection is all that ends the answer.
    answer_ends_with_it: Cell<bool>,
    /// Whether bytes wait because the client takes none.
    held_back: Cell<bool>,
    /// What of an answer waits to be written.
    ahead_of_client: Ahead,
    /// Whether anything was written since a head began.
    spoke: Cell<bool>,
    /// Whether its answer stood still for too long.
    late: Cell<bool>,
    /// Whether it is to end now, in the middle of an answer.
    cut: Cell<bool>,
    takeover: Slot,
    /// Whether the client was seen to have sent more than the current request.
    ahead: Cell<bool>,
    drain: Rc<Drain>,
}

/// A worker's word that it is ending.
#[derive(Debug, Default)]
pub struct Drain(Cell<Ending>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    No,
    /// Answers say that they are the last on their connection. A connection without a request stays: its client was
    /// promised that it may send one, and may be sending it.
    LastRequests,
    /// Connections without a request end.
    NoFurther,
}

impl Drain {
    /// From now on each answer is the last on its connection; connections of HTTP/2 tell their clients now. Whoever
    /// waits for a limit of `deadlines` is woken, to see it.
    pub fn start(&self, deadlines: &Deadlines) {
        self.0.set(Ending::LastRequests);
        deadlines.wake_all();
    }

    /// From now on connections of `deadlines`' worker end as soon as they have no request.
    pub fn end_idle(&self, deadlines: &Deadlines) {
        self.0.set(Ending::NoFurther);
        deadlines.wake_all();
    }

    /// Whether the worker is ending.
    #[must_use]
    pub fn started(&self) -> bool {
        self.0.get() != Ending::No
    }
}

impl Conn {
    /// A connection that was just accepted; the limit for its first byte runs.
    #[must_use]
    pub fn new(
        peer: SocketAddr,
        local: SocketAddr,
        scheme: Scheme,
        limits: Limits,
        deadlines: &Rc<Deadlines>,
        drain: Rc<Drain>,
    ) -> Rc<Self> {
        deadlines.now();
        let timer = deadlines.timer();
        timer.set(limits.first_byte);
        Rc::new(Self {
            peer,
            peer_text: AddressText::new(peer.ip().to_canonical()),
            port_text: PortText::new(local.port()),
            scheme,
            shown: OnceCell::new(),
            phase: Cell::new(Phase::FirstByte),
            limits: Cell::new(limits),
            timer,
            body_left: Cell::new(false),
            follower: RefCell::default(),
            answer_ends_with_it: Cell::new(false),
            held_back: Cell::new(false),
            ahead_of_client: Ahead::default(),
            spoke: Cell::new(false),
            late: Cell::new(false),
            cut: Cell::new(false),
            takeover: Slot::default(),
            ahead: Cell::new(false),
            drain,
        })
    }

    /// What comes before HTTP is over: from here its first byte has its time.
    pub(super) fn awaits_first_byte(&self) {
        self.timer.set(self.limits.get().first_byte);
    }

    /// The fields of a request are complete: from here the service watches the time. Gives what its head has that its
    /// parsed form does not show; `None` when that could not be followed.
    #[must_use]
    pub fn request_started(&self, limits: Limits) -> Option<Head> {
        self.limits.set(limits);
        self.phase.set(Phase::Busy);
        self.timer.clear();
        self.body_left.set(false);
        self.ahead.set(false);
        self.answer_ends_with_it.set(false);
        self.follower.borrow_mut().next_head()
    }

    /// The answer may pause for so long, whatever the limits of the connection say.
    pub fn answer_may_pause(&self, idle: Duration) {
        self.limits.set(Limits { response_idle: idle, ..self.limits.get() });
    }

    /// The answer begins to flow.
    pub fn answer_started(&self) {
        self.phase.set(Phase::Answer);
        self.timer.set(self.limits.get().response_idle);
    }

    /// Its length is unknown to the client: cutting the connection short must not look like its end.
    pub fn answer_ends_with_connection(&self) {
        self.answer_ends_with_it.set(true);
    }

    /// A piece of the answer moved, or of a request's body that is still coming meanwhile.
    pub fn answer_moved(&self) {
        match self.phase.get() {
            Phase::Answer => self.timer.set(self.limits.get().response_idle),
            // The end of an answer can still be on its way to a slow client.
            Phase::Idle => self.timer.set(self.limits.get().idle),
            Phase::FirstByte | Phase::Head | Phase::Busy => {}
        }
    }

    /// What of an answer waits to be written.
    pub(super) const fn ahead_of_client(&self) -> &Ahead {
        &self.ahead_of_client
    }

    /// The answer is complete, as far as the service can tell: its end may still have to be sent.
    pub fn request_ended(&self) {
        if self.follower.borrow().has_begun_another() {
            return self.head_began();
        }
        self.phase.set(Phase::Idle);
        self.timer.set(self.limits.get().idle);
    }

    fn head_began(&self) {
        self.spoke.set(false);
        self.phase.set(Phase::Head);
        self.timer.set(self.limits.get().request_head);
    }

    /// Whether the worker ends and the connection can be closed without losing anything.
    pub(super) fn is_to_end(&self) -> bool {
        self.ends_idle() && self.is_done_with()
    }

    /// Whether the worker ends and keeps no connection that has nothing to do.
    pub(super) fn ends_idle(&self) -> bool {
        self.drain.0.get() == Ending::NoFurther
    }

    /// Whether the connection can be closed and nothing is lost.
    fn is_done_with(&self) -> bool {
        self.is_between_requests() && !self.held_back.get()
    }

    /// The answer that begins now is the last that is HTTP; `takeover` goes on with the socket when it is written, and
    /// what the client sends from here on is followed by nobody.
    pub fn hand_over(&self, takeover: Takeover) {
        self.follower.borrow_mut().stop();
        self.takeover.put(takeover);
    }

    /// What [`hand_over`](Self::hand_over) was given, once. No limit of time runs from here on.
    pub(super) fn taken_over(&self) -> Option<Takeover> {
        let takeover = self.takeover.take()?;
        self.timer.clear();
        Some(takeover)
    }

    /// Keeps what [`hand_over`](Self::hand_over) was given until the answer is dropped, and no longer.
    pub(super) const fn forget_takeover(&self) -> Forget<'_> {
        Forget(&self.takeover)
    }

    /// Ends the connection as soon as its task is polled, so that an answer in flight does not look complete.
    pub fn cut(&self) {
        self.cut.set(true);
    }

    /// Whether [`cut`](Self::cut) was called.
    pub(super) const fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// The request's body was not read to its end.
    pub fn leave_body(&self) {
        self.body_left.set(true);
    }

    /// Whether [`leave_body`](Self::leave_body) was called for the current request.
    #[must_use]
    pub const fn has_left_body(&self) -> bool {
        self.body_left.get()
    }

    /// Whether the worker is ending.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.drain.started()
    }

    /// Whether the current request's body has come whole, read or not.
    #[must_use]
    pub fn body_came_whole(&self) -> bool {
        self.follower.borrow().is_past_body()
    }

    /// Whether the end of the current request's body, which has been read, could be another for another parser.
    #[must_use]
    pub fn is_end_of_body_doubtful(&self) -> bool {
        self.follower.borrow().is_end_doubtful()
    }

    /// Whether all of a request has come and its answer is not complete: until then the client sends nothing, or a next
    /// request ahead of time.
    pub(super) fn waits_for_its_answer(&self) -> bool {
        let follower = self.follower.borrow();
        matches!(self.phase.get(), Phase::Busy | Phase::Answer)
            && !self.ahead.get()
            && follower.is_past_body()
            && !follower.has_begun_another()
    }

    /// The client has sent more than the current request: it need not be asked any more whether it is there.
    pub(super) fn sends_ahead(&self) {
        self.ahead.set(true);
    }

    /// Whether the client is to be told that its head is late; not in the middle of an answer.
    pub(super) fn is_in_head(&self) -> bool {
        self.phase.get() == Phase::Head && !self.held_back.get()
    }

    /// Whether a head has begun and the client was told nothing of it.
    pub(super) fn is_in_unanswered_head(&self) -> bool {
        self.is_in_head() && !self.spoke.get()
    }

    /// Ready once the current phase has lasted too long.
    pub(super) fn poll_overdue(&self, cx: &Context<'_>) -> Poll<()> {
        self.timer.poll_fired(cx)
    }

    /// The current phase has lasted too long.
    pub(super) fn is_late(&self) {
        self.late.set(self.phase.get() == Phase::Answer);
    }

    pub(super) const fn stood_still(&self) -> bool {
        self.late.get()
    }

    /// Whether bytes wait because the client takes none.
    pub(super) const fn is_held_back(&self) -> bool {
        self.held_back.get()
    }

    pub(super) const fn timer(&self) -> &Timer {
        &self.timer
    }

    pub(super) fn deadlines(&self) -> &Rc<Deadlines> {
        self.timer.owner()
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits.get()
    }

    /// Goes by these limits from now on.
    pub(super) fn limit(&self, limits: Limits) {
        self.limits.set(limits);
    }

    pub(super) const fn is_all_that_ends_the_answer(&self) -> bool {
        self.answer_ends_with_it.get()
    }

    fn is_between_requests(&self) -> bool {
        matches!(self.phase.get(), Phase::FirstByte | Phase::Idle)
    }
}

impl Watch for Conn {
    fn came(&self, bytes: &[u8]) {
        let mut follower = self.follower.borrow_mut();
        follower.take(bytes);
        // What comes between requests can be the rest of a body that nobody read.
        if self.is_between_requests() && follower.has_begun_another() {
            self.head_began();
        }
    }

    fn wrote(&self, outcome: &Poll<io::Result<usize>>) {
        let was_held_back = self.held_back.replace(outcome.is_pending());
        let Poll::Ready(Ok(bytes)) = outcome else {
            self.ahead_of_client.stalled();
            return;
        };
        self.ahead_of_client.wrote(*bytes);
        self.spoke.set(true);
        self.answer_moved();
        if was_held_back && self.phase.get() == Phase::Head {
            // The next head may have to wait for the last answer.
            self.head_began();
        }
    }
}

#[cfg(test)]
mod tests;
