//! A stream that HTTP was left on (RFC 8441): bytes both ways, within the windows of both sides.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::credit::Fit;
use super::piece::Piece;
use super::stream::Stream;

/// See the module.
pub struct Duplex {
    out: SendStream<Piece>,
    behind: RecvStream,
    /// Of what came, what was not taken yet.
    came: Bytes,
    ended: bool,
    stream: Rc<Stream>,
}

impl Duplex {
    pub(super) const fn new(out: SendStream<Piece>, behind: RecvStream, stream: Rc<Stream>) -> Self {
        Self { out, behind, came: Bytes::new(), ended: false, stream }
    }

    /// Breaks it off: what was sent is not all there was to be.
    pub fn reset(&mut self) {
        self.out.send_reset(Reason::CANCEL);
    }

    /// Whether its client broke it off.
    fn poll_broken_off(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.out.poll_reset(cx).map(|_| Err(io::ErrorKind::ConnectionReset.into()))
    }

    fn send(&mut self, bytes: Bytes, fit: Fit, end: bool) -> io::Result<()> {
        self.out.send_data(Piece::new(bytes, &self.stream, fit), end).map_err(io::Error::other)
    }
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.came.is_empty() {
            match ready!(self.behind.poll_data(cx)) {
                Some(Ok(data)) => self.came = data,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                // Trailers have no place in a tunnel (RFC 9113 §8.5); what they end is ended.
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.came.len().min(buf.remaining());
        buf.put_slice(self.came.get(..count).unwrap_or_default());
        self.came.advance(count);
        // It fails only for more than came.
        let _ = self.behind.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Poll::Ready(left) = self.stream.poll_room(cx) else { return self.poll_broken_off(cx) };
        self.out.reserve_capacity(buf.len());
        if self.out.capacity() == 0 {
            match self.out.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Poll::Pending => return self.poll_broken_off(cx),
            }
        }
        let count = self.out.capacity().min(buf.len()).min(left);
        if count == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let fit = if count == buf.len() { Fit::Whole } else { Fit::Cut };
        self.send(Bytes::copy_from_slice(buf.get(..count).unwrap_or_default()), fit, false)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            self.ended = true;
            self.send(Bytes::new(), Fit::Whole, true)?;
        }
        // What carries it is held until its last byte is on its way.
        match self.stream.poll_written(cx) {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            Poll::Pending => self.poll_broken_off(cx).map_ok(drop),
        }
    }
}
