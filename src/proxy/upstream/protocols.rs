//! An exchange, by whichever protocol its endpoint speaks.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;

use super::connections::Place;
use super::endpoint::Endpoint;
use super::exchange::Exchange as Http1;
use super::failure::{BodyFailure, Failure};
use super::http2::Exchange as Http2;
use crate::server::transport::Transport;

/// An answer that is still coming, with the request that may still be going.
#[derive(Debug)]
pub enum Exchange<B: 'static> {
    /// It has its connection to itself.
    Http1(Box<Http1<B>>),
    /// It is one of a connection's streams.
    Http2(Box<Http2<B>>),
}

impl<B> Exchange<B>
where
    B: Body<Data = Bytes, Error = BodyFailure> + Unpin + 'static,
{
    /// The next piece of the answer's body; `None` at its end. Where there is little `room` for it, little is read.
    pub fn poll_data(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<Option<Result<Bytes, Failure>>> {
        match self {
            Self::Http1(exchange) => exchange.poll_data(cx, room),
            // As much as its window lets in is in memory already.
            Self::Http2(exchange) => exchange.poll_data(cx),
        }
    }

    /// What of the trailers passes, once the body has ended.
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        match self {
            Self::Http1(exchange) => exchange.take_trailers(),
            Self::Http2(exchange) => exchange.take_trailers(),
        }
    }

    /// The whole body, when it is there already: most answers over HTTP/1 are one piece.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        match self {
            Self::Http1(exchange) => exchange.take_whole(),
            Self::Http2(exchange) => exchange.is_bodiless().then(Bytes::new),
        }
    }

    /// How many bytes of the body are still to come, if known.
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Self::Http1(exchange) => exchange.remaining(),
            Self::Http2(exchange) => exchange.remaining(),
        }
    }

    /// Whether all of the answer has been taken.
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.remaining() == Some(0),
            Self::Http2(exchange) => exchange.has_ended(),
        }
    }

    /// Whether all of the request is sent.
    pub fn has_sent_all(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.has_sent_all(),
            Self::Http2(_) => false,
        }
    }

    /// The socket, what came on it behind the answer, and its place, when HTTP is left; a stream of HTTP/2 cannot leave it.
    pub fn into_parts(self) -> Option<(Transport, BytesMut, Option<Place>)> {
        match self {
            Self::Http1(exchange) => Some(exchange.into_parts()),
            Self::Http2(_) => None,
        }
    }

    /// Ends it; a connection that can carry another request is kept for that.
    pub fn finish(self, endpoint: &Endpoint) {
        match self {
            Self::Http1(exchange) => {
                if let Some(wire) = exchange.into_reusable() {
                    endpoint.give_back(wire);
                }
            }
            Self::Http2(exchange) => drop(exchange),
        }
    }
}
