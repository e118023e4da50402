//! One connection to an endpoint: what it has room for, and whether it is still of use.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::Request;
use tokio::sync::Notify;

use super::STREAMS_MAX;
use super::opening::{Listened, Pulse};
use super::receiving;
use crate::clock::Tick;
use crate::proxy::upstream::connections::Place;
use crate::server::deadline::Timer;

/// How long a whole connection has to be silent for an exchange that is given up to cast doubt on it.
const SILENCE: Duration = Duration::from_secs(5);
/// How long an answer that has come whole may take to say so.
const END_WITHIN: Duration = Duration::from_secs(1);

/// A connection to an endpoint. Belongs to one worker.
#[derive(Debug)]
pub(super) struct Link {
    /// What begins requests; `None` once it begins no more.
    requests: RefCell<Option<SendRequest<Bytes>>>,
    /// Requests on it.
    active: Cell<usize>,
    /// Whether it has carried a request before.
    used: Cell<bool>,
    idle_since: Cell<Tick>,
    pulse: Rc<Pulse>,
    /// Answers of which nothing but the end is to come, and since when.
    ending: RefCell<Vec<(RecvStream, Tick)>>,
    /// When the first of them has had its time.
    timer: Timer,
}

impl Link {
    pub(super) fn new(requests: SendRequest<Bytes>, pulse: Rc<Pulse>, timer: Timer) -> Self {
        Self {
            requests: RefCell::new(Some(requests)),
            active: Cell::new(0),
            used: Cell::new(false),
            idle_since: Cell::new(pulse.now()),
            pulse,
            ending: RefCell::default(),
            timer,
        }
    }

    /// How many requests more can be begun on it now; `None` if none ever.
    pub(super) fn room(&self) -> Option<usize> {
        let mut requests = self.requests.borrow_mut();
        let open = requests.as_mut()?;
        // After a GOAWAY, an error or the last stream id it says that no more can begin.
        if !matches!(open.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(()))) {
            *requests = None;
            return None;
        }
        let most = open.current_max_send_streams().min(STREAMS_MAX);
        Some(most.saturating_sub(self.active.get() + self.ending.borrow().len()))
    }

    /// How many requests are on it.
    pub(super) const fn active(&self) -> usize {
        self.active.get()
    }

    /// Whether the endpoint allows requests on it at all.
    pub(super) fn allows_any(&self) -> bool {
        self.requests.borrow().as_ref().is_some_and(|requests| requests.current_max_send_streams() > 0)
    }

    /// Begins no more requests on it; those that are on it go on.
    pub(super) fn retire(&self) {
        self.requests.borrow_mut().take();
    }

    /// Whether it has had no request for `after`.
    pub(super) fn is_idle(&self, now: Tick, after: Duration) -> bool {
        self.active.get() == 0 && now.since(self.idle_since.get()) >= after
    }

    /// Waits for the end of an answer that has come whole: a reset would tell the endpoint that nobody wanted it.
    fn let_end(&self, answer: RecvStream) {
        let mut ending = self.ending.borrow_mut();
        if ending.is_empty() {
            self.timer.set(END_WITHIN);
        }
        ending.push((answer, self.pulse.now()));
    }

    fn poll_ends(&self, cx: &Context<'_>) {
        let mut ending = self.ending.borrow_mut();
        ending.retain_mut(|(answer, _)| receiving::poll_end(answer).is_pending());
        if self.timer.poll_fired(cx).is_ready() {
            let now = self.pulse.now();
            ending.retain(|(_, since)| now.since(*since) < END_WITHIN);
            self.timer.set(END_WITHIN);
        }
        if ending.is_empty() {
            self.timer.clear();
        }
    }
}

/// A place for one request on a connection.
#[derive(Debug)]
pub(super) struct Seat {
    link: Rc<Link>,
    freed: Rc<Notify>,
    /// What the connection had said when the request took its place.
    heard: u64,
    was_used: bool,
}

impl Seat {
    /// Takes a place, for which there has to be room.
    pub(super) fn take(link: &Rc<Link>, freed: &Rc<Notify>) -> Self {
        link.active.set(link.active.get() + 1);
        let was_used = link.used.replace(true);
        Self { link: Rc::clone(link), freed: Rc::clone(freed), heard: link.pulse.count(), was_used }
    }

    /// Whether the connection had carried a request before this one.
    pub(super) const fn was_used(&self) -> bool {
        self.was_used
    }

    /// Begins the request, `whole` when no body follows.
    pub(super) fn begin(
        &self,
        request: Request<()>,
        whole: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        // A clone does not wait for the request before it to be written.
        let open = self.link.requests.borrow().clone();
        match open {
            Some(mut requests) => requests.send_request(request, whole),
            None => Err(h2::Reason::REFUSED_STREAM.into()),
        }
    }

    /// The request took too long: if the connection said nothing at all meanwhile, it may be dead.
    pub(super) fn gave_up(&self) {
        if self.link.pulse.count() == self.heard {
            self.link.retire();
        }
    }

    /// The exchange ends before its answer did, for whatever reason.
    pub(super) fn abandoned(&self) {
        if self.link.pulse.silence() >= SILENCE {
            self.gave_up();
        }
    }

    /// Nothing but the end of the answer is to come.
    pub(super) fn let_end(&self, answer: RecvStream) {
        self.link.let_end(answer);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let active = self.link.active.get().saturating_sub(1);
        self.link.active.set(active);
        if active == 0 {
            self.link.idle_since.set(self.link.pulse.now());
        }
        self.freed.notify_one();
    }
}

/// The task of a connection: moves its frames until it ends.
pub(super) struct Driver {
    pub(super) connection: Connection<Listened, Bytes>,
    pub(super) link: Rc<Link>,
    pub(super) freed: Rc<Notify>,
    /// The room it had for requests when it was last looked at.
    pub(super) room: Option<usize>,
    /// Its place among those that are counted, as long as it is there.
    pub(super) _place: Option<Place>,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let outcome = Pin::new(&mut self.connection).poll(cx);
        self.link.poll_ends(cx);
        let room = self.link.room();
        if room != self.room || outcome.is_ready() {
            self.room = room;
            self.freed.notify_waiters();
        }
        outcome.map(|outcome| {
            self.link.retire();
            self.link.ending.borrow_mut().clear();
            if let Err(error) = outcome {
                tracing::debug!(%error, "an upstream connection of HTTP/2 failed");
            }
        })
    }
}
