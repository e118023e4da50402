//! One client connection: hyper drives it, [`Conn`] keeps its phase, and every phase has its limit of time.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::deadline::{Deadlines, Timer};
use super::head_scan::HeadScan;
use crate::web::client_address::AddressText;
use crate::web::forwarded::PortText;

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
    /// The address of the socket's other end as upstreams are told it, made once.
    pub peer_text: AddressText,
    /// The port of the socket's own end, likewise.
    pub port_text: PortText,
    phase: Cell<Phase>,
    limits: Cell<Limits>,
    timer: Timer,
    body_left: Cell<bool>,
    /// Bytes of an answer may wait in hyper for the client to read.
    unsent: Cell<bool>,
    head: Cell<HeadScan>,
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
    /// From now on each answer is the last on its connection.
    pub fn start(&self) {
        self.0.set(Ending::LastRequests);
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
        limits: Limits,
        deadlines: &Rc<Deadlines>,
        drain: Rc<Drain>,
    ) -> Rc<Self> {
        let timer = deadlines.timer();
        timer.set(limits.first_byte);
        Rc::new(Self {
            peer,
            peer_text: AddressText::new(peer.ip().to_canonical()),
            port_text: PortText::new(local.port()),
            phase: Cell::new(Phase::FirstByte),
            limits: Cell::new(limits),
            timer,
            body_left: Cell::new(false),
            unsent: Cell::new(false),
            head: Cell::default(),
            drain,
        })
    }

    /// The fields of a request are complete: from here the service watches the time.
    pub fn request_started(&self, limits: Limits) {
        self.limits.set(limits);
        self.phase.set(Phase::Busy);
        self.timer.clear();
    }

    /// The answer begins to flow.
    pub fn answer_started(&self) {
        self.phase.set(Phase::Answer);
        self.unsent.set(true);
        self.timer.set(self.limits.get().response_idle);
    }

    /// A piece of the answer was handed over.
    pub fn answer_moved(&self) {
        self.unsent.set(true);
        self.wrote();
    }

    /// The answer is complete, though the client may not have taken all of it.
    pub fn request_ended(&self) {
        self.head.set(HeadScan::default());
        self.phase.set(Phase::Idle);
        let limits = self.limits.get();
        self.timer.set(if self.unsent.get() { limits.response_idle } else { limits.idle });
    }

    /// The socket took bytes.
    fn wrote(&self) {
        if self.phase.get() == Phase::Answer || self.phase.get() == Phase::Idle && self.unsent.get() {
            self.timer.set(self.limits.get().response_idle);
        }
    }

    /// The socket took everything there was.
    fn flushed(&self) {
        if self.unsent.replace(false) && self.phase.get() == Phase::Idle {
            self.timer.set(self.limits.get().idle);
        }
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
        self.head.get()
    }

    fn came(&self, bytes: &[u8]) {
        if self.is_between_requests() {
            self.phase.set(Phase::Head);
            self.timer.set(self.limits.get().request_head);
        }
        if self.phase.get() == Phase::Head {
            let mut head = self.head.get();
            head.take(bytes);
            self.head.set(head);
        }
    }

    fn is_between_requests(&self) -> bool {
        matches!(self.phase.get(), Phase::FirstByte | Phase::Idle)
    }

    fn is_to_end(&self) -> bool {
        self.drain.0.get() == Ending::NoFurther && self.is_between_requests() && !self.unsent.get()
    }
}

/// The client's socket, telling its [`Conn`] what moves.
#[derive(Debug)]
struct Watched {
    stream: TcpStream,
    conn: Rc<Conn>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if let Some(bytes) = buf.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.conn.came(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.conn.wrote();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs))?;
        self.conn.wrote();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it has written all that it holds.
        self.conn.flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
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
    let io = TokioIo::new(Watched { stream, conn: Rc::clone(conn) });
    let mut http = http.serve_connection(io, service);
    let end = poll_fn(|cx| {
        // First what has arrived: a request that is there already is answered.
        if let Poll::Ready(result) = Pin::new(&mut http).poll(cx) {
            return Poll::Ready(result.map_or_else(End::Failed, |()| End::Done));
        }
        if conn.timer.poll_fired(cx).is_ready() {
            let slow_head = conn.phase.get() == Phase::Head;
            return Poll::Ready(if slow_head { End::SlowHead } else { End::Closed });
        }
        if conn.is_to_end() { Poll::Ready(End::Closed) } else { Poll::Pending }
    })
    .await;
    let mut stream = http.into_parts().io.into_inner().stream;
    match end {
        End::Done | End::Failed(_) if conn.body_left.get() => linger(&mut stream).await,
        End::Done | End::Closed => {}
        End::Failed(error) => tracing::debug!(peer = %conn.peer, %error, "a client connection failed"),
        // Within the answer before it another cannot begin.
        End::SlowHead if conn.unsent.get() => {}
        End::SlowHead => turn_away(stream, &slow_head()).await,
    }
}

/// Answers without having read a whole request, and ends the connection so that the client sees the answer.
pub async fn turn_away(mut stream: TcpStream, answer: &[u8]) {
    // The client is slow, not waiting: what does not fit its window is not worth waiting for.
    let _ = stream.try_write(answer);
    linger(&mut stream).await;
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
