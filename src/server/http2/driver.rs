//! Driving one connection: frames in and out, its streams, its end.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, StreamExt};
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;

use super::outbox::Outbox;
use super::piece::Piece;
use super::session::Session;
use super::turns::Turns;

/// Requests that are begun in one turn: others wait.
const REQUESTS: usize = 8;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// In good order.
    Done,
    /// By an error of its client's, which was told, or by a broken socket.
    Failed(h2::Error),
    /// What had to be said last could not be said in time.
    Closed,
}

/// Sends the settings and reads the preface.
pub(super) async fn handshake(
    io: Turns,
    outbox: &Outbox,
    session: &Session,
    http: &Builder,
) -> Result<Connection<Turns, Piece>, End> {
    let mut handshake = http.handshake(io);
    poll_fn(|cx| {
        session.begin_turn();
        let outcome = Pin::new(&mut handshake).poll(cx);
        let _ = outbox.poll_empty(cx);
        match outcome {
            Poll::Ready(outcome) => Poll::Ready(outcome.map_err(End::Failed)),
            Poll::Pending => session.poll_overdue(cx).map(|()| Err(End::Closed)),
        }
    })
    .await
}

/// What the client was told of the connection's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    /// That it should not begin more streams.
    ToLeave,
    /// That it ends now.
    TheEnd,
}

/// One connection with the streams that run on it.
pub(super) struct Driver<'a, R, D> {
    http: Connection<Turns, Piece>,
    outbox: Rc<Outbox>,
    session: &'a Session,
    streams: FuturesUnordered<D>,
    run: R,
    told: Told,
}

