//! One request and its answer on one stream, polled by the task of the client's connection.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::ResponseFuture;
use http::{HeaderMap, Request, StatusCode};
use http_body::Body;

use super::head;
use super::link::Seat;
use super::receiving;
use super::upload::{Apart, Upload, Watch};
use crate::message::framing::{Asked, ResponseFraming};
use crate::message::trailers::{self, Nominated};
use crate::proxy::upstream::Patience;
use crate::proxy::upstream::failure::{BodyFailure, Failure};
use crate::proxy::upstream::head::{Head, Interim};
use crate::server::deadline::Timer;

/// Where the request's body is sent from.
#[derive(Debug)]
enum Sending<B: 'static> {
    /// From here.
    Here(Upload<B>),
    /// From a task of its own, since the answer began.
    Apart(Apart<B>),
    /// No more.
    Done,
}

/// A request on its way and its answer on the way back.
#[derive(Debug)]
pub struct Exchange<B: 'static> {
    asked: ResponseFuture,
    answer: Option<RecvStream>,
    sending: Sending<B>,
    watch: Rc<Watch>,
    /// How much of the answer's body is to come, if it was told.
    left: Option<u64>,
    /// Whether the answer is one that has no body.
    bodiless: bool,
    /// Whether any of the answer has come.
    heard: bool,
    interim: Interim,
    trailers: Option<HeaderMap>,
    /// Whether the answer has come to its end.
    ended: bool,
    seat: Seat,
}

