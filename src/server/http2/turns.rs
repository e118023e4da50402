//! A connection's socket as h2 has it: read in turns, written by way of the [`Outbox`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::outbox::Outbox;
use super::session::Session;
use crate::server::watched::{Socket, Watched};

/// What may be read at once: frames cost their sender less than their reader, and others wait.
const TURN: usize = 64 * 1024;

/// The socket.
pub(super) struct Turns {
    io: Watched<Session>,
    session: Rc<Session>,
    outbox: Rc<Outbox>,
}

impl Turns {
    pub(super) fn new(socket: &Socket, ahead: Vec<u8>, session: &Rc<Session>, outbox: &Rc<Outbox>) -> Self {
        let io = Watched::new(socket, ahead, Rc::clone(session));
        Self { io, session: Rc::clone(session), outbox: Rc::clone(outbox) }
    }
}

impl AsyncRead for Turns {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.session.has_read() >= TURN {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.session.reads(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Turns {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.outbox.poll_put(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.outbox.poll_put(cx, bufs)
    }

    /// Otherwise h2 would copy what it writes before it is copied here.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.outbox.look())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.outbox.poll_out(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::mem::MaybeUninit;
    use std::task::Waker;

    use socket2::SockRef;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::server::http2::tests::session;

    /// However much there is.
    #[tokio::test]
    async fn no_more_is_read_in_a_turn_than_it_has_room_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let session = session();
        let socket = Rc::new(RefCell::new(stream.into()));
        let outbox = Outbox::new(&socket, &Rc::default());
        let mut turns = Turns::new(&socket, vec![0; 4 * TURN], &session, &outbox);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..4 {
            session.begin_turn();
            let mut room = vec![0; 4096];
            loop {
                let mut buf = ReadBuf::new(&mut room);
                if Pin::new(&mut turns).poll_read(&mut cx, &mut buf).is_pending() {
                    break;
                }
            }
            assert_eq!(session.has_read(), TURN);
        }
    }

    /// h2 flushes after each larger piece: what it flushes goes out when the driver's turn ends.
    #[tokio::test]
    async fn a_flush_writes_nothing_and_an_end_writes_all() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let socket = Rc::new(RefCell::new(stream.into()));
        let outbox = Outbox::new(&socket, &Rc::default());
        let mut turns = Turns::new(&socket, Vec::new(), &session(), &outbox);
        turns.write_all(&[7; 1000]).await.unwrap();
        turns.flush().await.unwrap();
        let come = || SockRef::from(&client).peek(&mut [MaybeUninit::uninit(); 2000]);
        assert_eq!(come().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        turns.shutdown().await.unwrap();
        assert_eq!(come().unwrap(), 1000);
    }
}
