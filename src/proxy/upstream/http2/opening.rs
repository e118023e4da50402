//! Opening a connection: it is there when the endpoint's settings have come, so that a server of another protocol is found
//! out before it gets a request, and so that it is known how many it takes.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{SEND_BUFFER, STREAM_WINDOW, STREAMS_MAX};
use crate::clock::Tick;
use crate::proxy::upstream::endpoint::connect;
use crate::proxy::upstream::failure::Failure;
use crate::proxy::upstream::fleet::Member;
use crate::server::deadline::Deadlines;
use crate::server::tls::Connector;
use crate::server::transport::Transport;

/// Stands for the number of streams that the endpoint allows until it has said one: no number that it can say.
const UNTOLD: usize = usize::MAX - 1;
/// The most bytes of an answer's fields, as HTTP/2 counts them.
const HEAD_MAX: u32 = 64 * 1024;
/// Streams that were given up and are remembered for a second, so that what still comes of them is expected.
const GIVEN_UP: usize = 1000;

/// Why there is no connection. Several requests can wait for one.
#[derive(Clone, Debug)]
pub(super) enum Unopened {
    Connect(Arc<io::Error>),
    Timeout,
    Handshake(Option<Arc<h2::Error>>),
}

impl From<Unopened> for Failure {
    fn from(why: Unopened) -> Self {
        match why {
            Unopened::Connect(error) => Self::Connect(io::Error::new(error.kind(), error)),
            Unopened::Timeout => Self::ConnectTimeout,
            Unopened::Handshake(error) => Self::Handshake(error),
        }
    }
}

/// An open connection: what begins requests, what moves frames, and its sign of life.
pub(super) type Opened = (SendRequest<Bytes>, Connection<Listened, Bytes>, Rc<Pulse>);

/// Makes a connection.
pub(super) async fn open(
    member: &Member,
    connector: Option<&Connector>,
    within: Duration,
    deadlines: &Rc<Deadlines>,
) -> Result<Opened, Unopened> {
    let opening = async {
        let connected = connect(member, connector).await;
        let stream = connected.map_err(|error| Unopened::Connect(Arc::new(error)))?;
        let pulse = Rc::new(Pulse::new(deadlines));
        let listened = Listened { stream, pulse: Rc::clone(&pulse) };
        let (requests, connection) =
            handshake(listened).await.map_err(|error| Unopened::Handshake(error.map(Arc::new)))?;
        Ok((requests, connection, pulse))
    };
    tokio::time::timeout(within, opening).await.unwrap_or(Err(Unopened::Timeout))
}

/// Sends the preface and waits for the endpoint's settings; without an error, it ended the connection instead.
async fn handshake(
    io: Listened,
) -> Result<(SendRequest<Bytes>, Connection<Listened, Bytes>), Option<h2::Error>> {
    let (requests, mut connection) = settings().handshake(io).await.map_err(Some)?;
    poll_fn(|cx| {
        let ended = Pin::new(&mut connection).poll(cx);
        if requests.current_max_send_streams() != UNTOLD {
            return Poll::Ready(Ok(()));
        }
        ended.map(|outcome| Err(outcome.err()))
    })
    .await?;
    Ok((requests, connection))
}

fn settings() -> Builder {
    let mut settings = Builder::new();
    settings
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        // Answers that their clients do not take hold up none that are taken.
        .initial_connection_window_size(STREAM_WINDOW * STREAMS_MAX as u32)
        .max_header_list_size(HEAD_MAX)
        .initial_max_send_streams(UNTOLD)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(GIVEN_UP)
        // Neither a wrong answer nor small pieces that nobody takes may cost the other requests their connection; what
        // the windows let in bounds both.
        .max_local_error_reset_streams(None)
        .data_frame_budget(usize::MAX);
    settings
}

/// A connection's sign of life.
#[derive(Debug)]
pub(super) struct Pulse {
    reads: Cell<u64>,
    last: Cell<Tick>,
    deadlines: Rc<Deadlines>,
}

impl Pulse {
    fn new(deadlines: &Rc<Deadlines>) -> Self {
        Self { reads: Cell::new(0), last: Cell::new(deadlines.coarse_now()), deadlines: Rc::clone(deadlines) }
    }

    pub(super) fn now(&self) -> Tick {
        self.deadlines.coarse_now()
    }

    /// Grows with everything that the endpoint says.
    pub(super) const fn count(&self) -> u64 {
        self.reads.get()
    }

    /// For how long the endpoint has said nothing.
    pub(super) fn silence(&self) -> Duration {
        self.now().since(self.last.get())
    }

    fn beat(&self) {
        self.reads.set(self.reads.get() + 1);
        self.last.set(self.now());
    }
}

/// A socket whose sign of life is taken note of.
#[derive(Debug)]
pub(super) struct Listened {
    stream: Transport,
    pulse: Rc<Pulse>,
}

impl AsyncRead for Listened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.pulse.beat();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Listened {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
