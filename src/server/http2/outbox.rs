//! What a connection has to say, gathered while its task is polled and written in one piece: a write of its own for each
//! answer, and under TLS a record, costs more than half of what the answer costs.
//!
//! h2 flushes after each larger piece of a body; here that does nothing. The driver [empties](Outbox::poll_empty) the
//! outbox at the end of each turn, so that nothing waits for a turn that may not come: when the task sleeps, either all
//! was written or the socket wakes it.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::server::watched::Socket;

/// Bytes that are gathered at most: four records of TLS.
const MOST: usize = 64 * 1024;
/// Buffers that are kept for the connections of one listener on one worker.
const SPARE: usize = 16;

/// The buffers of one listener on one worker that no connection has anything in.
#[derive(Debug, Default)]
pub struct Spare(RefCell<Vec<Vec<u8>>>);

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.0.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(MOST))
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        let mut spare = self.0.borrow_mut();
        if buffer.capacity() >= MOST && spare.len() < SPARE {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Outbox {
    socket: Socket,
    spare: Rc<Spare>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Without room where nothing waits.
    gathered: Vec<u8>,
    /// How much of it is written.
    written: usize,
    /// Whether the socket has anything that it was not made to send.
    unflushed: bool,
    /// Whether some of it had to wait when a turn ended.
    stuck: bool,
    /// For whoever writes or flushes next.
    error: Option<io::Error>,
}

impl Outbox {
    pub(super) fn new(socket: &Socket, spare: &Rc<Spare>) -> Rc<Self> {
        Rc::new(Self { socket: Rc::clone(socket), spare: Rc::clone(spare), state: RefCell::default() })
    }

    /// Takes as much of the pieces as there is room for; what finds none waits for the socket.
    pub(super) fn poll_put(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        state.look()?;
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        if state.waiting() + length > MOST {
            match state.poll_write(&self.socket, cx) {
                Poll::Ready(done) => done?,
                Poll::Pending if state.waiting() >= MOST => return Poll::Pending,
                Poll::Pending => {}
            }
        }
        if state.gathered.capacity() == 0 {
            state.gathered = self.spare.take();
        }
        state.forget_written();
        let before = state.waiting();
        for piece in pieces {
            let room = MOST - state.waiting();
            state.gathered.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
        }
        Poll::Ready(Ok(state.waiting() - before))
    }

    /// Whether the socket has all that was put here, and sends it.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.state.borrow();
        state.waiting() == 0 && !state.unflushed
    }

    /// Whether what was left of a turn waits for the socket; how much of it, to tell whether it moves.
    pub(super) fn waits(&self) -> Option<(usize, u64)> {
        let state = self.state.borrow();
        state.stuck.then(|| (state.waiting(), self.socket.borrow().sent_below()))
    }

    /// Whether something went wrong that h2 was not told yet.
    pub(super) fn has_failed(&self) -> bool {
        self.state.borrow().error.is_some()
    }

    /// What went wrong since the last time.
    pub(super) fn look(&self) -> io::Result<()> {
        self.state.borrow_mut().look()
    }

    /// Writes what was gathered, for who ends the connection.
    pub(super) fn poll_out(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.borrow_mut().poll_out(&self.socket, cx)
    }

    /// Writes what was gathered. Pending: some of it waits, and the task is woken when the socket takes more. An error is
    /// kept for h2, which is woken for it.
    pub(super) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        let outcome = state.poll_out(&self.socket, cx);
        state.stuck = outcome.is_pending();
        match outcome {
            Poll::Pending => {
                state.shrink(&self.spare);
                return Poll::Pending;
            }
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                state.error = Some(error);
                cx.waker().wake_by_ref();
            }
        }
        state.written = 0;
        self.spare.give_back(mem::take(&mut state.gathered));
        Poll::Ready(())
    }
}

impl State {
    fn look(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }

    const fn waiting(&self) -> usize {
        self.gathered.len() - self.written
    }

    fn forget_written(&mut self) {
        self.gathered.drain(..mem::take(&mut self.written));
    }

