//! The body of an answer: one piece, or streamed from the upstream. It carries the request's [`Ticket`], so that the
//! request is over exactly when its last byte was handed to the client, or the client is gone.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::request_body::RequestBody;
use super::ticket::Ticket;
use super::upstream::failure::Failure;
use super::upstream::{Exchange, Held};
use crate::message::trailers::{self, Nominated};
use crate::server::carrier::Carrier;

/// What the client gets after the fields.
#[derive(Debug)]
pub struct Body {
    source: Source,
    /// None behind a 101: the request goes on without this.
    ticket: Option<Box<Ticket>>,
}

#[derive(Debug)]
enum Source {
    Whole(Bytes),
    Stream(Stream),
    /// It broke off, and what came before that is on its way.
    Broken(Option<Failure>),
    Ended,
}

/// An answer that is still coming.
#[derive(Debug)]
pub struct Stream {
    exchange: Exchange<RequestBody>,
    endpoint: Held,
    /// Whether the endpoint was waited for when it was last asked for more.
    waits: bool,
}

impl Stream {
    /// What comes of `exchange`, an answer of `endpoint`.
    #[must_use]
    pub const fn new(exchange: Exchange<RequestBody>, endpoint: Held) -> Self {
        Self { exchange, endpoint, waits: false }
    }

    /// The next piece, once there is room for it.
    fn poll_data(&mut self, cx: &mut Context<'_>, carrier: &Carrier) -> Poll<Option<Result<Bytes, Failure>>> {
        self.waits = false;
        let room = ready!(carrier.poll_room(cx));
        let data = self.exchange.poll_data(cx, room);
        self.waits = data.is_pending();
        data
    }
}

impl Body {
    /// One piece.
    #[must_use]
    pub fn whole(bytes: Bytes, ticket: Box<Ticket>) -> Self {
        let source = if bytes.is_empty() { Source::Ended } else { Source::Whole(bytes) };
        Self { source, ticket: Some(ticket) }
    }

    /// As the upstream sends it.
    #[must_use]
    pub fn stream(stream: Stream, ticket: Box<Ticket>) -> Self {
        Self { source: Source::Stream(stream), ticket: Some(ticket) }
    }

    /// Nothing, of a request that goes on.
    #[must_use]
    pub const fn none() -> Self {
        Self { source: Source::Ended, ticket: None }
    }
}

impl Drop for Body {
    /// An answer that stood still for too long is dropped by who sends it.
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.as_mut().filter(|ticket| ticket.carrier.stood_still()) else { return };
        match &self.source {
            Source::Broken(_) => {}
            Source::Stream(stream) if stream.waits && !ticket.carrier.is_held_back() => {
                ticket.broken(&Failure::Stalled, &stream.endpoint);
            }
            Source::Stream(_) | Source::Whole(_) | Source::Ended => ticket.not_taken(),
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = self.get_mut();
        let Some(ticket) = &mut this.ticket else { return Poll::Ready(None) };
        let data = match &mut this.source {
            Source::Ended => return Poll::Ready(None),
            Source::Broken(failure) => return Poll::Ready(failure.take().map(Err)),
            Source::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                this.source = Source::Ended;
                Some(Ok(bytes))
            }
            // Asked first, so that an answer that never pauses ends too.
            Source::Stream(stream) => match ticket.poll_broken_off(cx) {
                Poll::Ready(failure) => Some(Err(failure)),
                Poll::Pending => match stream.poll_data(cx, &ticket.carrier) {
                    Poll::Ready(data) => data,
                    Poll::Pending => {
                        ticket.pauses(cx);
                        return Poll::Pending;
                    }
                },
            },
        };
        let frame = match data {
            Some(Ok(bytes)) => {
                ticket.moved(bytes.len());
                if this.source.has_come_whole() {
                    this.source.finish();
                } else if matches!(this.source, Source::Stream(_)) {
                    ticket.hands_over_part(cx);
                }
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(failure)) => {
                if let Source::Stream(stream) = &this.source {
                    ticket.broken(&failure, &stream.endpoint);
                }
                this.source = Source::Broken(Some(failure));
                // hyper drops what it has not sent when it is told of a failure: the answer's fields, if it comes at
                // once. The client would be left with a connection that ended without an answer.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => {
                let mut trailers = this.source.take_trailers();
                let extras = ticket.rules().and_then(|rules| rules.extras.as_ref());
                if let (Some(trailers), Some(extras)) = (&mut trailers, extras) {
                    trailers::strip(trailers, &Nominated::default(), |name| {
                        !extras.response_fields.concern(name)
                    });
                }
                this.source.finish();
                trailers.map(|trailers| Ok(Frame::trailers(trailers)))
            }
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Ended | Source::Broken(None) => SizeHint::with_exact(0),
            Source::Broken(Some(_)) => SizeHint::new(),
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Stream(stream) => {
                stream.exchange.remaining().map_or_else(SizeHint::new, SizeHint::with_exact)
            }
        }
    }
}

impl Source {
    fn has_come_whole(&self) -> bool {
        matches!(self, Self::Stream(stream) if stream.exchange.has_ended())
    }

    fn take_trailers(&mut self) -> Option<HeaderMap> {
        let Self::Stream(stream) = self else { return None };
        stream.exchange.take_trailers()
    }

    /// Gives the connection back, if it can carry another request.
    fn finish(&mut self) {
        if let Self::Stream(stream) = std::mem::replace(self, Self::Ended) {
            stream.endpoint.succeeded();
            stream.exchange.finish(&stream.endpoint);
        }
    }
}