impl<B> Exchange<B>
where
    B: Body<Data = Bytes, Error = BodyFailure> + Unpin + 'static,
{
    /// Begins the request; gives the body back if it cannot be begun.
    pub(super) fn begin(
        seat: Seat,
        request: Request<()>,
        body: Option<B>,
        timer: Timer,
        patience: Patience,
    ) -> Result<Self, (h2::Error, Option<B>)> {
        let (asked, stream) = match seat.begin(request, body.is_none()) {
            Ok(begun) => begun,
            Err(error) => return Err((error, body)),
        };
        Ok(Self {
            asked,
            answer: None,
            sending: Sending::Here(Upload::new(stream, body)),
            watch: Rc::new(Watch::new(timer, patience)),
            left: None,
            bodiless: false,
            heard: false,
            interim: Interim::default(),
            trailers: None,
            ended: false,
            seat,
        })
    }

    /// The body, if nothing of it was taken; for another attempt.
    pub(super) fn take_untouched(&mut self) -> Option<Option<B>> {
        match std::mem::replace(&mut self.sending, Sending::Done) {
            Sending::Here(upload) => upload.into_untouched(),
            Sending::Apart(_) | Sending::Done => None,
        }
    }

    /// Whether the connection had carried a request before this one.
    pub(super) const fn was_used(&self) -> bool {
        self.seat.was_used()
    }

    /// Sends the request and waits for the answer's fields.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, asked: Asked) -> Poll<Result<Head, Failure>> {
        if let Sending::Here(upload) = &mut self.sending
            && let Poll::Ready(Err(failure)) = upload.poll(cx, &self.watch)
        {
            return Poll::Ready(Err(failure));
        }
        if let Poll::Ready(outcome) = self.poll_answer(cx, asked) {
            return Poll::Ready(outcome);
        }
        let failure = ready!(self.watch.poll_late(cx));
        if matches!(failure, Failure::Timeout) {
            self.seat.gave_up();
        }
        Poll::Ready(Err(failure))
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>, asked: Asked) -> Poll<Result<Head, Failure>> {
        while let Poll::Ready(Some(interim)) = self.asked.poll_informational(cx) {
            let interim = interim.map_err(|error| self.refused(error))?;
            self.heard = true;
            self.interim.one_more()?;
            if interim.status() == StatusCode::SWITCHING_PROTOCOLS {
                return Poll::Ready(Err(Failure::Malformed("it switches protocols")));
            }
        }
        let response = ready!(Pin::new(&mut self.asked).poll(cx)).map_err(|error| self.refused(error))?;
        let (parts, answer) = response.into_parts();
        let head = head::judge(parts, asked)?;
        self.left = match head.framing {
            ResponseFraming::None => Some(0),
            ResponseFraming::Length(length) => Some(length),
            ResponseFraming::Chunked | ResponseFraming::Close => None,
        };
        self.bodiless = head.framing == ResponseFraming::None;
        self.ended = answer.is_end_stream();
        self.answer = Some(answer);
        self.watch.end();
        self.send_apart();
        Poll::Ready(Ok(head))
    }

    fn send_apart(&mut self) {
        self.sending = match std::mem::replace(&mut self.sending, Sending::Done) {
            Sending::Here(upload) if !upload.is_done() => {
                Sending::Apart(Apart::new(upload, Rc::clone(&self.watch)))
            }
            sending => sending,
        };
    }

    /// The next piece of the answer's body; `None` at its end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let Some(answer) = self.answer.as_mut().filter(|_| !self.ended) else { return Poll::Ready(None) };
        match ready!(receiving::poll_piece(answer, cx)) {
            Some(Ok(data)) => {
                // h2 lets no more come than the length says.
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                self.ended = answer.is_end_stream();
                Poll::Ready(Some(Ok(data)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(self.broken(error)))),
            None => {
                let trailers = ready!(answer.poll_trailers(cx)).map_err(|error| self.broken(error));
                self.ended = true;
                match trailers {
                    Ok(trailers) => self.trailers = trailers,
                    Err(failure) => return Poll::Ready(Some(Err(failure))),
                }
                Poll::Ready(None)
            }
        }
    }

    /// What of the trailers passes, once the body has ended.
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        let mut trailers = self.trailers.take()?;
        trailers::strip(&mut trailers, &Nominated::default(), trailers::passes_down);
        (!trailers.is_empty()).then_some(trailers)
    }

    /// Whether nothing is left of the body, trailers included.
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether nothing follows that could matter.
    pub const fn is_bodiless(&self) -> bool {
        self.ended || self.bodiless
    }

    /// How many bytes of the body are still to come, if known.
    pub const fn remaining(&self) -> Option<u64> {
        if self.ended { Some(0) } else { self.left }
    }

    /// Why there is no answer.
    fn refused(&self, error: h2::Error) -> Failure {
        if error.is_io() {
            return Failure::Closed { answered: self.heard, source: error.into_io() };
        }
        if !error.is_remote() {
            // What broke the whole connection may have been another request's answer.
            return match error.is_go_away() {
                true => Failure::Closed { answered: self.heard, source: Some(io::Error::other(error)) },
                false => Failure::Violation(error),
            };
        }
        // A GOAWAY ends only streams beyond the last that it names (RFC 9113 §6.8).
        let unprocessed = error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM);
        if unprocessed && !self.heard { Failure::Unprocessed(error) } else { Failure::Reset(error) }
    }

    /// Why the answer's body breaks off.
    fn broken(&self, error: h2::Error) -> Failure {
        let clients = match &self.sending {
            Sending::Apart(upload) => upload.failure(),
            Sending::Here(_) | Sending::Done => None,
        };
        match clients {
            Some(failure) => failure,
            None if error.is_io() => Failure::Truncated(error.into_io()),
            None if error.is_remote() => Failure::Reset(error),
            None => Failure::Violation(error),
        }
    }
}

impl<B> Exchange<B> {
    fn is_sent(&self) -> bool {
        match &self.sending {
            Sending::Here(upload) => upload.is_done(),
            Sending::Apart(upload) => upload.is_done(),
            Sending::Done => true,
        }
    }
}

impl<B> Drop for Exchange<B> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        match self.answer.take() {
            Some(answer) if self.left == Some(0) && self.is_sent() => self.seat.let_end(answer),
            _ => self.seat.abandoned(),
        }
    }
}
