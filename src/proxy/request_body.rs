//! The client's body on its way up: counted, limited, and never the beginning of the next request.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::upstream::failure::BodyFailure;
use crate::server::carrier::Carrier;
use crate::server::incoming::Incoming;

/// A client's body.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    limit: Option<u64>,
    seen: Rc<Cell<u64>>,
    ended: bool,
    carrier: Carrier,
}

impl RequestBody {
    /// Takes `incoming`, of which at most `limit` bytes may come. `seen` counts them for the access log.
    #[must_use]
    pub fn new(incoming: Incoming, limit: Option<u64>, seen: Rc<Cell<u64>>, carrier: Carrier) -> Self {
        Self { incoming, limit, seen, ended: false, carrier }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.incoming).poll_frame(cx)) else {
                if self.carrier.is_end_of_body_doubtful() {
                    return Poll::Ready(Some(Err(BodyFailure::DoubtfulEnd)));
                }
                self.ended = true;
                return Poll::Ready(None);
            };
            // Trailers of HTTP/1.1 are not passed on; they are the only other kind of frame.
            let Ok(data) = frame.map_err(BodyFailure::Broken)?.into_data() else { continue };
            let seen = self.seen.get() + data.len() as u64;
            self.seen.set(seen);
            // An answer that has begun already may wait for all of the body.
            self.carrier.answer_moved();
            if let Some(limit) = self.limit.filter(|limit| seen > *limit) {
                return Poll::Ready(Some(Err(BodyFailure::TooLarge { limit })));
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            self.carrier.leave_body();
        }
    }
}
