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
        let end = self.turn(cx);
        // Whether some of it has to wait is the socket's to say: it wakes the task.
        let _ = self.outbox.poll_empty(cx);
        end
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
        if overdue || self.session.is_to_end() {
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

    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::server::http2::tests::session;

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
}
