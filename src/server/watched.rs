//! A client's socket as hyper reads it: one head or one body at a time, and every byte told to its connection.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connection::Conn;

/// The client's socket, telling its [`Conn`] what moves.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    conn: Rc<Conn>,
    /// Bytes of the next message. While there are any, nothing more is read.
    held: Vec<u8>,
}

impl Watched {
    pub(super) const fn new(stream: TcpStream, conn: Rc<Conn>) -> Self {
        Self { stream, conn, held: Vec::new() }
    }

    /// The socket; what is held is lost.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Hands out what is held, as far as it belongs to the message that is being read.
    fn hand_out(&mut self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<()> {
        let room = self.held.len().min(buf.remaining());
        let count = self.conn.came(self.held.get(..room).unwrap_or_default());
        if count == 0 {
            self.conn.hold_back(cx.waker());
            return Poll::Pending;
        }
        buf.put_slice(self.held.get(..count).unwrap_or_default());
        self.held.drain(..count);
        Poll::Ready(())
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            return self.hand_out(cx, buf).map(Ok);
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        let count = self.conn.came(bytes);
        if count == bytes.len() {
            return Poll::Ready(Ok(()));
        }
        self.held = bytes.get(count..).unwrap_or_default().to_vec();
        buf.set_filled(before + count);
        if count == 0 { self.hand_out(cx, buf).map(Ok) } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.conn.answer_moved();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs))?;
        self.conn.answer_moved();
        Poll::Ready(Ok(written))
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
