//! Serving one client connection: hyper drives it, [`Conn`] keeps its phase and its limits of time.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
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

use super::conn::Conn;
use super::takeover::{Bare, Forget};

/// Bytes of an unread body that are taken and thrown away so that the client sees its answer instead of a reset.
const LINGER_BYTES: usize = 16 * 1024 * 1024;
/// How long that may take.
const LINGER: Duration = Duration::from_secs(5);
/// Answers up to this size, fields included, are written in one piece.
const SMALL: usize = 4096;

/// The answer to bytes that are no request.
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

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
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.conn.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut room = [MaybeUninit::uninit(); SMALL];
        let mut whole = ReadBuf::uninit(&mut room);
        let outcome = match flatten(bufs, &mut whole) {
            Some(whole) => Pin::new(&mut self.stream).poll_write(cx, whole),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        };
        self.conn.wrote(&outcome);
        outcome
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

/// The pieces in one, when they fit: copying so little costs less than the vectored call.
fn flatten<'a>(pieces: &[io::IoSlice<'_>], whole: &'a mut ReadBuf<'_>) -> Option<&'a [u8]> {
    if pieces.iter().map(|piece| piece.len()).sum::<usize>() > whole.capacity() {
        return None;
    }
    for piece in pieces {
        whole.put_slice(piece);
    }
    Some(whole.filled())
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
    /// It was to end in the middle of an answer.
    Cut,
}

/// Serves one connection to its end, whoever takes it over included. `slow_head` is written when a request's fields do not arrive in time.
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
    let _forget = Forget(conn);
    let io = TokioIo::new(Watched { stream, conn: Rc::clone(conn) });
    let mut http = http.serve_connection(io, service);
    let end = poll_fn(|cx| {
        // First what has arrived: a request that is there already is answered.
        if let Poll::Ready(result) = Pin::new(&mut http).poll(cx) {
            return Poll::Ready(result.map_or_else(End::Failed, |()| End::Done));
        }
        if conn.is_cut() {
            return Poll::Ready(End::Cut);
        }
        if conn.poll_overdue(cx).is_ready() {
            return Poll::Ready(if conn.is_in_head() { End::SlowHead } else { End::Closed });
        }
        if conn.is_to_end() { Poll::Ready(End::Closed) } else { Poll::Pending }
    })
    .await;
    let parts = http.into_parts();
    let stream = parts.io.into_inner().stream;
    match conn.taken_over() {
        Some(takeover) if matches!(end, End::Done) => takeover(Bare { stream, read: parts.read_buf }).await,
        _ => end_connection(stream, conn, end, slow_head).await,
    }
}

async fn end_connection(mut stream: TcpStream, conn: &Conn, end: End, slow_head: impl FnOnce() -> Vec<u8>) {
    let cut_short = matches!(end, End::Failed(_) | End::Closed);
    if conn.is_cut() || cut_short && conn.is_all_that_ends_the_answer() {
        // An orderly end would tell the client that it has all of the answer.
        reset(&stream);
        return;
    }
    match end {
        End::Done if conn.has_left_body() || has_unread(&stream) => linger(&mut stream).await,
        End::Done | End::Closed | End::Cut => {}
        End::Failed(error) => {
            tracing::debug!(peer = %conn.peer, %error, "a client connection failed");
            if conn.is_in_unanswered_head() {
                // hyper says nothing to a head that is cut off, nor to HTTP/2.
                let _ = stream.try_write(BAD_REQUEST);
                linger(&mut stream).await;
            } else if error.is_parse() || conn.has_left_body() {
                linger(&mut stream).await;
            }
        }
        End::SlowHead => turn_away(stream, &slow_head()).await,
    }
}

/// Makes the end of a socket a reset, which no reader takes for the end of what was sent, and throws away what waits to
/// be sent.
pub fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Whether bytes have come that nobody read.
fn has_unread(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Ok(1..))
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
    // On the heap: as an array it would be part of every connection's future from its beginning.
    let mut scrap = vec![0; 16 * 1024];
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
