//! One client connection: hyper drives it, [`Conn`] keeps its phase, and every phase has its limit of time.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::deadline::{Deadlines, Timer};
use super::head_scan::HeadScan;
use super::reach::{BodyEnd, Reach};
use super::watched::Watched;

/// Bytes of an unread body that are taken and thrown away so that the client sees its answer instead of a reset.
const LINGER_BYTES: usize = 1024 * 1024;
/// How long that may take.
const LINGER: Duration = Duration::from_secs(2);

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
    /// The socket's own end.
    pub local: SocketAddr,
    phase: Cell<Phase>,
    limits: Cell<Limits>,
    timer: Timer,
    body_left: Cell<bool>,
    reach: Cell<Reach>,
    /// Who waits for the next message while bytes of it are held back.
    held_back: RefCell<Option<Waker>>,
    drain: Rc<Drain>,
}

/// A worker's word that it is ending: connections finish what they have and close.
#[derive(Debug, Default)]
pub struct Drain(Cell<bool>);

impl Drain {
    /// Tells every connection of `deadlines`' worker.
    pub fn start(&self, deadlines: &Deadlines) {
        self.0.set(true);
        deadlines.wake_all();
    }

    /// Whether the worker is ending.
    #[must_use]
    pub fn started(&self) -> bool {
        self.0.get()
    }
}

impl Conn {
    /// A connection that was just accepted; the limit for its first byte runs.
    #[must_use]
    pub fn new(
        peer: SocketAddr,
        local: SocketAddr,
        limits: Limits,
        deadlines: &Rc<Deadlines>,
        drain: Rc<Drain>,
    ) -> Rc<Self> {
        let timer = deadlines.timer();
        timer.set(limits.first_byte);
        Rc::new(Self {
            peer,
            local,
            phase: Cell::new(Phase::FirstByte),
            limits: Cell::new(limits),
            timer,
            body_left: Cell::new(false),
            reach: Cell::default(),
            held_back: RefCell::default(),
            drain,
        })
    }

    /// The fields of a request are complete, and its body ends as said: from here the service watches the time.
    pub fn request_started(&self, limits: Limits, body: BodyEnd) {
        self.move_on(|reach| reach.body(body));
        self.limits.set(limits);
        self.phase.set(Phase::Busy);
        self.timer.clear();
    }

    /// The answer begins to flow.
    pub fn answer_started(&self) {
        self.phase.set(Phase::Answer);
        self.timer.set(self.limits.get().response_idle);
    }

    /// A piece of the answer moved.
    pub fn answer_moved(&self) {
        if self.phase.get() == Phase::Answer {
            self.timer.set(self.limits.get().response_idle);
        }
    }

    /// The answer is complete.
    pub fn request_ended(&self) {
        self.move_on(Reach::answered);
        self.phase.set(Phase::Idle);
        self.timer.set(self.limits.get().idle);
    }

    /// The request's body was not read to its end.
    pub fn leave_body(&self) {
        self.body_left.set(true);
    }

    /// Whether the worker is ending.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.drain.started()
    }

    /// What was seen of the current request's head before hyper read it.
    #[must_use]
    pub const fn head(&self) -> HeadScan {
        self.reach.get().head()
    }

    /// Bytes came; gives how many of them belong to the message that is being read.
    pub(super) fn came(&self, bytes: &[u8]) -> usize {
        let mut reach = self.reach.get();
        let count = reach.take(bytes);
        self.reach.set(reach);
        if self.is_between_requests() && reach.has_begun() {
            self.phase.set(Phase::Head);
            self.timer.set(self.limits.get().request_head);
        }
        count
    }

    /// Wakes `waker` when the next message may be read.
    pub(super) fn hold_back(&self, waker: &Waker) {
        *self.held_back.borrow_mut() = Some(waker.clone());
    }

    fn move_on(&self, change: impl FnOnce(&mut Reach)) {
        let mut reach = self.reach.get();
        change(&mut reach);
        self.reach.set(reach);
        if let Some(waiting) = self.held_back.borrow_mut().take() {
            waiting.wake();
        }
    }

    fn is_between_requests(&self) -> bool {
        matches!(self.phase.get(), Phase::FirstByte | Phase::Idle)
    }
}

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// hyper is done with it.
    Done,
    /// A client error that hyper answered, or a broken connection.
    Failed(hyper::Error),
    /// A request's fields did not arrive in time.
    SlowHead,
    /// Any other phase lasted too long, or the worker ends.
    Closed,
}

/// Serves one connection to its end. `slow_head` is written when a request's fields do not arrive in time.
pub async fn serve<S, B>(
    stream: TcpStream,
    conn: &Rc<Conn>,
    http: &http1::Builder,
    service: S,
    slow_head: impl FnOnce() -> Vec<u8>,
) where
    S: HttpService<Incoming, ResBody = B> + Unpin,
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>>,
    <S as HttpService<Incoming>>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let io = TokioIo::new(Watched::new(stream, Rc::clone(conn)));
    let mut http = http.serve_connection(io, service);
    let mut draining = false;
    let end = poll_fn(|cx| {
        if conn.draining() && !draining {
            draining = true;
            Pin::new(&mut http).graceful_shutdown();
        }
        if let Poll::Ready(result) = Pin::new(&mut http).poll(cx) {
            return Poll::Ready(result.map_or_else(End::Failed, |()| End::Done));
        }
        if conn.timer.poll_fired(cx).is_ready() {
            let slow_head = conn.phase.get() == Phase::Head;
            return Poll::Ready(if slow_head { End::SlowHead } else { End::Closed });
        }
        // hyper keeps a connection that never carried a request; nothing is lost by closing it.
        if draining && conn.is_between_requests() {
            return Poll::Ready(End::Closed);
        }
        Poll::Pending
    })
    .await;
    let mut stream = http.into_parts().io.into_inner().into_stream();
    match end {
        End::Done | End::Failed(_) if conn.body_left.get() => linger(&mut stream).await,
        End::Done | End::Closed => {}
        End::Failed(error) => tracing::debug!(peer = %conn.peer, %error, "a client connection failed"),
        End::SlowHead => {
            // The client is slow, not waiting: what does not fit its window is not worth waiting for.
            let _ = stream.try_write(&slow_head());
            linger(&mut stream).await;
        }
    }
}

/// Ends our side and reads the other's rest within bounds: closing with unread bytes would reset the connection and
/// could take the answer with it.
async fn linger(stream: &mut TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut scrap = [0; 4096];
    let mut left = LINGER_BYTES;
    let mut until = pin!(tokio::time::sleep(LINGER));
    while left > 0 {
        let read = tokio::select! {
            read = stream.read(&mut scrap) => read,
            () = &mut until => return,
        };
        match read {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.saturating_sub(count),
        }
    }
}
