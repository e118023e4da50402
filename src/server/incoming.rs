//! A request's body as it comes from its client, in either protocol.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::http2::Receiving;

/// A body that is still coming.
#[derive(Debug)]
pub enum Incoming {
    /// Over HTTP/1.
    Http1(hyper::body::Incoming),
    /// Over HTTP/2.
    Http2(Receiving),
    /// None: what comes on its stream is no body.
    None,
}

/// A body that its client broke off or framed wrongly.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Over HTTP/1.
    #[error(transparent)]
    Http1(hyper::Error),
    /// Over HTTP/2.
    #[error(transparent)]
    Http2(h2::Error),
    /// Pseudo-fields stand among the trailers (RFC 9113 §8.1).
    #[error("pseudo-fields stand among the trailers")]
    PseudoTrailers,
    /// A trailer has a name that is none.
    #[error("a trailer has a quotation mark in its name")]
    NamelessTrailer,
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Http1(body) => Pin::new(body).poll_frame(cx).map_err(Broken::Http1),
            Self::Http2(body) => Pin::new(body).poll_frame(cx),
            Self::None => Poll::Ready(None),
        }
    }

    /// Whether nothing follows, orderly: never true of one that broke off.
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
            Self::None => true,
        }
    }
}
