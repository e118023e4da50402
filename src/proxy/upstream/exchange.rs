//! One request and its answer on one connection: both directions are driven from one poll function, on the task of the
//! client's connection, without a task or a channel between.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use tokio::io::AsyncWrite;

use super::chunked::{self, Decoder, Step};
use super::connections::Place;
use super::failure::{BodyFailure, Failure};
use super::head::{self, Head, Interim};
use super::wire::Wire;
use crate::message::framing::{Asked, Framing, ResponseFraming};
use crate::message::trailers::{self, Nominated};
use crate::server::transport::Transport;

/// The limits of time of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between pieces of the client's body.
    pub request_body: Duration,
    /// Request sent → end of the answer's fields.
    pub answer: Duration,
    /// Who waits so long for an answer is woken once to look around.
    pub glance: Duration,
}

/// Whom the exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Client,
    Endpoint,
}

/// What is still to come of an answer's body.
#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunked(Decoder),
    UntilClose,
    Nothing,
}

/// A request on its way and its answer on the way back.
#[derive(Debug)]
pub struct Exchange<B> {
    wire: Wire,
    /// The client's body, until it is sent.
    body: Option<B>,
    chunked: bool,
    /// A piece of the body that is being written, and what follows it on the wire.
    data: Bytes,
    tail: &'static [u8],
    /// Whether anything was taken from the body: it can then not be sent again.
    taken: bool,
    /// Whether the endpoint stopped reading; its answer may come all the same.
    deaf: bool,
    begun: bool,
    /// Whether any byte came back.
    heard: bool,
    interim: Interim,
    /// Whether the endpoint waits for a body that it was told of and that nobody has.
    owes: bool,
    waiting: Waiting,
    patience: Patience,
    rest: Rest,
    keep_alive: bool,
    /// What came behind the answer's body.
    trailers: Option<Box<HeaderMap>>,
    nominated: Nominated,
}

