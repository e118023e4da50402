//! A connection's socket as h2 has it: read in turns.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::session::Session;
use crate::server::watched::{Socket, Watched};

/// What may be read at once: frames cost their sender less than their reader, and others wait.
const TURN: usize = 64 * 1024;

/// The socket.
pub(super) struct Turns {
    io: Watched<Session>,
    session: Rc<Session>,
}

impl Turns {
    pub(super) fn new(socket: &Socket, ahead: Vec<u8>, session: &Rc<Session>) -> Self {
        Self { io: Watched::new(socket, ahead, Rc::clone(session)), session: Rc::clone(session) }
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
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::task::Waker;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::server::http2::tests::session;

    /// However much there is.
    #[tokio::test]
    async fn no_more_is_read_in_a_turn_than_it_has_room_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let session = session();
        let mut turns = Turns::new(&Rc::new(RefCell::new(stream.into())), vec![0; 4 * TURN], &session);
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
}
