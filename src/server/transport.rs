//! A connection's socket, in clear or under TLS. What is written may still wait below: who wrote flushes.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use socket2::SockRef;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// See the module.
#[derive(Debug)]
pub enum Transport {
    /// The socket itself.
    Clear(TcpStream),
    /// TLS on it, its handshake done.
    Tls(Box<TlsStream<Counted>>),
}

/// The socket below TLS.
#[derive(Debug)]
pub struct Counted {
    stream: TcpStream,
    /// Bytes that it took.
    sent: u64,
}

impl Counted {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, sent: 0 }
    }
}

impl From<TcpStream> for Transport {
    fn from(stream: TcpStream) -> Self {
        Self::Clear(stream)
    }
}

impl Transport {
    /// The socket itself.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Clear(stream) => stream,
            Self::Tls(tls) => &tls.get_ref().0.stream,
        }
    }

    /// The protocol that was agreed upon under TLS (RFC 7301), if any.
    #[must_use]
    pub fn agreed(&self) -> Option<&[u8]> {
        match self {
            Self::Clear(_) => None,
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol(),
        }
    }

    /// How much of what waited below was taken so far; in clear nothing waits.
    pub(super) fn sent_below(&self) -> u64 {
        match self {
            Self::Clear(_) => 0,
            Self::Tls(tls) => tls.get_ref().0.sent,
        }
    }

    /// Whether there is something to be read; not, at its end. What there is stays where it is.
    pub(super) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self {
            Self::Clear(stream) => poll_peek(stream, cx),
            Self::Tls(tls) => Pin::new(tls).poll_fill_buf(cx).map_ok(|came| !came.is_empty()),
        }
    }

    /// Whether bytes have come that nobody read, as far as the runtime has heard.
    pub(super) fn has_unread(&mut self) -> bool {
        match self {
            Self::Clear(stream) => matches!(stream.try_read(&mut [0; 1]), Ok(1..)),
            Self::Tls(_) => {
                matches!(self.poll_ahead(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(true)))
            }
        }
    }

    /// Writes what can be written at once.
    pub(super) fn try_write(&mut self, bytes: &[u8]) {
        match self {
            Self::Clear(stream) => drop(stream.try_write(bytes)),
            Self::Tls(tls) => {
                let cx = &mut Context::from_waker(Waker::noop());
                if Pin::new(&mut *tls).poll_write(cx, bytes).is_ready() {
                    let _ = Pin::new(tls).poll_flush(cx);
                }
            }
        }
    }

    /// Tells the other side that nothing follows, where only TLS could: the socket's own end comes with its closing.
    pub(super) fn say_end(&mut self) {
        if let Self::Tls(tls) = self {
            let _ = Pin::new(tls).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }

    /// Whether nothing came, not even an end, as far as the runtime has heard.
    #[must_use]
    pub fn is_quiet(&mut self) -> bool {
        match self {
            Self::Clear(stream) => {
                let peek = || SockRef::from(&*stream).peek(&mut [MaybeUninit::uninit()]);
                would_block(stream.try_io(Interest::READABLE, peek))
            }
            // Tickets and the like are taken in.
            Self::Tls(_) => self.poll_ahead(&mut Context::from_waker(Waker::noop())).is_pending(),
        }
    }

    /// The same by asking the system.
    #[must_use]
    pub fn is_silent(&mut self) -> bool {
        let asked = SockRef::from(self.socket()).peek(&mut [MaybeUninit::uninit()]);
        would_block(asked) && (matches!(self, Self::Clear(_)) || self.is_quiet())
    }
}

fn would_block(outcome: io::Result<usize>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Reading would make room for a whole request each time it is tried; here nothing is read.
fn poll_peek(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        let peek = || SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]);
        match stream.try_io(Interest::READABLE, peek) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return Poll::Ready(outcome.map(|count| count > 0)),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Counted {
    fn count(&mut self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = outcome {
            self.sent += count as u64;
        }
        outcome
    }
}