impl<B> Exchange<B>
where
    B: Body<Data = Bytes, Error = BodyFailure> + Unpin,
{
    /// Begins an exchange; the request's fields stand in the connection's `out`.
    pub fn new(wire: Wire, body: Option<B>, framing: Framing, patience: Patience) -> Self {
        wire.timer.set_with_glance(patience.answer, patience.glance);
        let owes = body.is_none() && !matches!(framing, Framing::None | Framing::Length(0));
        Self {
            wire,
            chunked: framing == Framing::Chunked,
            body,
            data: Bytes::new(),
            tail: b"",
            taken: false,
            deaf: false,
            begun: false,
            heard: false,
            interim: Interim::default(),
            owes,
            waiting: Waiting::Endpoint,
            patience,
            rest: Rest::Nothing,
            keep_alive: false,
            trailers: None,
            nominated: Nominated::default(),
        }
    }

    /// The body, if nothing of it was taken; for another attempt.
    pub fn into_untouched(self) -> Option<Option<B>> {
        (!self.taken).then_some(self.body)
    }

    /// Whether the connection had carried a request before this one.
    pub fn was_used(&self) -> bool {
        self.wire.used
    }

    /// Sends the request and waits for the answer's fields.
    pub fn poll_head(&mut self, cx: &mut Context<'_>, asked: Asked) -> Poll<Result<Head, Failure>> {
        loop {
            self.drive_request(cx)?;
            match self.wire.poll_fill(cx, 0) {
                Poll::Pending => {
                    ready!(self.wire.timer.poll_fired(cx));
                    return Poll::Ready(Err(self.too_slow()));
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.closed(None))),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.closed(Some(error)))),
                Poll::Ready(Ok(_)) => self.heard = true,
            }
            if let Some(mut head) = head::take(&mut self.wire.read, asked, &mut self.interim)? {
                self.keep_alive = head.keep_alive;
                self.nominated = std::mem::take(&mut head.nominated);
                self.rest = match head.framing {
                    ResponseFraming::None => Rest::Nothing,
                    ResponseFraming::Length(length) => Rest::Length(length),
                    ResponseFraming::Chunked => Rest::Chunked(Decoder::Size),
                    ResponseFraming::Close => Rest::UntilClose,
                };
                self.wire.timer.clear();
                return Poll::Ready(Ok(head));
            }
        }
    }

    /// The next piece of the answer's body; `None` at its end. Where there is little `room` for it, little is read.
    pub fn poll_data(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<Option<Result<Bytes, Failure>>> {
        if let Err(failure) = self.drive_request(cx) {
            return Poll::Ready(Some(Err(failure)));
        }
        loop {
            match self.take_data() {
                Ok(Taken::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Taken::End) => return Poll::Ready(None),
                Ok(Taken::Nothing) => {}
                Err(failure) => return Poll::Ready(Some(Err(failure))),
            }
            let expected = match self.rest {
                Rest::Length(left) => left,
                Rest::UntilClose | Rest::Chunked(_) => u64::MAX,
                Rest::Nothing => 0,
            };
            let expected = expected.min(room as u64);
            match ready!(self.wire.poll_fill(cx, expected)) {
                Ok(0) if matches!(self.rest, Rest::UntilClose) => self.rest = Rest::Nothing,
                Ok(0) => return Poll::Ready(Some(Err(Failure::Truncated(None)))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(Failure::Truncated(Some(error))))),
            }
        }
    }

    /// What of the answer's body has been read already.
    fn take_data(&mut self) -> Result<Taken, Failure> {
        let read = &mut self.wire.read;
        match &mut self.rest {
            Rest::Nothing | Rest::Length(0) => Ok(Taken::End),
            Rest::Chunked(decoder) => match decoder.step(read).map_err(|why| Failure::Malformed(why.0))? {
                Step::Data(data) => Ok(Taken::Data(data)),
                Step::NeedMore => Ok(Taken::Nothing),
                Step::End(trailers) => {
                    self.rest = Rest::Nothing;
                    self.trailers = trailers;
                    Ok(Taken::End)
                }
            },
            _ if read.is_empty() => Ok(Taken::Nothing),
            Rest::UntilClose => Ok(Taken::Data(read.split().freeze())),
            Rest::Length(left) => {
                let count = read.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                Ok(Taken::Data(read.split_to(count).freeze()))
            }
        }
    }

    /// What of the trailers passes, once the body has ended.
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        let mut trailers = *self.trailers.take()?;
        trailers::strip(&mut trailers, &self.nominated, trailers::passes_down);
        (!trailers.is_empty()).then_some(trailers)
    }

    /// The whole body, when it has been read already: most answers are one piece. Only for one with a length.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        match self.rest {
            Rest::Nothing => Some(Bytes::new()),
            Rest::Length(length) if length <= self.wire.read.len() as u64 => {
                self.rest = Rest::Nothing;
                Some(self.wire.read.split_to(usize::try_from(length).ok()?).freeze())
            }
            _ => None,
        }
    }

    /// How many bytes of the body are still to come, if known.
    pub fn remaining(&self) -> Option<u64> {
        match self.rest {
            Rest::Nothing => Some(0),
            Rest::Length(left) => Some(left),
            Rest::Chunked(_) | Rest::UntilClose => None,
        }
    }

    /// The connection, if another request can follow on it: everything was sent and read, nothing stands behind it.
    pub fn into_reusable(self) -> Option<Wire> {
        let complete = matches!(self.rest, Rest::Nothing | Rest::Length(0));
        let sent = self.has_sent_all();
        let good = self.keep_alive && !self.deaf && !self.owes;
        (complete && sent && good && self.wire.read.is_empty()).then_some(self.wire)
    }

    /// Whether all of the request is sent.
    pub fn has_sent_all(&self) -> bool {
        self.body.is_none() && self.data.is_empty() && self.tail.is_empty() && self.wire.unsent().is_empty()
    }

    /// The socket, what came on it behind the answer, and its place among those that are counted, when HTTP is left.
    pub fn into_parts(self) -> (Transport, BytesMut, Option<Place>) {
        self.wire.into_parts()
    }

    /// Writes what can be written. Only the client's faults end the exchange here: an endpoint that stops reading may
    /// have answered.
    fn drive_request(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if !self.begun {
            self.begun = true;
            // A body that is there already goes out with the fields in one write.
            let _ = self.poll_take(cx)?;
        }
        while !self.deaf {
            match self.poll_write(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => {
                    self.deaf = true;
                    self.wait_for(Waiting::Endpoint);
                }
                Poll::Ready(Ok(())) if self.body.is_none() => return Ok(()),
                Poll::Ready(Ok(())) => {
                    if self.poll_take(cx)?.is_pending() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the next piece of the client's body; ready when there is one, or its end.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Failure> {
        let Some(body) = &mut self.body else { return Ok(Poll::Ready(())) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Pending => {
                if self.waiting == Waiting::Endpoint {
                    self.wait_for(Waiting::Client);
                }
                return Ok(Poll::Pending);
            }
            Poll::Ready(Some(frame)) => {
                self.taken = true;
                match frame?.into_data() {
                    Ok(data) => self.stage(data),
                    Err(frame) => self.end_body(frame.into_trailers().ok().as_ref()),
                }
                // Its length tells its end: an answer that comes now finds all of it sent.
                self.body.take_if(|body| !self.chunked && body.is_end_stream());
            }
            Poll::Ready(None) => self.end_body(None),
        }
        self.wait_for(Waiting::Endpoint);
        Ok(Poll::Ready(()))
    }

    /// The body is over; with a length it needs no end, and has no place for trailers.
    fn end_body(&mut self, trailers: Option<&HeaderMap>) {
        self.body = None;
        match trailers {
            _ if !self.chunked => {}
            Some(trailers) => chunked::write_end(&mut self.wire.out, trailers),
            None => self.tail = b"0\r\n\r\n",
        }
    }

    fn wait_for(&mut self, whom: Waiting) {
        self.waiting = whom;
        let Patience { request_body, answer, glance } = self.patience;
        match whom {
            Waiting::Client => self.wire.timer.set(request_body),
            Waiting::Endpoint => self.wire.timer.set_with_glance(answer, glance),
        }
    }

    /// Puts a piece of the body in line.
    fn stage(&mut self, data: Bytes) {
        if self.chunked && !data.is_empty() {
            chunked::write_size(&mut self.wire.out, data.len());
            self.tail = b"\r\n";
        }
        self.data = data;
    }

    /// Writes the fields, the piece of body and its tail; ready when all of it is written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let out = self.wire.out.get(self.wire.sent..).unwrap_or_default();
            let parts = [out, &*self.data, self.tail];
            let stream = Pin::new(&mut self.wire.stream);
            let written = match parts.map(<[u8]>::is_empty) {
                [true, true, true] => return stream.poll_flush(cx),
                [false, true, true] => ready!(stream.poll_write(cx, out))?,
                _ => ready!(stream.poll_write_vectored(cx, &parts.map(io::IoSlice::new)))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written(written);
            self.wait_for(Waiting::Endpoint);
        }
    }

    fn written(&mut self, mut count: usize) {
        let out = count.min(self.wire.unsent().len());
        self.wire.sent(out);
        count -= out;
        let data = count.min(self.data.len());
        self.data.advance(data);
        count -= data;
        self.tail = self.tail.get(count..).unwrap_or_default();
    }

    fn too_slow(&self) -> Failure {
        match self.waiting {
            Waiting::Client => Failure::SlowClient,
            Waiting::Endpoint => Failure::Timeout,
        }
    }

    fn closed(&self, source: Option<io::Error>) -> Failure {
        Failure::Closed { answered: self.heard, source }
    }
}

enum Taken {
    Data(Bytes),
    Nothing,
    End,
}