    /// Lets a client that takes nothing hold no more than what waits for it.
    fn shrink(&mut self, spare: &Spare) {
        if self.waiting() < MOST / 2 && self.gathered.capacity() >= MOST {
            let waiting = self.gathered.get(self.written..).unwrap_or_default().to_vec();
            spare.give_back(mem::replace(&mut self.gathered, waiting));
            self.written = 0;
        }
    }

    fn poll_out(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write(socket, cx))?;
        if self.unflushed {
            ready!(Pin::new(&mut *socket.borrow_mut()).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.gathered.get(self.written..).filter(|rest| !rest.is_empty()) {
            self.unflushed = true;
            match ready!(Pin::new(&mut *socket.borrow_mut()).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::mem::MaybeUninit;
    use std::task::Waker;

    use socket2::SockRef;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::server::transport::Transport;

    struct Scene {
        outbox: Rc<Outbox>,
        spare: Rc<Spare>,
        client: TcpStream,
    }

    impl Scene {
        async fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            server.writable().await.unwrap();
            let (socket, spare) = (Rc::new(RefCell::new(Transport::from(server))), Rc::default());
            Self { outbox: Outbox::new(&socket, &spare), spare, client }
        }

        /// How much of this it takes; `None` = nothing.
        fn put(&self, length: usize) -> Option<usize> {
            let bytes = vec![7; length];
            let (head, rest) = bytes.split_at(length / 3);
            let cx = &mut Context::from_waker(Waker::noop());
            match self.outbox.poll_put(cx, &[IoSlice::new(head), IoSlice::new(rest)]) {
                Poll::Ready(taken) => Some(taken.unwrap()),
                Poll::Pending => None,
            }
        }

        fn empty(&self) -> Poll<()> {
            self.outbox.poll_empty(&mut Context::from_waker(Waker::noop()))
        }

        /// Fills whatever there is between it and its client.
        fn fill(&self) -> usize {
            let mut taken = 0;
            while self.empty().is_ready() {
                taken += self.put(MOST).unwrap();
            }
            taken
        }

        fn held(&self) -> (usize, usize) {
            let state = self.outbox.state.borrow();
            (state.waiting(), state.gathered.capacity())
        }

        fn spare(&self) -> usize {
            self.spare.0.borrow().len()
        }
    }

    #[tokio::test]
    async fn nothing_is_written_before_the_end_of_a_turn_and_then_all_at_once() {
        let scene = Scene::new().await;
        for _ in 0..32 {
            assert_eq!(scene.put(1024), Some(1024));
        }
        let come = || SockRef::from(&scene.client).peek(&mut [MaybeUninit::uninit(); 2 * MOST]);
        assert_eq!(come().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!((scene.empty(), scene.held(), scene.spare()), (Poll::Ready(()), (0, 0), 1));
        assert_eq!(come().unwrap(), 32 * 1024);
    }

    #[tokio::test]
    async fn no_more_is_gathered_than_there_is_room_for_and_the_socket_wakes_who_waits() {
        let mut scene = Scene::new().await;
        let filled = scene.fill();
        while scene.put(1000).is_some() {}
        assert_eq!(scene.held().0, MOST);
        let more = poll_fn(|cx| scene.outbox.poll_put(cx, &[IoSlice::new(&[7; 1000])]));
        let mut came = vec![0; filled - MOST];
        let (taken, read) = tokio::join!(more, scene.client.read_exact(&mut came));
        assert_eq!((taken.unwrap(), read.unwrap()), (1000, came.len()));
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_holds_what_waits_for_it_and_no_more() {
        let scene = Scene::new().await;
        scene.fill();
        // The socket may leave any part of the last of it: without that part it is known what waits.
        scene.outbox.state.take();
        scene.put(100).unwrap();
        assert!(scene.empty().is_pending());
        assert_eq!((scene.held(), scene.spare()), ((100, 100), 1));
        assert_eq!(scene.put(10), Some(10));
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told_to_who_writes_next() {
        let Scene { outbox, client, .. } = Scene::new().await;
        drop(client);
        let failed = poll_fn(|cx| {
            let _ = outbox.poll_put(cx, &[IoSlice::new(&[7; 1000])])?;
            ready!(outbox.poll_empty(cx));
            match outbox.look() {
                Ok(()) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                failed => Poll::Ready(failed),
            }
        });
        failed.await.unwrap_err();
        outbox.look().unwrap();
    }
}
