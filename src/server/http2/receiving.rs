//! The body of a request over HTTP/2: what is taken of it makes room for as much again, and what nobody takes is left to
//! its stream.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http_body::Frame;

use super::stream::Stream;
use crate::server::incoming::Broken;

/// A body that is still coming.
#[derive(Debug)]
pub struct Receiving {
    /// There until it is dropped.
    body: Option<RecvStream>,
    rest: Rest,
    stream: Rc<Stream>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Data,
    Trailers,
    Nothing,
}

impl Receiving {
    pub(super) fn new(body: RecvStream, stream: Rc<Stream>) -> Self {
        Self { body: Some(body), rest: Rest::Data, stream }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Some(Err(Broken::Http2(Reason::CANCEL.into()))));
        };
        if self.rest == Rest::Data {
            self.stream.wants_body();
            match ready!(body.poll_data(cx)) {
                Some(Ok(data)) => {
                    // It fails only for more than came.
                    let _ = body.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                // A reset without an error too: what came is not all there was to be.
                Some(Err(error)) => return Poll::Ready(Some(Err(Broken::Http2(error)))),
                None => self.rest = Rest::Trailers,
            }
        }
        if self.rest == Rest::Nothing {
            return Poll::Ready(None);
        }
        let trailers = ready!(body.poll_trailers(cx)).map_err(Broken::Http2).transpose();
        self.rest = Rest::Nothing;
        if let Some(Ok(trailers)) = &trailers {
            if self.stream.had_pseudo_trailers() {
                return Poll::Ready(Some(Err(Broken::PseudoTrailers)));
            }
            // h2 takes it for a token's character.
            if trailers.keys().any(|name| name.as_str().contains('"')) {
                return Poll::Ready(Some(Err(Broken::NamelessTrailer)));
            }
        }
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)))
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_some_and(RecvStream::is_end_stream)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.stream.leave_body(body);
        }
    }
}
