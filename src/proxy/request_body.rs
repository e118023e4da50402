//! The client's body on its way up: counted, limited, and never the beginning of the next request.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};

use super::plan::Plan;
use super::upstream::failure::BodyFailure;
use crate::message::trailers::{self, Nominated};
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
    trailers: Trailers,
}

/// What the trailers of one request may be.
#[derive(Debug)]
pub struct Trailers {
    plan: Arc<Plan>,
    nominated: Nominated,
    /// What of them is the route's to say.
    route: Option<usize>,
}

impl Trailers {
    /// What `headers`, the request's fields, leave to them.
    #[must_use]
    pub fn of(headers: &HeaderMap, plan: &Arc<Plan>) -> Self {
        Self { plan: Arc::clone(plan), nominated: Nominated::of(headers), route: None }
    }

    fn strip(&self, trailers: &mut HeaderMap) {
        let extras = self.route.and_then(|route| self.plan.route(route)?.extras.as_ref());
        trailers::strip(trailers, &self.nominated, |name| {
            let changed = extras.is_some_and(|extras| extras.request_fields.concern(name));
            trailers::passes_up(name, &self.plan.fields) && !changed
        });
    }
}

impl RequestBody {
    /// Takes `incoming`, of which at most `limit` bytes may come. `seen` counts them for the access log.
    #[must_use]
    pub fn new(
        incoming: Incoming,
        limit: Option<u64>,
        seen: Rc<Cell<u64>>,
        carrier: Carrier,
        trailers: Trailers,
    ) -> Self {
        Self { incoming, limit, seen, ended: false, carrier, trailers }
    }

    /// It is for a route: at most so many bytes of it may come, and trailers as the route says.
    pub const fn goes_by(&mut self, route: usize, limit: Option<u64>) {
        self.limit = limit;
        self.trailers.route = Some(route);
    }

    fn end(&mut self) -> Result<(), BodyFailure> {
        if self.carrier.is_end_of_body_doubtful() {
            return Err(BodyFailure::DoubtfulEnd);
        }
        self.ended = true;
        Ok(())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        let Some(frame) = ready!(Pin::new(&mut self.incoming).poll_frame(cx)) else {
            self.end()?;
            return Poll::Ready(None);
        };
        let mut frame = frame.map_err(BodyFailure::Broken)?;
        // An answer that has begun already may wait for all of the body.
        self.carrier.answer_moved();
        if let Some(data) = frame.data_ref() {
            let seen = self.seen.get() + data.len() as u64;
            self.seen.set(seen);
            if let Some(limit) = self.limit.filter(|limit| seen > *limit) {
                return Poll::Ready(Some(Err(BodyFailure::TooLarge { limit })));
            }
        }
        if let Some(trailers) = frame.trailers_mut() {
            self.trailers.strip(trailers);
            self.end()?;
        }
        Poll::Ready(Some(Ok(frame)))
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