impl<'a, R, D> Driver<'a, R, D>
where
    R: FnMut(Request<RecvStream>, SendResponse<Piece>) -> D,
    D: Future<Output = ()>,
{
    /// Each request is run by `run`.
    pub(super) fn new(
        http: Connection<Turns, Piece>,
        outbox: Rc<Outbox>,
        session: &'a Session,
        run: R,
    ) -> Self {
        Self { http, outbox, session, streams: FuturesUnordered::new(), run, told: Told::Nothing }
    }

    /// Drives it to its end.
    pub(super) async fn run(mut self) -> End {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.session.begin_turn();
        loop {
            let end = self.turn(cx);
            let (said, waited) = (!self.outbox.is_empty(), self.outbox.waits());
            // What cannot be written now is when the socket wakes the task.
            let written = self.outbox.poll_empty(cx).is_ready();
            if waited.is_some() && self.outbox.waits() != waited {
                self.session.took();
            }
            // An end may have waited for the last of it.
            if end.is_ready() || !(said && written && self.session.is_to_end()) {
                return end;
            }
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Poll::Ready(end) = self.poll_streams(cx) {
                return Poll::Ready(end);
            }
            let reason = match self.poll_limits(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(reason) => reason,
            };
            match (self.told, reason) {
                (Told::TheEnd, _) => return Poll::Ready(End::Closed),
                (_, Some(reason)) => {
                    self.told = Told::TheEnd;
                    self.session.says_the_end();
                    self.http.abrupt_shutdown(reason);
                }
                (_, None) => {
                    self.told = Told::ToLeave;
                    self.http.graceful_shutdown();
                }
            }
        }
    }

    /// First what has been answered, then what has come, and what that leads to at once.
    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let mut begun = 0;
        loop {
            while let Poll::Ready(Some(())) = self.streams.poll_next_unpin(cx) {}
            if begun >= REQUESTS {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut new = false;
            while begun < REQUESTS {
                match self.http.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, reply)))) => {
                        new = true;
                        begun += 1;
                        self.streams.push((self.run)(request, reply));
                    }
                    Poll::Ready(Some(Err(error))) => {
                        return Poll::Ready(self.last_pass(cx, End::Failed(error)));
                    }
                    Poll::Ready(None) => return Poll::Ready(self.last_pass(cx, End::Done)),
                    Poll::Pending => break,
                }
            }
            if !new {
                return Poll::Pending;
            }
            // Who asks and leaves is seen to be gone before anything is asked for it.
            let _ = self.outbox.poll_empty(cx);
            if self.outbox.has_failed()
                && let Poll::Ready(Some(Err(error))) = self.http.poll_accept(cx)
            {
                return Poll::Ready(End::Failed(error));
            }
        }
    }

    /// What came together with the end is passed on, where a tunnel waits for it.
    fn last_pass(&mut self, cx: &mut Context<'_>, end: End) -> End {
        while let Poll::Ready(Some(())) = self.streams.poll_next_unpin(cx) {}
        end
    }

    /// Ready when the client has to be told something: with a reason, that the connection ends now.
    fn poll_limits(&self, cx: &Context<'_>) -> Poll<Option<Reason>> {
        let overdue = self.session.poll_overdue(cx).is_ready();
        if self.told == Told::TheEnd {
            return if overdue { Poll::Ready(None) } else { Poll::Pending };
        }
        if self.session.is_lost() {
            return Poll::Ready(Some(Reason::PROTOCOL_ERROR));
        }
        if self.session.is_abused() {
            return Poll::Ready(Some(Reason::ENHANCE_YOUR_CALM));
        }
        if overdue || self.session.is_to_end() && self.outbox.is_empty() {
            return Poll::Ready(Some(Reason::NO_ERROR));
        }
        let news = self.told == Told::Nothing && self.session.conn().draining();
        if news { Poll::Ready(None) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::task::Waker;
    use std::time::Duration;

    use http::Response;
    use socket2::SockRef;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    use super::*;
    use crate::server::http2::Stream;
    use crate::server::http2::credit::Fit;
    use crate::server::http2::tests::{session, session_to_end};
    use crate::server::transport::Transport;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

    /// A GET of `/` on each of so many streams.
    fn requests(count: u32) -> Vec<u8> {
        let request = |number: u32| {
            let head = [&b"\0\0\x06\x01\x05"[..], &(2 * number + 1).to_be_bytes()].concat();
            [&head[..], b"\x82\x84\x86\x41\x01a"].concat()
        };
        [PREFACE.to_vec(), (0..count).flat_map(request).collect()].concat()
    }

    #[tokio::test]
    async fn of_many_requests_that_came_at_once_some_are_begun_in_a_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let session = session();
        let socket = Rc::new(RefCell::new(stream.into()));
        let outbox = Outbox::new(&socket, &Rc::default());
        let io = Turns::new(&socket, requests(20), &session, &outbox);
        let http = handshake(io, &outbox, &session, &Builder::new()).await.expect("it begins");
        let mut begun = 0;
        let run = |_, reply: SendResponse<Piece>| {
            begun += 1;
            async move {
                std::future::pending::<()>().await;
                drop(reply);
            }
        };
        let mut driver = Driver::new(http, outbox, &session, run);
        let mut turns = Vec::new();
        for _ in 0..4 {
            let before = driver.streams.len();
            assert!(driver.poll(&mut Context::from_waker(Waker::noop())).is_pending());
            turns.push(driver.streams.len() - before);
        }
        drop(driver);
        assert_eq!((turns, begun), (vec![REQUESTS, REQUESTS, 4, 0], 20));
    }

    /// Its upstreams would be asked for nobody.
    #[tokio::test]
    async fn nothing_is_begun_for_a_client_that_asks_and_leaves() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let session = session();
        let socket = Rc::new(RefCell::new(Transport::from(stream)));
        let outbox = Outbox::new(&socket, &Rc::default());
        let io = Turns::new(&socket, requests(5), &session, &outbox);
        let http = handshake(io, &outbox, &session, &Builder::new()).await.expect("it begins");
        // As after a reset that was not read yet: nothing can be written any more.
        SockRef::from(socket.borrow().socket()).shutdown(std::net::Shutdown::Write).unwrap();
        let begun = std::cell::Cell::new(0);
        let run = |_, reply: SendResponse<Piece>| {
            let begun = &begun;
            async move {
                begun.set(begun.get() + 1);
                drop(reply);
            }
        };
        let end = Driver::new(http, outbox, &session, run).run().await;
        assert!(matches!(end, End::Failed(_)), "{end:?}");
        assert_eq!(begun.get(), 0);
    }

    /// Its stream is over, and yet its client has not got all of it.
    #[tokio::test]
    async fn an_end_waits_for_what_a_slow_client_has_not_taken() {
        const LENGTH: usize = 60_000;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let narrow = TcpSocket::new_v4().unwrap();
        narrow.set_recv_buffer_size(4096).unwrap();
        let mut client = narrow.connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        SockRef::from(&stream).set_send_buffer_size(4096).unwrap();
        let (session, drain, deadlines, clock) = session_to_end();
        let socket = Rc::new(RefCell::new(stream.into()));
        let outbox = Outbox::new(&socket, &Rc::default());
        let io = Turns::new(&socket, requests(1), &session, &outbox);
        let http = handshake(io, &outbox, &session, &Builder::new()).await.expect("it begins");
        let run = |_, mut reply: SendResponse<Piece>| {
            let stream = Stream::open(&session, reply.stream_id(), None);
            async move {
                let mut out = reply.send_response(Response::new(()), false).unwrap();
                let body = Piece::new(vec![7; LENGTH].into(), &stream, Fit::Whole);
                out.send_data(body, true).unwrap();
                poll_fn(|cx| stream.poll_written(cx)).await;
                stream.closed();
            }
        };
        let mut driver = Driver::new(http, Rc::clone(&outbox), &session, run);
        let mut cx = Context::from_waker(Waker::noop());
        while !driver.streams.is_empty() || outbox.waits().is_none() {
            assert!(driver.poll(&mut cx).is_pending());
            tokio::task::yield_now().await;
        }
        drain.start(&deadlines);
        drain.end_idle(&deadlines);
        for _ in 0..3 {
            assert!(driver.poll(&mut cx).is_pending(), "what waits is not to be cut");
            // Longer than what is told last may wait.
            clock.advance(Duration::from_secs(2));
            deadlines.tick();
        }
        // A task of its own: what wakes it is not to wake the driver.
        let reading = tokio::spawn(async move {
            let mut came = Vec::new();
            client.read_to_end(&mut came).await.map(|_| came)
        });
        let end = tokio::select! {
            biased;
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("nothing wakes it when all is taken"),
            end = driver.run() => end,
        };
        drop((outbox, socket));
        let came = reading.await.unwrap().unwrap();
        assert!(matches!(end, End::Done), "{end:?}");
        assert_eq!(came.iter().filter(|byte| **byte == 7).count() / LENGTH, 1);
        // The last that is said is GOAWAY.
        assert_eq!(came[came.len() - 14], 7);
    }
}
