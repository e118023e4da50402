//! The client's socket, telling whoever keeps the connection's state what moves on it.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::transport::Transport;

/// Answers up to this size, fields included, are written in one piece.
const SMALL: usize = 4096;

/// What wants to know what moves on a socket.
pub trait Watch {
    /// These bytes came.
    fn came(&self, bytes: &[u8]);
    /// A write came to this.
    fn wrote(&self, outcome: &Poll<io::Result<usize>>);
}

/// A client's socket: the protocol reads and writes it, the driver looks whether the client is still there, and has it in
/// the end.
pub(super) type Socket = Rc<RefCell<Transport>>;

/// The socket as the protocol has it.
#[derive(Debug)]
pub(super) struct Watched<W> {
    socket: Socket,
    /// What came, and was told, before anybody knew what to make of it.
    ahead: Vec<u8>,
    /// How much of that has been read.
    read: usize,
    watch: Rc<W>,
}

impl<W> Watched<W> {
    /// A socket from which `ahead` was read already.
    pub(super) fn new(socket: &Socket, ahead: Vec<u8>, watch: Rc<W>) -> Self {
        Self { socket: Rc::clone(socket), ahead, read: 0, watch }
    }

    fn read_ahead(&mut self, buf: &mut ReadBuf<'_>) {
        let left = self.ahead.get(self.read..).unwrap_or_default();
        let count = left.len().min(buf.remaining());
        buf.put_slice(left.get(..count).unwrap_or_default());
        self.read += count;
        if self.read >= self.ahead.len() {
            self.ahead = Vec::new();
        }
    }
}

impl<W: Watch> AsyncRead for Watched<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            self.read_ahead(buf);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut *self.socket.borrow_mut()).poll_read(cx, buf))?;
        if let Some(bytes) = buf.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.watch.came(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: Watch> AsyncWrite for Watched<W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut *self.socket.borrow_mut()).poll_write(cx, buf);
        self.watch.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut room = [MaybeUninit::uninit(); SMALL];
        let mut whole = ReadBuf::uninit(&mut room);
        let outcome = match flatten(bufs, &mut whole) {
            Some(whole) => Pin::new(&mut *self.socket.borrow_mut()).poll_write(cx, whole),
            None => Pin::new(&mut *self.socket.borrow_mut()).poll_write_vectored(cx, bufs),
        };
        self.watch.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut *self.socket.borrow_mut();
        let before = socket.sent_below();
        let outcome = Pin::new(&mut *socket).poll_flush(cx);
        // What TLS had taken is written when the socket takes it.
        if socket.sent_below() != before {
            self.watch.wrote(&Poll::Ready(Ok(1)));
        }
        if outcome.is_pending() {
            self.watch.wrote(&Poll::Pending);
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket.borrow_mut()).poll_shutdown(cx)
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
